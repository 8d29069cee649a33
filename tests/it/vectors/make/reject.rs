//! Stores to be refused, each in one point, at one stage.

use std::fs;
use std::os::unix::fs::symlink;

use agevault::crypto::file;
use agevault::crypto::identity::StoreKey;
use agevault::crypto::sign::WriterKey;
use agevault::format::Document;
use agevault::format::Epoch;
use agevault::format::document::Domain;
use base64::Engine as _;

use super::Kit;
use super::with_passphrase;
use crate::vectors::BASE64;

/// What is read when it is refused, and at which stage.
type At = (&'static str, &'static str);

const FORMAT: At = ("format", "version");
const PIN: At = ("format", "pin");
const KEYS: At = ("keys", "member");
const ENTRY: &str = "entry";

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
    key_files();
    key_headers();
    key_bodies();
    member_lists();
    places();
    envelopes();
    frames();
    signatures();
    entry_headers();
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

fn key_files() {
    case("keys-missing", &["F-030"], KEYS, "no key file", |kit| {
        fs::remove_file(kit.store().join(".vault/keys/laptop.age")).unwrap();
        kit.put(".vault/keys/README", b"git keeps no empty folder\n");
    });
    case(
        "keys-other-identity",
        &["F-030"],
        KEYS,
        "a key file for another identity",
        |kit| {
            let plain = kit.signed(Domain::Keys, &kit.key_header("laptop"), &kit.key_body());
            kit.key_file_to("laptop", "phone", &plain);
        },
    );
    case(
        "keys-passphrase",
        &["F-030"],
        KEYS,
        "a key file behind a passphrase",
        |kit| {
            let plain = kit.signed(Domain::Keys, &kit.key_header("laptop"), &kit.key_body());
            kit.put(
                ".vault/keys/laptop.age",
                &with_passphrase(&plain, age::armor::Format::Binary),
            );
        },
    );
    case(
        "keys-not-age",
        &["F-030"],
        KEYS,
        "a key file in clear",
        |kit| {
            let plain = kit.signed(Domain::Keys, &kit.key_header("laptop"), &kit.key_body());
            kit.put(".vault/keys/laptop.age", &plain);
        },
    );
    case(
        "keys-truncated",
        &["F-030"],
        KEYS,
        "the last byte of the key file is missing",
        |kit| {
            let mut file = kit.get(".vault/keys/laptop.age");
            file.pop();
            kit.put(".vault/keys/laptop.age", &file);
        },
    );
    case(
        "keys-oversized",
        &["F-030"],
        KEYS,
        "a key file of more than 1 MiB",
        |kit| {
            kit.say("[grow]\n\".vault/keys/laptop.age\" = 1048577");
        },
    );
    case(
        "keys-link",
        &["F-030"],
        KEYS,
        "a key file that is a symbolic link",
        |kit| {
            let path = kit.store().join(".vault/keys/laptop.age");
            fs::rename(&path, kit.store().join(".vault/other.age")).unwrap();
            symlink("../other.age", path).unwrap();
        },
    );
    let signature = ("keys", "signature");
    case(
        "keys-forged",
        &["F-031"],
        signature,
        "a key file signed with another key",
        |kit| {
            let (header, body) = (kit.key_header("laptop"), kit.key_body());
            kit.writer = WriterKey::generate().unwrap();
            kit.key_file("laptop", &header, &body);
        },
    );
    case(
        "keys-as-entry",
        &["F-031"],
        signature,
        "a key file signed as an entry",
        |kit| {
            let plain = kit.signed(Domain::Entry, &kit.key_header("laptop"), &kit.key_body());
            kit.key_file_to("laptop", "laptop", &plain);
        },
    );
    case(
        "keys-of-another-epoch",
        &["F-031"],
        signature,
        "a key file signed for another epoch",
        |kit| {
            let header = kit.key_header("laptop");
            kit.epoch.number = 2;
            kit.key_file("laptop", &header, &kit.key_body());
        },
    );
    case(
        "keys-unsigned",
        &["F-060"],
        ("keys", "envelope"),
        "a key file without a sig line",
        |kit| {
            let plain = [
                kit.key_header("laptop").as_bytes(),
                b"---\n",
                &kit.key_body(),
            ]
            .concat();
            kit.key_file_to("laptop", "laptop", &plain);
        },
    );
}

/// A case whose key file has a header with one text in place of another, well signed.
fn key_header_with(
    name: &str,
    ids: &[&str],
    at: At,
    about: &str,
    change: impl FnOnce(&Kit, String) -> String,
) {
    case(name, ids, at, about, |kit| {
        let right = kit.key_header("laptop");
        let header = change(kit, right.clone());
        assert_ne!(header, right);
        kit.key_file("laptop", &header, &kit.key_body());
    });
}

fn key_headers() {
    let ids = ["F-032"];
    key_header_with(
        "keys-other-member",
        &ids,
        KEYS,
        "the key file says another member",
        |_, text| text.replace("\"laptop\"", "\"phone\""),
    );
    key_header_with(
        "keys-other-store",
        &ids,
        KEYS,
        "the key file says another store",
        |kit, text| text.replace(&kit.epoch.store, &"ab".repeat(16)),
    );
    key_header_with(
        "keys-other-epoch",
        &ids,
        KEYS,
        "the key file says another epoch",
        |_, text| text.replace("epoch = 1", "epoch = 2"),
    );
    key_header_with(
        "keys-other-paths",
        &ids,
        KEYS,
        "the key file says another rule for paths",
        |_, text| text.replace("plain", "hidden"),
    );
    key_header_with(
        "keys-other-writer",
        &ids,
        KEYS,
        "the key file says another writer key",
        |kit, text| {
            let other = WriterKey::generate().unwrap().public().to_string();
            text.replace(&kit.epoch.writer.to_string(), &other)
        },
    );
    key_header_with(
        "keys-format-2",
        &["F-052"],
        ("keys", "version"),
        "a key file of a higher version",
        |_, text| text.replace("format = 1", "format = 2"),
    );
    key_header_with(
        "keys-without-member",
        &["F-053"],
        ("keys", "header"),
        "the key file names no member",
        |_, text| text.replace("member = \"laptop\"\n", ""),
    );
    key_header_with(
        "keys-not-toml",
        &["F-053"],
        ("keys", "header"),
        "the key file's header is not TOML",
        |_, text| text + "=\n",
    );
}

fn key_bodies() {
    let header = ("keys", "header");
    let body = |name: &str, about: &str, make: &dyn Fn(&Kit) -> Vec<u8>| {
        case(name, &["F-034"], header, about, |kit| {
            kit.key_file("laptop", &kit.key_header("laptop"), &make(kit));
        });
    };
    let line = || StoreKey::generate().to_line().expose().to_vec();
    body("keys-body-empty", "no key", &|_| Vec::new());
    body(
        "keys-body-no-line-feed",
        "the last line does not end",
        &|kit| {
            let mut body = kit.key_body();
            body.pop();
            body
        },
    );
    body("keys-body-crlf", "lines end in CRLF", &|kit| {
        String::from_utf8(kit.key_body())
            .unwrap()
            .replace('\n', "\r\n")
            .into_bytes()
    });
    body(
        "keys-body-more-keys",
        "a key more than past has epochs",
        &|kit| [&kit.key_body()[..], &line(), b"\n"].concat(),
    );
    body(
        "keys-body-writer-first",
        "the writer key stands before the store key",
        &|kit| {
            let text = String::from_utf8(kit.key_body()).unwrap();
            text.lines()
                .rev()
                .map(|line| format!("{line}\n"))
                .collect::<String>()
                .into_bytes()
        },
    );
    body(
        "keys-body-comment",
        "a comment that is no writer key",
        &|kit| [b"# hello\n", &kit.key_body()[..]].concat(),
    );
    body("keys-body-short-seed", "a seed of 31 bytes", &|kit| {
        let seed = BASE64.encode([7; 31]);
        [
            kit.store_key.to_line().expose(),
            b"\n# writer-key ",
            seed.as_bytes(),
            b"\n",
        ]
        .concat()
    });
    case(
        "keys-body-other-seed",
        &["F-033"],
        KEYS,
        "the writer key is not the store's",
        |kit| {
            let seed = WriterKey::generate().unwrap().seed_text();
            let body = [
                kit.store_key.to_line().expose(),
                b"\n# writer-key ",
                seed.expose(),
                b"\n",
            ]
            .concat();
            kit.key_file("laptop", &kit.key_header("laptop"), &body);
        },
    );
    let past_with = |name: &str, about: &str, epochs: &'static [u32], keys: usize, last: &str| {
        let mut kit = Kit::bare("reject", name, &["F-034"], about);
        kit.epoch.number = 4;
        spoilt(kit.filled(), header, |kit| {
            let one = |epoch: &u32| {
                let writer = WriterKey::generate().unwrap().public();
                format!("{{ epoch = {epoch}, writer = \"{writer}\", last = {last:?} }}")
            };
            let list: Vec<String> = epochs.iter().map(one).collect();
            let text = format!("{}past = [{}]\n", kit.key_header("laptop"), list.join(", "));
            let mut body = kit.key_body();
            for _ in 0..keys {
                body.extend_from_slice(&line());
                body.push(b'\n');
            }
            kit.key_file("laptop", &text, &body);
        });
    };
    let past = |name: &str, about: &str, epochs: &'static [u32], keys: usize| {
        past_with(name, about, epochs, keys, "")
    };
    past(
        "keys-past-without-key",
        "past has an epoch more than the body has keys",
        &[3, 2],
        1,
    );
    past(
        "keys-past-oldest-first",
        "past begins with the oldest epoch",
        &[2, 3],
        2,
    );
    past("keys-past-twice", "an epoch is in past twice", &[3, 3], 2);
    past(
        "keys-past-current",
        "the current epoch is in past",
        &[4, 3],
        2,
    );
    past("keys-past-0", "epoch 0 is in past", &[3, 0], 2);
    past_with("keys-past-last", "last is no commit's id", &[3], 1, "HEAD");
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

fn places() {
    let at = (ENTRY, "name");
    case(
        "entry-is-a-link",
        &["F-001"],
        at,
        "a symbolic link to a good entry",
        |kit| {
            fs::rename(
                kit.store().join("github/ci.age"),
                kit.store().join("github/other"),
            )
            .unwrap();
            symlink("other", kit.store().join("github/ci.age")).unwrap();
        },
    );
    case(
        "folder-is-a-link",
        &["F-001"],
        at,
        "a folder on the way is a symbolic link",
        |kit| {
            fs::rename(kit.store().join("github"), kit.store().join("other")).unwrap();
            symlink("other", kit.store().join("github")).unwrap();
        },
    );
    case(
        "entry-is-a-folder",
        &["F-001"],
        at,
        "a folder where the entry should be",
        |kit| {
            fs::remove_file(kit.store().join("github/ci.age")).unwrap();
            kit.put("github/ci.age/x", b"");
        },
    );
    case(
        "name-with-dots",
        &["F-020"],
        at,
        "a name that leads out of the store",
        |kit| {
            kit.say("entry = \"../store/github/ci\"");
        },
    );
    case(
        "entry-swapped",
        &["F-054"],
        at,
        "another entry's file",
        |kit| {
            kit.entry("other", "", b"another secret");
            fs::rename(
                kit.store().join("other.age"),
                kit.store().join("github/ci.age"),
            )
            .unwrap();
        },
    );
    case(
        "entry-in-other-case",
        &["F-054"],
        at,
        "a name that differs in case",
        |kit| {
            let header = "format = 1\nname = \"GitHub/ci\"\nrev = 1\n";
            kit.raw_entry("github/ci", header, b"ghp_example");
        },
    );
}

fn envelopes() {
    let case = |name: &str, rule: &str, about: &str, spoil: &dyn Fn(&mut Kit)| {
        case(name, &[rule], (ENTRY, "envelope"), about, spoil);
    };
    let plain = |kit: &Kit| {
        kit.signed(
            Domain::Entry,
            "format = 1\nname = \"github/ci\"\nrev = 1\n",
            b"ghp_example",
        )
    };
    case("entry-empty", "F-050", "an empty file", &|kit| {
        kit.put("github/ci.age", b"")
    });
    case(
        "entry-truncated",
        "F-050",
        "the last chunk is missing",
        &|kit| {
            kit.entry("github/ci", "", &[7; 100_000]);
            let file = kit.get("github/ci.age");
            let header = file.windows(4).position(|at| at == b"\n---").unwrap();
            let end = header
                + 1
                + file[header + 1..]
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .unwrap()
                + 1;
            kit.put("github/ci.age", &file[..end + 16 + 65552]);
        },
    );
    case(
        "entry-flipped",
        "F-050",
        "one bit of the secret's last byte",
        &|kit| {
            let mut file = kit.get("github/ci.age");
            let at = file.len() - 17;
            file[at] ^= 1;
            kit.put("github/ci.age", &file);
        },
    );
    case(
        "entry-trailing-byte",
        "F-050",
        "a byte after the end",
        &|kit| {
            let file = [&kit.get("github/ci.age")[..], b"x"].concat();
            kit.put("github/ci.age", &file);
        },
    );
    case(
        "entry-other-recipient",
        "F-050",
        "encrypted to the member instead of the store key",
        &|kit| {
            kit.put(
                "github/ci.age",
                &file::encrypt(&[&plain(kit)], &[super::recipient("laptop")]).unwrap(),
            );
        },
    );
    case("entry-passphrase", "F-050", "behind a passphrase", &|kit| {
        kit.put(
            "github/ci.age",
            &with_passphrase(&plain(kit), age::armor::Format::Binary),
        );
    });
    case("entry-armored", "F-050", "in age's text form", &|kit| {
        let age = age::Encryptor::with_recipients(std::iter::once(
            &kit.store_key
                .recipient()
                .to_string()
                .parse::<age::x25519::Recipient>()
                .unwrap() as &dyn age::Recipient,
        ));
        let armor =
            age::armor::ArmoredWriter::wrap_output(Vec::new(), age::armor::Format::AsciiArmor)
                .unwrap();
        let mut writer = age.unwrap().wrap_output(armor).unwrap();
        std::io::Write::write_all(&mut writer, &plain(kit)).unwrap();
        kit.put("github/ci.age", &writer.finish().unwrap().finish().unwrap());
    });
    case(
        "entry-oversized",
        "F-071",
        "one byte more than 66 MiB",
        &|kit| {
            kit.say("[grow]\n\"github/ci.age\" = 69206017");
        },
    );
    old_key();
}

/// A current entry, well signed, encrypted to the store key of the epoch before.
fn old_key() {
    let mut kit = Kit::bare(
        "reject",
        "entry-past-key",
        &["F-035"],
        "encrypted to the store key of an earlier epoch",
    );
    kit.epoch.number = 2;
    spoilt(kit.filled(), (ENTRY, "envelope"), |kit| {
        let (writer, old) = (
            WriterKey::generate().unwrap().public(),
            StoreKey::generate(),
        );
        let header = kit.key_header("laptop")
            + &format!("past = [{{ epoch = 1, writer = \"{writer}\", last = \"\" }}]\n");
        let body = [&kit.key_body()[..], old.to_line().expose(), b"\n"].concat();
        kit.key_file("laptop", &header, &body);
        kit.store_key = old;
        kit.entry("github/ci", "", b"ghp_example");
    });
}

fn frames() {
    const HEADER: &str = "format = 1\nname = \"github/ci\"\nrev = 1\n";
    let frame = |name: &str, about: &str, make: &dyn Fn(&str) -> String| {
        case(name, &["F-060"], (ENTRY, "envelope"), about, |kit| {
            let plain =
                String::from_utf8(kit.signed(Domain::Entry, HEADER, b"ghp_example")).unwrap();
            kit.seal_in("github/ci.age", make(&plain).as_bytes());
        });
    };
    frame("frame-no-fence", "no line ---", &|text| {
        text.replace("---\n", "")
    });
    frame(
        "frame-fence-crlf",
        "a line --- that ends in CRLF",
        &|text| text.replace("---\n", "---\r\n"),
    );
    frame("frame-no-sig", "no sig line", &|text| {
        text.lines()
            .filter(|line| !line.starts_with("sig"))
            .collect::<Vec<_>>()
            .join("\n")
    });
    frame("frame-sig-first", "the sig line stands first", &|text| {
        let sig = text.lines().find(|line| line.starts_with("sig")).unwrap();
        format!("{sig}\n{HEADER}---\nghp_example")
    });
    frame(
        "frame-sig-spelling",
        "the sig line in another spelling of TOML",
        &|text| text.replace("sig = ", "sig=  "),
    );
    frame("frame-sig-short", "a signature of 85 characters", &|text| {
        let at = text.find("\"\n---").unwrap();
        [&text[..at - 1], &text[at..]].concat()
    });
    frame("frame-sig-padded", "a signature with padding", &|text| {
        text.replace("\"\n---", "==\"\n---")
    });
    frame(
        "frame-sig-alphabet",
        "a signature in the alphabet for URLs",
        &|text| {
            let at = text.find("\"\n---").unwrap();
            [&text[..at - 2], "-_", &text[at..]].concat()
        },
    );
    case(
        "frame-header-too-long",
        &["F-060"],
        (ENTRY, "envelope"),
        "a header of one byte more than 64 KiB",
        |kit| {
            let head = format!("{HEADER}description = \"");
            let fill = 65536 - head.len() - 2 - 95 + 1;
            kit.raw_entry(
                "github/ci",
                &format!("{head}{}\"\n", "x".repeat(fill)),
                b"ghp_example",
            );
        },
    );
}

fn signatures() {
    const HEADER: &str = "format = 1\nname = \"github/ci\"\nrev = 1\n";
    let at = (ENTRY, "signature");
    let case = |name: &str, rule: &str, about: &str, spoil: &dyn Fn(&mut Kit)| {
        case(name, &[rule], at, about, spoil)
    };
    case("entry-forged", "F-051", "signed with another key", &|kit| {
        kit.writer = WriterKey::generate().unwrap();
        kit.entry("github/ci", "", b"ghp_example");
    });
    case(
        "entry-of-another-store",
        "F-051",
        "signed for another store with the same writer key",
        &|kit| {
            kit.epoch.store = "ab".repeat(16);
            kit.entry("github/ci", "", b"ghp_example");
        },
    );
    case(
        "entry-of-another-epoch",
        "F-051",
        "signed for another epoch with the same writer key",
        &|kit| {
            kit.epoch.number = 2;
            kit.entry("github/ci", "", b"ghp_example");
        },
    );
    case("entry-as-keys", "F-051", "signed as a key file", &|kit| {
        kit.seal_in(
            "github/ci.age",
            &kit.signed(Domain::Keys, HEADER, b"ghp_example"),
        );
    });
    case(
        "entry-other-secret",
        "F-051",
        "another secret under the same header",
        &|kit| {
            let head = Document::sign(
                HEADER,
                b"ghp_example",
                Domain::Entry,
                &kit.epoch,
                &kit.writer,
            );
            kit.seal_in("github/ci.age", &[head.as_bytes(), b"ghp_another"].concat());
        },
    );
    case(
        "entry-other-header",
        "F-051",
        "another header over the same secret",
        &|kit| {
            let plain =
                String::from_utf8(kit.signed(Domain::Entry, HEADER, b"ghp_example")).unwrap();
            kit.seal_in(
                "github/ci.age",
                plain.replace("rev = 1", "rev = 2").as_bytes(),
            );
        },
    );
    case(
        "signature-scalar",
        "F-061",
        "the order of the group is added to the scalar",
        &|kit| {
            let plain =
                String::from_utf8(kit.signed(Domain::Entry, HEADER, b"ghp_example")).unwrap();
            let start = plain.find("sig = \"").unwrap() + 7;
            let mut bytes = BASE64.decode(&plain[start..start + 86]).unwrap();
            add_order(&mut bytes[32..]);
            kit.seal_in(
                "github/ci.age",
                plain
                    .replace(&plain[start..start + 86], &BASE64.encode(bytes))
                    .as_bytes(),
            );
        },
    );
    case(
        "signature-not-canonical",
        "F-061",
        "base64 whose unused bits are set",
        &|kit| {
            let plain =
                String::from_utf8(kit.signed(Domain::Entry, HEADER, b"ghp_example")).unwrap();
            let end = plain.find("\"\n---").unwrap() - 1;
            let last = plain.as_bytes()[end];
            // 64 bytes leave four bits unused: the next character of the alphabet has the lowest of them set.
            let next = match last {
                b'A' => 'B',
                b'Q' => 'R',
                b'g' => 'h',
                _ => 'x',
            };
            kit.seal_in(
                "github/ci.age",
                [&plain[..end], &next.to_string(), &plain[end + 1..]]
                    .concat()
                    .as_bytes(),
            );
        },
    );
    small_order();
}

/// A writer key of small order, for which a signature of zeros would fit every message.
fn small_order() {
    let kit = Kit::bare(
        "reject",
        "format-writer-small-order",
        &["F-011"],
        "a writer key of small order",
    );
    spoilt(kit, ("format", "version"), |kit| {
        let writer = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let right = kit.epoch.writer.to_string();
        kit.put(
            ".vault/format",
            kit.epoch.to_text().replace(&right, writer).as_bytes(),
        );
    });
}

/// Adds the order of Ed25519's group to a little-endian scalar.
fn add_order(scalar: &mut [u8]) {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0_u16;
    for (byte, add) in scalar.iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = u8::try_from(sum & 0xff).unwrap();
        carry = sum >> 8;
    }
}

fn entry_headers() {
    let header = |name: &str, rule: &str, stage: &'static str, about: &str, text: &[u8]| {
        case(name, &[rule], (ENTRY, stage), about, |kit| {
            // Not by `Document::sign`, which takes text only.
            let text = text.to_vec();
            kit.seal_in("github/ci.age", &signed_bytes(kit, &text, b"ghp_example"));
        });
    };
    let wrong = |name: &str, about: &str, more: &str| {
        let text = format!("format = 1\nname = \"github/ci\"\nrev = 1\n{more}\n");
        header(name, "F-053", "header", about, text.as_bytes());
    };
    header(
        "entry-format-2",
        "F-052",
        "version",
        "a higher version",
        b"format = 2\nname = \"github/ci\"\nrev = 1\n",
    );
    header(
        "entry-without-format",
        "F-052",
        "version",
        "no version",
        b"name = \"github/ci\"\nrev = 1\n",
    );
    header(
        "entry-without-name",
        "F-053",
        "header",
        "no name",
        b"format = 1\nrev = 1\n",
    );
    header(
        "entry-without-rev",
        "F-053",
        "header",
        "no revision",
        b"format = 1\nname = \"github/ci\"\n",
    );
    header(
        "entry-rev-0",
        "F-053",
        "header",
        "revision 0",
        b"format = 1\nname = \"github/ci\"\nrev = 0\n",
    );
    header(
        "entry-rev-too-high",
        "F-053",
        "header",
        "revision 2^63",
        b"format = 1\nname = \"github/ci\"\nrev = 9223372036854775808\n",
    );
    header(
        "entry-not-utf-8",
        "F-053",
        "header",
        "a comment in Latin-1",
        b"format = 1\nname = \"github/ci\"\nrev = 1\n# \xe9\n",
    );
    header(
        "entry-byte-order-mark",
        "F-053",
        "header",
        "a byte order mark",
        "\u{feff}format = 1\nname = \"github/ci\"\nrev = 1\n".as_bytes(),
    );
    wrong("entry-not-toml", "not TOML", "kind =");
    wrong("entry-key-twice", "a key that is there twice", "rev = 1");
    wrong("entry-kind-number", "a kind that is a number", "kind = 1");
    wrong(
        "entry-scopes-text",
        "scopes that are a text",
        "scopes = \"repo\"",
    );
    wrong(
        "entry-tags-mixed",
        "tags that are not all texts",
        "tags = [\"a\", 1]",
    );
    wrong(
        "entry-confirm-text",
        "confirm that is a text",
        "confirm = \"true\"",
    );
    wrong(
        "entry-expires-text",
        "an expiry that is a text",
        "expires = \"2027-02-20\"",
    );
    wrong(
        "entry-expires-local",
        "an expiry without an offset",
        "expires = 2027-02-20T00:00:00",
    );
    wrong(
        "entry-expires-time",
        "a time of day without a date",
        "expires = 12:00:00",
    );
    case(
        "entry-old-revision",
        &["F-055"],
        (ENTRY, "revision"),
        "an older revision than one that was seen",
        |kit| {
            kit.say("[seen]\n\"github/ci\" = 2");
        },
    );
}

/// A signed entry whose header need not be text.
fn signed_bytes(kit: &Kit, header: &[u8], body: &[u8]) -> Vec<u8> {
    let message = agevault::crypto::sign::Message::new(
        "agevault entry v1",
        &kit.epoch.store,
        kit.epoch.number,
    );
    let sig = kit.writer.sign(&message.field(header).field(body));
    [header, b"sig = \"", sig.as_bytes(), b"\"\n---\n", body].concat()
}
