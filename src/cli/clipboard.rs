//! A secret on the clipboard, for a while.
//!
//! Lives here: choosing a clipboard, copying, and the helper that clears it. Never here: which secret. `get -c` and `show -c`
//! call `copy`; the hidden verb `clipboard-hold` is the helper and calls `hold`.
//!
//! Two ways. The desktop's clipboard (X11, Wayland, macOS) belongs to a process on Linux: a helper of our own stays behind, serves
//! the secret, and clears it if it is still there when the time is up. Where there is no desktop, or it is not
//! the one in front of the person (SSH), the terminal is asked by the sequence OSC 52. A terminal cannot be asked back, so the
//! helper clears whatever is there then, and the message says so.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::io::Write;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::config::Config;
use crate::format::Name;
use crate::secret::Secret;
use crate::sys::Env;
use crate::sys::fs;
use crate::sys::process;
use crate::sys::process::Variable;
use crate::sys::tty::Terminal;
use crate::sys::tty::sanitize;

/// How long a secret stays on the clipboard, unless the configuration says otherwise.
const CLEAR_AFTER_SECONDS: u64 = 45;

/// The hidden verb: `vault clipboard-hold desktop|terminal|tmux SECONDS`.
pub(crate) const HOLD_VERB: &str = "clipboard-hold";

/// Most bytes of base64 that every terminal with OSC 52 takes: 100,000 for the whole sequence in the strictest one,
/// less what multiplexers add.
const OSC52_MAX_BYTES: usize = 74_994;

/// Most bytes for a desktop's clipboard; more is a file and not something to paste.
const DESKTOP_MAX_BYTES: usize = 1 << 20;

/// How often the helper looks whether something else was copied. On macOS once, at the end: looking may ask the user.
const LOOK_EVERY: Duration = if cfg!(target_os = "macos") {
    Duration::MAX
} else {
    Duration::from_secs(1)
};

/// What the helper says once the clipboard is its own.
const HELD: &str = "held";

/// The variables that lead to a desktop's clipboard; the helper gets these and no other.
const DESKTOP_VARIABLES: [&str; 5] = [
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
    "HOME",
];

/// Which clipboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clipboard {
    /// X11, Wayland or macOS.
    Desktop,
    /// OSC 52, to the terminal.
    Terminal,
    /// OSC 52, through tmux to the terminal outside it.
    Tmux,
}

/// Why nothing was copied.
#[derive(Debug)]
pub(crate) enum Error {
    /// There is neither a desktop nor a terminal that could.
    NoClipboard,
    /// Bytes that are not UTF-8 are not something to paste.
    NotText,
    /// Larger than the clipboard takes, in bytes.
    TooLarge(usize),
    /// The desktop's clipboard refused, in its own words.
    Refused(String),
    /// The terminal or the helper failed.
    Io(io::Error),
}

impl Clipboard {
    /// The one in front of the person; `None` if there is none.
    pub(crate) fn choose(env: &Env) -> Option<Self> {
        let is_set = |name| env.var_os(name).is_some();
        let is_remote = is_set("SSH_TTY") || is_set("SSH_CONNECTION");
        let has_desktop =
            cfg!(target_os = "macos") || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
        match env.var("TERM") {
            _ if has_desktop && !is_remote => Some(Self::Desktop),
            // A text console and an editor's shell buffer print the sequence instead of obeying it.
            None | Some("dumb" | "linux") => None,
            Some(_) if is_set("TMUX") => Some(Self::Tmux),
            Some(_) => Some(Self::Terminal),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Terminal => "terminal",
            Self::Tmux => "tmux",
        }
    }

    /// The clipboard of the hidden verb's argument.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Desktop, Self::Terminal, Self::Tmux]
            .into_iter()
            .find(|one| one.word() == word)
    }
}

/// Copies an entry's secret and says so.
pub(crate) fn copy_and_say(cx: &Context, name: &Name, secret: &Secret) -> Result<(), Failure> {
    let seconds = Config::load(&cx.env)?.clipboard_seconds;
    let seconds = seconds.unwrap_or(CLEAR_AFTER_SECONDS);
    let said = copy(secret, &cx.env, seconds).map_err(|error| {
        Failure::failed(error.to_string()).hint(format!("print it with: vault get {name}"))
    })?;
    cx.ui.say(&format!("\"{name}\": {said}"));
    Ok(())
}

/// Copies a secret, without one final line feed, for some seconds; returns the sentence that says what was done.
pub(crate) fn copy(secret: &Secret, env: &Env, seconds: u64) -> Result<String, Error> {
    let clipboard = Clipboard::choose(env).ok_or(Error::NoClipboard)?;
    let line = Secret::copy_of(secret.as_line());
    if std::str::from_utf8(line.expose()).is_err() {
        return Err(Error::NotText);
    }
    if clipboard == Clipboard::Desktop {
        copy_to_desktop(&line, env, seconds)?;
        return Ok(format!(
            "copied; cleared in {seconds} s if it is still on the clipboard"
        ));
    }
    copy_to_terminal(&line, (clipboard, seconds), env)?;
    let through = match clipboard {
        Clipboard::Tmux => " through tmux (which needs \"allow-passthrough on\")",
        _ => "",
    };
    Ok(format!(
        "sent to the terminal's clipboard{through}; cleared in {seconds} s, whatever is on it then"
    ))
}

fn copy_to_desktop(line: &Secret, env: &Env, seconds: u64) -> Result<(), Error> {
    if line.len() > DESKTOP_MAX_BYTES {
        return Err(Error::TooLarge(DESKTOP_MAX_BYTES));
    }
    let variables: Vec<Variable<'_>> = DESKTOP_VARIABLES
        .iter()
        .filter_map(|&name| Some((OsStr::new(name), env.var_os(name)?)))
        .collect();
    let args = hold_args(Clipboard::Desktop, seconds);
    let args: Vec<&OsStr> = args.iter().map(OsString::as_os_str).collect();
    match process::spawn_detached(&args, &variables, line)?.as_str() {
        HELD => Ok(()),
        "" => Err(Error::Refused("the helper ended without a word".to_owned())),
        refusal => Err(Error::Refused(refusal.to_owned())),
    }
}

fn copy_to_terminal(
    line: &Secret,
    (clipboard, seconds): (Clipboard, u64),
    env: &Env,
) -> Result<(), Error> {
    if line.len().div_ceil(3) * 4 > OSC52_MAX_BYTES {
        return Err(Error::TooLarge(OSC52_MAX_BYTES / 4 * 3));
    }
    let terminal = Terminal::open(env.var_os("TERM")).ok_or(Error::NoClipboard)?;
    let mut tty = terminal.handle()?;
    // The helper first: a secret that nobody clears is worse than a clearing too many.
    let args = hold_args(clipboard, seconds);
    let args: Vec<&OsStr> = args.iter().map(OsString::as_os_str).collect();
    process::spawn_detached_on(terminal.handle()?, &args, &[])?;
    tty.write_all(&sequence(line.expose(), clipboard))?;
    Ok(())
}

fn hold_args(clipboard: Clipboard, seconds: u64) -> [OsString; 3] {
    [
        HOLD_VERB.into(),
        clipboard.word().into(),
        seconds.to_string().into(),
    ]
}

/// OSC 52 with these bytes, as the clipboard is reached. tmux passes on what is wrapped for it, each escape doubled.
fn sequence(bytes: &[u8], clipboard: Clipboard) -> Zeroizing<Vec<u8>> {
    let mut encoded = Zeroizing::new(vec![0; bytes.len().div_ceil(3) * 4]);
    let length = BASE64_STANDARD
        .encode_slice(bytes, &mut encoded[..])
        .unwrap_or(0);
    let encoded = encoded.get(..length).unwrap_or_default();
    let (start, end): (&[u8], &[u8]) = match clipboard {
        Clipboard::Tmux => (b"\x1bPtmux;\x1b\x1b]52;c;", b"\x07\x1b\\"),
        _ => (b"\x1b]52;c;", b"\x07"),
    };
    let mut whole = Zeroizing::new(Vec::with_capacity(start.len() + length + end.len()));
    for part in [start, encoded, end] {
        whole.extend_from_slice(part);
    }
    whole
}

/// The helper's whole life: leaves the session, holds the clipboard, clears it after `duration`, ends.
pub(crate) fn hold(clipboard: Clipboard, duration: Duration) -> io::Result<()> {
    process::detach()?;
    if clipboard == Clipboard::Desktop {
        return hold_desktop(duration);
    }
    std::thread::sleep(duration);
    // A blank first: some terminals take nothing for no change, and the others are empty after the second one.
    let mut tty = io::stdout();
    tty.write_all(&sequence(b" ", clipboard))?;
    tty.write_all(&sequence(b"", clipboard))?;
    tty.flush()
}

fn hold_desktop(duration: Duration) -> io::Result<()> {
    let secret = fs::read_stream(&mut io::stdin(), DESKTOP_MAX_BYTES as u64)?;
    let text = std::str::from_utf8(secret.expose()).map_err(io::Error::other)?;
    let taken = arboard::Clipboard::new().and_then(|mut desktop| {
        out_of_history(desktop.set()).text(text)?;
        Ok(desktop)
    });
    let mut desktop = match taken {
        Ok(desktop) => desktop,
        Err(error) => return writeln!(io::stdout(), "{error}"),
    };
    writeln!(io::stdout(), "{HELD}")?;
    let is_ours = |desktop: &mut arboard::Clipboard| {
        desktop
            .get_text()
            .is_ok_and(|now| Zeroizing::new(now).as_str() == text)
    };
    let mut left = duration;
    while !left.is_zero() {
        let pause = left.min(LOOK_EVERY);
        std::thread::sleep(pause);
        left -= pause;
        if !is_ours(&mut desktop) {
            // Something else was copied: there is nothing to clear, and nothing to keep.
            return Ok(());
        }
    }
    desktop.clear().map_err(io::Error::other)
}

/// Marks the text as a password, which most clipboard managers then leave out of their histories.
#[cfg(not(target_os = "macos"))]
fn out_of_history(set: arboard::Set<'_>) -> arboard::Set<'_> {
    arboard::SetExtLinux::exclude_from_history(set)
}

/// The same on macOS.
#[cfg(target_os = "macos")]
fn out_of_history(set: arboard::Set<'_>) -> arboard::Set<'_> {
    arboard::SetExtApple::exclude_from_history(set)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoClipboard => f.write_str("there is no clipboard here"),
            Self::NotText => f.write_str("the secret is not text, so it cannot be pasted"),
            Self::TooLarge(most) => {
                write!(
                    f,
                    "the secret is too large for this clipboard (at most {most} bytes)"
                )
            }
            Self::Refused(reason) => write!(f, "the clipboard refused: {}", sanitize(reason)),
            Self::Io(_) => f.write_str("the clipboard could not be reached"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(source) => Some(source),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        Self::Io(source)
    }
}

#[cfg(test)]
mod tests;
