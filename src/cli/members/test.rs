//! `vault members test`: whether a key, of a file, from stdin or typed from paper, opens the store.

use std::path::Path;
use std::path::PathBuf;

use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::failure::LOCKED;
use crate::cli::members::members;
use crate::secret::Secret;
use crate::session;
use crate::session::Source;
use crate::sys::fs;

/// Most bytes of a key.
const KEY_MAX_BYTES: u64 = 1 << 20;
/// How a native key begins, in the case in which it is read.
const NATIVE: &[u8] = b"AGE-SECRET-KEY-1";

/// Arguments of `members test`.
#[derive(clap::Args, Debug)]
pub(super) struct Test {
    /// The identity file or SSH private key; "-" is stdin [default: typed, or stdin]
    #[arg(value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
}

impl Test {
    pub(super) fn run(self, cx: &mut Context) -> Outcome {
        let opened = cx.open(None)?;
        let source = self.source(cx)?;
        let store = &opened.store;
        let mut files = Vec::new();
        for member in store.key_files()? {
            let file = store.key_file(&member)?;
            files.extend(file.map(|file| (member, file)));
        }
        let keys = session::open_one_of(&cx.env, &source, &store.epoch, &files)?;
        let list = members(&opened, &keys)?;
        let Some(member) = list.iter().find(|member| member.name == keys.member) else {
            let text = format!(
                "it opens the key file of \"{}\", who is not on the list of members",
                keys.member
            );
            return Err(Failure::new(LOCKED, text).hint("see: vault members list"));
        };
        let read = match store.names()?.first() {
            Some(name) => {
                store.entry(&keys, name)?;
                format!("; \"{name}\" was read with it")
            }
            None => String::new(),
        };
        let can = match keys.writer_key {
            Some(_) => "may write",
            None => "reads only",
        };
        let line = format!(
            "it opens the store: member \"{}\", who {can}{read}",
            member.name
        );
        let line = cx
            .ui
            .paint(&line, crate::cli::ui::Style::Green)
            .into_owned();
        cx.ui.line(&line);
        Ok(0)
    }

    /// The key to be tried.
    fn source(&self, cx: &Context) -> Result<Source, Failure> {
        match &self.file {
            Some(path) if path != Path::new("-") => {
                return Ok(Source::File(cx.env.absolute(path)));
            }
            Some(_) => {}
            None => {
                if let Some(terminal) = cx.terminal().filter(|_| cx.env.terminal.stdin) {
                    let typed = terminal.ask_hidden("Key: ");
                    let typed =
                        typed.map_err(|error| Failure::failed(format!("no key: {error}")))?;
                    return Ok(Source::Given(tidy(&typed)));
                }
            }
        }
        let read = fs::read_stream(&mut std::io::stdin().lock(), KEY_MAX_BYTES);
        let read = read.map_err(|error| Failure::failed(format!("cannot read stdin: {error}")))?;
        Ok(Source::Given(tidy(&read)))
    }
}

/// A native key as it is copied from paper: in any case, in groups. Anything else stays as it is.
fn tidy(key: &Secret) -> Secret {
    let mut joined = zeroize::Zeroizing::new(Vec::with_capacity(key.len()));
    let letters = key
        .expose()
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace());
    joined.extend(letters.map(u8::to_ascii_uppercase));
    if joined.starts_with(NATIVE) {
        Secret::copy_of(&joined)
    } else {
        Secret::copy_of(key.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_from_paper_may_be_in_groups_and_small_letters() {
        let tidied = |text: &str| tidy(&Secret::copy_of(text.as_bytes())).expose().to_vec();
        assert_eq!(
            tidied("age-secret-key-1 qqqq\n pppp\n"),
            b"AGE-SECRET-KEY-1QQQQPPPP"
        );
        assert_eq!(tidied("-----BEGIN x\n"), b"-----BEGIN x\n");
        assert_eq!(tidied(""), b"");
    }
}
