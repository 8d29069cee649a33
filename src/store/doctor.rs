//! Comparing a store with the specification, and mending what can be mended without losing anything.

use std::collections::BTreeMap;
use std::path::Path;

use crate::format::ENTRY_MAX_BYTES;
use crate::format::Name;
use crate::format::layout;
use crate::format::seal;
use crate::git::Id;
use crate::git::Repo;
use crate::store::Error;
use crate::store::Store;
use crate::store::keeper::Keeper;
use crate::sys::fs;
use crate::sys::fs::Found;
use crate::sys::fs::Kind;
use crate::sys::fs::TEMP_PREFIX;

/// The modes that files and folders of a store have.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// Something that is not as it should be.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The path, name or commit.
    pub subject: String,
    /// What is wrong with it, and what to do where `remedy` cannot.
    pub problem: String,
    /// What `repair` would do.
    pub remedy: Option<Remedy>,
}

/// A repair that loses nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Set the mode for this user alone.
    SetMode(u32),
    /// Remove a temporary file of ours.
    RemoveLeftover,
    /// Write the committed file again; what stands there is kept in the local state.
    WriteCommitted(Id),
}

impl Store {
    /// Looks at everything that needs no key.
    pub fn examine(&self) -> Result<Vec<Finding>, Error> {
        let found = fs::walk(self.path(), &[layout::GIT])?;
        let mut findings = Vec::new();
        for one in &found {
            findings.extend(self.examine_file(one)?);
        }
        findings.extend(clashes(&found));
        if let Some(repo) = &self.repo {
            findings.extend(self.examine_repository(repo, &found)?);
        }
        Ok(findings)
    }

    /// Opens every entry, the member list and the key files' names; the list of what is not believed.
    pub fn examine_entries(&self, keeper: &dyn Keeper) -> Result<Vec<Finding>, Error> {
        let names = self.names()?;
        let checked = fs::parallel(&names, 8, |name| self.verified(keeper, name).map(|_| ()));
        let mut findings: Vec<Finding> = names
            .iter()
            .zip(checked)
            .filter_map(|(name, outcome)| Some(self.unverified(name, &outcome.err()?)))
            .collect();
        match self.members(keeper) {
            Ok(members) => {
                let listed: Vec<_> = members
                    .list
                    .iter()
                    .map(|member| member.name.clone())
                    .collect();
                let files = self.key_files()?;
                for file in files.iter().filter(|file| !listed.contains(file)) {
                    let problem =
                        "a key file of nobody on the member list: remove it if you did not add it";
                    findings.push(finding(&layout::key_path(file), problem));
                }
                for member in listed.iter().filter(|member| !files.contains(member)) {
                    findings.push(finding(
                        member,
                        "a member without a key file cannot open the store",
                    ));
                }
            }
            Err(error) => findings.push(finding(layout::MEMBERS, &error.to_string())),
        }
        Ok(findings)
    }

    /// Does what a finding's remedy says.
    pub fn repair(&self, finding: &Finding) -> Result<(), Error> {
        let path = Path::new(&finding.subject);
        match finding.remedy {
            None => Ok(()),
            Some(Remedy::SetMode(mode)) => Ok(self.dir.set_mode(path, mode)?),
            Some(Remedy::RemoveLeftover) => Ok(self.dir.remove(path)?),
            Some(Remedy::WriteCommitted(id)) => {
                let repo = self.repo.as_ref().ok_or(Error::NoRepository)?;
                if let Some(bytes) = self.dir.read(path, ENTRY_MAX_BYTES)? {
                    let aside = Path::new("set-aside").join(path);
                    fs::make_private(self.state.path())?.replace(&aside, &bytes)?;
                }
                self.dir.replace(path, &repo.blob(id, ENTRY_MAX_BYTES)?)?;
                Ok(repo.update_index(&[(finding.subject.clone(), Some(id))])?)
            }
        }
    }

    fn examine_file(&self, one: &Found) -> Result<Option<Finding>, Error> {
        let subject = one.path.to_string_lossy().into_owned();
        let last = one
            .path
            .file_name()
            .map(|name| name.to_string_lossy())
            .unwrap_or_default();
        if last.starts_with(TEMP_PREFIX) && one.kind == Kind::File {
            let problem = "a temporary file that an interrupted command left behind".to_owned();
            return Ok(Some(Finding {
                subject,
                problem,
                remedy: Some(Remedy::RemoveLeftover),
            }));
        }
        let wanted = match one.kind {
            Kind::Link => {
                return Ok(Some(finding(
                    &subject,
                    "a symbolic link: never followed, remove it",
                )));
            }
            Kind::Special => {
                return Ok(Some(finding(
                    &subject,
                    "a socket, pipe or device: never opened, remove it",
                )));
            }
            Kind::Folder => FOLDER_MODE,
            Kind::File => FILE_MODE,
        };
        if one.kind == Kind::File
            && let Err(reason) = layout::place_of(&subject)
        {
            return Ok(Some(finding(
                &subject,
                &format!("not part of the store ({reason}): move it elsewhere"),
            )));
        }
        let mode = self.dir.stat(&one.path)?.map_or(wanted, |stat| stat.mode);
        if mode & 0o077 == 0 && mode & wanted == wanted {
            return Ok(None);
        }
        let problem = format!("mode {mode:04o} instead of {wanted:04o}");
        Ok(Some(Finding {
            subject,
            problem,
            remedy: Some(Remedy::SetMode(wanted)),
        }))
    }

    /// Compares the work tree with the head, and the head with its seal.
    fn examine_repository(&self, repo: &Repo, found: &[Found]) -> Result<Vec<Finding>, Error> {
        let mut findings: Vec<Finding> = repo
            .dangerous_config()?
            .into_iter()
            .map(|key| {
                finding(
                    &key,
                    "a setting in the repository's own config that could run a program: remove it",
                )
            })
            .collect();
        let Some(head) = repo.head()?.commit else {
            findings.push(finding(".git", "the repository has no commit"));
            return Ok(findings);
        };
        if let Err(refusal) = seal::verify(&repo.commit(head)?.raw, &self.epoch) {
            findings.push(finding(&head.to_string(), &refusal.reason));
        }
        let mut committed: BTreeMap<String, Id> = repo
            .files(head)?
            .into_iter()
            .map(|file| (file.path, file.id))
            .collect();
        for one in found.iter().filter(|one| one.kind == Kind::File) {
            let Some(path) = one
                .path
                .to_str()
                .filter(|path| layout::place_of(path).is_ok())
            else {
                continue;
            };
            match committed.remove(path) {
                None => findings.push(finding(
                    path,
                    "not in the last commit: it was not written by vault",
                )),
                Some(id) => findings.extend(self.differs(path, id)?),
            }
        }
        for (path, id) in committed {
            let problem = "missing from the work tree, and in the last commit".to_owned();
            findings.push(Finding {
                subject: path,
                problem,
                remedy: Some(Remedy::WriteCommitted(id)),
            });
        }
        Ok(findings)
    }

    fn differs(&self, path: &str, id: Id) -> Result<Option<Finding>, Error> {
        let now = self.dir.read(Path::new(path), ENTRY_MAX_BYTES)?;
        let Some(bytes) = now else { return Ok(None) };
        if Repo::blob_id(&bytes)? == id {
            return Ok(None);
        }
        let problem = "differs from the last commit".to_owned();
        Ok(Some(Finding {
            subject: path.to_owned(),
            problem,
            remedy: Some(Remedy::WriteCommitted(id)),
        }))
    }

    /// An entry that is refused: its file differs from the commit, or the commit itself has it.
    fn unverified(&self, name: &Name, error: &Error) -> Finding {
        let problem = match error {
            Error::Refused(refusal) => format!("{} ({})", refusal.reason, refusal.stage.word()),
            other => other.to_string(),
        };
        finding(name.as_str(), &problem)
    }
}

/// Names that differ from one another in case only (F-021): each folder's components, once.
fn clashes(found: &[Found]) -> Vec<Finding> {
    let mut by_lower: BTreeMap<String, &Found> = BTreeMap::new();
    let mut findings = Vec::new();
    for one in found {
        let Some(text) = one.path.to_str() else {
            continue;
        };
        // The parent keeps its spelling: two folders that clash are reported once, not again for what is in them.
        let parent = one
            .path
            .parent()
            .map(|parent| parent.to_string_lossy())
            .unwrap_or_default();
        let last = one
            .path
            .file_name()
            .map(|last| last.to_string_lossy().to_lowercase())
            .unwrap_or_default();
        if let Some(other) = by_lower.insert(format!("{parent}/{last}"), one) {
            let problem = format!(
                "differs from \"{}\" in upper and lower case only: some systems cannot hold both",
                other.path.to_string_lossy()
            );
            findings.push(finding(text, &problem));
        }
    }
    findings
}

fn finding(subject: &str, problem: &str) -> Finding {
    Finding {
        subject: subject.to_owned(),
        problem: problem.to_owned(),
        remedy: None,
    }
}
