//! The time limits by a clock that the test moves, and what is done with keys that are held.

use crate::crypto::StoreKey;
use crate::crypto::sign::WriterKey;

use super::*;

/// A clock that stands still unless it is moved.
#[derive(Default)]
struct Fake {
    passed: Mutex<Duration>,
    slept: Mutex<Duration>,
}

impl Fake {
    fn pass(&self, seconds: u64) {
        *lock(&self.passed) += Duration::from_secs(seconds);
    }

    fn sleep(&self, seconds: u64) {
        *lock(&self.slept) += Duration::from_secs(seconds);
        self.pass(seconds);
    }
}

impl Ticks for Fake {
    fn passed(&self) -> Duration {
        *lock(&self.passed)
    }

    fn awake(&self) -> Duration {
        lock(&self.passed).saturating_sub(*lock(&self.slept))
    }
}

fn keys() -> KeyFile {
    let writer_key = WriterKey::generate().unwrap();
    KeyFile {
        epoch: Epoch {
            store: "ab".repeat(16),
            number: 1,
            writer: writer_key.public(),
        },
        member: "laptop".to_owned(),
        store_key: StoreKey::generate(),
        writer_key: Some(writer_key),
        past: Vec::new(),
    }
}

struct World {
    clock: Arc<Fake>,
    keyring: Keyring,
    keys: KeyFile,
    store: String,
    uses: tempfile::TempDir,
}

impl World {
    /// Keys held for a minute of disuse, and five in any case.
    fn new() -> Self {
        let clock = Arc::new(Fake::default());
        clock.pass(1000);
        let keys = keys();
        let world = Self {
            keyring: Keyring::new(clock.clone()),
            clock,
            store: keys.epoch.key(),
            keys,
            uses: tempfile::tempdir().unwrap(),
        };
        assert!(matches!(world.hold(&world.keys), Answer::Done(_)));
        world
    }

    fn hold(&self, keys: &KeyFile) -> Answer {
        let (head, body) = keys.plaintext_for(&keys.member, false).unwrap();
        let plain = [head.as_bytes(), body.expose()].concat();
        let format = keys.epoch.to_text();
        let hold = Hold {
            format: format.as_bytes(),
            member: &keys.member,
            path: "/store",
            uses: self.uses.path().to_str().unwrap(),
            idle: 60,
            most: 300,
            unused: 0,
            passed: 0,
            pinentry: "",
            terminal: "",
            keys: &plain,
        };
        self.answer(&Request::Hold(hold))
    }

    fn answer(&self, request: &Request<'_>) -> Answer {
        let myself = std::process::id().cast_signed();
        self.keyring.answer(request, Asker::default(), myself)
    }

    fn is_held(&self) -> bool {
        let store = &self.store;
        matches!(self.answer(&Request::Holds { store }), Answer::Held(true))
    }

    fn open(&self, ciphertext: &[u8], may_ask: bool) -> Answer {
        self.answer(&Request::Open(Open {
            store: &self.store,
            domain: Domain::Entry,
            purpose: "get",
            may_ask,
            ciphertext,
        }))
    }

    fn entry(&self, more: &str) -> Vec<u8> {
        let header = format!("format = 1\nname = \"a\"\nrev = 1\n{more}");
        let body = Secret::copy_of(b"value");
        self.keys.make(&header, &body, Domain::Entry).unwrap()
    }
}

#[test]
fn keys_are_forgotten_after_disuse() {
    let world = World::new();
    let entry = world.entry("");
    for _ in 0..4 {
        world.clock.pass(59);
        assert!(matches!(world.open(&entry, false), Answer::Document(_)));
    }
    world.clock.pass(59);
    assert!(world.is_held(), "asking whether they are held is no use");
    world.clock.pass(1);
    assert!(matches!(world.open(&entry, false), Answer::NotHeld));
    assert_eq!(world.keyring.expire(), None);
}

#[test]
fn keys_are_forgotten_at_the_hard_limit() {
    let world = World::new();
    let entry = world.entry("");
    for _ in 0..5 {
        world.clock.pass(50);
        assert!(matches!(world.open(&entry, false), Answer::Document(_)));
    }
    assert_eq!(world.keyring.expire(), Some(Duration::from_secs(50)));
    world.clock.pass(50);
    assert!(matches!(world.open(&entry, false), Answer::NotHeld));
}

#[test]
fn keys_are_forgotten_after_a_suspend_before_anything_is_answered() {
    let world = World::new();
    let entry = world.entry("");
    world.clock.sleep(1);
    assert!(world.is_held(), "clocks may differ by a little");
    world.clock.sleep(5);
    assert!(matches!(world.open(&entry, false), Answer::NotHeld));
    assert!(world.keyring.had_any());
}

#[test]
fn several_stores_are_held_and_forgotten_each_by_itself() {
    let world = World::new();
    world.clock.pass(30);
    let other = keys();
    assert!(matches!(world.hold(&other), Answer::Done(_)));
    let Answer::Status(status) = world.answer(&Request::Status) else {
        panic!("no status");
    };
    let left: Vec<_> = status
        .stores
        .iter()
        .map(|one| (one.idle, one.most))
        .collect();
    assert_eq!(left, [(30, 270), (60, 300)]);
    world.clock.pass(30);
    assert!(!world.keyring.has_forgotten());
    assert!(!world.is_held());
    assert_eq!(world.keyring.expire(), Some(Duration::from_secs(30)));
    assert!(world.keyring.has_forgotten());
}

#[test]
fn another_keyring_takes_over_with_the_time_that_has_passed() {
    let world = World::new();
    world.clock.pass(20);
    let entry = world.entry("");
    assert!(matches!(world.open(&entry, false), Answer::Document(_)));
    world.clock.pass(10);
    let next = World::new();
    next.clock.pass(70);
    assert_eq!(next.keyring.expire(), None);
    world
        .keyring
        .each(|hold| {
            assert_eq!((hold.unused, hold.passed), (10, 30));
            assert!(matches!(next.answer(&Request::Hold(hold)), Answer::Done(_)));
            Ok(())
        })
        .unwrap();
    assert_eq!(next.keyring.expire(), Some(Duration::from_secs(50)));
    next.clock.pass(50);
    assert_eq!(next.keyring.expire(), None);
}

#[test]
fn the_same_store_is_held_once_and_many_are_bounded() {
    let world = World::new();
    assert!(matches!(world.hold(&world.keys), Answer::Done(_)));
    assert_eq!(lock(&world.keyring.held).len(), 1);
    for _ in 0..STORES_MAX {
        assert!(matches!(world.hold(&keys()), Answer::Done(_)));
    }
    assert_eq!(lock(&world.keyring.held).len(), STORES_MAX);
    assert!(!world.is_held(), "the oldest goes");
}

#[test]
fn consent_is_asked_and_uses_are_recorded() {
    let world = World::new();
    let entry = world.entry("confirm = true\n");
    assert!(matches!(world.open(&entry, false), Answer::Denied(_)));
    let Answer::Ask(question) = world.open(&entry, true) else {
        panic!("not asked");
    };
    assert!(
        matches!(question.ask(&world.keyring), Answer::Denied(_)),
        "nobody is there"
    );
    assert!(uses::read(world.uses.path()).unwrap().is_empty());
    let looked = world.answer(&Request::Look(Open {
        store: &world.store,
        domain: Domain::Entry,
        purpose: "show",
        may_ask: false,
        ciphertext: &entry,
    }));
    assert!(matches!(looked, Answer::Looked(Look { size: 5, .. })));
    assert!(matches!(
        world.open(&world.entry(""), false),
        Answer::Document(_)
    ));
    let used = uses::read(world.uses.path()).unwrap();
    assert_eq!(used.len(), 1);
    assert_eq!(
        (used[0].entry.as_str(), used[0].purpose.as_str()),
        ("a", "get")
    );
}

#[test]
fn a_yes_that_comes_after_a_suspend_gives_nothing_out() {
    let world = World::new();
    let entry = world.entry("confirm = true\n");
    let ask = || match world.open(&entry, true) {
        Answer::Ask(question) => question,
        _ => panic!("not asked"),
    };
    let (in_time, too_late) = (ask(), ask());
    let answer = in_time.settled(Ok(()), &world.keyring);
    assert!(matches!(answer, Answer::Document(_)));
    world.clock.sleep(5);
    let answer = too_late.settled(Ok(()), &world.keyring);
    assert!(matches!(answer, Answer::NotHeld));
}

#[test]
fn a_header_that_cannot_be_read_gives_nothing_out() {
    let world = World::new();
    let entry = world.entry("confirm = \"yes\"\n");
    assert!(matches!(world.open(&entry, true), Answer::Refused(_)));
}

#[test]
fn entries_and_seals_are_made() {
    let world = World::new();
    let made = world.answer(&Request::Make {
        store: &world.store,
        domain: Domain::Entry,
        header: "format = 1\nname = \"a\"\nrev = 1\n",
        body: b"value",
    });
    let Answer::Bytes(file) = made else {
        panic!("not made");
    };
    assert!(world.keys.open(&file, Domain::Entry).is_ok());
    let foreign = keys();
    let refused = world.open(
        &foreign
            .make("x\n", &Secret::copy_of(b""), Domain::Entry)
            .unwrap(),
        true,
    );
    assert!(matches!(refused, Answer::Refused(_)));
    assert!(matches!(world.answer(&Request::Lock), Answer::End));
}
