//! `vault env init`: a project file for the variables that a project uses. No value is copied into it.

use std::path::Path;

use crate::cli::Outcome;
use crate::cli::asking;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::failure::Failure;
use crate::exec::dotenv;
use crate::exec::project;
use crate::exec::reference::Field;
use crate::exec::reference::Reference;
use crate::exec::reference::SCHEME;
use crate::format::Header;
use crate::format::Name;
use crate::policy::scope::Provider;
use crate::policy::select::DEFAULT_PROFILE;
use crate::policy::variable;
use crate::secret::Secret;
use crate::sys::fs;
use crate::sys::fs::Dir;

/// The files that tell which variables a project uses.
const SOURCES: [&str; 6] = [
    ".env",
    ".env.local",
    ".env.example",
    ".env.sample",
    ".env.template",
    ".env.dist",
];
/// Most bytes of one of them.
const SOURCE_MAX_BYTES: u64 = 1 << 20;
/// A shorter value is not looked for among the entries: it would be found by chance.
const VALUE_MIN_BYTES: usize = 8;
/// From this many entries on, opening them is shared among the cores.
const PARALLEL_FROM: usize = 4;

/// A variable that the project uses, and its value where a file has one.
struct Used {
    name: String,
    value: Secret,
}

/// What the project file says of a variable.
enum Line {
    /// An entry or a need, as TOML.
    Value(String),
    /// Nothing fits: why, as a comment.
    Open(String),
}

/// Writes the project file into this folder.
pub(super) fn write(cx: &mut Context, force: bool) -> Outcome {
    let path = cx.env.cwd.join(project::FILE);
    let dir = Dir::open(&cx.env.cwd)?;
    if !force && dir.stat(Path::new(project::FILE))?.is_some() {
        let text = format!("{} is there already", path.display());
        return Err(Failure::failed(text).hint("replace it with -f"));
    }
    let used = used(&dir)?;
    if used.is_empty() {
        let text = format!("there is no variable in {}", SOURCES.join(", "));
        return Err(Failure::failed(text).hint(
            "write the project file by hand: [env] and lines such as GITHUB_TOKEN = \"github/ci\"",
        ));
    }
    let opened = cx.open(None)?;
    let known = asking::known(cx, &opened)?.known;
    let values = by_value(cx, &opened, &known, &used);
    let mut text = String::from(
        "# What this project needs of the vault. `vault env check` says how that stands, `vault allow` permits it.\n\n[env]\n",
    );
    let (mut found, mut open) = (0, 0);
    for (one, by_value) in used.iter().zip(values) {
        match line(one, by_value, &known) {
            Line::Value(value) => {
                found += 1;
                text.push_str(&format!("{} = {value}\n", one.name));
            }
            Line::Open(why) => {
                open += 1;
                text.push_str(&format!("# {}: {why}\n", one.name));
            }
        }
    }
    dir.replace(Path::new(project::FILE), text.as_bytes())?;
    cx.ui.say(&format!(
        "wrote {}: {found} variables from the vault, {open} left open",
        path.display()
    ));
    cx.ui.say("look it over, then permit it with: vault allow");
    Ok(0)
}

/// The variables of all the files, each once, with the first value that is not empty.
fn used(dir: &Dir) -> Result<Vec<Used>, Failure> {
    let mut all: Vec<Used> = Vec::new();
    for file in SOURCES {
        let Some(bytes) = dir.read(Path::new(file), SOURCE_MAX_BYTES)? else {
            continue;
        };
        let bytes = Secret::new(bytes);
        let lines = dotenv::parse(bytes.expose());
        let lines = lines.map_err(|wrong| Failure::failed(format!("{file}: {wrong}")))?;
        for line in lines {
            match all.iter_mut().find(|one| one.name == line.name) {
                Some(one) if one.value.is_empty() => one.value = line.value,
                Some(_) => {}
                None if variable::is_dangerous(&line.name) => {}
                None => all.push(Used {
                    name: line.name,
                    value: line.value,
                }),
            }
        }
    }
    Ok(all)
}

/// For each variable the entry that has its very value, where the store opens without a question. An entry that asks before
/// each use is not opened for this.
fn by_value(cx: &Context, opened: &Opened, known: &[Header], used: &[Used]) -> Vec<Option<String>> {
    let is_looked_for = |one: &&Used| one.value.len() >= VALUE_MIN_BYTES;
    let keys = used
        .iter()
        .find(is_looked_for)
        .and_then(|_| cx.unlock_silently(opened));
    let Some(keys) = keys else {
        return used.iter().map(|_| None).collect();
    };
    let names: Vec<Name> = known
        .iter()
        .filter(|header| !header.confirm)
        .filter_map(|header| Name::parse(&header.name).ok())
        .collect();
    let found = fs::parallel(&names, PARALLEL_FROM, |name| {
        let entry = opened.store.entry(&keys, name).ok()?;
        let has = |one: &Used| one.value.as_line() == entry.secret.as_line();
        let at: Vec<usize> = used
            .iter()
            .enumerate()
            .filter(|(_, one)| is_looked_for(one) && has(one))
            .map(|(at, _)| at)
            .collect();
        (!at.is_empty()).then(|| (name.to_string(), at))
    });
    let mut values: Vec<Option<String>> = used.iter().map(|_| None).collect();
    for (name, places) in found.into_iter().flatten() {
        for at in places {
            if let Some(value) = values.get_mut(at) {
                value.get_or_insert_with(|| name.clone());
            }
        }
    }
    values
}

fn line(used: &Used, by_value: Option<String>, known: &[Header]) -> Line {
    let text = std::str::from_utf8(used.value.expose()).unwrap_or_default();
    if let Some(Ok(reference)) = Reference::of_text(text) {
        let text = match reference.field {
            Field::Secret => reference.name.to_string(),
            _ => format!("{SCHEME}{reference}"),
        };
        return Line::Value(quoted(&text));
    }
    if let Some(name) = by_value {
        return Line::Value(quoted(&name));
    }
    let is_entry =
        |header: &&Header| Name::parse(&header.name).is_ok_and(|name| !name.is_conflict());
    let all: Vec<&Header> = known.iter().filter(is_entry).collect();
    let named: Vec<&&Header> = all
        .iter()
        .filter(|header| header.env.as_deref() == Some(&used.name))
        .collect();
    let default: Vec<_> = named
        .iter()
        .filter(|header| header.profiles.iter().any(|one| one == DEFAULT_PROFILE))
        .collect();
    match (named.as_slice(), default.as_slice()) {
        ([one], _) => return Line::Value(quoted(&one.name)),
        (_, [one]) => return Line::Value(quoted(&one.name)),
        ([], _) => {}
        (several, _) => {
            return Line::Open(format!("one of {}", names(several.iter().map(|one| **one))));
        }
    }
    let Some(provider) = Provider::of_variable(&used.name) else {
        return Line::Open(format!(
            "no entry names it; vault add NAME --env {} makes one, {{ default = \"...\" }} is a plain value",
            used.name
        ));
    };
    let of_provider: Vec<&Header> = all
        .into_iter()
        .filter(|header| header.provider.as_ref() == Some(&provider.provider))
        .collect();
    match of_provider.as_slice() {
        [] => Line::Open(format!(
            "there is no token of {}; vault add NAME --provider {} makes one",
            provider.provider, provider.provider
        )),
        [one] => Line::Value(quoted(&one.name)),
        several => Line::Open(format!(
            "one of {}; or what it must be able to do: {{ provider = \"{}\", scopes = [\"...\"] }}",
            names(several.iter().copied()),
            provider.provider
        )),
    }
}

fn names<'h>(headers: impl Iterator<Item = &'h Header>) -> String {
    let names: Vec<_> = headers.map(|header| quoted(&header.name)).collect();
    names.join(", ")
}

/// A name as a TOML string; a name has no character that would need more.
fn quoted(name: &str) -> String {
    toml::Value::from(name).to_string()
}
