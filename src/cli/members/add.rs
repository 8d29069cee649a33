//! `vault members add`: a key file and the list, whatever the size of the store.

use std::path::Path;
use std::path::PathBuf;

use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::members::entries;
use crate::cli::members::paper;
use crate::crypto;
use crate::crypto::StoreKey;
use crate::crypto::recipient::Recipient;
use crate::format::header::whole_seconds;
use crate::format::layout::is_member_name;
use crate::format::members::Member;
use crate::format::members::Role;
use crate::sys::fs;

/// The name of the member whose identity is kept on paper.
const RECOVERY: &str = "recovery";
/// Most bytes of a file with public keys.
const KEYS_MAX_BYTES: u64 = 1 << 20;

/// Arguments of `members add`.
#[derive(clap::Args, Debug)]
pub(super) struct Add {
    /// What the member is called: lower-case letters, digits, "-", "_" and "." [with --paper: recovery]
    #[arg(required_unless_present = "paper")]
    name: Option<String>,
    /// Its public key: age1…, an SSH public key, or a plugin's recipient
    #[arg(required_unless_present_any = ["paper", "from_keys"])]
    recipient: Vec<String>,
    /// Take the public key from a file like `authorized_keys`; "-" is stdin
    #[arg(long, value_name = "FILE", conflicts_with = "recipient", value_hint = clap::ValueHint::FilePath)]
    from_keys: Option<PathBuf>,
    /// Make a new key, printed once as text and as a QR code, to be kept on paper
    #[arg(long, conflicts_with_all = ["recipient", "from_keys", "read_only"])]
    paper: bool,
    /// The member reads and cannot write: for machines
    #[arg(long)]
    read_only: bool,
}

impl Add {
    pub(super) fn run(self, cx: &mut Context) -> Outcome {
        let name = self.name.as_deref().unwrap_or(RECOVERY);
        if is_secret(name) {
            return Err(secret_key());
        }
        if !is_member_name(name) {
            let text = format!("\"{}\" cannot name a member", name.escape_debug());
            return Err(Failure::usage(text)
                .hint("use lower-case letters, digits, \"-\", \"_\" and \".\": phone"));
        }
        let key = self.paper.then(StoreKey::generate);
        let recipient = match (&key, &self.from_keys) {
            (Some(key), _) => key.recipient(),
            (None, Some(path)) => from_keys(cx, path)?,
            (None, None) => parse(&self.recipient.join(" "))?,
        };
        let role = if self.read_only {
            Role::Reader
        } else {
            Role::Writer
        };
        let opened = cx.open(None)?;
        let keys = cx.open_keys(&opened)?;
        let mut writer = cx.writer(&opened.store, &keys)?;
        let member = Member {
            name: name.to_owned(),
            recipient,
            role,
            added: Some(whole_seconds(cx.env.now)),
        };
        writer.put_member(&keys, member)?;
        writer.commit(&format!("add the member {name}"))?;
        let can = match role {
            Role::Writer => "read and write",
            Role::Reader => "read",
        };
        let count = entries(opened.store.names()?.len());
        cx.ui.say(&format!(
            "added the member \"{name}\", who can {can} the store: {count}"
        ));
        if let Some(key) = key {
            return paper::print(cx, &key.to_line());
        }
        if opened.store.repo.is_some() {
            cx.ui
                .say("it opens the store there once this has been pushed: vault sync");
        }
        Ok(0)
    }
}

/// Whether a text holds a secret key, of age, a plugin or SSH.
fn is_secret(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    [
        "SECRET-KEY-",
        "AGE-PLUGIN-",
        "PRIVATE KEY",
        "B3BLBNNZAC1RZXKT",
    ]
    .iter()
    .any(|mark| text.contains(mark))
}

fn secret_key() -> Failure {
    Failure::usage("this is a secret key, and not shown; a member is added by its public key")
        .hint("it stands in the shell's history now: take it out there, or make a new one")
}

/// A public key from the command line. A secret one is not shown again.
fn parse(text: &str) -> Result<Recipient, Failure> {
    if is_secret(text) {
        return Err(secret_key());
    }
    Recipient::parse(text).map_err(|error| match error {
        crypto::Error::BadRecipient => Failure::usage(error.to_string())
            .hint("on the other machine, age-keygen -y prints the public half of an identity"),
        error => Failure::failed(error.to_string()),
    })
}

/// The one usable key of a file.
fn from_keys(cx: &Context, path: &Path) -> Result<Recipient, Failure> {
    let bytes = if path == Path::new("-") {
        let read = fs::read_stream(&mut std::io::stdin().lock(), KEYS_MAX_BYTES);
        read.map_err(|error| Failure::failed(format!("cannot read stdin: {error}")))?
    } else {
        fs::read_secret(&cx.env.absolute(path), KEYS_MAX_BYTES)?
    };
    let shown = path.display();
    let text = std::str::from_utf8(bytes.expose())
        .map_err(|_| Failure::failed(format!("{shown} is not text")))?;
    if is_secret(text) {
        return Err(Failure::failed(format!("{shown} holds a secret key"))
            .hint("give the file with the public half: for an SSH key it ends in .pub"));
    }
    let (found, others) = usable(text);
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] if others > 0 => Err(Failure::failed(format!(
            "none of the {others} keys in {shown} can be used"
        ))
        .hint("ssh-ed25519 and ssh-rsa can, ecdsa and sk- keys cannot be encrypted to")),
        [] => Err(Failure::failed(format!(
            "there is no public key in {shown}"
        ))),
        several => {
            let mut failure = Failure::failed(format!(
                "{shown} holds {} keys, and a member has one",
                several.len()
            ));
            for one in several {
                failure = failure.hint(format!("for this one: vault members add NAME \"{one}\""));
            }
            Err(failure)
        }
    }
}

/// The keys of a file like `authorized_keys` that can be encrypted to, each once; and how many lines hold none.
fn usable(text: &str) -> (Vec<Recipient>, usize) {
    let mut found: Vec<Recipient> = Vec::new();
    let mut others = 0;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match key_of(line) {
            Some(key) if found.contains(&key) => {}
            Some(key) => found.push(key),
            None => others += 1,
        }
    }
    (found, others)
}

/// The key on a line, which may begin with options.
fn key_of(line: &str) -> Option<Recipient> {
    let starts = std::iter::once(0).chain(line.match_indices(" ssh-").map(|(at, _)| at + 1));
    starts
        .filter_map(|at| line.get(at..))
        .find_map(|rest| Recipient::parse(rest).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN";
    const NATIVE: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

    #[test]
    fn keys_are_found_behind_options_and_before_comments() {
        for line in [
            ED25519.to_owned(),
            format!("{ED25519} alice@home"),
            format!("no-pty,command=\"echo ssh-ed25519\" {ED25519} alice@home"),
            format!("restrict {ED25519}"),
        ] {
            assert_eq!(key_of(&line).unwrap().to_string(), ED25519, "{line}");
        }
        assert_eq!(key_of(NATIVE).unwrap().to_string(), NATIVE);
    }

    #[test]
    fn what_cannot_be_used_is_counted() {
        let sk = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAA x";
        let text = format!("# mine\n\n{ED25519} a\n{ED25519} b\n{sk}\n{NATIVE}\n");
        let (found, others) = usable(&text);
        assert_eq!((found.len(), others), (2, 1));
    }

    #[test]
    fn a_secret_key_is_not_shown() {
        let key = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
        assert!(is_secret("b3BlbnNzaC1rZXktdjEAAAAABG5vbmU"));
        assert!(!is_secret(ED25519) && !is_secret(NATIVE));
        for text in [key.to_owned(), key.to_lowercase()] {
            let failure = parse(&text).unwrap_err();
            assert!(failure.message.contains("secret key"));
            assert!(!format!("{failure:?}").to_uppercase().contains("GQ9778"));
        }
    }
}
