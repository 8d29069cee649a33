//! Copies that file-sync tools make where two devices have written one file: merged into the entry by what they mean.

use std::path::PathBuf;

use crate::format::ENTRY_MAX_BYTES;
use crate::format::Name;
use crate::format::layout;
use crate::git::Repo;
use crate::store;
use crate::store::Entry;
use crate::store::Store;
use crate::store::Writer;
use crate::store::keeper::Keeper;
use crate::sync::merge;
use crate::sync::merge::Merged;

/// A copy that has been merged.
pub struct Copied {
    /// Where it was.
    pub path: String,
    /// The entry that it is of.
    pub original: Name,
    /// Where it is kept now.
    pub kept: Option<PathBuf>,
}

/// Merges every copy that verifies into its entry; the file then moves to the local state. One that does not verify, or
/// is of another entry, stays where it is.
pub fn merge_copies<'w, E: From<store::Error>>(
    store: &Store,
    keeper: &dyn Keeper,
    begin: impl Fn() -> Result<Writer<'w>, E>,
) -> Result<Vec<Copied>, E> {
    let mut merged = Vec::new();
    let is_kept = |name: &&Name| !store.is_committed(name);
    for name in store.names()?.iter().filter(is_kept) {
        let Some(original) = layout::copied_from(name.as_str()) else {
            continue;
        };
        let bytes = store.ciphertext(name)?;
        let Ok(copy) = Store::open_bytes(keeper, &original, &bytes) else {
            continue;
        };
        if !is_old(store, &original, &bytes)? {
            let mut writer = begin()?;
            merge_one(store, keeper, &mut writer, (&original, copy))?;
            writer.commit(&format!("merge a copy of {original}"))?;
        }
        let path = layout::path_of(name);
        merged.push(Copied {
            kept: store.set_aside(&path)?,
            original,
            path,
        });
    }
    Ok(merged)
}

/// Whether a commit has these bytes as the entry already: then the copy is an earlier value, and kept there.
fn is_old(store: &Store, name: &Name, bytes: &[u8]) -> Result<bool, store::Error> {
    if store.repo.is_none() {
        return Ok(false);
    }
    let id = Repo::blob_id(bytes)?;
    let versions = store.versions(Some(name))?;
    Ok(versions.iter().any(|version| version.blob == Some(id)))
}

fn merge_one(
    store: &Store,
    keeper: &dyn Keeper,
    writer: &mut Writer<'_>,
    (name, copy): (&Name, Entry),
) -> Result<(), store::Error> {
    let ours = match store.entry(keeper, name) {
        Ok(ours) => ours,
        Err(store::Error::NoEntry(_)) => return writer.put_as_is(name, copy.header, &copy.secret),
        Err(error) => return Err(error),
    };
    let base = version_before(store, keeper, name, copy.header.rev)?;
    let merged = merge::entries(base.as_ref(), ours, copy);
    put_merged(store, keeper, writer, (name, merged))
}

/// Writes what a merge with an entry of the work tree has made of it, the losing side beside it.
pub(super) fn put_merged(
    store: &Store,
    keeper: &dyn Keeper,
    writer: &mut Writer<'_>,
    (name, merged): (&Name, Merged),
) -> Result<(), store::Error> {
    match merged {
        Merged::Same { .. } => Ok(()),
        Merged::One(one) => writer.put_as_is(name, one.header, &one.secret),
        Merged::Two { winner, mut loser } => {
            for number in 1.. {
                let beside = merge::conflict_name(name.as_str(), &loser.header, number);
                let beside = Name::parse(&beside)?;
                if !store.has(&beside)? {
                    loser.header.rev = 0;
                    writer.put_as_is(&beside, loser.header, &loser.secret)?;
                    break;
                }
                if store.entry(keeper, &beside)?.secret == loser.secret {
                    break;
                }
            }
            writer.put_as_is(name, winner.header, &winner.secret)
        }
    }
}

/// The value that a copy was made from: the newest one of a lower revision.
fn version_before(
    store: &Store,
    keeper: &dyn Keeper,
    name: &Name,
    rev: u64,
) -> Result<Option<Entry>, store::Error> {
    let Some(repo) = &store.repo else {
        return Ok(None);
    };
    for version in store.versions(Some(name))? {
        let Some(blob) = version.blob else { continue };
        if repo.blob(blob, ENTRY_MAX_BYTES).is_ok()
            && let Ok(header) = store.look_at_version(keeper, name, blob)
            && header.rev < rev
        {
            return store.version(keeper, name, blob).map(Some);
        }
    }
    Ok(None)
}
