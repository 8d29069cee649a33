//! `vault exec-member` and `vault exec-sweep`: the helpers of an `exec` that stays. Started by `exec`, never by a person.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::exec;
use crate::cli::failure::Failure;
use crate::sys::process::Variable;
use crate::sys::ram;
use crate::sys::supervise;
use crate::sys::supervise::Role;

/// Arguments of `exec-member`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// leader, foreground or program
    role: String,
    /// The process that started it
    parent: i32,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    words: Vec<OsString>,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let role =
            Role::from_word(&self.role).ok_or_else(|| Failure::usage("there is no such role"))?;
        let words: Vec<&OsStr> = self.words.iter().map(OsString::as_os_str).collect();
        let vars = cx.env.vars.iter();
        let vars: Vec<Variable<'_>> = vars
            .map(|(key, value)| (key.as_os_str(), value.as_os_str()))
            .collect();
        if role == Role::Leader {
            let ended = supervise::lead(self.parent, &words, &vars, &cx.limits);
            return Ok(exec::end_as(
                ended.map_err(|error| exec::cannot_watch(&error))?,
            ));
        }
        let error = supervise::become_program(role, self.parent, &words, &vars, &cx.limits);
        Err(exec::cannot_run(
            words.first().copied().unwrap_or_default(),
            &error,
        ))
    }
}

/// Arguments of `exec-sweep`.
#[derive(clap::Args, Debug)]
pub(crate) struct SweepArgs {
    /// The folder in RAM
    folder: PathBuf,
}

impl Run for SweepArgs {
    fn run(self, _cx: &mut Context) -> Outcome {
        ram::wipe_after(&self.folder, &mut io::stdin()).map_err(|error| {
            Failure::failed(format!("cannot wipe {}: {error}", self.folder.display()))
        })?;
        Ok(0)
    }
}
