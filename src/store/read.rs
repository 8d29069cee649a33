//! Reading entries, in the order of section 9, and listing names.

use std::path::Path;

use jiff::Timestamp;

use crate::format::Document;
use crate::format::ENTRY_MAX_BYTES;
use crate::format::Header;
use crate::format::KEYS_MAX_BYTES;
use crate::format::Name;
use crate::format::Refusal;
use crate::format::Stage;
use crate::format::document::Domain;
use crate::format::layout;
use crate::format::layout::Place;
use crate::format::members::Members;
use crate::secret::Secret;
use crate::store::Error;
use crate::store::Store;
use crate::store::keeper::Keeper;
use crate::store::keeper::Opening;
use crate::sys::fs;
use crate::sys::fs::Dir;
use crate::sys::fs::Kind;
use crate::sys::fs::Seen;

/// An entry whose every check has passed.
#[derive(Debug)]
pub struct Entry {
    /// What is known about the secret.
    pub header: Header,
    /// The secret, exactly as it was given.
    pub secret: Secret,
}

impl Store {
    /// Opens one entry: everything is verified before anything is given out.
    pub fn entry(&self, keeper: &dyn Keeper, name: &Name) -> Result<Entry, Error> {
        let seen = self.seen(name)?;
        let entry = Self::open_bytes(keeper, name, &self.ciphertext(name)?)
            .map_err(|error| self.renewed_instead(error))?;
        Self::check_rev(name, entry.header.rev, seen)?;
        self.remember_rev(&entry.header, seen)?;
        Ok(entry)
    }

    /// The same, if it has not expired at that time; else its header alone, and nobody has been asked for consent.
    pub fn entry_unexpired(
        &self,
        keeper: &dyn Keeper,
        name: &Name,
        now: Timestamp,
    ) -> Result<Result<Entry, Header>, Error> {
        let seen = self.seen(name)?;
        let opening = keeper.open_unexpired(&self.ciphertext(name)?, now);
        let opening =
            opening.map_err(|unopened| self.renewed_instead(unopened.of(name.as_str()).into()))?;
        let (text, secret) = match opening {
            Opening::Document(document) => (document.header, Some(document.body)),
            Opening::Expired(look) => (look.header, None),
        };
        let header = header_of(&text, name)?;
        Self::check_rev(name, header.rev, seen)?;
        self.remember_rev(&header, seen)?;
        Ok(match secret.filter(|_| !header.is_expired(now)) {
            Some(secret) => Ok(Entry { header, secret }),
            None => Err(header),
        })
    }

    /// The verified header of one entry and its secret's length; nobody is asked for consent.
    pub fn look(&self, keeper: &dyn Keeper, name: &Name) -> Result<(Header, usize), Error> {
        let (header, size, seen) = self.looked(keeper, name)?;
        self.remember_rev(&header, seen)?;
        Ok((header, size))
    }

    /// The same header, without remembering a new revision.
    pub(super) fn verified(&self, keeper: &dyn Keeper, name: &Name) -> Result<Header, Error> {
        Ok(self.looked(keeper, name)?.0)
    }

    /// The verified header, the secret's length, and the highest revision that this device has seen before.
    fn looked(&self, keeper: &dyn Keeper, name: &Name) -> Result<(Header, usize, u64), Error> {
        let seen = self.seen(name)?;
        let (header, size) = Self::look_at_bytes(keeper, name, &self.ciphertext(name)?)
            .map_err(|error| self.renewed_instead(error))?;
        Self::check_rev(name, header.rev, seen)?;
        Ok((header, size, seen))
    }

    /// The verified header of an entry's file and its secret's length; all checks but the revision's.
    pub fn look_at_bytes(
        keeper: &dyn Keeper,
        name: &Name,
        ciphertext: &[u8],
    ) -> Result<(Header, usize), Error> {
        let look = keeper.look(ciphertext);
        let look = look.map_err(|unopened| unopened.of(name.as_str()))?;
        Ok((header_of(&look.header, name)?, look.size))
    }

    /// The highest revision that this device has seen. To be asked before the file is read: a writer raises the
    /// revision after the file is in its place.
    fn seen(&self, name: &Name) -> Result<u64, Error> {
        self.state.rev(name.as_str())
    }

    fn remember_rev(&self, header: &Header, seen: u64) -> Result<(), Error> {
        if header.rev > seen {
            self.remember_revs(&[(header.name.clone(), header.rev)])?;
        }
        Ok(())
    }

    /// Remembers revisions, where this device can remember anything.
    pub(super) fn remember_revs(&self, seen: &[(String, u64)]) -> Result<(), Error> {
        match self.state.raise_revs(seen) {
            Err(Error::File(error)) if error.is_read_only() => Ok(()),
            other => other,
        }
    }

    /// Refuses a revision below the highest that this device has seen of the name (F-055).
    pub fn check_fresh(&self, name: &Name, rev: u64) -> Result<(), Error> {
        Self::check_rev(name, rev, self.state.rev(name.as_str())?)
    }

    /// Refuses a revision below the highest seen (F-055).
    pub fn check_rev(name: &Name, rev: u64, seen: u64) -> Result<(), Error> {
        if rev >= seen {
            return Ok(());
        }
        let reason = format!(
            "it is revision {rev}, and this device has seen {seen}: an old value was brought back"
        );
        Err(Refusal::new(Stage::Revision, reason)
            .of(name.as_str())
            .into())
    }

    /// Opens the bytes of an entry's file; all checks but the revision's.
    pub fn open_bytes(keeper: &dyn Keeper, name: &Name, ciphertext: &[u8]) -> Result<Entry, Error> {
        let (document, header) = Self::opened(keeper, name, ciphertext)?;
        Ok(Entry {
            header,
            secret: document.body,
        })
    }

    /// The same, with the header's text as it was signed.
    pub(super) fn opened(
        keeper: &dyn Keeper,
        name: &Name,
        ciphertext: &[u8],
    ) -> Result<(Document, Header), Error> {
        let document = keeper.open(ciphertext, Domain::Entry);
        let document = document.map_err(|unopened| unopened.of(name.as_str()))?;
        let header = header_of(&document.header, name)?;
        Ok((document, header))
    }

    /// The encrypted bytes of an entry.
    pub fn ciphertext(&self, name: &Name) -> Result<Vec<u8>, Error> {
        let path = layout::path_of(name);
        let stages = (Stage::Envelope, Stage::Name);
        let read = self.dir.read(Path::new(&path), ENTRY_MAX_BYTES);
        read.map_err(|error| refuse_kind(error, name.as_str(), stages))?
            .ok_or_else(|| Error::NoEntry(name.to_string()))
    }

    /// Whether an entry of this name is there, whatever is in it.
    pub fn has(&self, name: &Name) -> Result<bool, Error> {
        let stat = self.dir.stat(Path::new(&layout::path_of(name)));
        Ok(stat
            .map_err(|error| refuse_kind(error, name.as_str(), (Stage::Envelope, Stage::Name)))?
            .is_some())
    }

    /// Whether the last commit has an entry, whatever lies in the work tree.
    pub fn is_committed(&self, name: &Name) -> bool {
        let blob = || {
            let repo = self.repo.as_ref()?;
            let commit = repo.head().ok()?.commit?;
            repo.blob_at(commit, &layout::path_of(name)).ok()?
        };
        blob().is_some()
    }

    /// The names of all entries, sorted. Files that are not entries are passed over; `doctor` reports them.
    pub fn names(&self) -> Result<Vec<Name>, Error> {
        super::names_at(self.path())
    }

    /// The entries that the last commit has and whose file is gone from the work tree: removed by hand, or by somebody
    /// else. A writer at work may be seen half way; it holds the lock then, and nothing counts as gone.
    pub fn gone(&self) -> Result<Vec<Name>, Error> {
        let Some(repo) = &self.repo else {
            return Ok(Vec::new());
        };
        let Some(head) = repo.head()?.commit else {
            return Ok(Vec::new());
        };
        let files = repo.files(head)?;
        let entries = files
            .iter()
            .filter_map(|file| match layout::place_of(&file.path) {
                Ok(Place::Entry(name)) => Some(name),
                _ => None,
            });
        let gone = self.absent(entries)?;
        if !gone.is_empty() && self.state.is_busy() {
            return Ok(Vec::new());
        }
        // The writer may have finished since.
        self.absent(gone.into_iter())
    }

    /// Those of many names that have no file.
    fn absent(&self, names: impl Iterator<Item = Name>) -> Result<Vec<Name>, Error> {
        let mut absent = Vec::new();
        for name in names {
            if !self.has(&name)? {
                absent.push(name);
            }
        }
        Ok(absent)
    }

    /// The member list.
    pub fn members(&self, keeper: &dyn Keeper) -> Result<Members, Error> {
        let seen = self.state.rev(layout::MEMBERS)?;
        let stages = (Stage::Envelope, Stage::Name);
        let read = self.dir.read(Path::new(layout::MEMBERS), KEYS_MAX_BYTES);
        let bytes = read.map_err(|error| refuse_kind(error, layout::MEMBERS, stages))?;
        let bytes = bytes.ok_or_else(|| {
            Refusal::new(Stage::Member, "the member list is missing").of(layout::MEMBERS)
        })?;
        let of_list = |refusal: Refusal| refusal.of(layout::MEMBERS);
        let document = keeper.open(&bytes, Domain::Members);
        let document = document.map_err(|unopened| unopened.of(layout::MEMBERS).into());
        let document = document.map_err(|error| self.renewed_instead(error))?;
        let members = Members::of_document(&document).map_err(of_list)?;
        if members.rev < seen {
            return Err(of_list(Refusal::new(
                Stage::Revision,
                "it is older than one seen before",
            ))
            .into());
        }
        if members.rev > seen {
            self.remember_revs(&[(layout::MEMBERS.to_owned(), members.rev)])?;
        }
        Ok(members)
    }

    /// The encrypted key file of a member, if there is one.
    pub fn key_file(&self, member: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = layout::key_path(member);
        let read = self.dir.read(Path::new(&path), KEYS_MAX_BYTES);
        read.map_err(|error| refuse_kind(error, &path, (Stage::Member, Stage::Member)))
    }

    /// The members who have a key file, by its name.
    pub fn key_files(&self) -> Result<Vec<String>, Error> {
        key_files_at(&self.dir)
    }
}

/// The members who have a key file in the store at a folder.
pub(super) fn key_files_at(dir: &Dir) -> Result<Vec<String>, Error> {
    let files = dir.names(Path::new(layout::KEYS))?;
    let mut members: Vec<String> = files
        .into_iter()
        .filter(|(_, kind)| *kind == Kind::File)
        .filter_map(|(file, _)| {
            let path = format!("{}/{}", layout::KEYS, file.to_str()?);
            match layout::place_of(&path) {
                Ok(Place::Key(member)) => Some(member),
                _ => None,
            }
        })
        .collect();
    members.sort_unstable();
    Ok(members)
}

/// A verified document's header, held against the entry's name.
fn header_of(text: &str, name: &Name) -> Result<Header, Error> {
    let of_name = |refusal: Refusal| refusal.of(name.as_str());
    let header = Header::parse(text).map_err(of_name)?;
    if header.name != name.as_str() {
        let reason = format!(
            "it is the entry \"{}\": files were swapped",
            header.name.escape_debug()
        );
        return Err(of_name(Refusal::new(Stage::Name, reason)).into());
    }
    Ok(header)
}

/// What `make` makes of each entry of the store at a path, in no order. Only files are looked at, and only what is an entry.
pub(super) fn entries_at<T: Send>(
    path: &Path,
    make: impl Fn(Name, &Seen<'_>) -> Option<T> + Sync,
) -> Result<Vec<T>, Error> {
    let skip = [layout::GIT, layout::OWN];
    Ok(fs::walk_with(path, &skip, |seen| {
        make(entry_of(seen)?, seen)
    })?)
}

/// The name of the entry that was found, if it is one.
pub(super) fn entry_of(seen: &Seen<'_>) -> Option<Name> {
    if seen.kind != Kind::File {
        return None;
    }
    let name = seen.name.to_str()?;
    let path = match seen.folder.to_str()? {
        "" => return name_of(name),
        folder => format!("{folder}/{name}"),
    };
    name_of(&path)
}

fn name_of(path: &str) -> Option<Name> {
    match layout::place_of(path) {
        Ok(Place::Entry(name)) => Some(name),
        _ => None,
    }
}

/// What is too large, or no regular file, is refused for what it is, at these two stages, not for how reading it failed.
pub(super) fn refuse_kind(
    error: fs::Error,
    subject: &str,
    (large, irregular): (Stage, Stage),
) -> Error {
    use std::io::ErrorKind;
    let (stage, reason) = match error.source.kind() {
        ErrorKind::FileTooLarge => (large, "it is larger than the format allows".to_owned()),
        ErrorKind::InvalidInput => (irregular, format!("it {}", error.source)),
        ErrorKind::NotADirectory => {
            let reason = "a folder on its way is a link or a file".to_owned();
            (irregular, reason)
        }
        _ => return error.into(),
    };
    Refusal::new(stage, reason).of(subject).into()
}
