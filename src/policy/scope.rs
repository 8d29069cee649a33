//! What is known of providers: data, one file each. What scopes include, and where a token may go. Pure.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::policy::place::Place;

/// What is known of each provider, compiled in.
const DATA: [&str; 7] = [
    include_str!("scope/azure-devops.toml"),
    include_str!("scope/bitbucket.toml"),
    include_str!("scope/codeberg.toml"),
    include_str!("scope/gitea.toml"),
    include_str!("scope/github.toml"),
    include_str!("scope/gitlab.toml"),
    include_str!("scope/huggingface.toml"),
];

/// What is known in this run.
static ALL: OnceLock<Vec<Provider>> = OnceLock::new();

/// What is known of a provider.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Its name, as entries have it.
    pub provider: String,
    /// Variables in which programs expect its token.
    #[serde(default)]
    pub variables: Vec<String>,
    /// Hosts, each with its port where it is not the usual one, to which its token may go over HTTPS.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The user that goes with a token where nobody is named.
    pub username: Option<String>,
    /// Levels of `NAME:LEVEL`, from the least to the most.
    #[serde(default)]
    levels: Vec<String>,
    /// The scopes that a scope includes, one step down.
    #[serde(default)]
    includes: BTreeMap<String, Vec<String>>,
}

impl Provider {
    /// Everything that is known.
    pub fn all() -> &'static [Self] {
        ALL.get_or_init(|| {
            let read = |text: &&str| toml::from_str(text).ok();
            DATA.iter().filter_map(read).collect()
        })
    }

    /// Adds what a user knows: files of the same form. What one says of a provider that is known replaces that, key by key. To
    /// be called before anything is asked; the error is the place of the wrong text, and why.
    pub fn learn(texts: &[String]) -> Result<(), (usize, String)> {
        if texts.is_empty() {
            return Ok(());
        }
        let mut tables: Vec<toml::Table> =
            DATA.iter().filter_map(|text| text.parse().ok()).collect();
        for (at, text) in texts.iter().enumerate() {
            let wrong = |why: &str| (at, why.to_owned());
            let added: Self = toml::from_str(text).map_err(|error| wrong(error.message()))?;
            if let Some(host) = added.hosts.iter().find(|host| !is_host(host)) {
                return Err(wrong(&format!("\"{}\" is not a host", host.escape_debug())));
            }
            let table: toml::Table = text.parse().map_err(|_| wrong("it is not TOML"))?;
            let is_same = |old: &&mut toml::Table| old.get("provider") == table.get("provider");
            match tables.iter_mut().find(is_same) {
                Some(old) => old.extend(table),
                None => tables.push(table),
            }
        }
        let all = tables.into_iter().filter_map(|table| table.try_into().ok());
        // Whatever was asked already keeps its answers.
        let _ = ALL.set(all.collect());
        Ok(())
    }

    /// The provider of this name, if it is known.
    pub fn known(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|one| one.provider == name)
    }

    /// The provider of this name; of one that is not known no scope includes another.
    pub fn named(name: &str) -> Self {
        Self::known(name).cloned().unwrap_or_else(|| Self {
            provider: name.to_owned(),
            ..Self::default()
        })
    }

    /// The provider whose token programs expect in a variable.
    pub fn of_variable(variable: &str) -> Option<&'static Self> {
        let mut all = Self::all().iter();
        all.find(|one| one.variables.iter().any(|known| known == variable))
    }

    /// The scopes, and all that they include.
    pub fn closure(&self, scopes: &[String]) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        let mut open: Vec<String> = scopes.to_vec();
        while let Some(scope) = open.pop() {
            open.extend(self.includes.get(&scope).into_iter().flatten().cloned());
            open.extend(self.lower(&scope));
            all.insert(scope);
        }
        all
    }

    /// Whether some scopes include all that is wanted.
    pub fn suffices(&self, have: &[String], wanted: &[String]) -> bool {
        let all = self.closure(have);
        wanted.iter().all(|scope| all.contains(scope))
    }

    /// What some scopes include beyond what is wanted; of a scope and what it includes, the larger alone.
    pub fn excess(&self, have: &[String], wanted: &[String]) -> Vec<String> {
        let needed = self.closure(wanted);
        let beyond = |scope: &&String| !needed.contains(*scope);
        have.iter().filter(beyond).cloned().collect()
    }

    /// The next lower level of a fine-grained permission.
    fn lower(&self, scope: &str) -> Option<String> {
        let (name, level) = scope.rsplit_once(':')?;
        let at = self.levels.iter().position(|known| known == level)?;
        let below = self.levels.get(at.checked_sub(1)?)?;
        Some(format!("{name}:{below}"))
    }
}

/// A scope with its provider before it, such as `github:read:org`; `None` for one without, or of a provider that is not known.
pub fn of_provider(text: &str) -> Option<(&str, &str)> {
    let (provider, scope) = text.split_once(':')?;
    let is_known = Provider::known(provider).is_some();
    (is_known && !scope.is_empty()).then_some((provider, scope))
}

/// Whether a text is a host, with a port or without, and nothing else.
fn is_host(text: &str) -> bool {
    !text.contains('/')
        && Place::parse(text).is_ok_and(|(place, user)| user.is_none() && place.path.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_data_is_read() {
        assert_eq!(Provider::all().len(), DATA.len());
        for provider in Provider::all() {
            assert!(
                provider.hosts.iter().all(|host| is_host(host)),
                "{provider:?}"
            );
        }
    }

    #[test]
    fn a_scope_includes_what_lies_beneath_it() {
        let github = Provider::named("github");
        for (have, wanted, ok) in [
            ("repo", "public_repo", true),
            ("workflow", "repo:status", true),
            ("admin:org", "read:org", true),
            ("read:org", "admin:org", false),
            ("contents:write", "contents:read", true),
            ("contents:admin", "contents:read issues:read", false),
            ("contents:read", "contents:write", false),
            ("new_scope", "new_scope", true),
            ("", "", true),
            ("", "gist", false),
        ] {
            assert_eq!(
                github.suffices(&list(have), &list(wanted)),
                ok,
                "{have} for {wanted}"
            );
        }
        assert!(!Provider::named("other").suffices(&list("repo"), &list("public_repo")));
    }

    #[test]
    fn what_is_too_much_is_named() {
        let github = Provider::named("github");
        assert_eq!(
            github.excess(&list("repo read:org"), &list("read:org")),
            ["repo"]
        );
        assert_eq!(
            github.excess(&list("admin:org"), &list("read:org")),
            ["admin:org"]
        );
        assert!(
            github
                .excess(&list("read:org"), &list("admin:org"))
                .is_empty()
        );
    }

    #[test]
    fn a_scope_may_name_its_provider() {
        assert_eq!(of_provider("github:read:org"), Some(("github", "read:org")));
        for text in ["read:org", "github:", "github", "elsewhere:repo"] {
            assert_eq!(of_provider(text), None, "{text}");
        }
    }
}
