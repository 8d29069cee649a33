//! What every command stands on: the environment, the two streams, the configuration, and the store that is meant.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::failure::Failure;
use crate::cli::failure::NO_ENTRY;
use crate::cli::failure::REFUSED;
use crate::cli::ui::Ui;
use crate::config;
use crate::config::Config;
use crate::format::Name;
use crate::format::keys::KeyFile;
use crate::git::Repo;
use crate::git::run::Author;
use crate::git::run::Git;
use crate::policy::scope::Provider;
use crate::session;
use crate::session::Source;
use crate::store::Store;
use crate::store::Writer;
use crate::store::keeper::Keeper;
use crate::store::state::Sight;
use crate::sys::Env;
use crate::sys::NON_INTERACTIVE;
use crate::sys::mem::OriginalLimits;
use crate::sys::tty::Terminal;

/// The variable that names the store.
pub(super) const STORE_VARIABLE: &str = "AGEVAULT_STORE";
/// The variable with the fingerprint that the store must have.
const PIN_VARIABLE: &str = "AGEVAULT_PIN";
/// How similar a name must be to be guessed, from 0 to 1.
const SIMILAR_ENOUGH: f64 = 0.8;

/// One run of the program.
pub(super) struct Context {
    /// What the program was given.
    pub env: Arc<Env>,
    /// What for, as the record of uses calls it: the command's name.
    pub purpose: &'static str,
    /// The two streams.
    pub ui: Ui,
    /// The limits as they were before hardening, for programs that are started.
    pub limits: OriginalLimits,
    store: Option<String>,
}

/// Where a store is, and what opens it.
pub(super) struct Site {
    /// Its folder.
    pub path: PathBuf,
    /// Its identity file, if the configuration names one.
    pub identity: Option<PathBuf>,
    /// Its name in the configuration.
    pub name: Option<String>,
}

/// An opened store and the identity that unlocks it. Nothing is unlocked yet.
pub(super) struct Opened {
    /// The store.
    pub store: Store,
    /// Where the identity comes from.
    pub source: Source,
}

/// An entry as a person names it: `NAME`, or `STORE:NAME`.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The named store, if any.
    pub store: Option<String>,
    /// The name, or a folder's.
    pub name: Name,
}

impl Target {
    /// Reads `NAME` or `STORE:NAME`. A final `/` is left off.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let (store, name) = match text.split_once(':') {
            Some((store, name)) => (Some(store.to_owned()), name),
            None => (None, text),
        };
        let name = name.strip_suffix('/').unwrap_or(name);
        Ok(Self {
            store,
            name: Name::parse(name)?,
        })
    }
}

impl Context {
    /// A run with this environment; `store` is what `--store` says.
    pub(super) fn new(env: Env, ui: Ui, limits: OriginalLimits, store: Option<String>) -> Self {
        Self {
            env: Arc::new(env),
            purpose: "ls",
            ui,
            limits,
            store,
        }
    }

    /// The store that is meant: the named one, else `--store`, `AGEVAULT_STORE`, the configured default, the usual place.
    pub(super) fn site(&self, named: Option<&str>) -> Result<Site, Failure> {
        let config = Config::load(&self.env)?;
        if self.env.var(STORE_VARIABLE).is_none() && self.env.var_os(STORE_VARIABLE).is_some() {
            // Else the usual store would be meant without a word.
            return Err(Failure::failed(format!("{STORE_VARIABLE} is not UTF-8")));
        }
        let word = named
            .or(self.store.as_deref())
            .or(self.env.var(STORE_VARIABLE));
        let Some(word) = word.or(config.default_store.as_deref()) else {
            return Ok(Site {
                path: self.env.places.data.join("store"),
                identity: None,
                name: None,
            });
        };
        if let Some(known) = config.stores.get(word) {
            let path = self.env.absolute(&known.path);
            return Ok(Site {
                path,
                identity: known.identity.clone(),
                name: Some(word.to_owned()),
            });
        }
        if named.is_some() || !looks_like_path(word) {
            let names: Vec<_> = config.stores.keys().map(String::as_str).collect();
            let failure = Failure::failed(format!(
                "there is no store named \"{}\"",
                word.escape_debug()
            ));
            return Err(match names.as_slice() {
                [] => failure.hint("name one with: vault store add NAME PATH"),
                names => failure.hint(format!("the named stores are: {}", names.join(", "))),
            });
        }
        Ok(Site {
            path: self.env.absolute(Path::new(word)),
            identity: None,
            name: None,
        })
    }

    /// Opens a store and finishes what was interrupted in it.
    pub(super) fn open(&self, named: Option<&str>) -> Result<Opened, Failure> {
        let opened = self.open_as_is(named)?;
        self.settle(&opened.store);
        Ok(opened)
    }

    /// Opens a store as it lies there, an interrupted change included.
    pub(super) fn open_as_is(&self, named: Option<&str>) -> Result<Opened, Failure> {
        let site = self.site(named)?;
        let expected = self.expected_pin();
        let store = Store::open(&site.path, &self.env.places.state, expected.as_deref())?;
        if store.sight == Sight::First && expected.is_none() {
            let words = store.epoch.fingerprint();
            self.ui.say(&format!(
                "first sight of this store, compare its fingerprint: {words}"
            ));
        }
        let identity = site.identity.or_else(|| store.state.identity());
        let source = Source::choose(&self.env, identity.as_deref());
        Ok(Opened { store, source })
    }

    /// The fingerprint that the environment says a store must have.
    pub(super) fn expected_pin(&self) -> Option<String> {
        // Set, but empty or no text: somebody meant to have the store checked, so it is held against that, and refused.
        let mut vars = self.env.vars.iter();
        let expected = vars.find(|(name, _)| name == PIN_VARIABLE);
        expected.map(|(_, words)| words.to_string_lossy().into_owned())
    }

    /// Finishes what was interrupted. What stands in the way is told, and does not keep anyone from reading: every entry
    /// is verified for itself.
    pub(super) fn settle(&self, store: &Store) {
        match store.settle() {
            Ok(settled) if settled.left.is_empty() => {}
            Ok(settled) => {
                let paths = settled.left.join(", ");
                self.ui.warn(&format!("{paths}: neither the committed file nor the one before, left as it is (see: vault doctor)"));
            }
            Err(error) => self.ui.warn(&Failure::from(error).message),
        }
    }

    /// Whoever holds the store's keys, asking for a passphrase where needed.
    pub(super) fn unlock(&self, opened: &Opened) -> Result<Box<dyn Keeper>, Failure> {
        let Opened { store, source } = opened;
        Ok(session::unlock(&self.env, store, source, self.purpose)?)
    }

    /// The same, if nobody needs to be asked for that.
    pub(super) fn unlock_silently(&self, opened: &Opened) -> Option<Box<dyn Keeper>> {
        let Opened { store, source } = opened;
        session::unlock_silently(&self.env, store, source, self.purpose)
    }

    /// The keys themselves, in this process: for what writes key files. Asks anew where the identity needs it.
    pub(super) fn open_keys(&self, opened: &Opened) -> Result<KeyFile, Failure> {
        Ok(session::open_keys(
            &self.env,
            &opened.store,
            &opened.source,
        )?)
    }

    /// Begins a change.
    pub(super) fn writer<'s>(
        &self,
        store: &'s Store,
        keeper: &'s dyn Keeper,
    ) -> Result<Writer<'s>, Failure> {
        let author = || self.author(store);
        let on_wait = || self.ui.say("waiting for another vault to finish writing");
        Ok(store.writer(keeper, self.env.now, author, on_wait)?)
    }

    /// The store that the command line or the environment names, as it stands there.
    pub(super) fn named_store(&self) -> Option<&str> {
        self.store.as_deref().or(self.env.var(STORE_VARIABLE))
    }

    /// Reads what this user knows of providers, before anything is asked about one.
    pub(super) fn learn_providers(&self) -> Result<(), Failure> {
        let (paths, texts): (Vec<_>, Vec<_>) = config::providers(&self.env)?.into_iter().unzip();
        Provider::learn(&texts).map_err(|(at, why)| {
            let path = paths.get(at).map(|path| path.display().to_string());
            Failure::failed(format!("{} is wrong: {why}", path.unwrap_or_default()))
        })
    }

    /// Nobody is to be asked from here on, in any way.
    pub(super) fn ask_nobody(&mut self) {
        let mut env = Env::clone(&self.env);
        env.vars.push((NON_INTERACTIVE.into(), "1".into()));
        self.env = Arc::new(env);
    }

    /// Who commits, being asked of git.
    pub(super) fn author(&self, store: &Store) -> Author {
        // A repository whose settings are odd is not where git is asked: it would read what they include, a pipe too.
        let is_plain = |repo: &Repo| repo.dangerous_config().is_ok_and(|found| found.is_empty());
        let folder = match &store.repo {
            Some(repo) if is_plain(repo) => store.path(),
            _ => Path::new("/"),
        };
        self.git(folder).author()
    }

    /// git, in a folder, with this environment.
    pub(super) fn git(&self, folder: &Path) -> Git {
        Git::new(folder, self.env.vars.iter().cloned()).interactive(!self.env.is_unattended())
    }

    /// The terminal to ask on; none if nobody may be asked.
    pub(super) fn terminal(&self) -> Option<Terminal> {
        if self.env.is_unattended() {
            None
        } else {
            Terminal::open(self.env.var_os("TERM"))
        }
    }

    /// Asks a yes-or-no question; `None` if nobody can be asked.
    pub(super) fn confirm(&self, question: &str) -> Result<Option<bool>, Failure> {
        let Some(terminal) = self.terminal() else {
            return Ok(None);
        };
        let answer = terminal.confirm(question, false);
        answer
            .map(Some)
            .map_err(|error| Failure::failed(format!("no answer: {error}")))
    }

    /// The failure for a name that is not there, with a guess at what was meant.
    pub(super) fn no_entry(store: &Store, name: &Name) -> Failure {
        if store.is_committed(name) && !store.has(name).unwrap_or(true) {
            let text = format!("the file of \"{name}\" is missing, and vault did not remove it");
            return Failure::new(REFUSED, text)
                .hint("write it again from the last commit with: vault doctor --repair");
        }
        let failure = Failure::new(NO_ENTRY, format!("there is no entry \"{name}\""));
        let names = store.names().unwrap_or_default();
        if names
            .iter()
            .any(|other| other != name && other.is_under(name.as_str()))
        {
            return failure.hint(format!("it is a folder: vault ls {name}"));
        }
        match closest(name.as_str(), names.iter().map(Name::as_str)) {
            Some(guess) => failure.hint(format!("did you mean \"{guess}\"?")),
            None => failure,
        }
    }
}

/// The most similar of many texts, if it is similar enough.
pub(super) fn closest<'t>(word: &str, texts: impl Iterator<Item = &'t str>) -> Option<&'t str> {
    let scored = texts.map(|text| {
        let last = text.rsplit('/').next().unwrap_or(text);
        (
            strsim::jaro_winkler(word, text).max(strsim::jaro_winkler(word, last)),
            text,
        )
    });
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= SIMILAR_ENOUGH).then_some(best.1)
}

fn looks_like_path(word: &str) -> bool {
    word.contains('/') || word.starts_with(['.', '~'])
}
