//! Entries to be refused.

use std::fs;
use std::os::unix::fs::symlink;

use agevault::crypto::file;
use agevault::crypto::identity::StoreKey;
use agevault::crypto::sign::WriterKey;
use agevault::format::Document;
use agevault::format::document::Domain;
use base64::Engine as _;

use super::case;
use super::spoilt;
use crate::vectors::BASE64;
use crate::vectors::make::Kit;
use crate::vectors::make::recipient;
use crate::vectors::make::with_passphrase;

/// What all of these read.
const ENTRY: &str = "entry";

pub(super) fn all() {
    places();
    envelopes();
    frames();
    signatures();
    entry_headers();
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
            kit.entry("github/ci", "", &vec![7; 100_000]);
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
                &file::encrypt(&[&plain(kit)], &[recipient("laptop")]).unwrap(),
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
