//! Doing what the findings' remedies say, under the lock, on what is found there and then.

use std::path::Path;
use std::path::PathBuf;

use crate::format::ENTRY_MAX_BYTES;
use crate::store::Error;
use crate::store::Store;
use crate::store::doctor::Finding;
use crate::store::doctor::Remedy;
use crate::store::keeper::Keeper;
use crate::sys::fs;
use crate::sys::fs::Dir;
use crate::sys::fs::Kind;

/// The folder of the local state to which files are moved.
const ASIDE: &str = "set-aside";
/// How often what a repair has uncovered is repaired in turn.
const ROUNDS: usize = 3;

/// What was found, and what was done.
#[derive(Debug, Default)]
pub struct Report {
    /// What is still not as it should be, the gravest first.
    pub findings: Vec<Finding>,
    /// What has been mended.
    pub mended: Vec<Finding>,
    /// Files that were moved or replaced and are kept: where they are now.
    pub set_aside: Vec<PathBuf>,
}

impl Store {
    /// Looks at the whole store, with a keeper at every entry, too; and mends what can be mended if `mend` is set.
    ///
    /// An interrupted change is finished first, as every command does. `on_wait` is called if another process is writing.
    pub fn check(
        &self,
        keeper: Option<&dyn Keeper>,
        mend: bool,
        on_wait: impl FnOnce(),
    ) -> Result<Report, Error> {
        let lock = match self.state.lock(on_wait) {
            // Looking needs no lock where nothing can be written.
            Err(Error::File(error)) if error.is_read_only() && !mend => None,
            other => Some(other?),
        };
        let mut report = Report::default();
        for round in 0..=ROUNDS {
            let followed = lock.as_ref().map(|lock| self.settle_locked(lock));
            let refused = followed.and_then(Result::err);
            report.findings = refused.iter().map(|e| self.unfollowed(e)).collect();
            report.findings.extend(self.examine()?);
            let curable = report.findings.iter().filter(|one| one.remedy.is_some());
            let curable: Vec<Finding> = curable.cloned().collect();
            if !mend || curable.is_empty() || round == ROUNDS {
                break;
            }
            for finding in curable {
                if let Some(remedy) = &finding.remedy {
                    report.set_aside.extend(self.apply_remedy(remedy)?);
                }
                report.mended.push(finding);
            }
        }
        if let Some(keeper) = keeper {
            report.findings.extend(self.examine_entries(keeper)?);
        }
        report
            .findings
            .sort_by(|a, b| (a.topic, &a.subject).cmp(&(b.topic, &b.subject)));
        Ok(report)
    }

    /// Does it; where the file that stood in the way is now.
    fn apply_remedy(&self, remedy: &Remedy) -> Result<Option<PathBuf>, Error> {
        match remedy {
            Remedy::SetMode(path, mode) => {
                set_mode(path, *mode)?;
                Ok(None)
            }
            Remedy::Remove(path) => {
                match fs::kind(path) {
                    Some(Kind::Folder) => fs::remove_tree(path)?,
                    _ => beside(path)?.remove(last(path))?,
                }
                Ok(None)
            }
            Remedy::WriteCommitted(path, id) => {
                let repo = self.repo.as_ref().ok_or(Error::NoRepository)?;
                let bytes = repo.blob(*id, ENTRY_MAX_BYTES)?;
                let kept = self.keep(path)?;
                self.dir.replace(Path::new(path), &bytes)?;
                repo.update_index(&[(path.clone(), Some(*id))])?;
                Ok(kept)
            }
            Remedy::SetAside(path) => {
                let kept = self.keep(path)?;
                self.dir.remove(Path::new(path))?;
                Ok(kept)
            }
        }
    }

    /// Moves a file of the store to the local state; where it is now.
    pub fn set_aside(&self, path: &str) -> Result<Option<PathBuf>, Error> {
        self.apply_remedy(&Remedy::SetAside(path.to_owned()))
    }

    /// Copies a file of the store to the local state, beside those that were kept before; where it is now.
    fn keep(&self, path: &str) -> Result<Option<PathBuf>, Error> {
        let Some(bytes) = self.dir.read(Path::new(path), ENTRY_MAX_BYTES)? else {
            return Ok(None);
        };
        let state = fs::make_private(self.state.path())?;
        for number in 0_u32.. {
            let name = match number {
                0 => format!("{ASIDE}/{path}"),
                number => format!("{ASIDE}/{path}.{number}"),
            };
            match state.create(Path::new(&name), &bytes) {
                Ok(()) => return Ok(Some(state.path().join(name))),
                Err(error) if error.source.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

/// Sets the permission bits of a file or folder; one on a link is refused.
pub fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    Ok(beside(path)?.set_mode(last(path), mode)?)
}

/// The folder that holds a path.
fn beside(path: &Path) -> Result<Dir, Error> {
    Ok(Dir::open(path.parent().unwrap_or(Path::new("/")))?)
}

fn last(path: &Path) -> &Path {
    path.file_name().map_or(path, Path::new)
}
