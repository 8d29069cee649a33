//! An entry that a flag names, and how the program is to get it.

use crate::cli::context::Target;
use crate::cli::exec::Args;
use crate::cli::failure::Failure;
use crate::exec::plan::Way;
use crate::policy::variable;

/// One `-e`, `--file`, `--stdin` or `--fd`.
pub(super) struct Asked {
    /// The variable, where the flag names one.
    pub variable: Option<String>,
    /// The entry.
    pub target: Target,
    /// How the program gets it.
    pub way: Way,
}

impl Args {
    /// All that the flags name.
    pub(super) fn asked(&self) -> Result<Vec<Asked>, Failure> {
        let entries = self.entries.iter().map(|text| Asked::entry(text));
        let files = self.files.iter().map(|text| Asked::file(text));
        let stdin = self.stdin.iter().map(|text| Asked::stream(0, text));
        let numbered = self.fds.iter().map(|text| Asked::numbered(text));
        entries.chain(files).chain(stdin).chain(numbered).collect()
    }

    /// Whether a flag names an entry.
    pub(super) fn names_any(&self) -> bool {
        !(self.entries.is_empty() && self.files.is_empty() && self.fds.is_empty())
            || self.stdin.is_some()
    }
}

impl Asked {
    fn entry(text: &str) -> Result<Self, Failure> {
        let (variable, name) = match text.split_once('=') {
            Some((variable, name)) if variable::is_name(variable) => {
                (Some(variable.to_owned()), name)
            }
            _ => (None, text),
        };
        Ok(Self {
            variable,
            target: Target::parse(name)?,
            way: Way::Variable,
        })
    }

    fn file(text: &str) -> Result<Self, Failure> {
        let (variable, name) = text.split_once('=').ok_or_else(|| {
            Failure::usage("--file takes VAR=NAME: the variable that holds the path, and the entry")
        })?;
        Ok(Self {
            variable: Some(variable.to_owned()),
            target: Target::parse(name)?,
            way: Way::File,
        })
    }

    fn numbered(text: &str) -> Result<Self, Failure> {
        let parts = text.split_once('=');
        let number = parts.and_then(|(number, name)| Some((number.parse().ok()?, name)));
        match number {
            // Standard input has its own flag, and the two others are for output.
            Some((0..=2, _)) => Err(Failure::usage(
                "--fd takes a number from 3 on; standard input is --stdin NAME",
            )),
            Some((number, name)) => Self::stream(number, name),
            None => Err(Failure::usage(
                "--fd takes N=NAME: the descriptor's number, and the entry",
            )),
        }
    }

    fn stream(number: i32, name: &str) -> Result<Self, Failure> {
        Ok(Self {
            variable: None,
            target: Target::parse(name)?,
            way: Way::Stream(number),
        })
    }
}
