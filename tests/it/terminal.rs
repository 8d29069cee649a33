//! What a person sees and types: prompts, questions, the picker, colours.

use std::time::Duration;

use pty_process::blocking::Command;

use crate::pty::Pty;
use crate::world::CANARY;
use crate::world::VAULT;
use crate::world::World;
use crate::world::contains;
use crate::world::secret;

/// How long a prompt may take to come.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A program of this world in a terminal.
fn program(world: &World, program: &str, args: &[&str], vars: &[(&str, &str)]) -> Pty {
    let command = Command::new(program).args(args).env_clear();
    let command = command
        .envs(world.vars().iter().cloned())
        .env("TERM", "xterm-256color");
    let command = command.envs(vars.iter().copied()).current_dir(world.home());
    Pty::spawn(command, (30, 100))
}

/// This program in a terminal.
pub(crate) fn vault(world: &World, args: &[&str]) -> Pty {
    program(world, VAULT, args, &[])
}

/// It ends with this code; everything that it has printed.
#[track_caller]
pub(crate) fn ends(mut pty: Pty, code: i32) -> Vec<u8> {
    let status = pty.wait();
    assert_eq!(status.code(), Some(code), "the screen:\n{}", pty.screen());
    pty.output().to_vec()
}

fn type_twice(pty: &mut Pty, first: &str, second: &str) {
    pty.expect("Secret for ", SOON);
    pty.send(&format!("{first}\r"));
    pty.expect("The same again", SOON);
    pty.send(&format!("{second}\r"));
}

#[test]
fn a_secret_is_asked_for_twice_and_not_shown() {
    let world = World::with_store();
    let mut pty = vault(&world, &["add", "a"]);
    type_twice(&mut pty, &secret("typed"), &secret("typed"));
    let output = ends(pty, 0);
    assert!(!contains(&output, CANARY.as_bytes()));
    assert_eq!(world.get("a").unwrap(), secret("typed").into_bytes());
}

#[test]
fn two_that_differ_change_nothing() {
    let world = World::with_store();
    let mut pty = vault(&world, &["add", "a"]);
    type_twice(&mut pty, &secret("typed"), &secret("tyepd"));
    pty.expect("the two are not the same, nothing is changed", SOON);
    assert!(!contains(&ends(pty, 1), CANARY.as_bytes()));
    assert_eq!(world.get("a"), None);
}

#[test]
fn several_lines_end_with_ctrl_d() {
    let world = World::with_store();
    let mut pty = vault(&world, &["add", "-m", "a"]);
    pty.expect("end with Ctrl-D", SOON);
    pty.send(&format!("{}\rsecond\r\x04", secret("first")));
    assert!(!contains(&ends(pty, 0), CANARY.as_bytes()));
    let value = String::from_utf8(world.get("a").unwrap()).unwrap();
    assert_eq!(
        value.trim_end_matches('\n'),
        format!("{}\nsecond", secret("first"))
    );
}

#[test]
fn ctrl_c_at_a_prompt_leaves_the_terminal_as_it_was() {
    let world = World::with_store();
    for flag in ["--force", "-m"] {
        let script =
            format!("trap : INT; '{VAULT}' add {flag} a; echo code $?; stty -a; echo the end");
        let mut pty = program(&world, "sh", &["-c", &script], &[]);
        pty.expect("Secret for ", SOON);
        pty.send("half\x03");
        pty.expect("code ", SOON);
        pty.expect("the end", SOON);
        let output = String::from_utf8_lossy(&ends(pty, 0)).into_owned();
        let words: Vec<_> = output.split([' ', ';', '\r', '\n']).collect();
        for word in ["echo", "icanon", "isig"] {
            assert!(words.contains(&word), "{flag} {word}: {output}");
        }
        assert_eq!(world.get("a"), None);
        assert!(!output.contains("half"));
    }
}

#[test]
fn a_signal_ends_every_question() {
    let world = World::with_store();
    for (args, question) in [
        (&["add", "a"][..], "Secret for"),
        (&["add", "-m", "a"], "Secret for"),
    ] {
        let mut pty = vault(&world, args);
        pty.expect(question, SOON);
        let id = rustix::process::Pid::from_raw(pty.id().cast_signed()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::HUP).unwrap();
        let _ = ends(pty, 1);
        assert!(world.names().is_empty());
    }
}

#[test]
fn a_replacement_is_asked_about() {
    let world = World::with_store();
    world.add("a", secret("old"));
    for answer in ["n\r", "\r"] {
        let mut pty = vault(&world, &["add", "a"]);
        pty.expect("Replace it?", SOON);
        pty.send(answer);
        let _ = ends(pty, 1);
        assert_eq!(world.get("a").unwrap(), secret("old").into_bytes());
    }
    let mut pty = vault(&world, &["add", "a"]);
    pty.expect("Replace it?", SOON);
    pty.send("y\r");
    type_twice(&mut pty, &secret("new"), &secret("new"));
    let _ = ends(pty, 0);
    assert_eq!(world.get("a").unwrap(), secret("new").into_bytes());
}

#[test]
fn a_wrong_passphrase_may_be_typed_again() {
    let world = World::new();
    let init = world.vault(&["init", "--no-recovery"]);
    let _ = init
        .env("AGEVAULT_PASSPHRASE_CMD", "echo correct horse")
        .run()
        .ok();
    let add = world
        .vault(&["add", "a"])
        .env("AGEVAULT_PASSPHRASE_CMD", "echo correct horse");
    let _ = add.stdin(secret("a")).run().ok();
    let mut pty = vault(&world, &["get", "a"]);
    pty.expect("assphrase", SOON);
    pty.send("wrong horse\r");
    pty.expect("try again", SOON);
    pty.expect("assphrase", SOON);
    pty.send("correct horse\r");
    pty.expect(&secret("a"), SOON);
    let output = ends(pty, 0);
    assert!(!contains(&output, b"horse"));
    let mut pty = vault(&world, &["get", "a"]);
    for _ in 0..3 {
        pty.expect("assphrase", SOON);
        pty.send("wrong horse\r");
    }
    let _ = ends(pty, 4);
}

#[test]
fn init_asks_for_a_passphrase_twice_and_offers_a_recovery_key() {
    let world = World::new();
    let mut pty = vault(&world, &["init"]);
    pty.expect("New passphrase", SOON);
    pty.send("correct horse\r");
    pty.expect("The same again", SOON);
    pty.send("correct horse\r");
    pty.expect("recovery key", SOON);
    pty.send("y\r");
    pty.expect("AGE-SECRET-KEY-1", SOON);
    assert!(!contains(&ends(pty, 0), b"horse"));
    let world = World::new();
    let mut pty = vault(&world, &["init"]);
    pty.expect("New passphrase", SOON);
    pty.send("correct horse\r");
    pty.expect("The same again", SOON);
    pty.send("correct hose\r");
    let _ = ends(pty, 1);
    assert!(!world.store().exists() && !world.identity().exists());
}

#[test]
fn an_entry_is_picked_by_typing() {
    let world = World::with_store();
    for name in ["github/ci", "npm/publish", "work/api"] {
        world.add(name, secret(name));
    }
    let mut pty = vault(&world, &["get"]);
    pty.expect("npm/publish", SOON);
    pty.send("npmpub");
    pty.expect("1/3", SOON);
    pty.send("\r");
    pty.expect(&secret("npm/publish"), SOON);
    let _ = ends(pty, 0);
    let mut pty = vault(&world, &["get"]);
    pty.expect("npm/publish", SOON);
    pty.send("\x1b");
    assert!(!contains(&ends(pty, 1), CANARY.as_bytes()));
}

#[test]
fn letters_and_enter_typed_at_once_take_what_the_letters_find() {
    let world = World::with_store();
    for name in ["github/ci", "npm/publish", "work/api"] {
        world.add(name, secret(name));
    }
    let mut pty = vault(&world, &["get"]);
    pty.expect("npm/publish", SOON);
    pty.send("workapi\r");
    pty.expect(&secret("work/api"), SOON);
    let _ = ends(pty, 0);
}

#[test]
fn colour_is_for_terminals() {
    let world = World::with_store();
    world.add_with("folder/a", secret("a"), &["--expires", "2020-01-01"]);
    for args in [&["ls"][..], &["show", "folder/a"]] {
        let output = ends(vault(&world, args), 0);
        assert!(contains(&output, b"\x1b["), "{args:?}");
        for vars in [[("NO_COLOR", "1")], [("TERM", "dumb")]] {
            let output = ends(program(&world, VAULT, args, &vars), 0);
            assert!(!contains(&output, b"\x1b["), "{args:?} {vars:?}");
        }
        let script = format!("'{VAULT}' {} | cat", args.join(" "));
        let output = ends(program(&world, "sh", &["-c", &script], &[]), 0);
        assert!(!contains(&output, b"\x1b["), "{args:?} in a pipe");
    }
}

#[test]
fn a_line_feed_is_added_on_a_terminal_only() {
    let world = World::with_store();
    world.add("a", secret("a"));
    world.add("with", format!("{}\n", secret("a")));
    let expected = format!("{}\r\n", secret("a"));
    assert_eq!(ends(vault(&world, &["get", "a"]), 0), expected.as_bytes());
    assert_eq!(
        ends(vault(&world, &["get", "with"]), 0),
        expected.as_bytes()
    );
    let script = format!("'{VAULT}' get a | od -An -c | tail -1");
    let output = String::from_utf8(ends(program(&world, "sh", &["-c", &script], &[]), 0)).unwrap();
    assert!(!output.contains("\\n"), "{output}");
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let world = World::with_store();
    world.add_with(
        "a",
        secret("a"),
        &[
            "--description",
            "red \x1b[31mtext\x07",
            "--url",
            "a\u{202e}b",
        ],
    );
    for args in [&["show", "a"][..], &["find", "red"], &["ls"]] {
        let output = ends(program(&world, VAULT, args, &[("NO_COLOR", "1")]), 0);
        assert!(
            !contains(&output, b"\x1b") && !contains(&output, b"\x07"),
            "{args:?}"
        );
        assert!(!contains(&output, "\u{202e}".as_bytes()), "{args:?}");
    }
}

#[test]
fn exec_says_on_a_terminal_what_it_sets() {
    let world = World::with_store();
    world.add_with("a", secret("a"), &["--env", "A_TOKEN"]);
    let output = ends(vault(&world, &["exec", "--", "true"]), 0);
    assert!(contains(&output, b"A_TOKEN (from a)") && !contains(&output, CANARY.as_bytes()));
    assert!(ends(vault(&world, &["exec", "-q", "--", "true"]), 0).is_empty());
    let script = format!("'{VAULT}' exec -- sh -c 'kill -INT $$'");
    let mut pty = program(&world, "sh", &["-c", &script], &[]);
    let _ = pty.wait();
}
