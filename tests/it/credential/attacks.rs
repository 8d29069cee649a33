//! One test for each way in which helpers have given a token to somebody else.

use std::process::Stdio;

use crate::credential::get;
use crate::credential::refused;
use crate::world::VAULT;
use crate::world::World;
use crate::world::secret;
use crate::world::tool;

/// A store with a token for github.com, and git told to ask for every host.
fn world() -> World {
    let world = World::with_store();
    world.add_with(
        "github/ci",
        secret("ci"),
        &["--url", "https://github.com", "--username", "me"],
    );
    world.vault(&["plugins", "install", "git"]).run().ok();
    world
}

/// What git itself makes of a request: the filled description, or nothing.
fn fill(world: &World, description: &[u8]) -> String {
    let run = world.program(tool("git"), &["credential", "fill"]);
    let run = run.env("GIT_TERMINAL_PROMPT", "0").stdin(description);
    run.run().text()
}

#[test]
fn it_is_asked_by_git() {
    assert!(fill(&world(), b"url=https://github.com/me/x\n\n").contains(&secret("ci")));
}

/// CVE-2020-5260: an escaped line feed in an address made a second `host=`.
#[test]
fn a_line_feed_in_an_address_makes_no_second_host() {
    let world = world();
    let filled = fill(&world, b"url=https://evil.example/%0ahost=github.com\n\n");
    assert!(!filled.contains(&secret("ci")), "{filled}");
    refused(
        &world,
        "protocol=https\nhost=evil.example\nhost=github.com\n\n",
        1,
        "host comes twice",
    );
    refused(
        &world,
        "protocol=https\nhost=github.com\nhost=evil.example\n\n",
        1,
        "host comes twice",
    );
}

/// CVE-2020-11008: a request without protocol or host was answered with any token.
#[test]
fn a_request_for_no_place_gets_nothing() {
    let world = world();
    for (description, why) in [
        ("host=github.com\n\n", "names no protocol"),
        ("protocol=https\n\n", "names no host"),
        ("protocol=https\nhost=\n\n", "names no host"),
        ("protocol=\nhost=github.com\n\n", "names no protocol"),
        ("path=me/x\n\n", "names no protocol"),
        ("\n", "names no protocol"),
        ("", "names no protocol"),
    ] {
        refused(&world, description, 1, why);
    }
    for url in [
        "url=//github.com/x\n\n",
        "url=https:///github.com\n\n",
        "url=github.com\n\n",
    ] {
        assert!(
            !fill(&world, url.as_bytes()).contains(&secret("ci")),
            "{url}"
        );
    }
}

/// CVE-2024-50349: control characters in a prompt showed another host than the one that asked.
#[test]
fn a_prompt_with_control_characters_gets_nothing() {
    let world = world();
    for prompt in [
        "Password for 'https://evil.example\u{1b}[1K\rPassword for 'https://me@github.com': ",
        "Password for 'https://me@evil.example\u{8}\u{8}github.com': ",
        "Password for 'https://evil.example':\nPassword for 'https://me@github.com': ",
    ] {
        let output = world.vault(&["askpass", prompt]).run().fails_with(1);
        assert_eq!(
            (output.stdout, output.stderr.lines().count()),
            (Vec::new(), 1)
        );
    }
    let right = world
        .vault(&["askpass", "Password for 'https://me@github.com': "])
        .run()
        .ok();
    assert_eq!(right.text(), secret("ci") + "\n");
    let other = world
        .vault(&["askpass", "Password for 'https://me@evil.example': "])
        .run();
    assert_eq!(other.fails_with(3).stdout, b"");
}

/// CVE-2024-52006: a lone CR came through, which some readers take for the end of a line.
#[test]
fn a_carriage_return_in_a_value_is_refused() {
    let world = world();
    refused(
        &world,
        "protocol=https\nhost=github.com\r\r\n\n",
        1,
        "host holds a control character",
    );
    refused(
        &world,
        "protocol=https\nhost=github.com\npath=a\rb\n\n",
        1,
        "path holds a control character",
    );
    // The one CR of a line that ends in CR LF is the line's.
    assert!(get(&world, "protocol=https\r\nhost=github.com\r\n\r\n").contains("username=me"));
    let filled = fill(&world, b"url=https://evil.example%0dhost=github.com/x\n\n");
    assert!(!filled.contains(&secret("ci")), "{filled}");
}

/// CVE-2024-50338: a reader that ended lines at CR saw a forged host.
#[test]
fn a_forged_host_behind_a_carriage_return_is_not_seen() {
    let world = world();
    for description in [
        "protocol=https\nhost=evil.example\rhost=github.com\n\n",
        "protocol=https\nhost=evil.example\npath=x\rhost=github.com\n\n",
        "protocol=https\rhost=github.com\n\n",
    ] {
        refused(&world, description, 1, "control character");
    }
}

/// CVE-2025-23040: a request was read by a pattern over many lines, for which CR, and more, ends a line.
#[test]
fn no_other_character_ends_a_line() {
    let world = world();
    for odd in ['\r', '\u{b}', '\u{c}', '\u{1c}', '\u{85}'] {
        let description =
            format!("protocol=https\nhost=evil.example\nusername=a{odd}host=github.com\n\n");
        refused(
            &world,
            &description,
            1,
            "username holds a control character",
        );
    }
    for odd in ['\u{2028}', '\u{2029}'] {
        let description = format!("protocol=https\nhost=evil.example{odd}host=github.com\n\n");
        refused(&world, &description, 1, "its host has a character");
    }
}

/// CVE-2024-53263: git-lfs sent parts of addresses with LF, CR and NUL to `git credential`.
#[test]
fn a_nul_ends_nothing() {
    let world = world();
    refused(
        &world,
        "protocol=https\nhost=github.com\0.evil.example\n\n",
        1,
        "host holds a control character",
    );
    refused(
        &world,
        "protocol=https\nhost=github.com\npath=x\0y\n\n",
        1,
        "path holds a control character",
    );
    refused(
        &world,
        "protocol=https\nhost=github.com%00.evil.example\n\n",
        1,
        "its host has a character",
    );
}

/// CVE-2024-53858: a helper for every host gave its token to a submodule's host; others answered whoever asked, or with what a
/// variable held. The web server's side of this is in `web`.
#[test]
fn another_host_gets_nothing_although_git_asks_for_every_host() {
    let mut world = world();
    for variable in ["GITHUB_TOKEN", "GH_TOKEN", "GITHUB_ENTERPRISE_TOKEN"] {
        world.set(variable, secret("environment"));
    }
    for host in [
        "evil.example",
        "github.com.evil.example",
        "github-com.example",
        "localhost",
    ] {
        assert_eq!(get(&world, &format!("protocol=https\nhost={host}\n\n")), "");
        let filled = fill(
            &world,
            format!("protocol=https\nhost={host}\n\n").as_bytes(),
        );
        assert!(!filled.contains("password="), "{filled}");
    }
    assert!(get(&world, "protocol=https\nhost=github.com\n\n").contains(&secret("ci")));
}

/// A secret or a user of two lines would be two answers.
#[test]
fn an_answer_is_never_two_lines() {
    let world = World::with_store();
    for (name, value) in [
        ("lf", "a\nhost=evil.example"),
        ("cr", "a\rb"),
        ("zero", "a\0b"),
    ] {
        let url = format!("https://{name}.example");
        world.add_with(
            name,
            format!("{}{value}", secret("x")),
            &["--url", &url, "--username", "me"],
        );
        let description = format!("protocol=https\nhost={name}.example\n\n");
        refused(&world, &description, 1, "is not one line");
    }
    world.add_with(
        "user",
        secret("y"),
        &["--url", "https://u.example", "--username", "a\npassword=b"],
    );
    refused(
        &world,
        "protocol=https\nhost=u.example\n\n",
        1,
        "the username of \"user\" is not one line",
    );
    // One final line feed is the file's.
    world.add_with(
        "end",
        secret("z") + "\n",
        &["--url", "https://e.example", "--username", "me"],
    );
    let answer = get(&world, "protocol=https\nhost=e.example\n\n");
    assert_eq!(answer, format!("username=me\npassword={}\n", secret("z")));
}

#[test]
fn input_without_end_is_refused() {
    let world = world();
    let long = format!(
        "protocol=https\nhost=github.com\nx={}\n\n",
        "y".repeat(70_000)
    );
    refused(&world, &long, 1, "longer than 65535 bytes");
    let many = format!(
        "protocol=https\nhost=github.com\n{}\n",
        "wwwauth[]=x\n".repeat(100_000)
    );
    let output = world
        .vault(&["git-credential", "get"])
        .stdin(many)
        .run()
        .fails_with(1);
    assert_eq!(output.stdout, b"");
    // As a stream that never ends.
    let zeros = std::fs::File::open("/dev/zero").unwrap();
    let mut endless = std::process::Command::new(VAULT);
    endless
        .args(["git-credential", "get"])
        .env_clear()
        .envs(world.vars().iter().cloned());
    let output = endless
        .stdin(zeros)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
}
