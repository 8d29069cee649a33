//! `vault clipboard-hold`: the helper that stays behind to clear the clipboard. Started by `get -c`, never by a person.

use std::time::Duration;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::clipboard;
use crate::cli::clipboard::Clipboard;
use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// Arguments of `clipboard-hold`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// desktop, terminal or tmux
    clipboard: String,
    /// For how long, in seconds
    seconds: u64,
}

impl Run for Args {
    fn run(self, _cx: &mut Context) -> Outcome {
        let clipboard = Clipboard::from_word(&self.clipboard)
            .ok_or_else(|| Failure::usage("there is no such clipboard"))?;
        clipboard::hold(clipboard, Duration::from_secs(self.seconds))
            .map_err(|error| Failure::failed(format!("cannot hold the clipboard: {error}")))?;
        Ok(0)
    }
}
