//! `vault exec`: what the program gets, byte for byte (W-051), and every way in which it gets nothing.

use std::os::unix::ffi::OsStrExt;

use crate::world::CANARY;
use crate::world::Output;
use crate::world::VAULT;
use crate::world::World;
use crate::world::contains;
use crate::world::secret;
use crate::world::tool;

/// A store with entries for variables.
fn world() -> World {
    let world = World::with_store();
    world.add_with(
        "github/ci",
        secret("github"),
        &["--env", "GITHUB_TOKEN", "--scope", "repo"],
    );
    world.add_with(
        "npm/publish",
        secret("npm"),
        &["--env", "NPM_TOKEN", "--profile", "release"],
    );
    world.add("bare", secret("bare"));
    world
}

fn exec(world: &World, args: &[&str]) -> Output {
    world.vault(&[&["exec"], args].concat()).run()
}

/// The environment that the program got, as `env -0` prints it, by key.
fn environment(output: &Output) -> std::collections::BTreeMap<Vec<u8>, Vec<u8>> {
    let pairs = output
        .stdout
        .split(|byte| *byte == 0)
        .filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=').unwrap();
        (pair[..at].to_vec(), pair[at + 1..].to_vec())
    });
    pairs.collect()
}

#[test]
fn the_exit_code_is_the_programs_own() {
    let world = world();
    for code in [0, 1, 7, 255] {
        let script = format!("exit {code}");
        let _ = exec(&world, &["--", "sh", "-c", &script]).fails_with(code);
    }
    let _ = exec(&world, &["--", "no-such-program"])
        .fails_with(127)
        .says("no-such-program");
    let _ = exec(&world, &["--", "./no-such-file"]).fails_with(127);
    let plain = world.write("plain", "text");
    let _ = exec(&world, &["--", plain.to_str().unwrap()])
        .fails_with(126)
        .says("plain");
    let _ = exec(&world, &["--", "/"]).fails_with(126);
}

#[test]
fn a_signal_is_the_programs_own() {
    let world = world();
    let _ = exec(&world, &["--", "sh", "-c", "kill -TERM $$"]).fails_with(143);
    let script = format!("'{VAULT}' exec -- sh -c 'kill -KILL $$'; echo $?");
    let seen = world.program("sh", &["-c", &script]).run().ok();
    assert_eq!(seen.text(), "137\n");
}

#[test]
fn vault_is_replaced_by_the_program() {
    let world = world();
    let script = format!("echo $$; exec '{VAULT}' exec -- sh -c 'echo $$'");
    let seen = world.program("sh", &["-c", &script]).run().ok().text();
    let pids: Vec<_> = seen.lines().collect();
    assert_eq!(pids.len(), 2);
    assert_eq!(pids[0], pids[1]);
}

#[test]
fn selections_choose_what_they_say() {
    let world = world();
    world.add_with(
        "work/one",
        secret("one"),
        &["--env", "ONE", "--profile", "release", "--scope", "repo"],
    );
    let rows: [(&[&str], &[&str]); 10] = [
        (&[], &["GITHUB_TOKEN"]),
        (&["-e", "npm/publish"], &["NPM_TOKEN"]),
        (&["-e", "TOKEN=bare"], &["TOKEN"]),
        (&["-e", "A=bare", "-e", "B=bare"], &["A", "B"]),
        (&["-e", "bare=bare"], &["bare"]),
        (&["--profile", "release"], &["NPM_TOKEN", "ONE"]),
        (&["--profile", "release", "--under", "work"], &["ONE"]),
        (&["--scope", "repo"], &["GITHUB_TOKEN", "ONE"]),
        (
            &["--under", "github", "-e", "A=bare"],
            &["A", "GITHUB_TOKEN"],
        ),
        (
            &["--profile", "default", "--profile", "release"],
            &["GITHUB_TOKEN", "NPM_TOKEN", "ONE"],
        ),
    ];
    for (flags, variables) in rows {
        let args = [&["--pristine"], flags, &["--", "/usr/bin/env", "-0"]].concat();
        let seen = environment(&exec(&world, &args).ok());
        let seen: Vec<_> = seen
            .keys()
            .map(|key| String::from_utf8_lossy(key).into_owned())
            .collect();
        assert_eq!(seen, variables, "{flags:?}");
    }
}

#[test]
fn values_reach_the_program_byte_for_byte() {
    let world = World::with_store();
    let values: [(&[u8], &[u8]); 9] = [
        (b"plain", b"plain"),
        (b"one line feed\n", b"one line feed"),
        (b"two\n\n", b"two\n"),
        (b"crlf\r\n", b"crlf\r"),
        (b"", b""),
        (b"\n", b""),
        (b"several\nlines\nof text", b"several\nlines\nof text"),
        (b"\xff\xfe not text \x80\n", b"\xff\xfe not text \x80"),
        (
            b"  $HOME `id` 'q' \"d\" \\ =  ",
            b"  $HOME `id` 'q' \"d\" \\ =  ",
        ),
    ];
    for (number, (value, _)) in values.iter().enumerate() {
        world.add_with(
            &format!("v{number}"),
            value,
            &["--env", &format!("V{number}")],
        );
    }
    let seen = environment(&exec(&world, &["--pristine", "--", "/usr/bin/env", "-0"]).ok());
    assert_eq!(seen.len(), values.len());
    for (number, (_, expected)) in values.iter().enumerate() {
        assert_eq!(seen[format!("V{number}").as_bytes()], *expected, "{number}");
    }
}

#[test]
fn the_environment_is_kept_but_for_what_unlocks() {
    let mut world = world();
    let key = std::fs::read_to_string(world.identity()).unwrap();
    let key = key
        .lines()
        .find(|line| line.starts_with("AGE-SECRET-KEY-"))
        .unwrap()
        .to_owned();
    let odd = std::ffi::OsStr::from_bytes(b"\xff odd");
    world.set("ODD", odd);
    world.set("EMPTY", "");
    world.set("GITHUB_TOKEN", "stale");
    world.set("AGEVAULT_KEY", &key);
    world.set("AGEVAULT_PASSPHRASE_CMD", "echo never");
    let output = exec(&world, &["--", "/usr/bin/env", "-0"]).ok();
    let seen = environment(&output);
    let mut expected: std::collections::BTreeMap<Vec<u8>, Vec<u8>> = world
        .vars()
        .iter()
        .map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec()))
        .filter(|(key, _)| key != b"AGEVAULT_KEY" && key != b"AGEVAULT_PASSPHRASE_CMD")
        .collect();
    expected.insert(b"GITHUB_TOKEN".to_vec(), secret("github").into_bytes());
    assert_eq!(seen, expected);
    let keys = output
        .stdout
        .split(|byte| *byte == 0)
        .filter(|pair| pair.starts_with(b"GITHUB_TOKEN="));
    assert_eq!(keys.count(), 1);
    assert!(!contains(&output.stdout, key.as_bytes()));
}

#[test]
fn the_plan_names_variables_and_never_values() {
    let world = world();
    let plan = exec(&world, &["-n"]).ok();
    assert_eq!(plan.text(), "GITHUB_TOKEN <- github/ci\n");
    let touched = world.home().join("touched");
    let plan = exec(
        &world,
        &[
            "-n",
            "-e",
            "X=bare",
            "--json",
            "--",
            "touch",
            touched.to_str().unwrap(),
        ],
    )
    .ok();
    assert!(!touched.exists());
    assert!(!contains(&plan.stdout, CANARY.as_bytes()));
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert!(plan.to_string().contains("\"bare\""), "{plan}");
}

#[test]
fn every_refusal_is_125_names_the_entry_and_starts_nothing() {
    let world = world();
    world.add_with(
        "old",
        secret("old"),
        &[
            "--expires",
            "2020-01-01",
            "--env",
            "OLD",
            "--profile",
            "aged",
        ],
    );
    world.add_with(
        "twin",
        secret("twin"),
        &["--env", "GITHUB_TOKEN", "--profile", "twins"],
    );
    world.add_with(
        "zero",
        format!("{CANARY}\0x"),
        &["--env", "NUL_VALUE", "--profile", "nul"],
    );
    let touched = world.home().join("touched");
    let rows: [(&[&str], &str); 18] = [
        (&["-e", "old"], "old"),
        (&["--profile", "aged"], "old"),
        (&["-e", "github/ci", "-e", "twin"], "twin"),
        (&["-e", "PATH=bare"], "bare"),
        (&["-e", "LD_PRELOAD=bare"], "LD_PRELOAD"),
        (&["-e", "DYLD_INSERT_LIBRARIES=bare"], "bare"),
        (&["-e", "BASH_ENV=bare"], "bare"),
        (&["-e", "NODE_OPTIONS=bare"], "bare"),
        (&["-e", "GIT_SSH_COMMAND=bare"], "bare"),
        (&["-e", "zero"], "zero"),
        (&["-e", "absent"], "absent"),
        (&["-e", "X=absent"], "absent"),
        (&["-e", "bare"], "bare"),
        (&["--profile", "unknown"], "no entry is selected"),
        (&["--under", "nowhere"], "no entry is selected"),
        (&["-e", "a/../b"], "a/../b"),
        (&["--no-such-flag"], "no-such-flag"),
        (&["-e", "nowhere:bare"], "nowhere"),
    ];
    for (flags, word) in rows {
        let args = [flags, &["--", "touch", touched.to_str().unwrap()]].concat();
        let _ = exec(&world, &args).fails_with(125).says(word);
        assert!(!touched.exists(), "{flags:?}");
    }
    let _ = exec(&world, &[]).fails_with(125);
    let _ = exec(&world, &["--"]).fails_with(125);
    let _ = world
        .vault(&["run", "--no-such-flag"])
        .run()
        .fails_with(125);
    let _ = world.vault(&["x", "--no-such-flag"]).run().fails_with(125);
    let before = ["--store", "./nowhere", "exec", "--", "touch", "x"];
    let _ = world.vault(&before).run().fails_with(125);
    let _ = world
        .vault(&["--store", "./nowhere", "exec", "--no-such-flag"])
        .run()
        .fails_with(125);
    let locked = world
        .vault(&["exec", "--", "true"])
        .env("AGEVAULT_IDENTITY", "/nowhere")
        .run();
    let _ = locked.fails_with(125).says("/nowhere");
}

#[test]
fn expired_entries_are_never_skipped_in_silence() {
    let world = world();
    world.add_with(
        "old",
        secret("old"),
        &["--expires", "2020-01-01", "--env", "OLD"],
    );
    let _ = exec(&world, &["--", "true"])
        .fails_with(125)
        .says("\"old\"");
    let skipped = exec(
        &world,
        &["--skip-expired", "-q", "--", "/usr/bin/env", "-0"],
    )
    .ok()
    .says("\"old\"");
    assert!(!environment(&skipped).contains_key(&b"OLD"[..]));
    let allowed = exec(
        &world,
        &["--allow-expired", "-q", "--", "/usr/bin/env", "-0"],
    )
    .ok()
    .says("\"old\"");
    assert_eq!(
        environment(&allowed)[&b"OLD"[..]],
        secret("old").into_bytes()
    );
    let _ = world.vault(&["get", "old"]).run().fails_with(6).says("old");
    assert_eq!(
        world
            .vault(&["get", "--allow-expired", "old"])
            .run()
            .ok()
            .text(),
        secret("old")
    );
}

#[test]
fn the_same_entry_twice_is_set_once() {
    let world = world();
    let args = [
        "--pristine",
        "-e",
        "github/ci",
        "--profile",
        "default",
        "--",
        "/usr/bin/env",
        "-0",
    ];
    let seen = exec(&world, &args).ok();
    assert_eq!(environment(&seen).len(), 1);
}

#[test]
fn limits_are_given_back() {
    let world = world();
    let script =
        format!("ulimit -S -c 7; exec '{VAULT}' exec -- sh -c 'ulimit -S -c; ulimit -H -c'");
    let hard = world
        .program("sh", &["-c", "ulimit -H -c"])
        .run()
        .ok()
        .text();
    let seen = world.program("sh", &["-c", &script]).run().ok().text();
    assert_eq!(seen, format!("7\n{hard}"));
}

#[test]
fn streams_and_folder_are_the_programs_own() {
    let world = world();
    let folder = world.home().join("tmp");
    let run = world
        .vault(&["exec", "--", "sh", "-c", "pwd; cat; echo talk >&2"])
        .cwd(&folder);
    let seen = run.stdin("typed").run().ok();
    assert_eq!(seen.text(), format!("{}\ntyped", folder.display()));
    assert_eq!(seen.stderr, "talk\n");
}

#[test]
fn no_secret_is_an_argument_of_anything() {
    let world = world();
    let log = world.home().join("log");
    let script = "tr '\\0' ' ' < /proc/$$/cmdline; true";
    let args = [
        "-f",
        "-qq",
        "-v",
        "-s",
        "100000",
        "-e",
        "trace=execve",
        "-o",
        log.to_str().unwrap(),
        "--",
        VAULT,
    ];
    for command in [
        &["exec", "--", "sh", "-c", script][..],
        &["add", "-f", "bare"],
        &["get", "bare"],
        &["show", "bare"],
    ] {
        let run = world.program(tool("strace"), &[&args[..], command].concat());
        let seen = run.stdin(secret("bare")).run().ok();
        assert!(command[0] == "get" || !contains(&seen.stdout, CANARY.as_bytes()));
        let trace = std::fs::read_to_string(&log).unwrap();
        assert!(trace.contains("execve("), "{trace}");
        for line in trace.lines().filter(|line| line.contains(CANARY)) {
            // The program, and what it starts, has it in the environment; vault itself never.
            let (argv, environment) = line.split_once("], [").unwrap();
            assert!(
                !argv.contains(CANARY) && !argv.contains("bin/vault"),
                "{line}"
            );
            assert!(
                environment.contains("GITHUB_TOKEN=") && command[0] == "exec",
                "{line}"
            );
        }
        std::fs::remove_file(&log).unwrap();
    }
}
