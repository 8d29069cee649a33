//! Comparing a store with the specification, and mending what can be mended without losing anything.
//!
//! Lives here: what is looked at, and the remedies. Never here: words for a person beyond one clause a finding, or what this
//! machine has beside the store. `doctor` calls it. Nothing is believed that is not verified: the work tree is
//! compared with the commit that it was last seen to show, and only a commit with the store's seal mends a file.

mod mend;

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use crate::format::ENTRY_MAX_BYTES;
use crate::format::Name;
use crate::format::Stage;
use crate::format::layout;
use crate::git::Id;
use crate::git::Repo;
use crate::store::Error;
use crate::store::Store;
use crate::store::keeper::Keeper;
use crate::store::state::SHOWN;
use crate::sys::fs;
use crate::sys::fs::Found;
use crate::sys::fs::Kind;
use crate::sys::fs::TEMP_PREFIX;
use crate::sys::path;

/// The modes that files and folders of a store have.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;
/// The mode of a file in a tree (F-082).
const COMMITTED_MODE: u32 = 0o100_644;
/// From this many entries on, opening them is shared among the cores.
const PARALLEL_FROM: usize = 8;

pub use mend::Report;
pub use mend::set_mode;

/// What a finding is about. The order is that of the report: the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Something that does not verify.
    Integrity,
    /// The work tree is not what the last commit says.
    WorkTree,
    /// Key files and the member list do not fit each other.
    Member,
    /// Something that is no part of a store.
    Foreign,
    /// Names that differ in case only.
    Clash,
    /// Others may read or write what is this user's.
    Mode,
    /// What an interrupted command left behind.
    Leftover,
}

/// Something that is not as it should be.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What it is about.
    pub topic: Topic,
    /// The path, name or commit.
    pub subject: String,
    /// What is wrong with it.
    pub problem: String,
    /// What a person can do where no remedy can.
    pub advice: Option<String>,
    /// What `mend` would do.
    pub remedy: Option<Remedy>,
}

/// A repair that loses nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Set the permission bits of a file or folder.
    SetMode(PathBuf, u32),
    /// Remove a file or folder of ours that means nothing any more.
    Remove(PathBuf),
    /// Write the committed file again; what stands there is kept in the local state.
    WriteCommitted(String, Id),
    /// Move a file to the local state.
    SetAside(String),
}

impl Finding {
    /// A finding that only a person can do something about.
    pub fn new(topic: Topic, subject: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            topic,
            subject: subject.into(),
            problem: problem.into(),
            advice: None,
            remedy: None,
        }
    }

    /// The same with what to do by hand.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// The same with a remedy.
    #[must_use]
    pub fn mended_by(mut self, remedy: Remedy) -> Self {
        self.remedy = Some(remedy);
        self
    }
}

impl Store {
    /// Looks at everything that needs no key. The caller holds the lock, so that no change is under way.
    fn examine(&self) -> Result<Vec<Finding>, Error> {
        let mut findings = self.examine_places();
        if self.has_lost_repository()? {
            let problem = "the repository that was here is gone, and changes are refused";
            let shown = self.state.path().join(SHOWN);
            let advice = format!(
                "bring it back from another copy of the store; to go on without history, remove {}",
                shown.display()
            );
            findings.push(Finding::new(Topic::WorkTree, layout::GIT, problem).advise(advice));
        }
        let found = match fs::walk(self.path(), &[layout::GIT]) {
            Ok(found) => found,
            // A folder that cannot be listed: its mode is mended first, then the rest is looked at.
            Err(error) => {
                let problem = format!("it cannot be listed: {}", error.source);
                let finding = Finding::new(Topic::Mode, error.path.to_string_lossy(), problem);
                findings.push(finding.mended_by(Remedy::SetMode(error.path, FOLDER_MODE)));
                return Ok(findings);
            }
        };
        findings.extend(found.iter().filter_map(|one| self.examine_file(one)));
        findings.extend(clashes(&found));
        if let Some(repo) = &self.repo {
            findings.extend(self.examine_repository(repo, &found)?);
        }
        Ok(findings)
    }

    /// Opens every entry, the member list and the key files' names; the list of what is not believed.
    fn examine_entries(&self, keeper: &dyn Keeper) -> Result<Vec<Finding>, Error> {
        let mut names = self.names()?;
        names.retain(|name| !self.is_copy(name));
        let work = |name: &Name| self.verified(keeper, name).map(|_| ());
        let checked = fs::parallel(&names, PARALLEL_FROM, work);
        let mut findings: Vec<Finding> = names
            .iter()
            .zip(checked)
            .filter_map(|(name, outcome)| Some(unverified(name, &outcome.err()?)))
            .collect();
        let members = match self.members(keeper) {
            Ok(members) => members,
            Err(error) => {
                let problem = reason(&error);
                findings.push(Finding::new(Topic::Integrity, layout::MEMBERS, problem));
                return Ok(findings);
            }
        };
        let files = self.key_files()?;
        let is_listed = |file: &&String| members.list.iter().any(|member| member.name == **file);
        for file in files.iter().filter(|file| !is_listed(file)) {
            let problem = "a key file of nobody on the member list";
            let finding = Finding::new(Topic::Member, layout::key_path(file), problem);
            findings.push(finding.advise("remove it if you did not add it"));
        }
        let without = members.list.iter().filter(|one| !files.contains(&one.name));
        findings.extend(without.map(|member| {
            let problem = "a member without a key file, who cannot open the store";
            Finding::new(Topic::Member, &member.name, problem)
        }));
        Ok(findings)
    }

    /// Whether a file is a copy that a file-sync tool has made, and no commit has it.
    pub fn is_copy(&self, name: &Name) -> bool {
        layout::copied_from(name.as_str()).is_some()
            && self.repo.is_some()
            && !self.is_committed(name)
    }

    /// The store's own folder, its neighbour that `init` may have left, and the local state.
    fn examine_places(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = wrong_mode(self.path(), FOLDER_MODE).into_iter().collect();
        let name = self.path().file_name().unwrap_or_default();
        let half = format!(".{}{TEMP_PREFIX}", name.to_string_lossy());
        let half = self.path().with_file_name(half);
        if fs::kind(&half).is_some() {
            let problem = "a store that was never finished";
            let finding = Finding::new(Topic::Leftover, half.to_string_lossy(), problem);
            findings.push(finding.mended_by(Remedy::Remove(half)));
        }
        let state = self.state.path();
        findings.extend(wrong_mode(state, FOLDER_MODE));
        let quarantine = self.state.quarantine();
        for one in fs::walk(state, &[]).unwrap_or_default() {
            let path = state.join(&one.path);
            if path == quarantine && self.state.is_sync_free() {
                findings.push(leftover(path));
                continue;
            }
            if path.starts_with(&quarantine) {
                continue;
            }
            match one.kind {
                Kind::File if is_temporary(&one.path) => findings.push(leftover(path)),
                Kind::File => findings.extend(wrong_mode(&path, FILE_MODE)),
                Kind::Folder => findings.extend(wrong_mode(&path, FOLDER_MODE)),
                Kind::Link | Kind::Special => {}
            }
        }
        findings
    }

    fn examine_file(&self, one: &Found) -> Option<Finding> {
        let subject = one.path.to_string_lossy();
        let foreign = |problem: &str| {
            let finding = Finding::new(Topic::Foreign, subject.clone(), problem);
            Some(finding.advise("move it elsewhere"))
        };
        let path = self.path().join(&one.path);
        let here = |finding: Finding| Finding {
            subject: subject.clone().into_owned(),
            ..finding
        };
        match one.kind {
            Kind::Link => return foreign("a symbolic link: never followed"),
            Kind::Special => return foreign("a socket, pipe or device: never opened"),
            Kind::Folder if one.path == Path::new(layout::NEXT_TEMP) => {
                return Some(here(leftover(path)));
            }
            Kind::Folder if fs::is_too_deep(&one.path) => {
                return foreign("deeper than any entry: not looked into");
            }
            Kind::Folder => return wrong_mode(&path, FOLDER_MODE).map(here),
            Kind::File => {}
        }
        if one.path.starts_with(layout::NEXT_TEMP) {
            return None;
        }
        if is_temporary(&one.path) {
            return Some(here(leftover(path)));
        }
        match one.path.to_str().map(layout::place_of) {
            None => foreign("its name is not UTF-8"),
            Some(Err(reason)) => foreign(&format!("no part of the store: {reason}")),
            Some(Ok(_)) => wrong_mode(&path, FILE_MODE).map(here),
        }
    }

    /// Compares the work tree with the commit that it was last seen to show, and looks at what git would obey.
    fn examine_repository(&self, repo: &Repo, found: &[Found]) -> Result<Vec<Finding>, Error> {
        let dangers = repo.dangerous_config()?.into_iter();
        let mut findings: Vec<Finding> = dangers
            .map(|danger| {
                let problem = "it could make git run another program";
                Finding::new(Topic::Foreign, danger, problem).advise("take it out by hand")
            })
            .collect();
        let head = repo.head()?.commit;
        let shown = self.state.shown()?.and_then(|hex| Id::parse(&hex));
        let Some(base) = shown.or(head) else {
            findings.push(Finding::new(
                Topic::WorkTree,
                layout::GIT,
                "the repository has no commit",
            ));
            return Ok(findings);
        };
        if let Err(error) = self.verify_seal(repo, base) {
            findings.push(Finding::new(
                Topic::Integrity,
                base.to_string(),
                reason(&error),
            ));
            return Ok(findings);
        }
        let mut committed = BTreeMap::new();
        for file in repo.files(base)? {
            match layout::place_of(&file.path) {
                Ok(_) if file.mode == COMMITTED_MODE => {
                    committed.insert(file.path, file.id);
                }
                _ => {
                    let problem = "in the last commit, and no part of a store";
                    findings.push(Finding::new(Topic::Integrity, file.path, problem));
                }
            }
        }
        let ours = found.iter().filter(|one| one.kind == Kind::File);
        let ours = ours.filter_map(|one| one.path.to_str());
        for path in ours.filter(|path| layout::place_of(path).is_ok()) {
            findings.extend(self.differs(path, committed.remove(path)));
        }
        findings.extend(committed.into_iter().map(|(path, id)| {
            let problem = "missing, and in the last commit";
            let finding = Finding::new(Topic::WorkTree, &path, problem);
            finding.mended_by(Remedy::WriteCommitted(path, id))
        }));
        Ok(findings)
    }

    /// A file that is not the committed one.
    fn differs(&self, path: &str, committed: Option<Id>) -> Option<Finding> {
        let Some(id) = committed else {
            let name = path.strip_suffix(".age").unwrap_or(path);
            if let Some(original) = layout::copied_from(name) {
                let problem = format!("a copy of \"{original}\" that a file-sync tool has made");
                let finding = Finding::new(Topic::WorkTree, path, problem);
                return Some(finding.advise("--repair merges it, with the keys"));
            }
            let problem = "not in the last commit: it was not written by vault";
            let finding = Finding::new(Topic::WorkTree, path, problem);
            return Some(finding.mended_by(Remedy::SetAside(path.to_owned())));
        };
        let bytes = match self.dir.read(Path::new(path), ENTRY_MAX_BYTES) {
            Ok(bytes) => bytes?,
            Err(error) => {
                let problem = format!("it cannot be read: {}", error.source);
                return Some(Finding::new(Topic::WorkTree, path, problem));
            }
        };
        if Repo::blob_id(&bytes).ok() == Some(id) {
            return None;
        }
        let finding = Finding::new(Topic::WorkTree, path, "differs from the last commit");
        Some(finding.mended_by(Remedy::WriteCommitted(path.to_owned(), id)))
    }

    /// What stands in the way of following the head, as a finding with the way back.
    fn unfollowed(&self, error: &Error) -> Finding {
        let finding = match error {
            Error::Refused(refusal) => {
                Finding::new(Topic::Integrity, &refusal.subject, reason(error))
            }
            _ => Finding::new(Topic::WorkTree, layout::GIT, reason(error)),
        };
        match (error, self.state.shown()) {
            (Error::Refused(refusal), Ok(Some(shown)))
                if matches!(refusal.stage, Stage::Seal | Stage::Descent | Stage::Name) =>
            {
                finding.advise(format!(
                    "if it was you, go back with: vault git reset {shown}; then: vault doctor --repair"
                ))
            }
            _ => finding,
        }
    }
}

/// An entry that is refused.
fn unverified(name: &Name, error: &Error) -> Finding {
    let topic = match error {
        Error::Refused(_) => Topic::Integrity,
        _ => Topic::WorkTree,
    };
    let finding = Finding::new(topic, name.as_str(), reason(error));
    finding.advise(format!(
        "an earlier value may be had back with: vault restore {name}"
    ))
}

/// Why something is not believed, without what it is.
fn reason(error: &Error) -> String {
    match error {
        Error::Refused(refusal) => format!("{} ({})", refusal.reason, refusal.stage.word()),
        other => other.to_string(),
    }
}

fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(TEMP_PREFIX))
}

fn leftover(path: PathBuf) -> Finding {
    let problem = "left behind by an interrupted command";
    let finding = Finding::new(Topic::Leftover, path.to_string_lossy(), problem);
    finding.mended_by(Remedy::Remove(path))
}

/// A file or folder that others may use, or that this user may not.
pub fn wrong_mode(path: &Path, wanted: u32) -> Option<Finding> {
    let mode = path::mode(path)?;
    let others = mode & 0o077;
    if others == 0 && mode & wanted == wanted {
        return None;
    }
    let problem = format!("mode {mode:04o} instead of {wanted:04o}");
    let finding = Finding::new(Topic::Mode, path.to_string_lossy(), problem);
    Some(finding.mended_by(Remedy::SetMode(path.to_owned(), wanted)))
}

/// Names that differ from one another in case only (F-021): each folder's components, once.
fn clashes(found: &[Found]) -> Vec<Finding> {
    let mut paths: Vec<String> = found.iter().filter_map(component_path).collect();
    paths.sort_unstable();
    paths.dedup();
    let mut by_lower: BTreeMap<String, &str> = BTreeMap::new();
    let mut findings = Vec::new();
    for path in &paths {
        // The parent keeps its spelling: two folders that clash are reported once, not again for what is in them.
        let (parent, last) = path.rsplit_once('/').unwrap_or(("", path));
        if let Some(other) = by_lower.insert(format!("{parent}/{}", last.to_lowercase()), path) {
            let problem = format!(
                "differs from \"{other}\" in upper and lower case only: some systems cannot hold both"
            );
            let finding = Finding::new(Topic::Clash, path, problem);
            findings.push(finding.advise(format!("rename one with: vault mv {path} NEW")));
        }
    }
    findings
}

/// The path of a folder or an entry as a row of components: the file `a.age` stands for the component `a`.
fn component_path(found: &Found) -> Option<String> {
    let path = found.path.to_str()?;
    match found.kind {
        Kind::Folder => Some(path.to_owned()),
        Kind::File => match layout::place_of(path) {
            Ok(layout::Place::Entry(name)) => Some(name.to_string()),
            _ => None,
        },
        Kind::Link | Kind::Special => None,
    }
}
