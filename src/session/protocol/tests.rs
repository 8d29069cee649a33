//! Golden messages: these bytes are version 1, and do not change without another version.

use super::*;

fn whole(frame: &Frame<'_>) -> Vec<u8> {
    [frame.head.expose(), frame.tail].concat()
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let letter = |digit: u8| char::from_digit(u32::from(digit), 16).unwrap();
    digits.map(letter).collect()
}

fn open(ciphertext: &[u8]) -> Open<'_> {
    Open {
        store: "s 1 w",
        domain: Domain::Entry,
        purpose: "get",
        may_ask: true,
        ciphertext,
    }
}

fn requests() -> Vec<(Request<'static>, &'static str)> {
    let hold = Hold {
        format: b"f",
        member: "m",
        path: "/p",
        uses: "/u",
        idle: 900,
        most: 28_800,
        unused: 1,
        passed: 2,
        pinentry: "",
        terminal: "/t",
        keys: b"k",
    };
    let store = "s 1 w";
    let make = Request::Make {
        store,
        domain: Domain::Members,
        header: "h",
        body: b"b",
    };
    vec![
        (Request::Lock, "000000020101"),
        (Request::Status, "000000020102"),
        (Request::Holds { store }, "0000000b0103000000057320312077"),
        (
            Request::Hold(hold),
            "0000005701040000000166000000016d000000022f70000000022f7500000008000000\
             000000038400000008000000000000708000000008000000000000000100000008000000000000000200000000000000022f74000000016b",
        ),
        (
            Request::Open(open(b"c")),
            "0000002101050000000573203120770000000101000000036765740000000101000000\
             0163",
        ),
        (
            Request::OpenPast(open(b"c")),
            "0000002101060000000573203120770000000101000000036765740000000101000000\
             0163",
        ),
        (
            Request::Look(open(b"c")),
            "0000002101070000000573203120770000000101000000036765740000000101000000\
             0163",
        ),
        (
            make,
            "0000001a0108000000057320312077000000010300000001680000000162",
        ),
        (
            Request::Seal {
                store,
                commit: b"c",
            },
            "0000001001090000000573203120770000000163",
        ),
        (
            Request::LookPast(open(b"c")),
            "00000021010a0000000573203120770000000101000000036765740000000101000000\
             0163",
        ),
        (
            Request::OpenUnexpired(open(b"c"), -2),
            "0000002d010b00000008fffffffffffffffe0000000573203120770000000101000000\
             0367657400000001010000000163",
        ),
    ]
}

#[test]
fn requests_are_these_bytes() {
    for (request, bytes) in requests() {
        let frame = whole(&request.frame(false));
        assert_eq!(hex(&frame), bytes, "{request:?}");
        assert_eq!(Request::parse(&frame[LENGTH_BYTES..], None), Some(request));
    }
}

#[test]
fn replies_are_these_bytes_or_come_back() {
    let status = Status {
        pid: 7,
        stores: vec![StoreStatus {
            store: "s 1 w".to_owned(),
            path: "/p".to_owned(),
            member: "m".to_owned(),
            idle: 1,
            most: 2,
            is_locked: true,
        }],
    };
    let refusal = Refusal {
        stage: Stage::Envelope,
        subject: "a".to_owned(),
        reason: "why".to_owned(),
    };
    let golden = [
        (Reply::OtherVersion(3), "0000000701010000000103"),
        (Reply::Done, "000000020102"),
        (Reply::DoneUnlocked, "000000020103"),
        (Reply::NotHeld, "000000020104"),
        (Reply::Held { can_write: true }, "0000000701050000000101"),
        (
            Reply::Document {
                header: "h",
                body: b"b",
            },
            "0000000c010600000001680000000162",
        ),
        (Reply::Bytes(b"b"), "0000000701070000000162"),
        (Reply::Refused(refusal), ""),
        (Reply::Denied("no"), "000000080109000000026e6f"),
        (
            Reply::Failed(Failure::HeaderTooLarge),
            "00000007010a0000000103",
        ),
        (Reply::Status(status), ""),
        (Reply::NotUnderstood, "00000002010c"),
        (
            Reply::Looked {
                header: "h",
                size: 5,
            },
            "",
        ),
    ];
    for (reply, bytes) in golden {
        let frame = whole(&reply.frame());
        assert!(
            bytes.is_empty() || hex(&frame) == bytes,
            "{reply:?} {}",
            hex(&frame)
        );
        assert_eq!(Reply::parse(&frame[LENGTH_BYTES..]), Some(reply));
    }
}

#[test]
fn a_large_field_is_handed_over_or_streamed() {
    let large = vec![b'x'; INLINE_MAX_BYTES + 1];
    let request = Request::Open(open(&large));
    let frame = request.frame(true);
    assert!(frame.tail.is_empty() && frame.head.len() < 100);
    let bytes = &frame.head.expose()[LENGTH_BYTES..];
    assert_eq!(bytes[1] & HANDED, HANDED);
    assert_eq!(Request::parse(bytes, Some(&large)), Some(request));
    assert_eq!(Request::parse(bytes, None), None);
    let reply = Reply::Bytes(&large);
    let frame = reply.frame();
    assert_eq!(frame.tail.len(), large.len());
    assert_eq!(Reply::parse(&whole(&frame)[LENGTH_BYTES..]), Some(reply));
}

#[test]
fn what_is_no_message_is_refused() {
    for (request, _) in requests() {
        let frame = whole(&request.frame(false));
        let frame = &frame[LENGTH_BYTES..];
        for cut in 0..frame.len() {
            assert_eq!(
                Request::parse(&frame[..cut], None),
                None,
                "{request:?} {cut}"
            );
        }
        assert_eq!(Request::parse(&[frame, &[0]].concat(), None), None);
        assert_eq!(Request::parse(frame, Some(b"")), None);
    }
    assert_eq!(Request::parse(&[1, 200], None), None);
    assert_eq!(Reply::parse(&[1, 0, 0xff, 0xff, 0xff, 0xff]), None);
}

#[test]
fn another_version_can_still_lock_and_is_told_ours() {
    assert!(is_known(&[VERSION, 5]) && is_known(&[9, LOCK]));
    assert!(!is_known(&[9, 5]) && !is_known(&[]));
    assert_eq!(Request::parse(&[9, LOCK], None), Some(Request::Lock));
    assert_eq!(
        Reply::parse(&[9, 1, 0, 0, 0, 1, 9]),
        Some(Reply::OtherVersion(9))
    );
    assert_eq!(Reply::parse(&[9, 2]), None);
}
