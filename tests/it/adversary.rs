//! Someone who can write to the store, or to its repository, and holds no key: every move, and the refusal it must meet.
//!
//! He knows everything that is not secret, the store's recipient included: it is no secret that anything rests on.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::world::Output;
use crate::world::World;
use crate::world::secret;
use crate::world::tool;

/// A store with `a` (twice written), `b` and `dir/c`.
fn victim() -> World {
    furnish(World::with_store())
}

fn plain_victim() -> World {
    furnish(World::with_plain_store())
}

fn furnish(world: World) -> World {
    world.add("a", secret("a, old"));
    fs::copy(world.entry("a"), world.home().join("a.old")).unwrap();
    world.add("a", secret("a"));
    world.add("b", secret("b"));
    world.add("dir/c", secret("c"));
    world
}

/// Refused for integrity, at this stage, before anything was given out.
#[track_caller]
fn refused(output: Output, stage: &str) {
    let output = output.fails_with(5).says(&format!("({stage})"));
    assert!(output.stdout.is_empty(), "{output:?}");
}

#[track_caller]
fn refuses(world: &World, args: &[&str], stage: &str) {
    refused(world.vault(args).stdin(secret("new")).run(), stage);
}

#[track_caller]
fn still_gives(world: &World, name: &str, word: &str) {
    assert_eq!(world.get(name).unwrap(), secret(word).into_bytes());
}

/// The recipient of the store key, found the way a member can: with Debian's age.
fn store_recipient(world: &World) -> String {
    let key_file = world.store().join(".vault/keys/laptop.age");
    let identity = world.identity();
    let args = [
        "-d",
        "-i",
        identity.to_str().unwrap(),
        key_file.to_str().unwrap(),
    ];
    let keys = world.program(tool("age"), &args).run().ok().text();
    let store_key = keys
        .lines()
        .find(|line| line.starts_with("AGE-SECRET-KEY-1"))
        .unwrap();
    let recipient = world
        .program(tool("age-keygen"), &["-y"])
        .stdin(store_key)
        .run();
    recipient.ok().text().trim().to_owned()
}

/// A file encrypted with Debian's age.
fn encrypted(world: &World, recipient: &str, text: &str) -> Vec<u8> {
    world
        .program(tool("age"), &["-r", recipient])
        .stdin(text)
        .run()
        .ok()
        .stdout
}

#[test]
fn a_swapped_entry_is_refused() {
    for world in [victim(), plain_victim()] {
        let (a, b) = (
            fs::read(world.entry("a")).unwrap(),
            fs::read(world.entry("b")).unwrap(),
        );
        fs::write(world.entry("a"), b).unwrap();
        fs::write(world.entry("b"), a).unwrap();
        for name in ["a", "b"] {
            refuses(&world, &["get", name], "name");
            refuses(&world, &["show", name], "name");
            refuses(&world, &["show", "--reveal", name], "name");
            let exec = world
                .vault(&["exec", "-e", &format!("V={name}"), "--", "env"])
                .run();
            let _ = exec.fails_with(125).says("(name)");
        }
        still_gives(&world, "dir/c", "c");
    }
}

#[test]
fn a_planted_entry_is_refused() {
    let world = plain_victim();
    let recipient = store_recipient(&world);
    let sig = "A".repeat(86);
    let (store, time) = (
        "format = 1\nname = \"planted\"\nrev = 9\n",
        "created = 2026-11-22T19:12:00Z\n",
    );
    let rows = [
        ("secret alone".to_owned(), "envelope"),
        (format!("{store}{time}---\nplanted"), "envelope"),
        (
            format!("{store}{time}sig = \"{sig}\"\n---\nplanted"),
            "signature",
        ),
        (
            format!("{store}sig = \"{sig}\"\n{time}---\nplanted"),
            "envelope",
        ),
        (String::new(), "envelope"),
        (
            format!("{}sig = \"{sig}\"\n---\n", "# long\n".repeat(10_000)),
            "envelope",
        ),
    ];
    for (plain, stage) in rows {
        fs::write(
            world.entry("planted"),
            encrypted(&world, &recipient, &plain),
        )
        .unwrap();
        refuses(&world, &["get", "planted"], stage);
    }
    let passphrase = "AGE-SECRET-KEY-1 is no age file at all";
    fs::write(world.entry("planted"), passphrase).unwrap();
    refuses(&world, &["get", "planted"], "envelope");
}

#[test]
fn a_payload_changed_under_a_valid_signature_is_refused() {
    let world = plain_victim();
    let recipient = store_recipient(&world);
    let keys = world.home().join("keys");
    let (identity, key_file) = (
        world.identity(),
        world.store().join(".vault/keys/laptop.age"),
    );
    let args = [
        "-d",
        "-i",
        identity.to_str().unwrap(),
        key_file.to_str().unwrap(),
    ];
    fs::write(
        &keys,
        world
            .program(tool("age"), &args)
            .run()
            .ok()
            .text()
            .split("---\n")
            .nth(1)
            .unwrap(),
    )
    .unwrap();
    let entry = world.entry("a");
    let args = ["-d", "-i", keys.to_str().unwrap(), entry.to_str().unwrap()];
    let plain = world.program(tool("age"), &args).run().ok().text();
    let (head, body) = plain.split_once("---\n").unwrap();
    let changed = [
        format!("{head}---\n{body}x"),
        format!("{head}---\nother"),
        plain.replacen("rev = 2", "rev = 3", 1),
        plain.replacen("name = \"a\"", "name = \"b\"", 1),
        plain.replacen(
            "format = 1",
            "expires = 2099-01-01T00:00:00Z\nformat = 1",
            1,
        ),
    ];
    for text in changed {
        assert_ne!(text, plain);
        fs::write(&entry, encrypted(&world, &recipient, &text)).unwrap();
        refuses(&world, &["get", "a"], "signature");
    }
    // The same text in another envelope is still what the writer signed.
    fs::write(&entry, encrypted(&world, &recipient, &plain)).unwrap();
    still_gives(&world, "a", "a");
}

#[test]
fn an_older_value_brought_back_is_refused() {
    for world in [victim(), plain_victim()] {
        fs::copy(world.home().join("a.old"), world.entry("a")).unwrap();
        refuses(&world, &["get", "a"], "revision");
        let is_git = world.store().join(".git").exists();
        let replaced = world
            .vault(&["add", "-f", "a"])
            .stdin(secret("newer"))
            .run();
        if is_git {
            let _ = replaced.fails_with(5);
            world.git(&["checkout", "-q", "--", "a.age"]);
            still_gives(&world, "a", "a");
        } else {
            let _ = replaced.fails_with(5).says("(revision)");
        }
    }
}

#[test]
fn an_entry_of_another_store_is_refused() {
    let (world, other) = (victim(), victim());
    fs::copy(other.entry("b"), world.entry("b")).unwrap();
    refuses(&world, &["get", "b"], "envelope");
    // The same, encrypted anew to this store: what is signed names the store it was signed for.
    let plain = {
        let keys = other.home().join("keys");
        let (identity, file) = (
            other.identity(),
            other.store().join(".vault/keys/laptop.age"),
        );
        let args = [
            "-d",
            "-i",
            identity.to_str().unwrap(),
            file.to_str().unwrap(),
        ];
        let text = other.program(tool("age"), &args).run().ok().text();
        fs::write(&keys, text.split("---\n").nth(1).unwrap()).unwrap();
        let entry = other.entry("b");
        let args = ["-d", "-i", keys.to_str().unwrap(), entry.to_str().unwrap()];
        other.program(tool("age"), &args).run().ok().text()
    };
    let moved = encrypted(&world, &store_recipient(&world), &plain);
    fs::write(world.entry("b"), moved).unwrap();
    refuses(&world, &["get", "b"], "signature");
}

#[test]
fn an_edited_format_file_is_refused() {
    let world = victim();
    let path = world.store().join(".vault/format");
    let text = fs::read_to_string(&path).unwrap();
    let foreign = fs::read_to_string(victim().store().join(".vault/format")).unwrap();
    let line = |text: &str, key: &str| {
        text.lines()
            .find(|line| line.starts_with(key))
            .unwrap()
            .to_owned()
    };
    let rows = [
        (
            text.replace(&line(&text, "writer"), &line(&foreign, "writer")),
            "pin",
        ),
        (
            text.replace(&line(&text, "store"), &line(&foreign, "store")),
            "pin",
        ),
        (text.replace("epoch = 1", "epoch = 2"), "pin"),
        (foreign.clone(), "pin"),
        (text.replace("format = 1", "format = 2"), "version"),
        (text.replace("\"plain\"", "\"hidden\""), "version"),
        (text.replace(&line(&text, "writer"), ""), "version"),
        (text.replace("epoch = 1", "epoch = 0"), "version"),
        (text.replace("epoch = 1", "epoch = \"1\""), "version"),
        (String::new(), "version"),
        ("\0".repeat(4097), "version"),
    ];
    for (changed, stage) in rows {
        assert_ne!(changed, text);
        fs::write(&path, &changed).unwrap();
        for args in [
            &["get", "a"][..],
            &["show", "a"],
            &["ls"],
            &["add", "-f", "a"],
        ] {
            refuses(&world, args, stage);
        }
        let exec = world.vault(&["exec", "-e", "V=a", "--", "env"]).run();
        let _ = exec.fails_with(125).says(&format!("({stage})"));
    }
    fs::write(&path, format!("{text}unknown = \"key\"\n")).unwrap();
    still_gives(&world, "a", "a");
}

#[test]
fn another_fingerprint_than_expected_is_refused() {
    let (world, other) = (victim(), victim());
    let words = |world: &World| {
        let path = world.home().join("fresh");
        let init = world
            .vault(&["init", "--no-recovery", path.to_str().unwrap()])
            .run()
            .ok();
        let line = init
            .stderr
            .lines()
            .find_map(|line| line.split_once("fingerprint: "))
            .unwrap();
        (path, line.1.to_owned())
    };
    let (path, right) = words(&world);
    let (_, wrong) = words(&other);
    let ls = |pin: &str| {
        world
            .vault(&["--store", path.to_str().unwrap(), "ls"])
            .env("AGEVAULT_PIN", pin)
            .run()
    };
    let _ = ls(&right).ok();
    refused(ls(&wrong), "pin");
    refused(ls("abandon"), "pin");
    refused(ls(right.rsplit_once('-').unwrap().0), "pin");
}

#[test]
fn replaced_key_files_are_refused() {
    let (world, other) = (plain_victim(), plain_victim());
    let file = |world: &World| world.store().join(".vault/keys/laptop.age");
    let own = fs::read(file(&world)).unwrap();
    // Another store's key file, for the same identity.
    let other_to_ours = {
        let (identity, from) = (other.identity(), file(&other));
        let args = [
            "-d",
            "-i",
            identity.to_str().unwrap(),
            from.to_str().unwrap(),
        ];
        let plain = other.program(tool("age"), &args).run().ok().text();
        encrypted(&world, &member_recipient(&world), &plain)
    };
    fs::write(file(&world), other_to_ours).unwrap();
    refuses(&world, &["get", "a"], "signature");
    // A member's key file under another member's name.
    fs::write(file(&world), &own).unwrap();
    fs::rename(file(&world), world.store().join(".vault/keys/desktop.age")).unwrap();
    refuses(&world, &["get", "a"], "member");
    fs::remove_file(world.store().join(".vault/keys/desktop.age")).unwrap();
    // Text that is no key file, encrypted to the member.
    fs::write(
        file(&world),
        encrypted(&world, &member_recipient(&world), "no key file"),
    )
    .unwrap();
    let output = world.vault(&["get", "a"]).run().fails_with(5);
    assert!(output.stdout.is_empty());
    // A key file that the member cannot open.
    fs::copy(file(&other), file(&world)).unwrap();
    let output = world.vault(&["get", "a"]).run();
    assert!(
        matches!(output.code, 4 | 5) && output.stdout.is_empty(),
        "{output:?}"
    );
    fs::write(file(&world), &own).unwrap();
    still_gives(&world, "a", "a");
}

fn member_recipient(world: &World) -> String {
    let identity = world.identity();
    let args = ["-y", identity.to_str().unwrap()];
    world
        .program(tool("age-keygen"), &args)
        .run()
        .ok()
        .text()
        .trim()
        .to_owned()
}

#[test]
fn a_member_list_of_his_making_is_refused() {
    let (world, other) = (plain_victim(), plain_victim());
    let list = |world: &World| world.store().join(".vault/members.age");
    let own = fs::read(list(&world)).unwrap();
    let recipient = store_recipient(&world);
    let forged = format!("format = 1\nrev = 2\nsig = \"{}\"\n---\n", "A".repeat(86));
    for bytes in [
        fs::read(list(&other)).unwrap(),
        encrypted(&world, &recipient, &forged),
        encrypted(&world, &recipient, "nothing signed"),
        b"no age file".to_vec(),
        fs::read(world.entry("a")).unwrap(),
    ] {
        fs::write(list(&world), bytes).unwrap();
        let output = world.vault(&["doctor"]).run();
        assert_ne!(output.code, 0, "{output:?}");
        let said = format!("{}{}", output.text(), output.stderr);
        assert!(said.contains("members.age"), "{said}");
    }
    fs::write(list(&world), own).unwrap();
    let _ = world.vault(&["doctor"]).run().ok();
}

/// W-040: a key file makes nobody a recipient.
#[test]
fn a_key_file_for_himself_is_named_by_doctor_and_opens_nothing() {
    let world = plain_victim();
    let his = World::new();
    let identity = his.write(".config/agevault/identities", {
        his.program(tool("age-keygen"), &[] as &[&str])
            .secret_stderr()
            .run()
            .ok()
            .stdout
    });
    let recipient = member_recipient(&his);
    let key_file = encrypted(&world, &recipient, "format = 1\n---\n");
    fs::write(world.store().join(".vault/keys/his.age"), key_file).unwrap();
    still_gives(&world, "a", "a");
    let output = world.vault(&["doctor"]).run();
    let said = format!("{}{}", output.text(), output.stderr);
    assert!(output.code != 0 && said.contains("his.age"), "{said}");
    let output = world
        .vault(&["get", "a"])
        .env("AGEVAULT_IDENTITY", &identity)
        .run();
    assert!(
        matches!(output.code, 4 | 5) && output.stdout.is_empty(),
        "{output:?}"
    );
}

#[test]
fn what_is_no_regular_file_is_not_opened() {
    for world in [victim(), plain_victim()] {
        let aside = world.home().join("aside");
        let (path, file) = (world.entry("a"), world.home().join("copy"));
        fs::copy(&path, &file).unwrap();
        let put = |make: &dyn Fn(&Path)| {
            let _ = fs::remove_file(&path);
            let _ = fs::remove_dir(&path);
            make(&path);
        };
        put(&|path| symlink(&file, path).unwrap());
        refuses(&world, &["get", "a"], "name");
        put(&|path| symlink("b.age", path).unwrap());
        refuses(&world, &["get", "a"], "name");
        put(&|path| symlink("/dev/zero", path).unwrap());
        refuses(&world, &["get", "a"], "name");
        put(&|path| fs::create_dir(path).unwrap());
        refuses(&world, &["get", "a"], "name");
        put(&|path| {
            let _ = world.program(tool("mkfifo"), &[path]).run().ok();
        });
        refuses(&world, &["get", "a"], "name");
        put(&|path| {
            fs::copy(&file, path).unwrap();
        });
        still_gives(&world, "a", "a");
        fs::rename(world.store().join("dir"), &aside).unwrap();
        symlink(&aside, world.store().join("dir")).unwrap();
        refuses(&world, &["get", "dir/c"], "name");
        assert_eq!(world.names(), ["a", "b"]);
        let doctor = world.vault(&["doctor"]).run();
        assert!(doctor.code != 0 && format!("{}{}", doctor.text(), doctor.stderr).contains("dir"));
        assert!(aside.join("c.age").exists());
    }
}

#[test]
fn a_linked_folder_is_not_written_through() {
    let world = plain_victim();
    let outside = world.home().join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, world.store().join("link")).unwrap();
    let output = world.vault(&["add", "link/x"]).stdin(secret("x")).run();
    assert_ne!(output.code, 0, "{output:?}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    symlink(outside.join("target"), world.store().join("l.age")).unwrap();
    let output = world.vault(&["add", "-f", "l"]).stdin(secret("x")).run();
    assert!(!outside.join("target").exists(), "{output:?}");
}

#[test]
fn hostile_names_on_the_disk_are_passed_over_and_reported() {
    let world = plain_victim();
    let good = fs::read(world.entry("a")).unwrap();
    let names = [
        "\x1b[31mred.age",
        "a\nb.age",
        "-rf.age",
        ".hidden.age",
        "nul.age",
        "x\u{202e}y.age",
        "space .age",
        "readme.txt",
        "e\u{301}.age",
        "x.age.age",
    ];
    for name in names {
        fs::write(world.store().join(name), &good).unwrap();
    }
    let bytes: &std::ffi::OsStr = OsStrExt::from_bytes(b"\xff\xfe.age");
    fs::write(world.store().join(bytes), &good).unwrap();
    assert_eq!(world.names(), ["a", "b", "dir/c"]);
    let doctor = world.vault(&["doctor"]).run();
    assert_ne!(doctor.code, 0);
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&doctor.stdout),
        doctor.stderr
    );
    for word in ["red", "-rf", "hidden", "nul", "readme.txt", "x.age.age"] {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
    still_gives(&world, "a", "a");
}

#[test]
fn names_that_clash_by_case_both_open_and_are_reported() {
    let world = plain_victim();
    fs::write(
        world.store().join("A.age"),
        fs::read(world.entry("a")).unwrap(),
    )
    .unwrap();
    still_gives(&world, "a", "a");
    refuses(&world, &["get", "A"], "name");
    let doctor = world.vault(&["doctor"]).run();
    assert!(doctor.code != 0 && format!("{}{}", doctor.text(), doctor.stderr).contains('A'));
}

#[test]
fn an_unsealed_commit_is_not_followed() {
    let world = victim();
    fs::copy(world.entry("b"), world.store().join("z.age")).unwrap();
    world.git(&["add", "-A"]);
    world.git(&["commit", "-qm", "add z"]);
    refuses(&world, &["add", "new"], "seal");
    let _ = world.vault(&["get", "a"]).run().ok().says("(seal)");
    refuses(&world, &["get", "z"], "name");
    world.git(&["reset", "-q", "--hard", "HEAD~1"]);
    world.add("new", secret("new"));
}

#[test]
fn an_unsealed_commit_that_removes_is_not_followed() {
    let world = victim();
    world.git(&["rm", "-q", "b.age"]);
    world.git(&["commit", "-qm", "remove b"]);
    refuses(&world, &["add", "new"], "seal");
    let doctor = world.vault(&["doctor"]).run();
    assert_ne!(doctor.code, 0, "{doctor:?}");
}

#[test]
fn a_sealed_commit_of_another_store_is_not_followed() {
    let (world, other) = (victim(), victim());
    let from = other.store();
    world.git(&["fetch", "-q", from.to_str().unwrap(), "HEAD"]);
    world.git(&["update-ref", "refs/heads/main", "FETCH_HEAD"]);
    let output = world.vault(&["add", "new"]).stdin(secret("new")).run();
    assert_eq!(output.code, 5, "{output:?}");
    still_gives(&world, "a", "a");
}

#[test]
fn a_rewound_head_is_not_followed() {
    let world = victim();
    let head = world.git(&["rev-parse", "HEAD"]);
    world.git(&["reset", "-q", "--hard", "HEAD~3"]);
    refuses(&world, &["add", "new"], "descent");
    refuses(&world, &["get", "a"], "revision");
    world.git(&["reset", "-q", "--hard", head.trim()]);
    still_gives(&world, "a", "a");
    world.add("new", secret("new"));
}

#[test]
fn a_branch_of_his_is_not_followed() {
    let world = victim();
    world.git(&["checkout", "-q", "-b", "his", "HEAD~2"]);
    refuses(&world, &["add", "new"], "descent");
    world.git(&["checkout", "-q", "main"]);
    world.add("new", secret("new"));
}

#[test]
fn files_that_steer_git_change_nothing() {
    let world = victim();
    for (path, text) in [
        (".gitattributes", "* text=auto eol=crlf filter=x\n"),
        (
            ".gitmodules",
            "[submodule \"x\"]\n\tpath = x\n\turl = ./x\n",
        ),
        (".gitignore", "*\n"),
    ] {
        fs::write(world.store().join(path), text).unwrap();
    }
    world.add("new", secret("new"));
    still_gives(&world, "new", "new");
    let files = world.git(&["ls-tree", "-r", "--name-only", "HEAD"]);
    assert!(
        files.contains("new.age") && !files.contains(".gitattributes"),
        "{files}"
    );
    let doctor = world.vault(&["doctor"]).run();
    let said = format!("{}{}", doctor.text(), doctor.stderr);
    assert!(
        doctor.code != 0 && said.contains(".gitattributes"),
        "{said}"
    );
}

#[test]
fn a_repository_that_would_run_programs_runs_none() {
    let world = victim();
    let touched = world.home().join("touched");
    let hook = format!("touch '{}'", touched.display());
    for name in [
        "pre-commit",
        "post-commit",
        "reference-transaction",
        "post-index-change",
        "fsmonitor-watchman",
    ] {
        let _ = world.script(
            &format!(".local/share/agevault/store/.git/hooks/{name}"),
            &hook,
        );
    }
    for (key, value) in [
        ("core.fsmonitor", hook.as_str()),
        ("core.sshCommand", &hook),
        ("core.pager", &hook),
        ("filter.x.clean", &hook),
        ("filter.x.smudge", &hook),
    ] {
        world.git(&["config", key, value]);
    }
    let _ = fs::remove_file(&touched);
    world.add("new", secret("new"));
    let _ = world.vault(&["ls"]).run();
    assert!(!touched.exists());
}

#[test]
fn a_work_tree_that_differs_from_the_commit_is_not_overwritten() {
    let world = victim();
    let foreign = fs::read(world.home().join("a.old")).unwrap();
    fs::write(world.entry("a"), &foreign).unwrap();
    world.add("other", secret("other"));
    assert_eq!(fs::read(world.entry("a")).unwrap(), foreign);
    refuses(&world, &["get", "a"], "revision");
    let doctor = world.vault(&["doctor"]).run();
    assert!(doctor.code != 0 && format!("{}{}", doctor.text(), doctor.stderr).contains("a.age"));
}

/// W-115.
#[test]
fn a_removed_entry_brought_back_is_refused() {
    for world in [victim(), plain_victim()] {
        let b = fs::read(world.entry("b")).unwrap();
        let _ = world.vault(&["rm", "-f", "b"]).run().ok();
        assert_eq!(world.get("b"), None);
        fs::write(world.entry("b"), b).unwrap();
        refuses(&world, &["get", "b"], "revision");
    }
}

#[test]
fn a_removed_file_does_not_start_a_program_without_its_token() {
    let world = World::with_store();
    world.add_with("a", secret("a"), &["--env", "A_TOKEN"]);
    world.add_with("b", secret("b"), &["--env", "B_TOKEN"]);
    fs::remove_file(world.store().join("a.age")).unwrap();
    let refused = world.vault(&["exec", "--", "true"]).run();
    let _ = refused.fails_with(125).says("\"a\" is missing");
    let _ = world.vault(&["exec", "-e", "b", "--", "true"]).run().ok();
}
