//! What must not happen to the user's machine, whatever lies in the store, and whatever is typed by mistake.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::world::Output;
use crate::world::World;
use crate::world::secret;
use crate::world::tool;

/// What a planted program leaves behind where it was run.
const MARK: &str = "planted-program-ran";

fn victim() -> World {
    let world = World::with_store();
    world.add("a", secret("a"));
    world
}

/// A bare repository whose hook leaves a mark.
fn plant_repository(world: &World, at: &Path) {
    let args = ["init", "-q", "--bare", at.to_str().unwrap()];
    world.program(tool("git"), &args).run().ok();
    let hook = at.join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, format!("#!/bin/sh\ntouch {}\n", mark(world))).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
}

fn mark(world: &World) -> String {
    world.home().join(MARK).to_str().unwrap().to_owned()
}

fn append(path: &Path, text: &str) {
    let old = fs::read_to_string(path).unwrap();
    fs::write(path, old + text).unwrap();
}

#[track_caller]
fn nothing_ran(world: &World, output: &Output) {
    assert!(!world.home().join(MARK).exists(), "{output:?}");
    assert_ne!(output.code, 0, "{output:?}");
}

#[test]
fn the_folder_of_the_store_is_not_taken_for_a_repository() {
    let world = victim();
    let store = world.store();
    for folder in ["objects", "refs"] {
        fs::create_dir(store.join(folder)).unwrap();
    }
    fs::write(store.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    let config = format!(
        "[core]\n\tbare = true\n[alias]\n\tst = !touch {}\n",
        mark(&world)
    );
    fs::write(store.join("config"), config).unwrap();
    fs::remove_file(store.join(".git/HEAD")).unwrap();
    nothing_ran(&world, &world.vault(&["git", "st"]).run());
}

#[test]
fn a_repository_planted_in_the_store_is_not_pushed_to() {
    for remote in [
        "[remote \"origin\"]\n\turl = ./.git/evil\n",
        "[remote \"origin\"]\n\turl = STORE/.git/evil\n",
        "[remote \"origin\"]\n\turl = file://STORE/.git/evil\n",
        "[remote \"origin\"]\n\turl = file://STORE/%2egit/evil\n",
        "[remote \"origin\"]\n\turl = HOME/link/evil\n",
        "[remote \"origin\"]\n\turl = /nowhere\n\tpushurl = .git/evil\n",
        "[remote \"origin\"]\n\turl = .git/evil\n[branch \"main\"]\n\tpushremote = .git/evil\n",
    ] {
        let world = victim();
        plant_repository(&world, &world.store().join(".git/evil"));
        symlink(world.store().join(".git"), world.home().join("link")).unwrap();
        let remote = remote
            .replace("STORE", world.store().to_str().unwrap())
            .replace("HOME", world.home().to_str().unwrap());
        append(&world.store().join(".git/config"), &remote);
        let output = world.vault(&["git", "push", "origin", "main"]).run();
        nothing_ran(&world, &output.fails_with(5));
    }
    let world = victim();
    plant_repository(&world, &world.store().join(".git/evil"));
    fs::create_dir(world.store().join(".git/remotes")).unwrap();
    fs::write(
        world.store().join(".git/remotes/origin"),
        "URL: .git/evil\n",
    )
    .unwrap();
    nothing_ran(
        &world,
        &world.vault(&["git", "push", "origin", "main"]).run(),
    );
    // Where there is no remote "origin", git takes the word for a path.
    let world = victim();
    plant_repository(&world, &world.store().join("origin"));
    nothing_ran(
        &world,
        &world.vault(&["git", "push", "origin", "main"]).run(),
    );
    // A folder of the user's own, elsewhere, is nobody's trick.
    let world = victim();
    let stick = world.home().join("stick.git");
    let args = ["init", "-q", "--bare", stick.to_str().unwrap()];
    world.program(tool("git"), &args).run().ok();
    let add = ["git", "remote", "add", "origin", stick.to_str().unwrap()];
    world.vault(&add).run().ok();
    world
        .vault(&["git", "push", "-q", "-u", "origin", "main"])
        .run()
        .ok();
    world.vault(&["git", "push", "-q"]).run().ok();
}

#[test]
fn a_hook_of_the_clean_up_is_refused() {
    let world = victim();
    let hook = format!("[gc]\n\trecentObjectsHook = touch {}\n", mark(&world));
    append(&world.store().join(".git/config"), &hook);
    let output = world.vault(&["git", "gc"]).run();
    nothing_ran(&world, &output.fails_with(5).says("gc.recentobjectshook"));
}

#[test]
fn a_link_inside_the_repository_leads_nowhere() {
    for link in ["vault-tmp", "logs", "logs/refs", "refs/heads", "objects"] {
        let world = victim();
        let elsewhere = world.home().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join("precious"), "x").unwrap();
        let at = world.store().join(".git").join(link);
        fs::rename(&at, world.home().join("moved")).unwrap();
        symlink(&elsewhere, &at).unwrap();
        let output = world.vault(&["add", "b"]).stdin(secret("b")).run();
        assert_ne!(output.code, 0, "{link}: {output:?}");
        let left: Vec<_> = fs::read_dir(&elsewhere).unwrap().collect();
        assert_eq!(left.len(), 1, "{link}: {left:?}");
        assert!(elsewhere.join("precious").exists(), "{link}");
        assert_eq!(world.get("a").unwrap(), secret("a").into_bytes());
    }
}

#[test]
fn an_included_pipe_does_not_hang_a_change() {
    let world = victim();
    let pipe = world.home().join("pipe");
    world
        .program(tool("mkfifo"), &[pipe.to_str().unwrap()])
        .run()
        .ok();
    let include = format!("[include]\n\tpath = {}\n", pipe.display());
    append(&world.store().join(".git/config"), &include);
    let args = ["20", crate::world::VAULT, "add", "b"];
    let run = world.program(tool("timeout"), &args).stdin(secret("b"));
    let output = run.run();
    // The search for the canary would read it.
    fs::remove_file(&pipe).unwrap();
    output.ok();
}

#[test]
fn folders_deeper_than_any_name_are_passed_over() {
    let world = victim();
    // Three hundred folders of two hundred bytes: no path is long enough for the lowest.
    let script = "cd \"$1\" && n=$(printf %0200d 0) && for i in $(seq 300); do mkdir $n && cd -P ./$n || exit 1; done";
    let store = world.store();
    let args = ["-c", script, "sh", store.to_str().unwrap()];
    let _ = world.program(tool("sh"), &args).run();
    assert_eq!(world.vault(&["ls", "--flat"]).run().ok().text(), "a\n");
    world.add("b", secret("b"));
    let output = world.vault(&["doctor"]).run().fails_with(1);
    assert!(
        output.text().contains("deeper than any entry"),
        "{output:?}"
    );
    fs::rename(world.store(), world.home().join("s")).unwrap();
    let args = ["-rf", world.home().join("s").to_str().unwrap()].map(str::to_owned);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    world.program(tool("rm"), &args).run().ok();
}

#[test]
fn a_secret_given_as_an_argument_is_not_said_again() {
    let world = victim();
    for line in [
        ["add", "x", "ghp-pasted-token"],
        ["add", "x", "--ghp-pasted-token-that-is-long"],
        ["generate", "x", "ghp-pasted-token"],
        ["get", "x", "ghp-pasted-token"],
        ["exec", "X=ghp-pasted-token", "--"],
    ] {
        let output = world.vault(&line).stdin(secret("x")).run();
        assert!([2, 125].contains(&output.code), "{output:?}");
        assert!(!output.stderr.contains("pasted"), "{output:?}");
    }
    // A mistyped option is still named.
    world
        .vault(&["ls", "--falt"])
        .run()
        .fails_with(2)
        .says("--flat");
}

#[test]
fn a_pin_that_is_set_and_empty_is_not_passed_over() {
    use std::os::unix::ffi::OsStrExt;
    let world = victim();
    for words in [&b""[..], b"\xff", b"x"] {
        let words = std::ffi::OsStr::from_bytes(words);
        let output = world.vault(&["get", "a"]).env("AGEVAULT_PIN", words).run();
        assert!(output.fails_with(5).says("(pin)").stdout.is_empty());
    }
    let odd = std::ffi::OsStr::from_bytes(b"/tmp/\xff");
    let output = world.vault(&["ls"]).env("AGEVAULT_STORE", odd).run();
    output.fails_with(1).says("AGEVAULT_STORE is not UTF-8");
}

#[test]
fn json_has_nothing_that_a_terminal_obeys() {
    let world = victim();
    fs::write(world.store().join("odd\u{9b}31m\u{202e}x"), "").unwrap();
    let text = world
        .vault(&["doctor", "--json", "--no-unlock"])
        .run()
        .fails_with(1)
        .text();
    assert!(text.contains("odd\\u009b31m\\u202ex"), "{text}");
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["findings"][0]["subject"], "odd\u{9b}31m\u{202e}x");
}

#[test]
fn a_revision_that_cannot_rise_is_refused_and_nothing_is_written() {
    let world = victim();
    // The shards are found by a digest of the name: every one of them says it.
    let store = fs::read_dir(world.state().join("stores")).unwrap().next();
    let revs = store.unwrap().unwrap().path().join("revs");
    for number in 0..256 {
        let line = format!("{} b\n", i64::MAX);
        append_or_make(&revs.join(format!("{number:02x}")), &line);
    }
    let output = world.vault(&["add", "b"]).stdin(secret("b")).run();
    output.fails_with(5).says("(revision)");
    assert!(!world.entry("b").exists());
}

fn append_or_make(path: &Path, text: &str) {
    let old = fs::read_to_string(path).unwrap_or_default();
    fs::write(path, old + text).unwrap();
}
