//! Making a store: complete beside its place first, then given its name with one rename.

use std::path::Path;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::crypto::identity::StoreKey;
use crate::crypto::recipient::Recipient;
use crate::crypto::sign::WriterKey;
use crate::crypto::sign::random_hex;
use crate::format::Epoch;
use crate::format::header::whole_seconds;
use crate::format::keys::KeyFile;
use crate::format::layout;
use crate::format::members::Member;
use crate::format::members::Members;
use crate::format::members::Role;
use crate::git::Repo;
use crate::git::run::Git;
use crate::store::Error;
use crate::store::Store;
use crate::store::changes::Changes;
use crate::store::changes::apply_all;
use crate::store::people::key_file;
use crate::store::people::list_file;
use crate::store::state::State;
use crate::store::turn;
use crate::sys::fs;
use crate::sys::fs::Dir;

/// The message of a store's first commit.
const FIRST_MESSAGE: &str = "create the store";

/// What a new store is to be.
pub struct Plan<'p> {
    /// Its folder: missing, or empty.
    pub path: &'p Path,
    /// The folder of all local state.
    pub state_home: &'p Path,
    /// The members, the first one being this device's.
    pub members: Vec<(String, Recipient)>,
    /// Now.
    pub now: Timestamp,
    /// The git that makes the repository; `None` for a store without one.
    pub git: Option<Git>,
}

/// A store just made, and its keys.
pub struct Founding {
    /// The store, opened and pinned.
    pub store: Store,
    /// Its keys.
    pub keys: KeyFile,
}

impl Store {
    /// Makes a store. What stands at the path already is never touched.
    pub fn create(plan: &Plan<'_>) -> Result<Founding, Error> {
        let (path, (keys, commit)) = in_place(plan.path, plan.state_home, |temp| {
            let keys = new_keys(plan)?;
            let commit = fill(temp, plan, &keys)?;
            Ok::<_, Error>((keys, commit))
        })?;
        let state = State::of_store(plan.state_home, &path);
        state.pin(keys.epoch.to_text().as_bytes())?;
        state.set_member(&keys.member)?;
        state.set_role(Role::Writer)?;
        state.raise_revs(&[(layout::MEMBERS.to_owned(), 1)])?;
        if let Some(commit) = commit {
            state.set_shown(&commit)?;
        }
        Ok(Founding {
            store: Store::open(&path, plan.state_home, None)?,
            keys,
        })
    }
}

/// Makes a store's folder whole beside its place, by `fill`, then gives it its name with one rename, and forgets what this
/// device knew of a store that was there before. Gives the canonical path.
pub fn in_place<T, E: From<Error>>(
    path: &Path,
    state_home: &Path,
    fill: impl FnOnce(&Path) -> Result<T, E>,
) -> Result<(PathBuf, T), E> {
    let name = path
        .file_name()
        .ok_or_else(|| Error::Occupied(path.to_owned()))?;
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::make_private(parent).map_err(Error::from)?;
    let parent = fs::canonical(parent).ok_or_else(|| Error::NoStore(parent.to_owned()))?;
    let path = parent.join(name);
    let state = State::of_store(state_home, &path);
    let _lock = state.lock(|| {})?;
    check_free(&path)?;
    let temp = PathBuf::from(format!(".{}{}", name.to_string_lossy(), fs::TEMP_PREFIX));
    fs::remove_tree(&parent.join(&temp)).map_err(Error::from)?;
    let filled = fill(&parent.join(&temp));
    if filled.is_err() {
        // What could not be finished is nobody's.
        let _ = fs::remove_tree(&parent.join(&temp));
    }
    let filled = filled?;
    check_free(&path)?;
    let parent = Dir::open(&parent).map_err(Error::from)?;
    parent.rename(&temp, Path::new(name)).map_err(Error::from)?;
    state.forget()?;
    Ok((path, filled))
}

/// Refuses a path at which there is anything but an empty folder.
fn check_free(path: &Path) -> Result<(), Error> {
    match fs::kind(path) {
        None => Ok(()),
        Some(fs::Kind::Folder) if Dir::open(path)?.names(Path::new(""))?.is_empty() => Ok(()),
        Some(_) => Err(Error::Occupied(path.to_owned())),
    }
}

fn new_keys(plan: &Plan<'_>) -> Result<KeyFile, Error> {
    let writer_key = WriterKey::generate()?;
    let epoch = Epoch {
        store: random_hex(16)?,
        number: 1,
        writer: writer_key.public(),
    };
    let member = plan
        .members
        .first()
        .map(|(name, _)| name.clone())
        .unwrap_or_default();
    let store_key = StoreKey::generate();
    Ok(KeyFile {
        epoch,
        member,
        store_key,
        writer_key: Some(writer_key),
        past: Vec::new(),
    })
}

/// Fills the folder that will become the store; the id of its first commit, if it has git.
fn fill(temp: &Path, plan: &Plan<'_>, keys: &KeyFile) -> Result<Option<String>, Error> {
    let dir = fs::make_private(temp)?;
    let mut files = Changes::new();
    files.insert(
        layout::FORMAT.to_owned(),
        Some(keys.epoch.to_text().into_bytes()),
    );
    let members = members_of(plan);
    for member in &members.list {
        files.insert(
            layout::key_path(&member.name),
            Some(key_file(keys, member)?),
        );
    }
    files.insert(layout::MEMBERS.to_owned(), Some(list_file(keys, &members)?));
    apply_all(&dir, &files)?;
    let Some(git) = &plan.git else {
        return Ok(None);
    };
    let git = git.at(temp);
    let author = git.author();
    let repo = Repo::init(&git)?;
    let author = author.at(plan.now);
    let head = repo.head()?;
    let (commit, edits) = turn::commit(&repo, None, keys, &files, (&author, FIRST_MESSAGE))?;
    repo.move_head(&head, commit, &author, FIRST_MESSAGE)?;
    repo.update_index(&edits)?;
    Ok(Some(commit.to_string()))
}

/// The founding members.
fn members_of(plan: &Plan<'_>) -> Members {
    let added = Some(whole_seconds(plan.now));
    let member = |(name, recipient): &(String, Recipient)| Member {
        name: name.clone(),
        recipient: recipient.clone(),
        role: Role::Writer,
        added,
    };
    Members {
        rev: 1,
        list: plan.members.iter().map(member).collect(),
    }
}
