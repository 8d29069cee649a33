//! The project file `.agevault.toml`: which variables a project needs, and from which entries. Pure: what it says, not what it
//! may have. Specified in `store-format/project.md`.

use std::collections::BTreeMap;
use std::fmt;

use toml::Table;
use toml::Value;

use crate::exec::reference::FIELD_WORDS;
use crate::exec::reference::FOREIGN;
use crate::exec::reference::Field;
use crate::exec::reference::Reference;
use crate::exec::reference::SCHEME;
use crate::exec::reference::Wrong as WrongReference;
use crate::format::Name;
use crate::policy::need::Need;
use crate::policy::select::DEFAULT_PROFILE;
use crate::policy::variable;

/// The file's name.
pub const FILE: &str = ".agevault.toml";
/// Most bytes of the file.
pub const MAX_BYTES: u64 = 64 << 10;

/// The keys of the whole file.
const TOP: &[&str] = &["mask", "env", "files", "profiles"];
/// The keys of a profile.
const PROFILE: &[&str] = &["env", "files"];
/// The keys of a variable.
const VARIABLE: &[&str] = &[
    "entry",
    "field",
    "provider",
    "scopes",
    "default",
    "required",
    "description",
];

/// What a project asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Project {
    /// Whether the secrets are to be blanked out of what the program prints.
    pub mask: bool,
    /// What is always asked for.
    pub base: Part,
    /// What is asked for with `--profile NAME`, besides and instead.
    pub profiles: BTreeMap<String, Part>,
}

/// Variables, and variables that hold the path of a file, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Variables with the value itself.
    pub env: Vec<Variable>,
    /// Variables with the path of a private file that has the value.
    pub files: Vec<Variable>,
}

/// One variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Where its value comes from.
    pub source: Source,
    /// What of the entry.
    pub field: Field,
    /// Its value where there is no such entry; alone, where it is not inherited.
    pub default: Option<String>,
    /// Whether nothing starts without it.
    pub is_required: bool,
    /// A line for people.
    pub description: Option<String>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An entry, and what it must be able to do if the file says so.
    Entry(Name, Option<Need>),
    /// Whichever token is the narrowest that suffices.
    Need(Need),
    /// The default alone.
    Plain,
}

/// What is wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The dotted place, such as `env.TOKEN`; empty for the file as a whole.
    pub place: String,
    /// What is wrong there.
    pub why: Why,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is not TOML: in this line, for this reason.
    Toml(usize, String),
    /// There is no such key; there are these.
    Unknown(String, &'static [&'static str]),
    /// The value must be of another kind.
    Kind(&'static str),
    /// It is no variable's name.
    BadVariable,
    /// The variable can take over a program.
    Dangerous,
    /// The variable is there twice, as a value and as a file.
    Twice,
    /// It names another store than the one that is meant.
    OtherStore,
    /// The reference is wrong.
    Reference(WrongReference),
    /// A combination of keys that says nothing, or two things.
    Keys(&'static str),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place.escape_debug())?;
        }
        match &self.why {
            Why::Toml(line, reason) => write!(f, "its line {line} is not TOML: {reason}"),
            Why::Unknown(key, _) => write!(f, "there is no key \"{}\"", key.escape_debug()),
            Why::Kind(kind) => write!(f, "it must be {kind}"),
            Why::BadVariable => write!(f, "it is not a variable's name"),
            Why::Dangerous => write!(f, "the variable can take over a program and is never set"),
            Why::Twice => write!(f, "it is both in env and in files"),
            Why::OtherStore => write!(f, "it names another store, which a project may not"),
            Why::Reference(wrong) => wrong.fmt(f),
            Why::Keys(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Wrong {}

fn wrong(place: &str, why: Why) -> Wrong {
    Wrong {
        place: place.to_owned(),
        why,
    }
}

impl Project {
    /// Reads the file's bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Wrong> {
        let text = std::str::from_utf8(bytes).map_err(|_| wrong("", Why::Kind("UTF-8")))?;
        let mut table: Table = text.parse().map_err(|error| not_toml(text, &error))?;
        known("", &table, TOP)?;
        let mask = match table.remove("mask") {
            None => false,
            Some(Value::Boolean(mask)) => mask,
            Some(_) => return Err(wrong("mask", Why::Kind("true or false"))),
        };
        let mut profiles = BTreeMap::new();
        for (name, part) in inner("profiles", table.remove("profiles"))? {
            let place = format!("profiles.{name}");
            let Value::Table(part) = part else {
                return Err(wrong(&place, Why::Kind("a table")));
            };
            if name == DEFAULT_PROFILE {
                let what =
                    "it is the store's own; what is always asked for stands in env and files";
                return Err(wrong(&place, Why::Keys(what)));
            }
            known(&place, &part, PROFILE)?;
            profiles.insert(name, Part::parse(&format!("{place}."), part)?);
        }
        Ok(Self {
            mask,
            base: Part::parse("", table)?,
            profiles,
        })
    }

    /// What is asked for with some profiles; a later one's variable stands for an earlier one's of the same name.
    pub fn part(&self, profiles: &[String]) -> Part {
        let mut whole = self.base.clone();
        for part in profiles.iter().filter_map(|name| self.profiles.get(name)) {
            let is_new = |old: &Variable| {
                let mut all = part.env.iter().chain(&part.files);
                !all.any(|one| one.name == old.name)
            };
            whole.env.retain(is_new);
            whole.files.retain(is_new);
            whole.env.extend(part.env.iter().cloned());
            whole.files.extend(part.files.iter().cloned());
        }
        whole
    }
}

impl Part {
    fn parse(lead: &str, mut table: Table) -> Result<Self, Wrong> {
        let mut read = |key: &str| {
            let place = format!("{lead}{key}");
            let all = inner(&place, table.remove(key))?;
            all.into_iter()
                .map(|(name, value)| Variable::parse(&format!("{place}.{name}"), name, value))
                .collect::<Result<Vec<_>, _>>()
        };
        let (env, files) = (read("env")?, read("files")?);
        for one in &files {
            let place = format!("{lead}files.{}", one.name);
            if env.iter().any(|other| other.name == one.name) {
                return Err(wrong(&place, Why::Twice));
            }
            if one.default.is_some() {
                return Err(wrong(&place, Why::Keys("a file has no default")));
            }
        }
        Ok(Self { env, files })
    }
}

impl Variable {
    fn parse(place: &str, name: String, value: Value) -> Result<Self, Wrong> {
        let err = |why| wrong(place, why);
        if !variable::is_name(&name) {
            return Err(err(Why::BadVariable));
        }
        if variable::is_dangerous(&name) {
            return Err(err(Why::Dangerous));
        }
        let mut table = match value {
            Value::String(text) => Table::from_iter([("entry".to_owned(), Value::String(text))]),
            Value::Table(table) => table,
            _ => return Err(err(Why::Kind("the name of an entry, or a table"))),
        };
        known(place, &table, VARIABLE)?;
        let mut text = |key: &str| match table.remove(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(&format!("{place}.{key}"), Why::Kind("a text"))),
        };
        let (entry, field, provider) = (text("entry")?, text("field")?, text("provider")?);
        let (default, description) = (text("default")?, text("description")?);
        let is_required = match table.remove("required") {
            None => true,
            Some(Value::Boolean(is_required)) => is_required,
            Some(_) => {
                let place = format!("{place}.required");
                return Err(wrong(&place, Why::Kind("true or false")));
            }
        };
        let scopes = scopes(place, table.remove("scopes"))?;
        let is_reference = |text: &String| text.starts_with(SCHEME) || text.starts_with(FOREIGN);
        if default.as_ref().is_some_and(is_reference) {
            return Err(err(Why::Keys("a default is plain text and no reference")));
        }
        let reference = entry.map(|entry| reference(place, &entry)).transpose()?;
        let named = field.map(|word| Field::parse(&word)).transpose();
        let named = named.map_err(|wrong| err(Why::Reference(wrong)))?;
        let own = reference.as_ref().map(|one| one.field);
        if named.is_some() && own.is_some_and(|own| own != Field::Secret) {
            return Err(err(Why::Keys("it names a field twice")));
        }
        let need = need(provider, scopes).map_err(|what| err(Why::Keys(what)))?;
        let source = match (reference, need) {
            (Some(reference), need) => Source::Entry(reference.name, need),
            (None, Some(need)) => Source::Need(need),
            (None, None) if default.is_some() && named.is_none() => Source::Plain,
            (None, None) => {
                let what = "it has neither an entry, nor a provider, nor a default";
                return Err(err(Why::Keys(what)));
            }
        };
        Ok(Self {
            name,
            source,
            field: named.or(own).unwrap_or_default(),
            default,
            is_required,
            description,
        })
    }
}

impl Source {
    /// What a token must be able to do, if the file says so.
    pub fn need(&self) -> Option<&Need> {
        match self {
            Self::Entry(_, need) => need.as_ref(),
            Self::Need(need) => Some(need),
            Self::Plain => None,
        }
    }
}

/// An entry as a project names it: `NAME`, or a reference; never in another store.
fn reference(place: &str, text: &str) -> Result<Reference, Wrong> {
    let parsed = Reference::of_text(text).unwrap_or_else(|| {
        let name = text.split_once(':').map_or(text, |(_, name)| name);
        let store = text.split_once(':').map(|(store, _)| store.to_owned());
        let name = Name::parse(name).map_err(WrongReference::Name)?;
        Ok(Reference {
            store,
            name,
            field: Field::Secret,
        })
    });
    match parsed {
        Ok(reference) if reference.store.is_some() => Err(wrong(place, Why::OtherStore)),
        Ok(reference) => Ok(reference),
        Err(error) => Err(wrong(place, Why::Reference(error))),
    }
}

fn need(
    provider: Option<String>,
    scopes: Option<Vec<String>>,
) -> Result<Option<Need>, &'static str> {
    match (provider, scopes) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err("it has scopes and no provider"),
        (Some(provider), _) if provider.is_empty() => Err("its provider is empty"),
        (Some(provider), scopes) => Ok(Some(Need {
            provider,
            scopes: scopes.unwrap_or_default(),
        })),
    }
}

fn scopes(place: &str, value: Option<Value>) -> Result<Option<Vec<String>>, Wrong> {
    let err = || wrong(&format!("{place}.scopes"), Why::Kind("a list of scopes"));
    let list = match value {
        None => return Ok(None),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(err()),
    };
    let text = |value| match value {
        Value::String(text) if !text.is_empty() => Ok(text),
        _ => Err(err()),
    };
    list.into_iter()
        .map(text)
        .collect::<Result<_, _>>()
        .map(Some)
}

/// The table that stands at a key; none is an empty one.
fn inner(place: &str, value: Option<Value>) -> Result<Table, Wrong> {
    match value {
        None => Ok(Table::new()),
        Some(Value::Table(table)) => Ok(table),
        Some(_) => Err(wrong(place, Why::Kind("a table"))),
    }
}

/// Refuses a key that is not known.
fn known(place: &str, table: &Table, keys: &'static [&'static str]) -> Result<(), Wrong> {
    let unknown = table.keys().find(|key| !keys.contains(&key.as_str()));
    unknown.map_or(Ok(()), |key| {
        Err(wrong(place, Why::Unknown(key.clone(), keys)))
    })
}

fn not_toml(text: &str, error: &toml::de::Error) -> Wrong {
    let end = error.span().map_or(0, |span| span.start);
    let line = 1 + text.bytes().take(end).filter(|byte| *byte == b'\n').count();
    let reason = error.message().lines().next().unwrap_or_default();
    wrong("", Why::Toml(line, reason.to_owned()))
}

/// The words that may stand where a word was not understood: for guessing what was meant.
pub fn words_for(why: &Why) -> Option<(&str, &'static [&'static str])> {
    match why {
        Why::Unknown(key, known) => Some((key, known)),
        Why::Reference(WrongReference::Field(word)) => Some((word, &FIELD_WORDS)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
