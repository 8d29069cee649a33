//! `vault exec` when it stays: what the program prints is masked, what it is handed besides variables, and how it ends.

use std::io::Read;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::world::CANARY;
use crate::world::Output;
use crate::world::VAULT;
use crate::world::World;
use crate::world::contains;
use crate::world::secret;
use crate::world::tool;

/// How long something may take that takes a moment.
const SOON: Duration = Duration::from_secs(20);

/// A store with an entry in the default profile, and others.
fn world() -> World {
    let world = World::with_store();
    world.add_with("github/ci", secret("github"), &["--env", "TOKEN"]);
    world.add(
        "keys/deploy.pem",
        format!("first {CANARY}\nsecond {CANARY}\n"),
    );
    world.add("short", "xyz");
    world
}

fn exec(world: &World, args: &[&str]) -> Output {
    world.vault(&[&["exec"], args].concat()).run()
}

/// A program that is left running, with pipes.
fn spawn(world: &World, program: &str, args: &[&str]) -> Child {
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .envs(world.vars().iter().cloned());
    command.current_dir(world.home());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads until the text has come.
#[track_caller]
fn await_text(child: &mut Child, text: &str) -> String {
    let stdout = child.stdout.as_mut().unwrap();
    let mut seen = Vec::new();
    while !contains(&seen, text.as_bytes()) {
        let mut byte = [0];
        let count = stdout.read(&mut byte).unwrap();
        assert!(
            count > 0,
            "it ended after {:?}",
            String::from_utf8_lossy(&seen)
        );
        seen.push(byte[0]);
    }
    String::from_utf8(seen).unwrap()
}

/// Waits until it is so.
#[track_caller]
fn await_that(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        std::thread::yield_now();
    }
}

fn signal(name: &str, process: u32) {
    let status = Command::new("kill")
        .args([name, &process.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

fn is_alive(process: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.trim()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn every_selected_secret_is_blanked_in_both_streams() {
    let world = world();
    let script = "echo \"out $TOKEN.\"; echo \"err $TOKEN.\" >&2; cat \"$F\"; printf %s \"$TOKEN\" | base64; \
                  printf 'u:%s' \"$TOKEN\" | base64; printf %s \"$TOKEN\" | od -An -tx1 | tr -d ' \\n'; echo; cat";
    let args = [
        "exec",
        "--mask",
        "-e",
        "github/ci",
        "--file",
        "F=keys/deploy.pem",
        "--stdin",
        "github/ci",
        "--",
        "sh",
        "-c",
        script,
    ];
    let seen = world.vault(&args).run().ok();
    assert_eq!(seen.stderr, "err ********.\n");
    let encoded = STANDARD.encode(format!("u:{}", secret("github")));
    let text = seen.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..4],
        [
            "out ********.",
            "********",
            "********",
            &format!("{}********", &encoded[..3])
        ]
    );
    assert_eq!(lines[4..], ["********", "********"]);
}

#[test]
fn a_secret_in_pieces_is_blanked_and_a_prompt_comes_at_once() {
    let world = world();
    let script =
        "printf 'name: '; read name; printf '%s' \"$TOKEN\" | dd bs=1 status=none; echo \" $name\"";
    let mut child = spawn(&world, VAULT, &["exec", "--mask", "--", "sh", "-c", script]);
    // The program waits for the answer: what comes now was not held back.
    assert_eq!(await_text(&mut child, "name: "), "name: ");
    child.stdin.take().unwrap().write_all(b"octo\n").unwrap();
    assert_eq!(await_text(&mut child, "\n"), "******** octo\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn too_short_a_secret_is_told_and_not_blanked() {
    let world = world();
    let seen = exec(
        &world,
        &["--mask", "-e", "S=short", "--", "sh", "-c", "echo $S"],
    )
    .ok();
    assert_eq!(seen.text(), "xyz\n");
    let _ = seen.says("\"short\" is too short to be masked");
}

#[test]
fn too_large_a_secret_is_refused_with_mask() {
    let world = world();
    let part = |count: usize| secret(&"x".repeat(count - secret("").len()));
    world.add("most", part(64 << 10));
    world.add("more", part((64 << 10) + 1));
    let masked = |args: &[&str]| exec(&world, &[&["--mask"], args, &["--", "true"]].concat());
    masked(&["--file", "F=most"]).ok();
    let refused = masked(&["--file", "F=more"]).fails_with(125);
    refused.says("\"more\" is too large to be masked: it has more than 64 KiB");
    let several = ["--file", "F=most", "--file", "G=most", "-e", "H=short-not"];
    world.add("short-not", secret("12"));
    let refused = masked(&several).fails_with(125);
    refused.says("more than 128 KiB together");
    exec(&world, &["--file", "F=more", "--", "true"]).ok();
}

#[test]
fn a_pipe_stays_a_pipe_and_all_of_it_comes() {
    let world = world();
    let script = "test -t 0 || test -t 1 || test -t 2 || echo none; seq 200000; seq 200000 >&2; (sleep 0.3; echo late) &";
    let seen = exec(&world, &["--mask", "--", "sh", "-c", script]).ok();
    let numbers = (1..=200_000)
        .map(|number| format!("{number}\n"))
        .collect::<Vec<_>>()
        .concat();
    assert_eq!(seen.text(), format!("none\n{numbers}late\n"));
    assert_eq!(seen.stderr, numbers);
}

#[test]
fn the_end_is_the_programs_own() {
    let world = world();
    for flags in [&["--mask"][..], &["--file", "F=short"]] {
        for code in [0, 1, 7, 125, 255] {
            let script = format!("exit {code}");
            let _ = exec(&world, &[flags, &["--", "sh", "-c", &script]].concat()).fails_with(code);
        }
        for (name, number) in [("TERM", 15), ("KILL", 9), ("INT", 2), ("SEGV", 11)] {
            let script = format!("kill -{name} $$");
            let mut child = spawn(
                &world,
                VAULT,
                &[&["exec"], flags, &["--", "sh", "-c", &script]].concat(),
            );
            assert_eq!(child.wait().unwrap().signal(), Some(number), "{name}");
        }
        let _ = exec(&world, &[flags, &["--", "no-such-program"]].concat())
            .fails_with(127)
            .says("no-such-program");
        let _ = exec(&world, &[flags, &["--", "/"]].concat()).fails_with(126);
    }
}

#[test]
fn signals_reach_the_program_once() {
    let world = world();
    for flag in ["--mask", "--file=F=short"] {
        for name in ["HUP", "INT", "QUIT", "TERM", "USR1", "USR2"] {
            let script =
                format!("trap 'echo got; exit 9' {name}; echo ready; while :; do sleep 0.01; done");
            // Whoever runs the tests may ignore a signal, as nohup does, and that would be handed on.
            let args = [
                "--default-signal",
                VAULT,
                "exec",
                flag,
                "--",
                "sh",
                "-c",
                &script,
            ];
            let mut child = spawn(&world, "env", &args);
            await_text(&mut child, "ready\n");
            signal(&format!("-{name}"), child.id());
            assert_eq!(await_text(&mut child, "\n"), "got\n");
            assert_eq!(child.wait().unwrap().code(), Some(9), "{name}");
        }
    }
}

#[test]
fn what_is_ignored_stays_ignored() {
    let world = world();
    let script = format!(
        "nohup '{VAULT}' exec --mask -- sh -c 'kill -HUP $PPID; kill -HUP $$; echo alive' 2>/dev/null"
    );
    let seen = world.program("sh", &["-c", &script]).run().ok();
    assert_eq!(seen.text(), "alive\n");
}

#[test]
fn a_file_is_private_exact_and_gone_afterwards() {
    let world = world();
    let script = "echo \"$F\"; stat -c '%a %u' \"$F\"; cmp \"$F\" - && echo same; exit 3";
    let args = [
        "exec",
        "--file",
        "F=keys/deploy.pem",
        "--file",
        "G=short",
        "--",
        "sh",
        "-c",
        script,
    ];
    let seen = world
        .vault(&args)
        .stdin(format!("first {CANARY}\nsecond {CANARY}\n"))
        .run()
        .fails_with(3);
    let text = seen.text();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with("/deploy.pem"), "{text}");
    assert!(!Path::new(lines[0]).parent().unwrap().exists());
    assert!(lines[1].starts_with("600 "), "{text}");
    assert_eq!(lines[2], "same");
}

#[test]
fn a_killed_vault_leaves_neither_file_nor_program() {
    let world = world();
    for flags in [&["--file", "F=short"][..], &["--file", "F=short", "--mask"]] {
        let script = "echo $$; echo \"$F\"; while :; do sleep 0.05; done";
        let mut child = spawn(
            &world,
            VAULT,
            &[&["exec"], flags, &["--", "sh", "-c", script]].concat(),
        );
        let process = await_text(&mut child, "\n");
        let path = await_text(&mut child, "\n");
        assert!(Path::new(path.trim()).exists() && is_alive(&process));
        child.kill().unwrap();
        child.wait().unwrap();
        await_that("the folder is gone", || {
            !Path::new(path.trim()).parent().unwrap().exists()
        });
        await_that("the program is gone", || !is_alive(&process));
    }
}

#[test]
fn streams_hand_over_exact_bytes() {
    let world = World::with_store();
    let large: Vec<u8> = (0..300_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    world.add("large", &large);
    world.add("line", "one line\n");
    let seen = exec(&world, &["--stdin", "large", "--", "cat"]).ok();
    assert_eq!(seen.stdout, large);
    let script = "cat <&9; cat <&3; echo \"$$ $PPID\" >/dev/null; ls /proc/self/fd | wc -l >&2";
    let seen = exec(
        &world,
        &[
            "--fd", "3=large", "--fd", "9=line", "--", "sh", "-c", script,
        ],
    )
    .ok();
    assert_eq!(seen.stdout, [b"one line\n", &large[..]].concat());
    // It is the same process, which has become the program.
    let script =
        format!("echo $$; exec '{VAULT}' exec --stdin line --fd 4=line -- sh -c 'echo $$'");
    let seen = world.program("sh", &["-c", &script]).run().ok().text();
    let pids: Vec<_> = seen.lines().collect();
    assert_eq!(pids[0], pids[1]);
    let seen = exec(
        &world,
        &[
            "--mask",
            "--stdin",
            "line",
            "--fd",
            "3=line",
            "--",
            "sh",
            "-c",
            "cat; cat <&3",
        ],
    )
    .ok();
    assert_eq!(seen.text(), "********\n********\n");
}

#[test]
fn what_is_named_is_all_there_is() {
    let world = world();
    for flags in [
        &["--stdin", "short"][..],
        &["--fd", "3=short"],
        &["--file", "F=short"],
    ] {
        let seen = exec(
            &world,
            &[&["--pristine"], flags, &["--", "/usr/bin/env"]].concat(),
        )
        .ok();
        assert!(!seen.text().contains("TOKEN"), "{}", seen.text());
    }
}

#[test]
fn the_rules_hold_for_every_way_in() {
    let world = world();
    world.add_with("old", secret("old"), &["--expires", "2020-01-01"]);
    let rows: [(&[&str], &str); 13] = [
        (&["--file", "PATH=short"], "PATH"),
        (&["--file", "LD_PRELOAD=short"], "LD_PRELOAD"),
        (&["--file", "A B=short"], "not a variable's name"),
        (&["--file", "short"], "VAR=NAME"),
        (&["--file", "F=old"], "old"),
        (&["--stdin", "old"], "old"),
        (&["--fd", "3=old"], "old"),
        (&["--fd", "1=short"], "from 3 on"),
        (&["--fd", "300=short"], "from 3 to 255"),
        (&["--fd", "short"], "N=NAME"),
        (&["--fd", "3=short", "--fd", "3=github/ci"], "both"),
        (&["--file", "TOKEN=short", "-e", "github/ci"], "both"),
        (&["--stdin", "absent"], "absent"),
    ];
    let touched = world.home().join("touched");
    for (flags, word) in rows {
        let args = [flags, &["--", "touch", touched.to_str().unwrap()]].concat();
        let _ = exec(&world, &args).fails_with(125).says(word);
        assert!(!touched.exists(), "{flags:?}");
    }
    let allowed = exec(&world, &["--allow-expired", "--stdin", "old", "--", "cat"])
        .ok()
        .says("\"old\"");
    assert_eq!(allowed.text(), secret("old"));
    let script = format!("'{VAULT}' exec --fd 5=short -- true 5</dev/null");
    let _ = world
        .program("sh", &["-c", &script])
        .run()
        .fails_with(125)
        .says("descriptor 5 is in use");
}

#[test]
fn the_first_process_of_a_container() {
    let world = world();
    let unshare = tool("unshare");
    let inside = |script: &str| {
        let args = [
            "--user",
            "--map-root-user",
            "--pid",
            "--fork",
            VAULT,
            "exec",
            "--mask",
            "--",
            "sh",
            "-c",
            script,
        ];
        world.program(&unshare, &args).run()
    };
    // Children that it did not start are left to it.
    let script = "(sleep 0.1 &); (sleep 0.2 &); echo \"$PPID $TOKEN\"; sleep 0.4; exit 4";
    assert_eq!(inside(script).fails_with(4).text(), "1 ********\n");
    let _ = inside("kill -TERM $$").fails_with(143);
}

#[test]
fn below_other_programs() {
    let world = world();
    let vault = format!("'{VAULT}' exec --mask --");
    let sh = |script: &str| {
        world
            .program(tool("bash"), &["-c", &format!("set -o pipefail; {script}")])
            .run()
    };
    let seen = sh(&format!(
        "{vault} sh -c 'seq 100000; exit 5' | tail -1; echo $?"
    ))
    .ok();
    assert_eq!(seen.text(), "100000\n5\n");
    let seen = sh(&format!(
        "{vault} yes | head -1; echo \"${{PIPESTATUS[*]}}\""
    ))
    .ok();
    assert_eq!(seen.text(), "y\n141 0\n");
    let seen = sh(&format!(
        "seq 12 | xargs -P 4 -n 1 {vault} sh -c 'echo $TOKEN' | sort | uniq -c"
    ))
    .ok();
    assert_eq!(seen.text().trim(), "12 ********");
    let _ = sh(&format!("timeout 0.5 {vault} sleep 1000")).fails_with(124);
    let seen = sh(&format!("timeout -s KILL 0.5 {vault} sleep 1000; echo $?")).ok();
    assert_eq!(seen.text(), "137\n");
}

#[test]
fn below_make_with_its_job_server() {
    let world = world();
    for flags in ["--mask", "--file F=short", "-q"] {
        let top = format!(
            "all: a b\na b:\n\t@'{VAULT}' exec {flags} -- $(MAKE) --no-print-directory -f below.mk $@1 $@2\n"
        );
        world.write("top.mk", top);
        world.write("below.mk", "%:\n\t@echo $@\n");
        let seen = world
            .program(tool("make"), &["-j3", "-f", "top.mk"])
            .run()
            .ok();
        assert!(!seen.stderr.contains("jobserver"), "{}", seen.stderr);
        let text = seen.text();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["a1", "a2", "b1", "b2"]);
    }
}
