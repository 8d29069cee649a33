//! The header of an entry: what is known about a secret (section 7).

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::format::Name;
use crate::format::Refusal;
use crate::format::Stage;
use crate::format::VERSION;
use crate::format::text::Fields;
use crate::format::text::inline;
use crate::format::text::quote;
use crate::format::text::quote_all;

/// What is assumed where a header has no `kind`.
pub const DEFAULT_KIND: &str = "token";

/// The fields of an entry. An empty list and an absent one are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The entry's name, as text; compared with the path before anything else is believed.
    pub name: String,
    /// The revision, from 1 upward.
    pub rev: u64,
    /// `token`, `password`, `note`, `file`, or another word.
    pub kind: Option<String>,
    /// Whose token it is.
    pub provider: Option<String>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// From this instant on it is expired, in seconds since 1970.
    #[serde(with = "seconds")]
    pub expires: Option<Timestamp>,
    /// The environment variable it becomes.
    pub env: Option<String>,
    /// The profiles it is in.
    pub profiles: Vec<String>,
    /// Who uses it.
    pub username: Option<String>,
    /// Where it is used.
    pub url: Option<String>,
    /// Free words.
    pub tags: Vec<String>,
    /// A line for people.
    pub description: Option<String>,
    /// When the entry was made.
    #[serde(with = "seconds")]
    pub created: Option<Timestamp>,
    /// When this revision was made.
    #[serde(with = "seconds")]
    pub modified: Option<Timestamp>,
    /// Whether to ask before each use.
    pub confirm: bool,
    /// A dotfile's place below the home directory.
    pub target: Option<String>,
    /// A dotfile's permission bits, in octal.
    pub mode: Option<String>,
    /// Where copies of the secret have been put.
    pub consumers: Vec<String>,
    /// Fields that this version does not know: whole lines `key = value`, kept as they are.
    pub unknown: Vec<String>,
    // What came later stands last: an index of an earlier version is then read as one that lacks an entry.
    /// Whether a dotfile is a symbolic link; the secret is what it says.
    pub link: bool,
    /// Whether a dotfile holds references.
    pub template: bool,
    /// The machines that a dotfile is for; none means all.
    pub hosts: Vec<String>,
    /// The systems that a dotfile is for; none means all.
    pub systems: Vec<String>,
}

impl Header {
    /// A new header for a name; writing it makes revision 1 of it.
    pub fn new(name: &Name, now: Timestamp) -> Self {
        let now = Some(whole_seconds(now));
        let name = name.as_str().to_owned();
        Self {
            name,
            rev: 0,
            created: now,
            modified: now,
            ..Self::default()
        }
    }

    /// Reads a header's text, without its `sig` line. `version` first, then the fields (F-052, F-053).
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let wrong =
            |why: String| Refusal::new(Stage::Header, format!("its header is wrong: {why}"));
        let mut fields = Fields::parse(text).map_err(wrong)?;
        check_version(&mut fields)?;
        Self::from_fields(fields).map_err(wrong)
    }

    fn from_fields(mut fields: Fields) -> Result<Self, String> {
        let rev = Fields::required("rev", fields.integer("rev")?)?;
        let header = Self {
            name: Fields::required("name", fields.string("name")?)?,
            rev: u64::try_from(rev)
                .ok()
                .filter(|rev| *rev > 0)
                .ok_or("rev must be at least 1")?,
            kind: fields.string("kind")?,
            provider: fields.string("provider")?,
            scopes: fields.strings("scopes")?,
            expires: fields.time("expires")?,
            env: fields.string("env")?,
            profiles: fields.strings("profiles")?,
            username: fields.string("username")?,
            url: fields.string("url")?,
            tags: fields.strings("tags")?,
            description: fields.string("description")?,
            created: fields.time("created")?,
            modified: fields.time("modified")?,
            confirm: fields.boolean("confirm")?.unwrap_or(false),
            target: fields.string("target")?,
            mode: fields.string("mode")?,
            consumers: fields.strings("consumers")?,
            link: fields.boolean("link")?.unwrap_or(false),
            template: fields.boolean("template")?.unwrap_or(false),
            hosts: fields.strings("hosts")?,
            systems: fields.strings("systems")?,
            unknown: Vec::new(),
        };
        let line = |pair: (&String, &toml::Value)| {
            format!("{} = {}", bare_or_quoted(pair.0), inline(pair.1))
        };
        Ok(Self {
            unknown: fields.0.iter().map(line).collect(),
            ..header
        })
    }

    /// The header's text, each field on one line, unknown ones last, without a `sig` line.
    pub fn to_text(&self) -> String {
        let mut out = format!(
            "format = {VERSION}\nname = {}\nrev = {}\n",
            quote(&self.name),
            self.rev
        );
        for (key, value) in self.lines() {
            out.push_str(&format!("{key} = {value}\n"));
        }
        for line in &self.unknown {
            out.push_str(line);
            out.push('\n');
        }
        out
    }

    /// The fields that are set, but for `format`, `name` and `rev`, as TOML values, in the specification's order.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let text = |value: &Option<String>| value.as_deref().map(quote);
        let list = |value: &[String]| (!value.is_empty()).then(|| quote_all(value));
        let time = |value: Option<Timestamp>| value.map(|time| time.to_string());
        let all = [
            ("kind", text(&self.kind)),
            ("provider", text(&self.provider)),
            ("scopes", list(&self.scopes)),
            ("expires", time(self.expires)),
            ("env", text(&self.env)),
            ("profiles", list(&self.profiles)),
            ("username", text(&self.username)),
            ("url", text(&self.url)),
            ("tags", list(&self.tags)),
            ("description", text(&self.description)),
            ("created", time(self.created)),
            ("modified", time(self.modified)),
            ("confirm", self.confirm.then(|| "true".to_owned())),
            ("target", text(&self.target)),
            ("mode", text(&self.mode)),
            ("consumers", list(&self.consumers)),
            ("link", self.link.then(|| "true".to_owned())),
            ("template", self.template.then(|| "true".to_owned())),
            ("hosts", list(&self.hosts)),
            ("systems", list(&self.systems)),
        ];
        all.into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect()
    }

    /// Whether it is expired at this instant: from `expires` on it is.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| now >= expires)
    }

    /// The kind, or what is assumed without one.
    pub fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or(DEFAULT_KIND)
    }

    /// Whether the two say the same, apart from the revision and its time.
    pub fn same_as(&self, other: &Self) -> bool {
        let plain = |header: &Self| Self {
            rev: 0,
            modified: None,
            ..header.clone()
        };
        plain(self) == plain(other)
    }
}

/// The instant without its fraction of a second: what a header keeps.
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// Takes `format` out and refuses any but ours.
pub(super) fn check_version(fields: &mut Fields) -> Result<(), Refusal> {
    match fields.integer("format") {
        Ok(Some(VERSION)) => Ok(()),
        Ok(Some(other)) => {
            let reason =
                format!("it has format {other}, this program knows format {VERSION}: upgrade it");
            Err(Refusal::new(Stage::Version, reason))
        }
        Ok(None) => Err(Refusal::new(
            Stage::Version,
            "its format version is missing",
        )),
        Err(why) => Err(Refusal::new(Stage::Version, why)),
    }
}

fn bare_or_quoted(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        quote(key)
    }
}

/// Instants in the local index: seconds since 1970.
mod seconds {
    use jiff::Timestamp;
    use serde::Deserialize;
    use serde::Deserializer;
    use serde::Serialize;
    use serde::Serializer;

    #[allow(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(Timestamp::as_second).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let seconds: Option<i64> = Option::deserialize(from)?;
        seconds
            .map(Timestamp::from_second)
            .transpose()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = "format = 1\nname = \"github/ci\"\nrev = 7\nkind = \"token\"\nscopes = [\"repo\", \"read:org\"]\n\
        expires = 2027-02-20T00:00:00Z\nenv = \"GITHUB_TOKEN\"\ndescription = \"a \\\"b\\\"\\nc\"\nconfirm = true\n";

    #[test]
    fn a_header_comes_back_as_it_was() {
        let header = Header::parse(FULL).unwrap();
        assert_eq!(header.to_text(), FULL);
    }

    #[test]
    fn unknown_fields_are_kept_on_one_line() {
        let text = format!("{FULL}colour = \"red\"\nx-y = {{ \"a\" = [1, 2.5, \"b\\nc\"] }}\n");
        let header = Header::parse(&text).unwrap();
        assert_eq!(header.to_text(), text);
    }

    #[test]
    fn a_date_alone_is_midnight_utc() {
        let header =
            Header::parse("format = 1\nname = \"a\"\nrev = 1\nexpires = 2027-02-20\n").unwrap();
        let midnight: Timestamp = "2027-02-20T00:00:00Z".parse().unwrap();
        assert!(header.is_expired(midnight));
        assert!(!header.is_expired(midnight - jiff::SignedDuration::from_secs(1)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, stage, word) in [
            ("name = \"a\"\nrev = 1\n", Stage::Version, "format"),
            ("format = 2\n", Stage::Version, "format 2"),
            ("format = 1\nrev = 1\n", Stage::Header, "name is missing"),
            ("format = 1\nname = \"a\"\nrev = 0\n", Stage::Header, "rev"),
            (
                "format = 1\nname = \"a\"\nrev = 1\nscopes = \"x\"\n",
                Stage::Header,
                "scopes",
            ),
            (
                "format = 1\nname = \"a\"\nrev = 1\nexpires = 2027-02-20T00:00:00\n",
                Stage::Header,
                "expires",
            ),
            ("format = 1\nname = \n", Stage::Header, "line 2"),
        ] {
            let refusal = Header::parse(text).unwrap_err();
            assert_eq!(refusal.stage, stage, "{text}");
            assert!(refusal.reason.contains(word), "{refusal}");
        }
    }
}
