//! `vault mv` and `vault cp`: entries and folders get another name, or a second one; between stores, too.

use std::collections::BTreeSet;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::failure::Failure;
use crate::cli::several;
use crate::format::Header;
use crate::format::Name;
use crate::secret::Secret;
use crate::store::Entry;
use crate::store::keeper::Keeper;
use crate::sys::fs;

/// From this many entries on, opening them is shared among the cores.
const PARALLEL_FROM: usize = 4;
/// Up to this many names are told one by one.
const TOLD_MAX: usize = 10;

/// Arguments of `mv`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
A folder moves with everything in it, in one commit. If NEW is a folder, or ends in \"/\", OLD moves into it; \"/\" alone is the top
of the store. Into another store the entries are added there, read back, and only then removed here.

Examples:
  vault mv github/ci github/release
  vault mv npm/publish npm/read registry/
  vault mv work:github/ci github/work-ci")]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
}

/// Arguments of `cp`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
A folder is copied with everything in it, in one commit. If NEW is a folder, or ends in \"/\", the copy comes into it; \"/\" alone is
the top of the store.

Examples:
  vault cp github/ci github/release
  vault cp github backup/
  vault cp github/ci work:github/ci")]
pub(crate) struct CopyArgs {
    #[command(flatten)]
    common: Common,
}

/// What both have.
#[derive(clap::Args, Debug)]
struct Common {
    /// The entries or folders: NAME, or STORE:NAME; a final "/" means the folder where there is an entry of that name, too
    #[arg(required = true, add = complete::names())]
    old: Vec<String>,
    /// The new name, or the folder it goes into
    #[arg(add = complete::names())]
    new: String,
    /// Replace entries without asking
    #[arg(short, long)]
    force: bool,
}

/// Which of the two is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Move,
    Copy,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        self.common.run(cx, Action::Move)
    }
}

impl Run for CopyArgs {
    fn run(self, cx: &mut Context) -> Outcome {
        self.common.run(cx, Action::Copy)
    }
}

/// An entry or folder as it was typed.
struct Place {
    store: Option<String>,
    /// Nothing stands for the top of the store.
    name: Option<Name>,
    /// Whether it ends in `/`.
    is_folder: bool,
}

impl Place {
    fn parse(text: &str) -> Result<Self, Failure> {
        let (store, path) = match text.split_once(':') {
            Some((store, path)) => (Some(store.to_owned()), path),
            None => (None, text),
        };
        let is_folder = path.is_empty() || path.ends_with('/');
        let name = match path.strip_suffix('/').unwrap_or(path) {
            "" if store.is_some() || is_folder && !text.is_empty() => None,
            name => Some(Name::parse(name)?),
        };
        Ok(Self {
            store,
            name,
            is_folder,
        })
    }
}

/// An entry's old and new name.
type Pair = (Name, Name);

impl Common {
    fn run(&self, cx: &Context, action: Action) -> Outcome {
        let old: Vec<Place> = self
            .old
            .iter()
            .map(|text| Place::parse(text))
            .collect::<Result<_, _>>()?;
        let new = Place::parse(&self.new)?;
        let Some(first) = old.first() else {
            return Err(Failure::usage("nothing is named"));
        };
        if old.iter().any(|place| place.store != first.store) {
            return Err(Failure::usage("the entries are in different stores")
                .hint("one command for each store"));
        }
        let from = cx.open(first.store.as_deref())?;
        let to = cx.open(new.store.as_deref())?;
        let pairs = pairs((&from, &old), (&to, &new))?;
        if from.store.path() == to.store.path() {
            self.within(cx, &from, &pairs, action)?;
        } else {
            self.between(cx, (&from, &to), &pairs, action)?;
        }
        let lead = |place: &Place| {
            let store = place.store.as_ref();
            store.map_or_else(String::new, |store| format!("{store}:"))
        };
        tell(cx, action, (&lead(first), &lead(&new)), &pairs);
        Ok(0)
    }

    /// Within one store: one commit.
    fn within(
        &self,
        cx: &Context,
        opened: &Opened,
        pairs: &[Pair],
        action: Action,
    ) -> Result<(), Failure> {
        let olds: BTreeSet<&Name> = pairs.iter().map(|(old, _)| old).collect();
        let is_leaving = |name: &Name| action == Action::Move && olds.contains(name);
        let replaced = replaced(opened, pairs, is_leaving)?;
        self.may_replace(cx, &replaced)?;
        let keys = cx.unlock(opened)?;
        let mut writer = cx.writer(&opened.store, &keys)?;
        let entries = read(opened, &keys, pairs)?;
        self.check_replaced(&replaced, &self::replaced(opened, pairs, is_leaving)?)?;
        if action == Action::Move {
            // First, so that a name which only changes its case does not clash with itself.
            for ((old, _), header, _) in &entries {
                writer.remove(old, header.rev)?;
            }
        }
        writer.put_all(renamed(cx, opened, &keys, entries))?;
        writer.commit(&message(action, pairs))?;
        Ok(())
    }

    /// Into another store: added there and read back before anything goes here.
    fn between(
        &self,
        cx: &Context,
        (from, to): (&Opened, &Opened),
        pairs: &[Pair],
        action: Action,
    ) -> Result<(), Failure> {
        let replaced = replaced(to, pairs, |_| false)?;
        self.may_replace(cx, &replaced)?;
        let from_keys = cx.unlock(from)?;
        let to_keys = cx.unlock(to)?;
        let mut writer = cx.writer(&to.store, &to_keys)?;
        self.check_replaced(&replaced, &self::replaced(to, pairs, |_| false)?)?;
        let entries = renamed(cx, to, &to_keys, read(from, &from_keys, pairs)?);
        writer.put_all(entries)?;
        let news: Vec<Name> = pairs.iter().map(|(_, new)| new.clone()).collect();
        writer.commit(&several::message("add", &news))?;
        if action == Action::Copy {
            return Ok(());
        }
        let mut writer = cx.writer(&from.store, &from_keys)?;
        for (old, new) in pairs {
            let there = to.store.entry(&to_keys, new)?;
            let here = from.store.entry(&from_keys, old)?;
            if !is_copy(&here, &there) {
                let text = format!(
                    "\"{old}\" was changed by another process meanwhile: it stays, with its copy"
                );
                return Err(Failure::failed(text));
            }
            writer.remove(old, here.header.rev)?;
        }
        let olds: Vec<Name> = pairs.iter().map(|(old, _)| old.clone()).collect();
        writer.commit(&several::message("remove", &olds))?;
        Ok(())
    }

    /// Asks before entries are replaced; without a terminal that takes `-f`.
    fn may_replace(&self, cx: &Context, replaced: &[Name]) -> Result<(), Failure> {
        let what = match replaced {
            [] => return Ok(()),
            _ if self.force => return Ok(()),
            [name] => format!("\"{name}\" is there already"),
            [name, rest @ ..] => {
                format!("\"{name}\" and {} more are there already", rest.len())
            }
        };
        match cx.confirm(&format!("{what}. Replace?"))? {
            Some(true) => Ok(()),
            Some(false) => Err(Failure::failed("nothing is changed")),
            None => Err(Failure::failed(what).hint("replace with -f")),
        }
    }

    /// What nobody was asked about is not replaced.
    fn check_replaced(&self, asked: &[Name], now: &[Name]) -> Result<(), Failure> {
        match now.iter().find(|name| !asked.contains(name)) {
            Some(name) if !self.force => {
                let text = format!("\"{name}\" was made by another process meanwhile");
                Err(Failure::failed(text).hint("replace with -f"))
            }
            _ => Ok(()),
        }
    }
}

/// What each entry that is meant will be called.
fn pairs(
    (from, old): (&Opened, &[Place]),
    (to, new): (&Opened, &Place),
) -> Result<Vec<Pair>, Failure> {
    let here = from.store.names()?;
    let there = to.store.names()?;
    let into = into_folder(new, &there);
    if old.len() > 1 && !into {
        return Err(Failure::usage(format!(
            "several entries go into a folder, and \"{}\" is none",
            new.name.as_ref().map_or("", Name::as_str)
        ))
        .hint("a final \"/\" makes it one"));
    }
    let is_same_store = from.store.path() == to.store.path();
    let mut pairs: Vec<Pair> = Vec::new();
    for place in old {
        let name = place.name.as_ref();
        let name = name.ok_or_else(|| Failure::usage("a whole store is not moved or copied"))?;
        let is_entry = !place.is_folder && here.binary_search(name).is_ok();
        let target = target(name, new, into)?;
        if is_same_store && target == *name {
            return Err(Failure::failed(format!(
                "\"{name}\" and the new name are the same"
            )));
        }
        if is_entry {
            pairs.push((name.clone(), target));
            continue;
        }
        if is_same_store && target.is_under(name.as_str()) {
            return Err(Failure::failed(format!(
                "the folder \"{name}\" does not go into itself"
            )));
        }
        let found = folder_pairs(&here, name, &target)?;
        if found.is_empty() {
            return Err(Context::no_entry(&from.store, name));
        }
        pairs.extend(found);
    }
    let mut targets: Vec<&Name> = pairs.iter().map(|(_, new)| new).collect();
    targets.sort_unstable();
    match targets.windows(2).find(|two| two.first() == two.last()) {
        Some([same, ..]) => Err(Failure::usage(format!(
            "two entries would be called \"{same}\""
        ))),
        _ => Ok(pairs),
    }
}

/// Whether the new place is a folder that things go into: it says so, or there is one and no entry of its name.
fn into_folder(new: &Place, there: &[Name]) -> bool {
    let Some(name) = &new.name else {
        return true;
    };
    let is_folder = || {
        there.binary_search(name).is_err()
            && there.iter().any(|other| other.is_under(name.as_str()))
    };
    new.is_folder || is_folder()
}

/// The new name of an entry or folder.
fn target(old: &Name, new: &Place, into: bool) -> Result<Name, Failure> {
    let text = match &new.name {
        None => old.last().to_owned(),
        Some(folder) if into => format!("{folder}/{}", old.last()),
        Some(name) => name.to_string(),
    };
    Ok(Name::parse(&text)?)
}

/// The entries in a folder and their names in another; an entry with the folder's own name stays where it is.
fn folder_pairs(names: &[Name], folder: &Name, target: &Name) -> Result<Vec<Pair>, Failure> {
    let mut pairs = Vec::new();
    for name in names {
        let rest = name.as_str().strip_prefix(folder.as_str());
        if let Some(rest) = rest.filter(|rest| rest.starts_with('/')) {
            pairs.push((name.clone(), Name::parse(&format!("{target}{rest}"))?));
        }
    }
    Ok(pairs)
}

/// The entries that would be replaced.
fn replaced(
    to: &Opened,
    pairs: &[Pair],
    is_leaving: impl Fn(&Name) -> bool,
) -> Result<Vec<Name>, Failure> {
    let there = to.store.names()?;
    let news = pairs.iter().map(|(_, new)| new);
    let is_replaced = |new: &&Name| there.binary_search(new).is_ok() && !is_leaving(new);
    Ok(news.filter(is_replaced).cloned().collect())
}

/// Opens the entries; one that is refused stops it all.
fn read(
    opened: &Opened,
    keys: &dyn Keeper,
    pairs: &[Pair],
) -> Result<Vec<(Pair, Header, Secret)>, Failure> {
    let entries = fs::parallel(pairs, PARALLEL_FROM, |(old, _)| {
        opened.store.entry(keys, old)
    });
    let mut read = Vec::with_capacity(pairs.len());
    for (pair, entry) in pairs.iter().zip(entries) {
        let Entry { header, secret } = entry?;
        read.push((pair.clone(), header, secret));
    }
    Ok(read)
}

/// The entries under their new names, each with a revision that is above that of what it replaces.
fn renamed(
    cx: &Context,
    to: &Opened,
    keys: &dyn Keeper,
    entries: Vec<(Pair, Header, Secret)>,
) -> Vec<(Name, Header, Secret)> {
    let mut out = Vec::with_capacity(entries.len());
    for ((_, new), header, secret) in entries {
        let rev = match to.store.has(&new) {
            Ok(true) => match to.store.entry(keys, &new) {
                Ok(replaced) => replaced.header.rev,
                Err(error) => {
                    cx.ui.warn(&Failure::from(error).message);
                    0
                }
            },
            _ => 0,
        };
        let rev = header.rev.max(rev);
        out.push((new, Header { rev, ..header }, secret));
    }
    out
}

/// Whether an entry says the same as another, apart from its name.
fn is_copy(here: &Entry, there: &Entry) -> bool {
    let name = there.header.name.clone();
    let header = Header {
        name,
        ..here.header.clone()
    };
    header.same_as(&there.header) && here.secret == there.secret
}

/// The message of the commit: the two names, or how many there are.
fn message(action: Action, pairs: &[Pair]) -> String {
    let verb = match action {
        Action::Move => "move",
        Action::Copy => "copy",
    };
    match pairs {
        [(old, new)] => format!("{verb} {old} to {new}"),
        [(old, new), rest @ ..] => {
            format!("{verb} {old} to {new} and {} more", rest.len())
        }
        [] => verb.to_owned(),
    }
}

fn tell(cx: &Context, action: Action, (from, to): (&str, &str), pairs: &[Pair]) {
    let done = match action {
        Action::Move => "moved",
        Action::Copy => "copied",
    };
    for (old, new) in pairs.iter().take(TOLD_MAX) {
        cx.ui
            .say(&format!("{done} \"{from}{old}\" to \"{to}{new}\""));
    }
    if let Some(more @ 1..) = pairs.len().checked_sub(TOLD_MAX) {
        cx.ui.say(&format!("{done} {more} more"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn check(old: &str, new: &str, there: &[&str], expected: &str) {
        let there: Vec<Name> = there.iter().map(|text| name(text)).collect();
        let place = Place::parse(new).unwrap();
        let into = into_folder(&place, &there);
        assert_eq!(
            target(&name(old), &place, into).unwrap().as_str(),
            expected,
            "{old} {new}"
        );
    }

    #[test]
    fn a_new_name_or_a_folder_to_go_into() {
        check("github/ci", "npm", &[], "npm");
        check("github/ci", "npm/", &[], "npm/ci");
        check("github/ci", "npm", &["npm/a"], "npm/ci");
        check("github/ci", "npm", &["npm", "npm/a"], "npm");
        check("github/ci", "/", &[], "ci");
        check("github/ci", "work:", &[], "ci");
        check("github/ci", "work:x/", &[], "x/ci");
        check("github", "GitHub", &["github/ci"], "GitHub");
    }

    #[test]
    fn what_is_no_place() {
        for text in ["", "//", "a//", "../x", "a:b:c", ".git/"] {
            assert!(Place::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_folder_takes_along_what_is_in_it_and_no_more() {
        let names: Vec<Name> = ["a", "a/x", "a/y/z", "ab/x"].map(name).to_vec();
        let pairs = folder_pairs(&names, &name("a"), &name("b/c")).unwrap();
        let shown: Vec<_> = pairs
            .iter()
            .map(|(old, new)| format!("{old} {new}"))
            .collect();
        assert_eq!(shown, ["a/x b/c/x", "a/y/z b/c/y/z"]);
    }

    #[test]
    fn the_message_names_both() {
        let pair = (name("a"), name("b"));
        assert_eq!(
            message(Action::Move, std::slice::from_ref(&pair)),
            "move a to b"
        );
        assert_eq!(
            message(Action::Copy, &[pair.clone(), pair]),
            "copy a to b and 1 more"
        );
    }
}
