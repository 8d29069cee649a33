//! Other programs: replaced by one, waiting for one, leaving one behind.
//!
//! Lives here: every start of a program but git's. Never here: which secret goes where, or an exit code. `exec`, `edit`,
//! the clipboard and unlocking call it.
//!
//! Nothing is inherited that is not handed over: the environment is always given whole. Arguments are never secrets;
//! a secret travels in an environment made for one program, or on a pipe.

#![allow(clippy::disallowed_methods, reason = "the home of starting programs")]

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
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

use rustix::process::Pid;

use crate::secret::Secret;
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

/// How long a detached helper may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Becomes another program: same process, terminal and parent. Returns only if that failed.
///
/// The program is looked for as `execvp` does it, in the `PATH` of the variables handed over, or in the system's default
/// path if there is none among them. Its signals are as on a fresh start: none blocked, SIGPIPE by default. Descriptors
/// other than the three streams are closed.
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
fn own_path() -> io::Result<PathBuf> {
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

/// This machine's name.
pub fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests;
