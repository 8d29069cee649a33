use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;

use super::*;
use crate::sys::mem;
use crate::sys::signal;

/// Set in the copy of the test program that is to be replaced.
const REPLACED: &str = "AGEVAULT_TEST_REPLACED_BY";

fn os(text: &str) -> &OsStr {
    OsStr::new(text)
}

fn path() -> OsString {
    std::env::var_os("PATH").unwrap()
}

/// Not a test of its own: what `replaced_by` runs in a copy of the test program.
#[test]
#[allow(clippy::exit, reason = "nothing of the test program may run after it")]
fn becomes_another() {
    let Some(script) = std::env::var_os(REPLACED) else {
        return;
    };
    let limits = mem::harden().unwrap();
    let path = path();
    let (program, args) = match script.to_str() {
        Some("missing") => (os("no-such-program"), vec![]),
        Some("folder") => (os("/etc"), vec![]),
        _ => (
            os("sh"),
            vec![os("-c"), script.as_os_str(), os("$0"), os("a b")],
        ),
    };
    let error = replace(
        program,
        &args,
        &[(os("PATH"), &path), (os("ONE"), os("1"))],
        &limits,
    );
    std::process::exit(if error.kind() == io::ErrorKind::NotFound {
        127
    } else {
        126
    });
}

fn replaced_by(script: &str) -> std::process::Output {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "sys::process::tests::becomes_another",
            "--nocapture",
        ])
        .env(REPLACED, script)
        .env("SECRET_OF_PARENT", "x")
        .output()
        .unwrap()
}

#[test]
fn the_replacement_has_exactly_what_it_was_given() {
    let output = replaced_by("echo; echo \"<$1>\"; ulimit -c; env | sort; exit 7");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(7));
    let core = Command::new("sh")
        .args(["-c", "ulimit -c"])
        .output()
        .unwrap()
        .stdout;
    let core = String::from_utf8(core).unwrap();
    assert!(text.contains(&format!("<a b>\n{core}")), "{text}");
    assert!(text.contains("\nONE=1\n"), "{text}");
    assert!(
        !text.contains("SECRET_OF_PARENT") && !text.contains(REPLACED),
        "{text}"
    );
}

#[test]
fn the_replacement_dies_of_its_own_signals() {
    assert_eq!(replaced_by("kill -TERM $$").status.signal(), Some(15));
    assert_eq!(replaced_by("kill -PIPE $$").status.signal(), Some(13));
    let mask = replaced_by("echo; grep SigBlk /proc/self/status").stdout;
    assert!(
        String::from_utf8(mask)
            .unwrap()
            .contains("SigBlk:\t0000000000000000\n")
    );
}

#[test]
fn what_cannot_be_run_is_told_apart() {
    assert_eq!(replaced_by("missing").status.code(), Some(127));
    assert_eq!(replaced_by("folder").status.code(), Some(126));
}

#[test]
fn captures_what_is_printed_but_one_line_feed() {
    let path = path();
    let run = |line: &str| capture(os(line), &[(os("PATH"), &path), (os("A"), os("b"))]);
    assert_eq!(
        run("printf 'pass phrase\\n\\n'").unwrap().expose(),
        b"pass phrase\n"
    );
    assert_eq!(run("echo $A; cat").unwrap().expose(), b"b");
    assert!(
        run("echo half; exit 3")
            .unwrap_err()
            .to_string()
            .contains('3')
    );
    assert!(run("yes").is_err(), "more than the limit");
}

#[test]
fn an_editor_may_have_arguments_and_paths_spaces() {
    let _turn = signal::tests::turn();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a b");
    std::fs::write(&file, "old").unwrap();
    let path = path();
    let vars = [(os("PATH"), path.as_os_str())];
    assert!(
        edit_file(os("sed -i s/old/new/"), &file, &vars)
            .unwrap()
            .success()
    );
    assert_eq!(std::fs::read(&file).unwrap(), b"new");
    assert_eq!(
        edit_file(os("exit 4;"), &file, &vars).unwrap().code(),
        Some(4)
    );
}

#[test]
fn an_interrupted_editor_does_not_end_us() {
    let _turn = signal::tests::turn();
    let folder = tempfile::tempdir().unwrap();
    let noted = folder.path().join("noted");
    let path = path();
    let vars = [(os("PATH"), path.as_os_str())];
    // A test program has other threads, and the kernel may hand the signal to one that is asleep: the editor stays open
    // until it has been dealt with.
    let held = Held::new().unwrap();
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !held.is_caught() {
                std::thread::yield_now();
            }
            std::fs::write(&noted, "").unwrap();
        });
        let editor = "kill -INT $PPID; until [ -e \"$1\" ]; do :; done; exit 5;";
        let status = edit_file(os(editor), &noted, &vars).unwrap();
        assert_eq!(status.code(), Some(5));
    });
}
