//! A new epoch on other devices: taken on a person's word, with nothing of theirs lost; and an ex-member with old keys and write access
//! to the remote, who gets nowhere. W-090, W-091 and W-092.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use agevault::format::Epoch;
use agevault::format::keys::KeyFile;
use agevault::format::seal;

use crate::members::fingerprint;
use crate::terminal;
use crate::world::Output;
use crate::world::World;
use crate::world::secret;
use crate::world::tool;

/// A remote, the device that began the store, and two more.
struct Team {
    a: World,
    b: World,
    c: World,
    remote: PathBuf,
}

fn sync(world: &World) -> Output {
    world.vault(&["sync"]).run()
}

/// A device whose key has been let in.
fn device(a: &World, remote: &Path, name: &str) -> World {
    let world = World::new();
    let url = remote.to_str().unwrap();
    let cloned = world.vault(&["clone", url, "--no-passphrase"]).run().ok();
    let key = cloned.text().trim().to_owned();
    a.vault(&["members", "add", name, &key]).run().ok();
    sync(a).ok();
    sync(&world).ok();
    world
}

impl Team {
    fn new() -> Self {
        let a = World::with_store();
        a.add("one", secret("one"));
        a.add("two", secret("two"));
        let remote = a.home().join("remote.git");
        let args = [
            "init",
            "-q",
            "--bare",
            "-b",
            "main",
            remote.to_str().unwrap(),
        ];
        a.program(tool("git"), &args).run().ok();
        a.vault(&["remote", "add", remote.to_str().unwrap()])
            .run()
            .ok();
        sync(&a).ok();
        let b = device(&a, &remote, "phone");
        let c = device(&a, &remote, "tablet");
        sync(&b).ok();
        Self { a, b, c, remote }
    }

    /// The member of `b` is taken out, and the remote knows it; the words of the new epoch.
    fn expel_b(&self) -> String {
        self.a.vault(&["members", "remove", "phone"]).run().ok();
        sync(&self.a).ok();
        fingerprint(&self.a)
    }
}

fn trust(world: &World, words: &str) -> Output {
    world.vault(&["trust", words]).run()
}

/// Everything that lies in a store, and where its branch is.
fn snapshot(world: &World) -> (BTreeMap<PathBuf, Vec<u8>>, String) {
    let mut files = BTreeMap::new();
    for item in walkdir::WalkDir::new(world.store()) {
        let path = item.unwrap().into_path();
        if path.is_file() && !path.components().any(|part| part.as_os_str() == ".git") {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    (files, world.git(&["rev-parse", "HEAD"]))
}

/// A store that is as it should be.
#[track_caller]
fn sound(world: &World) {
    world.vault(&["doctor"]).run().ok();
    assert_eq!(world.git(&["status", "--porcelain"]), "");
    world.git(&["fsck", "--strict", "--no-dangling"]);
}

#[track_caller]
fn gives(world: &World, name: &str, word: &str) {
    assert_eq!(world.get(name), Some(secret(word).into_bytes()), "{name}");
}

#[test]
fn a_device_follows_on_the_right_words_alone() {
    let team = Team::new();
    let old = fingerprint(&team.a);
    let words = team.expel_b();
    let before = snapshot(&team.c);
    let _ = sync(&team.c).fails_with(5).says("(pin)");
    let _ = trust(&team.c, &old).fails_with(5).says("(pin)");
    let _ = team
        .c
        .vault(&["trust"])
        .run()
        .fails_with(5)
        .says("nobody has compared");
    let _ = trust(&team.c, "one two three").fails_with(2);
    assert_eq!(snapshot(&team.c), before);
    gives(&team.c, "one", "one");
    let _ = trust(&team.c, &words).ok().says("epoch 2");
    assert_eq!(fingerprint(&team.c), words);
    let _ = trust(&team.c, &words).ok().says("no new epoch");
    gives(&team.c, "one", "one");
    team.c.add("three", secret("three"));
    sync(&team.c).ok();
    sync(&team.a).ok();
    gives(&team.a, "three", "three");
    sound(&team.a);
    sound(&team.c);
    // The words may be given as they are read out.
    team.a.vault(&["members", "rotate-key"]).run().ok();
    team.a.vault(&["members", "rotate-key"]).run().ok();
    sync(&team.a).ok();
    let words = fingerprint(&team.a).replace('-', " ");
    let words: Vec<&str> = words.split(' ').collect();
    let args = [&["trust"], words.as_slice()].concat();
    team.c.vault(&args).run().ok().says("epoch 4");
    gives(&team.c, "three", "three");
    let log = team.c.vault(&["log", "one"]).run().ok().text();
    assert_eq!(log.lines().count(), 4, "{log}");
}

#[test]
fn work_that_nobody_has_seen_is_carried_over() {
    let team = Team::new();
    let (a, c) = (&team.a, &team.c);
    c.add("mine", secret("mine"));
    c.add("one", secret("one of c"));
    c.add("two", secret("two of c"));
    c.add("two", secret("two of c, again"));
    let key = crate::members::ssh_key(c, "watch");
    let public = fs::read_to_string(format!("{}.pub", key.display())).unwrap();
    c.vault(&["members", "add", "watch", &public]).run().ok();
    a.add("two", secret("two of a"));
    a.add("theirs", secret("theirs"));
    let words = team.expel_b();
    let _ = trust(c, &words)
        .ok()
        .says("carried over: mine")
        .says("the member watch was added in the old epoch and is not carried over");
    // Whoever was removed holds the old keys, and could have sealed his own return.
    assert!(!c.store().join(".vault/keys/watch.age").exists());
    gives(c, "mine", "mine");
    gives(c, "one", "one of c");
    gives(c, "theirs", "theirs");
    let both = |world: &World| {
        let names = world.names();
        let beside = names
            .iter()
            .find(|name| name.starts_with("two.conflict-"))
            .expect("both values");
        let mut values = vec![world.get("two").unwrap(), world.get(beside).unwrap()];
        values.sort();
        values
    };
    let expected = ["two of a", "two of c, again"].map(|word| secret(word).into_bytes());
    assert_eq!(both(c), expected);
    sound(c);
    sync(c).ok();
    sync(a).ok();
    assert_eq!(both(a), expected);
    gives(a, "mine", "mine");
    sound(a);
}

#[test]
fn a_removal_that_nobody_has_seen_is_carried_over_and_an_edit_outlives_one() {
    let team = Team::new();
    let (a, c) = (&team.a, &team.c);
    a.add("three", secret("three"));
    sync(a).ok();
    sync(c).ok();
    c.vault(&["rm", "-f", "one"]).run().ok();
    c.add("two", secret("two of c"));
    c.vault(&["rm", "-f", "two"]).run().ok();
    c.add("three", secret("three of c"));
    a.add("two", secret("two of a"));
    a.vault(&["rm", "-f", "three"]).run().ok();
    let words = team.expel_b();
    trust(c, &words).ok();
    assert_eq!(c.get("one"), None);
    gives(c, "two", "two of a");
    gives(c, "three", "three of c");
    sound(c);
    sync(c).ok();
    sync(a).ok();
    assert_eq!(a.names(), c.names());
    sound(a);
}

#[test]
fn a_pull_by_git_is_noticed_and_then_trusted() {
    let team = Team::new();
    let words = team.expel_b();
    team.c
        .git(&["pull", "-q", team.remote.to_str().unwrap(), "main"]);
    let _ = team
        .c
        .vault(&["get", "one"])
        .run()
        .fails_with(5)
        .says("(pin)")
        .says("vault trust");
    let _ = team
        .c
        .vault(&["add", "x"])
        .stdin(secret("x"))
        .run()
        .fails_with(5);
    trust(&team.c, &words).ok();
    gives(&team.c, "one", "one");
    team.c.vault(&["doctor", "--repair"]).run().ok();
    sound(&team.c);
}

#[test]
fn work_survives_a_branch_that_git_has_set_to_the_new_epoch() {
    let team = Team::new();
    team.c.add("mine", secret("mine"));
    team.c.add("one", secret("one of c"));
    let words = team.expel_b();
    let remote = team.remote.to_str().unwrap();
    team.c.git(&["fetch", "-q", remote, "main"]);
    team.c.git(&["reset", "-q", "--hard", "FETCH_HEAD"]);
    let _ = trust(&team.c, &words)
        .ok()
        .says("carried over: mine")
        .says("carried over: one");
    gives(&team.c, "mine", "mine");
    gives(&team.c, "one", "one of c");
    team.c.vault(&["doctor", "--repair"]).run().ok();
    sound(&team.c);
    sync(&team.c).ok();
}

#[test]
fn a_store_that_is_copied_about_is_trusted_by_its_files() {
    let a = World::with_plain_store();
    a.add("one", secret("one"));
    let b = World::new();
    let key = crate::members::ssh_key(&b, "id");
    let public = fs::read_to_string(format!("{}.pub", key.display())).unwrap();
    a.vault(&["members", "add", "phone", &public]).run().ok();
    let copy = || {
        let _ = fs::remove_dir_all(b.store());
        fs::create_dir_all(b.store().parent().unwrap()).unwrap();
        let (from, to) = (a.store(), b.store());
        let args = ["-a", from.to_str().unwrap(), to.to_str().unwrap()];
        b.program("cp", &args).run().ok();
    };
    let get = || {
        b.vault(&["get", "one"])
            .env("AGEVAULT_IDENTITY", &key)
            .run()
    };
    let trust = |words: &str| {
        b.vault(&["trust", words])
            .env("AGEVAULT_IDENTITY", &key)
            .run()
    };
    copy();
    get().ok();
    a.vault(&["members", "rotate-key"]).run().ok();
    let words = fingerprint(&a);
    let old = fs::read(b.entry("one")).unwrap();
    copy();
    let _ = get().fails_with(5).says("(pin)");
    // One that is still of the epoch before is named, and nothing is taken.
    let new = fs::read(b.entry("one")).unwrap();
    fs::write(b.entry("one"), old).unwrap();
    let _ = trust(&words)
        .fails_with(5)
        .says("\"one\"")
        .says("(envelope)");
    fs::write(b.entry("one"), new).unwrap();
    trust(&words).ok();
    get().ok();
}

#[test]
fn a_member_who_is_gone_cannot_follow() {
    let team = Team::new();
    let words = team.expel_b();
    let before = snapshot(&team.b);
    let _ = trust(&team.b, &words).fails_with(4).says("removed");
    assert_eq!(snapshot(&team.b), before);
}

#[test]
fn without_words_on_a_terminal_they_are_shown_and_asked_about() {
    let team = Team::new();
    let words = team.expel_b();
    for (answer, code, epoch) in [("n\r", 1, 1), ("y\r", 0, 2)] {
        let mut pty = terminal::vault(&team.c, &["trust"]);
        pty.expect(&words, terminal::SOON);
        pty.expect("Does vault status show these words", terminal::SOON);
        pty.send(answer);
        let _ = terminal::ends(pty, code);
        let status = team.c.vault(&["status", "--json"]).run().ok().text();
        assert!(status.contains(&format!("\"epoch\": {epoch}")), "{status}");
    }
}

/// The head of the remote, and where an ex-member or another device puts it.
fn at(team: &Team) -> String {
    let args = ["rev-parse", "main"];
    let run = team.a.program(tool("git"), &args).cwd(&team.remote).run();
    run.ok().text().trim().to_owned()
}

fn rewind(team: &Team, commit: &str) {
    let args = ["update-ref", "refs/heads/main", commit];
    let run = team.a.program(tool("git"), &args).cwd(&team.remote).run();
    run.ok();
}

/// He rewinds the remote, and pushes to a device that has not heard of his removal. F-092.
#[test]
fn what_an_ex_member_has_slipped_in_is_not_carried_over() {
    let team = Team::new();
    let (a, b, c) = (&team.a, &team.b, &team.c);
    let before = at(&team);
    let words = team.expel_b();
    let after = at(&team);
    rewind(&team, &before);
    b.add("planted", secret("planted"));
    b.add("one", secret("one of b"));
    b.add("two", secret("two of b"));
    sync(b).ok();
    c.add("mine", secret("mine"));
    sync(c).ok();
    c.vault(&["tag", "two", "--tag", "c"]).run().ok();
    rewind(&team, &after);
    let _ = sync(c).fails_with(5).says("(descent)").says("vault trust");
    let snapshot_before = snapshot(c);
    let refused = trust(c, &words).fails_with(5).says("(descent)");
    let refused = refused.says("changed there: one, planted, two");
    let (_, hint) = refused
        .stderr
        .split_once("--without ")
        .expect("the way out");
    let newest = hint.split_whitespace().next().unwrap().to_owned();
    // Forgetting the remote forgets nothing of that.
    c.vault(&["remote", "remove", "origin"]).run().ok();
    c.vault(&["remote", "add", team.remote.to_str().unwrap()])
        .run()
        .ok();
    let _ = trust(c, &words).fails_with(5).says("(descent)");
    let without = |commit: &str| c.vault(&["trust", &words, "--without", commit]).run();
    let _ = without(&after).fails_with(5);
    let _ = without("12").fails_with(2);
    assert_eq!(snapshot(c), snapshot_before);
    let _ = without(&newest)
        .ok()
        .says("carried over: mine")
        .says("planted: changed from elsewhere")
        .says("two: changed from elsewhere in the old epoch and then here");
    gives(c, "mine", "mine");
    gives(c, "one", "one");
    gives(c, "two", "two");
    assert_eq!(c.get("planted"), None);
    let names = c.names();
    let beside = names.iter().find(|name| name.starts_with("two.conflict-"));
    gives(c, beside.expect("kept beside"), "two of b");
    assert_eq!(names.len(), 4, "{names:?}");
    sound(c);
    sync(c).ok();
    sync(a).ok();
    assert_eq!(a.names(), names);
    sound(a);
}

/// Another device has pushed with the old keys while the epoch was begun offline: nothing of either is lost. F-092.
#[test]
fn an_epoch_begun_beside_a_push_takes_its_place_and_the_push_is_carried_over() {
    let team = Team::new();
    let (a, c) = (&team.a, &team.c);
    a.vault(&["members", "remove", "phone", "--offline"])
        .run()
        .ok();
    let words = fingerprint(a);
    c.add("mine", secret("mine"));
    sync(c).ok();
    let over = at(&team);
    let _ = sync(a).fails_with(5).says("(pin)").says("--accept-rewrite");
    let _ = a
        .vault(&["sync", "--accept-rewrite", &"0".repeat(40)])
        .run()
        .fails_with(5);
    let accept = |flags: &[&str]| {
        let args = [&["sync", "--accept-rewrite", &over], flags].concat();
        a.vault(&args).run().ok()
    };
    let _ = accept(&["--dry-run"]).says("1 commit would go");
    assert_eq!(at(&team), over);
    let _ = accept(&[]).says("1 commit went");
    let _ = sync(c).fails_with(5).says("vault trust");
    let _ = trust(c, &words).ok().says("carried over: mine");
    sync(c).ok();
    sync(a).ok();
    gives(a, "mine", "mine");
    sound(a);
    sound(c);
}

/// Someone who was a member: his old keys, and a clone of the remote to push from.
struct ExMember<'t> {
    team: &'t Team,
    keys: KeyFile,
    clone: PathBuf,
}

impl<'t> ExMember<'t> {
    fn new(team: &'t Team) -> Self {
        let world = &team.b;
        let format = fs::read(world.store().join(".vault/format")).unwrap();
        let epoch = Epoch::parse(&format).unwrap();
        let file = world.store().join(".vault/keys/phone.age");
        let args = [
            "-d",
            "-i",
            world.identity().to_str().unwrap(),
            file.to_str().unwrap(),
        ]
        .map(str::to_owned);
        let plain = world.program(tool("age"), &args).run().ok().stdout;
        let plain = agevault::secret::Secret::new(plain);
        let keys = KeyFile::parse(plain, &epoch, "phone").unwrap();
        let clone = world.home().join("attack");
        let clone_args = [
            "clone",
            "-q",
            team.remote.to_str().unwrap(),
            clone.to_str().unwrap(),
        ];
        world.program(tool("git"), &clone_args).run().ok();
        Self { team, keys, clone }
    }

    fn git(&self, args: &[&str], stdin: &[u8]) -> String {
        let run = self.team.b.program(tool("git"), args).cwd(&self.clone);
        run.stdin(stdin).run().ok().text().trim().to_owned()
    }

    /// A commit of the index, sealed with his old writer key.
    fn sealed(&self, parent: &str, message: &str) -> String {
        let tree = self.git(&["write-tree"], b"");
        let who = "Octo Cat <octo@example.org> 1795374720 +0000";
        let text =
            format!("tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\n{message}\n");
        let key = self.keys.writer_key.as_ref().unwrap();
        let raw = seal::seal(text.as_bytes(), &self.keys.epoch, key);
        self.git(&["hash-object", "-w", "-t", "commit", "--stdin"], &raw)
    }

    fn add(&self, path: &str, bytes: &[u8]) {
        let id = self.git(&["hash-object", "-w", "--stdin"], bytes);
        let info = format!("100644,{id},{path}");
        self.git(&["update-index", "--add", "--cacheinfo", &info], b"");
    }

    fn push(&self, commit: &str) {
        let refspec = format!("+{commit}:refs/heads/main");
        self.git(&["push", "-q", "origin", &refspec], b"");
    }

    fn file(&self, commit: &str, path: &str) -> Vec<u8> {
        let run = self
            .team
            .b
            .program(tool("git"), &["show", &format!("{commit}:{path}")]);
        run.cwd(&self.clone).run().ok().stdout
    }
}

/// Each move of his against a device that has followed the new epoch, and how it refuses.
#[test]
fn an_ex_member_with_old_keys_gets_nowhere() {
    let team = Team::new();
    let words = team.expel_b();
    trust(&team.c, &words).ok();
    let attacker = ExMember::new(&team);
    let head = attacker.git(&["rev-parse", "HEAD"], b"");
    let moves = moves(&attacker, &head);
    let before = snapshot(&team.c);
    for (what, commit, stage) in moves {
        attacker.push(&commit);
        let output = sync(&team.c);
        assert_eq!(output.code, 5, "{what}: {output:?}");
        assert!(
            output.stderr.contains(&format!("({stage})")),
            "{what}: {output:?}"
        );
        let output = trust(&team.c, &words);
        assert!(
            output.code == 5 || output.stderr.contains("no new epoch"),
            "{what}: {output:?}"
        );
        assert_eq!(snapshot(&team.c), before, "{what}");
    }
    gives(&team.c, "one", "one");
    sound(&team.c);
    attacker.push(&head);
    sync(&team.c).ok();
}

/// What he tries on top of the head, beside it and instead of it; and what refuses it.
fn moves(attacker: &ExMember<'_>, head: &str) -> Vec<(&'static str, String, &'static str)> {
    let last = attacker.git(&["rev-parse", "HEAD~1"], b"");
    let own_epoch = own_epoch(attacker, &last);
    vec![
        (
            "an entry, sealed with the old writer key",
            {
                attacker.git(&["read-tree", head], b"");
                attacker.add("planted.age", &attacker.file(&last, "one.age"));
                attacker.sealed(head, "add planted")
            },
            "seal",
        ),
        (
            "his key file again, sealed with the old writer key",
            {
                attacker.git(&["read-tree", head], b"");
                attacker.add(
                    ".vault/keys/phone.age",
                    &attacker.file(&last, ".vault/keys/phone.age"),
                );
                attacker.sealed(head, "add the member phone")
            },
            "seal",
        ),
        (
            "the old format file on top",
            {
                attacker.git(&["read-tree", head], b"");
                attacker.add(".vault/format", &attacker.file(&last, ".vault/format"));
                attacker.sealed(head, "back to epoch 1")
            },
            "pin",
        ),
        (
            "the whole tree of the old epoch on top",
            {
                attacker.git(&["read-tree", &last], b"");
                attacker.sealed(head, "back to epoch 1")
            },
            "pin",
        ),
        ("the new commit withdrawn", last.clone(), "descent"),
        (
            "an epoch of his own beside the real one",
            own_epoch,
            "descent",
        ),
        (
            "a commit of the old epoch beside the new one",
            {
                attacker.git(&["read-tree", &last], b"");
                attacker.add("planted.age", &attacker.file(&last, "one.age"));
                attacker.sealed(&last, "add planted")
            },
            "descent",
        ),
    ]
}

/// A new epoch that he makes of his own, by the program itself, and its head.
fn own_epoch(attacker: &ExMember<'_>, last: &str) -> String {
    let world = &attacker.team.b;
    assert_eq!(world.git(&["rev-parse", "HEAD"]).trim(), last);
    world
        .vault(&["members", "rotate-key", "--offline"])
        .run()
        .ok();
    let store = world.store();
    attacker.git(&["fetch", "-q", store.to_str().unwrap(), "main"], b"");
    world.git(&["rev-parse", "HEAD"]).trim().to_owned()
}

#[test]
fn an_epoch_of_an_ex_member_is_not_taken_for_the_real_one() {
    let team = Team::new();
    let words = team.expel_b();
    let attacker = ExMember::new(&team);
    let last = attacker.git(&["rev-parse", "HEAD~1"], b"");
    let his = own_epoch(&attacker, &last);
    attacker.push(&his);
    let before = snapshot(&team.c);
    // `c` is in epoch 1 still: it gets his epoch instead of the real one, and the words do not fit.
    let _ = sync(&team.c).fails_with(5).says("(pin)");
    let _ = trust(&team.c, &words).fails_with(5).says("(pin)");
    assert_eq!(snapshot(&team.c), before);
    // `a` began the real one: even the words of his do not help him.
    let his_words = fingerprint(&team.b);
    let _ = trust(&team.a, &his_words).fails_with(5).says("(pin)");
    team.b
        .vault(&["members", "rotate-key", "--offline"])
        .run()
        .ok();
    let his = team.b.git(&["rev-parse", "HEAD"]).trim().to_owned();
    attacker.git(
        &["fetch", "-q", team.b.store().to_str().unwrap(), "main"],
        b"",
    );
    attacker.push(&his);
    let his_words = fingerprint(&team.b);
    let _ = trust(&team.a, &his_words).fails_with(5).says("(member)");
    gives(&team.a, "one", "one");
    sound(&team.a);
}

#[test]
fn of_two_epochs_begun_apart_one_gives_way_and_loses_nothing() {
    let team = Team::new();
    let (a, b) = (&team.a, &team.b);
    b.add("unpushed", secret("unpushed"));
    for world in [a, b] {
        let rotate = ["members", "rotate-key", "--offline"];
        world.vault(&rotate).run().ok();
    }
    sync(a).ok();
    let words = fingerprint(a);
    let before = snapshot(b);
    let _ = sync(b)
        .fails_with(5)
        .says("(pin)")
        .says("vault clone URL DIR --expect");
    let _ = trust(b, &words)
        .fails_with(5)
        .says("vault clone URL DIR --expect");
    assert_eq!(snapshot(b), before);
    let beside = b.home().join("beside");
    let (url, beside) = (team.remote.to_str().unwrap(), beside.to_str().unwrap());
    let clone = ["clone", url, beside, "--expect", &words];
    b.vault(&clone).run().ok();
    let there = |args: &[&str]| b.vault(&[&["-S", beside], args].concat());
    let value = b.vault(&["get", "unpushed"]).run().ok().stdout;
    there(&["add", "unpushed"]).stdin(value).run().ok();
    there(&["sync"]).run().ok();
    sync(a).ok();
    gives(a, "unpushed", "unpushed");
}

#[test]
fn an_ex_member_with_the_disk_gets_nowhere() {
    let team = Team::new();
    let words = team.expel_b();
    trust(&team.c, &words).ok();
    let old = |path: &str| fs::read(team.b.store().join(path)).unwrap();
    let put = |path: &str, bytes: &[u8]| fs::write(team.c.store().join(path), bytes).unwrap();
    let good = |path: &str| fs::read(team.c.store().join(path)).unwrap();
    let (format, one) = (good(".vault/format"), good("one.age"));
    put("one.age", &old("one.age"));
    let _ = team
        .c
        .vault(&["get", "one"])
        .run()
        .fails_with(5)
        .says("(envelope)");
    put("one.age", &one);
    put(".vault/format", &old(".vault/format"));
    let _ = team
        .c
        .vault(&["get", "one"])
        .run()
        .fails_with(5)
        .says("(pin)");
    put(".vault/format", &format);
    put(".vault/keys/phone.age", &old(".vault/keys/phone.age"));
    let stolen = team
        .c
        .vault(&["get", "one"])
        .env("AGEVAULT_IDENTITY", team.b.identity())
        .run();
    let _ = stolen.fails_with(5).says("(signature)");
    fs::remove_file(team.c.store().join(".vault/keys/phone.age")).unwrap();
    sound(&team.c);
}
