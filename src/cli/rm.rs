//! `vault rm`: entries go, a whole folder with `-r`.

use jiff::Timestamp;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::failure::Failure;
use crate::cli::several;
use crate::format::Header;
use crate::format::Name;
use crate::format::header::DEFAULT_KIND;
use crate::store::keeper::Keeper;

/// Up to this many names are told one by one.
const TOLD_MAX: usize = 10;

/// Arguments of `rm`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Asks on a terminal; elsewhere it takes -f. The entries of one store are one commit. In a store with git the history keeps
them: `vault restore NAME` brings one back. Removing a token here does not make it invalid: revoke it at its provider.

Examples:
  vault rm github/ci
  vault rm -f npm/publish npm/read
  vault rm -r -f old")]
pub(crate) struct Args {
    /// The entries, or folders with -r: NAME, or STORE:NAME
    #[arg(required = true, add = complete::names())]
    names: Vec<String>,
    /// Remove everything in the folders named
    #[arg(short, long)]
    recursive: bool,
    /// Remove without asking
    #[arg(short, long)]
    force: bool,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let mut stores = Vec::new();
        for (store, words) in several::by_store(&self.names)? {
            let opened = cx.open(store.as_deref())?;
            let names = self.meant(&opened, &words)?;
            stores.push((opened, names));
        }
        if !self.force {
            may_remove(cx, &stores)?;
        }
        for (opened, names) in &stores {
            remove(cx, opened, names)?;
        }
        Ok(0)
    }
}

impl Args {
    /// The entries that the words mean.
    fn meant(&self, opened: &Opened, words: &[Name]) -> Result<Vec<Name>, Failure> {
        let mut names = Vec::with_capacity(words.len());
        for word in words {
            let is_entry = opened.store.has(word)?;
            let below = if self.recursive || !is_entry {
                several::in_folder(opened, word.as_str())?
            } else {
                Vec::new()
            };
            if !is_entry && below.is_empty() {
                return Err(Context::no_entry(&opened.store, word));
            }
            if !is_entry && !self.recursive {
                return Err(Failure::failed(format!("\"{word}\" is a folder"))
                    .hint(format!("remove all that is in it with: vault rm -r {word}")));
            }
            names.extend(Some(word.clone()).filter(|_| is_entry));
            names.extend(below);
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }
}

/// Asks once for all; without a terminal that takes `-f`.
fn may_remove(cx: &Context, stores: &[(Opened, Vec<Name>)]) -> Result<(), Failure> {
    let names: Vec<&Name> = stores.iter().flat_map(|(_, names)| names).collect();
    let question = match names.as_slice() {
        [name] => format!("Remove \"{name}\"?"),
        names => {
            for name in names.iter().take(TOLD_MAX) {
                cx.ui.say(&format!("to be removed: {name}"));
            }
            if let Some(more @ 1..) = names.len().checked_sub(TOLD_MAX) {
                cx.ui.say(&format!("and {more} more"));
            }
            format!("Remove these {} entries?", names.len())
        }
    };
    match cx.confirm(&question)? {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::failed("nothing is changed")),
        None => Err(
            Failure::failed("there is no terminal to ask on, nothing is changed")
                .hint("remove without asking with -f"),
        ),
    }
}

/// Removes the entries of one store, in one commit.
fn remove(cx: &Context, opened: &Opened, names: &[Name]) -> Result<(), Failure> {
    let keys = cx.unlock(opened)?;
    let mut writer = cx.writer(&opened.store, &keys)?;
    // Under the lock: another process may have removed one meanwhile.
    several::check_there(opened, names)?;
    let mut headers = Vec::with_capacity(names.len());
    for name in names {
        let header = header(cx, opened, &keys, name);
        writer.remove(name, header.as_ref().map_or(0, |header| header.rev))?;
        headers.extend(header);
    }
    writer.commit(&several::message("remove", names))?;
    for name in names.iter().take(TOLD_MAX) {
        cx.ui.say(&format!("removed \"{name}\""));
    }
    if let Some(more @ 1..) = names.len().checked_sub(TOLD_MAX) {
        cx.ui.say(&format!("removed {more} more"));
    }
    match (opened.store.repo.is_some(), names) {
        (true, [name]) => cx.ui.say(&format!(
            "the history keeps it; bring it back with: vault restore {name}"
        )),
        (true, _) => cx
            .ui
            .say("the history keeps them; bring one back with: vault restore NAME"),
        (false, _) => {}
    }
    advise(cx, &headers);
    Ok(())
}

/// What is known of an entry that goes; one that does not verify may go, too.
fn header(cx: &Context, opened: &Opened, keys: &dyn Keeper, name: &Name) -> Option<Header> {
    match opened.store.look(keys, name) {
        Ok((header, _)) => Some(header),
        Err(error) => {
            cx.ui.warn(&Failure::from(error).message);
            None
        }
    }
}

/// A token that is removed here is valid elsewhere until it is revoked.
fn advise(cx: &Context, headers: &[Header]) {
    let valid: Vec<&Header> = headers
        .iter()
        .filter(|header| is_live_token(header, cx.env.now))
        .collect();
    for header in valid.iter().take(TOLD_MAX) {
        let provider = header.provider.as_deref().unwrap_or("its provider");
        cx.ui.say(&format!(
            "\"{}\" is still valid: revoke it at {provider}",
            header.name
        ));
    }
    if let Some(more @ 1..) = valid.len().checked_sub(TOLD_MAX) {
        cx.ui
            .say(&format!("{more} more tokens are still valid: revoke them"));
    }
}

/// Whether somebody who has a copy can still use it, as far as is known.
fn is_live_token(header: &Header, now: Timestamp) -> bool {
    header.kind() == DEFAULT_KIND && !header.is_expired(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lives_until_it_expires() {
        let now: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
        for (kind, expires, live) in [
            (None, None, true),
            (Some("token"), Some("2027-01-02T00:00:00Z"), true),
            (None, Some("2027-01-01T00:00:00Z"), false),
            (Some("note"), None, false),
        ] {
            let header = Header {
                kind: kind.map(str::to_owned),
                expires: expires.map(|text| text.parse().unwrap()),
                ..Header::default()
            };
            assert_eq!(is_live_token(&header, now), live, "{kind:?} {expires:?}");
        }
    }
}
