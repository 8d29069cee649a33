//! The store's keys in this process: a key file that asks for consent and records uses, as the agent does.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;

use jiff::Timestamp;

use crate::config::Config;
use crate::format::Document;
use crate::format::Header;
use crate::format::document::Domain;
use crate::format::keys::KeyFile;
use crate::secret::Secret;
use crate::session::ask::Asker;
use crate::session::consent::Consent;
use crate::session::consent::none_beside;
use crate::session::keyring::consent_question;
use crate::store;
use crate::store::keeper::Keeper;
use crate::store::keeper::Look;
use crate::store::keeper::Opening;
use crate::store::keeper::Unopened;
use crate::store::uses;
use crate::sys::Env;
use crate::sys::process::Program;

/// Keys at hand, and what they are used for.
pub(super) struct Here {
    keys: Box<KeyFile>,
    env: Arc<Env>,
    uses: PathBuf,
    purpose: &'static str,
    program: OnceLock<Program>,
    asker: OnceLock<Asker>,
    /// What the person has said of which entry: a command asks once.
    said: Mutex<HashMap<String, Consent>>,
}

impl Here {
    pub(super) fn new(
        keys: Box<KeyFile>,
        env: &Arc<Env>,
        uses: PathBuf,
        purpose: &'static str,
    ) -> Self {
        Self {
            keys,
            env: env.clone(),
            uses,
            purpose,
            program: OnceLock::new(),
            asker: OnceLock::new(),
            said: Mutex::default(),
        }
    }

    /// Lets an entry go, if the person allows it; its use is recorded.
    fn consider(&self, document: Document) -> Result<Document, Unopened> {
        let plain = plain_name(&document.header);
        let parsed;
        let (name, confirm) = if let Some(name) = plain {
            (name, false)
        } else {
            parsed = Header::parse(&document.header)?;
            (parsed.name.as_str(), parsed.confirm)
        };
        let program = self.program.get_or_init(Program::myself);
        if confirm {
            let denied = |why| Unopened::Denied(name.to_owned(), why);
            self.consent(name, program).map_err(denied)?;
        }
        // A record that cannot be written keeps nobody from a secret.
        let _ = uses::record(&self.uses, self.env.now, self.purpose, program, name);
        Ok(document)
    }

    /// Asks the person, unless that was done. One question at a time.
    fn consent(&self, name: &str, program: &Program) -> Consent {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(consent) = said.get(name) {
            return consent.clone();
        }
        if said.values().any(Consent::is_err)
            && let Some(none) = none_beside(self.purpose)
        {
            return none;
        }
        let asker = self.asker.get_or_init(|| {
            let pinentry = Config::load(&self.env).unwrap_or_default().pinentry;
            Asker::of_process(&self.env, pinentry.as_deref())
        });
        let consent = asker.consent(&consent_question(name, self.purpose, program));
        said.insert(name.to_owned(), consent.clone());
        consent
    }
}

/// The name in a header that surely does not ask for consent, without parsing it all: a look-up is mostly start-up.
fn plain_name(header: &str) -> Option<&str> {
    if header.contains("confirm") || header.contains('\\') || header.contains('\'') {
        return None;
    }
    let mut lines = header.lines();
    let name = lines.find_map(|line| line.strip_prefix("name = \""))?;
    name.strip_suffix('"').filter(|name| !name.contains('"'))
}

impl Keeper for Here {
    fn open(&self, ciphertext: &[u8], domain: Domain) -> Result<Document, Unopened> {
        let document = self.keys.open(ciphertext, domain)?;
        if domain == Domain::Entry {
            self.consider(document)
        } else {
            Ok(document)
        }
    }

    fn open_unexpired(&self, ciphertext: &[u8], now: Timestamp) -> Result<Opening, Unopened> {
        match self.keys.open_unexpired(ciphertext, now)? {
            Opening::Document(document) => self.consider(document).map(Opening::Document),
            expired @ Opening::Expired(_) => Ok(expired),
        }
    }

    fn look(&self, ciphertext: &[u8]) -> Result<Look, Unopened> {
        self.keys.look(ciphertext)
    }

    fn look_history(&self, ciphertext: &[u8]) -> Result<Look, Unopened> {
        self.keys.look_history(ciphertext)
    }

    fn open_history(&self, ciphertext: &[u8]) -> Result<Document, Unopened> {
        self.consider(self.keys.open_history(ciphertext)?)
    }

    fn make(&self, header: &str, body: &Secret, domain: Domain) -> Result<Vec<u8>, store::Error> {
        self.keys.make(header, body, domain)
    }

    fn seal(&self, commit: &[u8]) -> Result<Vec<u8>, store::Error> {
        self.keys.seal(commit)
    }

    fn can_write(&self) -> bool {
        self.keys.can_write()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_header_that_surely_asks_nobody_is_not_parsed() {
        let name = |header| plain_name(header);
        assert_eq!(name("format = 1\nname = \"a/b\"\nrev = 1\n"), Some("a/b"));
        assert_eq!(name("format = 1\nname = \"a\"\nconfirm = true\n"), None);
        assert_eq!(name("name = \"a\"\n\"con\\u0066irm\" = true\n"), None);
        assert_eq!(name("name = 'a'\n"), None);
    }
}
