//! git's settings that make it ask here: a file of our own, and the one line that includes it.

use std::path::Path;
use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::plugins::link;
use crate::git::user::UserGit;
use crate::policy::place::Place;
use crate::store;
use crate::sys::fs;

/// Our file's name, beside the configuration that includes it.
const FILE: &str = "vault.gitconfig";
/// Most bytes that are read of it.
const MAX_BYTES: u64 = 1 << 20;
/// The setting that includes a file.
const INCLUDE: &str = "include.path";
/// How a section for one host begins.
const SECTION: &str = "[credential \"";

/// Whose configuration it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The user's.
    Global,
    /// One repository's.
    Local,
}

impl Scope {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Local => "local",
        }
    }

    /// As `git config` takes it.
    pub(super) const fn flag(self) -> &'static str {
        match self {
            Self::Global => "--global",
            Self::Local => "--local",
        }
    }
}

/// Where the settings are.
pub(super) struct Registration {
    scope: Scope,
    /// Our file.
    pub(super) file: PathBuf,
    /// The path by which it is included.
    include: String,
    git: UserGit,
    /// What it says now.
    text: String,
}

impl Registration {
    /// The one of a scope, whether it is installed or not.
    pub(super) fn of(cx: &Context, scope: Scope) -> Result<Self, Failure> {
        let git = UserGit::new(&cx.env.cwd, &cx.env.vars);
        let file = match scope {
            Scope::Global => cx.env.places.config.join(FILE),
            Scope::Local => {
                let args = ["rev-parse", "--path-format=absolute", "--git-common-dir"];
                let folder = git.run(&args).ok().flatten();
                let folder =
                    folder.ok_or_else(|| Failure::failed("there is no repository here"))?;
                Path::new(folder.trim_end_matches('\n')).join(FILE)
            }
        };
        let include = match scope {
            Scope::Global => file.display().to_string(),
            // By the repository's own configuration, wherever the repository is moved to.
            Scope::Local => FILE.to_owned(),
        };
        let text = match fs::read(&file, MAX_BYTES) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            scope,
            file,
            include,
            git,
            text,
        })
    }

    /// Whether git includes it.
    pub(super) fn is_included(&self) -> Result<bool, Failure> {
        let set = self.config(&["--get-all", INCLUDE])?.unwrap_or_default();
        Ok(set.lines().any(|line| line == self.include))
    }

    /// The hosts it is for; none means every host.
    pub(super) fn hosts(&self) -> Vec<String> {
        let section = |line: &str| {
            let rest = line.strip_prefix(SECTION)?.strip_suffix("\"]")?;
            Some(rest.to_owned())
        };
        if self.text.lines().any(|line| line == "[credential]") {
            return Vec::new();
        }
        self.text.lines().filter_map(section).collect()
    }

    fn config(&self, args: &[&str]) -> Result<Option<String>, Failure> {
        let args = [&[self.scope.flag()], args].concat();
        Ok(self.git.config(&args).map_err(store::Error::from)?)
    }
}

/// Writes the settings, with or without paths, and has them included; or only shows that.
pub(super) fn install(
    cx: &mut Context,
    scope: Scope,
    hosts: &[String],
    (paths, dry_run): (bool, bool),
) -> Result<(), Failure> {
    let old = Registration::of(cx, scope)?;
    let mut places: Vec<String> = hosts
        .iter()
        .map(|host| place(host))
        .collect::<Result<_, _>>()?;
    // Installed for one host more; for every host, those before stay the only helper of theirs.
    places.extend(old.text.lines().filter_map(|line| {
        let rest = line.strip_prefix(SECTION)?.strip_suffix("\"]")?;
        Some(rest.to_owned())
    }));
    places.sort_unstable();
    places.dedup();
    let is_general = hosts.is_empty() || old.text.lines().any(|line| line == "[credential]");
    let text = text(&helper(cx)?, &places, is_general, paths);
    cx.ui.line(&format!("{}:", old.file.display()));
    for line in text.lines() {
        cx.ui.line(&format!("    {line}"));
    }
    let is_included = old.is_included()?;
    if !is_included {
        cx.ui.line(&format!(
            "git config {} --add {INCLUDE} {}",
            scope.flag(),
            old.include
        ));
    }
    cx.ui.finish()?;
    if dry_run {
        return Ok(());
    }
    let folder = old.file.parent().unwrap_or(Path::new("/"));
    fs::make_private(folder)?.replace(Path::new(FILE), text.as_bytes())?;
    if !is_included {
        old.config(&["--add", INCLUDE, &old.include])?;
    }
    cx.ui
        .say("git asks vault now; vault plugins remove git takes it back");
    Ok(())
}

/// Takes the settings away, and the line that includes them.
pub(super) fn remove(cx: &mut Context, scope: Scope) -> Result<(), Failure> {
    let old = Registration::of(cx, scope)?;
    let is_included = old.is_included()?;
    if is_included {
        // git takes the value for a pattern: the one value, from its beginning to its end.
        let pattern = format!("^{}$", escaped(&old.include));
        old.config(&["--unset-all", INCLUDE, &pattern])?;
    }
    fs::remove(&old.file)?;
    if is_included || !old.text.is_empty() {
        cx.ui
            .say(&format!("git asks vault no longer ({})", scope.word()));
    } else {
        cx.ui
            .say(&format!("it was not installed ({})", scope.word()));
    }
    Ok(())
}

/// A host as git writes a place.
fn place(host: &str) -> Result<String, Failure> {
    let wrong =
        |why: String| Failure::usage(format!("\"{}\" is not a host: {why}", host.escape_debug()));
    let (place, user) = Place::parse(host).map_err(|error| wrong(error.to_string()))?;
    if user.is_some() || !place.path.is_empty() {
        return Err(wrong("it has a user or a path".to_owned()));
    }
    Ok(place.to_string())
}

/// What git calls.
fn helper(cx: &Context) -> Result<String, Failure> {
    let own = link::own_path(cx)?;
    let own = own
        .to_str()
        .ok_or_else(|| Failure::failed("the path of vault is not UTF-8"))?;
    let store = match cx.named_store() {
        Some(name) => format!(" --store {}", quoted(name)),
        None => String::new(),
    };
    // A plain path git starts as it is; any other one takes a shell's words.
    let is_plain = own
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte));
    Ok(if is_plain {
        format!("{own} git-credential{store}")
    } else {
        format!("!{} git-credential{store}", quoted(own))
    })
}

/// The file's text.
fn text(helper: &str, places: &[String], is_general: bool, paths: bool) -> String {
    let helper = helper.replace('\\', "\\\\").replace('"', "\\\"");
    let paths = if paths { "\tuseHttpPath = true\n" } else { "" };
    let mut text =
        "# Written by `vault plugins install git`; `vault plugins remove git` takes it away.\n"
            .to_owned();
    if is_general {
        text.push_str(&format!("[credential]\n\thelper = \"{helper}\"\n{paths}"));
    }
    for place in places {
        // The empty one forgets the helpers before it: no other one gets to see this host's tokens.
        text.push_str(&format!(
            "{SECTION}{place}\"]\n\thelper =\n\thelper = \"{helper}\"\n{paths}"
        ));
    }
    text
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// A text as a pattern that means just that.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if "\\^$.[]|()?*+{}".contains(letter) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_place_and_nothing_else() {
        assert_eq!(place("GitHub.com").unwrap(), "https://github.com");
        assert_eq!(
            place("http://localhost:8080").unwrap(),
            "http://localhost:8080"
        );
        for wrong in ["", "me@github.com", "github.com/me", "git hub"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn one_host_has_no_other_helper() {
        let text = text(
            "/bin/vault git-credential",
            &["https://h".to_owned()],
            false,
            true,
        );
        let expected = "[credential \"https://h\"]\n\thelper =\n\thelper = \"/bin/vault git-credential\"\n\tuseHttpPath = true\n";
        assert!(text.ends_with(expected), "{text}");
        assert!(!text.contains("[credential]"));
    }
}
