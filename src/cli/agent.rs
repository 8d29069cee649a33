//! `vault agent`: the process that holds keys. Started by the first unlocking, never by a person.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::session::agent;
use crate::session::client;
use crate::session::keyring::Keyring;
use crate::sys::clock::Machine;
use crate::sys::process;

/// Arguments of `agent`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The folder of the socket
    folder: PathBuf,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let failed = |error| Failure::failed(format!("the agent cannot serve: {error}"));
        process::become_daemon().map_err(failed)?;
        let bound = match client::bind(&self.folder) {
            Ok(bound) => bound,
            Err(error) => {
                // Whoever started it reads one line.
                cx.ui.line(&error.to_string());
                cx.ui.finish()?;
                return Err(failed(error));
            }
        };
        cx.ui.line(if bound.is_some() { "ready" } else { "taken" });
        cx.ui.finish()?;
        let Some(bound) = bound else { return Ok(0) };
        process::close_streams().map_err(failed)?;
        let keyring = Arc::new(Keyring::new(Arc::new(Machine)));
        let is_in_place = || bound.is_in_place();
        agent::serve(cx.env.clone(), &bound.listener, keyring, &is_in_place).map_err(failed)?;
        Ok(0)
    }
}
