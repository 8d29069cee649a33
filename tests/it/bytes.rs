//! Every byte of a small store changed, every file cut short: the right value, or a clear refusal; never another value, and
//! never a panic.

use std::fs;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;
use std::path::PathBuf;

use agevault::format::Name;
use agevault::session;
use agevault::session::Source;
use agevault::store::Store;
use agevault::sys::Env;
use agevault::sys::Places;
use agevault::sys::Streams;

use crate::world::World;
use crate::world::secret;

/// What a byte is changed by.
const PATTERNS: [u8; 2] = [0x01, 0xff];

fn furnished(world: World) -> World {
    world.add("a", secret("a"));
    world.add("b/c", secret("b/c"));
    world
}

/// Every file of the store, below it.
fn files(world: &World) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(world.store()).sort_by_file_name();
    let files = walk
        .into_iter()
        .map(Result::unwrap)
        .filter(|item| item.file_type().is_file());
    files
        .map(|item| item.path().strip_prefix(world.store()).unwrap().to_owned())
        .collect()
}

/// The environment of a run in this world, for the library.
fn env_of(world: &World) -> Env {
    Env {
        vars: Vec::new(),
        cwd: world.home(),
        now: jiff::Timestamp::now(),
        terminal: Streams::default(),
        places: Places {
            config: world.home().join(".config/agevault"),
            data: world.home().join(".local/share/agevault"),
            state: world.state(),
            runtime: None,
            home: Some(world.home()),
        },
    }
}

/// What `vault get` does, in this process.
fn get(world: &World, env: &std::sync::Arc<Env>, name: &str) -> Result<Vec<u8>, String> {
    let store =
        Store::open(&world.store(), &world.state(), None).map_err(|error| error.to_string())?;
    let _ = store.settle();
    let source = Source::File(world.identity());
    let keys = session::open_keys(env, &store, &source).map_err(|error| error.to_string())?;
    let entry = store
        .entry(&keys, &Name::parse(name).unwrap())
        .map_err(|error| error.to_string())?;
    Ok(entry.secret.expose().to_vec())
}

fn check(world: &World, env: &std::sync::Arc<Env>, what: &str) {
    for name in ["a", "b/c"] {
        match catch_unwind(AssertUnwindSafe(|| get(world, env, name))) {
            Ok(Ok(value)) => assert!(
                value == secret(name).into_bytes(),
                "{what}: another value of {name}"
            ),
            Ok(Err(why)) => assert!(
                why.len() > 10 && !why.contains(&secret(name)),
                "{what}: {why:?}"
            ),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn flips_every_byte(world: &World) {
    let env = std::sync::Arc::new(env_of(world));
    check(world, &env, "before");
    for file in files(world) {
        let path = world.store().join(&file);
        let bytes = fs::read(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions();
        writable(&path);
        for at in 0..bytes.len() {
            for pattern in PATTERNS {
                let mut changed = bytes.clone();
                changed[at] ^= pattern;
                fs::write(&path, &changed).unwrap();
                check(
                    world,
                    &env,
                    &format!("{} at {at} xor {pattern:#x}", file.display()),
                );
            }
        }
        fs::write(&path, &bytes).unwrap();
        fs::set_permissions(&path, mode).unwrap();
    }
    for name in ["a", "b/c"] {
        assert_eq!(
            world.get(name).unwrap(),
            secret(name).into_bytes(),
            "in the end"
        );
    }
}

/// git's objects are read-only.
fn writable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn every_byte_of_a_git_store_flipped_gives_the_right_value_or_a_refusal() {
    flips_every_byte(&furnished(World::with_store()));
}

#[test]
fn every_byte_of_a_plain_store_flipped_gives_the_right_value_or_a_refusal() {
    flips_every_byte(&furnished(World::with_plain_store()));
}

#[test]
fn every_byte_of_an_entry_matters() {
    let world = furnished(World::with_plain_store());
    let env = std::sync::Arc::new(env_of(&world));
    let path = world.entry("a");
    let bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x01;
        fs::write(&path, &changed).unwrap();
        assert!(
            get(&world, &env, "a").is_err(),
            "byte {at} is not protected"
        );
    }
}

/// What a program may end with when a file is damaged.
const CODES: [i32; 5] = [0, 1, 3, 4, 5];

#[test]
fn a_file_cut_short_emptied_or_gone_is_survived_by_the_program() {
    for world in [
        furnished(World::with_store()),
        furnished(World::with_plain_store()),
    ] {
        for file in files(&world) {
            let path = world.store().join(&file);
            let bytes = fs::read(&path).unwrap();
            let mode = fs::metadata(&path).unwrap().permissions();
            let cut = &bytes[..bytes.len().saturating_sub(1)];
            let longer = [&bytes[..], b"\0"].concat();
            for damaged in [Some(cut), Some(b""), Some(&longer), None] {
                writable(&path);
                match damaged {
                    Some(damaged) => fs::write(&path, damaged).unwrap(),
                    None => fs::remove_file(&path).unwrap(),
                }
                let what = format!("{}: {:?} bytes", file.display(), damaged.map(<[u8]>::len));
                for name in ["a", "b/c"] {
                    let output = world.vault(&["get", name]).run();
                    assert!(CODES.contains(&output.code), "{what}: {output:?}");
                    if output.code == 0 {
                        assert_eq!(output.stdout, secret(name).into_bytes(), "{what}");
                    } else {
                        assert!(
                            output.stdout.is_empty() && output.stderr.starts_with("vault: "),
                            "{what}: {output:?}"
                        );
                    }
                }
                for args in [&["ls"][..], &["show", "a"], &["doctor"], &["status"]] {
                    let output = world.vault(args).run();
                    assert!(
                        [&CODES[..], &[2]].concat().contains(&output.code),
                        "{what}: {output:?}"
                    );
                }
                fs::write(&path, &bytes).unwrap();
                fs::set_permissions(&path, mode.clone()).unwrap();
            }
        }
        for name in ["a", "b/c"] {
            assert_eq!(
                world.get(name).unwrap(),
                secret(name).into_bytes(),
                "in the end"
            );
        }
    }
}

#[test]
fn what_a_device_remembers_may_be_damaged_or_gone() {
    for world in [
        furnished(World::with_store()),
        furnished(World::with_plain_store()),
    ] {
        let walk = walkdir::WalkDir::new(world.state())
            .into_iter()
            .map(Result::unwrap);
        let paths: Vec<_> = walk
            .filter(|item| item.file_type().is_file())
            .map(walkdir::DirEntry::into_path)
            .collect();
        assert!(paths.len() > 3);
        for path in paths {
            let bytes = fs::read(&path).unwrap();
            let mut flipped = bytes.clone();
            for byte in &mut flipped {
                *byte ^= 0xff;
            }
            let half = &bytes[..bytes.len() / 2];
            for damaged in [Some(&flipped[..]), Some(half), Some(b""), None] {
                match damaged {
                    Some(damaged) => fs::write(&path, damaged).unwrap(),
                    None => fs::remove_file(&path).unwrap(),
                }
                let what = format!("{}: {:?} bytes", path.display(), damaged.map(<[u8]>::len));
                for args in [
                    &["get", "a"][..],
                    &["ls", "--flat"],
                    &["show", "a"],
                    &["add", "-f", "probe"],
                ] {
                    let output = world.vault(args).stdin(secret("probe")).run();
                    assert!([0, 1, 5].contains(&output.code), "{what}: {output:?}");
                    if args[0] == "get" && output.code == 0 {
                        assert_eq!(output.stdout, secret("a").into_bytes(), "{what}");
                    }
                }
                fs::write(&path, &bytes).unwrap();
            }
        }
    }
}
