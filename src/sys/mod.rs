//! The machine: the only place that touches files, variables, the clock, the terminal and processes.
//!
//! Lives here: `Env`, what the program was given when it started, and one file for each thing the machine offers.
//! Never here: anything that knows what an entry is. Every layer may use it.

pub mod clock;
pub mod fs;
pub mod handed;
pub mod mem;
pub mod path;
pub mod process;
mod pty;
pub mod ram;
pub mod signal;
#[cfg(target_os = "linux")]
pub mod socket;
pub mod supervise;
pub mod tty;

use std::ffi::OsStr;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::Path;
use std::path::PathBuf;

use jiff::Timestamp;

/// The variable that says that nobody may be asked.
pub const NON_INTERACTIVE: &str = "AGEVAULT_NON_INTERACTIVE";

/// The variables that unlock a store: no other program gets them.
pub const UNLOCKING: [&str; 2] = ["AGEVAULT_KEY", "AGEVAULT_PASSPHRASE_CMD"];

/// Whether a variable unlocks a store.
pub fn unlocks(variable: &OsStr) -> bool {
    UNLOCKING.iter().any(|name| variable == *name)
}

/// What the program was given when it started. Read once, in `main`; everything below takes it as a value.
#[derive(Clone)]
pub struct Env {
    /// The environment variables, in the order in which they were given.
    pub vars: Vec<(OsString, OsString)>,
    /// The working directory.
    pub cwd: PathBuf,
    /// The time at which the program started; one run has one time.
    pub now: Timestamp,
    /// Which of the three streams is a terminal.
    pub terminal: Streams,
    /// The user's directories.
    pub places: Places,
}

/// Whether each standard stream is a terminal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Streams {
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

/// The folders in which `agevault` keeps its things, by XDG or the system's custom.
#[derive(Clone, Debug)]
pub struct Places {
    /// Configuration and identities.
    pub config: PathBuf,
    /// The default store's parent.
    pub data: PathBuf,
    /// Pins, revisions, index.
    pub state: PathBuf,
    /// Sockets and files in RAM; not every machine has one.
    pub runtime: Option<PathBuf>,
    /// The home directory, where there is one.
    pub home: Option<PathBuf>,
}

impl Env {
    /// The real environment of this process.
    #[allow(clippy::disallowed_methods, reason = "the one place that reads them")]
    pub fn of_process() -> Self {
        Self {
            vars: std::env::vars_os().collect(),
            cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            now: clock::now(),
            terminal: Streams {
                stdin: std::io::stdin().is_terminal(),
                stdout: std::io::stdout().is_terminal(),
                stderr: std::io::stderr().is_terminal(),
            },
            places: Places::of_user(),
        }
    }

    /// A variable that is set and not empty.
    pub fn var_os(&self, name: &str) -> Option<&OsStr> {
        let set = self.vars.iter().find(|(key, _)| key == name)?;
        Some(set.1.as_os_str()).filter(|value| !value.is_empty())
    }

    /// The same as text; a value that is not UTF-8 counts as unset.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.var_os(name)?.to_str()
    }

    /// A path as the user typed it, made absolute; a leading `~/` is the home directory.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        match (path.strip_prefix("~"), &self.places.home) {
            (Ok(rest), Some(home)) => home.join(rest),
            // Rejoined from its parts: "./store" is shown as people would write it.
            _ => self.cwd.join(path).components().collect(),
        }
    }

    /// Whether nobody may be asked in any way: `AGEVAULT_NON_INTERACTIVE` is set.
    pub fn must_not_ask(&self) -> bool {
        self.var_os(NON_INTERACTIVE).is_some()
    }

    /// Whether nobody may be asked: `AGEVAULT_NON_INTERACTIVE` is set, or there is no terminal to ask on.
    pub fn is_unattended(&self) -> bool {
        self.must_not_ask()
            || !(self.terminal.stdin || self.terminal.stderr || self.terminal.stdout)
    }
}

impl Places {
    /// The user's directories, each with the folder `agevault` in it.
    fn of_user() -> Self {
        let home = dirs::home_dir();
        let base = |found: Option<PathBuf>, fallback: &str| {
            let parent = found.or_else(|| home.as_ref().map(|home| home.join(fallback)));
            parent
                .unwrap_or_else(|| PathBuf::from("/"))
                .join("agevault")
        };
        Self {
            config: base(dirs::config_dir(), ".config"),
            data: base(dirs::data_dir(), ".local/share"),
            state: base(dirs::state_dir(), ".local/state"),
            runtime: dirs::runtime_dir().map(|dir| dir.join("agevault")),
            home,
        }
    }
}
