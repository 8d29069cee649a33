//! Stores to be refused, each in one point, at one stage.

mod entries;
mod keys;

use std::fs;
use std::os::unix::fs::symlink;

use agevault::crypto::sign::WriterKey;
use agevault::format::Epoch;
use agevault::format::document::Domain;

use super::Kit;

/// What is read when it is refused, and at which stage.
type At = (&'static str, &'static str);

const FORMAT: At = ("format", "version");
const PIN: At = ("format", "pin");

/// A vector whose store is made whole, then spoilt.
fn case(name: &str, ids: &[&str], at: At, about: &str, spoil: impl FnOnce(&mut Kit)) {
    spoilt(Kit::new("reject", name, ids, about), at, spoil);
}

fn spoilt(mut kit: Kit, (read, stage): At, spoil: impl FnOnce(&mut Kit)) {
    kit.say(&format!("stage = {stage:?}\nread = {read:?}"));
    spoil(&mut kit);
    kit.done();
}

pub(super) fn all() {
    format_file();
    pins();
    keys::all();
    member_lists();
    entries::all();
}

/// A case whose format file has one text in place of another.
fn format_with(name: &str, rule: &str, about: &str, from: &str, to: &str) {
    case(name, &[rule], FORMAT, about, |kit| {
        let text = kit.epoch.to_text();
        let store = kit.epoch.store.clone();
        let from = from.replace("STORE", &store);
        assert!(text.contains(&from), "{name}");
        kit.put(".vault/format", text.replacen(&from, to, 1).as_bytes());
    });
}

fn format_file() {
    format_with(
        "format-2",
        "F-010",
        "a higher version",
        "format = 1",
        "format = 2",
    );
    format_with(
        "format-text",
        "F-011",
        "a version that is text",
        "format = 1",
        "format = \"1\"",
    );
    format_with(
        "format-without-version",
        "F-011",
        "no version",
        "format = 1\n",
        "",
    );
    format_with(
        "format-paths-hidden",
        "F-010",
        "another rule from names to paths",
        "plain",
        "hidden",
    );
    format_with(
        "format-without-paths",
        "F-011",
        "no rule",
        "paths = \"plain\"\n",
        "",
    );
    format_with(
        "format-epoch-0",
        "F-011",
        "epoch 0",
        "epoch = 1",
        "epoch = 0",
    );
    format_with(
        "format-epoch-too-high",
        "F-011",
        "epoch 2^31",
        "epoch = 1",
        "epoch = 2147483648",
    );
    format_with(
        "format-epoch-text",
        "F-011",
        "an epoch that is text",
        "epoch = 1",
        "epoch = \"1\"",
    );
    format_with(
        "format-store-short",
        "F-011",
        "an id of 31 digits",
        "STORE",
        "0123456789abcdef0123456789abcde",
    );
    format_with(
        "format-store-upper-case",
        "F-011",
        "an id in capitals",
        "STORE",
        "0123456789ABCDEF0123456789ABCDEF",
    );
    format_with(
        "format-twice",
        "F-011",
        "a key that is there twice, which is no TOML",
        "epoch = 1",
        "epoch = 1\nepoch = 1",
    );
    for (name, about, writer) in [
        (
            "format-writer-not-canonical",
            "base64 whose unused bits are set",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB",
        ),
        (
            "format-writer-padded",
            "base64 with padding",
            "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ),
        (
            "format-writer-no-point",
            "32 bytes that are no point of the curve",
            "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ),
        (
            "format-writer-above-prime",
            "a point whose coordinate is not below the prime",
            "7v///////////////////////////////////////38",
        ),
    ] {
        case(name, &["F-011"], FORMAT, about, |kit| {
            let right = kit.epoch.writer.to_string();
            kit.put(
                ".vault/format",
                kit.epoch.to_text().replace(&right, writer).as_bytes(),
            );
        });
    }
    case(
        "format-missing",
        &["F-011"],
        FORMAT,
        "no format file",
        |kit| {
            fs::remove_file(kit.store().join(".vault/format")).unwrap();
        },
    );
    case(
        "format-oversized",
        &["F-011"],
        FORMAT,
        "one byte more than 4 KiB",
        |kit| {
            let mut text = kit.epoch.to_text();
            text.push('#');
            text.push_str(&"x".repeat(4096 - text.len()));
            text.push('\n');
            assert_eq!(text.len(), 4097);
            kit.put(".vault/format", text.as_bytes());
        },
    );
    case(
        "format-not-utf-8",
        &["F-011"],
        FORMAT,
        "a comment in Latin-1",
        |kit| {
            let text = [kit.epoch.to_text().as_bytes(), b"# \xe9\n"].concat();
            kit.put(".vault/format", &text);
        },
    );
    case(
        "format-byte-order-mark",
        &["F-011"],
        FORMAT,
        "a byte order mark",
        |kit| {
            kit.put(
                ".vault/format",
                format!("\u{feff}{}", kit.epoch.to_text()).as_bytes(),
            );
        },
    );
    case(
        "format-link",
        &["F-011"],
        FORMAT,
        "a symbolic link to a good format file",
        |kit| {
            let path = kit.store().join(".vault/format");
            fs::rename(&path, kit.store().join(".vault/other")).unwrap();
            symlink("other", path).unwrap();
        },
    );
}

fn pins() {
    let pin = |name: &str, about: &str, change: &dyn Fn(&Epoch) -> Epoch| {
        case(name, &["F-070"], PIN, about, |kit| {
            kit.say(&format!("pinned = {:?}", change(&kit.epoch).to_text()));
        });
    };
    pin(
        "pin-other-store",
        "the device knows another store at this path",
        &|epoch| Epoch {
            store: "ab".repeat(16),
            ..epoch.clone()
        },
    );
    pin(
        "pin-other-writer",
        "the device knows another writer key",
        &|epoch| Epoch {
            writer: WriterKey::generate().unwrap().public(),
            ..epoch.clone()
        },
    );
    pin(
        "pin-later-epoch",
        "the device knows a later epoch",
        &|epoch| Epoch {
            number: 2,
            ..epoch.clone()
        },
    );
}

fn member_lists() {
    let list = |name: &str, stage: &'static str, about: &str, header: &str, body: &str| {
        case(name, &["F-040"], ("members", stage), about, |kit| {
            kit.members(header, body)
        });
    };
    let (head, one) = ("format = 1\nrev = 2\n", |name: &str, role: &str| {
        let recipient = super::recipient("laptop").to_string();
        format!("[[member]]\nname = {name:?}\nrecipient = {recipient:?}\nrole = {role:?}\n")
    });
    let good = one("laptop", "writer");
    list(
        "members-twice",
        "header",
        "a member is there twice",
        head,
        &format!("{good}{good}"),
    );
    list(
        "members-role",
        "header",
        "a role that there is not",
        head,
        &one("laptop", "owner"),
    );
    list(
        "members-name",
        "header",
        "a name that no member has",
        head,
        &one("Laptop", "writer"),
    );
    list(
        "members-device-name",
        "header",
        "a name that Windows keeps",
        head,
        &one("nul", "writer"),
    );
    list(
        "members-recipient",
        "header",
        "a recipient that is none",
        head,
        &good.replace("age1", "age2"),
    );
    list(
        "members-without-role",
        "header",
        "no role",
        head,
        &good.replace("role = \"writer\"\n", ""),
    );
    list(
        "members-not-toml",
        "header",
        "a body that is not TOML",
        head,
        "member\n",
    );
    list(
        "members-rev-0",
        "header",
        "revision 0",
        "format = 1\nrev = 0\n",
        &good,
    );
    case(
        "members-format-2",
        &["F-052"],
        ("members", "version"),
        "a list of a higher version",
        |kit| {
            kit.members("format = 2\nrev = 2\n", &good);
        },
    );
    case(
        "members-missing",
        &["F-040"],
        ("members", "member"),
        "no list",
        |kit| {
            fs::remove_file(kit.store().join(".vault/members.age")).unwrap();
        },
    );
    case(
        "members-forged",
        &["F-040"],
        ("members", "signature"),
        "a list signed with another key",
        |kit| {
            kit.writer = WriterKey::generate().unwrap();
            kit.members(head, &good);
        },
    );
    case(
        "members-as-entry",
        &["F-040"],
        ("members", "signature"),
        "a list signed as an entry",
        |kit| {
            let plain = kit.signed(Domain::Entry, head, good.as_bytes());
            kit.seal_in(".vault/members.age", &plain);
        },
    );
    case(
        "members-old",
        &["F-040"],
        ("members", "revision"),
        "a list older than one that was seen",
        |kit| {
            kit.say("[seen]\n\".vault/members.age\" = 2");
        },
    );
    case(
        "members-oversized",
        &["F-071"],
        ("members", "envelope"),
        "a list of more than 1 MiB",
        |kit| {
            kit.say("[grow]\n\".vault/members.age\" = 1048577");
        },
    );
}
