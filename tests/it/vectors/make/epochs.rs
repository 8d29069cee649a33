//! A new epoch on top of an old one: what a device that knows the old one takes on a person's word, and what it refuses all the same.

use agevault::crypto::identity::StoreKey;
use agevault::crypto::sign::WriterKey;
use agevault::crypto::sign::WriterPublic;
use agevault::format::Epoch;
use agevault::format::document::Domain;
use agevault::format::keys::Ended;

use super::history::Chain;

/// The files of a store with one entry.
const FILES: [&str; 4] = [
    ".vault/format",
    ".vault/members.age",
    ".vault/keys/laptop.age",
    "github/ci.age",
];

/// A chain with its first epoch, and the keys of the epochs that are over, newest first.
struct Epochs {
    chain: Chain,
    /// What the device has pinned.
    pinned: Epoch,
    past: Vec<(Ended, StoreKey)>,
    writers: Vec<WriterKey>,
    first: String,
    last: String,
}

fn again(key: &StoreKey) -> StoreKey {
    StoreKey::parse(key.to_line().expose()).unwrap()
}

impl Epochs {
    fn new(name: &str, ids: &[&str], about: &str) -> Self {
        let chain = Chain::new(name, ids, about);
        let first = chain.commit(&[], "create the store", true);
        chain.add("100644", "a.age", &chain.kit.get("github/ci.age"));
        let last = chain.commit(&[&first], "add \"a\"", true);
        let pinned = chain.kit.epoch.clone();
        chain.remove("a.age");
        Self {
            chain,
            pinned,
            past: Vec::new(),
            writers: Vec::new(),
            first,
            last,
        }
    }

    /// New keys, whose `past` says this of the epoch before.
    fn turn(&mut self, last: &str, writer: Option<WriterPublic>) {
        let kit = &mut self.chain.kit;
        let ended = Ended {
            number: kit.epoch.number,
            writer: writer.unwrap_or(kit.epoch.writer),
            last: last.to_owned(),
        };
        self.past.insert(0, (ended, again(&kit.store_key)));
        let writer = WriterKey::generate().unwrap();
        kit.epoch = Epoch {
            number: kit.epoch.number + 1,
            writer: writer.public(),
            ..kit.epoch.clone()
        };
        kit.store_key = StoreKey::generate();
        self.writers
            .insert(0, std::mem::replace(&mut kit.writer, writer));
    }

    /// Puts everything into the next tree, in the present epoch.
    fn fill(&self) {
        let kit = &self.chain.kit;
        kit.put(".vault/format", kit.epoch.to_text().as_bytes());
        let past = Ended::list_text(self.past.iter().map(|(ended, _)| ended));
        let mut body = kit.key_body();
        for (_, key) in &self.past {
            body.extend_from_slice(key.to_line().expose());
            body.push(b'\n');
        }
        let header = kit.key_header("laptop") + &past;
        kit.key_file_to(
            "laptop",
            "laptop",
            &kit.signed(Domain::Keys, &header, &body),
        );
        kit.member_list(2, &[("laptop", "laptop", "writer")]);
        kit.entry("github/ci", "", b"ghp_example");
        for path in FILES {
            self.chain.add("100644", path, &kit.get(path));
        }
    }

    /// The commit that begins an epoch.
    fn begin(&mut self) -> String {
        let last = self.last.clone();
        self.turn(&last, None);
        self.fill();
        self.chain.commit(&[&last], "replace the keys", true)
    }

    /// A commit on the first one, and a new epoch that was begun without it.
    fn beside(&mut self) -> (String, String) {
        let kit = &mut self.chain.kit;
        kit.entry("own", "", b"not lost");
        let file = kit.get("own.age");
        self.chain.add("100644", "own.age", &file);
        let beside = self.chain.commit(&[&self.first], "add \"own\"", true);
        self.chain.remove("own.age");
        (beside, self.begin())
    }

    /// A commit sealed by the writer key of the epoch before.
    fn by_old_writer(&mut self, parent: &str, message: &str) -> String {
        let epoch = self.chain.kit.epoch.clone();
        let old = self.past[0].0.epoch(&epoch.store);
        let kit = &mut self.chain.kit;
        kit.epoch = old;
        std::mem::swap(&mut kit.writer, &mut self.writers[0]);
        let id = self.chain.commit(&[parent], message, true);
        let kit = &mut self.chain.kit;
        kit.epoch = epoch;
        std::mem::swap(&mut kit.writer, &mut self.writers[0]);
        id
    }

    /// The device shows `shown`, and a person has confirmed the words of the present epoch, or others.
    fn done(mut self, shown: &str, head: &str, words: Option<String>, stage: Option<&str>) {
        let pinned = self.pinned.to_text();
        self.chain.kit.say(&format!("pinned = {pinned:?}"));
        if let Some(words) = words {
            self.chain.kit.say(&format!("words = {words:?}"));
        }
        self.chain.done(shown, head, stage);
    }

    fn words(&self) -> String {
        self.chain.kit.epoch.fingerprint()
    }
}

pub(in super::super) fn all() {
    accepted();
    pins();
    members();
    descents();
    others();
    contents();
}

fn accepted() {
    let rules = ["F-090", "F-091", "F-092", "F-093", "F-094", "F-081"];
    let mut two = Epochs::new("epoch-confirmed", &rules, "its words were confirmed");
    let head = two.begin();
    let (shown, words) = (two.first.clone(), Some(two.words()));
    two.done(&shown, &head, words, None);

    let mut three = Epochs::new("epoch-skipped", &rules, "two epochs further");
    three.last = three.begin();
    let head = three.begin();
    let (shown, words) = (three.first.clone(), Some(three.words()));
    three.done(&shown, &head, words, None);

    let about = "the device has a commit of its own, which nobody else has seen";
    let mut own = Epochs::new("epoch-own-work", &["F-092", "F-094"], about);
    let (shown, head) = own.beside();
    let words = Some(own.words());
    own.done(&shown, &head, words, None);
}

/// The device has taken in what somebody else made, and the new epoch was begun without it.
pub(in super::super) fn others() {
    let about = "the device has taken in a commit of others that the new epoch was begun without";
    let mut one = Epochs::new("epoch-without-others", &["F-092"], about);
    let (shown, head) = one.beside();
    let words = Some(one.words());
    one.chain.kit.say("by_others = true");
    one.done(&shown, &head, words, Some("descent"));

    let about = "such a commit, which a person gives up by name";
    let mut one = Epochs::new("epoch-others-given-up", &["F-092"], about);
    let (shown, head) = one.beside();
    let words = Some(one.words());
    one.chain.kit.say("by_others = true");
    one.chain.kit.say(&format!("without = {shown:?}"));
    one.done(&shown, &head, words, None);

    let about = "another commit is named than the one that would be given up";
    let mut one = Epochs::new("epoch-another-given-up", &["F-092"], about);
    let (shown, head) = one.beside();
    let words = Some(one.words());
    one.chain.kit.say("by_others = true");
    one.chain.kit.say(&format!("without = {:?}", one.first));
    one.done(&shown, &head, words, Some("descent"));
}

fn pins() {
    let pin = Some("pin");
    let mut one = Epochs::new("epoch-unconfirmed", &["F-090"], "nobody has confirmed it");
    let head = one.begin();
    let shown = one.first.clone();
    one.done(&shown, &head, None, pin);

    let mut one = Epochs::new(
        "epoch-other-words",
        &["F-090"],
        "other words were confirmed",
    );
    let head = one.begin();
    let shown = one.first.clone();
    let words = one.pinned.fingerprint();
    one.done(&shown, &head, Some(words), pin);

    let about = "another writer key for the same number";
    let mut one = Epochs::new("epoch-not-after", &["F-090"], about);
    let last = one.last.clone();
    one.turn(&last, None);
    one.chain.kit.epoch.number = 1;
    one.past.clear();
    one.fill();
    let head = one.chain.commit(&[&last], "replace the keys", true);
    let (shown, words) = (one.first.clone(), Some(one.words()));
    one.done(&shown, &head, words, pin);

    let mut one = Epochs::new("epoch-other-store", &["F-090"], "an epoch of another store");
    let last = one.last.clone();
    one.turn(&last, None);
    one.chain.kit.epoch.store = "ab".repeat(16);
    one.fill();
    let head = one.chain.commit(&[&last], "replace the keys", true);
    let (shown, words) = (one.first.clone(), Some(one.words()));
    one.done(&shown, &head, words, pin);
}

fn members() {
    let member = Some("member");
    let about = "a key file that knows no earlier epoch";
    let mut one = Epochs::new("epoch-without-past", &["F-091"], about);
    let last = one.last.clone();
    one.turn(&last, None);
    one.past.clear();
    one.fill();
    let head = one.chain.commit(&[&last], "replace the keys", true);
    let (shown, words) = (one.first.clone(), Some(one.words()));
    one.done(&shown, &head, words, member);

    let about = "a key file that has another writer key for the pinned epoch";
    let mut one = Epochs::new("epoch-past-other-writer", &["F-091"], about);
    let last = one.last.clone();
    one.turn(&last, Some(WriterKey::generate().unwrap().public()));
    one.fill();
    let head = one.chain.commit(&[&last], "replace the keys", true);
    let (shown, words) = (one.first.clone(), Some(one.words()));
    one.done(&shown, &head, words, member);

    let about = "no key file for this member: it was removed";
    let mut one = Epochs::new("epoch-without-member", &["F-091"], about);
    let last = one.last.clone();
    one.turn(&last, None);
    one.fill();
    one.chain.remove(".vault/keys/laptop.age");
    let head = one.chain.commit(&[&last], "remove the member laptop", true);
    let (shown, words) = (one.first.clone(), Some(one.words()));
    one.done(&shown, &head, words, member);
}

fn descents() {
    let descent = Some("descent");
    let about = "the last commit that it names is not in its history";
    let mut one = Epochs::new("epoch-last-elsewhere", &["F-092"], about);
    let (first, last) = (one.first.clone(), one.last.clone());
    one.turn(&last, None);
    one.fill();
    let head = one.chain.commit(&[&first], "replace the keys", true);
    let words = Some(one.words());
    one.done(&first, &head, words, descent);

    let about = "a history that has nothing in common with the device's";
    let mut one = Epochs::new("epoch-nothing-common", &["F-092"], about);
    let root = one.chain.commit(&[], "another beginning", true);
    one.last = root;
    let head = one.begin();
    let (shown, words) = (one.first.clone(), Some(one.words()));
    one.done(&shown, &head, words, descent);
}

fn contents() {
    let seal = Some("seal");
    let about = "on top of it a commit of the former writer key";
    let mut one = Epochs::new("epoch-old-writer-after", &["F-093", "F-081"], about);
    let epoch = one.begin();
    let head = one.by_old_writer(&epoch, "an ex-member's");
    let (shown, words) = (one.first.clone(), Some(one.words()));
    one.done(&shown, &head, words, seal);

    let about = "the former writer key has sealed the commit that begins it";
    let mut one = Epochs::new("epoch-sealed-by-old-writer", &["F-093", "F-081"], about);
    let last = one.last.clone();
    one.turn(&last, None);
    one.fill();
    let head = one.by_old_writer(&last, "replace the keys");
    let (shown, words) = (one.first.clone(), Some(one.words()));
    one.done(&shown, &head, words, seal);

    let mut one = Epochs::new(
        "epoch-foreign-file",
        &["F-093"],
        "a file that is no part of a store",
    );
    one.chain.add("100644", "README.md", b"x");
    let head = one.begin();
    let (shown, words) = (one.first.clone(), Some(one.words()));
    one.done(&shown, &head, words, Some("name"));

    let about = "an entry that is still of the epoch before";
    let mut one = Epochs::new("epoch-old-entry", &["F-094"], about);
    let old = one.chain.kit.get("github/ci.age");
    let last = one.last.clone();
    one.turn(&last, None);
    one.fill();
    one.chain.add("100644", "github/ci.age", &old);
    let head = one.chain.commit(&[&last], "replace the keys", true);
    let (shown, words) = (one.first.clone(), Some(one.words()));
    one.done(&shown, &head, words, Some("envelope"));

    let about = "a member list that is still of the epoch before";
    let mut one = Epochs::new("epoch-old-list", &["F-094"], about);
    let old = one.chain.kit.get(".vault/members.age");
    let last = one.last.clone();
    one.turn(&last, None);
    one.fill();
    one.chain.add("100644", ".vault/members.age", &old);
    let head = one.chain.commit(&[&last], "replace the keys", true);
    let (shown, words) = (one.first.clone(), Some(one.words()));
    one.done(&shown, &head, words, Some("envelope"));

    let about = "an entry older than one that the device has seen";
    let mut one = Epochs::new("epoch-old-revision", &["F-094"], about);
    let head = one.begin();
    let (shown, words) = (one.first.clone(), Some(one.words()));
    "[seen]\n\"github/ci\" = 5\n".clone_into(&mut one.chain.last);
    one.done(&shown, &head, words, Some("revision"));
}
