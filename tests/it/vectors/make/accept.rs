//! Stores to be read. What is expected is written by reading it once; the generator's own values are asserted here.

use std::fs;

use agevault::crypto::identity::StoreKey;
use agevault::crypto::sign::WriterKey;
use serde_json::Value;
use serde_json::json;

use super::Kit;
use super::PASSPHRASE;
use super::write_json;
use crate::vectors::Case;
use crate::vectors::Device;
use crate::vectors::learned;
use crate::vectors::root;

pub(super) fn all() {
    plain();
    members();
    headers();
    secrets();
    names();
    dotfiles();
}

/// A file, a link and a template, as section 7.1 has them.
pub(in crate::vectors) fn dotfiles() {
    let kit = kit("dotfiles", &["F-053"], "a file, a link and a template");
    let file = |target: &str, more: &str| format!("kind = \"file\"\ntarget = {target:?}\n{more}");
    kit.entry(
        "dotfiles/dot_netrc",
        &file(".netrc", "mode = \"600\"\nhosts = [\"laptop\"]\n"),
        b"machine example.org\n",
    );
    kit.entry(
        "dotfiles/dot_config/app",
        &file(
            ".config/app",
            "link = true\nsystems = [\"linux\", \"macos\"]\n",
        ),
        b"../elsewhere/app",
    );
    kit.entry(
        "dotfiles/dot_npmrc",
        &file(".npmrc", "mode = \"600\"\ntemplate = true\n"),
        b"//example.org/:_authToken={{agevault://github/ci:-none}}\n",
    );
    let learned = done(&kit);
    let header = |name: &str| learned["entries"][name]["header"].clone();
    assert_eq!(header("dotfiles/dot_netrc")["hosts"], json!(["laptop"]));
    assert_eq!(header("dotfiles/dot_config/app")["link"], true);
    assert_eq!(header("dotfiles/dot_npmrc")["template"], true);
}

/// Writes the case and what is learned from it; the value gives it back for a check.
fn done(kit: &Kit) -> Value {
    kit.done();
    let text = fs::read_to_string(kit.path.join("case.toml")).unwrap();
    let case: Case = toml::from_str(&text).unwrap();
    let learned = learned(&Device::new(&kit.path, &case), &case).unwrap();
    write_json(&kit.path.join("expect.json"), &learned);
    learned
}

fn kit(name: &str, ids: &[&str], about: &str) -> Kit {
    Kit::new("accept", name, ids, about)
}

fn plain() {
    let minimal = kit(
        "minimal",
        &["F-050", "F-051"],
        "one member, one entry with the required keys only",
    );
    assert_eq!(done(&minimal)["entries"]["github/ci"]["header"]["rev"], 1);

    let mut epochs = Kit::bare(
        "accept",
        "past-epochs",
        &["F-034", "F-032"],
        "the third epoch, with the keys of two before it",
    );
    epochs.epoch.number = 3;
    let old = [2, 1].map(|number| {
        let writer = WriterKey::generate().unwrap().public();
        let last = git_id(number);
        (
            format!("{{ epoch = {number}, writer = \"{writer}\", last = \"{last}\" }}"),
            StoreKey::generate(),
        )
    });
    let epochs = epochs.filled();
    let header = format!(
        "{}past = [{}, {}]\n",
        epochs.key_header("laptop"),
        old[0].0,
        old[1].0
    );
    let mut body = epochs.key_body();
    for (_, key) in &old {
        body.extend_from_slice(key.to_line().expose());
        body.push(b'\n');
    }
    epochs.key_file("laptop", &header, &body);
    assert_eq!(done(&epochs)["past"][0]["epoch"], 2);

    let kept = kit(
        "unknown-keys",
        &["F-011", "F-052"],
        "keys of a later version, everywhere: ignored and kept",
    );
    let mut format = kept.epoch.to_text();
    format.push_str("later = { a = [1, \"b\"] }\n");
    kept.put(".vault/format", format.as_bytes());
    let header = format!("{}later = true\n", kept.key_header("laptop"));
    kept.key_file("laptop", &header, &kept.key_body());
    kept.entry(
        "github/ci",
        "later = true\nx-y = { a = [1, 2.5, \"b\\nc\"] }\n",
        b"ghp_example",
    );
    assert_eq!(
        done(&kept)["entries"]["github/ci"]["header"]["x-y"]["a"][1],
        2.5
    );

    let foreign = kit(
        "foreign-files",
        &["F-001"],
        "files that are no entries, a link among them: passed over",
    );
    foreign.put("README.md", b"a foreign file\n");
    foreign.put(
        "github/.hidden.age",
        b"not an entry: its name begins with a dot\n",
    );
    std::os::unix::fs::symlink("ci.age", foreign.store().join("github/link.age")).unwrap();
    assert_eq!(done(&foreign)["entries"].as_object().unwrap().len(), 1);

    let mut pinned = kit(
        "pinned",
        &["F-070"],
        "the pin fits: it compares store, epoch and writer, not bytes",
    );
    pinned.say(&format!(
        "pinned = {:?}",
        format!("# as pinned\n{}", pinned.epoch.to_text())
    ));
    done(&pinned);

    let mut seen = kit(
        "seen",
        &["F-055"],
        "the revision is the highest seen, and may be read again",
    );
    seen.say("[seen]\n\"github/ci\" = 1\n\".vault/members.age\" = 1");
    done(&seen);
}

/// 40 hex digits.
fn git_id(number: u8) -> String {
    format!("{number:02x}").repeat(20)
}

fn members() {
    let mut phrase = kit(
        "passphrase-identity",
        &["F-030"],
        "the identity is protected by a passphrase, in age's text form",
    );
    phrase.say("identity = \"keys/passphrase.txt\"");
    phrase.say(&format!("passphrase = {PASSPHRASE:?}"));
    fs::remove_file(phrase.store().join(".vault/keys/laptop.age")).unwrap();
    let plain = phrase.signed(
        agevault::format::document::Domain::Keys,
        &phrase.key_header("desk"),
        &phrase.key_body(),
    );
    phrase.key_file_to("desk", "passphrase", &plain);
    phrase.member_list(1, &[("desk", "passphrase", "writer")]);
    assert_eq!(done(&phrase)["member"], "desk");

    let mut ssh = kit(
        "ssh-member",
        &["F-030"],
        "a member with an SSH key, beside two whose key files it does not open",
    );
    ssh.say("identity = \"keys/ssh.txt\"");
    for (member, identity) in [("phone", "phone"), ("server.1", "ssh")] {
        let plain = ssh.signed(
            agevault::format::document::Domain::Keys,
            &ssh.key_header(member),
            &ssh.key_body(),
        );
        ssh.key_file_to(member, identity, &plain);
    }
    ssh.member_list(
        2,
        &[
            ("laptop", "laptop", "writer"),
            ("phone", "phone", "writer"),
            ("server.1", "ssh", "writer"),
        ],
    );
    assert_eq!(done(&ssh)["member"], "server.1");

    let reader = kit(
        "reader-member",
        &["F-033"],
        "a member without the writer key",
    );
    let body = [reader.store_key.to_line().expose(), b"\n"].concat();
    reader.key_file("laptop", &reader.key_header("laptop"), &body);
    reader.member_list(
        1,
        &[("laptop", "laptop", "reader"), ("phone", "phone", "writer")],
    );
    assert_eq!(done(&reader)["writes"], false);

    let nobody = kit(
        "empty-member-list",
        &["F-040"],
        "a list without a member, and with a key of a later version",
    );
    nobody.members("format = 1\nrev = 9223372036854775807\nlater = 1\n", "");
    assert_eq!(done(&nobody)["members"]["list"], json!([]));
}

fn headers() {
    let full = kit("full-header", &["F-053"], "every key there is");
    let more = "kind = \"file\"\nprovider = \"github\"\nscopes = [\"repo\", \"read:org\"]\nexpires = 2027-02-20T00:00:00Z\n\
        env = \"GITHUB_TOKEN\"\nprofiles = [\"default\"]\nusername = \"octocat\"\nurl = \"https://github.com\"\ntags = [\"work\"]\n\
        description = \"a \\\"quoted\\\" \\u00e9\\n\"\ncreated = 2026-11-22T20:12:00+01:00\nmodified = 2026-11-22 19:12:00Z\nconfirm = true\n\
        target = \".netrc\"\nmode = \"0600\"\nconsumers = [\"gitlab:example/app\"]\n";
    full.entry("github/ci", more, b"ghp_example\n");
    let full = done(&full);
    let header = &full["entries"]["github/ci"]["header"];
    assert_eq!(header["created"], "2026-11-22T19:12:00Z");
    assert_eq!(header["description"], "a \"quoted\" é\n");

    let date = kit(
        "date-alone",
        &["F-053"],
        "a date without a time is 00:00 UTC of that day",
    );
    date.entry("github/ci", "expires = 2027-02-20\n", b"ghp_example");
    assert_eq!(
        done(&date)["entries"]["github/ci"]["header"]["expires"],
        "2027-02-20T00:00:00Z"
    );

    let toml = kit(
        "toml-spellings",
        &["F-053", "F-054"],
        "other spellings of the same TOML: order, comments, literal strings, CRLF",
    );
    let header = "# a comment\r\n'rev' = 0x2a\r\nname = 'github/ci' # another\nscopes = [ 'a' , \"b\", ]\nformat = 1\n";
    toml.raw_entry("github/ci", header, b"ghp_example");
    assert_eq!(done(&toml)["entries"]["github/ci"]["header"]["rev"], 42);

    let large = kit(
        "largest-header",
        &["F-060"],
        "a header of exactly 64 KiB, sig line included",
    );
    let begin = "format = 1\nname = \"github/ci\"\nrev = 1\ndescription = \"";
    let fill = 65536 - begin.len() - 2 - 95;
    large.raw_entry(
        "github/ci",
        &format!("{begin}{}\"\n", "x".repeat(fill)),
        b"ghp_example",
    );
    done(&large);

    let mut greatest = Kit::bare(
        "accept",
        "greatest-numbers",
        &["F-053", "F-011"],
        "the highest rev and epoch",
    );
    greatest.epoch.number = 2_147_483_647;
    let greatest = greatest.filled();
    greatest.raw_entry(
        "github/ci",
        "format = 1\nname = \"github/ci\"\nrev = 9223372036854775807\n",
        b"ghp_example",
    );
    assert_eq!(
        done(&greatest)["entries"]["github/ci"]["header"]["rev"],
        i64::MAX
    );
}

fn secrets() {
    let secrets = kit(
        "secrets",
        &["F-060", "F-050"],
        "every byte after the first fence, as it is",
    );
    let all: Vec<u8> = (0..=255).collect();
    let list: [(&str, &[u8]); 7] = [
        ("empty", b""),
        ("one-nul", b"\0"),
        ("line-feeds", b"\n\n"),
        ("fences", b"---\nsig = \"x\"\n---\n\0---\n---"),
        ("crlf", b"a\r\nb\r\n"),
        ("all-bytes", &all),
        ("two-chunks", &vec![0xa5; 65537]),
    ];
    for (name, secret) in list {
        secrets.entry(name, "", secret);
    }
    assert_eq!(done(&secrets)["entries"]["empty"]["secret"], "");
}

fn names() {
    let names = kit(
        "names",
        &["F-020", "F-054"],
        "names beyond ASCII, with spaces, deep and long",
    );
    let deep = ["a"; 32].join("/");
    let long = "x".repeat(200);
    for name in [
        "Grüße/日本語",
        "a b/c@d+e=f",
        "con2",
        "it's \"$(x)\"",
        "a.conflict-2026-11-22",
        &deep,
        &long,
    ] {
        names.entry(name, "", name.as_bytes());
    }
    assert_eq!(done(&names)["entries"].as_object().unwrap().len(), 8);

    let clash = kit(
        "clash-by-case",
        &["F-021"],
        "two names that clash: both are read, and reported",
    );
    clash.entry("GitHub/x", "", b"one");
    done(&clash);
    grammar();
}

/// Names without a store: many could not lie on every disk, or in git.
fn grammar() {
    let deep = ["a"; 32].join("/");
    let whole = vec!["a".repeat(199); 5].join("/");
    let names = json!({
        "about": "names by themselves; accept and reject show F-020, clash and no_clash show F-021",
        "accept": [
            "a", "github/ci", "Grüße/日本語", "a b", "a@b+c=d", "con2", "com0", "com10", "x.age2", "a'\"$(x)", "…", "a.b.c",
            "x".repeat(200), deep, whole, "\u{1f511}", "nul-1", "age", "a.conflict-b",
            "\u{e9}", "\u{1eb9}\u{308}", "console", "lpt", "~", "%41", "a,b;c"
        ],
        "reject": reject_names(),
        "clash": [["GitHub/x", "github/y"], ["a", "A"], ["É", "é"], ["a/B/c", "a/b/c"], ["ΑΣ", "ας"]],
        "no_clash": [["github/x", "github/y"], ["a", "a/b"], ["a", "a"], ["A/x", "b/x"], ["straße", "STRASSE"], ["a/x", "a/x/Y"]],
    });
    write_json(&root().join("names.json"), &names);
}

fn reject_names() -> Vec<Value> {
    let long = "x".repeat(201);
    let deep = ["a"; 33].join("/");
    let whole = vec!["a".repeat(99); 11].join("/");
    let list: [(&str, &[&str]); 11] = [
        (
            "empty name or component, . and ..",
            &["", "/", "a//b", "/a", "a/", ".", "..", "a/../b", "a/./b"],
        ),
        (
            "begins with a dot or a dash",
            &[".git/x", "a/.x", "-rf", "a/-x"],
        ),
        (
            "control, invisible, private use, unassigned",
            &[
                "a\nb",
                "a\u{0}",
                "a\u{7f}",
                "a\u{85}",
                "a\u{202e}b",
                "a\u{200b}",
                "\u{feff}a",
                "a\u{ad}b",
                "a\u{2028}",
                "a\u{2029}",
                "a\u{e000}",
                "a\u{f0000}",
                "a\u{378}",
                "a\u{fdd0}",
            ],
        ),
        (
            "white space other than the space",
            &["a\u{a0}b", "a\u{3000}b", "a\tb", "a\u{1680}b"],
        ),
        ("a separator elsewhere", &["a\\b", "c:d"]),
        (
            "ends in a dot or a space, begins with a space",
            &["a.", "a ", " a", "a /b", "a/ b", "a./b"],
        ),
        ("ends in .age", &["x.age", "x.AGE/y", "x.Age"]),
        (
            "a device on Windows",
            &[
                "NUL", "con", "prn.txt", "a/AUX", "con.txt", "Com1", "lpt9.x.y", "con .txt",
            ],
        ),
        (
            "not NFC",
            &["e\u{301}", "\u{212b}", "\u{2126}", "e\u{308}\u{323}"],
        ),
        ("too long", &[&long, &whole]),
        ("too deep", &[&deep]),
    ];
    list.iter()
        .flat_map(|(why, names)| {
            names
                .iter()
                .map(move |name| json!({"name": name, "why": why}))
        })
        .collect()
}
