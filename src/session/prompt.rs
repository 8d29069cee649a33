//! Asking for a passphrase: a program named by `AGEVAULT_PASSPHRASE_CMD`, else the terminal, else nobody.

use std::ffi::OsString;

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
}

impl Asking {
    /// Takes what it needs from the environment; asks nothing yet.
    pub fn new(env: &Env) -> Self {
        Self {
            command: env.var_os(COMMAND_VARIABLE).map(ToOwned::to_owned),
            vars: env.vars.clone(),
            is_unattended: env.is_unattended(),
            term: env.var_os("TERM").map(ToOwned::to_owned),
        }
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
            return process::capture(command, &vars).ok();
        }
        self.terminal()?.ask_hidden(&format!("{what}: ")).ok()
    }

    fn message(&self, text: &str) {
        if let Some(terminal) = self.terminal() {
            let _ = terminal.say(text);
        }
    }

    fn can_repeat(&self) -> bool {
        self.command.is_none()
    }
}
