//! Candidates for completion: entry names, from the store's files alone, so that it works while locked.

use std::ffi::OsStr;

use clap_complete::ArgValueCompleter;
use clap_complete::CompletionCandidate;

use crate::cli::context::Context;
use crate::cli::ui::Ui;
use crate::sys::Env;
use crate::sys::mem::OriginalLimits;

/// Completes an entry's name, `STORE:NAME` included, one folder at a time.
pub(crate) fn names() -> ArgValueCompleter {
    ArgValueCompleter::new(candidates)
}

fn candidates(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else {
        return Vec::new();
    };
    let env = Env::of_process();
    let ui = Ui::new(&env);
    let cx = Context::new(env, ui, OriginalLimits::unchanged(), None);
    let (store, prefix) = match current.split_once(':') {
        Some((store, prefix)) => (Some(store), prefix),
        None => (None, current),
    };
    let Ok(site) = cx.site(store) else {
        return Vec::new();
    };
    let Ok(names) = crate::store::names_at(&site.path) else {
        return Vec::new();
    };
    let lead = store.map(|store| format!("{store}:")).unwrap_or_default();
    let mut texts: Vec<String> = names
        .iter()
        .filter_map(|name| next_part(name.as_str(), prefix))
        .collect();
    texts.sort_unstable();
    texts.dedup();
    texts
        .into_iter()
        .map(|text| CompletionCandidate::new(format!("{lead}{text}")))
        .collect()
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
