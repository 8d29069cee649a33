//! Every kind of identity opens the store, and whoever has none is told so at once.

use std::fs;

use crate::world::Output;
use crate::world::World;
use crate::world::secret;
use crate::world::tool;

/// A store made with these flags and variables, and one entry.
fn founded(flags: &[&str], vars: &[(&str, &str)]) -> World {
    let mut world = World::new();
    for (key, value) in vars {
        world.set(*key, *value);
    }
    let _ = world
        .vault(&[&["init", "--no-recovery"], flags].concat())
        .run()
        .ok();
    world.add("a", secret("a"));
    world
}

fn key_in(file: &str) -> String {
    file.lines()
        .find(|line| line.starts_with("AGE-SECRET-KEY-1"))
        .unwrap()
        .to_owned()
}

/// Locked: exit code 4, nothing on stdout, and a word of why.
#[track_caller]
fn locked(output: Output, word: &str) {
    let output = output.fails_with(4).says(word);
    assert!(output.stdout.is_empty());
}

#[test]
fn a_passphrase_comes_from_a_program() {
    let world = founded(&[], &[("AGEVAULT_PASSPHRASE_CMD", "printf correct-horse")]);
    let file = fs::read(world.identity()).unwrap();
    let text = String::from_utf8_lossy(&file);
    let is_armored = text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----");
    assert!(
        is_armored || text.starts_with("age-encryption.org/v1\n"),
        "{text}"
    );
    if !is_armored {
        let stanza = text.lines().nth(1).unwrap();
        assert!(
            stanza.starts_with("-> scrypt ") && stanza.ends_with(" 18"),
            "{stanza}"
        );
    }
    assert_eq!(world.get("a").unwrap(), secret("a").into_bytes());
    let with = |command: &str| {
        world
            .vault(&["get", "a"])
            .env("AGEVAULT_PASSPHRASE_CMD", command)
            .run()
    };
    assert_eq!(with("echo correct-horse").ok().text(), secret("a"));
    locked(with("printf wrong"), "passphrase");
    locked(with("false"), "AGEVAULT_PASSPHRASE_CMD failed");
    locked(with("exit 3"), "exit status: 3");
    locked(with(""), "no terminal");
    locked(
        world
            .vault(&["get", "a"])
            .env("AGEVAULT_PASSPHRASE_CMD", "")
            .env("AGEVAULT_NON_INTERACTIVE", "1")
            .run(),
        "terminal",
    );
}

#[test]
fn the_cost_of_a_passphrase_is_fixed() {
    let world = founded(&[], &[("AGEVAULT_PASSPHRASE_CMD", "printf correct-horse")]);
    let file = fs::read(world.identity()).unwrap();
    let bytes = if file.starts_with(b"-----BEGIN") {
        use base64::Engine;
        let text = String::from_utf8(file).unwrap();
        let body: String = text
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .collect();
        base64::engine::general_purpose::STANDARD
            .decode(body)
            .unwrap()
    } else {
        file
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let stanza = text.lines().nth(1).unwrap();
    assert!(
        stanza.starts_with("-> scrypt ") && stanza.ends_with(" 18"),
        "{stanza}"
    );
}

#[test]
fn a_plain_identity_file_opens() {
    let world = World::with_store();
    world.add("a", secret("a"));
    let moved = world.home().join("elsewhere");
    fs::rename(world.identity(), &moved).unwrap();
    locked(world.vault(&["get", "a"]).run(), "identities");
    let with = |path: &str| {
        world
            .vault(&["get", "a"])
            .env("AGEVAULT_IDENTITY", path)
            .run()
    };
    assert_eq!(with(moved.to_str().unwrap()).ok().text(), secret("a"));
    assert_eq!(with("~/elsewhere").ok().text(), secret("a"));
    assert_eq!(with("elsewhere").ok().text(), secret("a"));
}

#[test]
fn an_identity_that_is_there_is_used_and_never_overwritten() {
    let world = World::new();
    let identity = world.write(".config/agevault/identities", {
        world
            .program(tool("age-keygen"), &[] as &[&str])
            .run()
            .ok()
            .stdout
    });
    let before = fs::read(&identity).unwrap();
    let _ = world.vault(&["init", "--no-recovery"]).run().ok();
    assert_eq!(fs::read(&identity).unwrap(), before);
    world.add("a", secret("a"));
    assert_eq!(world.get("a").unwrap(), secret("a").into_bytes());
    let _ = world
        .vault(&["init", "--no-recovery"])
        .run()
        .fails_with(1)
        .says("already");
    assert_eq!(world.get("a").unwrap(), secret("a").into_bytes());
}

#[test]
fn the_key_itself_comes_from_a_variable() {
    let world = World::with_store();
    world.add("a", secret("a"));
    let key = key_in(&fs::read_to_string(world.identity()).unwrap());
    fs::remove_file(world.identity()).unwrap();
    let with = |key: &str| world.vault(&["get", "a"]).env("AGEVAULT_KEY", key).run();
    assert_eq!(with(&key).ok().text(), secret("a"));
    assert_eq!(with(&format!("{key}\n")).ok().text(), secret("a"));
    locked(with("AGE-SECRET-KEY-1NONSENSE"), "AGEVAULT_KEY");
    let other = world
        .program(tool("age-keygen"), &[] as &[&str])
        .run()
        .ok()
        .text();
    locked(with(&key_in(&other)), "AGEVAULT_KEY");
    assert!(!with("AGE-SECRET-KEY-1NONSENSE").stderr.contains("NONSENSE"));
}

#[test]
fn another_identity_opens_nothing() {
    let (world, other) = (World::with_store(), World::with_store());
    world.add("a", secret("a"));
    let with = world
        .vault(&["get", "a"])
        .env("AGEVAULT_IDENTITY", other.identity());
    locked(with.run(), "opens none of the store's key files");
    let add = world
        .vault(&["add", "b"])
        .env("AGEVAULT_IDENTITY", other.identity());
    locked(add.stdin(secret("b")).run(), "key files");
}

#[test]
fn a_recovery_key_opens() {
    let world = World::new();
    let init = world.vault(&["init", "--no-passphrase"]).run().ok();
    world.add("a", secret("a"));
    fs::remove_file(world.identity()).unwrap();
    let get = world
        .vault(&["get", "a"])
        .env("AGEVAULT_KEY", init.text().trim())
        .run();
    assert_eq!(get.ok().text(), secret("a"));
    assert!(!init.stderr.contains("AGE-SECRET-KEY"));
}

/// An SSH key made by the real `ssh-keygen`.
fn ssh_key(world: &World, name: &str, flags: &[&str], passphrase: &str) -> String {
    let path = world.home().join(name);
    let path = path.to_str().unwrap().to_owned();
    let common = ["-q", "-N", passphrase, "-C", "test", "-f", &path];
    let _ = world
        .program(tool("ssh-keygen"), &[flags, &common].concat())
        .run()
        .ok();
    path
}

#[test]
fn ssh_keys_open() {
    for flags in [
        &["-t", "ed25519"][..],
        &["-t", "rsa", "-b", "3072"],
        &["-t", "rsa", "-b", "4096"],
    ] {
        for passphrase in ["", "correct horse"] {
            let mut world = World::new();
            let path = ssh_key(&world, "id", flags, passphrase);
            if !passphrase.is_empty() {
                world.set("AGEVAULT_PASSPHRASE_CMD", "echo 'correct horse'");
            }
            let _ = world
                .vault(&["init", "--no-recovery", "--identity", &path])
                .run()
                .ok();
            world.set("AGEVAULT_IDENTITY", &path);
            world.add("a", secret("a"));
            assert_eq!(
                world.get("a").unwrap(),
                secret("a").into_bytes(),
                "{flags:?}"
            );
            if passphrase.is_empty() {
                continue;
            }
            let with = |command: &str| {
                world
                    .vault(&["get", "a"])
                    .env("AGEVAULT_PASSPHRASE_CMD", command)
                    .run()
            };
            locked(with("echo wrong"), "passphrase");
            locked(with(""), "passphrase");
        }
    }
}

#[test]
fn ssh_keys_that_are_too_weak_are_refused() {
    let world = World::new();
    for (name, flags) in [
        ("small", &["-t", "rsa", "-b", "2048"][..]),
        ("ecdsa", &["-t", "ecdsa"]),
    ] {
        let path = ssh_key(&world, name, flags, "");
        let output = world
            .vault(&["init", "--no-recovery", "--identity", &path])
            .run();
        assert!(output.code == 1 || output.code == 4, "{output:?}");
        assert!(!world.store().exists());
    }
}

#[test]
fn without_a_terminal_a_passphrase_is_not_waited_for() {
    let world = World::new();
    let init = world.vault(&["init", "--no-recovery"]).run();
    locked(init, "--no-passphrase");
    assert!(!world.store().exists() && !world.identity().exists());
}

#[test]
fn an_identity_file_of_absurd_size_is_refused() {
    let world = World::with_store();
    world.add("a", secret("a"));
    let large = world.write("large", vec![b'#'; (1 << 20) + 1]);
    let output = world
        .vault(&["get", "a"])
        .env("AGEVAULT_IDENTITY", large)
        .run();
    assert!(matches!(output.code, 1 | 4), "{output:?}");
    let output = world
        .vault(&["get", "a"])
        .env("AGEVAULT_IDENTITY", "/dev/zero")
        .run();
    assert!(matches!(output.code, 1 | 4), "{output:?}");
    let output = world
        .vault(&["get", "a"])
        .env("AGEVAULT_IDENTITY", world.home())
        .run();
    assert!(matches!(output.code, 1 | 4), "{output:?}");
}
