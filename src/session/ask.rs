//! Asking a person for consent: in a pinentry where one is configured, else on a terminal.

use std::io;
use std::os::fd::OwnedFd;

use crate::session::pinentry::ANSWER_MAX;
use crate::session::pinentry::Pinentry;
use crate::sys::Env;
use crate::sys::tty::Terminal;

/// Who is asked, and how.
#[derive(Default)]
pub struct Asker {
    pinentry: Option<Pinentry>,
    terminal: Option<Terminal>,
}

impl Asker {
    /// The person at this process.
    pub fn of_process(env: &Env, pinentry: Option<&str>) -> Self {
        if env.must_not_ask() {
            return Self::default();
        }
        Self {
            pinentry: pinentry.map(|program| Pinentry::new(env, program)),
            terminal: Terminal::open(env.var_os("TERM")),
        }
    }

    /// The person at a terminal that was handed over, or one whom a pinentry finds; `pinentry` is empty for none.
    pub fn handed(env: &Env, terminal: Option<OwnedFd>, pinentry: &str) -> Self {
        let terminal = terminal.and_then(|fd| Terminal::handed(fd, env.var_os("TERM")));
        let named = || terminal.as_ref().and_then(Terminal::name);
        Self {
            pinentry: (!pinentry.is_empty()).then(|| Pinentry::new(env, pinentry).at(named())),
            terminal,
        }
    }

    /// The terminal, to be handed on.
    pub fn terminal(&self) -> Option<OwnedFd> {
        Some(self.terminal.as_ref()?.handle().ok()?.into())
    }

    /// Asks for consent; why there is none, as the end of a sentence.
    pub fn consent(&self, question: &str) -> Result<(), String> {
        let asked = match (&self.pinentry, &self.terminal) {
            (Some(pinentry), _) => pinentry.confirm(question),
            (None, Some(terminal)) => terminal.confirm_within(question, ANSWER_MAX),
            (None, None) => {
                return Err("it asks for consent, and there is nobody to ask".to_owned());
            }
        };
        match asked {
            Ok(true) => Ok(()),
            Ok(false) => Err("it asks for consent, and the answer was no".to_owned()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                Err("it asks for consent, and nobody answered".to_owned())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                Err("it asks for consent, and none was given".to_owned())
            }
            Err(error) => Err(format!("it asks for consent, and asking failed: {error}")),
        }
    }
}
