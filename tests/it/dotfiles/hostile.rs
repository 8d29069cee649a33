//! A store that would like to write where it must not, and a home that is not as it seems.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::dot;
use super::mode;
use super::set_mode;
use super::status;
use crate::terminal::SOON;
use crate::terminal::ends;
use crate::terminal::vault;
use crate::world::World;
use crate::world::tool;

/// Puts an entry in whose header says what it likes: what a member with the keys can do.
fn plant(world: &World, name: &str, header: &str, content: &str) {
    let name = format!("dotfiles/{name}");
    let add = ["add", "-f", "--kind", "file", &name];
    world.vault(&add).stdin(content).run().ok();
    let lines = world.write("tmp/lines", header);
    let editor = format!(
        "sh -c 'cat {} \"$0\" > \"$0.new\"; cat \"$0.new\" > \"$0\"'",
        lines.display()
    );
    let edit = world.vault(&["edit", &name]).env("EDITOR", editor);
    edit.run().ok();
}

fn plant_target(world: &World, name: &str, target: &str) {
    let target = serde_json::to_string(target).unwrap();
    plant(world, name, &format!("target = {target}\n"), "planted");
}

/// The names of everything in a folder and below.
fn everything(folder: &Path) -> Vec<String> {
    let walk = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap);
    walk.map(|item| item.path().display().to_string()).collect()
}

/// A home in a folder of its own, so that what lies beside it is seen.
fn world() -> World {
    let world = World::with_store();
    for folder in ["person", "outside"] {
        fs::create_dir(world.home().join(folder)).unwrap();
    }
    world
}

const AT: [&str; 2] = ["--target", "person"];

/// W-130, W-131.
#[test]
fn targets_that_lead_elsewhere_are_refused() {
    let world = world();
    let absolute = world.home().join("outside/absolute");
    let long = format!("{}x", "long/".repeat(900));
    for (number, target) in [
        "../outside/up",
        "a/../../outside/up",
        absolute.to_str().unwrap(),
        "a//b",
        "./a",
        "a/.",
        "",
        "..",
        "a\u{1}b",
        &long,
    ]
    .iter()
    .enumerate()
    {
        plant_target(&world, &format!("t{number}"), target);
    }
    plant(&world, "m1", "target = \"mode\"\nmode = \"4755\"\n", "x");
    plant(&world, "m2", "target = \"mode2\"\nmode = \"rw\"\n", "x");
    let before = everything(&world.home().join("outside"));
    for flags in [&[][..], &["--theirs"], &["--yes"]] {
        let apply = [&["apply"], &AT[..], flags].concat();
        let _ = dot(&world, &apply).fails_with(1).says("its target");
    }
    let shown = dot(&world, &[&["status"], &AT[..]].concat()).ok().text();
    assert_eq!(
        shown
            .lines()
            .filter(|line| line.starts_with("refused"))
            .count(),
        12,
        "{shown}"
    );
    assert_eq!(everything(&world.home().join("outside")), before);
    assert_eq!(
        fs::read_dir(world.home().join("person")).unwrap().count(),
        0
    );
}

/// W-132.
#[test]
fn links_folders_pipes_and_other_users_files_are_left_alone() {
    let world = world();
    let home = world.home().join("person");
    let outside = world.home().join("outside");
    fs::write(outside.join("victim"), "victim").unwrap();
    symlink("../outside", home.join("relative")).unwrap();
    symlink(&outside, home.join("absolute")).unwrap();
    symlink("inside", home.join("fine")).unwrap();
    symlink(outside.join("victim"), home.join("last")).unwrap();
    fs::create_dir_all(home.join("folder/full")).unwrap();
    fs::create_dir(home.join("inside")).unwrap();
    let pipe = home.join("pipe");
    world.program(tool("mkfifo"), &[&pipe]).run().ok();
    fs::write(home.join("foreign"), "not yours").unwrap();
    world
        .program(
            tool("sh"),
            &["-c", "chown 65534 person/foreign || rm person/foreign"],
        )
        .run()
        .ok();
    // Where this runs as somebody who cannot give a file away, there is none to be left alone.
    let is_foreign = home.join("foreign").exists();
    for target in [
        "relative/victim",
        "absolute/victim",
        "fine/x",
        "last",
        "folder",
        "pipe",
        "victim/x",
    ] {
        plant_target(&world, &target.replace('/', "-"), target);
    }
    fs::write(home.join("victim"), "a file").unwrap();
    if is_foreign {
        plant_target(&world, "foreign", "foreign");
    }
    let apply = [&["apply", "--theirs"], &AT[..]].concat();
    let output = dot(&world, &apply).fails_with(1);
    for says in [
        "leads elsewhere",
        "a folder in its place",
        "socket, pipe or device",
        "is no folder",
    ] {
        assert!(output.stderr.contains(says), "{says}: {}", output.stderr);
    }
    assert_eq!(output.stderr.contains("another user"), is_foreign);
    assert_eq!(fs::read(outside.join("victim")).unwrap(), b"victim");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert!(home.join("inside/x").exists(), "{}", output.stderr);
    assert!(
        home.join("last").symlink_metadata().unwrap().is_file(),
        "the link itself is replaced"
    );
    assert!(home.join("folder/full").is_dir());
    if is_foreign {
        assert_eq!(fs::read(home.join("foreign")).unwrap(), b"not yours");
    }
}

/// A link from the store, then a file below it: the place that it leads to is the one that is judged.
#[test]
fn a_planted_link_is_no_way_around_a_question() {
    let world = world();
    let home = world.home().join("person");
    fs::create_dir(home.join(".ssh")).unwrap();
    plant(&world, "a", "target = \"way\"\nlink = true\n", ".ssh");
    dot(&world, &[&["apply"], &AT[..]].concat()).ok();
    assert_eq!(fs::read_link(home.join("way")).unwrap(), Path::new(".ssh"));
    plant_target(&world, "b", "way/authorized_keys");
    let output = dot(&world, &[&["apply"], &AT[..]].concat()).fails_with(1);
    assert!(
        output.stderr.contains("may log in here"),
        "{}",
        output.stderr
    );
    // Not even by the name that hides it.
    let named = [&["apply"], &AT[..], &["person/way/authorized_keys"]].concat();
    let _ = dot(&world, &named).fails_with(1);
    assert!(!home.join(".ssh/authorized_keys").exists());
    // A link that leads out of the home is no way either.
    plant(&world, "c", "target = \"out\"\nlink = true\n", "../outside");
    plant_target(&world, "d", "out/x");
    for _ in 0..2 {
        let _ = dot(&world, &[&["apply"], &AT[..]].concat()).fails_with(1);
    }
    assert_eq!(
        fs::read_dir(world.home().join("outside")).unwrap().count(),
        0
    );
}

/// A link that comes to its place while others are put in theirs is not followed either, however many lie between them.
#[test]
fn a_link_from_the_same_apply_is_not_followed() {
    let world = world();
    let home = world.home().join("person");
    fs::create_dir(home.join(".ssh")).unwrap();
    let from = world.home().join("from");
    fs::create_dir(&from).unwrap();
    symlink(".ssh", from.join("way")).unwrap();
    let mut add = vec!["add".to_owned(), "--target".to_owned(), "from".to_owned()];
    add.push("from/way".to_owned());
    // In the order of targets these come between the link and what lies below it.
    for number in 0..140 {
        let file = format!("from/way-{number:03}");
        fs::write(world.home().join(&file), "between").unwrap();
        add.push(file);
    }
    let add: Vec<&str> = add.iter().map(String::as_str).collect();
    dot(&world, &add).ok();
    plant_target(&world, "below", "way/authorized_keys");
    let _ = dot(&world, &[&["apply", "--yes"], &AT[..]].concat()).fails_with(1);
    assert!(!home.join(".ssh/authorized_keys").exists());
    assert!(home.join("way-139").exists());
}

#[test]
fn vaults_own_files_are_never_written() {
    let world = World::with_store();
    for (number, target) in [
        ".config/agevault/identities",
        ".config/agevault/config.toml",
        ".local/share/agevault/store/.vault/format",
        ".local/state/agevault/x",
    ]
    .iter()
    .enumerate()
    {
        plant_target(&world, &format!("o{number}"), target);
    }
    let identity = fs::read(world.identity()).unwrap();
    let _ = dot(&world, &["apply", "--theirs"])
        .fails_with(1)
        .says("among vault's own files");
    assert_eq!(fs::read(world.identity()).unwrap(), identity);
    let _ = dot(&world, &["add", ".config/agevault"])
        .fails_with(1)
        .says("vault's own files");
    world.vault(&["doctor"]).run().ok();
}

#[test]
fn what_is_run_is_asked_for_by_name() {
    let world = World::with_store();
    for target in [".bashrc", ".ssh/authorized_keys", ".plain"] {
        plant_target(&world, &target.replace(['/', '.'], "_"), target);
    }
    let there = |target: &str| world.home().join(target).exists();
    let said = dot(&world, &["apply", "--yes"]).fails_with(1);
    assert!(
        said.stderr.contains("~/.bashrc is left: it is run when"),
        "{}",
        said.stderr
    );
    assert!(there(".plain") && !there(".bashrc") && !there(".ssh/authorized_keys"));
    dot(&world, &["apply", ".ssh/authorized_keys"]).ok();
    assert!(there(".ssh/authorized_keys"));
    // A folder's name is not the file's.
    plant_target(&world, "another", ".ssh/authorized_keys2");
    let _ = dot(&world, &["apply", ".ssh"]).fails_with(1);
    assert!(!there(".ssh/authorized_keys2"));
    dot(&world, &["forget", ".ssh/authorized_keys2"]).ok();
    // A link in the place of a folder of such files is as much.
    plant(
        &world,
        "fish",
        "target = \".config/fish\"\nlink = true\n",
        "/tmp",
    );
    let _ = dot(&world, &["apply"])
        .fails_with(1)
        .says("~/.config/fish is left");
    dot(&world, &["forget", ".config/fish"]).ok();
    // On a terminal the plan comes first, then each of them by name.
    for (answer, is_there) in [("n", false), ("y", true)] {
        let mut pty = vault(&world, &["dotfiles", "apply"]);
        pty.expect("add", SOON);
        pty.expect("Change 1 dotfile?", SOON);
        pty.send("y\r");
        pty.expect("~/.bashrc: it is run when you log in", SOON);
        pty.send(&format!("{answer}\r"));
        ends(pty, i32::from(!is_there));
        assert_eq!(there(".bashrc"), is_there);
    }
}

/// A harmless name for what is run, and a mode that lets everybody write to it.
#[test]
fn an_entry_s_name_and_a_mode_are_no_way_around_a_question() {
    let world = World::with_store();
    plant_target(&world, "dot_npmrc", ".bashrc");
    let _ = dot(&world, &["apply", "dotfiles/dot_npmrc"])
        .fails_with(1)
        .says("when you log in");
    assert!(!world.home().join(".bashrc").exists());
    dot(&world, &["apply", ".bashrc"]).ok();
    plant(&world, "dot_npmrc", "mode = \"666\"\n", "planted");
    assert_eq!(status(&world), ["mode ~/.bashrc (mode 600 -> 666)"]);
    let _ = dot(&world, &["apply", "--yes"]).fails_with(1);
    assert_eq!(mode(&world.home().join(".bashrc")), 0o600);
    plant(&world, "open", "target = \".open\"\nmode = \"606\"\n", "x");
    let _ = dot(&world, &["apply", "--yes"])
        .fails_with(1)
        .says("every user");
    assert!(!world.home().join(".open").exists());
    dot(&world, &["apply", ".open", ".bashrc"]).ok();
    assert_eq!(mode(&world.home().join(".open")), 0o606);
    // Where a link leads from what is run.
    fs::create_dir(world.home().join("real")).unwrap();
    symlink("real/zshrc", world.home().join(".zshrc")).unwrap();
    fs::write(world.home().join("real/zshrc"), "mine").unwrap();
    plant_target(&world, "real", "real/zshrc");
    let _ = dot(&world, &["apply", "--theirs", "--yes"])
        .fails_with(1)
        .says("when you log in");
    assert_eq!(fs::read(world.home().join("real/zshrc")).unwrap(), b"mine");
}

/// A target that is moved onto a private file: nothing of that goes into the store unless its place is named.
#[test]
fn a_moved_target_takes_no_private_file() {
    let world = World::with_store();
    fs::create_dir(world.home().join(".ssh")).unwrap();
    fs::write(world.home().join(".ssh/id_x"), "a private key").unwrap();
    plant_target(&world, "a", ".harmless");
    dot(&world, &["apply"]).ok();
    let edit = world.vault(&["edit", "dotfiles/a"]);
    edit.env("EDITOR", "sed -i s,.harmless,.ssh/id_x,")
        .run()
        .ok();
    let _ = dot(&world, &["re-add"]).fails_with(1);
    let stored = || world.get("dotfiles/a").unwrap();
    assert_eq!(stored(), b"planted");
    let _ = dot(&world, &["apply", "--ours", "--yes"])
        .fails_with(1)
        .says("never in the store");
    assert_eq!(stored(), b"planted");
    dot(&world, &["apply", "--ours", ".ssh/id_x"]).ok();
    assert_eq!(stored(), b"a private key");
    // The same by a link on the way that is turned round later.
    plant(&world, "way", "target = \"way\"\nlink = true\n", "one");
    fs::create_dir(world.home().join("one")).unwrap();
    dot(&world, &["apply", "--yes"]).ok();
    plant_target(&world, "b", "way/id_x");
    dot(&world, &["apply", "--yes"]).ok();
    assert!(world.home().join("one/id_x").exists());
    world
        .vault(&["add", "-f", "dotfiles/way"])
        .stdin(".ssh")
        .run()
        .ok();
    let _ = dot(&world, &["apply", "--yes"]);
    assert_eq!(
        fs::read_link(world.home().join("way")).unwrap(),
        Path::new(".ssh")
    );
    let _ = dot(&world, &["re-add"])
        .fails_with(1)
        .says("leads to .ssh/id_x");
    assert_eq!(world.get("dotfiles/b").unwrap(), b"planted");
}

#[test]
fn a_plan_that_is_declined_changes_nothing() {
    let world = World::with_store();
    plant_target(&world, "a", "folder/a");
    let mut pty = vault(&world, &["dotfiles", "apply"]);
    pty.expect("~/folder/a", SOON);
    pty.expect("Change 1 dotfile?", SOON);
    pty.send("\r");
    ends(pty, 1);
    assert!(!world.home().join("folder").exists());
    // Named, it needs no plan.
    let pty = vault(&world, &["dotfiles", "apply", "folder/a"]);
    ends(pty, 0);
    assert!(world.home().join("folder/a").exists());
}

/// A file without its owner's right to read it is no reason to do anything to it.
#[test]
fn what_cannot_be_read_is_told() {
    let world = World::with_store();
    let file = world.write(".conf", "x");
    dot(&world, &["add", ".conf"]).ok();
    world
        .vault(&["add", "-f", "dotfiles/dot_conf"])
        .stdin("y")
        .run()
        .ok();
    fs::write(&file, "changed").unwrap();
    set_mode(&file, 0);
    // As root everything can be read.
    let shown = status(&world);
    assert!(
        shown[0].starts_with("both changed") || shown[0].starts_with("refused"),
        "{shown:?}"
    );
    let _ = dot(&world, &["apply"]).fails_with(1);
    set_mode(&file, 0o600);
    assert_eq!(fs::read(&file).unwrap(), b"changed");
}
