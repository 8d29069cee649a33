//! Asking for a passphrase: a program named by `AGEVAULT_PASSPHRASE_CMD`, else the terminal, else nobody.

use std::ffi::OsString;
use std::io;
use std::sync::Mutex;

use crate::crypto::Prompt;
use crate::secret::Secret;
use crate::sys::Env;
use crate::sys::process;
use crate::sys::tty::Terminal;

/// The variable that names a program which prints the passphrase.
const COMMAND_VARIABLE: &str = "AGEVAULT_PASSPHRASE_CMD";

/// Asks the way this environment allows.
pub struct Asking {
    command: Option<OsString>,
    vars: Vec<(OsString, OsString)>,
    is_unattended: bool,
    term: Option<OsString>,
    unanswered: Mutex<Option<String>>,
}

impl Asking {
    /// Takes what it needs from the environment; asks nothing yet.
    pub fn new(env: &Env) -> Self {
        let command = env.var_os(COMMAND_VARIABLE).map(ToOwned::to_owned);
        // Only a program that is asked gets them: most look-ups ask nobody.
        let vars = command.as_ref().map(|_| env.vars.clone());
        Self {
            command,
            vars: vars.unwrap_or_default(),
            is_unattended: env.is_unattended(),
            term: env.var_os("TERM").map(ToOwned::to_owned),
            unanswered: Mutex::new(None),
        }
    }

    /// The answer; why there is none is kept for `unanswered`.
    fn answer(
        &self,
        answer: io::Result<Secret>,
        why: impl FnOnce(io::Error) -> String,
    ) -> Option<Secret> {
        let (answer, reason) = match answer {
            Ok(secret) => (Some(secret), None),
            Err(error) => (None, Some(why(error))),
        };
        if let Ok(mut unanswered) = self.unanswered.lock() {
            *unanswered = reason;
        }
        answer
    }

    fn terminal(&self) -> Option<Terminal> {
        if self.is_unattended {
            None
        } else {
            Terminal::open(self.term.as_deref())
        }
    }
}

impl Prompt for Asking {
    fn passphrase(&self, what: &str) -> Option<Secret> {
        if let Some(command) = &self.command {
            let kept = self.vars.iter().filter(|(key, _)| key != "AGEVAULT_KEY");
            let vars: Vec<_> = kept
                .map(|(key, value)| (key.as_os_str(), value.as_os_str()))
                .collect();
            let failed = |error| format!("the program of {COMMAND_VARIABLE} failed: {error}");
            return self.answer(process::capture(command, &vars), failed);
        }
        let typed = self.terminal()?.ask_hidden(&format!("{what}: "));
        self.answer(typed, |error| match error.kind() {
            io::ErrorKind::Interrupted | io::ErrorKind::UnexpectedEof => {
                "none was typed".to_owned()
            }
            _ => format!("the terminal failed: {error}"),
        })
    }

    fn message(&self, text: &str) {
        if let Some(terminal) = self.terminal() {
            let _ = terminal.say(text);
        }
    }

    fn can_repeat(&self) -> bool {
        self.command.is_none()
    }

    fn unanswered(&self) -> Option<String> {
        self.unanswered.lock().ok()?.clone()
    }
}
