//! What scopes include, by provider: data, and the closure over it. Pure.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::Deserialize;

/// What is known of each provider, compiled in.
const DATA: [&str; 1] = [include_str!("scope/github.toml")];

/// What is known of a provider's scopes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Its name, as entries have it.
    pub provider: String,
    /// Variables in which programs expect its token.
    #[serde(default)]
    pub variables: Vec<String>,
    /// Levels of `NAME:LEVEL`, from the least to the most.
    #[serde(default)]
    levels: Vec<String>,
    /// The scopes that a scope includes, one step down.
    #[serde(default)]
    includes: BTreeMap<String, Vec<String>>,
}

impl Provider {
    /// Everything that is known, one after the other.
    pub fn all() -> impl Iterator<Item = Self> {
        DATA.iter().filter_map(|text| toml::from_str(text).ok())
    }

    /// The provider of this name; of one that is not known no scope includes another.
    pub fn named(name: &str) -> Self {
        let known = Self::all().find(|one| one.provider == name);
        known.unwrap_or_else(|| Self {
            provider: name.to_owned(),
            ..Self::default()
        })
    }

    /// The provider whose token programs expect in a variable.
    pub fn of_variable(variable: &str) -> Option<Self> {
        Self::all().find(|one| one.variables.iter().any(|known| known == variable))
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
    let is_known = Provider::all().any(|one| one.provider == provider);
    (is_known && !scope.is_empty()).then_some((provider, scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_data_is_read() {
        assert_eq!(Provider::all().count(), DATA.len());
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
