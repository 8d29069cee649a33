//! A hermetic world: an empty home, a cleared environment, the built program, and a search for the canary.
//!
//! Every secret of a test carries the marker [`CANARY`]. When a world ends, the marker is looked for where no secret may be: in
//! what the program said on stderr, in every file below the home (plain and in base64), and in every object of the
//! repository. A test that puts a secret into a file itself says so with [`World::allow`].

use std::ffi::OsStr;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::sync::Mutex;

use base64::Engine;
use tempfile::TempDir;

/// What every secret of a test contains, and nothing else does.
pub(crate) const CANARY: &str = "CANARY-yQ7vZ3kp";
/// The built program.
pub(crate) const VAULT: &str = env!("CARGO_BIN_EXE_vault");

/// A secret that is told from others by a word.
pub(crate) fn secret(word: &str) -> String {
    format!("{CANARY}-{word}")
}

/// The path of a program that a test needs; without it the test fails.
#[track_caller]
pub(crate) fn tool(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("this test needs the program {name}: install it and run again"))
}

/// Copies a program. By another process: where this one has a file open for writing, a child that another test starts at that moment
/// keeps it open for a while, and meanwhile nothing can run it.
#[track_caller]
pub(crate) fn install(from: &Path, to: &Path) {
    let status = Command::new("install")
        .args(["-m", "755"])
        .args([from, to])
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "{}",
        to.display()
    );
}

/// One home of its own. Dropped, it is searched for the canary and removed.
pub(crate) struct World {
    root: TempDir,
    vars: Vec<(OsString, OsString)>,
    allowed: Mutex<Vec<PathBuf>>,
    heard: Mutex<Vec<(String, Vec<u8>)>>,
}

impl World {
    /// A home with nothing in it but git's idea of who one is.
    pub(crate) fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// The same in memory where the system has a place for that: where a test writes as often as a disk is slow.
    pub(crate) fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() {
            Self::below(memory)
        } else {
            Self::new()
        }
    }

    fn below(folder: &Path) -> Self {
        let root = tempfile::Builder::new()
            .prefix("vault-it-")
            .tempdir_in(folder);
        let root = root.expect("a temporary folder");
        let home = root.path().join("home");
        for folder in ["home", "home/tmp", "home/bin"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
        }
        let identity = "[user]\n\tname = Octo Cat\n\temail = octo@example.org\n";
        std::fs::write(home.join(".gitconfig"), identity).unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let vars: [(&str, OsString); 6] = [
            ("PATH", path),
            ("HOME", home.clone().into()),
            ("TMPDIR", home.join("tmp").into()),
            ("LANG", "C.UTF-8".into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            // Tests of the agent switch it on: no other one leaves a process behind.
            ("AGEVAULT_AGENT", "off".into()),
        ];
        Self {
            root,
            vars: vars.map(|(key, value)| (key.into(), value)).into(),
            allowed: Mutex::default(),
            heard: Mutex::default(),
        }
    }

    /// A home with a store in a git repository, unlocked by a plain identity.
    pub(crate) fn with_store() -> Self {
        Self::new().founded(&[])
    }

    /// The same without a repository.
    pub(crate) fn with_plain_store() -> Self {
        Self::new().founded(&["--no-git"])
    }

    /// In memory, with a store in a git repository, unlocked by a plain identity.
    pub(crate) fn with_store_in_memory() -> Self {
        Self::in_memory().founded(&[])
    }

    fn founded(self, flags: &[&str]) -> Self {
        let init = [
            "init",
            "--no-passphrase",
            "--no-recovery",
            "--member",
            "laptop",
        ];
        self.vault(&[&init, flags].concat()).run().ok();
        self
    }

    /// The home.
    pub(crate) fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// The usual store.
    pub(crate) fn store(&self) -> PathBuf {
        self.home().join(".local/share/agevault/store")
    }

    /// The file of an entry of the usual store.
    pub(crate) fn entry(&self, name: &str) -> PathBuf {
        self.store().join(format!("{name}.age"))
    }

    /// The folder of all local state.
    pub(crate) fn state(&self) -> PathBuf {
        self.home().join(".local/state/agevault")
    }

    /// The usual identity file.
    pub(crate) fn identity(&self) -> PathBuf {
        self.home().join(".config/agevault/identities")
    }

    /// Sets a variable for every later run.
    pub(crate) fn set(&mut self, key: impl Into<OsString>, value: impl Into<OsString>) {
        let key = key.into();
        self.vars.retain(|(old, _)| *old != key);
        self.vars.push((key, value.into()));
    }

    /// A file or folder that a test itself has put a secret into, and that is not searched.
    pub(crate) fn allow(&self, path: impl Into<PathBuf>) {
        self.allowed.lock().unwrap().push(path.into());
    }

    /// Writes a file below the home.
    pub(crate) fn write(&self, path: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Writes an executable script below the home.
    pub(crate) fn script(&self, path: &str, text: &str) -> PathBuf {
        let text = self.write(&format!("{path}.text"), format!("#!/bin/sh\n{text}\n"));
        let path = text.with_file_name(Path::new(path).file_name().unwrap());
        install(&text, &path);
        std::fs::remove_file(text).unwrap();
        path
    }

    /// A run of `vault`.
    pub(crate) fn vault<S: AsRef<OsStr>>(&self, args: &[S]) -> Run<'_> {
        self.program(VAULT, args)
    }

    /// A run of another program in this world.
    pub(crate) fn program<S: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        args: &[S],
    ) -> Run<'_> {
        let mut command = Command::new(program);
        command.args(args);
        command.env_clear().envs(self.vars.iter().cloned());
        command.current_dir(self.home());
        Run {
            world: self,
            command,
            stdin: Vec::new(),
            is_secret: false,
        }
    }

    /// The variables of this world, for a program that a test starts itself.
    pub(crate) fn vars(&self) -> &[(OsString, OsString)] {
        &self.vars
    }

    /// git in the usual store; its stdout.
    #[track_caller]
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let run = self.program(tool("git"), args).cwd(&self.store()).run();
        run.ok().text()
    }

    /// Adds or replaces an entry.
    #[track_caller]
    pub(crate) fn add(&self, name: &str, secret: impl AsRef<[u8]>) {
        self.add_with(name, secret, &[]);
    }

    /// The same with flags.
    #[track_caller]
    pub(crate) fn add_with(&self, name: &str, secret: impl AsRef<[u8]>, flags: &[&str]) {
        let args = [&["add", "-f", name], flags].concat();
        self.vault(&args).stdin(secret).run().ok();
    }

    /// The secret of an entry; none if there is no such entry.
    #[track_caller]
    pub(crate) fn get(&self, name: &str) -> Option<Vec<u8>> {
        let output = self.vault(&["get", name]).run();
        match output.code {
            0 => Some(output.stdout),
            3 => None,
            _ => panic!("vault get {name}: {output:?}"),
        }
    }

    /// The names of the entries.
    #[track_caller]
    pub(crate) fn names(&self) -> Vec<String> {
        let listed = self.vault(&["ls", "--flat"]).run().ok().text();
        listed.lines().map(str::to_owned).collect()
    }

    /// Looks for the canary everywhere; panics where it is.
    pub(crate) fn check_canary(&self) {
        let needles = needles();
        for (what, text) in &*self.heard.lock().unwrap() {
            assert!(
                !has_any(text, &needles),
                "{what}: a secret on stderr: {}",
                String::from_utf8_lossy(text)
            );
        }
        self.search(self.root.path(), &needles);
        for git in self.repositories() {
            let objects = ["cat-file", "--batch-all-objects", "--batch", "--unordered"];
            let mut list = Command::new(tool("git"));
            list.arg("-C").arg(&git).args(objects).env_clear();
            let output = list
                .env("PATH", std::env::var_os("PATH").unwrap_or_default())
                .output()
                .unwrap();
            assert!(
                !has_any(&output.stdout, &needles),
                "a secret in an object of {}",
                git.display()
            );
        }
    }

    fn repositories(&self) -> Vec<PathBuf> {
        let store = self.store();
        if store.join(".git/HEAD").exists() {
            vec![store]
        } else {
            Vec::new()
        }
    }

    fn search(&self, folder: &Path, needles: &[Vec<u8>]) {
        for item in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = item.path();
            if self
                .allowed
                .lock()
                .unwrap()
                .iter()
                .any(|allowed| path.starts_with(allowed))
            {
                continue;
            }
            let kind = item.file_type().unwrap();
            if kind.is_dir() {
                self.search(&path, needles);
            } else if kind.is_file() {
                let bytes = std::fs::read(&path).unwrap_or_default();
                assert!(!has_any(&bytes, needles), "a secret in {}", path.display());
            }
            let name = item.file_name();
            assert!(
                !has_any(name.as_encoded_bytes(), needles),
                "a secret in a name: {}",
                path.display()
            );
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.state().join("run/agent.sock").exists() {
            let _ = self.vault(&["lock"]).run();
        }
        if !std::thread::panicking() {
            self.check_canary();
        }
    }
}

/// The canary as it is, and as base64 shows it at each of three offsets.
fn needles() -> Vec<Vec<u8>> {
    let mut needles = vec![CANARY.as_bytes().to_vec()];
    for offset in 0..3 {
        let padded = [&vec![0; offset], CANARY.as_bytes()].concat();
        let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(padded);
        // The characters at the edges depend on what stands beside the canary.
        let inner = &text.as_bytes()[if offset == 0 { 0 } else { offset + 1 }..text.len() - 2];
        needles.push(inner.to_vec());
    }
    needles
}

/// Whether any of the needles is in the bytes.
pub(crate) fn has_any(bytes: &[u8], needles: &[Vec<u8>]) -> bool {
    needles.iter().any(|needle| contains(bytes, needle))
}

/// Whether one sequence of bytes is in another.
pub(crate) fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else {
        return true;
    };
    let starts = bytes.iter().enumerate().filter(|(_, byte)| *byte == first);
    let mut starts = starts.map(|(at, _)| at);
    starts.any(|at| bytes[at + 1..].starts_with(rest))
}

/// A run of a program, being prepared.
#[must_use = "a run that is not run does nothing"]
pub(crate) struct Run<'w> {
    world: &'w World,
    command: Command,
    stdin: Vec<u8>,
    is_secret: bool,
}

impl Run<'_> {
    /// What the program reads.
    pub(crate) fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = bytes.as_ref().to_vec();
        self
    }

    /// A variable for this run.
    pub(crate) fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// The working directory, below the home.
    pub(crate) fn cwd(mut self, path: &Path) -> Self {
        self.command.current_dir(path);
        self
    }

    /// This run's stderr may hold a secret: it is another program's.
    pub(crate) fn secret_stderr(mut self) -> Self {
        self.is_secret = true;
        self
    }

    /// Runs it to its end.
    #[must_use = "look at what came out"]
    pub(crate) fn run(mut self) -> Output {
        let streams = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = streams
            .spawn()
            .unwrap_or_else(|error| panic!("{:?}: {error}", self.command));
        let mut keyboard = child.stdin.take().unwrap();
        let stdin = std::mem::take(&mut self.stdin);
        let typing = std::thread::spawn(move || {
            // A program that does not read all of it is free to do so.
            let _ = keyboard.write_all(&stdin);
        });
        let output = child.wait_with_output().unwrap();
        typing.join().unwrap();
        let what = format!("{:?}", self.command.get_args().collect::<Vec<_>>());
        if !self.is_secret {
            self.world
                .heard
                .lock()
                .unwrap()
                .push((what.clone(), output.stderr.clone()));
        }
        let code = output.status.code();
        let code = code
            .or(output.status.signal().map(|signal| 128 + signal))
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Output {
            what,
            code,
            stdout: output.stdout,
            stderr,
        }
    }
}

/// What a program has printed, and its exit code (128 and the signal's number if one killed it).
#[derive(Debug)]
pub(crate) struct Output {
    what: String,
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Output {
    /// It must have ended well.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.fails_with(0)
    }

    /// It must have ended with this code.
    #[track_caller]
    pub(crate) fn fails_with(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            code,
            "{}: {}{}",
            self.what,
            String::from_utf8_lossy(&self.stdout),
            self.stderr
        );
        self
    }

    /// stderr must contain this.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "{}: no {text:?} in: {}",
            self.what,
            self.stderr
        );
        self
    }

    /// stdout as text.
    #[track_caller]
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }
}

mod tests {
    use super::*;

    #[test]
    fn the_canary_is_found_in_every_disguise() {
        let needles = needles();
        for padding in ["", "a", "ab", "abc"] {
            let text = format!("{padding}{CANARY} and more");
            assert!(has_any(text.as_bytes(), &needles));
            let hidden = base64::engine::general_purpose::STANDARD.encode(&text);
            assert!(has_any(hidden.as_bytes(), &needles), "{padding:?}");
        }
        assert!(!has_any(b"CANARY-", &needles));
    }

    #[test]
    fn a_leak_is_noticed() {
        let world = World::new();
        let leak = world.write("leak", secret("x"));
        let search = || world.check_canary();
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(search)).is_err());
        world.allow(leak);
        world.check_canary();
    }

    #[test]
    fn an_entry_goes_in_and_out() {
        let world = World::with_store();
        world.add("a/b", secret("one"));
        assert_eq!(world.get("a/b"), Some(secret("one").into_bytes()));
        assert_eq!(world.get("a/c"), None);
        assert_eq!(world.names(), ["a/b"]);
        assert_eq!(world.git(&["status", "--porcelain"]), "");
    }
}
