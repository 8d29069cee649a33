//! `vault restore`: an earlier value of an entry, from history, as a new revision.

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::context::Target;
use crate::cli::failure::Failure;
use crate::cli::failure::NO_ENTRY;
use crate::format::Header;
use crate::format::Name;
use crate::format::expiry;
use crate::git::Id;
use crate::store::Entry;
use crate::store::Error;
use crate::store::history::Version;
use crate::store::keeper::Keeper;

/// The shortest prefix of a commit's id that is taken for one.
const PREFIX_MIN: usize = 4;

/// Arguments of `restore`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Without a version it is the one before the present one; of a removed entry, the last. The value comes back as a new revision, in
a commit of its own: nothing of the history is lost. Metadata come back with it, unless --secret-only leaves them as they are.

Examples:
  vault restore github/ci
  vault restore github/ci 3
  vault restore --secret-only github/ci 9c56cc51b3")]
pub(crate) struct Args {
    /// The entry: NAME, or STORE:NAME
    #[arg(add = complete::names())]
    name: String,
    /// A revision's number, or the beginning of a commit's id, as `vault log NAME` shows them
    version: Option<String>,
    /// Keep the present metadata, bring back only the secret
    #[arg(long)]
    secret_only: bool,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let target = Target::parse(&self.name)?;
        let name = &target.name;
        let opened = cx.open(target.store.as_deref())?;
        if opened.store.repo.is_none() {
            return Err(Error::NoRepository.into());
        }
        let keys = cx.unlock(&opened)?;
        let how = How {
            version: self.version.as_deref(),
            secret_only: self.secret_only,
            dry_run: false,
        };
        one(cx, &opened, &keys, (name, how))?;
        Ok(0)
    }
}

/// Which version of an entry comes back, and what of it.
#[derive(Clone, Copy)]
pub(super) struct How<'w> {
    /// Its revision, or the beginning of its commit's id; none for the one before the present one.
    pub version: Option<&'w str>,
    /// Whether the present metadata stay.
    pub secret_only: bool,
    /// Whether it is only told what would come back.
    pub dry_run: bool,
}

/// Brings a version of an entry back.
pub(super) fn one(
    cx: &Context,
    opened: &Opened,
    keys: &dyn Keeper,
    (name, how): (&Name, How<'_>),
) -> Result<(), Failure> {
    if opened.store.repo.is_none() {
        return Err(Error::NoRepository.into());
    }
    // Under the lock from here on: what is the present version stays it.
    let mut writer = cx.writer(&opened.store, keys)?;
    let versions = opened.store.versions(Some(name))?;
    if versions.is_empty() {
        return Err(Context::no_entry(&opened.store, name));
    }
    let present = present(cx, opened, keys, name)?;
    let asks = match &present {
        Some(present) => present.header.confirm,
        None => last_asks(opened, keys, name, &versions)?,
    };
    let old = match how.version {
        None => before_present(&versions, name)
            .and_then(|blob| Ok(opened.store.version(keys, name, blob)?))?,
        Some(word) => named(opened, keys, name, (&versions, word))?,
    };
    if let Some(present) = &present
        && present.secret == old.secret
        && (how.secret_only || present.header.same_as(&old.header))
    {
        cx.ui
            .say(&format!("\"{name}\" is unchanged: it is so already"));
        return Ok(());
    }
    let from = old.header.rev;
    let mut header = match present {
        Some(present) if how.secret_only => present.header,
        Some(present) => Header {
            rev: present.header.rev.max(from),
            ..old.header
        },
        None => old.header,
    };
    // An earlier value from before the mark is no way around it.
    header.confirm |= asks;
    if let Some(expires) = header.expires
        && header.is_expired(cx.env.now)
    {
        let since = expiry::show(expires);
        cx.ui.warn(&format!("it has been expired since {since}"));
    }
    if how.dry_run {
        cx.ui.say(&format!(
            "would restore \"{name}\" as it was in revision {from}"
        ));
        return Ok(());
    }
    let rev = writer.put(name, header, &old.secret)?;
    writer.commit(&format!("restore {name}"))?;
    cx.ui.say(&format!(
        "restored \"{name}\" as it was in revision {from}; it is revision {rev} now"
    ));
    Ok(())
}

/// The present value, if there is one. One that does not verify may be replaced by one that does.
fn present(
    cx: &Context,
    opened: &Opened,
    keys: &dyn Keeper,
    name: &Name,
) -> Result<Option<Entry>, Failure> {
    if !opened.store.has(name)? {
        return Ok(None);
    }
    match opened.store.entry(keys, name) {
        Ok(entry) => Ok(Some(entry)),
        Err(error @ Error::Denied(..)) => Err(error.into()),
        Err(error) => {
            cx.ui.warn(&Failure::from(error).message);
            Ok(None)
        }
    }
}

/// Whether the last value of what was removed asks for consent; without it nothing is restored.
fn last_asks(
    opened: &Opened,
    keys: &dyn Keeper,
    name: &Name,
    versions: &[Version],
) -> Result<bool, Failure> {
    let Some(last) = versions.iter().find_map(|version| version.blob) else {
        return Ok(false);
    };
    match opened.store.version(keys, name, last) {
        Ok(entry) => Ok(entry.header.confirm),
        Err(error @ Error::Denied(..)) => Err(error.into()),
        // One that does not verify says nothing.
        Err(_) => Ok(false),
    }
}

/// The newest value but the present one.
fn before_present(versions: &[Version], name: &Name) -> Result<Id, Failure> {
    let (present, earlier) = match versions {
        [present, earlier @ ..] => (present.blob, earlier),
        [] => (None, versions),
    };
    let mut values = earlier.iter().filter_map(|version| version.blob);
    values.find(|blob| Some(*blob) != present).ok_or_else(|| {
        Failure::failed(format!(
            "\"{name}\" has no earlier value: this is its first"
        ))
    })
}

/// The version that a person names: by its revision, else by its commit.
fn named(
    opened: &Opened,
    keys: &dyn Keeper,
    name: &Name,
    (versions, word): (&[Version], &str),
) -> Result<Entry, Failure> {
    let open = |blob| Ok(opened.store.version(keys, name, blob)?);
    if let Ok(rev) = word.parse::<u64>() {
        // Newest first; one that does not open is not the one that is looked for.
        let blobs = versions.iter().filter_map(|version| version.blob);
        let is_meant = |blob: &Id| {
            let header = opened.store.look_at_version(keys, name, *blob);
            header.is_ok_and(|header| header.rev == rev)
        };
        if let Some(blob) = blobs.into_iter().find(is_meant) {
            return open(blob);
        }
    }
    match by_commit(versions, word).as_slice() {
        [version] => match version.blob {
            Some(blob) => open(blob),
            None => Err(
                Failure::failed(format!("\"{name}\" was removed in that commit"))
                    .hint("name an earlier one"),
            ),
        },
        [] => Err(Failure::new(
            NO_ENTRY,
            format!("\"{name}\" has no version \"{}\"", word.escape_debug()),
        )
        .hint(format!("its versions: vault log {name}"))),
        _ => Err(Failure::failed(format!(
            "several commits begin with \"{}\"",
            word.escape_debug()
        ))
        .hint("give more of its id")),
    }
}

/// The versions whose commit begins so.
fn by_commit<'v>(versions: &'v [Version], word: &str) -> Vec<&'v Version> {
    let word = word.to_ascii_lowercase();
    if word.len() < PREFIX_MIN {
        return Vec::new();
    }
    let begins = |version: &&Version| version.commit.to_string().starts_with(&word);
    versions.iter().filter(begins).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(commit: char, blob: Option<char>) -> Version {
        let id = |digit: char| Id::parse(&digit.to_string().repeat(40)).unwrap();
        Version {
            commit: id(commit),
            time: jiff::Timestamp::UNIX_EPOCH,
            subject: String::new(),
            blob: blob.map(id),
        }
    }

    #[test]
    fn the_default_is_the_value_before() {
        let name = Name::parse("a").unwrap();
        let check = |versions: &[Version], expected: Option<char>| {
            let expected = expected.and_then(|digit| version('0', Some(digit)).blob);
            assert_eq!(before_present(versions, &name).ok(), expected);
        };
        check(
            &[version('c', Some('2')), version('b', Some('1'))],
            Some('1'),
        );
        check(&[version('c', None), version('b', Some('1'))], Some('1'));
        check(
            &[
                version('d', Some('2')),
                version('c', None),
                version('b', Some('1')),
            ],
            Some('1'),
        );
        check(&[version('b', Some('1'))], None);
    }

    #[test]
    fn a_commit_is_named_by_its_beginning() {
        let versions = [version('a', None), version('b', None)];
        assert_eq!(by_commit(&versions, "BBBB").len(), 1);
        assert_eq!(by_commit(&versions, "b").len(), 0);
        assert_eq!(by_commit(&versions, "cccc").len(), 0);
    }
}
