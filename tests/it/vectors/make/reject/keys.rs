//! Key files to be refused.

use std::fs;
use std::os::unix::fs::symlink;

use agevault::crypto::identity::StoreKey;
use agevault::crypto::sign::WriterKey;
use agevault::format::document::Domain;
use base64::Engine as _;

use super::At;
use super::case;
use super::spoilt;
use crate::vectors::BASE64;
use crate::vectors::make::Kit;
use crate::vectors::make::with_passphrase;

/// The stage of most.
const KEYS: At = ("keys", "member");

pub(super) fn all() {
    key_files();
    key_headers();
    key_bodies();
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
