//! A repository's own settings, judged by what they could make git do.
//!
//! Lives here: parsing `.git/config`, and the list of settings that are known to be harmless. Never here: the user's own
//! configuration, which is trusted. Called by `repo`.
//!
//! The list says what is harmless, since what is dangerous grows with each version of git.

use std::collections::BTreeMap;
use std::path::Path;

use crate::git::Error;
use crate::git::disk;
use crate::git::refs;

/// The most bytes of a configuration file.
const CONFIG_MAX_BYTES: u64 = 1024 * 1024;

/// Settings that change neither which programs run nor where git reads and writes. A `*` stands for one name of a remote or
/// branch, or at the end for any key.
const HARMLESS: &[&str] = &[
    "core.repositoryformatversion",
    "core.filemode",
    "core.bare",
    "core.logallrefupdates",
    "core.ignorecase",
    "core.precomposeunicode",
    "core.symlinks",
    "core.abbrev",
    "core.quotepath",
    "core.compression",
    "core.loosecompression",
    "core.bigfilethreshold",
    "core.preloadindex",
    "core.untrackedcache",
    "core.commitgraph",
    "core.multipackindex",
    "core.fsync",
    "core.fsyncmethod",
    "core.sharedrepository",
    "core.autocrlf",
    "core.safecrlf",
    "core.eol",
    "extensions.objectformat",
    "extensions.refstorage",
    "extensions.noop",
    "user.name",
    "user.email",
    "author.name",
    "author.email",
    "committer.name",
    "committer.email",
    "remote.*.url",
    "remote.*.pushurl",
    "remote.*.fetch",
    "remote.*.push",
    "remote.*.tagopt",
    "remote.*.prune",
    "remote.*.followremotehead",
    "remote.pushdefault",
    "branch.*.remote",
    "branch.*.merge",
    "branch.*.rebase",
    "branch.*.description",
    "branch.*.pushremote",
    "branch.autosetupmerge",
    "branch.autosetuprebase",
    "branch.sort",
    "pull.rebase",
    "pull.ff",
    "push.default",
    "push.autosetupremote",
    "push.followtags",
    "fetch.prune",
    "fetch.prunetags",
    "fetch.writecommitgraph",
    "fetch.parallel",
    "merge.ff",
    "merge.conflictstyle",
    "merge.renames",
    "rebase.autostash",
    "rebase.autosquash",
    "gc.*",
    "pack.*",
    "repack.*",
    "maintenance.auto",
    "maintenance.strategy",
    "index.*",
    "feature.*",
    "rerere.*",
    "advice.*",
    "color.*",
    "column.*",
    "status.*",
    "log.*",
    "tag.sort",
    "diff.renames",
    "diff.algorithm",
    "diff.noprefix",
    "diff.mnemonicprefix",
    "diff.colormoved",
    "init.defaultbranch",
    "transfer.fsckobjects",
    "fetch.fsckobjects",
    "receive.fsckobjects",
];

/// What `.git/config` says.
#[derive(Debug, Default)]
pub(super) struct Config {
    settings: Vec<Setting>,
    /// Lines that this parser does not take as git might.
    odd_lines: Vec<usize>,
}

/// One setting.
#[derive(Debug, PartialEq, Eq)]
struct Setting {
    section: String,
    subsection: Option<String>,
    key: String,
    value: String,
}

impl Setting {
    /// `section.key` or `section.subsection.key`.
    fn name(&self) -> String {
        match &self.subsection {
            Some(subsection) => format!("{}.{subsection}.{}", self.section, self.key),
            None => format!("{}.{}", self.section, self.key),
        }
    }

    /// Whether its value may be the address of a repository.
    fn is_remote(&self) -> bool {
        ["url", "remote", "pushdefault"]
            .iter()
            .any(|ending| self.key.ends_with(ending))
    }

    /// Whether it can do no harm.
    fn is_harmless(&self) -> bool {
        let pattern = match (&self.subsection, self.section.as_str()) {
            (None, section) => format!("{section}.{}", self.key),
            (Some(_), "remote" | "branch") => format!("{}.*.{}", self.section, self.key),
            (Some(_), _) => return false,
        };
        let any = format!("{}.*", self.section);
        let listed = HARMLESS.contains(&pattern.as_str())
            || self.subsection.is_none() && HARMLESS.contains(&any.as_str());
        // `ext::` and its like start a program; a dash would be an option.
        let address = self.is_remote();
        let plain = !self.value.contains("::") && !self.value.starts_with('-');
        let bare = self.section == "core" && self.key == "bare" && self.value != "false";
        // Among the keys that a `*` stands for, this one names a program.
        let hook = self.key.ends_with("hook");
        listed && (!address || plain) && !bare && !hook
    }
}

impl Config {
    /// Parses a file's text.
    fn parse(text: &str) -> Self {
        let mut config = Self::default();
        let mut section = None;
        for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let parsed = config.line(line, &mut section);
            if parsed.is_none() {
                config.odd_lines.push(number + 1);
            }
        }
        config
    }

    /// One line; none if git might take it otherwise.
    fn line(&mut self, line: &str, at: &mut Option<(String, Option<String>)>) -> Option<()> {
        let mut rest = line.trim();
        let odd = rest.ends_with('\\') || rest.chars().any(|c| c.is_control() && c != '\t');
        if rest.starts_with('[') {
            let (found, after) = header(rest)?;
            *at = Some(found);
            rest = after.trim_start();
        }
        if !rest.is_empty() && !rest.starts_with(['#', ';']) {
            let (key, value) = rest.split_once('=').unwrap_or((rest, "true"));
            let key = key.trim().to_ascii_lowercase();
            let fits = key.starts_with(|c: char| c.is_ascii_alphabetic())
                && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            let (section, subsection) = at.clone().filter(|_| fits)?;
            let value = plain(value);
            self.settings.push(Setting {
                section,
                subsection,
                key,
                value,
            });
        }
        (!odd).then_some(())
    }

    /// The last value of a setting without subsection, in lower case.
    fn value(&self, section: &str, key: &str) -> Option<String> {
        let fits = |setting: &&Setting| {
            setting.section == section && setting.subsection.is_none() && setting.key == key
        };
        self.settings
            .iter()
            .rev()
            .find(fits)
            .map(|setting| setting.value.to_ascii_lowercase())
    }

    /// The last value of a setting with a subsection.
    pub(super) fn value_of(&self, section: &str, subsection: &str, key: &str) -> Option<String> {
        let fits = |setting: &&Setting| {
            setting.section == section
                && setting.subsection.as_deref() == Some(subsection)
                && setting.key == key
        };
        let found = self.settings.iter().rev().find(fits)?;
        Some(found.value.clone())
    }

    /// Each remote and its address, by name.
    pub(super) fn remotes(&self) -> Vec<(String, String)> {
        let is_url = |setting: &&Setting| setting.section == "remote" && setting.key == "url";
        let urls = self.settings.iter().filter(is_url);
        let named = urls.filter_map(|url| Some((url.subsection.clone()?, url.value.clone())));
        // Several addresses of one remote: git fetches from the first.
        let mut remotes = BTreeMap::new();
        for (name, url) in named {
            remotes.entry(name).or_insert(url);
        }
        remotes.into_iter().collect()
    }

    /// Whether there is a remote of this name with an address of its own; else git takes the name for the address.
    pub(super) fn has_remote(&self, name: &str) -> bool {
        self.settings.iter().any(|setting| {
            setting.section == "remote"
                && setting.subsection.as_deref() == Some(name)
                && setting.key == "url"
        })
    }

    /// What could make the git program run others or act elsewhere, each as a phrase.
    pub(super) fn dangers(&self, git: &Path) -> Result<Vec<String>, Error> {
        let settings = self
            .settings
            .iter()
            .filter(|setting| !setting.is_harmless());
        let mut found: Vec<String> = settings
            .map(|setting| format!("{} in \".git/config\"", setting.name()))
            .collect();
        found.extend(
            self.odd_lines
                .iter()
                .map(|line| format!("line {line} of \".git/config\"")),
        );
        for below in ["config.worktree", "info/attributes"] {
            if disk::stat(&git.join(below))?.is_some() {
                found.push(format!("the file \".git/{below}\""));
            }
        }
        // The old homes of remotes, which git still reads.
        for below in ["remotes", "branches"] {
            if !disk::names(&git.join(below))?.is_empty() {
                found.push(format!("the folder \".git/{below}\""));
            }
        }
        let remotes = self.settings.iter().filter(|setting| setting.is_remote());
        found.extend(
            remotes
                .filter(|setting| {
                    !self.has_remote(&setting.value) && is_inside(&setting.value, git)
                })
                .map(|setting| format!("{} in \".git/config\"", setting.name())),
        );
        found.dedup();
        Ok(found)
    }
}

/// Whether an address may be a folder of the store itself, whose hooks git would run on a push: whoever can write to the
/// store can plant one. Other folders of this machine, by their whole path, are the user's own.
pub(super) fn is_inside(address: &str, git: &Path) -> bool {
    let url = address
        .get(..7)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("file://"));
    let path = if url {
        address.get(7..).unwrap_or_default()
    } else {
        address
    };
    // A path in disguise: what `%2e` stands for is not worked out here.
    if url && path.contains('%') {
        return true;
    }
    if !path.starts_with('/') {
        // HOST:PATH and SCHEME://… go elsewhere, the rest begins at the store.
        let host = path
            .split_once(':')
            .is_some_and(|(host, _)| !host.is_empty() && !host.contains('/'));
        return url || !host;
    }
    let store = git.parent().unwrap_or(git);
    disk::is_below(Path::new(path), store)
}

/// `[section]`, `[section "subsection"]`, `[section.subsection]`, and what follows.
fn header(line: &str) -> Option<((String, Option<String>), &str)> {
    let rest = line.strip_prefix('[')?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '.'))?;
    let (name, rest) = rest.split_at_checked(end)?;
    let name = name.to_ascii_lowercase();
    if let Some(rest) = rest.strip_prefix(']') {
        let found = match name.split_once('.') {
            Some((section, subsection)) => (section.to_owned(), Some(subsection.to_owned())),
            None => (name, None),
        };
        return Some((found, rest));
    }
    let mut chars = rest.trim_start().strip_prefix('"')?.chars();
    let mut subsection = String::new();
    loop {
        match chars.next()? {
            '"' => break,
            '\\' => subsection.push(chars.next()?),
            other => subsection.push(other),
        }
    }
    Some(((name, Some(subsection)), chars.as_str().strip_prefix(']')?))
}

/// A value without quotes and comment.
fn plain(value: &str) -> String {
    let mut quoted = false;
    let kept = value.chars().take_while(|c| {
        quoted ^= *c == '"';
        quoted || !matches!(c, '#' | ';')
    });
    kept.filter(|c| *c != '"')
        .collect::<String>()
        .trim()
        .to_owned()
}

/// Refuses what would make git read other than what lies in the repository, and formats that are not read here. Gives the
/// settings.
pub(super) fn refuse_unusual(git: &Path) -> Result<Config, Error> {
    let unusual = |below: &str, what| {
        Err(Error::Unusual {
            path: git.join(below),
            what,
        })
    };
    for (below, what) in [
        ("commondir", "a part of another repository"),
        (
            "shallow",
            "the mark of a shallow clone (\"git fetch --unshallow\" completes it)",
        ),
        ("info/grafts", "a file of grafts"),
        ("objects/info/alternates", "a list of borrowed objects"),
        ("reftable", "another format of references"),
    ] {
        if disk::stat(&git.join(below))?.is_some() {
            return unusual(below, what);
        }
    }
    for below in ["objects", "refs"] {
        if !disk::stat(&git.join(below))?.is_some_and(|found| found.is_dir()) {
            return unusual(below, "missing or not a folder");
        }
    }
    let replaced = refs::packed(git, |name| name.starts_with("refs/replace/"))?;
    if replaced.is_some() || !disk::names(&git.join("refs/replace"))?.is_empty() {
        return unusual("refs/replace", "a list of replaced objects");
    }
    let bytes = disk::read(&git.join("config"), CONFIG_MAX_BYTES)?.unwrap_or_default();
    let config = Config::parse(&String::from_utf8_lossy(&bytes));
    let is = |section, key, usual: &[&str]| {
        config
            .value(section, key)
            .is_none_or(|value| usual.contains(&value.as_str()))
    };
    if !is("extensions", "objectformat", &["sha1"])
        || !is("extensions", "refstorage", &["files"])
        || !is("core", "repositoryformatversion", &["0", "1"])
    {
        return unusual("config", "that of a repository in another format");
    }
    Ok(config)
}

/// Parses settings and judges them: for the fuzz target.
pub(super) fn parses(text: &str) {
    let config = Config::parse(text);
    let _ = config
        .settings
        .iter()
        .filter(|setting| !setting.is_harmless())
        .count();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dangers(text: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        Config::parse(text).dangers(folder.path()).unwrap()
    }

    #[test]
    fn an_ordinary_configuration_is_harmless() {
        let text = "[core]\n\trepositoryformatversion = 0\n\tfilemode = false\n\tbare = false # no\n\
            [remote \"origin\"]\n\turl = https://host/x.git\n\tfetch = +refs/heads/*:refs/x/*\n\
            [branch \"main\"] remote = origin\n; note\n[gc]\nauto=0\n[user]name=\"A; B\"\n";
        assert_eq!(dangers(text), Vec::<String>::new());
    }

    #[test]
    fn dangerous_settings_are_named_however_they_are_written() {
        for (text, named) in [
            ("[core]\nfsmonitor = x", "core.fsmonitor"),
            ("[CORE]\n\tWorkTree=/x", "core.worktree"),
            ("[core] sshCommand = x", "core.sshcommand"),
            ("[core]\nhookspath", "core.hookspath"),
            ("[core]\nbare = true", "core.bare"),
            ("[filter \"a\"]\nclean = x", "filter.a.clean"),
            ("[diff \"a\"]\ntextconv = x", "diff.a.textconv"),
            ("[diff]\nexternal = x", "diff.external"),
            ("[merge.a]\ndriver = x", "merge.a.driver"),
            ("[include]\npath = x", "include.path"),
            (
                "[includeIf \"gitdir:/\"]\npath = x",
                "includeif.gitdir:/.path",
            ),
            ("[alias]\nst = !x", "alias.st"),
            ("[credential]\nhelper = x", "credential.helper"),
            ("[url \"x\"]\ninsteadOf = y", "url.x.insteadof"),
            ("[remote \"o\"]\nuploadpack = x", "remote.o.uploadpack"),
            ("[remote \"o\"]\nurl = ext::sh -c x", "remote.o.url"),
            ("[remote \"o]\\\"\"]\nvcs = x", "remote.o]\".vcs"),
            ("[gc \"x\"]\nhook = x", "gc.x.hook"),
            ("[http]\nproxy = x", "http.proxy"),
            (
                "[extensions]\nworktreeConfig = true",
                "extensions.worktreeconfig",
            ),
        ] {
            assert_eq!(
                dangers(text),
                [format!("{named} in \".git/config\"")],
                "{text}"
            );
        }
        for text in [
            "key = x",
            "[core\nx=1",
            "[user]\nname = a\\\nb = c",
            "[user]\nna me = x",
        ] {
            assert!(!dangers(text).is_empty(), "{text}");
        }
    }
}
