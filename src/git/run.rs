//! The real git, started tamed.
//!
//! Lives here: the only place that starts git: no hooks, filters, links, foreign protocols, and none of the caller's `GIT_*`
//! variables. Never here: a shell; anything on the way of an ordinary change but the author's name, asked for early and read
//! late.
#![allow(
    clippy::disallowed_methods,
    reason = "git starts here and nowhere else"
)]

use std::ffi::OsStr;
use std::ffi::OsString;
use std::io::BufReader;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;

use rustix::fs::Mode;
use rustix::process::Resource;
use rustix::process::Rlimit;

use crate::git::Error;
use crate::git::Ident;
use crate::sys::unlocks;

/// Settings for every start; they win over every file.
const TAMED: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.symlinks=false",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "push.recurseSubmodules=no",
    "log.showSignature=false",
    // Where ".git" is broken, the store's own folder is not taken for a repository: its settings are nobody's.
    "safe.bareRepository=explicit",
];

/// The most that is read of git's configuration, in bytes.
const CONFIG_MAX_BYTES: u64 = 64 * 1024;

/// The most bytes of one file that git may write while it talks to a remote.
const FILE_MAX_BYTES: u64 = 16 << 30;
/// The most that is kept of a line, and of how many lines, of what git says.
const LINE_MAX_BYTES: usize = 1000;
const SAID_MAX_LINES: usize = 12;

/// How git is started in one store.
#[derive(Clone, Debug)]
pub struct Git {
    store: PathBuf,
    vars: Vec<(OsString, OsString)>,
    interactive: bool,
}

impl Git {
    /// For the store at a path, with the caller's environment.
    pub fn new(store: &Path, vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self {
            store: store.to_owned(),
            vars: vars.into_iter().collect(),
            interactive: false,
        }
    }

    /// The same git in another folder.
    #[must_use]
    pub fn at(&self, folder: &Path) -> Self {
        Self {
            store: folder.to_owned(),
            ..self.clone()
        }
    }

    /// Whether git may ask on the terminal; without, it fails instead.
    #[must_use]
    pub const fn interactive(mut self, interactive: bool) -> Self {
        self.interactive = interactive;
        self
    }

    /// The store's folder.
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// A git command in the store, with nothing of the caller's but harmless variables.
    fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new("git");
        command.env_clear();
        for (name, value) in &self.vars {
            let kept = name == "GIT_TERMINAL_PROMPT" && self.interactive;
            let git = name.as_encoded_bytes().starts_with(b"GIT_");
            if kept || !git && !unlocks(name) {
                command.env(name, value);
            }
        }
        if !self.interactive {
            command.env("GIT_TERMINAL_PROMPT", "0");
        }
        // A folder above the store is never taken for its repository.
        if let Some(above) = self.store.parent() {
            command.env("GIT_CEILING_DIRECTORIES", above);
        }
        command
            .current_dir(&self.store)
            .args(["--no-replace-objects", "--literal-pathspecs"]);
        for setting in TAMED {
            command.args(["-c", setting]);
        }
        command.args(args);
        command
    }

    /// Runs git with the caller's own streams, for a person; gives its exit code, 128+n for a signal.
    pub fn passthrough(&self, args: &[OsString]) -> Result<i32, Error> {
        // What git writes into the store is for this user alone, as what vault writes.
        let umask = rustix::process::umask(Mode::RWXG | Mode::RWXO);
        let status = self.command(args).status();
        rustix::process::umask(umask);
        Ok(code(status.map_err(Error::Start)?))
    }

    /// Runs git without input and gives what it prints, in English.
    pub fn output(&self, args: &[&str]) -> Result<Vec<u8>, Error> {
        Self::finish(self.command(args), args)
    }

    fn finish(mut command: Command, args: &[&str]) -> Result<Vec<u8>, Error> {
        let output = command.env("LC_ALL", "C").stdin(Stdio::null()).output();
        let output = output.map_err(Error::Start)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr)
            .trim()
            .replace('\n', "; ");
        let command = args.first().copied().unwrap_or_default().to_owned();
        Err(Error::Git { command, said })
    }

    /// Runs git while it talks to a remote, in English; each line of what it says, those of its progress too, goes to
    /// `heard`. It cannot fill the disk without end.
    pub(super) fn talk(
        &self,
        args: &[&str],
        heard: &mut dyn FnMut(&str),
    ) -> Result<Vec<u8>, Error> {
        let mut command = self.command(args);
        command.env("LC_ALL", "C").stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let umask = rustix::process::umask(Mode::RWXG | Mode::RWXO);
        let limit = rustix::process::getrlimit(Resource::Fsize);
        let lower = Rlimit {
            current: Some(limit.current.unwrap_or(FILE_MAX_BYTES).min(FILE_MAX_BYTES)),
            ..limit
        };
        // Where the limit cannot be set, git is as it is everywhere else.
        let _ = rustix::process::setrlimit(Resource::Fsize, lower);
        let child = command.spawn();
        let _ = rustix::process::setrlimit(Resource::Fsize, limit);
        rustix::process::umask(umask);
        let mut child = child.map_err(Error::Start)?;
        let said = listen(&mut child, heard);
        let mut answer = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            let _ = stdout.take(CONFIG_MAX_BYTES).read_to_end(&mut answer);
        }
        if child.wait().map_err(Error::Start)?.success() {
            return Ok(answer);
        }
        let is_command = |word: &&&str| !word.starts_with('-') && !word.contains(['.', '=']);
        let command = args.iter().find(is_command).copied().unwrap_or_default();
        Err(Error::Git {
            command: command.to_owned(),
            said: said.join("; "),
        })
    }

    /// Makes a repository: branch `main`, no template (so no hooks), modes not kept, whatever the user's defaults are.
    pub(super) fn init(&self) -> Result<(), Error> {
        let args = ["init", "--quiet", "--template=", "--initial-branch=main"];
        let mut command = self.command(args);
        command
            .env("GIT_DEFAULT_HASH", "sha1")
            .env("GIT_DEFAULT_REF_FORMAT", "files");
        Self::finish(command, &args)?;
        self.output(&["config", "core.fileMode", "false"]).map(drop)
    }

    /// Starts asking for the author's name and address, by the user's global and the system's configuration; the repository's
    /// own is left aside. Start it early and read it late: it runs meanwhile.
    pub fn author(&self) -> Author {
        let args = ["config", "--null", "--show-scope", "--get-regexp"];
        let mut command = self.command(args);
        command
            .arg("^(user|author)\\.(name|email)$")
            .env("LC_ALL", "C");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        Author(command.spawn().ok())
    }
}

/// Hands on what git says, to its end; the last lines of it that are no progress.
fn listen(child: &mut Child, heard: &mut dyn FnMut(&str)) -> Vec<String> {
    let mut said = Vec::new();
    let Some(stderr) = child.stderr.take() else {
        return said;
    };
    let mut line = Vec::new();
    let mut take = |line: &mut Vec<u8>, is_whole: bool| {
        let text = String::from_utf8_lossy(line).trim().to_owned();
        line.clear();
        if text.is_empty() {
            return;
        }
        heard(&text);
        if is_whole && !is_progress(&text) {
            said.push(text);
            if said.len() > SAID_MAX_LINES {
                said.remove(0);
            }
        }
    };
    // ssh ends its lines with both.
    let mut has_returned = false;
    for byte in BufReader::new(stderr).bytes().map_while(Result::ok) {
        if has_returned && byte != b'\n' {
            take(&mut line, false);
        }
        has_returned = byte == b'\r';
        match byte {
            b'\n' => take(&mut line, true),
            b'\r' => {}
            other if line.len() < LINE_MAX_BYTES => line.push(other),
            _ => {}
        }
    }
    take(&mut line, true);
    said
}

/// Whether a line tells how far git is, and nothing of why it failed.
fn is_progress(line: &str) -> bool {
    let begins = |word| line.starts_with(word);
    line.contains("% (")
        || line.ends_with(", done.")
        || ["Delta compression ", "Total ", "To "]
            .into_iter()
            .any(begins)
}

/// An exit code as a shell has it.
fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1)
}

/// The author's name, being asked for.
pub struct Author(Option<Child>);

impl Author {
    /// Whoever it is, at an instant; times are in UTC.
    pub fn at(self, now: jiff::Timestamp) -> Ident {
        let (name, email) = self.read();
        Ident::new(&name, &email, now.as_second(), 0)
    }

    /// Waits for name and address. Where git does not know them or is not there, they are empty, which `Ident::new` replaces.
    pub fn read(mut self) -> (String, String) {
        let mut bytes = Vec::new();
        if let Some(stdout) = self.0.as_mut().and_then(|child| child.stdout.take()) {
            let read = stdout.take(CONFIG_MAX_BYTES).read_to_end(&mut bytes);
            bytes.truncate(read.unwrap_or(0));
        }
        parse_author(&String::from_utf8_lossy(&bytes))
    }
}

impl Drop for Author {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // Without this it would stay as a zombie; it has nothing to lose.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// From `SCOPE NUL KEY LF VALUE NUL`…; the last value counts, and `author` before `user`.
fn parse_author(text: &str) -> (String, String) {
    let fields: Vec<&str> = text.split('\0').collect();
    let value = |wanted: [&str; 2]| {
        let find = |wanted: &str| {
            fields.chunks_exact(2).rev().find_map(|pair| match pair {
                ["local" | "worktree", _] => None,
                [_, setting] => setting.strip_prefix(wanted)?.strip_prefix('\n'),
                _ => None,
            })
        };
        wanted
            .into_iter()
            .find_map(find)
            .unwrap_or_default()
            .to_owned()
    };
    (
        value(["author.name", "user.name"]),
        value(["author.email", "user.email"]),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::git::testing::World;

    use super::*;

    #[test]
    fn the_author_is_the_users_and_not_the_repositorys() {
        let world = World::new();
        assert_eq!(world.git.author().read(), (String::new(), String::new()));
        let global = "[user]\n name = Octo Cat\n email = o@c\n[author]\n email = author@c\n";
        fs::write(world.home().join(".gitconfig"), global).unwrap();
        world.run(&["config", "user.name", "Somebody Else"]);
        let found = world.git.author().read();
        assert_eq!(found, ("Octo Cat".to_owned(), "author@c".to_owned()));
        drop(world.git.author());
    }

    #[test]
    fn no_variable_of_git_and_no_key_reaches_git() {
        let world = World::new();
        let odd = [
            "GIT_DIR",
            "GIT_SSH_COMMAND",
            "GIT_TERMINAL_PROMPT",
            "AGEVAULT_KEY",
            "LANG",
        ];
        let vars = odd
            .iter()
            .map(|name| (OsString::from(name), OsString::from("/x")));
        let git = Git::new(world.store(), vars);
        let names = |git: &Git| {
            let command = git.command(["x"]);
            let envs = command
                .get_envs()
                .filter(|(_, value)| *value == Some(OsStr::new("/x")));
            envs.map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&git), ["LANG"]);
        assert_eq!(
            names(&git.interactive(true)),
            ["GIT_TERMINAL_PROMPT", "LANG"]
        );
    }

    #[test]
    fn failure_is_told_with_what_git_said() {
        let world = World::new();
        let error = world.git.output(&["cat-file", "-t", "absent"]).unwrap_err();
        assert!(error.to_string().contains("absent"), "{error}");
        let nowhere = Git::new(&world.home().join("absent"), []);
        assert!(matches!(nowhere.output(&["status"]), Err(Error::Start(_))));
        assert_eq!(
            world
                .git
                .passthrough(&["rev-parse".into(), "-q".into()])
                .unwrap(),
            0
        );
    }
}
