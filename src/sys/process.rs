//! Other programs: replaced by one, waiting for one, leaving one behind.
//!
//! Lives here: every start of a program but git's. Never here: which secret goes where, or an exit code. `exec`, `edit`,
//! the clipboard and unlocking call it.
//!
//! Nothing is inherited that is not handed over: the environment is always given whole. Arguments are never secrets;
//! a secret travels in an environment made for one program, or on a pipe.

#![allow(clippy::disallowed_methods, reason = "the home of starting programs")]

use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::os::fd::OwnedFd;
#[cfg(target_os = "linux")]
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::process::Pid;

use crate::secret::Secret;
use crate::sys::UNLOCKING;
use crate::sys::fs;
use crate::sys::mem;
use crate::sys::mem::OriginalLimits;
use crate::sys::signal::Held;
use crate::sys::supervise::Role;

/// An environment variable handed to a program. Borrowed, so that a value that is a secret is not copied here.
pub type Variable<'a> = (&'a OsStr, &'a OsStr);

/// Most bytes taken from a program that prints a passphrase.
const CAPTURE_MAX_BYTES: u64 = 64 * 1024;

/// Most bytes of the one line with which a detached helper answers.
const ANSWER_MAX_BYTES: u64 = 1024;

/// Most bytes of a line of a program that is talked with.
const HEARD_MAX_BYTES: usize = 16 * 1024;

/// Most bytes of what the system tells of a process.
const STAT_MAX_BYTES: usize = 1024;

/// How long a detached helper may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// The age crate's switch that prints its talk with a plugin, keys included.
const AGE_DEBUG: &str = "AGEDEBUG";

/// Does everything, with the variables that a library must not hand to the programs that it starts taken out of this process's
/// environment: what unlocks, and what prints keys. To be called from `main`, before there
/// is a second thread, and after the variables have been read.
pub fn withholding<T>(all: impl FnOnce() -> T) -> T {
    let [key, command] = UNLOCKING;
    temp_env::with_vars_unset([key, command, AGE_DEBUG], all)
}

/// Becomes another program: same process, terminal and parent. Returns only if that failed.
///
/// The program is looked for as `execvp` does it, in the `PATH` of the variables handed over, or in the system's default
/// path if there is none among them. Its signals are as on a fresh start: none blocked, SIGPIPE by default. What this process
/// has opened is closed; what it has inherited is handed on, as any program does it (make's job server lives in such descriptors).
pub fn replace(
    program: &OsStr,
    args: &[&OsStr],
    variables: &[Variable<'_>],
    limits: &OriginalLimits,
) -> io::Error {
    replace_with_input(program, args, variables, limits, None)
}

/// The same with another standard input.
pub fn replace_with_input(
    program: &OsStr,
    args: &[&OsStr],
    variables: &[Variable<'_>],
    limits: &OriginalLimits,
    stdin: Option<File>,
) -> io::Error {
    if let Err(error) = limits.restore() {
        return error;
    }
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .envs(variables.iter().copied());
    if let Some(stdin) = stdin {
        command.stdin(stdin);
    }
    command.exec()
}

/// The hidden command by which this program is started once more for `supervise`.
pub const MEMBER_VERB: &str = "exec-member";

/// Starts this program once more, to become or to lead another: `words`. Streams that are not named are ours. Descriptors
/// that are not marked to be closed are inherited, as by any program that is started.
pub(in crate::sys) fn spawn_member(
    role: Role,
    words: &[&OsStr],
    variables: &[Variable<'_>],
    limits: &OriginalLimits,
    streams: [Option<File>; 3],
) -> io::Result<Pid> {
    let parent = std::process::id().to_string();
    let mut command = Command::new(own_path()?);
    command
        .arg0("vault")
        .args([MEMBER_VERB, role.word(), &parent, "--"])
        .args(words);
    command.env_clear().envs(variables.iter().copied());
    let [stdin, stdout, stderr] =
        streams.map(|stream| stream.map_or_else(Stdio::inherit, Stdio::from));
    command.stdin(stdin).stdout(stdout).stderr(stderr);
    if role == Role::Foreground {
        command.process_group(0);
    }
    limits.restore()?;
    let child = command.spawn();
    mem::harden()?;
    Ok(Pid::from_child(&child?))
}

/// The hidden command that wipes a folder in RAM once this process is gone.
pub const SWEEP_VERB: &str = "exec-sweep";

/// A helper that lives until this value is dropped, or this process is killed.
pub(in crate::sys) struct Witness(Child);

/// Starts this program once more, to do something with `path` once we are gone. In a process group of its own: what
/// is sent to ours does not reach it.
pub(in crate::sys) fn spawn_witness(verb: &str, path: &Path) -> io::Result<Witness> {
    let mut command = myself(&[OsStr::new(verb), path.as_os_str()], &[])?;
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .process_group(0);
    command.spawn().map(Witness)
}

impl Drop for Witness {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // Whoever collects every child may have collected it.
        let _ = self.0.wait();
    }
}

/// Ends this process by the signal by which its program ended, so that whoever waits sees the same; returns where it
/// cannot, as the first process of a container.
pub fn end_by(signal: i32) {
    if std::process::id() != 1 {
        // What is left is the exit code.
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    }
}

/// What a program prints, without one final line feed. For a passphrase that another program knows.
///
/// `line` is run by `/bin/sh`, as git runs `core.editor`: one rule for each variable that names a program,
/// and arguments and `~` work as people expect. Its standard input is empty, its talk goes to our standard error.
pub fn capture(line: &OsStr, variables: &[Variable<'_>]) -> io::Result<Secret> {
    let mut child = shell(line, variables)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let printed = match child.stdout.take() {
        Some(mut stdout) => fs::read_stream(&mut stdout, CAPTURE_MAX_BYTES),
        None => Err(io::ErrorKind::BrokenPipe.into()),
    };
    if printed.is_err() {
        // It may still be writing; nobody reads.
        child.kill()?;
    }
    let status = child.wait()?;
    let printed = printed?;
    if !status.success() {
        return Err(io::Error::other(format!("the program ended with {status}")));
    }
    // A copy of exactly the right size; the buffer with the line feed is wiped here.
    Ok(Secret::copy_of(printed.as_line()))
}

/// Opens a file in the user's editor, waits, and returns how it ended.
///
/// As git does it: `/bin/sh` runs the editor's words with the path as one more, so `code --wait` works. Signals are held
/// meanwhile: Ctrl-C belongs to the editor, and the caller has a file to wipe.
pub fn edit_file(
    editor: &OsStr,
    path: &Path,
    variables: &[Variable<'_>],
) -> io::Result<ExitStatus> {
    let mut line = editor.to_os_string();
    line.push(" \"$@\"");
    let held = Held::new()?;
    let status = shell(&line, variables).arg(editor).arg(path).status();
    held.forget();
    status
}

/// `/bin/sh -c LINE`; the caller adds `$0` and the arguments.
fn shell(line: &OsStr, variables: &[Variable<'_>]) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .arg("-c")
        .arg(line)
        .env_clear()
        .envs(variables.iter().copied());
    command
}

/// Starts this program once more, to stay behind when this process ends; hands it a secret on a pipe, and returns the line
/// with which it answers.
///
/// The helper's first action must be `detach`. It has no terminal, its folder is `/`, its environment only what is
/// handed over. An answer that takes more than five seconds is an error, and the helper is ended.
pub fn spawn_detached(
    args: &[&OsStr],
    variables: &[Variable<'_>],
    secret: &Secret,
) -> io::Result<String> {
    let mut child = myself(args, variables)?
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let answer = converse(&mut child, secret);
    if answer.is_err() {
        child.kill()?;
        child.wait()?;
    }
    answer
}

/// The same with no secret and no answer: the helper's standard output is the terminal, which it keeps although it
/// leaves the session, and loses when that session ends.
pub fn spawn_detached_on(
    terminal: File,
    args: &[&OsStr],
    variables: &[Variable<'_>],
) -> io::Result<()> {
    myself(args, variables)?
        .stdin(Stdio::null())
        .stdout(terminal)
        .spawn()?;
    Ok(())
}

/// Leaves the caller's session, so that neither its end nor its Ctrl-C reaches this process.
pub fn detach() -> io::Result<()> {
    rustix::process::setsid()?;
    Ok(())
}

/// Begins a life behind the scenes: a session of its own, no file readable by others, and none of the descriptors that a
/// careless parent may have left open.
#[cfg(target_os = "linux")]
pub fn become_daemon() -> io::Result<()> {
    detach()?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let open = std::fs::read_dir("/proc/self/fd")?;
    let numbers: Vec<i32> = open
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| *number > 2)
        .collect();
    for number in numbers {
        // One of them was the folder itself, closed by now.
        let _ = nix::unistd::close(number);
    }
    Ok(())
}

/// Becomes another image of this program, with these three streams: same process, fresh memory. Returns only if that failed.
#[cfg(target_os = "linux")]
pub fn renew(
    args: &[&OsStr],
    variables: &[(OsString, OsString)],
    [first, second, third]: [OwnedFd; 3],
) -> io::Error {
    // By this name it is found even if another version was installed meanwhile.
    Command::new("/proc/self/exe")
        .args(args)
        .env_clear()
        .envs(variables.iter().cloned())
        .stdin(first)
        .stdout(second)
        .stderr(third)
        .exec()
}

/// Takes the three streams over, as descriptors of their own, and lets go of them.
#[cfg(target_os = "linux")]
pub fn take_streams() -> io::Result<[OwnedFd; 3]> {
    let taken = [
        rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?,
        rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?,
        rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3)?,
    ];
    close_streams()?;
    Ok(taken)
}

/// Lets go of the three streams: whoever waits for their end waits no longer.
pub fn close_streams() -> io::Result<()> {
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    rustix::stdio::dup2_stderr(&nothing)?;
    Ok(())
}

/// How a program that was run to its end did.
pub struct Ended {
    /// What it printed on its two streams, in the order in which it did.
    pub printed: String,
    /// Its exit code; 128+n for a signal.
    pub code: i32,
}

/// Runs this program once more to its end, in a folder, with some bytes as its input.
pub fn run_myself(
    args: &[&OsStr],
    variables: &[Variable<'_>],
    folder: &Path,
    input: &[u8],
) -> io::Result<Ended> {
    use std::os::unix::process::ExitStatusExt;
    let (mut reader, writer) = io::pipe()?;
    let mut command = myself(args, variables)?;
    command.current_dir(folder).stdin(Stdio::piped());
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // It holds the writing ends; the end is seen once only the child has them.
    drop(command);
    if let Some(mut stdin) = child.stdin.take() {
        // A child that does not read its input says why in what it prints.
        let _ = stdin.write_all(input);
    }
    let mut printed = Vec::new();
    reader.read_to_end(&mut printed)?;
    let status = child.wait()?;
    let signal = || status.signal().map_or(1, |signal| 128 + signal);
    Ok(Ended {
        printed: String::from_utf8_lossy(&printed).into_owned(),
        code: status.code().unwrap_or_else(signal),
    })
}

/// Where this program is; also in a container that does not show its processes.
pub fn own_path() -> io::Result<PathBuf> {
    let path = std::env::current_exe();
    #[cfg(target_os = "linux")]
    let path = path.or_else(|_| {
        let called = OsStr::from_bytes(rustix::param::linux_execfn().to_bytes());
        std::fs::canonicalize(called)
    });
    path
}

fn myself(args: &[&OsStr], variables: &[Variable<'_>]) -> io::Result<Command> {
    let mut command = Command::new(own_path()?);
    command
        .args(args)
        .env_clear()
        .envs(variables.iter().copied());
    command.current_dir("/").stderr(Stdio::null());
    Ok(command)
}

/// Hands over the secret and waits for one line.
fn converse(child: &mut Child, secret: &Secret) -> io::Result<String> {
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(secret.expose())?;
    }
    let Some(stdout) = child.stdout.take() else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut answer = String::new();
        let read = BufReader::new(stdout.take(ANSWER_MAX_BYTES)).read_line(&mut answer);
        // Nobody listens any more if it came too late.
        let _ = sender.send(read.map(|_| answer));
    });
    let answer = receiver
        .recv_timeout(ANSWER_MAX)
        .map_err(|_| io::ErrorKind::TimedOut)??;
    Ok(answer.trim_end().to_owned())
}

/// Ends the programs that this process has started and that have not ended, where the system tells which they are.
pub fn end_children() {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return;
    };
    for task in tasks.flatten() {
        let list = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        let pids = list.split_whitespace().filter_map(|pid| pid.parse().ok());
        for pid in pids.filter_map(rustix::process::Pid::from_raw) {
            // It may have ended meanwhile.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

/// A program that is talked with line by line, each answer within a time; it ends when this is dropped.
pub struct Conversation {
    child: Child,
    heard: zeroize::Zeroizing<Vec<u8>>,
    limit: Duration,
}

impl Conversation {
    /// Starts the program, with these variables and no other.
    pub fn begin(program: &OsStr, variables: &[Variable<'_>], limit: Duration) -> io::Result<Self> {
        let child = Command::new(program)
            .env_clear()
            .envs(variables.iter().copied())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        // As large as a line may be: a buffer that grows leaves copies behind.
        let heard = zeroize::Zeroizing::new(Vec::with_capacity(HEARD_MAX_BYTES));
        Ok(Self {
            child,
            heard,
            limit,
        })
    }

    /// Sends bytes.
    pub fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stdin = self.child.stdin.as_mut();
        stdin.ok_or(io::ErrorKind::BrokenPipe)?.write_all(bytes)
    }

    /// The next line, without its end; `TimedOut` if there is none in time.
    pub fn hear(&mut self) -> io::Result<Secret> {
        let stdout = self
            .child
            .stdout
            .as_mut()
            .ok_or(io::ErrorKind::BrokenPipe)?;
        let limit = Timespec::try_from(self.limit).map_err(|_| io::ErrorKind::InvalidInput)?;
        loop {
            if let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
                let line = Secret::copy_of(self.heard.get(..end).unwrap_or_default());
                let left = self.heard.len() - end - 1;
                self.heard.copy_within(end + 1.., 0);
                self.heard.truncate(left);
                return Ok(line);
            }
            let mut ready = [PollFd::new(&*stdout, PollFlags::IN)];
            match rustix::event::poll(&mut ready, Some(&limit)) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            let before = self.heard.len();
            self.heard.resize(HEARD_MAX_BYTES, 0);
            let read = stdout.read(self.heard.get_mut(before..).unwrap_or_default());
            self.heard.truncate(before + read.as_ref().unwrap_or(&0));
            if read? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process, as far as it may be told: never its arguments, which may hold anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its id.
    pub pid: i32,
    /// When it began, in the system's own measure: tells it from a later process of the same id.
    pub began: Option<u64>,
    /// What it runs.
    pub name: String,
    /// What the process that started it runs.
    pub parent: String,
}

impl Program {
    /// This process.
    pub fn myself() -> Self {
        let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
        Self {
            pid: rustix::process::getpid().as_raw_nonzero().get(),
            began: None,
            name: "vault".to_owned(),
            parent: parent.and_then(name_of).unwrap_or_else(unknown),
        }
    }

    /// Another process; what it says of itself is a hint, since any process may call itself what it likes.
    pub fn of(pid: i32) -> Self {
        let stat = stat_of(pid);
        let parent = stat.as_ref().and_then(|stat| name_of(stat.parent));
        Self {
            pid,
            began: stat.as_ref().and_then(|stat| stat.began),
            name: stat.map_or_else(unknown, |stat| stat.name),
            parent: parent.unwrap_or_else(unknown),
        }
    }
}

fn unknown() -> String {
    "?".to_owned()
}

/// What the system tells of a process.
struct Stat {
    name: String,
    parent: i32,
    began: Option<u64>,
}

/// What the system tells of a process in one of its small files.
fn told(pid: i32, of: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; STAT_MAX_BYTES];
    let mut file = File::open(format!("/proc/{pid}/{of}")).ok()?;
    let count = file.read(&mut bytes).ok()?;
    bytes.truncate(count);
    Some(bytes)
}

/// A process's name alone: a small part of the work of telling all.
fn name_of(pid: i32) -> Option<String> {
    let bytes = told(pid, "comm")?;
    let name = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    Some(String::from_utf8_lossy(name).into_owned())
}

fn stat_of(pid: i32) -> Option<Stat> {
    let bytes = told(pid, "stat")?;
    // "PID (NAME) STATE PPID …", and the name may hold anything.
    let begin = bytes.iter().position(|byte| *byte == b'(')? + 1;
    let end = bytes.iter().rposition(|byte| *byte == b')')?;
    let name = String::from_utf8_lossy(bytes.get(begin..end)?).into_owned();
    let rest = std::str::from_utf8(bytes.get(end + 1..)?).ok()?;
    let mut fields = rest.split_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let began = fields.nth(17).and_then(|field| field.parse().ok());
    Some(Stat {
        name,
        parent,
        began,
    })
}

/// This machine's name.
pub fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests;
