//! Two and more clones of one store, each with a home of its own, and a remote between them.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::world::Output;
use crate::world::World;
use crate::world::secret;
use crate::world::tool;

mod converge;
pub(crate) mod hosts;
mod refused;

/// Clones of one store: each world is a device, all with the same member's identity.
pub(crate) struct Clones {
    pub(crate) devices: Vec<World>,
    remote: tempfile::TempDir,
}

impl Clones {
    /// This many devices, the first of which has made the store; the remote is a folder.
    pub(crate) fn new(count: usize) -> Self {
        let remote = tempfile::tempdir().unwrap();
        let first = World::with_store();
        let bare = ["init", "--quiet", "--bare", "--initial-branch=main"];
        let path = remote.path().join("store.git");
        let args = [&bare[..], &[path.to_str().unwrap()]].concat();
        first.program(tool("git"), &args).run().ok();
        let mut clones = Self {
            devices: vec![first],
            remote,
        };
        let url = clones.url();
        clones.vault(0, &["remote", "add", &url]).ok();
        clones.vault(0, &["sync"]).ok();
        for _ in 1..count {
            let device = clones.device();
            device.vault(&["clone", &url]).run().ok();
            clones.devices.push(device);
        }
        clones
    }

    /// A new home with the identity of the first.
    pub(crate) fn device(&self) -> World {
        let device = World::new();
        let identity = std::fs::read(self.devices[0].identity()).unwrap();
        let path = device.write(".config/agevault/identities", identity);
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
        device
    }

    /// The remote's folder.
    pub(crate) fn path(&self) -> PathBuf {
        self.remote.path().join("store.git")
    }

    /// The remote's address.
    pub(crate) fn url(&self) -> String {
        self.path().to_str().unwrap().to_owned()
    }

    /// `vault` on a device.
    pub(crate) fn vault(&self, device: usize, args: &[&str]) -> Output {
        self.devices[device].vault(args).run()
    }

    /// `vault sync` on a device.
    #[track_caller]
    pub(crate) fn sync(&self, device: usize) -> Output {
        self.vault(device, &["sync"]).ok()
    }

    /// Every device in turn, twice: the second time brings the earlier ones what the later ones had.
    #[track_caller]
    pub(crate) fn sync_all(&self) {
        for _ in 0..2 {
            for device in 0..self.devices.len() {
                self.sync(device);
            }
        }
    }

    /// git in the remote.
    #[track_caller]
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let device = &self.devices[0];
        let run = device.program(tool("git"), args).cwd(&self.path()).run();
        run.ok().text()
    }
}

/// W-120, W-121, W-123.
#[test]
fn changes_of_two_devices_meet_without_a_conflict() {
    let clones = Clones::new(2);
    let [a, b] = &clones.devices[..] else {
        panic!("two devices");
    };
    a.add_with("x", secret("x"), &["--tag", "work", "--scope", "repo"]);
    clones.sync(0);
    clones.sync(1);
    a.vault(&["tag", "x", "--tag", "home"]).run().ok();
    b.vault(&["tag", "x", "--description", "of b"]).run().ok();
    b.add("y", secret("y"));
    clones.sync_all();
    for device in [a, b] {
        assert_eq!(device.get("x").unwrap(), secret("x").into_bytes());
        assert_eq!(device.names(), ["x", "y"]);
        let shown = device.vault(&["show", "x"]).run().ok().text();
        assert!(shown.contains("home") && shown.contains("of b"), "{shown}");
        assert_eq!(device.git(&["status", "--porcelain"]), "");
        device.vault(&["doctor"]).run().ok();
    }
    assert_eq!(a.git(&["rev-parse", "HEAD"]), b.git(&["rev-parse", "HEAD"]));
}

/// W-122.
#[test]
fn of_two_secrets_the_later_one_keeps_the_name() {
    let clones = Clones::new(2);
    let [a, b] = &clones.devices[..] else {
        panic!("two devices");
    };
    a.add("x", secret("old"));
    clones.sync_all();
    a.add("x", secret("of a"));
    // Times have whole seconds: the revision tells the two apart where the time does not.
    b.add("x", secret("first of b"));
    b.add("x", secret("of b"));
    clones.sync(0);
    let said = clones.sync(1).text();
    assert!(said.contains("! kept"), "{said}");
    clones.sync(0);
    for device in [a, b] {
        let names = device.names();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(names[1].starts_with("x.conflict-"), "{names:?}");
        assert_eq!(device.get("x").unwrap(), secret("of b").into_bytes());
        assert_eq!(device.get(&names[1]).unwrap(), secret("of a").into_bytes());
    }
}

#[test]
fn a_change_outlives_a_removal_and_follows_a_renaming() {
    let clones = Clones::new(2);
    let [a, b] = &clones.devices[..] else {
        panic!("two devices");
    };
    for name in ["edited", "moved", "gone"] {
        a.add(name, secret(name));
    }
    clones.sync_all();
    a.vault(&["rm", "-f", "edited", "gone"]).run().ok();
    a.vault(&["mv", "moved", "renamed"]).run().ok();
    b.add("edited", secret("anew"));
    b.vault(&["tag", "moved", "--tag", "of b"]).run().ok();
    clones.sync_all();
    for device in [a, b] {
        assert_eq!(device.names(), ["edited", "renamed"]);
        assert_eq!(device.get("edited").unwrap(), secret("anew").into_bytes());
        let shown = device.vault(&["show", "renamed"]).run().ok().text();
        assert!(shown.contains("of b"), "{shown}");
    }
}

#[test]
fn a_name_that_another_device_removed_can_be_given_again() {
    let clones = Clones::new(3);
    for round in ["one", "two", "three"] {
        clones.devices[0].add("x", secret(round));
        clones.sync(0);
    }
    clones.vault(0, &["rm", "-f", "x"]).ok();
    clones.sync(0);
    clones.sync(1);
    clones.devices[1].add("x", secret("again"));
    clones.sync_all();
    for device in &clones.devices {
        assert_eq!(device.get("x").unwrap(), secret("again").into_bytes());
    }
}

/// W-124.
#[test]
fn names_that_differ_in_case_come_together() {
    let clones = Clones::new(2);
    clones.devices[0].add("GitHub/x", secret("x"));
    clones.devices[1].add("github/y", secret("y"));
    clones.devices[1].add("github/X", secret("other x"));
    clones.sync_all();
    for device in &clones.devices {
        let names = device.names();
        assert_eq!(names.len(), 3, "{names:?}");
        let folder = names[0].split('/').next().unwrap();
        assert!(
            names.iter().all(|name| name.starts_with(folder)),
            "{names:?}"
        );
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let clones = Clones::new(2);
    clones.devices[0].add("x", secret("x"));
    clones.sync(0);
    clones.devices[1].add("y", secret("y"));
    let before = clones.devices[1].git(&["rev-parse", "HEAD"]);
    let said = clones.vault(1, &["sync", "--dry-run", "--json"]).ok();
    let said: serde_json::Value = serde_json::from_str(&said.text()).unwrap();
    assert_eq!(said["commits_in"], 1);
    assert_eq!(said["commits_out"], 1);
    assert_eq!(said["came"][0]["name"], "x");
    assert_eq!(said["went"][0]["name"], "y");
    assert_eq!(clones.devices[1].git(&["rev-parse", "HEAD"]), before);
    assert_eq!(clones.devices[1].get("x"), None);
}

#[test]
fn a_commit_made_by_hand_is_shown_and_adopted() {
    let clones = Clones::new(2);
    let [a, b] = &clones.devices[..] else {
        panic!("two devices");
    };
    a.add("x", secret("x"));
    a.add("y", secret("y"));
    clones.sync_all();
    // By hand at the remote, through device b.
    b.git(&["mv", "x.age", "z.age"]);
    b.write(".local/share/agevault/store/README.md", "by hand");
    b.git(&["add", "README.md"]);
    b.git(&["commit", "--quiet", "--message=by hand"]);
    b.git(&["push", "--quiet", &clones.url(), "HEAD:main"]);
    let head = b.git(&["rev-parse", "HEAD"]).trim().to_owned();
    clones.vault(0, &["sync"]).fails_with(5).says("(seal)");
    let shown = clones.vault(0, &["accept"]).ok().text();
    assert!(shown.contains("by hand") && shown.contains("left out"));
    clones.vault(0, &["accept", &"0".repeat(40)]).fails_with(1);
    clones.vault(0, &["accept", &head]).ok();
    assert_eq!(a.names(), ["y", "z"]);
    clones.sync(0);
    // The one who made it adopts it too, from his own branch.
    clones.vault(1, &["accept", &head]).ok();
    clones.sync_all();
    for device in [a, b] {
        assert_eq!(device.names(), ["y", "z"]);
        assert_eq!(device.get("z").unwrap(), secret("x").into_bytes());
    }
}

/// What this device has not pushed yet is merged with what was made by hand, and looking changes nothing.
#[test]
fn adopting_what_was_made_by_hand_keeps_what_is_not_pushed() {
    let clones = Clones::new(2);
    let [a, b] = &clones.devices[..] else {
        panic!("two devices");
    };
    a.add("x", secret("x"));
    clones.sync_all();
    // A sealed value of the other device, in a commit that has lost its seal.
    b.add("x", secret("by hand"));
    b.git(&["commit", "--quiet", "--amend", "--message=by hand"]);
    b.git(&["push", "--quiet", &clones.url(), "HEAD:main"]);
    let head = b.git(&["rev-parse", "HEAD"]).trim().to_owned();
    a.add("x", secret("not pushed"));
    let before = a.git(&["rev-parse", "HEAD"]);
    let shown = clones.vault(0, &["accept"]).ok().text();
    assert!(shown.contains("both are merged"), "{shown}");
    assert_eq!(a.git(&["rev-parse", "HEAD"]), before);
    clones.vault(0, &["accept", &head]).ok();
    let names = a.names();
    assert_eq!(names.len(), 2, "{names:?}");
    let values: Vec<_> = names.iter().map(|name| a.get(name).unwrap()).collect();
    for word in ["by hand", "not pushed"] {
        assert!(values.contains(&secret(word).into_bytes()), "{word}");
    }
    clones.sync(0);
}

/// Another device's push wins while this one is pushing.
#[test]
fn a_push_that_loses_a_race_is_merged_and_tried_again() {
    let clones = Clones::new(2);
    let [a, b] = &clones.devices[..] else {
        panic!("two devices");
    };
    b.add("theirs", secret("theirs"));
    let hidden = ["push", "--quiet", &clones.url(), "HEAD:refs/heads/hidden"];
    b.git(&hidden);
    let (winner, old) = (
        clones.git(&["rev-parse", "hidden"]).trim().to_owned(),
        clones.git(&["rev-parse", "main"]).trim().to_owned(),
    );
    let hook = clones.path().join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    // Once: the other's push is there first.
    let script = format!(
        "#!/bin/sh\nrm -- \"$0\"\nunset GIT_QUARANTINE_PATH\ngit update-ref refs/heads/main {winner} {old}\n"
    );
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, PermissionsExt::from_mode(0o755)).unwrap();
    a.add("ours", secret("ours"));
    clones.sync(0);
    assert!(!hook.exists(), "nobody was first");
    assert_eq!(a.names(), ["ours", "theirs"]);
    assert_eq!(
        clones.git(&["rev-parse", "main"]),
        a.git(&["rev-parse", "HEAD"])
    );
}

#[test]
fn a_plain_pull_is_noticed_and_followed() {
    let clones = Clones::new(2);
    clones.devices[0].add("x", secret("x"));
    clones.sync(0);
    clones.devices[1].git(&["pull", "--quiet", "--ff-only", &clones.url(), "main"]);
    assert_eq!(
        clones.devices[1].get("x").unwrap(),
        secret("x").into_bytes()
    );
    clones.sync(1);
    // git gives its files the usual mode.
    clones.vault(1, &["doctor", "--repair"]).ok();
}

#[test]
fn remotes_are_named_and_forgotten() {
    let world = World::with_store();
    let fails = |args: &[&str], code| world.vault(args).run().fails_with(code);
    let _ = fails(&["sync"], 1).says("no remote");
    let _ = fails(&["remote", "add", "ext::sh -c x"], 1).says("no address");
    let _ = fails(&["remote", "add", "https://me:token@host/x"], 2).says("password");
    let inside = world.store().join("planted");
    let _ = fails(&["remote", "add", "a b", "https://host/x"], 2);
    world
        .vault(&["remote", "add", "usb", "/nowhere"])
        .run()
        .ok();
    let _ = fails(&["sync"], 1);
    let shown = world.vault(&["remote", "show"]).run().ok().text();
    assert_eq!(shown, "usb\t/nowhere\n");
    world.vault(&["remote", "remove", "/nowhere"]).run().ok();
    world
        .vault(&["remote", "add", inside.to_str().unwrap()])
        .run()
        .ok();
    let _ = fails(&["sync"], 5);
}

#[test]
fn copies_of_file_sync_tools_are_merged() {
    for world in [World::with_store(), World::with_plain_store()] {
        let copy = |from: &str, to: &str| {
            std::fs::copy(world.entry(from), world.entry(to)).unwrap();
        };
        world.add_with("f/x", secret("one"), &["--tag", "work"]);
        let before = std::fs::read(world.entry("f/x")).unwrap();
        world.add("f/x", secret("of the other"));
        copy("f/x", "f/x.sync-conflict-20261122-191200-ABCDEF1");
        std::fs::write(world.entry("f/x"), before).unwrap();
        let is_git = world.store().join(".git").exists();
        if is_git {
            world.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
        }
        // The state remembers the other's revision: as another device it would not.
        std::fs::remove_dir_all(world.state()).unwrap();
        world.vault(&["status"]).run().ok();
        world.add("f/x", secret("of this one"));
        world
            .vault(&["doctor"])
            .run()
            .fails_with(if is_git { 1 } else { 5 });
        let said = world.vault(&["doctor", "--repair"]).run().ok().text();
        assert!(said.contains("merged into \"f/x\""), "{said}");
        let names = world.names();
        assert_eq!(names.len(), 2, "{names:?}");
        let mut values = names.iter().map(|name| world.get(name).unwrap());
        let values: Vec<Vec<u8>> = values.by_ref().collect();
        for word in ["of this one", "of the other"] {
            assert!(values.contains(&secret(word).into_bytes()), "{word}");
        }
        world.vault(&["doctor"]).run().ok();
    }
}
