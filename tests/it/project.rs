//! The project file: what it chooses, that nothing is given out before it was allowed, and every way in which one is hostile.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::world::Output;
use crate::world::World;
use crate::world::contains;
use crate::world::secret;

const FILE: &str = "work/.agevault.toml";

/// A store with tokens, and a folder with this project file.
fn world(project: &str) -> World {
    let world = World::with_store();
    let add = |name: &str, flags: &[&str]| world.add_with(name, secret(name), flags);
    let github = "--provider=github";
    add(
        "github/ci",
        &[
            github,
            "--scope=repo",
            "--env=GITHUB_TOKEN",
            "--username=octocat",
        ],
    );
    add("github/read", &[github, "--scope=read:org"]);
    add("github/admin", &[github, "--scope=admin:org"]);
    add(
        "github/old",
        &[github, "--scope=gist", "--expires=2020-01-01"],
    );
    add("npm/publish", &["--env=NPM_TOKEN", "--profile=release"]);
    add("k8s/config", &[]);
    world.write(FILE, project);
    std::fs::create_dir_all(world.home().join("work/deep/er")).unwrap();
    world
}

fn folder(world: &World) -> PathBuf {
    world.home().join("work")
}

/// `vault` in the project's folder.
fn vault(world: &World, args: &[&str]) -> Output {
    world.vault(args).cwd(&folder(world)).run()
}

/// The digest of a file, as `sha256sum` prints it.
fn digest(world: &World, path: &str) -> String {
    let path = world.home().join(path);
    let printed = world.program("sha256sum", &[path]).run().ok().text();
    printed.split(' ').next().unwrap().to_owned()
}

#[track_caller]
fn allow(world: &World) {
    let digest = digest(world, FILE);
    let _ = vault(world, &["allow", "--expect", &digest]).ok();
}

/// The variables that the program gets, of those that no test world has.
#[track_caller]
fn chosen(world: &World, flags: &[&str]) -> Vec<(String, String)> {
    let args = [
        &["exec", "--pristine"],
        flags,
        &["--", "/usr/bin/env", "-0"],
    ]
    .concat();
    let output = vault(world, &args).ok().text();
    let pairs = output.split('\0').filter(|pair| !pair.is_empty());
    let split = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    };
    let mut pairs: Vec<_> = pairs.map(split).collect();
    pairs.sort();
    pairs
}

fn pairs(expected: &[(&str, String)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, String)| ((*name).to_owned(), value.clone());
    expected.iter().map(owned).collect()
}

#[test]
fn a_project_file_chooses_what_it_says_once_allowed() {
    let world = world(
        "[env]\nTOKEN = \"github/ci\"\nUSER_NAME = { entry = \"github/ci\", field = \"username\" }\n\
         ORG = { provider = \"github\", scopes = [\"read:org\"] }\nLOG = { default = \"info\" }\n\
         NONE = { entry = \"nowhere\", required = false }\nELSE = { entry = \"nowhere\", default = \"x y\" }\n\
         [profiles.release.env]\nNPM_TOKEN = \"npm/publish\"\nLOG = { default = \"warn\" }\n",
    );
    let _ = vault(&world, &["exec", "--", "touch", "started"])
        .fails_with(125)
        .says("vault allow");
    assert!(!folder(&world).join("started").exists());
    allow(&world);
    let mut expected = vec![
        ("ELSE", "x y".to_owned()),
        ("LOG", "info".to_owned()),
        ("ORG", secret("github/read")),
        ("TOKEN", secret("github/ci")),
        ("USER_NAME", "octocat".to_owned()),
    ];
    assert_eq!(chosen(&world, &[]), pairs(&expected));
    expected[1].1 = "warn".to_owned();
    expected.insert(2, ("NPM_TOKEN", secret("npm/publish")));
    assert_eq!(chosen(&world, &["--profile", "release"]), pairs(&expected));
    let below = world
        .vault(&["exec", "-n"])
        .cwd(&folder(&world).join("deep/er"));
    assert!(below.run().ok().text().contains("TOKEN <- github/ci"));
    // Flags are heard first; the default profile is the store's.
    let one = pairs(&[("NPM_TOKEN", secret("npm/publish"))]);
    assert_eq!(chosen(&world, &["-e", "npm/publish"]), one);
    let default = pairs(&[("GITHUB_TOKEN", secret("github/ci"))]);
    assert_eq!(chosen(&world, &["--profile", "default"]), default);
    let log = world.vault(&["exec", "--", "sh", "-c", "echo $LOG"]);
    let log = log.env("LOG", "mine").cwd(&folder(&world)).run().ok();
    assert_eq!(log.text(), "mine\n");
    let _ = vault(&world, &["exec", "--profile", "unknown", "-n"])
        .fails_with(125)
        .says("no entry is selected");
}

#[test]
fn permission_is_bound_to_path_content_and_store() {
    let world = world("[env]\nTOKEN = \"github/ci\"\n");
    allow(&world);
    let _ = vault(&world, &["exec", "--", "true"]).ok();
    let _ = vault(&world, &["allow"]).ok().says("already");
    world.write(FILE, "[env]\nTOKEN = \"github/admin\"\n");
    let _ = vault(&world, &["exec", "--", "true"])
        .fails_with(125)
        .says("has changed since");
    // Nobody can be asked here, and no flag answers but the digest of what is there.
    let _ = vault(&world, &["allow"])
        .fails_with(1)
        .says("nothing is allowed");
    let zeros = "0".repeat(64);
    let _ = vault(&world, &["allow", "--expect", &zeros]).fails_with(5);
    let _ = vault(&world, &["exec", "--", "true"]).fails_with(125);
    allow(&world);
    let _ = vault(&world, &["exec", "--", "true"]).ok();
    let copy = world.write("copy/.agevault.toml", "[env]\nTOKEN = \"github/admin\"\n");
    let copied = world.vault(&["exec", "--", "true"]);
    let _ = copied
        .cwd(copy.parent().unwrap())
        .run()
        .fails_with(125)
        .says("not allowed yet");
    let other = world.home().join("other");
    let other = other.to_str().unwrap();
    let _ = vault(&world, &["--store", other, "init", "--no-recovery"]).ok();
    let _ = vault(&world, &["--store", other, "exec", "--", "true"])
        .fails_with(125)
        .says("another store");
    let listed = vault(&world, &["allow", "--list"]).ok().text();
    assert!(listed.contains("work/.agevault.toml") && !listed.contains("copy"));
    let _ = vault(&world, &["deny"]).ok().says("no longer allowed");
    let _ = vault(&world, &["deny"]).ok().says("was not allowed");
    let _ = vault(&world, &["exec", "--", "true"])
        .fails_with(125)
        .says("not allowed yet");
}

#[test]
fn a_project_file_is_looked_for_up_to_the_home_and_must_be_ones_own() {
    let world = world("[env]\nTOKEN = \"github/ci\"\n");
    let above = world.home().parent().unwrap().join(".agevault.toml");
    std::fs::write(&above, "[env]\nTOKEN = \"github/admin\"\n").unwrap();
    let run = || world.vault(&["exec", "-n"]).run();
    assert_eq!(run().ok().text(), "GITHUB_TOKEN <- github/ci\n");
    let home = world.write(".agevault.toml", "[env]\nTOKEN = \"github/admin\"\n");
    let _ = run().fails_with(125).says("vault allow");
    std::fs::remove_file(home).unwrap();
    let file = world.home().join(FILE);
    allow(&world);
    let _ = vault(&world, &["exec", "--", "true"]).ok();
    let mode =
        |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o666);
    let _ = vault(&world, &["exec", "--", "true"])
        .fails_with(125)
        .says("everybody can write");
    let _ = vault(&world, &["allow"])
        .fails_with(1)
        .says("everybody can write");
    mode(0o644);
    let moved = world.home().join("moved.toml");
    std::fs::rename(&file, &moved).unwrap();
    symlink(&moved, &file).unwrap();
    let _ = vault(&world, &["exec", "--", "true"])
        .fails_with(125)
        .says("symbolic link");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let _ = vault(&world, &["exec", "--", "true"])
        .fails_with(125)
        .says("is a folder");
    std::fs::remove_dir(&file).unwrap();
    std::fs::write(&file, vec![b'#'; 70_000]).unwrap();
    let _ = vault(&world, &["exec", "--", "true"])
        .fails_with(125)
        .says("64 KiB");
    let named = vault(&world, &["exec", "-e", "github/ci", "-n"]).ok();
    assert_eq!(named.text(), "GITHUB_TOKEN <- github/ci\n");
}

#[test]
fn another_users_file_is_passed_over_and_told() {
    let world = world("[env]\nTOKEN = \"github/ci\"\n");
    world.write(
        "work/deep/.agevault.toml",
        "[env]\nTOKEN = \"github/admin\"\n",
    );
    let deep = world.home().join("work/deep");
    let theirs = deep.join(".agevault.toml");
    let chown = |path| std::os::unix::fs::lchown(path, Some(12345), None);
    chown(&theirs).expect("this test gives a file away, for which it must run as root");
    allow(&world);
    let run = |args: &[&str]| world.vault(args).cwd(&deep).run();
    let output = run(&["exec", "-n"]).ok();
    assert_eq!(output.text(), "TOKEN <- github/ci\n");
    let _ = output.says("work/deep/.agevault.toml belongs to another user and is passed over");
    let _ = run(&["allow"]).says("belongs to another user");
    let _ = run(&["exec", "-e", "github/ci", "-n"]).ok();
    std::fs::remove_file(&theirs).unwrap();
    symlink(world.home().join(FILE), &theirs).unwrap();
    chown(&theirs).unwrap();
    let _ = run(&["exec", "-n"]).ok().says("belongs to another user");
}

#[test]
fn a_hostile_file_is_refused_before_anybody_is_asked() {
    let world = world("");
    for (text, says) in [
        ("[env]\nLD_PRELOAD = \"github/ci\"", "take over a program"),
        (
            "[env]\n_JAVA_OPTIONS = { default = \"-javaagent:x.jar\" }",
            "take over a program",
        ),
        (
            "[env]\nhttps_proxy = { default = \"http://example.org\" }",
            "take over a program",
        ),
        (
            "[env]\nPATH = { default = \"/tmp\" }",
            "take over a program",
        ),
        ("[files]\nBASH_ENV = \"github/ci\"", "take over a program"),
        ("[env]\nA = \"other:github/ci\"", "another store"),
        ("[env]\nA = \"../../etc/passwd\"", "env.A"),
        (
            "[env]\nA = { default = \"agevault://github/ci\" }",
            "no reference",
        ),
        (
            "[env]\nA = { entri = \"github/ci\" }",
            "did you mean \"entry\"?",
        ),
        ("[envs]\n", "did you mean \"env\"?"),
        (
            "[env]\nA = { entry = \"a\", field = \"usernam\" }",
            "did you mean \"username\"?",
        ),
        ("[env", "its line 1 is not TOML"),
    ] {
        world.write(FILE, text);
        for args in [&["exec", "--", "true"][..], &["allow"], &["env", "check"]] {
            let code = if args[0] == "exec" { 125 } else { 1 };
            let _ = vault(&world, args).fails_with(code).says(says);
        }
    }
}

#[test]
fn what_is_shown_cannot_steer_a_terminal() {
    let world = world(
        "[env]\nA = { default = \"\\u001b[31mred\\u202e\" }\nB = { provider = \"git\\u001b]0;x\\u0007\" }\n\
         [profiles.\"p\\u001b[2J\".env]\nC = \"github/ci\"\n",
    );
    for args in [
        &["allow"][..],
        &["env", "check"],
        &["env", "check", "--json"],
    ] {
        let shown = vault(&world, args);
        for bytes in [&shown.stdout[..], shown.stderr.as_bytes()] {
            assert!(
                !contains(bytes, b"\x1b") && !contains(bytes, b"\x07"),
                "{args:?}"
            );
            assert!(!contains(bytes, "\u{202e}".as_bytes()), "{args:?}");
        }
    }
}

#[test]
fn a_need_is_met_by_the_narrowest_or_refused_by_name() {
    let project =
        |scopes: &str| format!("[env]\nTOKEN = {{ provider = \"github\", scopes = [{scopes}] }}\n");
    let world = world(&project("\"write:org\""));
    allow(&world);
    let one = |name: &str| pairs(&[("TOKEN", secret(name))]);
    assert_eq!(chosen(&world, &[]), one("github/admin"));
    let refused = |scopes: &str| {
        world.write(FILE, project(scopes));
        allow(&world);
        vault(&world, &["exec", "--", "true"]).fails_with(125)
    };
    let _ = refused("\"user\"").says("no entry that is a token of github with user");
    let _ = refused("\"gist\"").says("expired: \"github/old\"");
    world.add_with(
        "github/twin",
        secret("twin"),
        &["--provider=github", "--scope=read:org"],
    );
    let tie = refused("\"read:org\"").says("\"github/read\" and \"github/twin\"");
    let _ = tie.says("entry = \"github/read\"");
    let fits =
        "[env]\nTOKEN = { entry = \"github/ci\", provider = \"github\", scopes = [\"gist\"] }";
    world.write(FILE, fits);
    allow(&world);
    let _ = vault(&world, &["exec", "--", "true"])
        .fails_with(125)
        .says("\"github/ci\" is not a token");
    // The same by a flag, for the entry's own variable or the provider's usual one.
    let flag = |scope: &str| chosen(&world, &["--scope", scope]);
    assert_eq!(
        flag("github:public_repo"),
        pairs(&[("GITHUB_TOKEN", secret("github/ci"))])
    );
    assert_eq!(
        flag("github:write:org"),
        pairs(&[("GITHUB_TOKEN", secret("github/admin"))])
    );
    let mixed = ["exec", "--scope", "github:repo", "--scope", "gist", "-n"];
    let _ = vault(&world, &mixed)
        .fails_with(125)
        .says("names no provider");
}

#[test]
fn expired_tokens_are_refused_by_a_project_too() {
    let world = world(
        "[env]\nA = \"github/old\"\nB = { provider = \"github\", scopes = [\"gist\"] }\nC = \"github/ci\"\n",
    );
    allow(&world);
    let _ = vault(&world, &["exec", "--", "true"])
        .fails_with(125)
        .says("github/old");
    let c = pairs(&[("C", secret("github/ci"))]);
    assert_eq!(chosen(&world, &["--skip-expired"]), c);
    let all = chosen(&world, &["--allow-expired"]);
    assert_eq!(all.len(), 3);
    assert_eq!(all[1].1, secret("github/old"));
}

#[test]
fn files_and_masking_reach_the_program() {
    let world = world(
        "mask = true\n[env]\nTOKEN = \"github/ci\"\nLOG = { default = \"info\" }\n[files]\nKUBECONFIG = \"k8s/config\"\n",
    );
    allow(&world);
    let script = "echo $TOKEN; echo $LOG; cat \"$KUBECONFIG\" | wc -c; cat \"$KUBECONFIG\"";
    let printed = vault(&world, &["exec", "--", "sh", "-c", script])
        .ok()
        .text();
    let length = secret("k8s/config").len();
    assert_eq!(printed, format!("********\ninfo\n{length}\n********"));
}

#[test]
fn only_and_except_let_variables_through() {
    let world = world(
        "[env]\nA_TOKEN = \"github/ci\"\nB_TOKEN = \"github/old\"\nC = { default = \"c\" }\n",
    );
    allow(&world);
    // What does not go through is not opened: the expired one does not stand in the way.
    let a = pairs(&[("A_TOKEN", secret("github/ci"))]);
    assert_eq!(chosen(&world, &["--only", "A_*"]), a);
    assert_eq!(chosen(&world, &["--except", "[BC]*"]), a);
    assert_eq!(chosen(&world, &["--only", "*_TOKEN", "--except", "B*"]), a);
    let _ = vault(&world, &["exec", "--only", "X*", "--", "true"])
        .fails_with(125)
        .says("no entry is selected");
    let _ = vault(&world, &["exec", "--only", "[", "--", "true"]).fails_with(125);
    let flags = [
        "--profile",
        "default",
        "-e",
        "npm/publish",
        "--only",
        "NPM_*",
    ];
    assert_eq!(
        chosen(&world, &flags),
        pairs(&[("NPM_TOKEN", secret("npm/publish"))])
    );
}

#[test]
fn inherited_variables_that_an_entry_names_are_not_handed_on_by_chance() {
    let world = world("");
    let env = |flags: &[&str]| {
        let args = [&["exec"], flags, &["--", "/usr/bin/env"]].concat();
        let run = world
            .vault(&args)
            .env("NPM_TOKEN", "stale")
            .env("OTHER", "x");
        run.run().ok()
    };
    let output = env(&["-v"]).says("NPM_TOKEN is inherited and left out");
    let text = output.text();
    assert!(
        !text.contains("NPM_TOKEN=") && text.contains("OTHER=x"),
        "{text}"
    );
    let output = env(&["-v", "--keep", "NPM_TOKEN"]);
    assert!(output.text().contains("NPM_TOKEN=stale") && !output.stderr.contains("left out"));
    assert!(
        env(&["-e", "npm/publish"])
            .text()
            .contains(&format!("NPM_TOKEN={}", secret("npm/publish")))
    );
    let pristine = env(&["--pristine", "--keep", "OTHER"]).text();
    let token = format!("GITHUB_TOKEN={}", secret("github/ci"));
    assert!(
        pristine
            .lines()
            .all(|line| line == "OTHER=x" || line == token)
    );
    assert_eq!(pristine.lines().count(), 2, "{pristine}");
    // An entry that is gone, or names another variable by now, names nothing.
    let _ = world
        .vault(&["tag", "npm/publish", "--env", "NODE_AUTH_TOKEN"])
        .run()
        .ok();
    assert!(env(&[]).text().contains("NPM_TOKEN=stale"));
    let _ = world
        .vault(&["tag", "npm/publish", "--env", "NPM_TOKEN"])
        .run()
        .ok();
    assert!(!env(&[]).text().contains("NPM_TOKEN="));
    // Also where only another store is asked; and that store's own names count as well.
    let path = world.home().join("second");
    let init = ["init", "--no-recovery", "--member", "laptop"];
    let run = world.vault(&init).env("AGEVAULT_STORE", &path).run();
    let _ = run.ok();
    let add = ["store", "add", "second", path.to_str().unwrap()];
    let _ = world.vault(&add).run().ok();
    world.add_with("second:a", secret("a"), &["--env=OTHER"]);
    world.add("second:b", secret("b"));
    let text = env(&["-e", "B=second:b"]).text();
    assert!(
        !text.contains("NPM_TOKEN=") && !text.contains("OTHER="),
        "{text}"
    );
    assert!(env(&[]).text().contains("OTHER=x"));
    let _ = world.vault(&["rm", "-f", "npm/publish"]).run().ok();
    assert!(env(&[]).text().contains("NPM_TOKEN=stale"));
}

#[test]
fn a_file_of_references_is_allowed_like_a_project() {
    let world = world("");
    let path = world.write("work/deploy.env", "# of the team\nexport TOKEN='agevault://github/ci'\nWHO=agevault://github/ci#username\nPLAIN=\"a b\"\n");
    let flags = ["--env-file", "deploy.env"];
    let _ = vault(&world, &["exec", "--env-file", "deploy.env", "-n"])
        .fails_with(125)
        .says("vault allow");
    let shown = vault(&world, &["allow", "deploy.env"]).fails_with(1).text();
    assert!(
        shown.contains("github/ci#username") && shown.contains("1 plain value"),
        "{shown}"
    );
    let digest = digest(&world, "work/deploy.env");
    let _ = vault(&world, &["allow", "deploy.env", "--expect", &digest]).ok();
    let expected = [
        ("PLAIN", "a b".to_owned()),
        ("TOKEN", secret("github/ci")),
        ("WHO", "octocat".to_owned()),
    ];
    assert_eq!(chosen(&world, &flags), pairs(&expected));
    std::fs::write(&path, "PLAIN=1\n").unwrap();
    assert_eq!(chosen(&world, &flags), pairs(&[("PLAIN", "1".to_owned())]));
    for (text, says) in [
        ("A=agevault://other:github/ci", "another store"),
        ("A=op://vault/item", "op read"),
        ("A=agevault://github/ci#pin", "no field"),
        ("word", "line 1 is not NAME=VALUE"),
        ("LD_PRELOAD=/tmp/x.so", "take over a program"),
    ] {
        std::fs::write(&path, text).unwrap();
        let _ = vault(&world, &["exec", "--env-file", "deploy.env", "-n"])
            .fails_with(125)
            .says(says);
    }
}

#[test]
fn references_in_the_environment_are_resolved() {
    let world = world("");
    let run = |value: &str| {
        let args = ["exec", "--resolve-env", "--", "sh", "-c", "echo $REF"];
        world.vault(&args).env("REF", value).run()
    };
    assert_eq!(
        run("agevault://npm/publish").ok().text(),
        format!("{}\n", secret("npm/publish"))
    );
    assert_eq!(
        run("agevault://github/ci#username").ok().text(),
        "octocat\n"
    );
    let _ = run("op://vault/item").fails_with(125).says("op read");
    let _ = run("agevault://nowhere").fails_with(125).says("nowhere");
    let _ = run("agevault://github/old").fails_with(125).says("expired");
    let _ = run("plain").fails_with(125).says("no entry is selected");
    let preload = world.vault(&["exec", "--resolve-env", "--", "true"]);
    let _ = preload
        .env("NODE_OPTIONS", "agevault://github/ci")
        .run()
        .fails_with(125)
        .says("NODE_OPTIONS");
}

#[test]
fn check_says_what_is_missing_expired_or_too_broad() {
    let world = world(
        "[env]\nOK = \"github/ci\"\nBROAD = { entry = \"github/admin\", provider = \"github\", scopes = [\"read:org\"] }\n\
         OPTIONAL = { entry = \"nowhere\", required = false }\n[profiles.bad.env]\nGONE = \"nowhere\"\nOLD = \"github/old\"\n",
    );
    let table = vault(&world, &["env", "check"]).ok().text();
    for row in ["ok       OK", "broad    BROAD", "missing  OPTIONAL"] {
        assert!(table.contains(row), "{table}");
    }
    let table = vault(&world, &["env", "check", "--profile", "bad"])
        .fails_with(1)
        .text();
    assert!(
        table.contains("missing  GONE") && table.contains("expired  OLD"),
        "{table}"
    );
    let json = vault(&world, &["env", "check", "--json"]).ok();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json[0]["variable"], "BROAD");
    assert_eq!(json[0]["excess"], serde_json::json!(["admin:org"]));
    assert_eq!(json[2]["stops"], false);
    // It needs no key.
    let locked = world
        .vault(&["env", "check"])
        .env("AGEVAULT_IDENTITY", "/nowhere");
    let _ = locked.cwd(&folder(&world)).run().ok();
    std::fs::remove_file(world.home().join(FILE)).unwrap();
    let _ = vault(&world, &["env", "check"])
        .fails_with(1)
        .says("vault env init");
}

#[test]
fn init_writes_what_is_used_and_copies_no_value() {
    let world = world("");
    let env = format!(
        "GITHUB_TOKEN=\nMINE={}\nSECRET={}\nLD_PRELOAD=x\n",
        secret("k8s/config"),
        secret("unknown")
    );
    let path = world.write("work/.env", env);
    world.allow(path);
    world.write(
        "work/.env.example",
        "NPM_TOKEN=your-token-here\nGH_TOKEN=\nREF=agevault://github/ci#username\nPORT=3000\n",
    );
    let _ = vault(&world, &["env", "init"]).fails_with(1).says("-f");
    let _ = vault(&world, &["env", "init", "-f"])
        .ok()
        .says("4 variables");
    let text = std::fs::read_to_string(world.home().join(FILE)).unwrap();
    for line in [
        "GITHUB_TOKEN = \"github/ci\"\n",
        "MINE = \"k8s/config\"\n",
        "NPM_TOKEN = \"npm/publish\"\n",
        "REF = \"agevault://github/ci#username\"\n",
        "# SECRET: no entry names it",
        "# GH_TOKEN: one of \"github/admin\", \"github/ci\"",
        "# PORT: ",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    for value in ["3000", "your-token", "LD_PRELOAD"] {
        assert!(!text.contains(value), "{text}");
    }
    allow(&world);
    let chosen = chosen(&world, &[]);
    assert_eq!(chosen.len(), 4);
}

#[test]
fn verbose_says_why() {
    let world = world(
        "[env]\nORG = { provider = \"github\", scopes = [\"read:org\"] }\nNONE = { entry = \"nowhere\", required = false }\n",
    );
    allow(&world);
    let _ = vault(&world, &["exec", "-v", "--", "true"])
        .ok()
        .says("ORG <- github/read (.agevault.toml: the narrowest that is a token of github with read:org)")
        .says("NONE is left out: there is no entry \"nowhere\"");
    let _ = vault(
        &world,
        &["exec", "-v", "--profile", "default", "--", "true"],
    )
    .ok()
    .says("GITHUB_TOKEN <- github/ci (profile default)");
    let _ = vault(&world, &["exec", "-v", "-e", "github/ci", "--", "true"])
        .ok()
        .says("GITHUB_TOKEN <- github/ci (asked for by name)");
    let _ = vault(&world, &["exec", "-v", "-q", "--", "true"]).fails_with(125);
}
