//! Which entries a request means. Asked twice: of the index, for candidates, and of verified headers, to decide.

use jiff::Timestamp;

use crate::format::Header;
use crate::format::Name;

/// The profile that is meant when none is named.
pub const DEFAULT_PROFILE: &str = "default";

/// What an entry must be like. Several conditions narrow each other; within a list, one is enough for
/// profiles, and all are needed for scopes and tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// In one of these profiles.
    pub profiles: Vec<String>,
    /// In this folder.
    pub under: Option<String>,
    /// With all of these scopes.
    pub scopes: Vec<String>,
    /// With all of these tags.
    pub tags: Vec<String>,
    /// Of this provider.
    pub provider: Option<String>,
    /// With this variable; an empty text means any.
    pub env: Option<String>,
    /// Expiring before this instant, expired ones included.
    pub expiring_before: Option<Timestamp>,
    /// Expired at this instant.
    pub expired_at: Option<Timestamp>,
}

impl Filter {
    /// Whether an entry is meant.
    pub fn accepts(&self, header: &Header) -> bool {
        let all = |wanted: &[String], have: &[String]| wanted.iter().all(|one| have.contains(one));
        let under =
            |prefix: &String| Name::parse(&header.name).is_ok_and(|name| name.is_under(prefix));
        (self.profiles.is_empty()
            || self
                .profiles
                .iter()
                .any(|profile| header.profiles.contains(profile)))
            && self.under.as_ref().is_none_or(under)
            && all(&self.scopes, &header.scopes)
            && all(&self.tags, &header.tags)
            && self
                .provider
                .as_ref()
                .is_none_or(|wanted| header.provider.as_ref() == Some(wanted))
            && self.env.as_ref().is_none_or(|wanted| {
                header
                    .env
                    .as_ref()
                    .is_some_and(|env| wanted.is_empty() || env == wanted)
            })
            && self
                .expiring_before
                .is_none_or(|limit| header.expires.is_some_and(|at| at < limit))
            && self.expired_at.is_none_or(|now| header.is_expired(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(filter: &Filter, expected: bool) {
        let header = Header {
            name: "github/ci".into(),
            provider: Some("github".into()),
            scopes: vec!["repo".into(), "read:org".into()],
            profiles: vec!["default".into(), "ci".into()],
            env: Some("GITHUB_TOKEN".into()),
            expires: "2027-02-20T00:00:00Z".parse().ok(),
            ..Header::default()
        };
        assert_eq!(filter.accepts(&header), expected, "{filter:?}");
    }

    #[test]
    fn conditions_narrow_each_other() {
        let base = Filter::default();
        let list = |text: &str| vec![text.to_owned()];
        check(&base, true);
        check(
            &Filter {
                profiles: vec!["x".into(), "ci".into()],
                ..base.clone()
            },
            true,
        );
        check(
            &Filter {
                profiles: list("x"),
                ..base.clone()
            },
            false,
        );
        check(
            &Filter {
                under: Some("github".into()),
                scopes: list("repo"),
                ..base.clone()
            },
            true,
        );
        check(
            &Filter {
                under: Some("git".into()),
                ..base.clone()
            },
            false,
        );
        check(
            &Filter {
                scopes: vec!["repo".into(), "gist".into()],
                ..base.clone()
            },
            false,
        );
        check(
            &Filter {
                env: Some(String::new()),
                ..base.clone()
            },
            true,
        );
        check(
            &Filter {
                env: Some("X".into()),
                ..base.clone()
            },
            false,
        );
    }

    #[test]
    fn expiry_is_a_condition_too() {
        let base = Filter::default();
        let at = |text: &str| Some(text.parse().unwrap());
        check(
            &Filter {
                expiring_before: at("2027-02-20T00:00:01Z"),
                ..base.clone()
            },
            true,
        );
        check(
            &Filter {
                expiring_before: at("2027-02-20T00:00:00Z"),
                ..base.clone()
            },
            false,
        );
        check(
            &Filter {
                expired_at: at("2027-02-20T00:00:00Z"),
                ..base
            },
            true,
        );
    }
}
