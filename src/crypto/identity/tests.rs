// Tests run the real age and ssh-keygen, on files of their own.
#![allow(clippy::disallowed_methods, clippy::print_stderr)]

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use super::*;

const KEY: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
const PUBLIC: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

/// Answers with one passphrase and remembers the questions.
struct Answer(Option<&'static str>, Mutex<Vec<String>>);

impl Answer {
    fn new(passphrase: Option<&'static str>) -> Arc<Self> {
        Arc::new(Self(passphrase, Mutex::new(Vec::new())))
    }

    fn asked(&self) -> Vec<String> {
        self.1.lock().unwrap().clone()
    }
}

impl Prompt for Answer {
    fn passphrase(&self, what: &str) -> Option<Secret> {
        self.1.lock().unwrap().push(what.to_owned());
        self.0.map(|text| Secret::copy_of(text.as_bytes()))
    }

    fn message(&self, _text: &str) {}
}

fn from_text(text: &str) -> Result<Identities> {
    Identities::from_key(&Secret::copy_of(text.as_bytes()))
}

#[test]
fn a_store_key_reads_its_own_line() {
    let key = StoreKey::generate();
    let line = key.to_line();
    assert!(line.expose().starts_with(b"AGE-SECRET-KEY-1") && line.len() == 74);
    assert_eq!(
        StoreKey::parse(line.expose()).unwrap().recipient(),
        key.recipient()
    );
    assert!(StoreKey::parse(b"AGE-SECRET-KEY-1").is_err() && StoreKey::parse(b"\xff").is_err());
    assert_eq!(format!("{key:?}"), "StoreKey(..)");
}

#[test]
fn lines_comments_and_blanks() {
    let two = from_text(&format!("# made\r\n\r\n{KEY}\r\n  # x\n {KEY} ")).unwrap();
    let public: Vec<String> = two
        .recipients()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(public, [PUBLIC, PUBLIC]);
    assert!(matches!(from_text("\n# only\n"), Err(Error::NoIdentity)));
    assert!(matches!(
        from_text(&format!("#\n{KEY}\nhunter2")),
        Err(Error::BadKey { line: 3 })
    ));
    let quantum = from_text("AGE-SECRET-KEY-PQ-1ABC");
    assert!(matches!(quantum, Err(Error::UnsupportedKey(_))));
}

#[test]
fn a_missing_plugin_is_named_when_nothing_else_fits() {
    let plugin = age::plugin::Identity::default_for_plugin("notthere")
        .unwrap()
        .to_string();
    let both = from_text(&format!("{plugin}\n{KEY}")).unwrap();
    let own = file::encrypt(&[b"x"], &[Recipient::parse(PUBLIC).unwrap()]).unwrap();
    assert_eq!(file::open_with(&own, &both, 9).unwrap().expose(), b"x");
    let other = file::encrypt(&[b"x"], &[StoreKey::generate().recipient()]).unwrap();
    let error = file::open_with(&other, &both, 9).unwrap_err();
    assert_eq!(
        error.to_string(),
        "age-plugin-notthere is not on PATH: install it"
    );
    assert!(
        matches!(both.recipients(), Err(Error::PluginRecipient { plugin }) if plugin == "notthere")
    );
}

#[test]
fn a_new_identity_in_plain_text() {
    let (text, recipient) = generate_identity(None, "created: 2026-11-23\nAGE").unwrap();
    let lines: Vec<&str> = std::str::from_utf8(text.expose())
        .unwrap()
        .lines()
        .collect();
    assert_eq!(lines[0], "# created: 2026-11-23 AGE");
    assert_eq!(lines[1], format!("# public key: {recipient}"));
    assert_eq!(lines.len(), 3);
    assert_eq!(
        Identities::from_key(&text).unwrap().recipients().unwrap(),
        [recipient]
    );
}

#[test]
fn a_new_identity_behind_a_passphrase() {
    let passphrase = Secret::copy_of("wörter genug".as_bytes());
    let (text, recipient) = generate_identity(Some(&passphrase), "created: now").unwrap();
    assert!(text.expose().starts_with(file::ARMOR_BEGIN));

    let right = Answer::new(Some("wörter genug"));
    let opened = Identities::from_file(&text, "~/id", right.clone()).unwrap();
    assert_eq!(opened.recipients().unwrap(), [recipient]);
    assert_eq!(right.asked(), ["passphrase for \"~/id\""]);

    let binary = Secret::copy_of(&file::dearmor(text.expose()).unwrap());
    assert!(Identities::from_file(&binary, "x", right).is_ok());
    let wrong = Identities::from_file(&text, "x", Answer::new(Some("guess")));
    assert!(matches!(wrong, Err(Error::WrongPassphrase)));
    let nobody = Identities::from_file(&text, "x", Answer::new(None));
    assert!(matches!(nobody, Err(Error::NeedPassphrase)));
    assert!(matches!(
        Identities::from_key(&text),
        Err(Error::NeedPassphrase)
    ));
}

#[test]
fn an_age_file_that_is_no_identity() {
    let file = file::encrypt(&[b"x"], &[StoreKey::generate().recipient()]).unwrap();
    let opened = Identities::from_key(&Secret::new(file));
    assert!(matches!(opened, Err(Error::UnsupportedKey(_))));
}

/// A key made by the real ssh-keygen: the private file, and the public line without its comment.
fn ssh_keygen(folder: &Path, options: &[&str]) -> (Secret, String) {
    let path = folder.join(options.join("_").replace(['/', '.', ' '], ""));
    let made = Command::new("ssh-keygen")
        .args(["-q", "-C", "a comment", "-f"])
        .arg(&path)
        .args(options)
        .status();
    assert!(made.unwrap().success(), "ssh-keygen {options:?}");
    let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
    let words: Vec<&str> = public.split(' ').take(2).collect();
    (Secret::new(std::fs::read(path).unwrap()), words.join(" "))
}

fn has_ssh_keygen() -> bool {
    let found = Command::new("ssh-keygen").arg("-?").output().is_ok();
    if !found {
        eprintln!("ssh-keygen is not installed: SSH keys not tried");
    }
    found
}

fn check_ssh(options: &[&str], passphrase: &'static str) {
    let folder = tempfile::tempdir().unwrap();
    let (private, public) = ssh_keygen(folder.path(), &[options, &["-N", passphrase]].concat());
    let answer = Answer::new(Some(passphrase));
    let opened = Identities::from_file(&private, "id", answer.clone()).unwrap();
    let recipients = opened.recipients().unwrap();
    assert_eq!(recipients[0].to_string(), public);
    assert!(
        answer.asked().is_empty(),
        "the public half needs no passphrase"
    );

    let stranger = file::encrypt(&[b"x"], &[StoreKey::generate().recipient()]).unwrap();
    assert!(matches!(
        file::open_with(&stranger, &opened, 9),
        Err(Error::KeyMismatch)
    ));
    assert!(
        answer.asked().is_empty(),
        "a file for somebody else asks nothing"
    );

    let ours = file::encrypt(&[b"mine"], &recipients).unwrap();
    for _ in 0..2 {
        assert_eq!(
            file::open_with(&ours, &opened, 9).unwrap().expose(),
            b"mine"
        );
    }
    assert_eq!(
        answer.asked().len(),
        usize::from(!passphrase.is_empty()),
        "asked once"
    );

    if !passphrase.is_empty() {
        let wrong = Identities::from_file(&private, "id", Answer::new(Some("guess"))).unwrap();
        assert!(matches!(
            file::open_with(&ours, &wrong, 9),
            Err(Error::WrongPassphrase)
        ));
        let silent = Identities::from_key(&private).unwrap();
        assert!(matches!(
            file::open_with(&ours, &silent, 9),
            Err(Error::NeedPassphrase)
        ));
    }
}

#[test]
fn ssh_keys_of_every_kind_accepted() {
    if has_ssh_keygen() {
        check_ssh(&["-t", "ed25519"], "");
        check_ssh(&["-t", "ed25519"], "long enough");
        check_ssh(
            &["-t", "ed25519", "-Z", "aes256-gcm@openssh.com"],
            "long enough",
        );
        check_ssh(&["-t", "rsa", "-b", "3072"], "");
        check_ssh(&["-t", "rsa", "-b", "3072"], "long enough");
        check_ssh(&["-t", "rsa", "-b", "4096"], "");
        check_ssh(&["-t", "rsa", "-b", "3072", "-m", "PEM"], "");
    }
}

#[test]
fn an_endless_ssh_key_is_refused_at_once() {
    let text = format!("{}\n{}", ssh::OPENSSH_BEGIN, "AAAA\n".repeat(200_000));
    assert!(matches!(from_text(&text), Err(Error::TooLarge { .. })));
}

#[test]
fn ssh_keys_refused_by_name() {
    if !has_ssh_keygen() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let refused = |options: &[&str], reason: &str| {
        let (private, public) = ssh_keygen(folder.path(), options);
        let text = Identities::from_key(&private).unwrap_err().to_string();
        assert!(
            text.starts_with("unsupported key: ") && text.contains(reason),
            "{text}"
        );
        public
    };
    let small = refused(&["-t", "rsa", "-b", "2048", "-N", ""], "RSA of 2048 bits");
    assert!(matches!(
        Recipient::parse(&small),
        Err(Error::UnsupportedKey(_))
    ));
    refused(
        &["-t", "rsa", "-b", "2048", "-N", "", "-m", "PEM"],
        "RSA of 2048 bits",
    );
    let ecdsa = refused(&["-t", "ecdsa", "-N", ""], "ecdsa-sha2-nistp256");
    assert!(matches!(
        Recipient::parse(&ecdsa),
        Err(Error::UnsupportedKey(_))
    ));
    refused(&["-t", "ecdsa", "-N", "long enough"], "ecdsa-sha2-nistp256");
    refused(&["-t", "ecdsa", "-N", "", "-m", "PEM"], "not OpenSSH's");
    refused(
        &["-t", "rsa", "-b", "3072", "-N", "long enough", "-m", "PEM"],
        "ssh-keygen -p",
    );
}

#[test]
fn a_flipped_byte_in_an_ssh_key_is_never_a_panic() {
    if !has_ssh_keygen() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (private, _) = ssh_keygen(folder.path(), &["-t", "ed25519", "-N", ""]);
    for at in 0..private.len() {
        for byte in [b'A', 0, b'\n', 0xff] {
            let mut changed = private.expose().to_vec();
            changed[at] = byte;
            let _ = Identities::from_key(&Secret::new(changed));
        }
    }
}
