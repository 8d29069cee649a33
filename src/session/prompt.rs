//! Asking for a passphrase: a program named by `AGEVAULT_PASSPHRASE_CMD`, else a pinentry, else the terminal, else nobody.

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use crate::config::Config;
use crate::crypto::Prompt;
use crate::secret::Secret;
use crate::session::pinentry::Pinentry;
use crate::sys::Env;
use crate::sys::process;
use crate::sys::tty::Terminal;
use crate::sys::unlocks;

/// The variable that names a program which prints the passphrase.
const COMMAND_VARIABLE: &str = "AGEVAULT_PASSPHRASE_CMD";

/// How long a plugin may be silent, unless the configuration says otherwise.
const PLUGIN_SECONDS: u64 = 60;

/// Asks the way this environment allows.
pub struct Asking {
    env: Arc<Env>,
    unanswered: Mutex<Option<String>>,
}

impl Asking {
    /// Asks nothing yet.
    pub fn new(env: &Arc<Env>) -> Self {
        Self {
            env: env.clone(),
            unanswered: Mutex::new(None),
        }
    }

    fn command(&self) -> Option<&OsStr> {
        self.env.var_os(COMMAND_VARIABLE)
    }

    /// The pinentry, if one is configured and somebody may be asked.
    fn pinentry(&self) -> Option<Pinentry> {
        if self.env.must_not_ask() {
            return None;
        }
        let program = Config::load(&self.env).ok()?.pinentry?;
        Some(Pinentry::new(&self.env, program))
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
        if self.env.is_unattended() {
            None
        } else {
            Terminal::open(self.env.var_os("TERM"))
        }
    }
}

/// Why a question was not answered.
fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::Interrupted | io::ErrorKind::UnexpectedEof => "none was typed".to_owned(),
        io::ErrorKind::TimedOut => "nobody answered".to_owned(),
        _ => format!("asking for it failed: {error}"),
    }
}

impl Prompt for Asking {
    fn passphrase(&self, what: &str) -> Option<Secret> {
        if let Some(command) = self.command() {
            let vars = self.env.vars.iter();
            let vars: Vec<_> = vars
                .filter(|(key, _)| !unlocks(key))
                .map(|(key, value)| (key.as_os_str(), value.as_os_str()))
                .collect();
            let failed = |error| format!("the program of {COMMAND_VARIABLE} failed: {error}");
            return self.answer(process::capture(command, &vars), failed);
        }
        let typed = match self.pinentry() {
            Some(pinentry) => pinentry.passphrase(what),
            None => self.terminal()?.ask_hidden(&format!("{what}: ")),
        };
        self.answer(typed, |error| why(&error))
    }

    fn message(&self, text: &str) {
        if let Some(terminal) = self.terminal() {
            let _ = terminal.say(text);
        }
    }

    fn confirm(&self, question: &str) -> Option<bool> {
        match self.pinentry() {
            Some(pinentry) => pinentry.confirm(question).ok(),
            None => self.terminal()?.confirm(question, false).ok(),
        }
    }

    fn line(&self, what: &str) -> Option<String> {
        self.terminal()?.ask_line(&format!("{what}: ")).ok()
    }

    fn patience(&self) -> Duration {
        let config = Config::load(&self.env).unwrap_or_default();
        Duration::from_secs(config.plugin_seconds.unwrap_or(PLUGIN_SECONDS))
    }

    fn can_repeat(&self) -> bool {
        self.command().is_none()
    }

    fn unanswered(&self) -> Option<String> {
        self.unanswered.lock().ok()?.clone()
    }
}
