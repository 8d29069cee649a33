//! The protocol, as git speaks it and as nobody should.

use std::os::unix::fs::symlink;

use crate::credential::get;
use crate::credential::helper;
use crate::credential::refused;
use crate::world::VAULT;
use crate::world::World;
use crate::world::secret;
use crate::world::tool;

const GITHUB: &str = "protocol=https\nhost=github.com\n\n";

fn one_token() -> World {
    let world = World::with_store();
    world.add_with("github/ci", secret("ci"), &["--provider", "github"]);
    world
}

#[test]
fn a_token_answers_for_the_hosts_of_its_provider() {
    let world = one_token();
    let expected = format!("username=x-access-token\npassword={}\n", secret("ci"));
    assert_eq!(get(&world, GITHUB), expected);
    assert_eq!(
        get(&world, "protocol=https\nhost=GIST.github.com:443\n"),
        expected
    );
    for other in [
        "github.com.evil.example",
        "notgithub.com",
        "github.com:8443",
        "127.0.0.1",
    ] {
        assert_eq!(
            get(&world, &format!("protocol=https\nhost={other}\n\n")),
            ""
        );
    }
    assert_eq!(get(&world, "protocol=http\nhost=github.com\n\n"), "");
    // A provider of the user's own, and one that is known, told anew.
    world.add_with("corp", secret("corp"), &["--provider", "corp"]);
    let file = "provider = \"corp\"\nhosts = [\"git.corp.example:8443\"]\nusername = \"bot\"\n";
    world.write(".config/agevault/providers/corp.toml", file);
    let more = "provider = \"github\"\nhosts = [\"github.com\", \"ghe.example\"]\n";
    world.write(".config/agevault/providers/ghe.toml", more);
    let expected_corp = format!("username=bot\npassword={}\n", secret("corp"));
    assert_eq!(
        get(&world, "protocol=https\nhost=git.corp.example:8443\n"),
        expected_corp
    );
    assert_eq!(get(&world, "protocol=https\nhost=ghe.example\n"), expected);
    assert_eq!(get(&world, "protocol=https\nhost=gist.github.com\n"), "");
    // Its scopes are as they were.
    let args = ["exec", "-n", "--scope", "github:read:org"];
    let _ = world
        .vault(&args)
        .run()
        .fails_with(125)
        .says("no entry that is a token of github");
    world.write(
        ".config/agevault/providers/bad.toml",
        "provider = \"x\"\nhosts = [\"https://a/b\"]\n",
    );
    refused(&world, GITHUB, 1, "providers/bad.toml is wrong");
    let bad = world.home().join(".config/agevault/providers/bad.toml");
    std::fs::remove_file(&bad).unwrap();
    world.program(tool("mkfifo"), &[&bad]).run().ok();
    refused(&world, GITHUB, 1, "bad.toml");
}

#[test]
fn an_empty_line_is_the_end_though_the_stream_stays_open() {
    let world = one_token();
    // The pipe has a writer as long as anybody reads it.
    let script = "mkfifo in && exec 3<>in && printf 'protocol=https\nhost=github.com\n\n' >&3 && exec timeout 60 \"$0\" git-credential get <&3";
    let answer = world
        .program("sh", &["-c", script, VAULT])
        .run()
        .ok()
        .text();
    assert!(
        answer.ends_with(&format!("password={}\n", secret("ci"))),
        "{answer}"
    );
}

#[test]
fn two_users_and_two_paths_on_one_host() {
    let world = World::with_store();
    for (name, url, flags) in [
        ("h/alice", "https://h:8443", ["--username", "alice"]),
        ("h/bob", "https://h:8443", ["--username", "bob"]),
        ("p/all", "https://p", ["--username", "all"]),
        ("p/org", "https://p/org", ["--username", "org"]),
        ("p/repo", "https://p/org/repo", ["--username", "repo"]),
    ] {
        world.add_with(
            name,
            secret(name),
            &[&["--url", url], flags.as_slice()].concat(),
        );
    }
    let user = |description: &str| {
        let answer = get(&world, description);
        answer.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(
        user("protocol=https\nhost=h:8443\nusername=bob\n"),
        "username=bob"
    );
    assert_eq!(user("protocol=https\nhost=h:8443\nusername=eve\n"), "");
    refused(
        &world,
        "protocol=https\nhost=h:8443\n",
        1,
        "say which user is meant, in the address: https://alice@h:8443",
    );
    assert_eq!(
        user("protocol=https\nhost=p\npath=org/repo.git\n"),
        "username=repo"
    );
    assert_eq!(
        user("protocol=https\nhost=p\npath=org/repo.git/info/lfs\n"),
        "username=repo"
    );
    assert_eq!(
        user("protocol=https\nhost=p\npath=org/repository.git\n"),
        "username=org"
    );
    assert_eq!(
        user("protocol=https\nhost=p\npath=organisation/x\n"),
        "username=all"
    );
    assert_eq!(user("protocol=https\nhost=p\n"), "username=all");
    world.vault(&["rm", "-f", "p/all"]).run().ok();
    refused(
        &world,
        "protocol=https\nhost=p\n",
        1,
        "credential.https://p.useHttpPath true",
    );
    // Two that nothing tells apart.
    world.add_with("same/a", secret("a"), &["--url", "https://s"]);
    world.add_with("same/b", secret("b"), &["--url", "https://s"]);
    refused(
        &world,
        "protocol=https\nhost=s\n",
        1,
        "vault tag same/a --username USER",
    );
    let args = ["tag", "same/a", "--username", "me"];
    world.vault(&args).run().ok();
    refused(&world, "protocol=https\nhost=s\n", 1, "https://me@s");
    let answer = get(&world, "protocol=https\nhost=s\nusername=me\n");
    assert!(answer.ends_with(&format!("password={}\n", secret("a"))));
}

#[test]
fn the_expired_one_is_not_given_and_an_end_is_told() {
    let world = World::with_store();
    let url = ["--url", "https://h", "--username", "me"];
    world.add_with(
        "old",
        secret("old"),
        &[url.as_slice(), &["--expires", "2020-01-01"]].concat(),
    );
    refused(&world, "protocol=https\nhost=h\n", 6, "\"old\" expired");
    world.add_with(
        "new",
        secret("new"),
        &[url.as_slice(), &["--expires", "2099-01-01"]].concat(),
    );
    let expected = format!(
        "username=me\npassword_expiry_utc=4070908800\npassword={}\n",
        secret("new")
    );
    assert_eq!(get(&world, "protocol=https\nhost=h\n"), expected);
}

#[test]
fn newer_gits_get_what_they_announce_and_no_more() {
    let world = one_token();
    let announced = "capability[]=authtype\ncapability[]=state\n";
    let bearer = format!(
        "{announced}{}
wwwauth[]=Bearer realm=x
",
        GITHUB.trim_end()
    );
    let expected = format!(
        "capability[]=authtype\ncapability[]=state\nephemeral=1\nauthtype=Bearer\nstate[]=vault.given=1\ncredential={}\n",
        secret("ci")
    );
    assert_eq!(get(&world, &bearer), expected);
    let old = "protocol=https\nhost=github.com\nwwwauth[]=Bearer realm=x\n";
    assert_eq!(
        get(&world, old),
        format!("username=x-access-token\npassword={}\n", secret("ci"))
    );
    let printed = helper(&world, "capability", "").ok().text();
    assert_eq!(
        printed,
        "version 0\ncapability authtype\ncapability state\n"
    );
    // An operation of a later git: no word, no failure.
    let later = helper(&world, "rotate", GITHUB).ok();
    assert_eq!((later.stdout, later.stderr), (Vec::new(), String::new()));
}

#[test]
fn it_answers_to_the_name_by_which_git_calls_it() {
    let world = one_token();
    symlink(VAULT, world.home().join("bin/git-credential-vault")).unwrap();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", world.home().join("bin").display());
    let args = [
        "-c",
        "credential.helper=",
        "-c",
        "credential.helper=vault",
        "credential",
        "fill",
    ];
    let filled = world
        .program(tool("git"), &args)
        .env("PATH", &path)
        .stdin(GITHUB)
        .run()
        .ok()
        .text();
    assert!(filled.contains(&format!("password={}\n", secret("ci"))));
    // With an option, as git hands it over.
    let named = "credential.helper=vault --store nowhere";
    let args = [
        "-c",
        "credential.helper=",
        "-c",
        named,
        "credential",
        "fill",
    ];
    let run = world
        .program(tool("git"), &args)
        .env("PATH", path)
        .env("GIT_TERMINAL_PROMPT", "0");
    let _ = run
        .stdin(GITHUB)
        .run()
        .fails_with(128)
        .says("vault: there is no store named \"nowhere\"");
}

#[test]
fn a_refused_token_is_kept_passed_over_and_told() {
    let world = one_token();
    assert!(get(&world, GITHUB).contains("password="));
    let told = |password: &str| {
        format!("protocol=https\nhost=github.com\nusername=x-access-token\npassword={password}\n")
    };
    // Another password than the one that was given out, and a request without one: nothing is noted.
    let _ = helper(&world, "erase", &told("another")).ok();
    let _ = helper(&world, "erase", GITHUB).ok();
    assert!(get(&world, GITHUB).contains("password="));
    let erased = helper(&world, "erase", &told(&secret("ci"))).ok();
    let _ = erased.says("github.com refused \"github/ci\": it is kept");
    refused(&world, GITHUB, 1, "was refused by github.com");
    assert_eq!(world.get("github/ci").unwrap(), secret("ci").into_bytes());
    let shown = world.vault(&["show", "github/ci"]).run().ok().text();
    assert!(shown.contains("refused      by github.com"), "{shown}");
    let shown = world
        .vault(&["show", "--json", "github/ci"])
        .run()
        .ok()
        .text();
    assert!(shown.contains("\"host\": \"github.com\""), "{shown}");
    let found = world.vault(&["find", "--expiring", "1d"]).run().ok().text();
    assert_eq!(found, "github/ci\n");
    // Ten minutes later it is tried again, and that is told.
    let offers = offers(&world);
    let text = std::fs::read_to_string(&offers).unwrap();
    let aged: String = text.lines().map(|line| aged(line, 601) + "\n").collect();
    std::fs::write(&offers, aged).unwrap();
    let again = helper(&world, "get", GITHUB)
        .ok()
        .says("github.com refused \"github/ci\" 10 minutes ago, it is tried again");
    assert!(again.text().contains("password="));
    // The host takes it now.
    let _ = helper(&world, "store", &told(&secret("ci"))).ok();
    assert!(get(&world, GITHUB).contains("password="));
    assert_eq!(world.names(), ["github/ci"]);
    // A new value was not refused.
    let _ = helper(&world, "erase", &told(&secret("ci"))).ok();
    world.add_with("github/ci", secret("new"), &[]);
    assert!(get(&world, GITHUB).contains(&secret("new")));
}

/// The record of what was handed out.
fn offers(world: &World) -> std::path::PathBuf {
    let stores = std::fs::read_dir(world.state().join("stores")).unwrap();
    let mut files = stores.map(|store| store.unwrap().path().join("offers"));
    files.find(|file| file.exists()).unwrap()
}

/// A line of it, as if it had been written earlier.
fn aged(line: &str, seconds: i64) -> String {
    let mut words: Vec<String> = line.split('\t').map(str::to_owned).collect();
    words[1] = (words[1].parse::<i64>().unwrap() - seconds).to_string();
    words.join("\t")
}

#[test]
fn a_new_password_is_kept_only_where_that_is_wanted() {
    let world = World::with_store();
    let told = |user: &str, password: &str| {
        format!("protocol=https\nhost=h:8443\npath=a/b\nusername={user}\npassword={password}\n")
    };
    let store = |user: &str, word: &str| helper(&world, "store", &told(user, &secret(word))).ok();
    assert_eq!(store("me", "one").stderr, "");
    assert!(world.names().is_empty());
    // To ask takes somebody to ask.
    world
        .vault(&["config", "set", "on-store", "ask"])
        .run()
        .ok();
    let _ = store("me", "one");
    assert!(world.names().is_empty());
    let _ = world
        .vault(&["config", "set", "on-store", "perhaps"])
        .run()
        .fails_with(2)
        .says("one of ignore, ask, add");
    world
        .vault(&["config", "set", "on-store", "add"])
        .run()
        .ok();
    let _ = store("me", "one").says("kept the password as \"git/h-8443/a/b/me\"");
    // The same once more, and another one for the same user: nothing is overwritten.
    let _ = store("me", "one");
    let _ = store("me", "two");
    assert_eq!(world.names(), ["git/h-8443/a/b/me"]);
    assert_eq!(
        world.get("git/h-8443/a/b/me").unwrap(),
        secret("one").into_bytes()
    );
    let _ = store("you", "three").says("git/h-8443/a/b/you");
    assert_eq!(
        get(
            &world,
            "protocol=https\nhost=h:8443\npath=a/b\nusername=you\n"
        ),
        format!("username=you\npassword={}\n", secret("three"))
    );
    // What is expired, or not to be kept, is not.
    for more in [
        "password_expiry_utc=1000\n",
        "ephemeral=1\n",
        "state[]=vault.given=1\n",
    ] {
        let _ = helper(&world, "store", &(told("eve", &secret("four")) + more)).ok();
    }
    assert_eq!(world.names().len(), 2);
    assert_eq!(world.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_locked_store_is_one_line_and_asks_nobody_without_a_terminal() {
    let world = World::new();
    let run = world.vault(&["init", "--no-recovery", "--member", "laptop"]);
    run.env("AGEVAULT_PASSPHRASE_CMD", "echo pass").run().ok();
    let run = world.vault(&["add", "github/ci", "--provider", "github"]);
    run.env("AGEVAULT_PASSPHRASE_CMD", "echo pass")
        .stdin(secret("ci"))
        .run()
        .ok();
    refused(&world, GITHUB, 4, "needs a passphrase");
    // What this device remembers explains, and says that it was not verified.
    let told = world
        .vault(&["explain", "https://github.com"])
        .run()
        .ok()
        .says("not verified");
    assert!(
        told.text().starts_with("github/ci: answers"),
        "{}",
        told.text()
    );
    // For another host nobody is asked, and nothing is said.
    assert_eq!(get(&world, "protocol=https\nhost=elsewhere\n"), "");
    let run = world
        .vault(&["git-credential", "get"])
        .env("AGEVAULT_PASSPHRASE_CMD", "echo pass");
    assert!(run.stdin(GITHUB).run().ok().text().contains("password="));
}

#[test]
fn a_token_that_wants_consent_is_not_given_without() {
    let world = one_token();
    world.vault(&["tag", "github/ci", "--confirm"]).run().ok();
    refused(&world, GITHUB, 4, "github/ci");
    for (variable, value) in [
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_CONFIG_PARAMETERS", "'credential.interactive'='never'"),
    ] {
        let run = world.vault(&["git-credential", "get"]).env(variable, value);
        let output = run
            .stdin(GITHUB)
            .run()
            .fails_with(4)
            .says("nobody is to be asked");
        assert_eq!(
            (output.stdout, output.stderr.lines().count()),
            (Vec::new(), 1)
        );
    }
}

#[test]
fn a_stale_index_decides_nothing() {
    let world = World::with_store();
    world.add_with("a", secret("a"), &["--url", "https://h"]);
    let index = || {
        let stores = std::fs::read_dir(world.state().join("stores")).unwrap();
        let mut files = stores.map(|store| store.unwrap().path().join("index"));
        files.find(|file| file.exists()).unwrap()
    };
    // The index is made to say that it is for another host.
    let bytes = std::fs::read(index()).unwrap();
    let at = bytes
        .windows(9)
        .position(|part| part == b"https://h")
        .unwrap();
    let planted = [&bytes[..at], b"https://e", &bytes[at + 9..]].concat();
    std::fs::write(index(), planted).unwrap();
    assert_eq!(get(&world, "protocol=https\nhost=e\n"), "");
}
