//! Asking a person for consent: in a pinentry where one is configured, else on a terminal.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use crate::session::pinentry::ANSWER_MAX;
use crate::session::pinentry::Pinentry;
use crate::sys::Env;
use crate::sys::tty::Terminal;

/// Why there is no consent, where nobody is there who could give it.
pub const NOBODY_THERE: &str = "it asks for consent, and there is nobody to ask";
/// The same where asking was forbidden.
pub const NOBODY_MAY: &str = "it asks for consent, and nobody may be asked";

/// Who is asked, and how.
#[derive(Default)]
pub struct Asker {
    pinentry: Option<Pinentry>,
    terminal: Option<Terminal>,
    /// The path of a terminal, and what kind it is.
    elsewhere: Option<(PathBuf, Option<OsString>)>,
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
            elsewhere: None,
        }
    }

    /// The person at a terminal of another session, or one whom a pinentry finds there; each may be empty for none. The
    /// terminal is opened when it is needed.
    pub fn elsewhere(env: &Env, terminal: &str, pinentry: &str) -> Self {
        let path = (!terminal.is_empty()).then(|| PathBuf::from(terminal));
        let term = env.var_os("TERM").map(ToOwned::to_owned);
        Self {
            pinentry: (!pinentry.is_empty()).then(|| Pinentry::new(env, pinentry).at(path.clone())),
            terminal: None,
            elsewhere: path.map(|path| (path, term)),
        }
    }

    /// Asks for consent; why there is none, as the end of a sentence.
    pub fn consent(&self, question: &str) -> Result<(), String> {
        let opened = self
            .elsewhere
            .as_ref()
            .and_then(|(path, term)| Terminal::elsewhere(path, term.as_deref()));
        let terminal = opened.as_ref().or(self.terminal.as_ref());
        let asked = match (&self.pinentry, terminal) {
            (Some(pinentry), _) => pinentry.confirm(question),
            (None, Some(terminal)) => terminal.confirm_within(question, ANSWER_MAX),
            (None, None) => {
                return Err(NOBODY_THERE.to_owned());
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
