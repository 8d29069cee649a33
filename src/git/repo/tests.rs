//! Repositories written here and checked by the real git, and the other way round.
#![allow(clippy::disallowed_methods, reason = "tests make and read files")]

use std::fs;

use crate::git::Error;
use crate::git::Ident;
use crate::git::object::commit_text;
use crate::git::testing::World;

use super::*;

/// A world with some entries.
fn filled() -> World {
    let world = World::new();
    world.change(&[
        ("a.age", Some("1")),
        ("b/c.age", Some("2")),
        ("b/d/e.age", Some("3")),
    ]);
    world
}

fn paths(world: &World) -> Vec<String> {
    let repo = world.repo();
    let commit = repo.head().unwrap().commit.unwrap();
    repo.files(commit)
        .unwrap()
        .into_iter()
        .map(|file| file.path)
        .collect()
}

/// An empty commit on another.
fn commit_on(repo: &Repo, parents: &[Id], seconds: i64, message: &str) -> Id {
    let tree = repo.edit_tree(None, &[]).unwrap();
    let who = Ident::new("A", "a@b", seconds, 0);
    repo.write_commit(&commit_text(&tree, parents, &who, message))
        .unwrap()
}

#[test]
fn each_change_leaves_a_clean_work_tree() {
    let world = filled();
    world.check();
    world.change(&[
        ("b/c.age", Some("2b")),
        ("b.age", Some("4")),
        ("b-.age", Some("5")),
    ]);
    world.check();
    world.change(&[("b/d/e.age", None), ("x/y/z.age", Some("6"))]);
    world.check();
    assert_eq!(
        paths(&world),
        ["a.age", "b-.age", "b.age", "b/c.age", "x/y/z.age"]
    );
    world.change(&[
        ("a.age", None),
        ("b-.age", None),
        ("b.age", None),
        ("b/c.age", None),
        ("x/y/z.age", None),
    ]);
    assert_eq!(paths(&world), Vec::<String>::new());
    world.check();
    let log = world.run(&["reflog", "--format=%gs %ge"]);
    assert_eq!(log.lines().count(), 4);
    assert!(log.lines().all(|line| line == "change o@c"), "{log}");
    assert_eq!(
        fs::read_dir(world.store().join(".git/vault-tmp"))
            .unwrap()
            .count(),
        1
    );
}

#[test]
fn packed_repositories_are_read_and_written() {
    let world = filled();
    let mut text = "line of the long file\n".repeat(200);
    for n in 0..20 {
        text.push_str(&n.to_string());
        world.change(&[
            ("b/long.age", Some(&text)),
            (&format!("n{n}.age"), Some("x")),
        ]);
    }
    let old = world.change(&[("a.age", Some("new"))]);
    world.run(&["gc", "--quiet", "--prune=now"]);
    assert!(world.store().join(".git/packed-refs").exists());
    assert!(!world.store().join(".git/refs/heads/main").exists());
    let repo = world.repo();
    assert_eq!(repo.head().unwrap().commit, Some(old));
    let blob = repo.blob_at(old, "b/long.age").unwrap().unwrap();
    assert_eq!(repo.blob(blob, 1 << 20).unwrap(), text.as_bytes());
    assert!(matches!(repo.blob(blob, 100), Err(Error::TooLarge { .. })));
    for id in repo.walk(old, None).unwrap() {
        repo.files(id)
            .unwrap()
            .iter()
            .for_each(|file| drop(repo.blob(file.id, 1 << 20).unwrap()));
    }
    assert_eq!(repo.walk(old, None).unwrap().len(), 22);
    drop(repo);
    world.change(&[("b/long.age", Some("short")), ("b/c.age", None)]);
    world.check();
}

#[test]
fn packs_made_while_a_repository_is_open_are_found() {
    let world = filled();
    let repo = world.repo();
    let head = repo.head().unwrap().commit.unwrap();
    assert!(matches!(
        repo.commit(Id::from_bytes([1; 20])),
        Err(Error::Missing(_))
    ));
    world.run(&["gc", "--quiet", "--prune=now"]);
    assert_eq!(repo.files(head).unwrap().len(), 3);
}

#[test]
fn differences_are_those_of_git() {
    let world = filled();
    let old = world.repo().head().unwrap().commit.unwrap();
    let new = world.change(&[
        ("b/c.age", Some("9")),
        ("b/d/e.age", None),
        ("f/g.age", Some("1")),
    ]);
    let told = |changes: Vec<Change>| {
        let letter = |change: &Change| match (change.old, change.new) {
            (Some(_), Some(_)) => "M",
            (None, _) => "A",
            (_, None) => "D",
        };
        let lines = changes
            .iter()
            .map(|change| format!("{}\t{}\n", letter(change), change.path));
        lines.collect::<String>()
    };
    let repo = world.repo();
    let real = world.run(&[
        "diff",
        "--no-renames",
        "--name-status",
        &old.to_string(),
        &new.to_string(),
    ]);
    assert_eq!(told(repo.diff(Some(old), new).unwrap()), real);
    assert_eq!(told(repo.diff(None, old).unwrap()).lines().count(), 3);
    assert!(repo.diff(Some(new), new).unwrap().is_empty());
    let history = repo.history(new, "b/d/e.age", 9).unwrap();
    assert_eq!(
        history.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        [new, old]
    );
    assert_eq!(repo.history(new, "a.age", 9).unwrap().len(), 1);
    assert_eq!(repo.history(new, "absent", 9).unwrap().len(), 0);
    assert_eq!(repo.blob_at(old, "b").unwrap(), None);
    assert_eq!(repo.blob_at(old, "b/c.age/x").unwrap(), None);
}

#[test]
fn links_and_strange_names_in_a_commit_are_told() {
    use std::os::unix::ffi::OsStrExt;
    let world = filled();
    std::os::unix::fs::symlink("/etc", world.store().join("link")).unwrap();
    fs::write(world.home().join(".gitconfig"), "[user]\nname=a\nemail=b\n").unwrap();
    // The tamed git does not make links: the plain object is made by hand.
    let repo = world.repo();
    let target = repo.write_blob(b"/etc").unwrap();
    repo.settle().unwrap();
    world.run(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("120000,{target},link"),
    ]);
    world.run(&["commit", "-qm", "a link"]);
    let head = repo.head().unwrap().commit.unwrap();
    let modes: Vec<u32> = repo
        .files(head)
        .unwrap()
        .iter()
        .map(|file| file.mode)
        .collect();
    assert!(modes.contains(&0o120_000));
    assert!(
        repo.diff(None, head)
            .unwrap()
            .iter()
            .any(|change| change.mode == 0o120_000)
    );
    assert_eq!(repo.blob_at(head, "link").unwrap(), None);
    fs::write(
        world.store().join(std::ffi::OsStr::from_bytes(b"b/\xff")),
        "x",
    )
    .unwrap();
    world.run(&["add", "b"]);
    world.run(&["commit", "-qm", "not text"]);
    let head = repo.head().unwrap().commit.unwrap();
    assert!(matches!(repo.files(head), Err(Error::NotText(path)) if path == "b/\u{fffd}"));
}

#[test]
fn a_path_is_a_file_or_a_folder() {
    let world = filled();
    let repo = world.repo();
    let head = repo.head().unwrap().commit;
    let id = Repo::blob_id(b"x").unwrap();
    let clash = |path: &str| repo.edit_tree(head, &[(path.to_owned(), Some(id))]);
    assert!(matches!(clash("b"), Err(Error::Clash(path)) if path == "b"));
    assert!(matches!(clash("a.age/x"), Err(Error::Clash(path)) if path == "a.age/x"));
    let moved = [("a.age".to_owned(), None), ("a.age/x".to_owned(), Some(id))];
    assert!(repo.edit_tree(head, &moved).is_ok());
}

#[test]
fn a_branch_that_was_moved_or_locked_is_left_alone() {
    let world = filled();
    let repo = world.repo();
    let head = repo.head().unwrap();
    let who = Ident::new("A", "a@b", 1, 0);
    let next = commit_on(&repo, &[head.commit.unwrap()], 2, "mine");
    let lock = world.store().join(".git/refs/heads/main.lock");
    fs::write(&lock, "").unwrap();
    let locked = repo.move_head(&head, next, &who, "x");
    assert!(matches!(locked, Err(Error::Locked(path)) if path == lock));
    assert!(!world.store().join(".git/HEAD.lock").exists());
    fs::remove_file(&lock).unwrap();
    repo.settle().unwrap();
    drop(repo);
    world.change(&[("z.age", Some("z"))]);
    let repo = world.repo();
    let moved = repo.move_head(&head, next, &who, "x");
    assert!(matches!(moved, Err(Error::Moved { .. })));
    world.run(&["checkout", "-q", "-b", "other"]);
    let head = repo.head().unwrap();
    assert_eq!(head.branch, "refs/heads/other");
    world.run(&["checkout", "-q", "main"]);
    assert!(matches!(
        repo.move_head(&head, next, &who, "x"),
        Err(Error::Moved { .. })
    ));
    world.run(&["checkout", "-q", "--detach"]);
    assert!(matches!(repo.head(), Err(Error::Detached(_))));
    world.check();
}

#[test]
fn any_index_is_brought_in_line() {
    let world = filled();
    let index = world.store().join(".git/index");
    for version in ["4", "3", "2"] {
        world.run(&["update-index", "--index-version", version]);
        world.change(&[
            (&format!("v/{version}.age"), Some("x")),
            ("b/c.age", Some(version)),
        ]);
        world.check();
    }
    fs::remove_file(&index).unwrap();
    world.change(&[("new.age", Some("x")), ("a.age", None)]);
    world.check();
    fs::write(&index, "not an index").unwrap();
    world.change(&[("new.age", Some("y"))]);
    world.check();
    world.run(&["update-index", "--split-index"]);
    world.change(&[("new.age", Some("z"))]);
    world.check();
    world.run(&[
        "-c",
        "index.skipHash=true",
        "update-index",
        "--force-write-index",
    ]);
    world.change(&[("new.age", Some("0"))]);
    world.check();
}

#[test]
fn a_file_that_is_not_the_commits_is_shown_as_changed() {
    let world = filled();
    let repo = world.repo();
    let id = repo
        .blob_at(repo.head().unwrap().commit.unwrap(), "a.age")
        .unwrap();
    world.put("a.age", Some("!"));
    repo.update_index(&[("a.age".to_owned(), id)]).unwrap();
    assert_eq!(world.run(&["status", "--porcelain"]), " M a.age\n");
    world.put("a.age", Some("1"));
    world.check();
    repo.update_index(&[("a.age".to_owned(), id)]).unwrap();
    // Same size, and likely in the same second as the index.
    world.put("a.age", Some("2"));
    repo.update_index(&[("b/c.age".to_owned(), None)]).unwrap();
    let status = world.run(&["status", "--porcelain"]);
    assert!(
        status.contains(" M a.age") && status.contains("D  b/c.age"),
        "{status}"
    );
}

#[test]
fn ancestors_and_walks() {
    let world = World::new();
    let repo = world.repo();
    let root = commit_on(&repo, &[], 10, "root");
    // One side's clock is far behind.
    let left = commit_on(&repo, &[root], 3, "left");
    let right = commit_on(&repo, &[root], 30, "right");
    let merge = commit_on(&repo, &[left, right], 20, "merge");
    let top = commit_on(&repo, &[merge], 5, "top");
    assert_eq!(
        repo.walk(top, None).unwrap(),
        [top, merge, right, left, root]
    );
    assert_eq!(repo.walk(top, Some(right)).unwrap(), [top, merge, left]);
    assert_eq!(repo.walk(top, Some(left)).unwrap(), [top, merge, right]);
    assert!(repo.walk(left, Some(merge)).unwrap().is_empty());
    assert!(repo.walk(top, Some(top)).unwrap().is_empty());
    assert_eq!(repo.walk(left, Some(right)).unwrap(), [left]);
    for (old, new, is) in [
        (root, top, true),
        (top, root, false),
        (left, right, false),
        (top, top, true),
    ] {
        assert_eq!(repo.is_ancestor(old, new).unwrap(), is);
    }
}

#[test]
fn a_walk_over_commits_of_one_second_counts_none_too_many() {
    let world = World::new();
    let repo = world.repo();
    // Names decide the order within a second: many pairs of sides, so that each order comes up.
    for round in 0..32 {
        let name = |what: &str| format!("{what} {round}");
        let root = commit_on(&repo, &[], 10, &name("root"));
        let base = commit_on(&repo, &[root], 10, &name("base"));
        let sides = ["left", "right"].map(|side| {
            let first = commit_on(&repo, &[base], 10, &name(side));
            let second = commit_on(&repo, &[first], 10, &name(&format!("{side} again")));
            (first, second)
        });
        let [left, right] = sides;
        assert_eq!(repo.walk(left.1, Some(right.1)).unwrap(), [left.1, left.0]);
        assert_eq!(
            repo.walk(right.1, Some(left.1)).unwrap(),
            [right.1, right.0]
        );
    }
}

#[test]
fn repositories_that_read_other_than_they_lie_are_refused() {
    let world = filled();
    let git = world.store().join(".git");
    let first = world.repo().head().unwrap().commit.unwrap();
    let refused = || {
        let opened = Repo::open(world.store()).map(|repo| repo.map(|repo| repo.files(first)));
        matches!(
            opened,
            Err(Error::Unusual { .. }) | Ok(Some(Err(Error::Unusual { .. })))
        )
    };
    for below in [
        "info/grafts",
        "shallow",
        "objects/info/alternates",
        "refs/replace/x",
        "commondir",
    ] {
        let path = git.join(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        assert!(refused(), "{below}");
        fs::remove_file(&path).unwrap();
        assert!(!refused(), "{below}");
    }
    let head = world.repo().head().unwrap().commit.unwrap().to_string();
    let tree = world.run(&["rev-parse", "HEAD^{tree}"]);
    world.run(&["update-ref", &format!("refs/replace/{head}"), tree.trim()]);
    world.run(&["pack-refs", "--all"]);
    assert!(refused());
    world.run(&["update-ref", "-d", &format!("refs/replace/{head}")]);
    let config = fs::read_to_string(git.join("config")).unwrap();
    fs::write(
        git.join("config"),
        format!("{config}[extensions]\nobjectFormat = sha256\n"),
    )
    .unwrap();
    assert!(refused());
    fs::write(git.join("config"), &config).unwrap();
    assert!(world.repo().dangerous_config().unwrap().is_empty());
    world.run(&["config", "core.fsmonitor", "x"]);
    assert_eq!(
        world.repo().dangerous_config().unwrap(),
        ["core.fsmonitor in \".git/config\""]
    );
    fs::rename(&git, world.home().join("elsewhere")).unwrap();
    assert!(Repo::open(world.store()).unwrap().is_none());
    std::os::unix::fs::symlink(world.home().join("elsewhere"), &git).unwrap();
    assert!(refused());
}

#[test]
fn after_a_change_others_may_write_and_leftovers_go() {
    let world = filled();
    let (one, other) = (world.repo(), world.repo());
    one.write_blob(b"x").unwrap();
    assert!(matches!(other.write_blob(b"y"), Err(Error::Locked(_))));
    one.settle().unwrap();
    one.update_index(&[]).unwrap();
    other.remove_leftovers().unwrap();
    let left = world.store().join(".git/vault-tmp/object-1");
    fs::write(&left, "left over").unwrap();
    one.remove_leftovers().unwrap();
    assert!(!left.exists());
    other.write_blob(b"y").unwrap();
}
