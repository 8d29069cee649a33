//! A pinentry: a program that asks a person in a window or on a terminal of its own, by the Assuan protocol.
//!
//! Our own few lines and not a crate: those start it with this process's whole environment, the key in it included, and
//! wait for it without limit.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;
use crate::sys::Env;
use crate::sys::process::Conversation;

/// The variables that a pinentry, and the agent that starts one, needs to find the screen, and no other.
pub(super) const VARIABLES: [&str; 12] = [
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "HOME",
    "PATH",
    "TERM",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "GNUPGHOME",
];
/// How long a person may take to answer.
pub const ANSWER_MAX: Duration = Duration::from_secs(60);
/// Most bytes of a line of the protocol.
const LINE_MAX_BYTES: usize = 1000;

/// How a pinentry is started.
#[derive(Clone, Debug)]
pub struct Pinentry {
    program: OsString,
    variables: Vec<(OsString, OsString)>,
    terminal: Option<PathBuf>,
}

impl Pinentry {
    /// A pinentry by its program; what it needs is taken from the environment, and the terminal from the streams.
    pub fn new(env: &Env, program: impl Into<OsString>) -> Self {
        let kept = |(name, _): &&(OsString, OsString)| {
            name.to_str().is_some_and(|name| VARIABLES.contains(&name))
        };
        Self {
            program: program.into(),
            variables: env.vars.iter().filter(kept).cloned().collect(),
            terminal: crate::sys::tty::name(),
        }
    }

    /// The same on this terminal.
    #[must_use]
    pub fn at(self, terminal: Option<PathBuf>) -> Self {
        Self { terminal, ..self }
    }

    /// Asks for a passphrase.
    pub fn passphrase(&self, question: &str) -> io::Result<Secret> {
        let mut talk = self.begin(question)?;
        talk.say(b"SETPROMPT Passphrase:\n")?;
        ok(&mut talk)?;
        talk.say(b"GETPIN\n")?;
        let mut answer = None;
        loop {
            let line = talk.hear()?;
            let bytes = line.expose();
            if let Some(data) = bytes.strip_prefix(b"D ") {
                answer = Some(unescape(data));
            } else if bytes == b"OK" || bytes.starts_with(b"OK ") {
                return answer.ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
            } else if bytes.starts_with(b"ERR ") {
                return Err(refused(bytes));
            }
        }
    }

    /// Asks a question with yes or no.
    pub fn confirm(&self, question: &str) -> io::Result<bool> {
        let mut talk = self.begin(question)?;
        talk.say(b"CONFIRM\n")?;
        match ok(&mut talk) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn begin(&self, question: &str) -> io::Result<Conversation> {
        let variables = self.variables.iter();
        let variables: Vec<_> = variables
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
            .collect();
        let mut talk = Conversation::begin(&self.program, &variables, ANSWER_MAX)?;
        ok(&mut talk)?;
        let value = |name: &str| {
            let found = self.variables.iter().find(|(key, _)| key == name);
            found
                .and_then(|(_, value)| value.to_str())
                .map(str::to_owned)
        };
        let terminal = self.terminal.as_ref().and_then(|path| path.to_str());
        let options = [
            ("ttyname", terminal.map(str::to_owned)),
            ("ttytype", value("TERM")),
            (
                "lc-ctype",
                value("LC_ALL")
                    .or_else(|| value("LC_CTYPE"))
                    .or_else(|| value("LANG")),
            ),
        ];
        for (name, value) in options {
            if let Some(value) = value {
                talk.say(line("OPTION", &format!("{name}={value}")).as_bytes())?;
                // One that it does not know is no harm.
                talk.hear()?;
            }
        }
        talk.say(line("SETTITLE", "vault").as_bytes())?;
        ok(&mut talk)?;
        talk.say(line("SETDESC", question).as_bytes())?;
        ok(&mut talk)?;
        Ok(talk)
    }
}

/// Waits for `OK`.
fn ok(talk: &mut Conversation) -> io::Result<()> {
    loop {
        let line = talk.hear()?;
        let bytes = line.expose();
        if bytes == b"OK" || bytes.starts_with(b"OK ") {
            return Ok(());
        }
        if bytes.starts_with(b"ERR ") {
            return Err(refused(bytes));
        }
    }
}

/// The person said no, or the program could not ask.
fn refused(line: &[u8]) -> io::Error {
    let text = String::from_utf8_lossy(line);
    let code: u32 = text
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0);
    // The low half is libgpg-error's code: 99 cancelled, 114 not confirmed.
    match code & 0xffff {
        99 | 114 => io::ErrorKind::Interrupted.into(),
        62 => io::ErrorKind::TimedOut.into(),
        _ => io::Error::other(text.into_owned()),
    }
}

/// A line of the protocol, within its limit.
fn line(command: &str, text: &str) -> String {
    let mut line = format!("{command} ");
    for c in text.chars() {
        if line.len() > LINE_MAX_BYTES - 8 {
            break;
        }
        match c {
            '%' => line.push_str("%25"),
            '\n' => line.push_str("%0A"),
            '\r' => line.push_str("%0D"),
            c => line.push(c),
        }
    }
    line.push('\n');
    line
}

/// The bytes of a data line.
fn unescape(data: &[u8]) -> Secret {
    let mut bytes = Vec::with_capacity(data.len());
    let mut rest = data;
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let (b'%', Some(byte)) = (first, byte) {
            bytes.push(byte);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    Secret::new(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_escaped_and_bounded() {
        assert_eq!(line("SETDESC", "50%\nof"), "SETDESC 50%25%0Aof\n");
        assert!(line("SETDESC", &"é".repeat(900)).len() <= LINE_MAX_BYTES);
    }

    #[test]
    fn data_is_unescaped() {
        assert_eq!(unescape(b"a%25b%0Ac%").expose(), b"a%b\nc%");
    }

    #[test]
    fn a_no_is_told_from_a_failure() {
        let kind = |line: &[u8]| refused(line).kind();
        assert_eq!(kind(b"ERR 83886179 cancelled"), io::ErrorKind::Interrupted);
        assert_eq!(
            kind(b"ERR 83886194 not confirmed"),
            io::ErrorKind::Interrupted
        );
        assert_eq!(kind(b"ERR 83886142 timeout"), io::ErrorKind::TimedOut);
        assert_eq!(kind(b"ERR 1 no tty"), io::ErrorKind::Other);
    }
}
