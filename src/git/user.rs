//! The user's own git, as that user would start it: for reading and changing settings that are the user's. Never started in the
//! store.
#![allow(
    clippy::disallowed_methods,
    reason = "git starts in this folder and nowhere else"
)]

use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use crate::git::Error;
use crate::sys::unlocks;

/// What `git config` ends with where there is no such setting, or no such section.
const NOTHING: [i32; 2] = [1, 5];

/// git, in a folder of the user's.
#[derive(Clone, Debug)]
pub struct UserGit {
    folder: PathBuf,
    vars: Vec<(OsString, OsString)>,
}

impl UserGit {
    /// git in a folder, with the caller's environment.
    pub fn new(folder: &Path, vars: &[(OsString, OsString)]) -> Self {
        let kept = vars.iter().filter(|(name, _)| !unlocks(name));
        Self {
            folder: folder.to_owned(),
            vars: kept.cloned().collect(),
        }
    }

    /// A setting as git understands it; none where it is not made, or git cannot be asked.
    pub fn setting(&self, key: &str) -> Option<String> {
        let printed = self.config(&["--get", key]).ok()??;
        Some(printed.trim_end_matches('\n').to_owned())
    }

    /// `git config` with these arguments: what it prints; nothing where there is no such setting.
    pub fn config(&self, args: &[&str]) -> Result<Option<String>, Error> {
        self.run(&[&["config"], args].concat())
    }

    /// A git command: what it prints; nothing where it says that there is nothing.
    pub fn run(&self, args: &[&str]) -> Result<Option<String>, Error> {
        let mut command = Command::new("git");
        command.env_clear().envs(self.vars.iter().cloned());
        command.args(args).current_dir(&self.folder);
        command.env("LC_ALL", "C").stdin(Stdio::null());
        let output = command.output().map_err(Error::Start)?;
        let said = String::from_utf8_lossy(&output.stderr)
            .trim()
            .replace('\n', "; ");
        if output.status.success() {
            return Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()));
        }
        let is_nothing = output
            .status
            .code()
            .is_some_and(|code| NOTHING.contains(&code));
        if is_nothing && said.is_empty() {
            return Ok(None);
        }
        let command = args.first().copied().unwrap_or_default().to_owned();
        Err(Error::Git { command, said })
    }
}
