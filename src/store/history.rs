//! Earlier values of an entry, from the store's commits.

use jiff::Timestamp;

use crate::format::ENTRY_MAX_BYTES;
use crate::format::Header;
use crate::format::Name;
use crate::format::Refusal;
use crate::format::Stage;
use crate::format::layout;
use crate::git::Id;
use crate::git::Repo;
use crate::store::Entry;
use crate::store::Error;
use crate::store::Store;
use crate::store::keeper::Keeper;

/// One commit that changed an entry.
#[derive(Clone, Debug)]
pub struct Version {
    /// The commit.
    pub commit: Id,
    /// When it was made.
    pub time: Timestamp,
    /// The first line of its message.
    pub subject: String,
    /// The entry's file after it; `None` where it removed the entry.
    pub blob: Option<Id>,
}

impl Store {
    /// The commits that changed an entry, newest first; all commits without a name.
    pub fn versions(&self, name: Option<&Name>) -> Result<Vec<Version>, Error> {
        let repo = self.repo.as_ref().ok_or(Error::NoRepository)?;
        let Some(head) = repo.head()?.commit else {
            return Ok(Vec::new());
        };
        let path = name.map(layout::path_of);
        let mut versions = Vec::new();
        for id in repo.walk(head, None)? {
            let commit = repo.commit(id)?;
            let mut blob = None;
            if let Some(path) = &path {
                blob = repo.blob_at(id, path)?;
                let mut same = commit.parents.is_empty() && blob.is_none();
                for parent in &commit.parents {
                    same |= repo.blob_at(*parent, path)? == blob;
                }
                if same {
                    continue;
                }
            }
            let time = Timestamp::from_second(commit.seconds).unwrap_or_default();
            let subject = commit.message.lines().next().unwrap_or_default().to_owned();
            versions.push(Version {
                commit: id,
                time,
                subject,
                blob,
            });
        }
        Ok(versions)
    }

    /// Opens an earlier value; all checks of an entry but the revision's, keys of earlier epochs included.
    pub fn version(&self, keeper: &dyn Keeper, name: &Name, blob: Id) -> Result<Entry, Error> {
        let repo = self.repo.as_ref().ok_or(Error::NoRepository)?;
        Self::open_version(keeper, repo, name, blob)
    }

    /// The header of an earlier value, after the same checks; nobody is asked for consent.
    pub fn look_at_version(
        &self,
        keeper: &dyn Keeper,
        name: &Name,
        blob: Id,
    ) -> Result<Header, Error> {
        let repo = self.repo.as_ref().ok_or(Error::NoRepository)?;
        Self::look_version(keeper, repo, name, blob)
    }

    /// The same as `version` from another repository.
    pub fn open_version(
        keeper: &dyn Keeper,
        repo: &Repo,
        name: &Name,
        blob: Id,
    ) -> Result<Entry, Error> {
        let document = keeper
            .open_history(&repo.blob(blob, ENTRY_MAX_BYTES)?)
            .map_err(|unopened| unopened.of(name.as_str()))?;
        Ok(Entry {
            header: header_of(&document.header, name)?,
            secret: document.body,
        })
    }

    /// The same as `look_at_version` from another repository.
    pub fn look_version(
        keeper: &dyn Keeper,
        repo: &Repo,
        name: &Name,
        blob: Id,
    ) -> Result<Header, Error> {
        let look = keeper
            .look_history(&repo.blob(blob, ENTRY_MAX_BYTES)?)
            .map_err(|unopened| unopened.of(name.as_str()))?;
        header_of(&look.header, name)
    }
}

/// The header of an earlier value, held against the entry's name.
fn header_of(text: &str, name: &Name) -> Result<Header, Error> {
    let of_name = |refusal: Refusal| refusal.of(name.as_str());
    let header = Header::parse(text).map_err(of_name)?;
    if header.name != name.as_str() {
        let reason = format!("it is the entry \"{}\"", header.name.escape_debug());
        return Err(of_name(Refusal::new(Stage::Name, reason)).into());
    }
    Ok(header)
}
