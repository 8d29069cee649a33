use super::*;

const STORE: &str = "5e0b29d3f17c4a8896b0c2d4e6f80a1b";

fn key() -> WriterKey {
    WriterKey::from_seed_text(STANDARD_NO_PAD.encode([7; 32]).as_bytes()).unwrap()
}

fn message(body: &[u8]) -> Message {
    Message::new("agevault entry v1", STORE, 12)
        .field(b"head\n")
        .field(body)
}

#[test]
fn the_digest_is_over_fields_with_their_length() {
    let mut bytes = Vec::new();
    for field in [
        &b"agevault entry v1"[..],
        STORE.as_bytes(),
        b"12",
        b"head\n",
        b"body",
    ] {
        bytes.extend((field.len() as u64).to_be_bytes());
        bytes.extend(field);
    }
    assert_eq!(
        message(b"body").digest().as_slice(),
        Sha512::digest(bytes).as_slice()
    );
}

#[test]
fn a_signature_fits_its_message_and_key_only() {
    let signature = key().sign(&message(b"body"));
    assert_eq!(signature.len(), SIGNATURE_TEXT);
    let public = key().public();
    assert!(
        public
            .verify(&message(b"body"), signature.as_bytes())
            .is_ok()
    );
    assert!(
        public
            .verify(&message(b"bodY"), signature.as_bytes())
            .is_err()
    );
    let other = WriterKey::generate().unwrap().public();
    assert!(
        other
            .verify(&message(b"body"), signature.as_bytes())
            .is_err()
    );
    // The same bytes split otherwise into fields are another message.
    let shifted = Message::new("agevault entry v1", STORE, 12)
        .field(b"head\nb")
        .field(b"ody");
    assert!(public.verify(&shifted, signature.as_bytes()).is_err());
}

#[test]
fn every_changed_character_of_a_signature_is_refused() {
    let signature = key().sign(&message(b"body"));
    let public = key().public();
    for at in 0..signature.len() {
        for replacement in b"AB/+9=- \n" {
            let mut changed = signature.clone().into_bytes();
            if changed[at] == *replacement {
                continue;
            }
            changed[at] = *replacement;
            assert!(public.verify(&message(b"body"), &changed).is_err(), "{at}");
        }
    }
    for text in [
        &signature[..85],
        &format!("{signature}="),
        &format!("{signature}\n"),
        "",
    ] {
        assert!(public.verify(&message(b"body"), text.as_bytes()).is_err());
    }
}

#[test]
fn seeds_and_public_keys_read_their_own_text() {
    let made = WriterKey::generate().unwrap();
    let seed = made.seed_text();
    assert_eq!(seed.len(), KEY_TEXT);
    let again = WriterKey::from_seed_text(seed.expose()).unwrap();
    assert_eq!(again.public(), made.public());
    let text = made.public().to_string();
    assert_eq!(WriterPublic::parse(text.as_bytes()).unwrap(), made.public());
    assert_eq!(format!("{made:?}"), "WriterKey(..)");
}

#[test]
fn base64_has_one_form() {
    let text = key().public().to_string();
    let last = text.as_bytes()[42];
    // The last character carries four bits; with the two unused ones set it would decode alike.
    let loose = [&text.as_bytes()[..42], &[last + 1]].concat();
    assert!(WriterPublic::parse(&loose).is_err());
    for bad in [
        format!("{text}="),
        format!(" {text}"),
        text[..42].to_owned(),
        String::new(),
    ] {
        assert!(WriterPublic::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn weak_and_twisted_keys_are_refused() {
    let parse = |bytes: &[u8; 32]| WriterPublic::parse(STANDARD_NO_PAD.encode(bytes).as_bytes());
    // Points of small order: with the neutral one, a signature of zeros would fit every message.
    for (first, last) in [(1, 0), (0, 0), (0, 0x80)] {
        let mut weak = [0; 32];
        (weak[0], weak[31]) = (first, last);
        assert!(parse(&weak).is_err(), "{first} {last}");
    }
    // Coordinates from the prime on repeat smaller ones.
    for low in 0xed..=0xff {
        let mut twisted = [0xff; 32];
        twisted[0] = low;
        twisted[31] = 0x7f;
        assert!(parse(&twisted).is_err(), "{low}");
    }
}

#[test]
fn a_scalar_too_large_is_refused() {
    let public = key().public();
    let signature = key().sign(&message(b"x"));
    let mut bytes = STANDARD_NO_PAD.decode(&signature).unwrap();
    // Adds the group order to s: the equation still holds, the encoding is no longer the one.
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0_u16;
    for (byte, add) in bytes[32..].iter_mut().zip(order) {
        carry += u16::from(*byte) + u16::from(add);
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    let twisted = STANDARD_NO_PAD.encode(&bytes);
    assert!(public.verify(&message(b"x"), twisted.as_bytes()).is_err());
}

#[test]
fn fingerprints() {
    let words = fingerprint(STORE, 1, &key().public());
    assert_eq!(words.split('-').count(), WORDS);
    assert_ne!(words, fingerprint(STORE, 2, &key().public()));
    assert_eq!(parse_fingerprint(&words).unwrap(), words);
    let typed = format!("  {}\n", words.to_uppercase().replace('-', " "));
    assert_eq!(parse_fingerprint(&typed).unwrap(), words);
    let seven = words.rsplit_once('-').unwrap().0;
    for bad in [
        seven,
        &format!("{words}-abandon"),
        &format!("{seven}-xyzzy"),
        "",
    ] {
        assert!(
            matches!(parse_fingerprint(bad), Err(Error::BadFingerprint)),
            "{bad}"
        );
    }
}

#[test]
fn words_are_taken_from_the_first_bit_on() {
    // 88 bits: eleven ones, eleven zeros, then the last group is 1.
    let mut bytes = [0; 32];
    bytes[0] = 0xff;
    bytes[1] = 0xe0;
    bytes[10] = 1;
    let found: Vec<usize> = groups(&bytes).collect();
    assert_eq!(found, [2047, 0, 0, 0, 0, 0, 0, 1]);
}

#[test]
fn hex_and_random_text() {
    assert_eq!(
        digest_hex(b"abc"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(random_hex(16).unwrap().len(), 32);
    assert_ne!(random_hex(16).unwrap(), random_hex(16).unwrap());
}
