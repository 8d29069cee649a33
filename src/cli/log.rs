//! `vault log`: the versions of an entry, or all changes of the store, newest first.

use serde_json::Map;
use serde_json::Value;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::context::Target;
use crate::cli::failure::Failure;
use crate::cli::show::MASK;
use crate::cli::ui::Style;
use crate::cli::uses;
use crate::cli::view;
use crate::format::Header;
use crate::format::Name;
use crate::format::expiry;
use crate::secret::Secret;
use crate::store::Entry;
use crate::store::Error;
use crate::store::history::Version;
use crate::store::keeper::Keeper;
use crate::sys::fs;

/// How many digits of a commit's id are shown.
const SHORT: usize = 10;
/// From this many versions on, opening them is shared among the cores.
const PARALLEL_FROM: usize = 8;
/// Header lines that change with every version, or stand in the version's own line.
const CONSTANT: [&str; 2] = ["created", "modified"];

/// Arguments of `log`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Each line has the time, the commit, the revision where the store is unlocked, and what was done. An entry that was moved
begins with its move: look at the old name for what was before.

Examples:
  vault log
  vault log github/ci
  vault log -p github/ci
  vault log --use")]
pub(crate) struct Args {
    /// The entry: NAME, or STORE:NAME [default: every change of the store]
    #[arg(add = complete::names())]
    name: Option<String>,
    /// Show who used entries on this device and when, instead of what changed
    #[arg(long = "use", conflicts_with_all = ["patch", "reveal"])]
    uses: bool,
    /// Show what each version changed in the metadata, and whether in the secret
    #[arg(short, long, requires = "name")]
    patch: bool,
    /// Show the secrets with -p
    #[arg(long, requires = "patch")]
    reveal: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A version, and what was in it as far as it could be opened: with its secret only where that is needed.
struct Opening {
    version: Version,
    entry: Option<Result<Entry, Error>>,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let target = self.name.as_deref().map(Target::parse).transpose()?;
        let store = target.as_ref().and_then(|target| target.store.as_deref());
        let opened = cx.open(store)?;
        let name = target.as_ref().map(|target| &target.name);
        if self.uses {
            return uses::print(cx, &opened, name, self.json);
        }
        let versions = opened.store.versions(name)?;
        if let Some(name) = name
            && versions.is_empty()
        {
            return Err(Context::no_entry(&opened.store, name));
        }
        let keys = self.keys(cx, &opened)?;
        let mut openings = self.open_all(&opened, keys.as_deref(), name, versions);
        if self.reveal {
            check_consent(&mut openings)?;
        }
        if self.json {
            let list = openings.iter().enumerate().map(|(number, opening)| {
                self.to_json(opening, openings.get(number + 1..).unwrap_or_default())
            });
            let list = Value::Array(list.collect());
            view::print_json(&mut cx.ui, &list);
            return Ok(0);
        }
        for (number, opening) in openings.iter().enumerate() {
            line(cx, opening);
            if self.patch {
                let before = openings.get(number + 1..).unwrap_or_default();
                self.print_patch(cx, opening, entry_of(before));
            }
        }
        Ok(0)
    }
}

impl Args {
    /// The keys: needed for what was in a version, welcome for its revision.
    fn keys(&self, cx: &Context, opened: &Opened) -> Result<Option<Box<dyn Keeper>>, Failure> {
        if self.patch {
            return cx.unlock(opened).map(Some);
        }
        if self.name.is_none() {
            return Ok(None);
        }
        Ok(cx.unlock_silently(opened))
    }

    fn open_all(
        &self,
        opened: &Opened,
        keys: Option<&dyn Keeper>,
        name: Option<&Name>,
        versions: Vec<Version>,
    ) -> Vec<Opening> {
        let store = &opened.store;
        let entries = fs::parallel(&versions, PARALLEL_FROM, |version| {
            let (keys, name, blob) = (keys?, name?, version.blob?);
            if self.patch {
                return Some(store.version(keys, name, blob));
            }
            // For its revision nobody is asked for consent.
            let header = store.look_at_version(keys, name, blob);
            let secret = Secret::new(Vec::new());
            Some(header.map(|header| Entry { header, secret }))
        });
        let pairs = versions.into_iter().zip(entries);
        pairs
            .map(|(version, entry)| Opening { version, entry })
            .collect()
    }

    fn to_json(&self, opening: &Opening, before: &[Opening]) -> Value {
        let version = &opening.version;
        let mut object = Map::new();
        let mut set = |key: &str, value: Value| drop(object.insert(key.to_owned(), value));
        set("commit", version.commit.to_string().into());
        set("time", version.time.to_string().into());
        set("subject", version.subject.clone().into());
        if self.name.is_some() {
            set("removed", version.blob.is_none().into());
        }
        if let Some(Ok(entry)) = &opening.entry {
            set("rev", entry.header.rev.into());
            if self.patch {
                let old = entry_of(before);
                let changes = changes(old.map(|old| &old.header), &entry.header);
                set("changes", changes.into());
                let is_new = old.is_none_or(|old| old.secret != entry.secret);
                set("secret_changed", is_new.into());
            }
            if self.patch && self.reveal {
                set("secret", super::show::json_secret(&entry.secret));
            }
        }
        Value::Object(object)
    }

    fn print_patch(&self, cx: &mut Context, opening: &Opening, before: Option<&Entry>) {
        let entry = match &opening.entry {
            Some(Ok(entry)) => entry,
            Some(Err(error)) => {
                let text = cx.ui.paint(&error.to_string(), Style::Red).into_owned();
                cx.ui.line(&format!("    ! {text}"));
                return;
            }
            None => return,
        };
        for change in changes(before.map(|before| &before.header), &entry.header) {
            let style = if change.starts_with('+') {
                Style::Green
            } else {
                Style::Red
            };
            let change = cx.ui.paint(&change, style).into_owned();
            cx.ui.line(&format!("    {change}"));
        }
        if before.is_some_and(|before| before.secret == entry.secret) {
            return;
        }
        let what = if before.is_some() { "changed" } else { "new" };
        if !self.reveal {
            cx.ui.line(&format!("    secret {what}: {MASK}"));
            return;
        }
        cx.ui.line(&format!("    secret {what}:"));
        for secret_line in String::from_utf8_lossy(entry.secret.expose()).lines() {
            let shown = cx.ui.paint(secret_line, Style::Plain).into_owned();
            cx.ui.line(&format!("    | {shown}"));
        }
    }
}

/// What asks for consent now does so for its earlier values, too: they may be from before it was marked, and the same.
fn check_consent(openings: &mut [Opening]) -> Result<(), Failure> {
    let newest = openings.iter_mut().find_map(|one| one.entry.as_mut());
    match newest {
        Some(Err(Error::Denied(entry, why))) => {
            Err(Error::Denied(std::mem::take(entry), std::mem::take(why)).into())
        }
        _ => Ok(()),
    }
}

/// The nearest earlier value; none where the entry was removed in between.
fn entry_of(before: &[Opening]) -> Option<&Entry> {
    match &before.first()?.entry {
        Some(Ok(entry)) => Some(entry),
        _ => None,
    }
}

fn line(cx: &mut Context, opening: &Opening) {
    let version = &opening.version;
    let time = expiry::show(version.time);
    let commit: String = version.commit.to_string().chars().take(SHORT).collect();
    let rev = match &opening.entry {
        Some(Ok(entry)) => format!("  rev {}", entry.header.rev),
        Some(Err(_)) => "  rev ?".to_owned(),
        None => String::new(),
    };
    let style = if version.blob.is_none() && opening.entry.is_none() {
        Style::Dim
    } else {
        Style::Plain
    };
    let time = cx.ui.paint(&time, Style::Dim).into_owned();
    let commit = cx.ui.paint(&commit, Style::Yellow).into_owned();
    let subject = cx.ui.paint(&version.subject, style).into_owned();
    cx.ui.line(&format!("{time}  {commit}{rev}  {subject}"));
}

/// The header lines that went (`-`) and came (`+`), in the specification's order.
fn changes(before: Option<&Header>, after: &Header) -> Vec<String> {
    let lines = |header: &Header| -> Vec<String> {
        let known = header.lines().into_iter();
        let known = known.filter(|(key, _)| !CONSTANT.contains(key));
        let known = known.map(|(key, value)| format!("{key} = {value}"));
        known.chain(header.unknown.iter().cloned()).collect()
    };
    let (old, new) = (before.map(lines).unwrap_or_default(), lines(after));
    let gone = old.iter().filter(|line| !new.contains(line));
    let came = new.iter().filter(|line| !old.contains(line));
    gone.map(|line| format!("- {line}"))
        .chain(came.map(|line| format!("+ {line}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_a_change() {
        let before = Header {
            provider: Some("github".into()),
            scopes: vec!["repo".into()],
            unknown: vec!["x = 1".into()],
            rev: 1,
            ..Header::default()
        };
        let after = Header {
            scopes: vec!["repo".into(), "gist".into()],
            env: Some("A".into()),
            unknown: Vec::new(),
            rev: 2,
            modified: "2027-01-01T00:00:00Z".parse().ok(),
            ..before.clone()
        };
        assert_eq!(
            changes(Some(&before), &after),
            [
                "- scopes = [\"repo\"]",
                "- x = 1",
                "+ scopes = [\"repo\", \"gist\"]",
                "+ env = \"A\""
            ]
        );
        assert_eq!(changes(None, &before).len(), 3);
    }
}
