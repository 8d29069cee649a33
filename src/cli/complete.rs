//! Candidates for completion, from the store's files, the index and the configuration alone, so that it works while locked.
//!
//! Lives here: what may stand at a place of the command line. Never here: how a shell asks; that is `completions`. Nothing is
//! written, pinned or said: a person is in the middle of a line.

use std::ffi::OsStr;
use std::sync::Arc;

use clap_complete::ArgValueCompleter;
use clap_complete::CompletionCandidate;
use clap_complete::engine::SubcommandCandidates;

use crate::cli::context::Context;
use crate::cli::context::Site;
use crate::cli::ui::Ui;
use crate::config::Config;
use crate::config::SETTINGS;
use crate::dotfiles::memory::Facts;
use crate::format::Header;
use crate::sys::Env;
use crate::sys::mem::OriginalLimits;

/// Completes an entry's name, `STORE:NAME` included, one folder at a time.
pub(crate) fn names() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| of_text(current, name_candidates))
}

/// The same behind `VAR=`.
pub(crate) fn entries() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        of_text(current, |current| match current.split_once('=') {
            Some((variable, name)) => prefixed(&format!("{variable}="), name_candidates(name)),
            None => name_candidates(current),
        })
    })
}

/// Completes `vault NAME`, once a letter of it is typed.
pub(crate) fn bare() -> SubcommandCandidates {
    SubcommandCandidates::new(|| {
        let words = words();
        let current = words.last().map(String::as_str).unwrap_or_default();
        if current.is_empty() || current.starts_with('-') {
            return Vec::new();
        }
        candidates(name_candidates(current))
    })
}

/// Completes the name of a store, or a folder.
pub(crate) fn stores() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| of_text(current, |current| store_names("", current)))
}

/// Completes a dotfile by its place, as a path below the home directory, whole or with `~/`.
pub(crate) fn targets() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        of_text(current, |current| {
            let Some((env, site)) = site(None) else {
                return Vec::new();
            };
            let home = env.places.home.as_ref().and_then(|home| home.to_str());
            let whole = home.map(|home| format!("{home}/"));
            let leads = std::iter::once("~/").chain(whole.as_deref());
            let lead = leads.into_iter().find(|lead| current.starts_with(lead));
            let (lead, current) = lead.map_or(("", current), |lead| current.split_at(lead.len()));
            let headers = crate::store::headers_at(&site.path, &env.places.state);
            let headers = headers.unwrap_or_default().into_iter();
            let targets = headers.filter_map(|header| Facts::of(&header));
            let fitting = targets.map(|facts| facts.target);
            prefixed(
                lead,
                fitting
                    .filter(|target| target.starts_with(current))
                    .collect(),
            )
        })
    })
}

/// Completes the name of a member, by the key files.
pub(crate) fn members() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        of_text(current, |current| {
            let names = site(None).and_then(|(_, site)| crate::store::members_at(&site.path).ok());
            let names = names.unwrap_or_default().into_iter();
            names.filter(|name| name.starts_with(current)).collect()
        })
    })
}

/// Completes the key of a setting.
pub(crate) fn settings() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        of_text(current, |current| {
            let env = Env::of_process();
            let named = Config::load(&env).unwrap_or_default().stores;
            let of_store = |pattern: &str| -> Vec<String> {
                named
                    .keys()
                    .map(|name| pattern.replace('*', name))
                    .collect()
            };
            let keys = SETTINGS.iter().flat_map(|setting| match setting.key {
                pattern if pattern.contains('*') => of_store(pattern),
                key => vec![key.to_owned()],
            });
            keys.filter(|key| key.starts_with(current)).collect()
        })
    })
}

/// Completes a provider that some entry has.
pub(crate) fn providers() -> ArgValueCompleter {
    of_headers(|header| header.provider.iter().collect())
}

/// Completes a scope that some entry has.
pub(crate) fn scopes() -> ArgValueCompleter {
    of_headers(|header| header.scopes.iter().collect())
}

/// Completes a tag that some entry has.
pub(crate) fn tags() -> ArgValueCompleter {
    of_headers(|header| header.tags.iter().collect())
}

/// Completes a profile that some entry is in.
pub(crate) fn profiles() -> ArgValueCompleter {
    of_headers(|header| header.profiles.iter().collect())
}

/// Completes a variable that some entry has.
pub(crate) fn variables() -> ArgValueCompleter {
    of_headers(|header| header.env.iter().collect())
}

/// The words of the line that is being typed, up to the one that is wanted: our arguments after `-- INDEX`.
pub(super) fn words() -> Vec<String> {
    let mut args = std::env::args_os().skip_while(|arg| arg != "--").skip(1);
    let index = args.next().and_then(|index| index.to_str()?.parse().ok());
    args.take(index.map_or(usize::MAX, |index: usize| index + 1))
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

fn of_text(current: &OsStr, find: impl Fn(&str) -> Vec<String>) -> Vec<CompletionCandidate> {
    candidates(current.to_str().map(find).unwrap_or_default())
}

fn candidates(mut texts: Vec<String>) -> Vec<CompletionCandidate> {
    texts.sort_unstable();
    texts.dedup();
    texts.into_iter().map(CompletionCandidate::new).collect()
}

fn prefixed(lead: &str, texts: Vec<String>) -> Vec<String> {
    texts
        .into_iter()
        .map(|text| format!("{lead}{text}"))
        .collect()
}

/// The values that the index has of a field.
fn of_headers(field: fn(&Header) -> Vec<&String>) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| {
        of_text(current, |current| {
            let Some((env, site)) = site(None) else {
                return Vec::new();
            };
            let headers = crate::store::headers_at(&site.path, &env.places.state);
            let headers = headers.unwrap_or_default();
            let values = headers.iter().flat_map(field);
            values
                .filter(|value| value.starts_with(current))
                .cloned()
                .collect()
        })
    })
}

fn name_candidates(current: &str) -> Vec<String> {
    let (store, prefix) = match current.split_once(':') {
        Some((store, prefix)) => (Some(store), prefix),
        None => (None, current),
    };
    let Some((_, site)) = site(store) else {
        return Vec::new();
    };
    let names = crate::store::names_at(&site.path).unwrap_or_default();
    let parts = names
        .iter()
        .filter_map(|name| next_part(name.as_str(), prefix));
    let mut texts = match store {
        Some(store) => prefixed(&format!("{store}:"), parts.collect()),
        None => parts.collect(),
    };
    if store.is_none() && !current.is_empty() {
        texts.extend(store_names(":", current));
    }
    texts
}

fn store_names(end: &str, current: &str) -> Vec<String> {
    let config = Config::load(&Env::of_process()).unwrap_or_default();
    let names = config
        .stores
        .into_keys()
        .filter(|name| name.starts_with(current));
    names.map(|name| format!("{name}{end}")).collect()
}

/// The store that is meant: the named one, else what `--store` on the line says, else the usual one.
fn site(named: Option<&str>) -> Option<(Arc<Env>, Site)> {
    let env = Env::of_process();
    let ui = Ui::new(&env);
    let cx = Context::new(env, ui, OriginalLimits::unchanged(), store_flag(&words()));
    let site = cx.site(named).ok()?;
    Some((cx.env, site))
}

/// What `--store` says on the line, if it is there.
fn store_flag(words: &[String]) -> Option<String> {
    let line = words.split_last().map(|(_, before)| before)?;
    let line = line.split(|word| word == "--").next()?;
    line.iter()
        .enumerate()
        .find_map(|(at, word)| match word.as_str() {
            "--store" | "-S" => line.get(at + 1).cloned(),
            word => word.strip_prefix("--store=").map(str::to_owned),
        })
}

/// The name up to the next `/` after what is typed already.
fn next_part(name: &str, prefix: &str) -> Option<String> {
    let rest = name.strip_prefix(prefix)?;
    let end = rest
        .find('/')
        .map_or(name.len(), |at| prefix.len() + at + 1);
    name.get(..end).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::next_part;
    use super::store_flag;

    #[test]
    fn the_store_of_the_line_is_found() {
        for (line, store) in [
            ("vault get ", None),
            ("vault --store work get ", Some("work")),
            ("vault get -S work ", Some("work")),
            ("vault get --store=work x", Some("work")),
            ("vault --store wo", None),
            ("vault exec -- x --store y ", None),
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(store_flag(&words).as_deref(), store, "{line}");
        }
    }

    #[test]
    fn a_name_is_completed_one_folder_at_a_time() {
        for (prefix, part) in [
            ("", Some("github/")),
            ("git", Some("github/")),
            ("github/", Some("github/ci/")),
            ("github/ci/r", Some("github/ci/release")),
            ("x", None),
        ] {
            assert_eq!(
                next_part("github/ci/release", prefix).as_deref(),
                part,
                "{prefix}"
            );
        }
    }
}
