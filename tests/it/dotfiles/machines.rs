//! Dotfiles on two machines: each a home of its own, with real git over real ssh between them.

use std::fs;

use super::dot;
use super::mode;
use super::set_mode;
use super::status;
use super::tree;
use crate::sync::Clones;
use crate::sync::hosts::configure;
use crate::sync::hosts::ssh_server;
use crate::world::World;
use crate::world::secret;

/// The way of the README: clone, let in, sync, apply.
#[test]
fn a_new_machine_gets_its_files_over_ssh() {
    let server = ssh_server();
    let clones = Clones::new(1);
    let old = &clones.devices[0];
    let config = server.folder.path().join("config");
    let settings = format!("[core]\n\tsshCommand = ssh -F {}\n", config.display());
    let url = format!("ssh://store{}", clones.path().display());
    configure(old, &settings);
    old.vault(&["remote", "add", &url]).run().ok();
    old.add("npm/publish", secret("npm"));
    old.write(
        ".npmrc",
        "//example.org/:_authToken=agevault://npm/publish\n",
    );
    old.allow(old.home().join(".npmrc"));
    fs::create_dir_all(old.home().join(".config/gh")).unwrap();
    let hosts = old.write(".config/gh/hosts.yml", secret("gh"));
    set_mode(&hosts, 0o640);
    old.allow(&hosts);
    dot(old, &["add", ".npmrc", ".config/gh"]).ok();
    dot(old, &["apply"]).ok();
    old.vault(&["sync"]).run().ok();

    let new = World::new();
    configure(&new, &settings);
    for file in [".npmrc", ".config/gh/hosts.yml"] {
        new.allow(new.home().join(file));
    }
    let key = new.vault(&["clone", &url, "--no-passphrase"]).run().text();
    old.vault(&["members", "add", "new", key.trim()]).run().ok();
    old.vault(&["sync"]).run().ok();
    // The sync puts nothing in place by itself, and says what it would be.
    let said = new.vault(&["sync"]).run().ok().stderr;
    assert!(
        said.contains("~/.npmrc") && said.contains("vault dotfiles apply"),
        "{said}"
    );
    assert!(!new.home().join(".npmrc").exists());
    dot(&new, &["apply"]).ok();
    let npmrc = |world: &World| fs::read_to_string(world.home().join(".npmrc")).unwrap();
    assert_eq!(
        npmrc(&new),
        format!("//example.org/:_authToken={}\n", secret("npm"))
    );
    assert_eq!(
        tree(&new.home().join(".config/gh")),
        tree(&old.home().join(".config/gh"))
    );
    assert_eq!(mode(&new.home().join(".config/gh/hosts.yml")), 0o640);
    assert!(status(&new).is_empty());

    // A change on either side goes to the other; with --apply at once.
    fs::write(&hosts, secret("newer")).unwrap();
    dot(old, &["re-add"]).ok();
    old.add("npm/publish", secret("rotated"));
    old.vault(&["sync", "--apply"]).run().ok();
    assert!(npmrc(old).contains(&secret("rotated")));
    new.vault(&["sync", "--apply"])
        .run()
        .ok()
        .says("put 2 dotfiles in place");
    assert!(npmrc(&new).contains(&secret("rotated")));
    assert_eq!(
        tree(&new.home().join(".config/gh")),
        tree(&old.home().join(".config/gh"))
    );
    let said = new.vault(&["sync"]).run().ok().stderr;
    assert!(!said.contains("dotfiles"), "{said}");
}

#[test]
fn what_both_machines_changed_is_kept_on_both() {
    let clones = Clones::new(2);
    let [a, b] = &clones.devices[..] else {
        panic!("two devices");
    };
    let (file_a, file_b) = (a.write(".conf", "one\n"), b.home().join(".conf"));
    dot(a, &["add", ".conf"]).ok();
    clones.sync_all();
    dot(b, &["apply"]).ok();
    fs::write(&file_a, "of a\n").unwrap();
    fs::write(&file_b, "of b\n").unwrap();
    dot(a, &["re-add"]).ok();
    clones.sync_all();
    let _ = b
        .vault(&["sync", "--apply"])
        .run()
        .fails_with(1)
        .says("changed here and in the store");
    assert_eq!(fs::read_to_string(&file_b).unwrap(), "of b\n");
    dot(b, &["apply", "--ours"]).ok();
    clones.sync_all();
    dot(a, &["apply"]).ok();
    assert_eq!(fs::read_to_string(&file_a).unwrap(), "of b\n");
    // Both take their own in before they meet: the store keeps the loser beside the winner, and it is put nowhere.
    fs::write(&file_a, "again a\n").unwrap();
    fs::write(&file_b, "again b\n").unwrap();
    dot(a, &["re-add"]).ok();
    dot(b, &["re-add"]).ok();
    clones.sync_all();
    let kept = a
        .names()
        .into_iter()
        .filter(|name| name.contains(".conflict-"));
    assert_eq!(kept.count(), 1);
    for device in [a, b] {
        dot(device, &["apply"]).ok();
        assert!(status(device).is_empty());
    }
    assert_eq!(fs::read(&file_a).unwrap(), fs::read(&file_b).unwrap());
    // Forgotten on one, the file stays on the other.
    dot(a, &["forget", ".conf"]).ok();
    clones.sync_all();
    dot(b, &["apply"]).ok().says("the file stays");
    assert!(file_b.exists() && status(b).is_empty());
}
