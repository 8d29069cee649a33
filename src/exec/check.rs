//! How what a project asks for stands against what is known of the entries. Pure, and a hint: `exec` decides on verified headers.

use jiff::Timestamp;

use crate::exec::project::Source;
use crate::exec::project::Variable;
use crate::exec::reference::Field;
use crate::format::Header;
use crate::format::Name;
use crate::policy::need::Need;
use crate::policy::need::Unmet;
use crate::policy::scope::Provider;
use crate::secret::Secret;

/// How one variable stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The entry that it would come from.
    pub entry: Option<String>,
    /// How it stands.
    pub standing: Standing,
    /// Scopes that the token has beyond what is asked for.
    pub excess: Vec<String>,
    /// Until when the token is valid.
    pub expires: Option<Timestamp>,
}

/// How a variable stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It would be set.
    Fine,
    /// It is a plain value.
    Plain,
    /// There is no such entry.
    Missing,
    /// The entry, or each that suffices, is expired.
    Expired,
    /// The entry does not suffice.
    Unfit,
    /// The entry has nothing in the field.
    NoField,
    /// Two entries suffice, and neither is narrower.
    Tie(String, String),
    /// This device has not read the entry yet.
    Unread,
}

impl Standing {
    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Plain => "plain",
            Self::Missing => "missing",
            Self::Expired => "expired",
            Self::Unfit => "unfit",
            Self::NoField => "empty",
            Self::Tie(..) => "tie",
            Self::Unread => "unread",
        }
    }

    /// Whether `exec` would refuse to start.
    pub fn stops(&self, variable: &Variable) -> bool {
        match self {
            Self::Fine | Self::Plain | Self::Unread => false,
            Self::Missing => variable.is_required && variable.default.is_none(),
            Self::Expired | Self::Unfit | Self::NoField | Self::Tie(..) => true,
        }
    }
}

/// Judges one variable by the headers that are known, and the names of entries that are not read.
pub fn judge(variable: &Variable, known: &[Header], unread: &[Name], now: Timestamp) -> Judged {
    let bare = |standing| Judged {
        entry: None,
        standing,
        excess: Vec::new(),
        expires: None,
    };
    match &variable.source {
        Source::Plain => bare(Standing::Plain),
        Source::Entry(name, need) => {
            let header = known.iter().find(|header| header.name == name.as_str());
            if let Some(header) = header {
                return of_header(variable, header, need.as_ref(), now);
            }
            let is_unread = unread.contains(name);
            let standing = if is_unread {
                Standing::Unread
            } else {
                Standing::Missing
            };
            Judged {
                entry: Some(name.to_string()),
                ..bare(standing)
            }
        }
        Source::Need(need) => {
            let all: Vec<&Header> = known.iter().collect();
            match need.narrowest(&all, now, false) {
                Ok(at) => all.get(at).map_or_else(
                    || bare(Standing::Missing),
                    |header| of_header(variable, header, Some(need), now),
                ),
                Err(Unmet::Expired(_, names)) => Judged {
                    entry: names.into_iter().next(),
                    ..bare(Standing::Expired)
                },
                Err(Unmet::Tie(_, one, other)) => bare(Standing::Tie(one, other)),
                Err(Unmet::None(_) | Unmet::Unfit(..)) => bare(Standing::Missing),
            }
        }
    }
}

fn of_header(variable: &Variable, header: &Header, need: Option<&Need>, now: Timestamp) -> Judged {
    let has_field = || {
        let nothing = Secret::new(Vec::new());
        variable.field == Field::Secret || variable.field.of(header, nothing).is_some()
    };
    let standing = if header.is_expired(now) {
        Standing::Expired
    } else if need.is_some_and(|need| !need.is_met_by(header)) {
        Standing::Unfit
    } else if has_field() {
        Standing::Fine
    } else {
        Standing::NoField
    };
    let excess = need
        .filter(|need| !need.scopes.is_empty())
        .map(|need| Provider::named(&need.provider).excess(&header.scopes, &need.scopes));
    Judged {
        entry: Some(header.name.clone()),
        standing,
        excess: excess.unwrap_or_default(),
        expires: header.expires,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::project::Project;

    fn check(value: &str, standing: &Standing, stops: bool, excess: &[&str]) {
        let header = |name: &str, scopes: &str, expires: Option<&str>| Header {
            name: name.into(),
            provider: Some("github".into()),
            scopes: scopes.split_whitespace().map(str::to_owned).collect(),
            expires: expires.map(|text| text.parse().unwrap()),
            ..Header::default()
        };
        let known = [
            header("ci", "repo read:org", None),
            header("old", "gist", Some("2020-01-01T00:00:00Z")),
            header("one", "user", None),
            header("two", "user", None),
        ];
        let unread = [Name::parse("new").unwrap()];
        let project = Project::parse(format!("[env]\nA = {value}").as_bytes()).unwrap();
        let variable = &project.base.env[0];
        let now = "2027-01-01T00:00:00Z".parse().unwrap();
        let judged = judge(variable, &known, &unread, now);
        assert_eq!(&judged.standing, standing, "{value}");
        assert_eq!(judged.standing.stops(variable), stops, "{value}");
        assert_eq!(judged.excess, excess, "{value}");
    }

    #[test]
    fn a_variable_stands_as_its_entry_does() {
        check("\"ci\"", &Standing::Fine, false, &[]);
        check("\"none\"", &Standing::Missing, true, &[]);
        check("\"new\"", &Standing::Unread, false, &[]);
        check("\"old\"", &Standing::Expired, true, &[]);
        check(
            "{ entry = \"none\", required = false }",
            &Standing::Missing,
            false,
            &[],
        );
        check(
            "{ entry = \"none\", default = \"x\" }",
            &Standing::Missing,
            false,
            &[],
        );
        check(
            "{ entry = \"ci\", field = \"url\" }",
            &Standing::NoField,
            true,
            &[],
        );
        check(
            "{ entry = \"ci\", provider = \"github\", scopes = [\"gist\"] }",
            &Standing::Unfit,
            true,
            &["repo", "read:org"],
        );
        check(
            "{ provider = \"github\", scopes = [\"read:org\"] }",
            &Standing::Fine,
            false,
            &["repo"],
        );
        check(
            "{ provider = \"github\", scopes = [\"gist\"] }",
            &Standing::Expired,
            true,
            &[],
        );
        check("{ provider = \"gitlab\" }", &Standing::Missing, true, &[]);
        let tie = Standing::Tie("one".into(), "two".into());
        check(
            "{ provider = \"github\", scopes = [\"read:user\"] }",
            &tie,
            true,
            &[],
        );
        check("{ default = \"x\" }", &Standing::Plain, false, &[]);
    }
}
