//! A program in a pseudo-terminal, driven as a person would.
//!
//! A thread reads what the program prints; `expect` waits for text to appear and never sleeps. What was written is seen in
//! two ways: `output`, every byte since the start, and `screen`, what a person sees now.

use std::io::Read;
use std::io::Write;
use std::num::NonZeroU16;
use std::process::Child;
use std::process::ExitStatus;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;
use std::time::Instant;

use pty_process::blocking::Command;
use pty_process::blocking::Pty as Master;

/// How long `wait` gives a program to end.
const END_MAX: Duration = Duration::from_secs(30);

/// A program and the terminal it runs in. Killed when dropped.
pub(crate) struct Pty {
    child: Child,
    keyboard: Master,
    printed: Receiver<Vec<u8>>,
    output: Vec<u8>,
    /// Where the next `expect` begins to look.
    seen: usize,
    screen: vt100::Parser,
}

impl Pty {
    /// Starts a program on a new terminal of `(rows, columns)`, which is its controlling terminal.
    ///
    /// `command` is `std::process::Command` with a terminal: set arguments and environment as usual; a stream that it redirects
    /// stays redirected.
    pub(crate) fn spawn(command: Command, (rows, columns): (u16, u16)) -> Self {
        let (keyboard, terminal) = pty_process::blocking::open().unwrap();
        keyboard
            .resize(pty_process::Size::new(rows, columns))
            .unwrap();
        let child = command.spawn(terminal).unwrap();
        let reader: std::os::fd::OwnedFd = {
            use std::os::fd::AsFd;
            keyboard.as_fd().try_clone_to_owned().unwrap()
        };
        let size = |count| NonZeroU16::new(count).unwrap();
        Self {
            child,
            keyboard,
            printed: read_all(reader.into()),
            output: Vec::new(),
            seen: 0,
            screen: vt100::Parser::new(size(rows), size(columns), 0),
        }
    }

    /// Waits until the program has printed this text, after what earlier calls found. Panics, with the screen, if it does not
    /// come in time or the program ends.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        while !self.find(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Err(why) = self.take(left) {
                panic!("no {text:?} ({why}); the screen:\n{}", self.screen());
            }
        }
    }

    /// Types this text; Enter is `\r`, Ctrl-C `\x03`, Ctrl-D `\x04`, Esc `\x1b`.
    pub(crate) fn send(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    /// Changes the size of the terminal, in rows and columns; the program gets SIGWINCH.
    pub(crate) fn resize(&mut self, rows: u16, columns: u16) {
        self.keyboard
            .resize(pty_process::Size::new(rows, columns))
            .unwrap();
        let size = |count| NonZeroU16::new(count).unwrap();
        self.screen.screen_mut().set_size(size(rows), size(columns));
    }

    /// Waits for the program to end, reading the rest of what it prints.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + END_MAX;
        loop {
            match self.take(deadline.saturating_duration_since(Instant::now())) {
                Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => return self.child.wait().unwrap(),
                Err(RecvTimeoutError::Timeout) => panic!("still running:\n{}", self.screen()),
            }
        }
    }

    /// What a person sees, as text: rows without trailing blanks.
    pub(crate) fn screen(&self) -> String {
        self.screen.screen().contents()
    }

    /// Everything the program has printed so far, as bytes of the terminal.
    pub(crate) fn output(&self) -> &[u8] {
        &self.output
    }

    /// The process id of the program.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn find(&mut self, text: &str) -> bool {
        let found = self.output[self.seen..]
            .windows(text.len())
            .position(|at| at == text.as_bytes());
        if let Some(start) = found {
            self.seen += start + text.len();
        }
        found.is_some()
    }

    fn take(&mut self, timeout: Duration) -> Result<(), RecvTimeoutError> {
        let bytes = self.printed.recv_timeout(timeout)?;
        self.screen.process(&bytes);
        self.output.extend_from_slice(&bytes);
        Ok(())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // Fails if it has ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads until the last process has closed the terminal, which Linux tells by EIO.
fn read_all(mut master: std::fs::File) -> Receiver<Vec<u8>> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = master.read(&mut buffer) {
            if sender.send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn sh(script: &str) -> Pty {
        Pty::spawn(Command::new("sh").args(["-c", script]), (24, 80))
    }

    #[test]
    fn a_conversation_with_a_shell() {
        let mut pty = sh("printf 'name? '; read name; echo hello $name; stty size; exit 3");
        pty.expect("name? ", SOON);
        pty.send("vera\r");
        pty.expect("hello vera", SOON);
        assert_eq!(pty.wait().code(), Some(3));
        assert_eq!(pty.screen(), "name? vera\nhello vera\n24 80");
    }

    #[test]
    fn keys_reach_the_foreground_program() {
        let mut pty = Pty::spawn(Command::new("cat"), (5, 20));
        pty.send("echoed\r");
        pty.expect("echoed\r\nechoed", SOON);
        pty.send("\x04");
        assert!(pty.wait().success());
        let mut pty = sh("echo ready; exec cat");
        pty.expect("ready", SOON);
        pty.send("\x03");
        assert_eq!(pty.wait().signal(), Some(2));
    }

    #[test]
    fn a_new_size_is_seen() {
        let mut pty = sh("echo $$; read go; stty size");
        let id = pty.id().to_string();
        pty.expect(&id, SOON);
        pty.resize(10, 40);
        pty.send("go\r");
        pty.expect("10 40", SOON);
        assert!(pty.wait().success());
    }

    #[test]
    fn the_screen_is_what_remains() {
        let mut pty = sh("printf 'question'; printf '\\r\\033[Janswer\\n'");
        assert!(pty.wait().success());
        assert_eq!(pty.screen(), "answer");
        assert!(pty.output().starts_with(b"question"));
    }
}
