//! A store's first copy on this machine. It trusts what it sees, unless it is told the fingerprint; from then on the keys are
//! pinned.

use std::path::Path;

use jiff::Timestamp;

use crate::crypto::sign::parse_fingerprint;
use crate::format::Epoch;
use crate::format::FORMAT_MAX_BYTES;
use crate::format::Refusal;
use crate::format::Stage;
use crate::format::layout;
use crate::git::Id;
use crate::git::Quarantine;
use crate::git::Repo;
use crate::git::quarantine::Heard;
use crate::git::quarantine::head_branch;
use crate::git::run::Git;
use crate::store;
use crate::store::Store;
use crate::store::check_seal;
use crate::store::in_place;
use crate::store::state::State;
use crate::store::tree;
use crate::sync::Error;
use crate::sync::USUAL;
use crate::sys::fs;

/// The branch of a store.
const MAIN: &str = "refs/heads/main";

/// How many files are written together, and of how many bytes about.
const TOGETHER: usize = 256;
const TOGETHER_BYTES: usize = 16 << 20;

/// What is to be copied, and where to.
pub struct Cloning<'c> {
    /// The address.
    pub url: &'c str,
    /// The new store's folder: missing, or empty.
    pub path: &'c Path,
    /// The folder of all local state.
    pub state_home: &'c Path,
    /// The fingerprint that it must have.
    pub expected: Option<&'c str>,
    /// git, with the caller's environment.
    pub git: &'c Git,
    /// Now.
    pub now: Timestamp,
}

/// Copies a store: its head must be sealed by the keys that it names, and hold nothing but a store. The seal covers all that
/// lies below it, history included. What is refused leaves nothing behind.
pub fn clone(cloning: &Cloning<'_>, heard: Heard<'_>) -> Result<Store, Error> {
    let (path, (clear, head)) = in_place(cloning.path, cloning.state_home, |temp| {
        fill(cloning, temp, heard)
    })?;
    let state = State::of_store(cloning.state_home, &path);
    state.pin(&clear)?;
    state.set_shown(&head.to_string())?;
    state.set_remote(USUAL, head, cloning.now.as_second())?;
    Ok(Store::open(&path, cloning.state_home, None)?)
}

/// Fills the folder that will become the store.
fn fill(cloning: &Cloning<'_>, temp: &Path, heard: Heard<'_>) -> Result<(Vec<u8>, Id), Error> {
    fs::make_private(temp).map_err(store::Error::from)?;
    let git = cloning.git.at(temp);
    let author = git.author();
    let repo = Repo::init(&git)?;
    let none = || Error::NoStoreThere(cloning.url.to_owned());
    // A bare repository may have a HEAD that names a branch which nobody has pushed.
    let branch = head_branch(&git, cloning.url, heard)?.unwrap_or_else(|| MAIN.to_owned());
    if branch != MAIN {
        git.output(&["symbolic-ref", "HEAD", &branch])?;
    }
    let quarantine = Quarantine::make(&git, &temp.join("quarantine"), &repo, [])?;
    let fetched = quarantine.fetch(cloning.url, &branch, heard)?;
    let head = fetched.ok_or_else(none)?;
    heard("verifying what came");
    let read = repo.with(&quarantine);
    let clear = verify(cloning, &read, head)?;
    repo.bring_all(&quarantine)?;
    let who = author.at(cloning.now);
    repo.move_head(&repo.head()?, head, &who, "clone")?;
    git.output(&["remote", "add", "--", USUAL, cloning.url])?;
    drop(quarantine);
    write_files(&repo, temp, head, heard)?;
    Ok((clear, head))
}

/// The head is a store's, sealed with the keys that it names, and they are those that are expected. Gives `.vault/format`.
fn verify(cloning: &Cloning<'_>, repo: &Repo, head: Id) -> Result<Vec<u8>, Error> {
    let missing = || Error::NoStoreThere(cloning.url.to_owned());
    let format = repo.blob_at(head, layout::FORMAT)?.ok_or_else(missing)?;
    let clear = repo.blob(format, FORMAT_MAX_BYTES)?;
    let epoch = Epoch::parse(&clear)?;
    if let Some(words) = cloning.expected
        && parse_fingerprint(words).ok() != Some(epoch.fingerprint())
    {
        let reason = format!(
            "its fingerprint is {}, not the expected one",
            epoch.fingerprint()
        );
        return Err(Refusal::new(Stage::Pin, reason).of(layout::FORMAT).into());
    }
    check_seal(head, &repo.commit(head)?, &epoch)?;
    tree::check(repo, &repo.diff(None, head)?, head)?;
    Ok(clear)
}

/// Writes the work tree, some files at a time, and git's index after it.
fn write_files(repo: &Repo, folder: &Path, head: Id, heard: Heard<'_>) -> Result<(), Error> {
    let dir = fs::Dir::open(folder).map_err(store::Error::from)?;
    let mut files = repo.files(head)?.into_iter().peekable();
    let (all, mut written) = (files.len(), Vec::new());
    while files.peek().is_some() {
        heard(&format!("writing files: {} of {all}", written.len()));
        let (mut some, mut bytes) = (Vec::new(), 0);
        while some.len() < TOGETHER && bytes < TOGETHER_BYTES {
            let Some(file) = files.next() else { break };
            let content = repo.blob(file.id, tree::max_bytes(&file.path))?;
            bytes += content.len();
            written.push((file.path.clone(), Some(file.id)));
            some.push((file.path, content));
        }
        let pairs = some
            .iter()
            .map(|(path, content)| (Path::new(path), content.as_slice()));
        dir.replace_all(&pairs.collect::<Vec<_>>())
            .map_err(store::Error::from)?;
    }
    Ok(repo.update_index(&written)?)
}
