//! Dotfiles: real trees of files that go into a store and come out again, on one side and on two.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;

use crate::world::Output;
use crate::world::World;
use crate::world::secret;

mod faults;
mod hostile;
mod machines;
mod templates;

/// `vault dotfiles` with these words.
pub(crate) fn dot(world: &World, args: &[&str]) -> Output {
    world.vault(&[&["dotfiles"], args].concat()).run()
}

/// What `status` says, a line each, blanks joined.
#[track_caller]
pub(crate) fn status(world: &World) -> Vec<String> {
    let text = dot(world, &["status"]).ok().text();
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// Everything in a folder: kind, mode and content, by path.
fn tree(root: &Path) -> BTreeMap<PathBuf, String> {
    let walk = walkdir::WalkDir::new(root).min_depth(1);
    let files = walk.into_iter().map(Result::unwrap);
    let files = files.filter(|item| !item.file_type().is_dir());
    files
        .map(|item| {
            let what = if item.file_type().is_symlink() {
                format!("link {}", fs::read_link(item.path()).unwrap().display())
            } else {
                let bytes = fs::read(item.path()).unwrap();
                format!("{:o} {bytes:?}", mode(item.path()))
            };
            let path = item.path().strip_prefix(root).unwrap().to_owned();
            (path, what)
        })
        .collect()
}

/// A tree of several hundred files of many kinds.
fn fill(root: &Path) {
    for number in 0..320_u32 {
        let folder = root.join(format!(".config/app{}/d{}", number % 17, number % 3));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("file {number}"));
        let bytes: Vec<u8> = (0..number * 7 % 300)
            .map(|byte| (byte * number).to_le_bytes()[0])
            .collect();
        fs::write(&path, bytes).unwrap();
        set_mode(&path, [0o600, 0o644, 0o755, 0o400][number as usize % 4]);
    }
    for name in [
        "empty",
        "Grüße 日本語",
        "-dash",
        "trailing.",
        "a:b",
        "key.age",
        "nul",
        "e\u{301}",
        " space",
    ] {
        fs::write(root.join(".config").join(name), name).unwrap();
    }
    fs::write(root.join(".config/empty"), "").unwrap();
    fs::write(root.join(".config/Case"), "1").unwrap();
    fs::write(root.join(".config/case"), "2").unwrap();
    fs::create_dir_all(root.join(".config/Folder")).unwrap();
    fs::create_dir_all(root.join(".config/folder")).unwrap();
    fs::write(root.join(".config/Folder/x"), "3").unwrap();
    fs::write(root.join(".config/folder/x"), "4").unwrap();
    fs::write(root.join(".config/folder").join("y".repeat(240)), "5").unwrap();
    symlink("nowhere/at all", root.join(".config/dangling")).unwrap();
    symlink("app1", root.join(".config/to a folder")).unwrap();
    symlink("/etc/hostname", root.join(".config/away")).unwrap();
}

/// W-130, W-131.
#[test]
fn a_tree_of_hundreds_of_files_comes_out_as_it_went_in() {
    let mut world = World::with_store();
    let home = world.home().join("person");
    fs::create_dir(&home).unwrap();
    fill(&home);
    let at = ["--target", "person"];
    let add = [&["add"], &at[..], &["person/.config"]].concat();
    dot(&world, &add).ok();
    let before = tree(&home);
    assert!(before.len() > 330, "{}", before.len());
    let head = world.git(&["rev-parse", "HEAD"]);
    // Again: nothing is written, here or there.
    dot(&world, &add)
        .ok()
        .says(&format!("{} unchanged", before.len()));
    assert_eq!(world.git(&["rev-parse", "HEAD"]), head);
    assert_eq!(
        dot(&world, &[&["status"], &at[..]].concat()).ok().text(),
        ""
    );
    // Another home: all of it is put there, in a few steps.
    let other = world.home().join("other");
    fs::create_dir(&other).unwrap();
    dot(&world, &["apply", "--target", "other"]).ok();
    assert_eq!(tree(&other), before);
    assert_eq!(mode(&other.join(".config")), 0o700);
    let inodes = |root: &Path| -> Vec<u64> {
        let walk = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap);
        walk.map(|item| item.metadata().unwrap().ino()).collect()
    };
    let written = inodes(&other);
    // What is unchanged is known without the keys, and is not written again.
    fs::rename(world.identity(), world.home().join("hidden")).unwrap();
    world.set("AGEVAULT_NON_INTERACTIVE", "1");
    for args in [
        &["status", "--exit-code", "--target", "other"][..],
        &["apply", "--target", "other"],
    ] {
        dot(&world, args).ok().says("all as it should be");
    }
    assert_eq!(inodes(&other), written);
    assert_eq!(world.git(&["rev-parse", "HEAD"]), head);
    // What is changed is told, too, and so is what is gone.
    fs::write(other.join(".config/empty"), "full").unwrap();
    fs::remove_file(other.join(".config/Case")).unwrap();
    set_mode(&other.join(".config/case"), 0o600);
    let said = dot(&world, &["status", "--exit-code", "--target", "other"])
        .fails_with(1)
        .text();
    for (word, file) in [("changed here", "empty"), ("add", "Case"), ("mode", "case")] {
        let is_said =
            |line: &str| line.starts_with(word) && line.contains(&format!(".config/{file}"));
        assert!(said.lines().any(is_said), "{word} {file}: {said}");
    }
    assert_eq!(said.lines().count(), 3);
}

#[test]
fn a_new_epoch_or_a_tag_is_no_change_of_a_file() {
    let world = World::with_store();
    world.write(".netrc", "machine x");
    dot(&world, &["add", ".netrc"]).ok();
    let inode = fs::metadata(world.home().join(".netrc")).unwrap().ino();
    world
        .vault(&["tag", "dotfiles/dot_netrc", "--tag", "mail"])
        .run()
        .ok();
    world.vault(&["members", "rotate-key"]).run().ok();
    dot(&world, &["apply"]).ok().says("all as it should be");
    assert_eq!(
        fs::metadata(world.home().join(".netrc")).unwrap().ino(),
        inode
    );
    let list = dot(&world, &["list", "--tag", "mail"]).ok().text();
    assert!(list.contains("~/.netrc"), "{list}");
    assert_eq!(dot(&world, &["list", "--tag", "no"]).ok().text(), "");
}

/// A world with one dotfile that was changed here and in the store.
fn both_changed(ours: &str, theirs: &str) -> (World, PathBuf) {
    let world = World::with_store();
    let file = world.write(".conf", "one\ntwo\nthree\nfour\nfive\n");
    dot(&world, &["add", ".conf"]).ok();
    world
        .vault(&["add", "-f", "dotfiles/dot_conf"])
        .stdin(theirs)
        .run()
        .ok();
    fs::write(&file, ours).unwrap();
    assert_eq!(status(&world), ["both changed ~/.conf"]);
    (world, file)
}

fn stored(world: &World) -> String {
    String::from_utf8(world.get("dotfiles/dot_conf").unwrap()).unwrap()
}

const OURS: &str = "ONE\ntwo\nthree\nfour\nfive\n";
const THEIRS: &str = "one\ntwo\nthree\nfour\nFIVE\n";

#[test]
fn what_both_sides_changed_waits_until_one_is_chosen() {
    let (world, file) = both_changed(OURS, THEIRS);
    let _ = dot(&world, &["apply"])
        .fails_with(1)
        .says("changed here and in the store");
    let _ = dot(&world, &["re-add"])
        .fails_with(1)
        .says("changed here and in the store");
    let _ = dot(&world, &["add", ".conf"])
        .fails_with(1)
        .says("changed in the store");
    assert_eq!(
        (fs::read_to_string(&file).unwrap(), stored(&world)),
        (OURS.into(), THEIRS.into())
    );
    let shown = dot(&world, &["diff"]).ok().text();
    assert!(shown.contains("-ONE") && shown.contains("+FIVE"), "{shown}");
    // Theirs: this machine's comes back from the backup.
    dot(&world, &["apply", "--theirs"])
        .ok()
        .says("put ~/.conf in place");
    assert_eq!(fs::read_to_string(&file).unwrap(), THEIRS);
    let backups = || -> Vec<Vec<u8>> {
        let walk = walkdir::WalkDir::new(world.state())
            .into_iter()
            .map(Result::unwrap);
        let backups = walk.filter(|item| item.path().to_string_lossy().contains("/backup/"));
        backups.map(|item| fs::read(item.path()).unwrap()).collect()
    };
    assert!(backups().len() == 1 && backups()[0].starts_with(b"age-encryption.org"));
    dot(&world, &["restore", "--backup", "--dry-run", ".conf"]).ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), THEIRS);
    dot(&world, &["restore", "--backup", ".conf"]).ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), OURS);
    assert_eq!(status(&world), ["changed here ~/.conf"]);
    dot(&world, &["re-add"]).ok();
    assert_eq!((stored(&world).as_str(), status(&world).len()), (OURS, 0));
    // The next apply that finds nothing in its way forgets backups.
    dot(&world, &["apply"]).ok();
    assert!(backups().is_empty());
    let _ = dot(&world, &["restore", "--backup", ".conf"]).fails_with(3);
}

#[test]
fn ours_goes_into_the_store() {
    let (world, file) = both_changed(OURS, THEIRS);
    dot(&world, &["apply", "--ours"]).ok();
    assert_eq!(
        (fs::read_to_string(&file).unwrap(), stored(&world)),
        (OURS.into(), OURS.into())
    );
    assert!(status(&world).is_empty());
    // The other side is in history.
    dot(&world, &["restore", ".conf"]).ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), THEIRS);
}

#[test]
fn both_are_joined_by_lines_or_in_the_editor() {
    let (world, file) = both_changed(OURS, THEIRS);
    dot(&world, &["apply", "--merge"])
        .ok()
        .says("joined both sides");
    let joined = "ONE\ntwo\nthree\nfour\nFIVE\n";
    assert_eq!(
        (fs::read_to_string(&file).unwrap(), stored(&world)),
        (joined.into(), joined.into())
    );
    assert!(status(&world).is_empty());

    let (mut world, file) = both_changed(OURS, "1\ntwo\nthree\nfour\nfive\n");
    let both = || (fs::read_to_string(&file).unwrap(), stored(&world));
    let before = both();
    // Marks that are left are no answer, and neither is an editor that fails.
    for editor in ["true", "false"] {
        let merge = world
            .vault(&["dotfiles", "apply", "--merge"])
            .env("EDITOR", editor);
        let _ = merge.run().fails_with(1);
        assert_eq!(both(), before);
    }
    let script = world.script(
        "bin/join",
        "grep -q '^<<<<<<<' \"$1\" && printf 'uno\\ntwo\\n' > \"$1\"",
    );
    world.set("EDITOR", script);
    dot(&world, &["apply", "--merge"]).ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), "uno\ntwo\n");
    assert_eq!(stored(&world), "uno\ntwo\n");
    assert!(status(&world).is_empty());
}

#[test]
fn a_file_that_was_there_before_is_not_written_over() {
    let world = World::with_store();
    let file = world.write(".conf", "theirs");
    dot(&world, &["add", ".conf"]).ok();
    let state = world.state().join("stores");
    let store = fs::read_dir(&state)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::remove_dir_all(store.join("dotfiles")).unwrap();
    // Nothing is remembered: what is the same is known again, what differs waits.
    assert!(status(&world).is_empty());
    fs::remove_dir_all(store.join("dotfiles")).unwrap();
    fs::write(&file, "mine").unwrap();
    assert_eq!(status(&world), ["both changed ~/.conf"]);
    let _ = dot(&world, &["apply"]).fails_with(1);
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

/// W-133.
#[test]
fn hosts_and_systems_choose() {
    let world = World::with_store();
    let host = crate::world::tool("hostname");
    let host = world.program(host, &[] as &[&str]).run().ok().text();
    let host = host.trim().split('.').next().unwrap();
    let file = world.write(".rc", "for all");
    dot(&world, &["add", ".rc"]).ok();
    fs::write(&file, "for others").unwrap();
    dot(&world, &["add", "--only-host", "elsewhere", ".rc"]).ok();
    fs::write(&file, "for this system").unwrap();
    dot(&world, &["add", "--only-os", std::env::consts::OS, ".rc"]).ok();
    dot(&world, &["apply", "--theirs"]).ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), "for this system");
    fs::write(&file, "for this host").unwrap();
    dot(&world, &["add", "--only-host", host, ".rc"]).ok();
    dot(&world, &["apply"]).ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), "for this host");
    assert_eq!(world.names().len(), 4);
    // Of two alike none is meant.
    let all = dot(&world, &["list", "--json"]).ok();
    let all: serde_json::Value = serde_json::from_slice(&all.stdout).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 4);
    world
        .vault(&["cp", "dotfiles/dot_rc", "dotfiles/twin"])
        .run()
        .ok();
    dot(&world, &["forget", &format!("dotfiles/dot_rc@{host}")]).ok();
    let os = format!("dotfiles/dot_rc@{}", std::env::consts::OS);
    dot(&world, &["forget", &os]).ok();
    assert!(status(&world)[0].starts_with("refused ~/.rc"));
    let _ = dot(&world, &["apply"])
        .fails_with(1)
        .says("has the same target");
    assert_eq!(fs::read_to_string(&file).unwrap(), "for this host");
}

#[test]
fn nothing_changes_on_a_dry_run() {
    let mut world = World::with_store();
    world.set("EDITOR", "sh -c 'echo edited >> \"$0\"'");
    for name in [".a", ".b", ".c"] {
        world.write(name, "as it was\n");
    }
    dot(&world, &["add", ".a", ".b"]).ok();
    world
        .vault(&["add", "-f", "dotfiles/dot_a"])
        .stdin("other")
        .run()
        .ok();
    world.write(".b", "changed here");
    let head = world.git(&["rev-parse", "HEAD"]);
    let before = (tree(&world.home().join(".config")), status(&world));
    let file = |name: &str| fs::read_to_string(world.home().join(name)).unwrap();
    for (args, says) in [
        (&["add", "--dry-run", ".c"][..], "would add ~/.c"),
        (&["apply", "--dry-run"], "1 dotfile would change"),
        (
            &["apply", "--dry-run", "--theirs"],
            "2 dotfiles would change",
        ),
        (&["re-add", "--dry-run"], "would take ~/.b"),
        (&["forget", "--dry-run", ".a"], "would forget ~/.a"),
        (&["restore", "--dry-run", ".a"], "would restore"),
        (&["edit", "--dry-run", ".a"], ""),
    ] {
        dot(&world, args).ok().says(says);
        assert_eq!(world.git(&["rev-parse", "HEAD"]), head, "{args:?}");
        assert_eq!(
            (file(".a"), file(".b")),
            ("as it was\n".into(), "changed here".into())
        );
    }
    assert_eq!(
        (tree(&world.home().join(".config")), status(&world)),
        before
    );
}

#[test]
fn edit_restore_and_forget() {
    let mut world = World::with_store();
    world.set("EDITOR", "sh -c 'echo more >> \"$0\"'");
    let file = world.write(".conf", "one\n");
    dot(&world, &["add", ".conf"]).ok();
    dot(&world, &["edit", ".conf"])
        .ok()
        .says("put ~/.conf in place");
    assert_eq!(fs::read_to_string(&file).unwrap(), "one\nmore\n");
    dot(&world, &["edit", "--no-apply", "dotfiles/dot_conf"]).ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), "one\nmore\n");
    assert_eq!(status(&world), ["update ~/.conf"]);
    dot(&world, &["restore", ".conf", "1"]).ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), "one\n");
    world.set("EDITOR", "true");
    dot(&world, &["edit", ".conf"]).ok().says("unchanged");
    dot(&world, &["forget", ".conf"])
        .ok()
        .says("the file stays");
    assert_eq!(fs::read_to_string(&file).unwrap(), "one\n");
    assert!(world.names().is_empty());
    for args in [
        &["edit", ".conf"][..],
        &["forget", ".conf"],
        &["restore", ".conf"],
        &["apply", ".cnf"],
    ] {
        // Without any dotfile there is nothing to name.
        let code = if args[0] == "apply" { 0 } else { 3 };
        let _ = dot(&world, args).fails_with(code);
    }
}

#[test]
fn a_store_without_git_has_dotfiles_too() {
    let world = World::with_plain_store();
    world.add("token", "one");
    let file = world.write(".conf", "t=agevault://token\n");
    dot(&world, &["add", ".conf"]).ok();
    dot(&world, &["apply"]).ok();
    fs::write(&file, "t=one\nmore\n").unwrap();
    dot(&world, &["re-add"]).ok();
    let stored = world.get("dotfiles/dot_conf").unwrap();
    assert_eq!(stored, b"t=agevault://token\nmore\n");
    world.add("token", "two");
    dot(&world, &["apply"]).ok();
    assert_eq!(fs::read(&file).unwrap(), b"t=two\nmore\n");
    // Another name for the entry is no other dotfile.
    let rename = ["mv", "dotfiles/dot_conf", "dotfiles/renamed"];
    world.vault(&rename).run().ok();
    assert!(status(&world).is_empty());
    let said = dot(&world, &["apply"]).ok();
    assert!(!said.stderr.contains("no longer"), "{}", said.stderr);
}

#[test]
fn a_reader_puts_in_place_and_loses_nothing() {
    let world = World::with_store();
    world.write(".conf", "one");
    dot(&world, &["add", ".conf"]).ok();
    let key = crate::members::ssh_key(&world, "reader");
    let public = format!("{}.pub", key.display());
    let add = [
        "members",
        "add",
        "reader",
        "--from-keys",
        &public,
        "--read-only",
    ];
    world.vault(&add).run().ok();
    let as_reader = |args: &[&str]| {
        let run = world.vault(&[&["dotfiles"], args].concat());
        run.env("AGEVAULT_IDENTITY", &key).run()
    };
    world
        .vault(&["add", "-f", "dotfiles/dot_conf"])
        .stdin("two")
        .run()
        .ok();
    as_reader(&["apply"]).ok();
    let file = world.home().join(".conf");
    assert_eq!(fs::read_to_string(&file).unwrap(), "two");
    fs::write(&file, "mine").unwrap();
    let _ = as_reader(&["apply", "--theirs"])
        .fails_with(1)
        .says("would be lost");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn backups_and_state_hold_no_secret_in_clear() {
    let world = World::with_store();
    let file = world.write(".conf", secret("one"));
    world.allow(&file);
    dot(&world, &["add", ".conf"]).ok();
    fs::write(&file, secret("two")).unwrap();
    dot(&world, &["apply", "--theirs"]).ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), secret("one"));
    dot(&world, &["restore", "--backup", ".conf"]).ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), secret("two"));
    // The world looks for both in every other file when it ends.
}
