//! What `vault plugins` writes into git's configuration, and takes out again.

use crate::credential::get;
use crate::world::World;
use crate::world::secret;
use crate::world::tool;

fn git(world: &World, args: &[&str]) -> String {
    world.program(tool("git"), args).run().ok().text()
}

fn install(world: &World, flags: &[&str]) {
    world
        .vault(&[&["plugins", "install", "git"], flags].concat())
        .run()
        .ok();
}

#[test]
fn installing_is_taken_back_whole() {
    let world = World::new();
    let settings = || std::fs::read_to_string(world.home().join(".gitconfig")).unwrap();
    let before = settings();
    let shown = world
        .vault(&["plugins", "install", "git", "-n"])
        .run()
        .ok()
        .text();
    assert!(
        shown.contains("git-credential\"") && shown.contains("include.path"),
        "{shown}"
    );
    assert_eq!(settings(), before);
    install(&world, &["--host", "github.com"]);
    install(&world, &[]);
    let json = world
        .vault(&["plugins", "list", "--json"])
        .run()
        .ok()
        .text();
    assert!(json.contains("\"for\": \"every host\""), "{json}");
    let _ = world
        .vault(&["plugins", "remove", "git"])
        .run()
        .ok()
        .says("no longer");
    assert_eq!(settings().trim(), before.trim());
    assert!(
        !world
            .home()
            .join(".config/agevault/vault.gitconfig")
            .exists()
    );
    let _ = world
        .vault(&["plugins", "remove", "git"])
        .run()
        .ok()
        .says("was not installed");
    let _ = world
        .vault(&["plugins", "list"])
        .run()
        .ok()
        .says("nothing is installed");
    for wrong in ["https://me@github.com", "github.com/me", "", "a b"] {
        let args = ["plugins", "install", "git", "--host", wrong];
        world.vault(&args).run().fails_with(2);
    }
}

#[test]
fn for_its_hosts_it_is_the_only_helper_and_for_others_none() {
    let world = World::new();
    install(&world, &["--host", "github.com"]);
    install(&world, &["--host", "h:8443", "--paths"]);
    install(&world, &["--host", "h:8443"]);
    let listed = world.vault(&["plugins", "list"]).run().ok().text();
    assert!(
        listed.starts_with("git\tglobal\thttps://github.com https://h:8443\t"),
        "{listed}"
    );
    let included = git(&world, &["config", "--get-all", "include.path"]);
    assert_eq!(included.lines().count(), 1);
    git(
        &world,
        &[
            "config",
            "--global",
            "credential.helper",
            "!echo password=other; true",
        ],
    );
    let of = |url: &str| {
        let args = ["config", "--get-urlmatch", "credential.helper", url];
        world.program(tool("git"), &args).run().text()
    };
    assert!(of("https://github.com/me/x").contains("git-credential"));
    assert!(!of("https://github.com.evil.example/me/x").contains("git-credential"));
}

#[test]
fn a_repository_may_have_its_own() {
    let world = World::with_store();
    world.add_with(
        "a",
        secret("a"),
        &["--url", "https://h", "--username", "me"],
    );
    let _ = world
        .vault(&["plugins", "install", "git", "--local"])
        .run()
        .fails_with(1)
        .says("no repository here");
    git(&world, &["init", "--quiet", "one"]);
    let here = world.home().join("one");
    let vault = |args: &[&str]| world.vault(args).cwd(&here).run();
    vault(&["plugins", "install", "git", "--local"]).ok();
    // Wherever it is moved to.
    std::fs::rename(&here, world.home().join("two")).unwrap();
    let here = world.home().join("two");
    let fill = || {
        let run = world
            .program(tool("git"), &["credential", "fill"])
            .cwd(&here);
        let run = run
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin("protocol=https\nhost=h\n\n");
        run.run()
    };
    assert!(fill().ok().text().contains(&secret("a")));
    let vault = |args: &[&str]| world.vault(args).cwd(&here).run();
    assert!(
        vault(&["plugins", "list"])
            .ok()
            .text()
            .starts_with("git\tlocal\tevery host\t")
    );
    vault(&["plugins", "remove", "git", "--local"]).ok();
    fill().fails_with(128);
}

#[test]
fn a_path_with_odd_characters_and_a_named_store_are_called_all_the_same() {
    let world = World::new();
    let odd = world.home().join("it's \"my\" $HOME; bin");
    std::fs::create_dir(&odd).unwrap();
    let program = odd.join("vault");
    crate::world::install(crate::world::VAULT.as_ref(), &program);
    let store = world.home().join("my store");
    let store = store.to_str().unwrap();
    let run = |args: &[&str]| world.program(&program, &[&["--store", store], args].concat());
    run(&[
        "init",
        "--no-passphrase",
        "--no-recovery",
        "--member",
        "laptop",
    ])
    .run()
    .ok();
    run(&["add", "a", "--url", "https://h", "--username", "me"])
        .stdin(secret("a"))
        .run()
        .ok();
    run(&["plugins", "install", "git"]).run().ok();
    let fill = world
        .program(tool("git"), &["credential", "fill"])
        .env("GIT_TERMINAL_PROMPT", "0");
    let filled = fill.stdin("protocol=https\nhost=h\n\n").run().ok().text();
    assert!(filled.contains(&secret("a")), "{filled}");
}

#[test]
fn ssh_remotes_become_https_ones_and_come_back() {
    let world = World::new();
    git(&world, &["init", "--quiet", "x"]);
    let here = world.home().join("x");
    let git = |args: &[&str]| {
        world
            .program(tool("git"), args)
            .cwd(&here)
            .run()
            .ok()
            .text()
    };
    for (name, url) in [
        ("origin", "git@github.com:me/x.git"),
        ("port", "ssh://git@git.example.org:2222/me/x.git"),
        ("alias", "work:me/x.git"),
        ("web", "https://github.com/other/x.git"),
        ("disk", "/srv/git/x.git"),
    ] {
        git(&["remote", "add", name, url]);
    }
    git(&[
        "config",
        "remote.origin.pushurl",
        "git@github.com:me/fork.git",
    ]);
    let before = std::fs::read_to_string(here.join(".git/config")).unwrap();
    let vault = |args: &[&str]| world.vault(args).cwd(&here).run();
    let shown = vault(&["plugins", "git-https", "-n"])
        .ok()
        .says("alias stays as it is")
        .text();
    assert_eq!(shown.lines().count(), 3, "{shown}");
    let _ = vault(&["plugins", "git-https"])
        .fails_with(1)
        .says("nobody can be asked, nothing is changed");
    assert_eq!(
        std::fs::read_to_string(here.join(".git/config")).unwrap(),
        before
    );
    vault(&["plugins", "git-https", "--yes"]).ok();
    let remotes = git(&["remote", "-v"]);
    for expected in [
        "origin\thttps://github.com/me/x.git (fetch)",
        "origin\thttps://github.com/me/fork.git (push)",
        "port\thttps://git.example.org/me/x.git (fetch)",
        "alias\twork:me/x.git (fetch)",
        "disk\t/srv/git/x.git (fetch)",
    ] {
        assert!(remotes.contains(expected), "{expected}: {remotes}");
    }
    let _ = vault(&["plugins", "git-https", "--yes"]).ok();
    vault(&[
        "plugins",
        "git-https",
        "--back",
        "--yes",
        "--remote",
        "origin",
        "--remote",
        "port",
    ])
    .ok();
    let after = std::fs::read_to_string(here.join(".git/config")).unwrap();
    assert_eq!(after, before);
    // One that was https always has an ssh address, too.
    let shown = vault(&["plugins", "git-https", "--back", "-n"]).ok().text();
    assert_eq!(
        shown,
        "web: https://github.com/other/x.git -> git@github.com:other/x.git\n"
    );
}

#[test]
fn a_host_is_rewritten_and_written_back() {
    let world = World::new();
    git(&world, &["init", "--quiet", "x"]);
    let here = world.home().join("x");
    let rewrite = ["plugins", "git-https", "--rewrite", "github.com", "--yes"];
    for _ in 0..2 {
        world.vault(&rewrite).run().ok();
    }
    for url in ["git@github.com:me/x.git", "ssh://git@github.com/me/x.git"] {
        let run = world
            .program(tool("git"), &["ls-remote", "--get-url", url])
            .cwd(&here);
        assert_eq!(run.run().ok().text(), "https://github.com/me/x.git\n");
    }
    let set = git(
        &world,
        &["config", "--get-all", "url.https://github.com/.insteadOf"],
    );
    assert_eq!(set.lines().count(), 2);
    world
        .vault(&[rewrite.as_slice(), &["--back"]].concat())
        .run()
        .ok();
    let left = world
        .program(tool("git"), &["config", "--get-regexp", "^url"])
        .run()
        .fails_with(1);
    assert_eq!(left.stdout, b"");
}

#[test]
fn what_would_answer_is_explained() {
    let world = World::with_store();
    world.add_with(
        "h/alice",
        secret("a"),
        &["--url", "https://h", "--username", "alice"],
    );
    world.add_with(
        "h/old",
        secret("o"),
        &[
            "--url",
            "https://h",
            "--username",
            "alice",
            "--expires",
            "2020-01-01",
        ],
    );
    world.add_with(
        "h/path",
        secret("p"),
        &["--url", "https://h/me/x", "--username", "bob"],
    );
    world.add_with("note", secret("n"), &["--kind", "note"]);
    let explain = |args: &[&str]| world.vault(&[&["explain"], args].concat()).run();
    let text = explain(&["https://h"]).ok().text();
    for line in [
        "h/alice: answers: its url is https://h, as alice",
        "h/path: fits less closely than another",
        "(1 entry is for no host; --all lists them)",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(text.contains("h/old: expired "), "{text}");
    // The path counts where git tells it.
    let told = explain(&["https://h/me/x"])
        .ok()
        .says("git does not tell the path")
        .text();
    assert!(told.contains("h/alice: answers"), "{told}");
    git(
        &world,
        &[
            "config",
            "--global",
            "credential.https://h.useHttpPath",
            "true",
        ],
    );
    let told = explain(&["https://h/me/x"]).ok().text();
    assert!(told.contains("h/path: answers"), "{told}");
    let json = explain(&["--json", "https://alice@h"]).ok().text();
    assert!(
        json.contains("\"answer\": \"h/alice\"") && json.contains("\"verified\": true"),
        "{json}"
    );
    explain(&["https://elsewhere"]).fails_with(3);
    // A password in the address is not shown once more.
    let wrong = explain(&[&format!("https://me:{}@h", secret("typed"))]).fails_with(2);
    assert!(
        wrong.stderr.contains("a password in it"),
        "{}",
        wrong.stderr
    );
    // Nothing is handed out, and so nothing is recorded.
    let uses = world.vault(&["log", "--use"]).run().ok();
    assert!(!uses.text().contains("explain"));
    assert!(get(&world, "protocol=https\nhost=h\nusername=alice\n").contains("username=alice"));
}

#[test]
fn ssh_asks_by_a_prompt() {
    let mut world = World::with_store();
    let key = world.home().join(".ssh/id_ed25519");
    std::fs::create_dir_all(key.parent().unwrap()).unwrap();
    let path = key.to_str().unwrap();
    let keygen = ["-q", "-t", "ed25519", "-N", &secret("key"), "-f", path];
    world.program(tool("ssh-keygen"), &keygen).run().ok();
    world.vault(&["plugins", "install", "askpass"]).run().ok();
    world.set("SSH_ASKPASS", world.home().join(".local/bin/vault-askpass"));
    world.set("SSH_ASKPASS_REQUIRE", "force");
    let add = || {
        let args = [tool("ssh-add").display().to_string(), path.to_owned()];
        world.program(tool("ssh-agent"), &args).run()
    };
    assert_ne!(add().code, 0);
    let url = format!("file://{path}");
    world.add_with("ssh/key", secret("key"), &["--url", &url]);
    let _ = add().ok().says("Identity added");
    world.add("ssh/key", secret("another"));
    assert_ne!(add().code, 0);
}
