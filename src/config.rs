//! The configuration file: settings of this user on this device. Nothing in it is a secret.
//!
//! Lives here: its keys, and reading and changing it. Never here: what a setting is used for. Every layer above may read it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;

use crate::sys::Env;
use crate::sys::fs;

/// Most bytes of the file.
const CONFIG_MAX_BYTES: u64 = 1 << 20;

/// The settings. An unknown key is an error: a setting that does nothing misleads.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The name of the store that is meant when none is named.
    pub default_store: Option<String>,
    /// How long a copied secret stays in the clipboard, in seconds.
    pub clipboard_seconds: Option<u64>,
    /// The length of a generated secret, in characters.
    pub generate_length: Option<usize>,
    /// After how many minutes of disuse the agent forgets keys.
    pub unlock_idle_minutes: Option<u64>,
    /// After how many hours it forgets them in any case.
    pub unlock_max_hours: Option<u64>,
    /// How many seconds an age plugin may be silent.
    pub plugin_seconds: Option<u64>,
    /// The program that asks for passphrases and consent.
    pub pinentry: Option<String>,
    /// What becomes of a password that another program wants to be kept.
    pub on_store: Option<OnStore>,
    /// The stores known by a name.
    #[serde(default)]
    pub stores: BTreeMap<String, Named>,
}

/// What becomes of a password that another program, such as git, wants to be kept.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum OnStore {
    /// It is not kept.
    #[default]
    Ignore,
    /// A person is asked.
    Ask,
    /// It becomes an entry, if there is none.
    Add,
}

/// A store known by a name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Named {
    /// Its folder.
    pub path: PathBuf,
    /// The identity file that opens it, where it is not the usual one.
    pub identity: Option<PathBuf>,
}

/// A setting that can be read and changed by its key; `*` stands for a store's name.
pub struct Setting {
    /// The dotted key.
    pub key: &'static str,
    /// What it does.
    pub help: &'static str,
    /// What it is when it is not set, in words.
    pub default: &'static str,
    /// The values it takes.
    pub values: Values,
}

/// The values that a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// A text.
    Text,
    /// A path; a relative one is made absolute before it is kept.
    Path,
    /// A whole number from the first to the second.
    Number(i64, i64),
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// All settings.
pub const SETTINGS: [Setting; 10] = [
    Setting {
        key: "default-store",
        help: "the store that is meant when none is named",
        default: "the store in the usual place",
        values: Values::Text,
    },
    Setting {
        key: "clipboard-seconds",
        help: "how long a copied secret stays on the clipboard",
        default: "45",
        values: Values::Number(1, 86_400),
    },
    Setting {
        key: "generate-length",
        help: "the length of a generated secret, in characters",
        default: "32",
        values: Values::Number(1, 65_536),
    },
    Setting {
        key: "unlock-idle-minutes",
        help: "minutes without use after which the agent forgets the keys",
        default: "15",
        values: Values::Number(1, 1440),
    },
    Setting {
        key: "unlock-max-hours",
        help: "hours after which the agent forgets the keys in any case",
        default: "8",
        values: Values::Number(1, 168),
    },
    Setting {
        key: "plugin-seconds",
        help: "how long an age plugin may be silent before it is ended",
        default: "60",
        values: Values::Number(1, 3600),
    },
    Setting {
        key: "pinentry",
        help: "the program that asks for passphrases and consent, such as pinentry-curses",
        default: "none, the terminal asks",
        values: Values::Text,
    },
    Setting {
        key: "on-store",
        help: "what becomes of a new password that git or another program wants to be kept: ignore, ask or add",
        default: "ignore",
        values: Values::OneOf(&["ignore", "ask", "add"]),
    },
    Setting {
        key: "stores.*.path",
        help: "the folder of a named store",
        default: "none",
        values: Values::Path,
    },
    Setting {
        key: "stores.*.identity",
        help: "the identity file that opens a named store",
        default: "the usual one",
        values: Values::Path,
    },
];

/// What is wrong with the configuration.
#[derive(Debug)]
pub enum Error {
    /// The file could not be read or written.
    File(fs::Error),
    /// The file's content is wrong: path and a sentence.
    Content(PathBuf, String),
    /// There is no such setting.
    Unknown(String),
    /// A setting does not take such a value: its key, and what it takes.
    BadValue(String, String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Content(path, why) => write!(f, "{} is wrong: {why}", path.display()),
            Self::Unknown(key) => write!(f, "there is no setting \"{}\"", key.escape_debug()),
            Self::BadValue(key, takes) => write!(f, "{} takes {takes}", key.escape_debug()),
        }
    }
}

impl std::error::Error for Error {}

impl From<fs::Error> for Error {
    fn from(error: fs::Error) -> Self {
        Self::File(error)
    }
}

/// The file's path: `AGEVAULT_CONFIG`, or in the user's configuration folder.
pub fn path(env: &Env) -> PathBuf {
    match env.var_os("AGEVAULT_CONFIG") {
        Some(path) => env.absolute(Path::new(path)),
        None => env.places.config.join("config.toml"),
    }
}

impl Config {
    /// Reads the file; a missing one means the defaults.
    pub fn load(env: &Env) -> Result<Self, Error> {
        let path = path(env);
        match text(&path)? {
            None => Ok(Self::default()),
            Some(text) => Self::parse(&path, &text),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        toml::from_str(text)
            .map_err(|error| Error::Content(path.to_owned(), error.message().to_owned()))
    }
}

/// The user's own files about providers, each with its path, in the order of their names.
pub fn providers(env: &Env) -> Result<Vec<(PathBuf, String)>, Error> {
    let folder = env.places.config.join("providers");
    let dir = match fs::Dir::open(&folder) {
        Ok(dir) => dir,
        Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut names = dir.names(Path::new(""))?;
    names.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    let files = names.into_iter().map(|(name, _)| folder.join(name));
    let files = files.filter(|path| path.extension().is_some_and(|ending| ending == "toml"));
    let read = |path: PathBuf| {
        // A pipe would keep whoever asks waiting.
        if fs::kind(&path).is_some_and(|kind| kind != fs::Kind::File) {
            return Err(Error::Content(path, "it is not a file".to_owned()));
        }
        let text = text(&path)?.unwrap_or_default();
        Ok((path, text))
    };
    files.map(read).collect()
}

/// The values of the file by dotted key, sorted.
pub fn list(env: &Env) -> Result<Vec<(String, String)>, Error> {
    let path = path(env);
    let text = text(&path)?.unwrap_or_default();
    Config::parse(&path, &text)?;
    let table: toml::Table = text.parse().unwrap_or_default();
    let mut out = Vec::new();
    flatten(&mut out, "", &table);
    Ok(out)
}

/// Changes settings in the file, keeping its comments; `None` takes one out. All or nothing.
pub fn change(env: &Env, changes: &[(String, Option<String>)]) -> Result<(), Error> {
    let path = path(env);
    let text = text(&path)?.unwrap_or_default();
    let wrong = |why: String| Error::Content(path.clone(), why);
    let mut document: toml_edit::DocumentMut = text
        .parse()
        .map_err(|error: toml_edit::TomlError| wrong(error.to_string()))?;
    for (key, value) in changes {
        let setting = setting(key)?;
        let value = value
            .as_deref()
            .map(|text| setting.value(env, key, text))
            .transpose()?;
        edit(document.as_table_mut(), key, value).ok_or_else(|| Error::Unknown(key.clone()))?;
    }
    let text = document.to_string();
    Config::parse(&path, &text)?;
    let (parent, name) = (
        path.parent().unwrap_or(Path::new("/")),
        path.file_name().unwrap_or_default(),
    );
    Ok(fs::make_private(parent)?.replace(Path::new(name), text.as_bytes())?)
}

/// The setting that a dotted key means.
pub fn setting(key: &str) -> Result<&'static Setting, Error> {
    let parts: Vec<&str> = key.split('.').collect();
    let fits = |setting: &&Setting| {
        let pattern: Vec<&str> = setting.key.split('.').collect();
        pattern.len() == parts.len()
            && pattern
                .iter()
                .zip(&parts)
                .all(|(p, k)| p == k || (*p == "*" && !k.is_empty()))
    };
    let found = SETTINGS.iter().find(fits);
    found.ok_or_else(|| Error::Unknown(key.to_owned()))
}

impl Setting {
    /// A text as the value that the file holds.
    fn value(&self, env: &Env, key: &str, text: &str) -> Result<toml_edit::Value, Error> {
        let takes = |what: String| Error::BadValue(key.to_owned(), what);
        match self.values {
            _ if text.is_empty() => Err(takes("a value that is not empty".to_owned())),
            Values::Text => Ok(text.into()),
            Values::OneOf(words) if words.contains(&text) => Ok(text.into()),
            Values::OneOf(words) => Err(takes(format!("one of {}", words.join(", ")))),
            Values::Path if text.starts_with("~/") => Ok(text.into()),
            Values::Path => {
                let path = env.absolute(Path::new(text));
                let path = path.to_str().map(toml_edit::Value::from);
                path.ok_or_else(|| takes("a path that is UTF-8".to_owned()))
            }
            Values::Number(least, most) => {
                let number = text.parse().ok();
                let number = number.filter(|number| (least..=most).contains(number));
                let number = number.map(toml_edit::Value::from);
                number.ok_or_else(|| takes(format!("a whole number from {least} to {most}")))
            }
        }
    }
}

fn text(path: &Path) -> Result<Option<String>, Error> {
    match fs::read(path, CONFIG_MAX_BYTES) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(Error::Content(
                path.to_owned(),
                "it is not UTF-8".to_owned(),
            )),
        },
        Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn flatten(out: &mut Vec<(String, String)>, prefix: &str, table: &toml::Table) {
    for (key, value) in table {
        let key = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            toml::Value::Table(table) => flatten(out, &key, table),
            toml::Value::String(text) => out.push((key, text.clone())),
            other => out.push((key, other.to_string())),
        }
    }
}

/// Sets or removes one dotted key, making tables on the way; an emptied table goes too.
fn edit(table: &mut toml_edit::Table, key: &str, value: Option<toml_edit::Value>) -> Option<()> {
    let Some((first, rest)) = key.split_once('.') else {
        match value {
            None => drop(table.remove(key)),
            Some(value) => {
                let item = toml_edit::value(value);
                // In place, so that the comments around the old value stay.
                match table.get_mut(key) {
                    Some(old) => *old = item,
                    None => drop(table.insert(key, item)),
                }
            }
        }
        return Some(());
    };
    let new = || {
        let mut table = toml_edit::Table::new();
        table.set_implicit(true);
        toml_edit::Item::Table(table)
    };
    let inner = table.entry(first).or_insert_with(new).as_table_mut()?;
    edit(inner, rest, value)?;
    if inner.is_empty() {
        table.remove(first);
    }
    Some(())
}

/// Parses the text of a config file: for the fuzz target.
#[doc(hidden)]
pub fn parses(text: &str) -> bool {
    Config::parse(Path::new("config.toml"), text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &str, key: &str, value: Option<toml_edit::Value>, after: &str) {
        let mut document: toml_edit::DocumentMut = before.parse().unwrap();
        edit(document.as_table_mut(), key, value).unwrap();
        assert_eq!(document.to_string(), after);
    }

    #[test]
    fn a_change_keeps_the_comments() {
        check(
            "# mine\ndefault-store = \"a\"\n",
            "default-store",
            Some("b".into()),
            "# mine\ndefault-store = \"b\"\n",
        );
        check(
            "",
            "stores.work.path",
            Some("/w".into()),
            "[stores.work]\npath = \"/w\"\n",
        );
        check(
            "[stores.work]\npath = \"/w\"\n",
            "stores.work.path",
            None,
            "",
        );
        check(
            "",
            "clipboard-seconds",
            Some(9.into()),
            "clipboard-seconds = 9\n",
        );
    }

    #[test]
    fn only_settings_are_keys() {
        for (key, ok) in [
            ("default-store", true),
            ("stores.a.path", true),
            ("stores..path", false),
            ("stores.a", false),
            ("x", false),
        ] {
            assert_eq!(setting(key).is_ok(), ok, "{key}");
        }
    }
}
