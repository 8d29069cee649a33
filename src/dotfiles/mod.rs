//! Dotfiles: entries that are files below the home directory, put there and taken back from there.
//!
//! Lives here: which place each belongs to, what was last put there, what has changed on which side, templates, backups, and
//! putting many files in place safely (section 7.1 of the format). Never here: prompts, printing, or which of them a person means.
//! Called by `cli`.

mod content;
pub mod memory;
mod place;
mod survey;
mod take;
pub mod target;
pub mod template;

use std::fmt;
use std::path::Path;
use std::path::PathBuf;

use crate::dotfiles::memory::Facts;
use crate::dotfiles::memory::Files;
use crate::dotfiles::memory::Memory;
use crate::exec::reference::Reference;
use crate::format::Header;
use crate::format::Name;
use crate::policy::release::Denied;
use crate::store;
use crate::store::Store;
use crate::sys::fs;
use crate::sys::fs::Stat;
use crate::sys::fs::beneath::Root;
use crate::sys::fs::beneath::Unfit;

pub use content::Content;
pub use content::Filling;
pub use place::Done;
pub use place::Left;
pub use place::Took;
pub use survey::is_any;
pub use take::Base;
pub use take::Taken;

/// The `kind` of an entry that may be a dotfile.
pub const KIND: &str = "file";
/// The mode of a dotfile whose header gives none.
pub const MODE: u32 = 0o600;

/// The machine that this is: what `hosts` and `systems` are compared with.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its name.
    pub host: String,
    /// Its system: `linux`, `macos`, …
    pub system: &'static str,
}

impl Machine {
    /// Whether a dotfile is for this machine, and how closely: 0 where it is for all.
    pub fn rank(&self, facts: &Facts) -> Option<u8> {
        let short = self.host.split('.').next().unwrap_or(&self.host);
        let is_me = |host: &String| {
            host.eq_ignore_ascii_case(&self.host) || host.eq_ignore_ascii_case(short)
        };
        if !facts.hosts.is_empty() && !facts.hosts.iter().any(is_me) {
            return None;
        }
        if !facts.systems.is_empty() && !facts.systems.iter().any(|word| word == self.system) {
            return None;
        }
        Some(if facts.hosts.is_empty() {
            u8::from(!facts.systems.is_empty())
        } else {
            2
        })
    }
}

/// The dotfiles of a store, below one folder.
pub struct Dotfiles<'s> {
    /// The store.
    pub store: &'s Store,
    /// The home directory, or another folder that was named.
    pub root: Root,
    machine: Machine,
    /// Folders where nothing is put: the program's own.
    own: Vec<PathBuf>,
    memory: Memory,
    files: Files,
}

/// How a dotfile stands: what is in the store, compared with what is in its place.
#[derive(Debug)]
pub enum Standing {
    /// Both are the same.
    Clean,
    /// It is not there and would be put there.
    Add,
    /// The store has another one, and what is there is what was put there: it would be replaced.
    Update,
    /// Only its permission bits differ.
    Mode,
    /// It was changed here, and the store has what it had.
    ChangedHere,
    /// It was changed here and in the store, or was there before the store had it.
    Both,
    /// The store may have another one: it cannot be told without the keys.
    Stale,
    /// This device has not read the entry yet.
    Unread,
    /// It is for another machine, or another entry with the same target is closer.
    Elsewhere,
    /// The store has it no longer; what is there stays.
    Gone,
    /// It is not put there.
    Refused(Problem),
}

impl Standing {
    /// Whether it is as it should be.
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Clean | Self::Elsewhere | Self::Gone)
    }

    /// Whether an apply would write it.
    pub fn is_due(&self) -> bool {
        matches!(self, Self::Add | Self::Update | Self::Mode)
    }

    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Clean => "same",
            Self::Add => "add",
            Self::Update => "update",
            Self::Mode => "mode",
            Self::ChangedHere => "changed here",
            Self::Both => "both changed",
            Self::Stale => "locked",
            Self::Unread => "not read yet",
            Self::Elsewhere => "elsewhere",
            Self::Gone => "forgotten",
            Self::Refused(_) => "refused",
        }
    }
}

/// One dotfile, and how it stands.
#[derive(Debug)]
pub struct Item {
    /// The entry.
    pub name: Name,
    /// What its header says; none if it was never read here.
    pub facts: Option<Facts>,
    /// How it stands.
    pub standing: Standing,
    /// What is in its place, as it was compared.
    pub seen: Option<Stat>,
    /// Its place below the root with every link on the way resolved, where something would be written.
    pub real: Option<PathBuf>,
    /// What would be written; none where that is not known yet.
    pub content: Option<Content>,
}

impl Item {
    /// The target, or the name where that is not known.
    pub fn target(&self) -> &str {
        match &self.facts {
            Some(facts) => &facts.target,
            None => self.name.as_str(),
        }
    }
}

/// Why a dotfile is not put in its place, or taken from there.
#[derive(Debug)]
pub enum Problem {
    /// What its header says is wrong.
    Header(String),
    /// Its place is not fit.
    Place(Unfit),
    /// Its place is below a folder of the program's own.
    Own,
    /// Another entry has the same target, and is as close.
    Twice(Name),
    /// It is a template with something wrong in it.
    Template(template::Fault),
    /// It names an entry of another store.
    OtherStore(Reference),
    /// It names an entry that there is not.
    NoEntry(Reference),
    /// It names a field that the entry does not have.
    NoField(Reference),
    /// It names an entry that is not handed out.
    Denied(Denied),
    /// There is no key to keep what is there with.
    NoBackup,
    /// The entry could not be opened.
    Store(Box<store::Error>),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(why) => f.write_str(why),
            Self::Place(unfit) => unfit.fmt(f),
            Self::Own => write!(f, "its place is among vault's own files"),
            Self::Twice(name) => write!(f, "\"{name}\" has the same target"),
            Self::Template(fault) => fault.fmt(f),
            Self::OtherStore(reference) => {
                write!(
                    f,
                    "it names another store, which a dotfile may not: {reference}"
                )
            }
            Self::NoEntry(reference) => write!(f, "there is no entry \"{}\"", reference.name),
            Self::NoField(reference) => {
                write!(
                    f,
                    "\"{}\" has no {}",
                    reference.name,
                    reference.field.word()
                )
            }
            Self::Denied(denied) => denied.fmt(f),
            Self::NoBackup => write!(
                f,
                "what is there would be lost: a member who may only read has no key to keep it with"
            ),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl From<Unfit> for Problem {
    fn from(unfit: Unfit) -> Self {
        Self::Place(unfit)
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        Self::Store(Box::new(error))
    }
}

/// What can go wrong with all of them.
#[derive(Debug)]
pub enum Error {
    /// The store.
    Store(store::Error),
    /// A file of the local state, or the root.
    File(fs::Error),
    /// There is more to remember than fits.
    TooMuch,
    /// The system has no random bytes.
    NoRandom,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::File(error) => error.fmt(f),
            Self::TooMuch => write!(f, "there is more to remember than fits"),
            Self::NoRandom => write!(f, "the system has no random bytes"),
        }
    }
}

impl std::error::Error for Error {}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<fs::Error> for Error {
    fn from(error: fs::Error) -> Self {
        Self::File(error)
    }
}

impl<'s> Dotfiles<'s> {
    /// The dotfiles of a store below a root. `own` are folders where nothing is put.
    pub fn open(
        store: &'s Store,
        root: Root,
        machine: Machine,
        own: &[PathBuf],
    ) -> Result<Self, Error> {
        let (memory, files) = Memory::open(store.state.path(), root.path())?;
        Ok(Self {
            own: own.iter().map(|path| real(path)).collect(),
            store,
            root,
            machine,
            memory,
            files,
        })
    }

    /// Remembers what was learned. Where another one is at work, that one does.
    pub fn remember(&mut self) -> Result<(), Error> {
        match self.memory.try_lock() {
            Ok(Some(_lock)) => self.memory.save(&self.files),
            Ok(None) => Ok(()),
            Err(Error::File(error)) if error.is_read_only() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// A path with the links in what there is of it resolved.
fn real(path: &Path) -> PathBuf {
    let known = path
        .ancestors()
        .find_map(|above| Some((fs::canonical(above)?, path.strip_prefix(above).ok()?)));
    match known {
        Some((real, rest)) if rest.as_os_str().is_empty() => real,
        Some((real, rest)) => real.join(rest),
        None => path.to_owned(),
    }
}

/// The permission bits of a dotfile (W-131).
pub fn mode_of(facts: &Facts) -> Result<u32, Problem> {
    let Some(text) = &facts.mode else {
        return Ok(MODE);
    };
    let digits = text.bytes().all(|byte| (b'0'..b'8').contains(&byte));
    let mode = u32::from_str_radix(text, 8).ok();
    mode.filter(|mode| digits && (3..=4).contains(&text.len()) && *mode <= 0o777)
        .ok_or_else(|| Problem::Header(format!("its mode \"{}\" is none", text.escape_debug())))
}

/// A header of a dotfile says so.
pub fn mark(header: &mut Header, facts: &Facts) {
    header.kind = Some(KIND.to_owned());
    header.target = Some(facts.target.clone());
    header.mode.clone_from(&facts.mode);
    header.link = facts.link;
    header.template = facts.template;
    header.hosts.clone_from(&facts.hosts);
    header.systems.clone_from(&facts.systems);
    header.tags.clone_from(&facts.tags);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_octal_and_sets_no_other_bit() {
        let mode = |text: &str| {
            let mode = Some(text.to_owned());
            mode_of(&Facts {
                mode,
                ..Facts::default()
            })
            .ok()
        };
        assert_eq!(mode_of(&Facts::default()).ok(), Some(0o600));
        assert_eq!((mode("644"), mode("0755")), (Some(0o644), Some(0o755)));
        for bad in ["", "4755", "8", "66", "+66", "00600", "rw-"] {
            assert_eq!(mode(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_machine_knows_what_is_for_it() {
        let machine = Machine {
            host: "laptop.example.org".into(),
            system: "linux",
        };
        let rank = |hosts: &[&str], systems: &[&str]| {
            let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
            machine.rank(&Facts {
                hosts: own(hosts),
                systems: own(systems),
                ..Facts::default()
            })
        };
        assert_eq!(rank(&[], &[]), Some(0));
        assert_eq!(rank(&[], &["macos", "linux"]), Some(1));
        assert_eq!(rank(&["server", "LAPTOP"], &[]), Some(2));
        assert_eq!(rank(&["laptop.example.org"], &["linux"]), Some(2));
        assert_eq!(rank(&["lap"], &[]), None);
        assert_eq!(rank(&["laptop"], &["macos"]), None);
    }
}
