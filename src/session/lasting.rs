//! Keys that last longer than this process: the agent where there is one, and nothing on systems without.

use std::io;
use std::time::Duration;

use crate::config::Config;
use crate::crypto::Prompt;
use crate::session::Opened;
use crate::session::protocol::Status;
use crate::store::Store;
use crate::store::keeper::Keeper;
use crate::sys::Env;

#[cfg(target_os = "linux")]
use crate::session::client;
#[cfg(target_os = "linux")]
use crate::session::client::Found;
#[cfg(target_os = "linux")]
use crate::session::protocol::Hold;
#[cfg(target_os = "linux")]
use crate::sys::tty;

/// Minutes without use after which keys are forgotten, unless the configuration says otherwise.
const IDLE_MINUTES: u64 = 15;
/// Hours after which they are forgotten in any case, unless the configuration says otherwise.
const MOST_HOURS: u64 = 8;

/// For how long keys are held, and who is asked for consent.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Without being used.
    pub idle: Duration,
    /// In any case.
    pub most: Duration,
    /// The pinentry, if there is one.
    pub pinentry: Option<String>,
}

impl Terms {
    /// As the configuration says.
    pub fn of(config: &Config) -> Self {
        let minutes = config.unlock_idle_minutes.unwrap_or(IDLE_MINUTES);
        let hours = config.unlock_max_hours.unwrap_or(MOST_HOURS);
        Self {
            idle: Duration::from_secs(minutes * 60),
            most: Duration::from_secs(hours * 3600),
            pinentry: config.pinentry.clone(),
        }
    }
}

/// The seconds that are left to keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Without being used.
    pub idle: u64,
    /// In any case.
    pub most: u64,
}

/// How long the agent still holds this store's keys, if it does.
pub fn left(env: &Env, store: &Store) -> Option<Left> {
    left_of(&status(env)?, store)
}

/// The same of what the agent has told.
pub fn left_of(status: &Status, store: &Store) -> Option<Left> {
    let key = store.epoch.key();
    let one = status.stores.iter().find(|one| one.store == key)?;
    let (idle, most) = (one.idle, one.most);
    Some(Left { idle, most })
}

/// The agent, if it holds this store's keys.
#[cfg(target_os = "linux")]
pub(super) fn find(
    env: &Env,
    store: &Store,
    purpose: &'static str,
    prompt: &dyn Prompt,
) -> Option<Box<dyn Keeper>> {
    if !client::is_wanted(env) {
        return None;
    }
    match client::find(env, &store.epoch.key(), purpose) {
        Found::Held(agent) => Some(agent),
        Found::NoAgent | Found::NotHeld => None,
        Found::OtherVersion => {
            prompt.message("an agent of another version is running: end it with vault lock");
            None
        }
    }
}

/// Hands keys to the agent; whether they are locked into memory there. An error is a clause.
#[cfg(target_os = "linux")]
pub fn hold(env: &Env, store: &Store, opened: &Opened, terms: &Terms) -> Result<bool, String> {
    let (format, key) = (store.epoch.to_text(), &opened.keys);
    let path = store.path().to_string_lossy();
    let Some(uses) = store.state.path().to_str() else {
        return Err("the path of the local state is not UTF-8".to_owned());
    };
    let Some(plain) = &opened.plain else {
        return Err("the key file was not kept".to_owned());
    };
    let terminal = tty::name().filter(|_| !env.must_not_ask());
    let terminal = terminal.and_then(|path| path.into_os_string().into_string().ok());
    let hold = Hold {
        format: format.as_bytes(),
        member: &key.member,
        path: &path,
        uses,
        idle: terms.idle.as_secs(),
        most: terms.most.as_secs(),
        unused: 0,
        passed: 0,
        pinentry: terms.pinentry.as_deref().unwrap_or_default(),
        terminal: terminal.as_deref().unwrap_or_default(),
        keys: plain.expose(),
    };
    client::hold(env, hold).map_err(|error| error.to_string())
}

/// What the agent holds; none if there is no agent.
#[cfg(target_os = "linux")]
pub fn status(env: &Env) -> Option<Status> {
    client::status(env)
}

/// Makes the agent forget everything and end; whether there was one.
#[cfg(target_os = "linux")]
pub fn lock(env: &Env) -> io::Result<bool> {
    client::lock(env)
}

/// Whether there may be an agent.
#[cfg(target_os = "linux")]
pub fn is_possible(env: &Env) -> bool {
    client::is_wanted(env)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn find(
    _env: &Env,
    _store: &Store,
    _purpose: &'static str,
    _prompt: &dyn Prompt,
) -> Option<Box<dyn Keeper>> {
    None
}

/// Hands keys to the agent: there is none on this system.
#[cfg(not(target_os = "linux"))]
pub fn hold(_env: &Env, _store: &Store, _opened: &Opened, _terms: &Terms) -> Result<bool, String> {
    Err("there is no agent on this system".to_owned())
}

/// What the agent holds: there is none on this system.
#[cfg(not(target_os = "linux"))]
pub fn status(_env: &Env) -> Option<Status> {
    None
}

/// Makes the agent end: there is none on this system.
#[cfg(not(target_os = "linux"))]
pub fn lock(_env: &Env) -> io::Result<bool> {
    Ok(false)
}

/// Whether there may be an agent.
#[cfg(not(target_os = "linux"))]
pub fn is_possible(_env: &Env) -> bool {
    false
}
