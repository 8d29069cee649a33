//! Real git over HTTPS with basic authentication, against a real web server.

use std::path::PathBuf;

use crate::credential::server::Web;
use crate::world::Output;
use crate::world::World;
use crate::world::secret;
use crate::world::tool;

const USERS: [&str; 2] = ["alice", "bob"];

/// A server that knows two users by their secrets.
fn server() -> Web {
    serving("https://localhost:1/")
}

fn serving(away: &str) -> Web {
    let secrets = USERS.map(secret);
    let users: Vec<(&str, &str)> = USERS
        .iter()
        .copied()
        .zip(secrets.iter().map(String::as_str))
        .collect();
    Web::start(&users, away)
}

/// A device that trusts a server, with vault as its only helper.
fn device(web: &Web, flags: &[&str]) -> World {
    let world = World::with_store();
    web.trust(&world);
    let host = format!("https://{}", web.host());
    let args = [&["plugins", "install", "git", "--host", &host], flags].concat();
    world.vault(&args).run().ok();
    world
}

fn git(world: &World, args: &[&str]) -> Output {
    let run = world
        .program(tool("git"), args)
        .env("GIT_TERMINAL_PROMPT", "0");
    run.run()
}

/// A commit in a clone.
fn commit(world: &World, clone: &str, message: &str) {
    git(
        world,
        &[
            "-C",
            clone,
            "commit",
            "--quiet",
            "--allow-empty",
            "-m",
            message,
        ],
    )
    .ok();
}

#[test]
fn two_users_two_paths_clone_fetch_and_push() {
    let web = server();
    let world = device(&web, &["--paths"]);
    for user in USERS {
        let url = web.url(&format!("git/{user}"));
        world.add_with(
            &format!("web/{user}"),
            secret(user),
            &["--url", &url, "--username", user],
        );
    }
    for user in USERS {
        git(
            &world,
            &[
                "clone",
                "--quiet",
                &web.url(&format!("git/{user}/x.git")),
                user,
            ],
        )
        .ok();
        commit(&world, user, "second");
        git(&world, &["-C", user, "push", "--quiet"]).ok();
        assert_eq!(web.head(&format!("{user}/x.git")), "second\nfirst\n");
        git(
            &world,
            &[
                "clone",
                "--quiet",
                &web.url(&format!("git/{user}/x.git")),
                &format!("{user}-2"),
            ],
        )
        .ok();
        commit(&world, user, "third");
        git(&world, &["-C", user, "push", "--quiet"]).ok();
        let fetched = git(&world, &["-C", &format!("{user}-2"), "pull", "--quiet"]).ok();
        assert_eq!(fetched.stderr, "");
        let log = git(&world, &["-C", &format!("{user}-2"), "log", "--format=%s"])
            .ok()
            .text();
        assert_eq!(log, "third\nsecond\nfirst\n");
    }
    let asked = web.asked();
    for line in asked.lines().filter(|line| !line.ends_with(" 401")) {
        let user = USERS
            .iter()
            .find(|user| line.contains(&format!("/git/{user}/")))
            .unwrap();
        assert!(line.contains(&format!("user={user} ")), "{line}");
    }
    // What git asks us to keep is there already.
    assert_eq!(world.names(), ["web/alice", "web/bob"]);
}

#[test]
fn the_user_in_the_address_chooses() {
    let web = server();
    let world = device(&web, &[]);
    for user in USERS {
        let url = format!("https://{}", web.host());
        world.add_with(
            &format!("web/{user}"),
            secret(user),
            &["--url", &url, "--username", user],
        );
    }
    for user in USERS {
        let url = format!("https://{user}@{}/git/{user}/x.git", web.host());
        git(&world, &["clone", "--quiet", &url, user]).ok();
    }
    // Nobody is named, and both fit: neither is sent, and a line says what to do.
    let said = git(
        &world,
        &["clone", "--quiet", &web.url("git/alice/x.git"), "none"],
    )
    .fails_with(128);
    let _ = said
        .says("\"web/alice\" and \"web/bob\" fit")
        .says("say which user is meant");
}

#[test]
fn a_token_that_the_server_refuses_is_told_and_kept() {
    let web = server();
    let world = device(&web, &[]);
    let url = format!("https://{}", web.host());
    world.add_with(
        "web",
        secret("outdated"),
        &["--url", &url, "--username", "alice"],
    );
    let clone = |folder: &str| {
        git(
            &world,
            &["clone", "--quiet", &web.url("git/alice/x.git"), folder],
        )
    };
    let _ = clone("one")
        .fails_with(128)
        .says("refused \"web\": it is kept")
        .says("Authentication failed");
    let sent = web.asked().matches("auth=Basic").count();
    assert!(sent > 0);
    // Not sent again at once.
    let _ = clone("two")
        .fails_with(128)
        .says("\"web\" was refused by")
        .says("vault add -f web");
    assert_eq!(web.asked().matches("auth=Basic").count(), sent);
    assert_eq!(world.get("web").unwrap(), secret("outdated").into_bytes());
    world.add("web", secret("alice"));
    clone("three").ok();
}

#[test]
fn an_expired_token_is_not_sent() {
    let web = server();
    let world = device(&web, &[]);
    let url = format!("https://{}", web.host());
    world.add_with(
        "web",
        secret("alice"),
        &[
            "--url",
            &url,
            "--username",
            "alice",
            "--expires",
            "2020-01-01",
        ],
    );
    let failed = git(
        &world,
        &["clone", "--quiet", &web.url("git/alice/x.git"), "x"],
    )
    .fails_with(128);
    let _ = failed.says("\"web\" expired");
    let asked = web.asked();
    assert!(
        asked.contains("auth=- 401") && !asked.contains("auth=Basic"),
        "{asked}"
    );
}

#[test]
fn nothing_is_sent_where_a_redirect_leads() {
    let other = server();
    let web = serving(&other.url("git/"));
    let world = device(&web, &[]);
    other.trust(&world);
    // Asked for every host, which is the most that a user can do wrong.
    world.vault(&["plugins", "install", "git"]).run().ok();
    let url = format!("https://{}", web.host());
    world.add_with(
        "web",
        secret("alice"),
        &["--url", &url, "--username", "alice"],
    );
    for (path, said) in [
        ("away/alice/x.git", "could not read Username"),
        ("later/alice/x.git", "Authentication failed"),
    ] {
        let failed = git(&world, &["clone", "--quiet", &web.url(path), "x"]).fails_with(128);
        let _ = failed.says(said);
    }
    assert!(web.asked().contains("user=alice"), "{}", web.asked());
    let asked = other.asked();
    assert!(
        asked.contains("/git/alice/x.git") && !asked.contains("auth=Basic"),
        "{asked}"
    );
}

#[test]
fn a_submodule_on_another_host_gets_no_token() {
    let (web, other) = (server(), server());
    let world = device(&web, &[]);
    other.trust(&world);
    world.vault(&["plugins", "install", "git"]).run().ok();
    let url = format!("https://{}", web.host());
    world.add_with(
        "web",
        secret("alice"),
        &["--url", &url, "--username", "alice"],
    );
    git(
        &world,
        &["clone", "--quiet", &web.url("git/alice/x.git"), "x"],
    )
    .ok();
    let head = git(&world, &["-C", "x", "rev-parse", "HEAD"]).ok().text();
    let module = format!(
        "[submodule \"m\"]\n\tpath = m\n\turl = {}\n",
        other.url("git/alice/x.git")
    );
    world.write("x/.gitmodules", module);
    git(&world, &["-C", "x", "add", ".gitmodules"]).ok();
    let entry = format!("160000,{},m", head.trim());
    git(
        &world,
        &["-C", "x", "update-index", "--add", "--cacheinfo", &entry],
    )
    .ok();
    commit(&world, "x", "a submodule");
    git(&world, &["-C", "x", "push", "--quiet"]).ok();
    let args = [
        "clone",
        "--quiet",
        "--recurse-submodules",
        &web.url("git/alice/x.git"),
        "y",
    ];
    let _ = git(&world, &args)
        .fails_with(1)
        .says("could not read Username");
    let asked = other.asked();
    assert!(
        asked.contains("auth=- 401") && !asked.contains("auth=Basic"),
        "{asked}"
    );
}

#[test]
fn git_lfs_gets_the_same_token() {
    let web = server();
    let world = device(&web, &["--paths"]);
    let url = web.url("git/alice");
    world.add_with(
        "web",
        secret("alice"),
        &["--url", &url, "--username", "alice"],
    );
    let lfs: PathBuf = tool("git-lfs");
    assert!(lfs.exists());
    git(
        &world,
        &["clone", "--quiet", &web.url("git/alice/x.git"), "x"],
    )
    .ok();
    git(&world, &["-C", "x", "lfs", "install", "--local"]).ok();
    git(&world, &["-C", "x", "lfs", "track", "*.bin"]).ok();
    world.write("x/large.bin", vec![7; 100_000]);
    git(&world, &["-C", "x", "add", ".gitattributes", "large.bin"]).ok();
    commit(&world, "x", "a large file");
    git(&world, &["-C", "x", "push", "--quiet"]).ok();
    assert_eq!(web.lfs_objects(), 1);
    git(&world, &["lfs", "install"]).ok();
    git(
        &world,
        &["clone", "--quiet", &web.url("git/alice/x.git"), "y"],
    )
    .ok();
    let brought = std::fs::read(world.home().join("y/large.bin")).unwrap();
    assert_eq!(brought, vec![7; 100_000]);
}

#[test]
fn git_asks_by_a_prompt() {
    let web = server();
    let mut world = World::with_store();
    web.trust(&world);
    let url = format!("https://{}", web.host());
    world.add_with(
        "web",
        secret("alice"),
        &["--url", &url, "--username", "alice"],
    );
    let installed = world.vault(&["plugins", "install", "askpass"]).run().ok();
    let _ = installed.says("export GIT_ASKPASS=");
    let link = world.home().join(".local/bin/vault-askpass");
    world.set("GIT_ASKPASS", &link);
    git(
        &world,
        &["clone", "--quiet", &web.url("git/alice/x.git"), "x"],
    )
    .ok();
    let other = web.url("git/bob/x.git").replace("localhost", "127.0.0.1");
    let args = [
        "-c",
        "http.sslVerify=false",
        "clone",
        "--quiet",
        &other,
        "y",
    ];
    let _ = git(&world, &args)
        .fails_with(128)
        .says("no entry answers for https://127.0.0.1");
    world.vault(&["plugins", "remove", "askpass"]).run().ok();
    assert!(!link.exists());
}
