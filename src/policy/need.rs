//! A token by what it must be able to do: the narrowest one that suffices and has not expired. Pure.

use std::fmt;

use jiff::Timestamp;

use crate::format::Header;
use crate::format::Name;
use crate::policy::scope::Provider;

/// What a token must be able to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Whose token.
    pub provider: String,
    /// The scopes that it must include.
    pub scopes: Vec<String>,
}

/// Why no token is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// No token suffices.
    None(Need),
    /// Tokens suffice, and all of them are expired.
    Expired(Need, Vec<String>),
    /// Two suffice, and neither is narrower.
    Tie(Need, String, String),
    /// The entry that is named does not suffice.
    Unfit(Need, String),
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scopes.as_slice() {
            [] => write!(f, "a token of {}", self.provider),
            scopes => write!(f, "a token of {} with {}", self.provider, scopes.join(", ")),
        }
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None(need) => write!(f, "there is no entry that is {need}"),
            Self::Expired(need, names) => {
                let names: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
                write!(
                    f,
                    "every entry that is {need} is expired: {}",
                    names.join(", ")
                )
            }
            Self::Tie(need, first, second) => write!(
                f,
                "both \"{first}\" and \"{second}\" are {need}, and neither is narrower"
            ),
            Self::Unfit(need, name) => write!(f, "\"{name}\" is not {need}"),
        }
    }
}

impl std::error::Error for Unmet {}

impl Need {
    /// Whether an entry is a token that suffices, expired or not. The losing side of a merge never is one.
    pub fn is_met_by(&self, header: &Header) -> bool {
        header.provider.as_ref() == Some(&self.provider)
            && Name::parse(&header.name).is_ok_and(|name| !name.is_conflict())
            && Provider::named(&self.provider).suffices(&header.scopes, &self.scopes)
    }

    /// The place of the narrowest one among some headers: that whose scopes include the fewest.
    pub fn narrowest(
        &self,
        headers: &[&Header],
        now: Timestamp,
        allow_expired: bool,
    ) -> Result<usize, Unmet> {
        let provider = Provider::named(&self.provider);
        let meets = |header: &Header| self.is_met_by(header);
        let mut ranked: Vec<(usize, usize, &str)> = headers
            .iter()
            .enumerate()
            .filter(|(_, header)| meets(header) && (allow_expired || !header.is_expired(now)))
            .map(|(at, header)| {
                let breadth = provider.closure(&header.scopes).len();
                (breadth, at, header.name.as_str())
            })
            .collect();
        ranked.sort_unstable_by_key(|(breadth, _, name)| (*breadth, *name));
        match ranked.as_slice() {
            [] => {
                let expired = headers.iter().filter(|header| meets(header));
                let expired: Vec<_> = expired.map(|header| header.name.clone()).collect();
                Err(if expired.is_empty() {
                    Unmet::None(self.clone())
                } else {
                    Unmet::Expired(self.clone(), expired)
                })
            }
            [(one, _, first), (other, _, second), ..] if one == other => Err(Unmet::Tie(
                self.clone(),
                (*first).to_owned(),
                (*second).to_owned(),
            )),
            [(_, at, _), ..] => Ok(*at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, scopes: &str, expires: Option<&str>) -> Header {
        Header {
            name: name.into(),
            provider: Some("github".into()),
            scopes: scopes.split_whitespace().map(str::to_owned).collect(),
            expires: expires.map(|text| text.parse().unwrap()),
            ..Header::default()
        }
    }

    fn check(scopes: &str, headers: &[Header], expected: Result<&str, &str>) {
        let need = Need {
            provider: "github".into(),
            scopes: scopes.split_whitespace().map(str::to_owned).collect(),
        };
        let now = "2027-01-01T00:00:00Z".parse().unwrap();
        let all: Vec<&Header> = headers.iter().collect();
        match (need.narrowest(&all, now, false), expected) {
            (Ok(at), Ok(name)) => assert_eq!(headers[at].name, name),
            (Err(unmet), Err(word)) => assert!(unmet.to_string().contains(word), "{unmet}"),
            (outcome, _) => panic!("{outcome:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn the_narrowest_that_suffices_is_chosen() {
        let all = [
            header("admin", "admin:org repo", None),
            header("write", "write:org", None),
            header("old", "read:org", Some("2026-12-31T00:00:00Z")),
            header("read.conflict-2026-01-01", "read:org", None),
        ];
        check("read:org", &all, Ok("write"));
        check("public_repo", &all, Ok("admin"));
        check("", &all, Ok("write"));
        check(
            "gist",
            &all,
            Err("no entry that is a token of github with gist"),
        );
        check("read:org", &all[2..3], Err("is expired: \"old\""));
        check("read:org", &[], Err("no entry"));
    }

    #[test]
    fn a_tie_is_no_choice() {
        let all = [
            header("one", "read:org", None),
            header("two", "read:org", None),
            header("more", "admin:org", None),
        ];
        check("read:org", &all, Err("both \"one\" and \"two\""));
        let other = Header {
            provider: Some("gitlab".into()),
            ..header("a", "read:org", None)
        };
        check("read:org", &[other, all[0].clone()], Ok("one"));
    }
}
