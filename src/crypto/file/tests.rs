// Tests run the real age and ssh-keygen, on files of their own.
#![allow(clippy::disallowed_methods, clippy::print_stderr)]

use std::process::{Command, Stdio};

use super::*;

const MAX: usize = 1 << 20;

fn sealed(parts: &[&[u8]]) -> (StoreKey, Vec<u8>) {
    let key = StoreKey::generate();
    let file = encrypt(parts, &[key.recipient()]).unwrap();
    (key, file)
}

fn open(file: &[u8], key: &StoreKey) -> Result<Secret> {
    open_with_key(file, key, MAX)
}

#[test]
fn what_goes_in_comes_out_at_every_edge_of_a_chunk() {
    for length in [0, 1, 31, 32, 65535, 65536, 65537, 131_071, 131_072, 131_073] {
        let plain: Vec<u8> = (0..length)
            .map(|i| u8::try_from(i % 251).unwrap())
            .collect();
        let (head, tail) = plain.split_at(length / 3);
        let (key, file) = sealed(&[head, tail]);
        assert_eq!(open(&file, &key).unwrap().expose(), plain, "{length}");
        assert!(open_with_key(&file, &key, length).is_ok());
        if length > 0 {
            let refused = open_with_key(&file, &key, length - 1);
            assert!(matches!(refused, Err(Error::TooLarge { max }) if max == length - 1));
        }
    }
}

#[test]
fn another_key_does_not_open() {
    let (_, file) = sealed(&[b"x"]);
    assert!(matches!(
        open(&file, &StoreKey::generate()),
        Err(Error::KeyMismatch)
    ));
}

#[test]
fn two_recipients_open_and_order_does_not_matter() {
    let (one, two) = (StoreKey::generate(), StoreKey::generate());
    let file = encrypt(&[b"both"], &[one.recipient(), two.recipient()]).unwrap();
    assert_eq!(open(&file, &one).unwrap().expose(), b"both");
    assert_eq!(open(&file, &two).unwrap().expose(), b"both");
    assert!(matches!(encrypt(&[b"x"], &[]), Err(Error::NoRecipient)));
}

#[test]
fn every_cut_and_every_changed_byte_is_an_error() {
    let (key, file) = sealed(&[b"a secret of some length"]);
    for length in 0..file.len() {
        assert!(open(&file[..length], &key).is_err(), "cut at {length}");
    }
    for at in 0..file.len() {
        for flip in [1, 0x20, 0x80] {
            let mut changed = file.clone();
            changed[at] ^= flip;
            assert!(open(&changed, &key).is_err(), "byte {at}, bit {flip}");
        }
    }
    for tail in [&b"\0"[..], b"\n", &[7; 16], &[7; 40]] {
        let longer = [&file, tail].concat();
        assert!(matches!(open(&longer, &key), Err(Error::Damaged)));
    }
}

#[test]
fn a_missing_last_chunk_is_damage() {
    let (key, file) = sealed(&[&vec![7; 3 * 65536]]);
    for chunks in 1..3 {
        let cut = &file[..file.len() - chunks * CHUNK];
        assert!(matches!(open(cut, &key), Err(Error::Damaged)), "{chunks}");
    }
}

#[test]
fn what_is_not_an_age_file() {
    let key = StoreKey::generate();
    for bytes in [
        &b""[..],
        b"hello",
        b"age-encryption.org/v2\n-> x\n",
        b"-----BEGIN AGE",
    ] {
        assert!(matches!(open(bytes, &key), Err(Error::NotAge)));
    }
    assert!(matches!(open(b"age-enc", &key), Err(Error::Damaged)));
}

#[test]
fn a_header_that_never_ends_is_refused_at_once() {
    let key = StoreKey::generate();
    let mut file = VERSION_LINE.to_vec();
    while file.len() < 30 << 20 {
        file.extend(b"-> x\n\n");
    }
    assert!(matches!(open(&file, &key), Err(Error::Damaged)));
    file.truncate(VERSION_LINE.len() + 10_000 * 6);
    file.extend(b"--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n");
    file.extend([0; 40]);
    assert!(matches!(open(&file, &key), Err(Error::KeyMismatch)));
}

#[test]
fn a_passphrase_is_refused_where_keys_are_expected() {
    let secret = Secret::copy_of(b"text");
    let pass = Secret::copy_of(b"correct horse");
    let armored = encrypt_with_passphrase(&secret, &pass).unwrap();
    let file = dearmor(&armored).unwrap();
    assert!(
        String::from_utf8_lossy(&file).contains(" 18\n"),
        "the cost is fixed"
    );
    assert!(is_scrypt(&file).unwrap());
    assert!(matches!(
        open(&file, &StoreKey::generate()),
        Err(Error::ScryptRefused)
    ));
    assert_eq!(
        open_with_passphrase(&file, &pass, MAX).unwrap().expose(),
        b"text"
    );
    let wrong = open_with_passphrase(&file, &Secret::copy_of(b"wrong"), MAX);
    assert!(matches!(wrong, Err(Error::WrongPassphrase)));
    let empty = encrypt_with_passphrase(&secret, &Secret::copy_of(b""));
    assert!(matches!(empty, Err(Error::BadPassphrase)));
}

#[test]
fn a_passphrase_that_costs_too_much_is_refused() {
    let salt = "A".repeat(22);
    let body = "A".repeat(43);
    let head = format!("age-encryption.org/v1\n-> scrypt {salt} 23\n{body}\n--- {body}\n");
    let file = [head.as_bytes(), &[0; 48]].concat();
    let opened = open_with_passphrase(&file, &Secret::copy_of(b"x"), MAX);
    assert!(matches!(opened, Err(Error::ExcessiveWork { log2: 23 })));
}

#[test]
fn stock_age_opens_ours_and_we_open_its() {
    if Command::new("age").arg("--version").output().is_err() {
        eprintln!("age is not installed: not compared");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (key, file) = sealed(&[b"head\n---\n", b"tail\0\xff"]);
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("key"), key.to_line().expose()).unwrap();
    std::fs::write(at("ours"), file).unwrap();
    let opened = Command::new("age")
        .arg("-d")
        .arg("-i")
        .args([at("key"), at("ours")])
        .output();
    assert_eq!(opened.unwrap().stdout, b"head\n---\ntail\0\xff");

    std::fs::write(at("plain"), b"from age").unwrap();
    for flags in [&["-e"][..], &["-e", "-a"]] {
        let its = Command::new("age")
            .args(flags)
            .args(["-r", &key.recipient().to_string()])
            .stdin(Stdio::null())
            .arg(at("plain"))
            .output();
        let its = its.unwrap().stdout;
        let binary = dearmor(&its).unwrap();
        assert_eq!(open(&binary, &key).unwrap().expose(), b"from age");
    }
}
