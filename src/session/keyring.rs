//! The keys that the agent holds: for how long, and what is done with them.
//!
//! Lives here: the time limits, and the answer to each request. Never here: a socket or a thread. The clock is given.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;

use crate::format::Document;
use crate::format::Epoch;
use crate::format::Header;
use crate::format::KEYS_MAX_BYTES;
use crate::format::Refusal;
use crate::format::document::Domain;
use crate::format::keys::KeyFile;
use crate::secret::Secret;
use crate::session::ask::Asker;
use crate::session::ask::NOBODY_MAY;
use crate::session::consent::Answers;
use crate::session::consent::Consent;
use crate::session::consent::Matter;
use crate::session::protocol::Failure;
use crate::session::protocol::Hold;
use crate::session::protocol::Open;
use crate::session::protocol::Reply;
use crate::session::protocol::Request;
use crate::session::protocol::Status;
use crate::session::protocol::StoreStatus;
use crate::session::protocol::VERSION;
use crate::store;
use crate::store::keeper::Keeper;
use crate::store::keeper::Look;
use crate::store::keeper::Opening;
use crate::store::keeper::Unopened;
use crate::store::uses;
use crate::sys::clock;
use crate::sys::clock::Ticks;
use crate::sys::mem;
use crate::sys::process::Program;

/// Most stores whose keys are held at a time.
const STORES_MAX: usize = 64;
/// By how much the two clocks may come apart before the machine counts as having slept.
const SLEPT: Duration = Duration::from_millis(1500);

/// For how long keys are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Without being used.
    pub idle: Duration,
    /// In any case.
    pub most: Duration,
}

/// The time that is left to one store's keys.
#[derive(Debug)]
struct Lease {
    limits: Limits,
    began: Duration,
    used: Mutex<Duration>,
}

impl Lease {
    /// What is left of both limits; `None` once either is over.
    fn left(&self, now: Duration) -> Option<Limits> {
        let left = |limit: Duration, since: Duration| {
            let left = limit.checked_sub(now.saturating_sub(since))?;
            (!left.is_zero()).then_some(left)
        };
        Some(Limits {
            idle: left(self.limits.idle, *lock(&self.used))?,
            most: left(self.limits.most, self.began)?,
        })
    }
}

/// One store's keys.
pub struct Held {
    key: String,
    path: String,
    /// On pages that are locked, as far as the limit allows.
    keys: Box<KeyFile>,
    /// The key file's plaintext, locked like them: for the agent that takes over.
    plain: Secret,
    format: String,
    is_locked: bool,
    uses: PathBuf,
    pinentry: String,
    terminal: String,
    asker: Asker,
    lease: Lease,
}

/// All keys that are held.
pub struct Keyring {
    clock: Arc<dyn Ticks>,
    /// How long the machine had slept when the keyring was made.
    slept: Duration,
    held: Mutex<Vec<Arc<Held>>>,
    answers: Answers,
    had_any: AtomicBool,
    has_forgotten: AtomicBool,
}

/// The answer to a request.
pub enum Answer {
    /// Forget everything and end.
    End,
    /// Done; whether the keys are locked into memory.
    Done(bool),
    /// The keys are not held.
    NotHeld,
    /// They are; whether they can sign.
    Held(bool),
    /// An opened document.
    Document(Document),
    /// A header.
    Looked(Look),
    /// What was made or sealed.
    Bytes(Vec<u8>),
    /// Not believed.
    Refused(Refusal),
    /// Not allowed, and why.
    Denied(String),
    /// Not made, and why.
    Failed(Failure),
    /// What is held.
    Status(Status),
    /// Not understood.
    NotUnderstood,
    /// Of another version of the messages.
    OtherVersion,
    /// A person must be asked first.
    Ask(Box<Question>),
}

/// An opened entry that waits for a person's consent.
pub struct Question {
    held: Arc<Held>,
    document: Document,
    entry: String,
    purpose: String,
    program: Program,
}

impl Keyring {
    /// A keyring with nothing on it.
    pub fn new(clock: Arc<dyn Ticks>) -> Self {
        let slept = clock.passed().saturating_sub(clock.awake());
        Self {
            clock,
            slept,
            held: Mutex::default(),
            answers: Answers::default(),
            had_any: AtomicBool::new(false),
            has_forgotten: AtomicBool::new(false),
        }
    }

    /// Whether keys have ever been on it.
    pub fn had_any(&self) -> bool {
        self.had_any.load(Ordering::SeqCst)
    }

    /// Whether some of the keys have been forgotten: copies of them may still lie in this process's memory.
    pub fn has_forgotten(&self) -> bool {
        self.has_forgotten.load(Ordering::SeqCst)
    }

    /// Hands on everything that is held, with the time that has passed.
    pub fn each(&self, mut hand_on: impl FnMut(Hold<'_>) -> io::Result<()>) -> io::Result<()> {
        let now = self.clock.passed();
        for one in &*lock(&self.held) {
            let limits = one.lease.limits;
            let used = *lock(&one.lease.used);
            let hold = Hold {
                format: one.format.as_bytes(),
                member: &one.keys.member,
                path: &one.path,
                uses: one.uses.to_str().unwrap_or_default(),
                idle: limits.idle.as_secs(),
                most: limits.most.as_secs(),
                unused: now.saturating_sub(used).as_secs(),
                passed: now.saturating_sub(one.lease.began).as_secs(),
                pinentry: &one.pinentry,
                terminal: &one.terminal,
                keys: one.plain.expose(),
            };
            hand_on(hold)?;
        }
        Ok(())
    }

    /// Forgets everything.
    pub fn forget(&self) {
        lock(&self.held).clear();
        self.answers.forget();
    }

    /// Forgets what is over; everything, if the machine has slept. How long what is left has at least; `None` if nothing is left.
    pub fn expire(&self) -> Option<Duration> {
        let now = self.clock.passed();
        let slept = now.saturating_sub(self.clock.awake());
        let mut held = lock(&self.held);
        if slept > self.slept + SLEPT {
            held.clear();
            self.answers.forget();
        }
        let before = held.len();
        held.retain(|one| one.lease.left(now).is_some());
        if held.len() < before {
            self.has_forgotten.store(true, Ordering::SeqCst);
        }
        let left = held.iter().filter_map(|one| one.lease.left(now));
        left.map(|left| left.idle.min(left.most)).min()
    }

    /// Answers a request of a process. What is over by now is forgotten first.
    pub fn answer(&self, request: &Request<'_>, asker: Asker, caller: i32) -> Answer {
        self.expire();
        match request {
            Request::Lock => Answer::End,
            Request::Status => Answer::Status(self.status()),
            Request::Holds { store } => match self.peek(store) {
                Some(held) => Answer::Held(held.keys.can_write()),
                None => Answer::NotHeld,
            },
            Request::Hold(hold) => self.hold(hold, asker),
            Request::Open(open) => self.with(open.store, |held| {
                let document = held.keys.open(open.ciphertext, open.domain);
                if open.domain != Domain::Entry {
                    return document.map_or_else(Answer::from, Answer::Document);
                }
                self.consider(held, document, open, caller)
            }),
            Request::OpenUnexpired(open, now) => self.with(open.store, |held| {
                let now = Timestamp::from_second(*now).unwrap_or(Timestamp::MAX);
                match held.keys.open_unexpired(open.ciphertext, now) {
                    Ok(Opening::Expired(look)) => Answer::Looked(look),
                    Ok(Opening::Document(document)) => {
                        self.consider(held, Ok(document), open, caller)
                    }
                    Err(unopened) => unopened.into(),
                }
            }),
            Request::OpenPast(open) => self.with(open.store, |held| {
                let document = held.keys.open_history(open.ciphertext);
                self.consider(held, document, open, caller)
            }),
            Request::Look(open) => self.with(open.store, |held| {
                let look = held.keys.look(open.ciphertext);
                look.map_or_else(Answer::from, Answer::Looked)
            }),
            Request::LookPast(open) => self.with(open.store, |held| {
                let look = held.keys.look_history(open.ciphertext);
                look.map_or_else(Answer::from, Answer::Looked)
            }),
            Request::Make {
                store,
                domain,
                header,
                body,
            } => {
                let body = Secret::copy_of(body);
                self.with(store, |held| held.keys.make(header, &body, *domain).into())
            }
            Request::Seal { store, commit } => {
                self.with(store, |held| held.keys.seal(commit).into())
            }
        }
    }

    fn hold(&self, hold: &Hold<'_>, asker: Asker) -> Answer {
        if hold.keys.len() as u64 > KEYS_MAX_BYTES {
            return Answer::NotUnderstood;
        }
        let parsed = Epoch::parse(hold.format).and_then(|epoch| {
            let keys = KeyFile::parse(Secret::copy_of(hold.keys), &epoch, hold.member)?;
            Ok((epoch, Box::new(keys)))
        });
        let (epoch, keys) = match parsed {
            Ok(parsed) => parsed,
            Err(refusal) => return Answer::Refused(refusal),
        };
        let plain = Secret::copy_of(hold.keys);
        let is_locked = mem::lock(std::slice::from_ref(&*keys))
            & mem::lock(&keys.past)
            & mem::lock(plain.expose());
        let now = self.clock.passed();
        let limits = Limits {
            idle: Duration::from_secs(hold.idle),
            most: Duration::from_secs(hold.most),
        };
        let new = Held {
            key: epoch.key(),
            path: hold.path.to_owned(),
            keys,
            plain,
            format: epoch.to_text(),
            is_locked,
            uses: PathBuf::from(hold.uses),
            pinentry: hold.pinentry.to_owned(),
            terminal: hold.terminal.to_owned(),
            asker,
            lease: Lease {
                limits,
                began: now.saturating_sub(Duration::from_secs(hold.passed)),
                used: Mutex::new(now.saturating_sub(Duration::from_secs(hold.unused))),
            },
        };
        let mut held = lock(&self.held);
        held.retain(|one| one.key != new.key);
        if held.len() >= STORES_MAX {
            held.remove(0);
            self.has_forgotten.store(true, Ordering::SeqCst);
        }
        held.push(Arc::new(new));
        self.had_any.store(true, Ordering::SeqCst);
        Answer::Done(is_locked)
    }

    /// A store's keys, whose use this is not.
    fn peek(&self, store: &str) -> Option<Arc<Held>> {
        let held = lock(&self.held);
        held.iter().find(|one| one.key == store).cloned()
    }

    /// Does something with a store's keys, which begins their idle time anew.
    fn with(&self, store: &str, work: impl FnOnce(&Arc<Held>) -> Answer) -> Answer {
        let Some(held) = self.peek(store) else {
            return Answer::NotHeld;
        };
        *lock(&held.lease.used) = self.clock.passed();
        work(&held)
    }

    fn status(&self) -> Status {
        let now = self.clock.passed();
        let held = lock(&self.held);
        let stores = held.iter().filter_map(|one| {
            let left = one.lease.left(now)?;
            Some(StoreStatus {
                store: one.key.clone(),
                path: one.path.clone(),
                member: one.keys.member.clone(),
                idle: left.idle.as_secs(),
                most: left.most.as_secs(),
                is_locked: one.is_locked,
            })
        });
        Status {
            pid: std::process::id(),
            stores: stores.collect(),
        }
    }

    /// An opened entry is given out, or waits for consent, or is kept; its use is recorded.
    fn consider(
        &self,
        held: &Arc<Held>,
        document: Result<Document, Unopened>,
        open: &Open<'_>,
        caller: i32,
    ) -> Answer {
        let document = match document {
            Ok(document) => document,
            Err(unopened) => return unopened.into(),
        };
        // What cannot be read could ask for consent: nothing of it is given out.
        let header = match Header::parse(&document.header) {
            Ok(header) => header,
            Err(refusal) => return Answer::Refused(refusal),
        };
        let question = Question {
            held: held.clone(),
            document,
            entry: header.name,
            purpose: open.purpose.to_owned(),
            program: Program::of(caller),
        };
        if !header.confirm {
            return question.granted();
        }
        if !open.may_ask {
            return Answer::Denied(NOBODY_MAY.to_owned());
        }
        match question.known(self) {
            Some(Ok(())) => question.granted(),
            Some(Err(why)) => Answer::Denied(why),
            None => Answer::Ask(Box::new(question)),
        }
    }
}

impl Question {
    /// Asks, unless the same has been asked and answered, and answers what was waiting.
    pub fn ask(self, keyring: &Keyring) -> Answer {
        if let Some(consent) = self.known(keyring) {
            return self.settled(consent, keyring);
        }
        let question = consent_question(&self.entry, &self.purpose, &self.program);
        let consent = self.held.asker.consent(&question);
        if let Some(matter) = self.matter() {
            let now = keyring.clock.passed();
            keyring.answers.note(matter, now, consent.clone());
        }
        self.settled(consent, keyring)
    }

    fn matter(&self) -> Option<Matter> {
        Matter::of(&self.program, &self.held.key, &self.entry, &self.purpose)
    }

    fn known(&self, keyring: &Keyring) -> Option<Consent> {
        keyring
            .answers
            .known(&self.matter()?, keyring.clock.passed())
    }

    /// A yes does not count if the keys were forgotten, or should have been, while the person thought.
    fn settled(self, consent: Consent, keyring: &Keyring) -> Answer {
        keyring.expire();
        match consent {
            Ok(()) if keyring.peek(&self.held.key).is_some() => self.granted(),
            Ok(()) => Answer::NotHeld,
            Err(why) => Answer::Denied(why),
        }
    }

    fn granted(self) -> Answer {
        // A record that cannot be written keeps nobody from a secret: a full disk must not lock a person out.
        let _ = uses::record(
            &self.held.uses,
            clock::now(),
            &self.purpose,
            &self.program,
            &self.entry,
        );
        Answer::Document(self.document)
    }
}

/// What a person is asked before an entry with `confirm` is opened.
pub fn consent_question(entry: &str, purpose: &str, program: &Program) -> String {
    let Program {
        pid, name, parent, ..
    } = program;
    format!(
        "{name} (process {pid}, started by {parent}) wants \"{entry}\" for {purpose}: allow it?"
    )
}

impl From<Unopened> for Answer {
    fn from(unopened: Unopened) -> Self {
        match unopened {
            Unopened::Refused(refusal) => Self::Refused(refusal),
            Unopened::Denied(_, why) => Self::Denied(why),
            Unopened::Gone => Self::NotHeld,
        }
    }
}

impl From<Result<Vec<u8>, store::Error>> for Answer {
    fn from(made: Result<Vec<u8>, store::Error>) -> Self {
        Self::Failed(match made {
            Ok(bytes) => return Self::Bytes(bytes),
            Err(store::Error::ReadOnly) => Failure::ReadOnly,
            Err(store::Error::TooLarge) => Failure::TooLarge,
            Err(store::Error::HeaderTooLarge) => Failure::HeaderTooLarge,
            Err(_) => Failure::Crypto,
        })
    }
}

impl Answer {
    /// The field of the message that may be large.
    pub fn last(&self) -> &[u8] {
        match self {
            Self::Document(document) => document.body.expose(),
            Self::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    /// The message; a question that was not asked counts as denied.
    pub fn reply(&self) -> Reply<'_> {
        match self {
            Self::End | Self::Done(true) => Reply::Done,
            Self::Done(false) => Reply::DoneUnlocked,
            Self::NotHeld => Reply::NotHeld,
            Self::Held(can_write) => Reply::Held {
                can_write: *can_write,
            },
            Self::Document(document) => Reply::Document {
                header: &document.header,
                body: document.body.expose(),
            },
            Self::Looked(look) => Reply::Looked {
                header: &look.header,
                size: look.size as u64,
            },
            Self::Bytes(bytes) => Reply::Bytes(bytes),
            Self::Refused(refusal) => Reply::Refused(refusal.clone()),
            Self::Denied(why) => Reply::Denied(why),
            Self::Failed(failure) => Reply::Failed(*failure),
            Self::Status(status) => Reply::Status(status.clone()),
            Self::NotUnderstood => Reply::NotUnderstood,
            Self::OtherVersion => Reply::OtherVersion(VERSION),
            Self::Ask(_) => Reply::Denied("too many questions wait for an answer"),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
