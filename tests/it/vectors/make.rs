//! Makes the vectors: stores of a few files, each wrong, or odd, in one point.

#![allow(
    clippy::too_many_lines,
    clippy::semicolon_if_nothing_returned,
    clippy::format_collect,
    reason = "tables of small closures, one for each vector"
)]

pub(super) mod accept;
pub(super) mod epochs;
mod history;
mod reject;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use agevault::crypto::file;
use agevault::crypto::identity::StoreKey;
use agevault::crypto::recipient::Recipient;
use agevault::crypto::sign::WriterKey;
use agevault::crypto::sign::random_hex;
use agevault::format::Document;
use agevault::format::Epoch;
use agevault::format::document::Domain;
use serde_json::Value;

use super::root;

/// A TOML array of rule ids.
fn rules(ids: &[&str]) -> String {
    format!("shows = {ids:?}\n")
}

/// A store being made, and its keys.
pub(super) struct Kit {
    /// The vector's folder.
    pub(super) path: PathBuf,
    pub(super) epoch: Epoch,
    pub(super) store_key: StoreKey,
    pub(super) writer: WriterKey,
    /// Rules, and what the vector is about.
    case: String,
}

impl Kit {
    /// New keys and no file yet.
    pub(super) fn bare(kind: &str, name: &str, ids: &[&str], about: &str) -> Self {
        let path = root().join(kind).join(name);
        fs::create_dir_all(&path).unwrap();
        let writer = WriterKey::generate().unwrap();
        let epoch = Epoch {
            store: random_hex(16).unwrap(),
            number: 1,
            writer: writer.public(),
        };
        Self {
            path,
            epoch,
            store_key: StoreKey::generate(),
            writer,
            case: format!("{}about = {about:?}\n", rules(ids)),
        }
    }

    /// A store with the member `laptop` and the entry `github/ci`.
    pub(super) fn new(kind: &str, name: &str, ids: &[&str], about: &str) -> Self {
        Self::bare(kind, name, ids, about).filled()
    }

    /// The same, for a kit whose keys were set.
    pub(super) fn filled(self) -> Self {
        self.put(".vault/format", self.epoch.to_text().as_bytes());
        self.key_file("laptop", &self.key_header("laptop"), &self.key_body());
        self.member_list(1, &[("laptop", "laptop", "writer")]);
        self.entry("github/ci", "", b"ghp_example");
        self
    }

    /// Adds a line to `case.toml`, or a table at its end.
    pub(super) fn say(&mut self, line: &str) {
        self.case.push_str(line);
        self.case.push('\n');
    }

    /// Writes `case.toml`.
    pub(super) fn done(&self) {
        fs::write(self.path.join("case.toml"), &self.case).unwrap();
    }

    pub(super) fn store(&self) -> PathBuf {
        self.path.join("store")
    }

    pub(super) fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.store().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(super) fn get(&self, path: &str) -> Vec<u8> {
        fs::read(self.store().join(path)).unwrap()
    }

    /// A signed document, in clear.
    pub(super) fn signed(&self, domain: Domain, header: &str, body: &[u8]) -> Vec<u8> {
        let mut plain =
            Document::sign(header, body, domain, &self.epoch, &self.writer).into_bytes();
        plain.extend_from_slice(body);
        plain
    }

    /// Writes plaintext encrypted to the store key.
    pub(super) fn seal_in(&self, path: &str, plain: &[u8]) {
        let file = file::encrypt(&[plain], &[self.store_key.recipient()]).unwrap();
        self.put(path, &file);
    }

    /// An entry with more header lines.
    pub(super) fn entry(&self, name: &str, more: &str, secret: &[u8]) {
        let header = format!("format = 1\nname = {name:?}\nrev = 1\n{more}");
        self.raw_entry(name, &header, secret);
    }

    /// An entry with this header.
    pub(super) fn raw_entry(&self, name: &str, header: &str, secret: &[u8]) {
        let plain = self.signed(Domain::Entry, header, secret);
        self.seal_in(&format!("{name}.age"), &plain);
    }

    pub(super) fn key_header(&self, member: &str) -> String {
        format!("{}member = {member:?}\n", self.epoch.to_text())
    }

    /// Store key and writer key.
    pub(super) fn key_body(&self) -> Vec<u8> {
        let (store, seed) = (self.store_key.to_line(), self.writer.seed_text());
        let parts: [&[u8]; 5] = [
            store.expose(),
            b"\n# writer-key ",
            seed.expose(),
            b"\n",
            b"",
        ];
        parts.concat()
    }

    /// A key file, encrypted to the identity of this name in `keys/`.
    pub(super) fn key_file(&self, member: &str, header: &str, body: &[u8]) {
        self.key_file_to(member, "laptop", &self.signed(Domain::Keys, header, body));
    }

    pub(super) fn key_file_to(&self, member: &str, identity: &str, plain: &[u8]) {
        let file = file::encrypt(&[plain], &[recipient(identity)]).unwrap();
        self.put(&format!(".vault/keys/{member}.age"), &file);
    }

    /// The member list: name, whose identity, role.
    pub(super) fn member_list(&self, rev: u64, members: &[(&str, &str, &str)]) {
        let one = |(name, identity, role): &(&str, &str, &str)| {
            let recipient = recipient(identity).to_string();
            format!(
                "[[member]]\nname = {name:?}\nrecipient = {recipient:?}\nrole = {role:?}\nadded = 2026-11-22T19:12:00Z\n"
            )
        };
        let body: String = members.iter().map(one).collect();
        self.members(&format!("format = 1\nrev = {rev}\n"), &body);
    }

    pub(super) fn members(&self, header: &str, body: &str) {
        let plain = self.signed(Domain::Members, header, body.as_bytes());
        self.seal_in(".vault/members.age", &plain);
    }
}

/// The recipient of an identity in `keys/`.
pub(super) fn recipient(identity: &str) -> Recipient {
    let text = fs::read_to_string(root().join(format!("keys/{identity}.pub"))).unwrap();
    Recipient::parse(text.trim()).unwrap()
}

/// Runs git with a fixed author and no configuration, and gives back what it prints.
pub(super) fn git(folder: &Path, args: &[&str]) -> String {
    git_with(folder, args, b"")
}

/// The same, with something to read.
pub(super) fn git_with(folder: &Path, args: &[&str], input: &[u8]) -> String {
    let mut child = Command::new("git")
        .args(args)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "git {args:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The passphrase of `keys/passphrase.txt`.
pub(super) const PASSPHRASE: &str = "correct horse battery staple";

/// The identities: plain, protected by a passphrase (cheap: its secrecy is not the point), and an SSH key.
fn keys() {
    let folder = root().join("keys");
    fs::create_dir_all(&folder).unwrap();
    for name in ["laptop", "phone", "passphrase"] {
        let comment = "made for the test vectors and nothing else";
        let (text, public) = agevault::crypto::identity::generate_identity(None, comment).unwrap();
        let mut bytes = text.expose().to_vec();
        if name == "passphrase" {
            bytes = with_passphrase(&bytes, age::armor::Format::AsciiArmor);
        }
        fs::write(folder.join(format!("{name}.txt")), bytes).unwrap();
        fs::write(folder.join(format!("{name}.pub")), format!("{public}\n")).unwrap();
    }
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test vectors", "-f"])
        .arg(folder.join("ssh"))
        .status();
    assert!(status.unwrap().success());
    fs::rename(folder.join("ssh"), folder.join("ssh.txt")).unwrap();
}

/// An age file behind the passphrase, at a cost that a test can pay.
pub(super) fn with_passphrase(plain: &[u8], format: age::armor::Format) -> Vec<u8> {
    let mut recipient = age::scrypt::Recipient::new(PASSPHRASE.to_owned().into());
    recipient.set_work_factor(10);
    let encryptor =
        age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
            .unwrap();
    let armor = age::armor::ArmoredWriter::wrap_output(Vec::new(), format).unwrap();
    let mut writer = encryptor.wrap_output(armor).unwrap();
    writer.write_all(plain).unwrap();
    writer.finish().unwrap().finish().unwrap()
}

/// Writes JSON as people read it.
pub(super) fn write_json(path: &Path, value: &Value) {
    let text = serde_json::to_string_pretty(value).unwrap();
    fs::write(path, text + "\n").unwrap();
}

/// Makes all vectors anew.
pub(super) fn all() {
    for kind in ["keys", "accept", "reject", "history"] {
        let path = root().join(kind);
        if path.exists() {
            fs::remove_dir_all(path).unwrap();
        }
    }
    keys();
    accept::all();
    reject::all();
    history::all();
    epochs::all();
}
