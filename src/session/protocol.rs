//! The agent's messages: versioned, bounded, and read without trust in who wrote them.
//!
//! A frame is its length in four bytes (of all that follows), the version, a kind, and fields: each its length in four bytes
//! and its bytes. Numbers are big-endian. These first six bytes, and the kind [`LOCK`], mean the same in every
//! version. The last field of a request may come as a sealed file in memory instead; its kind then has the bit [`HANDED`].
//!
//! Lives here: what the bytes are. Never here: a socket, or what is done.

use crate::format::Refusal;
use crate::format::Stage;
use crate::format::document::Domain;
use crate::secret::Secret;

/// The version of these messages.
pub const VERSION: u8 = 1;
/// Most bytes of a request without what is handed over as a file; a header, which is not, has up to 64 KiB.
pub const REQUEST_MAX_BYTES: usize = 96 * 1024;
/// Above this size, the last field of a request is handed over as a file.
pub const INLINE_MAX_BYTES: usize = 16 * 1024;
/// Bytes of the length before a frame.
pub const LENGTH_BYTES: usize = 4;
/// The bit of a kind that says that the last field is in a file.
pub const HANDED: u8 = 0x80;
/// The request to forget everything.
pub const LOCK: u8 = 1;
/// The answer to a request of another version.
const OTHER_VERSION: u8 = 1;

/// What is asked of the agent. `store` is the key of an epoch: id, number and public writer key.
#[derive(Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Forget everything and end.
    Lock,
    /// Tell what is held.
    Status,
    /// Whether this store's keys are held.
    Holds {
        /// Which store.
        store: &'a str,
    },
    /// Hold a store's keys.
    Hold(Hold<'a>),
    /// Open a document of the current epoch.
    Open(Open<'a>),
    /// Open an entry of the current epoch that has not expired by then, in seconds since 1970; of another tell the header.
    OpenUnexpired(Open<'a>, i64),
    /// Open an entry of this epoch or an earlier one.
    OpenPast(Open<'a>),
    /// Verify a document and tell its header only.
    Look(Open<'a>),
    /// The same for an entry of this epoch or an earlier one.
    LookPast(Open<'a>),
    /// Sign and encrypt.
    Make {
        /// Which store.
        store: &'a str,
        /// What it is.
        domain: Domain,
        /// The header.
        header: &'a str,
        /// The body.
        body: &'a [u8],
    },
    /// Seal a commit.
    Seal {
        /// Which store.
        store: &'a str,
        /// The raw commit.
        commit: &'a [u8],
    },
}

/// What comes with a store's keys.
#[derive(Debug, PartialEq, Eq)]
pub struct Hold<'a> {
    /// `.vault/format`.
    pub format: &'a [u8],
    /// The member.
    pub member: &'a str,
    /// The store's folder, for people.
    pub path: &'a str,
    /// The folder in which uses are recorded.
    pub uses: &'a str,
    /// After how many seconds of disuse the keys are forgotten.
    pub idle: u64,
    /// After how many seconds they are forgotten in any case.
    pub most: u64,
    /// How many seconds of disuse have passed already: where one agent takes over from another.
    pub unused: u64,
    /// How many seconds have passed in all.
    pub passed: u64,
    /// The program that asks questions; empty for the terminal.
    pub pinentry: &'a str,
    /// The path of the terminal to ask on; empty for none. Not the open terminal: whoever waits for its end would wait for
    /// the agent's.
    pub terminal: &'a str,
    /// The opened key file.
    pub keys: &'a [u8],
}

/// What is to be opened.
#[derive(Debug, PartialEq, Eq)]
pub struct Open<'a> {
    /// Which store.
    pub store: &'a str,
    /// What it must be.
    pub domain: Domain,
    /// What it is opened for, as the command calls it.
    pub purpose: &'a str,
    /// Whether a question may be asked.
    pub may_ask: bool,
    /// The encrypted bytes.
    pub ciphertext: &'a [u8],
}

/// What the agent answers.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// The request was of another version than this.
    OtherVersion(u8),
    /// Done.
    Done,
    /// Done, but the keys could not be locked into memory.
    DoneUnlocked,
    /// The keys of that store are not held.
    NotHeld,
    /// They are; whether they can sign.
    Held {
        /// Whether there is a writer key.
        can_write: bool,
    },
    /// A document: its header, and its body if that was asked for.
    Document {
        /// The header.
        header: &'a str,
        /// The body.
        body: &'a [u8],
    },
    /// A document's header, and the length of its body.
    Looked {
        /// The header.
        header: &'a str,
        /// The length of the body.
        size: u64,
    },
    /// What was made or sealed.
    Bytes(&'a [u8]),
    /// It is not believed.
    Refused(Refusal),
    /// The person has not allowed it, and why.
    Denied(&'a str),
    /// It cannot be made: why, as [`Failure`].
    Failed(Failure),
    /// What is held.
    Status(Status),
    /// The request is not understood.
    NotUnderstood,
}

/// Why something cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no writer key.
    ReadOnly,
    /// The body is too large.
    TooLarge,
    /// The header is too large.
    HeaderTooLarge,
    /// Encryption failed.
    Crypto,
}

/// What the agent tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Its process id.
    pub pid: u32,
    /// The stores.
    pub stores: Vec<StoreStatus>,
}

/// One store whose keys are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreStatus {
    /// Its id, epoch and writer key.
    pub store: String,
    /// Its folder.
    pub path: String,
    /// The member.
    pub member: String,
    /// Seconds until the keys are forgotten if they are not used.
    pub idle: u64,
    /// Seconds until they are forgotten in any case.
    pub most: u64,
    /// Whether they are locked into memory.
    pub is_locked: bool,
}

/// A frame in two parts, so that a large last field is never copied: what is before it, and the field.
pub struct Frame<'a> {
    /// Length, version, kind and fields, up to the length of the last one.
    pub head: Secret,
    /// The last field; empty if it is in `head` or in a file.
    pub tail: &'a [u8],
}

impl<'a> Request<'a> {
    /// The frame, without its last field if `is_handed`.
    pub fn frame(&self, is_handed: bool) -> Frame<'a> {
        let domain = |domain: &Domain| [domain_number(*domain)];
        let open = |kind, open: &Open<'a>| {
            let flag = [u8::from(open.may_ask)];
            let fields = [
                open.store.as_bytes(),
                &domain(&open.domain),
                open.purpose.as_bytes(),
                &flag,
            ];
            build(kind, &fields, Some(open.ciphertext), is_handed)
        };
        match self {
            Self::Lock => build(LOCK, &[], None, false),
            Self::Status => build(2, &[], None, false),
            Self::Holds { store } => build(3, &[store.as_bytes()], None, false),
            Self::Hold(hold) => {
                let (idle, most) = (hold.idle.to_be_bytes(), hold.most.to_be_bytes());
                let (unused, passed) = (hold.unused.to_be_bytes(), hold.passed.to_be_bytes());
                let fields = [
                    hold.format,
                    hold.member.as_bytes(),
                    hold.path.as_bytes(),
                    hold.uses.as_bytes(),
                    &idle,
                    &most,
                    &unused,
                    &passed,
                    hold.pinentry.as_bytes(),
                    hold.terminal.as_bytes(),
                ];
                build(4, &fields, Some(hold.keys), is_handed)
            }
            Self::Open(what) => open(5, what),
            Self::OpenPast(what) => open(6, what),
            Self::Look(what) => open(7, what),
            Self::LookPast(what) => open(10, what),
            Self::OpenUnexpired(what, now) => {
                let (flag, now) = ([u8::from(what.may_ask)], now.to_be_bytes());
                let fields = [
                    &now[..],
                    what.store.as_bytes(),
                    &domain(&what.domain),
                    what.purpose.as_bytes(),
                    &flag,
                ];
                build(11, &fields, Some(what.ciphertext), is_handed)
            }
            Self::Make {
                store,
                domain: of,
                header,
                body,
            } => {
                let fields = [store.as_bytes(), &domain(of), header.as_bytes()];
                build(8, &fields, Some(body), is_handed)
            }
            Self::Seal { store, commit } => build(9, &[store.as_bytes()], Some(commit), is_handed),
        }
    }

    /// The field that is handed over as a file if it is large.
    pub fn last(&self) -> Option<&'a [u8]> {
        match self {
            Self::Hold(hold) => Some(hold.keys),
            Self::Open(open)
            | Self::OpenUnexpired(open, _)
            | Self::OpenPast(open)
            | Self::Look(open)
            | Self::LookPast(open) => Some(open.ciphertext),
            Self::Make { body: last, .. } | Self::Seal { commit: last, .. } => Some(last),
            Self::Lock | Self::Status | Self::Holds { .. } => None,
        }
    }

    /// Reads a frame without its length; `handed` is what came beside it. `None` if it is no request of this version.
    pub fn parse(frame: &'a [u8], handed: Option<&'a [u8]>) -> Option<Self> {
        let mut fields = Fields::of(frame)?;
        let kind = fields.kind & !HANDED;
        fields.handed = match (fields.kind & HANDED, handed) {
            (0, None) => None,
            (HANDED, Some(handed)) => Some(handed),
            _ => return None,
        };
        let request = match kind {
            LOCK => Self::Lock,
            2 => Self::Status,
            3 => Self::Holds {
                store: fields.text()?,
            },
            4 => Self::Hold(Hold {
                format: fields.next()?,
                member: fields.text()?,
                path: fields.text()?,
                uses: fields.text()?,
                idle: fields.number()?,
                most: fields.number()?,
                unused: fields.number()?,
                passed: fields.number()?,
                pinentry: fields.text()?,
                terminal: fields.text()?,
                keys: fields.last()?,
            }),
            5 => Self::Open(fields.open()?),
            6 => Self::OpenPast(fields.open()?),
            7 => Self::Look(fields.open()?),
            8 => Self::Make {
                store: fields.text()?,
                domain: fields.domain()?,
                header: fields.text()?,
                body: fields.last()?,
            },
            9 => Self::Seal {
                store: fields.text()?,
                commit: fields.last()?,
            },
            10 => Self::LookPast(fields.open()?),
            11 => {
                let now = fields.number()?.cast_signed();
                Self::OpenUnexpired(fields.open()?, now)
            }
            _ => return None,
        };
        fields.is_done().then_some(request)
    }
}

/// Whether a frame is of this version; a request to lock is of every version.
pub fn is_known(frame: &[u8]) -> bool {
    matches!(frame, [VERSION, ..] | [_, LOCK, ..])
}

impl<'a> Reply<'a> {
    /// The frame.
    pub fn frame(&self) -> Frame<'a> {
        match self {
            Self::OtherVersion(version) => build(OTHER_VERSION, &[&[*version]], None, false),
            Self::Done => build(2, &[], None, false),
            Self::DoneUnlocked => build(3, &[], None, false),
            Self::NotHeld => build(4, &[], None, false),
            Self::Held { can_write } => build(5, &[&[u8::from(*can_write)]], None, false),
            Self::Document { header, body } => build(6, &[header.as_bytes()], Some(body), false),
            Self::Bytes(bytes) => build(7, &[], Some(bytes), false),
            Self::Refused(refusal) => {
                let fields = [
                    refusal.stage.word().as_bytes(),
                    refusal.subject.as_bytes(),
                    refusal.reason.as_bytes(),
                ];
                build(8, &fields, None, false)
            }
            Self::Denied(why) => build(9, &[why.as_bytes()], None, false),
            Self::Failed(failure) => build(10, &[&[failure.number()]], None, false),
            Self::Status(status) => status.frame(),
            Self::NotUnderstood => build(12, &[], None, false),
            Self::Looked { header, size } => {
                build(13, &[header.as_bytes(), &size.to_be_bytes()], None, false)
            }
        }
    }

    /// Reads a frame without its length; `None` if it is no reply of this version, but for one that tells its version.
    pub fn parse(frame: &'a [u8]) -> Option<Self> {
        let mut fields = Fields::of(frame)?;
        let reply = match fields.kind {
            OTHER_VERSION => Self::OtherVersion(fields.byte()?),
            _ if fields.version != VERSION => return None,
            2 => Self::Done,
            3 => Self::DoneUnlocked,
            4 => Self::NotHeld,
            5 => Self::Held {
                can_write: fields.byte()? == 1,
            },
            6 => Self::Document {
                header: fields.text()?,
                body: fields.next()?,
            },
            7 => Self::Bytes(fields.next()?),
            8 => Self::Refused(Refusal {
                stage: Stage::of_word(fields.text()?)?,
                subject: fields.text()?.to_owned(),
                reason: fields.text()?.to_owned(),
            }),
            9 => Self::Denied(fields.text()?),
            10 => Self::Failed(Failure::of_number(fields.byte()?)?),
            11 => Self::Status(Status::take(&mut fields)?),
            12 => Self::NotUnderstood,
            13 => Self::Looked {
                header: fields.text()?,
                size: fields.number()?,
            },
            _ => return None,
        };
        fields.is_done().then_some(reply)
    }
}

impl Failure {
    fn number(self) -> u8 {
        match self {
            Self::ReadOnly => 1,
            Self::TooLarge => 2,
            Self::HeaderTooLarge => 3,
            Self::Crypto => 4,
        }
    }

    fn of_number(number: u8) -> Option<Self> {
        let all = [
            Self::ReadOnly,
            Self::TooLarge,
            Self::HeaderTooLarge,
            Self::Crypto,
        ];
        all.into_iter().find(|failure| failure.number() == number)
    }
}

impl Status {
    fn frame(&self) -> Frame<'static> {
        let pid = u64::from(self.pid).to_be_bytes();
        let numbers: Vec<_> = self
            .stores
            .iter()
            .map(|store| {
                let flag = [u8::from(store.is_locked)];
                (store.idle.to_be_bytes(), store.most.to_be_bytes(), flag)
            })
            .collect();
        let mut fields: Vec<&[u8]> = vec![&pid];
        for (store, (idle, most, flag)) in self.stores.iter().zip(&numbers) {
            fields.extend([
                store.store.as_bytes(),
                store.path.as_bytes(),
                store.member.as_bytes(),
            ]);
            fields.extend([&idle[..], &most[..], &flag[..]]);
        }
        build(11, &fields, None, false)
    }

    fn take(fields: &mut Fields<'_>) -> Option<Self> {
        let pid = u32::try_from(fields.number()?).ok()?;
        let mut stores = Vec::new();
        while !fields.is_done() {
            stores.push(StoreStatus {
                store: fields.text()?.to_owned(),
                path: fields.text()?.to_owned(),
                member: fields.text()?.to_owned(),
                idle: fields.number()?,
                most: fields.number()?,
                is_locked: fields.byte()? == 1,
            });
        }
        Some(Self { pid, stores })
    }
}

fn domain_number(domain: Domain) -> u8 {
    match domain {
        Domain::Entry => 1,
        Domain::Keys => 2,
        Domain::Members => 3,
    }
}

/// Builds a frame. The buffer has its final size before it is filled.
fn build<'a>(kind: u8, fields: &[&[u8]], last: Option<&'a [u8]>, is_handed: bool) -> Frame<'a> {
    let size = |field: &[u8]| LENGTH_BYTES + field.len();
    let before = 2 + fields.iter().map(|field| size(field)).sum::<usize>();
    let shown = last.filter(|_| !is_handed);
    let whole = before + shown.map_or(0, size);
    let inline = shown.filter(|last| last.len() <= INLINE_MAX_BYTES);
    let mut head =
        Vec::with_capacity(LENGTH_BYTES + before + LENGTH_BYTES + inline.map_or(0, <[u8]>::len));
    // Everything that is framed is bounded far below four gigabytes.
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    head.extend_from_slice(&length(whole));
    head.push(VERSION);
    head.push(if is_handed { kind | HANDED } else { kind });
    for field in fields {
        head.extend_from_slice(&length(field.len()));
        head.extend_from_slice(field);
    }
    if let Some(last) = shown {
        head.extend_from_slice(&length(last.len()));
    }
    if let Some(inline) = inline {
        head.extend_from_slice(inline);
    }
    let tail = if inline.is_some() { None } else { shown };
    Frame {
        head: Secret::new(head),
        tail: tail.unwrap_or_default(),
    }
}

/// The fields of a frame, one after the other.
struct Fields<'a> {
    version: u8,
    kind: u8,
    rest: &'a [u8],
    handed: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn of(frame: &'a [u8]) -> Option<Self> {
        let (&[version, kind], rest) = frame.split_first_chunk()?;
        Some(Self {
            version,
            kind,
            rest,
            handed: None,
        })
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some(field)
    }

    /// The last field, wherever it is.
    fn last(&mut self) -> Option<&'a [u8]> {
        match self.handed.take() {
            Some(handed) => Some(handed),
            None => self.next(),
        }
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.next()?).ok()
    }

    fn byte(&mut self) -> Option<u8> {
        match self.next()? {
            [byte] => Some(*byte),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.next()?.try_into().ok()?))
    }

    fn domain(&mut self) -> Option<Domain> {
        let number = self.byte()?;
        let all = [Domain::Entry, Domain::Keys, Domain::Members];
        all.into_iter().find(|one| domain_number(*one) == number)
    }

    fn open(&mut self) -> Option<Open<'a>> {
        Some(Open {
            store: self.text()?,
            domain: self.domain()?,
            purpose: self.text()?,
            may_ask: match self.byte()? {
                0 => false,
                1 => true,
                _ => return None,
            },
            ciphertext: self.last()?,
        })
    }

    fn is_done(&self) -> bool {
        self.rest.is_empty() && self.handed.is_none()
    }
}

#[cfg(test)]
mod tests;
