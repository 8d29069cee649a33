//! Values keep their exact bytes, in and out; several stores keep apart; hostile names do not get in.

use crate::world::CANARY;
use crate::world::World;
use crate::world::secret;

/// The most bytes of a secret.
const MOST: usize = 64 << 20;

/// Bytes that repeat late and hold every value, after the canary.
fn bytes(count: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    CANARY
        .bytes()
        .chain(std::iter::repeat_with(next))
        .take(count)
        .collect()
}

#[test]
fn values_keep_their_exact_bytes() {
    let world = World::with_store();
    let values: [&[u8]; 11] = [
        b"",
        b"\0",
        b"\n",
        b"\r\n",
        b"no line feed",
        b"one\n",
        b"two\n\n",
        b"---\nformat = 9\n---\n",
        b"\xff\xfe not text \x80",
        b"  spaces around\t ",
        &bytes(1 << 20),
    ];
    for (number, value) in values.iter().enumerate() {
        let name = format!("value {number}");
        world.add(&name, value);
        assert_eq!(world.get(&name).unwrap(), *value, "{number}");
        let from = world.write("tmp/from", value);
        world.allow(&from);
        world
            .vault(&["add", "-f", &name, "--from-file", from.to_str().unwrap()])
            .run()
            .ok();
        assert_eq!(world.get(&name).unwrap(), *value, "{number} from a file");
    }
}

#[test]
fn sixty_four_mebibytes_go_in_and_one_more_does_not() {
    for world in [World::with_store(), World::with_plain_store()] {
        let most = bytes(MOST);
        world.add("large", &most);
        assert!(world.get("large").unwrap() == most);
        let more = bytes(MOST + 1);
        let refused = world.vault(&["add", "larger"]).stdin(&more).run();
        let _ = refused.fails_with(1).says("64 MiB").says("vault: ");
        let path = world.write("tmp/more", &more);
        let refused = world
            .vault(&["add", "larger", "--from-file", path.to_str().unwrap()])
            .run();
        let _ = refused.fails_with(1);
        std::fs::remove_file(path).unwrap();
        assert_eq!(world.names(), ["large"]);
    }
}

#[test]
fn stores_keep_apart() {
    let world = World::with_store();
    let other = world.home().join("other");
    let init = ["init", "--no-recovery", "--store", other.to_str().unwrap()];
    let _ = world.vault(&init).run().ok();
    world.add("shared/name", secret("of the first"));
    let at = ["--store", other.to_str().unwrap()];
    let add = [&at[..], &["add", "shared/name"]].concat();
    let _ = world.vault(&add).stdin(secret("of the second")).run().ok();
    let get = [&at[..], &["get", "shared/name"]].concat();
    assert_eq!(world.vault(&get).run().ok().text(), secret("of the second"));
    assert_eq!(
        world.get("shared/name").unwrap(),
        secret("of the first").into_bytes()
    );
    let by_variable = world
        .vault(&["get", "shared/name"])
        .env("AGEVAULT_STORE", &other)
        .run();
    assert_eq!(by_variable.ok().text(), secret("of the second"));
    let config = format!("[stores.work]\npath = \"{}\"\n", other.display());
    world.write(".config/agevault/config.toml", config);
    let named = world.vault(&["get", "work:shared/name"]).run().ok();
    assert_eq!(named.text(), secret("of the second"));
    let named = world
        .vault(&["--store", "work", "get", "shared/name"])
        .run()
        .ok();
    assert_eq!(named.text(), secret("of the second"));
    let _ = world
        .vault(&["get", "home:shared/name"])
        .run()
        .fails_with(1)
        .says("work");
}

/// What may not name an entry, and a word of the reason or of the message.
const HOSTILE: [&str; 25] = [
    "",
    "/",
    "a//b",
    "/a",
    ".",
    "..",
    "a/../b",
    "../a",
    ".git/config",
    ".vault/format",
    "a/.hidden",
    "a/-rf",
    "a\nb",
    "a\x1b[31mb",
    "a\u{200b}b",
    "a\u{202e}b",
    "a\\b",
    "a.",
    "a ",
    " a",
    "a.age",
    "CON",
    "nul.txt",
    "a\u{a0}b",
    "e\u{301}",
];

#[test]
fn hostile_names_are_refused_on_the_command_line() {
    let world = World::with_store();
    let before = world.git(&["rev-parse", "HEAD"]);
    for name in HOSTILE {
        for verb in ["add", "get", "show"] {
            let output = world.vault(&[verb, name]).stdin(secret("x")).run();
            assert_eq!(output.code, 2, "{verb} {name:?}: {output:?}");
            assert!(
                !output.stderr.contains(['\x1b', '\u{200b}', '\u{202e}']),
                "{output:?}"
            );
            assert!(output.stderr.trim_end().lines().count() <= 2, "{output:?}");
        }
    }
    let long = "x".repeat(201);
    let _ = world.vault(&["add", &long]).run().fails_with(2);
    let deep = ["d"; 33].join("/");
    let _ = world.vault(&["add", &deep]).run().fails_with(2);
    assert_eq!(world.git(&["rev-parse", "HEAD"]), before);
    assert!(world.names().is_empty());
}

#[test]
fn names_at_their_limits_and_in_any_script_go_in() {
    let world = World::with_store();
    let long = "x".repeat(196);
    let deep = ["d"; 32].join("/");
    for name in [
        &long,
        &deep,
        "é/ü",
        "日本語",
        "with space/and 'quotes\"",
        "$(reboot)",
        "a&b|c;d",
        "👍",
    ] {
        world.add(name, secret(name));
        assert_eq!(
            world.get(name).unwrap(),
            secret(name).into_bytes(),
            "{name}"
        );
    }
    assert_eq!(world.names().len(), 8);
}

#[test]
fn a_name_that_differs_in_case_only_is_not_made() {
    let world = World::with_store();
    world.add("GitHub/ci", secret("x"));
    let refused = world
        .vault(&["add", "github/other"])
        .stdin(secret("y"))
        .run();
    let _ = refused.fails_with(1).says("GitHub");
    let refused = world.vault(&["add", "GitHub/CI"]).stdin(secret("y")).run();
    let _ = refused.fails_with(1).says("GitHub/ci");
    world.add("GitHub/other", secret("z"));
}
