//! `vault dotfiles add`: files and folders of the home directory go into the store.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::cli::Outcome;
use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::dotfiles::here;
use crate::cli::dotfiles::here::At;
use crate::cli::dotfiles::taking;
use crate::cli::dotfiles::taking::Change;
use crate::cli::failure::FAILED;
use crate::cli::failure::Failure;
use crate::dotfiles::Dotfiles;
use crate::dotfiles::Filling;
use crate::dotfiles::Item;
use crate::dotfiles::Left;
use crate::dotfiles::Problem;
use crate::dotfiles::Standing;
use crate::dotfiles::Taken;
use crate::dotfiles::memory::Facts;
use crate::dotfiles::mode_of;
use crate::dotfiles::target::Target;
use crate::dotfiles::template;
use crate::format::Name;
use crate::sys::fs::Kind;

/// Up to this many files are told one by one.
const TOLD_MAX: usize = 20;
/// How often a name is tried with another number.
const NAMES_MAX: usize = 1000;

/// Arguments of `dotfiles add`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
A file goes in as it is, with its mode; a link as a link, whatever it says; of a folder all that is in it, but no empty folder, no .git, and
nothing of vault's own. What is in
the store already is brought up to date, as re-add does it; what is the same is not written again.

For which machine an entry is, and all else that is known about it, can be changed with `vault edit NAME`.

A file that holds references (agevault://NAME) becomes a template: apply fills them in, and what comes of it has mode 600 unless --mode
says otherwise.

Examples:
  vault dotfiles add ~/.netrc ~/.config/gh
  vault dotfiles add --only-host laptop --tag work ~/.config/mail
  vault dotfiles add --only-os linux --only-os macos ~/.npmrc")]
pub(super) struct Args {
    /// Files and folders below the home directory
    #[arg(required = true, value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<PathBuf>,
    /// Put it in place on this machine only; repeat for more
    #[arg(long = "only-host", value_name = "HOST")]
    hosts: Vec<String>,
    /// Put it in place on this system only: linux, macos, freebsd; repeat for more
    #[arg(long = "only-os", value_name = "SYSTEM")]
    systems: Vec<String>,
    /// A free word to choose by; repeat for more
    #[arg(long = "tag", value_name = "TAG", add = complete::tags())]
    tags: Vec<String>,
    /// The permission bits, instead of those that the file has
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
    /// Fill references in when it is put in place [default: where there are any]
    #[arg(long, conflicts_with = "no_template")]
    template: bool,
    /// Leave what looks like a reference as it is
    #[arg(long)]
    no_template: bool,
    /// Show what would go in, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    at: At,
}

impl Args {
    pub(super) fn run(self, cx: &mut Context) -> Outcome {
        self.check()?;
        let opened = cx.open(None)?;
        let mut dots = here::open(cx, &opened, &self.at)?;
        let targets = self.targets(cx, &dots)?;
        let keys = cx.unlock(&opened)?;
        let mut filling = here::filling(cx, &opened, &keys, true);
        let _lock = dots.begin(|| cx.ui.say("waiting for another vault to finish"))?;
        let mut items = here::survey_with(&mut dots, &mut filling)?;
        dots.open_contents(&mut items, &mut filling, |item| {
            targets
                .iter()
                .any(|target| target.as_str() == item.target())
        });
        let mut names = Names::of(&opened.store.names()?);
        let mut changes = Vec::new();
        let mut same = 0;
        for target in &targets {
            let place = here::shown(cx, &dots, target.as_str());
            let left = |problem| {
                let target = target.as_str().to_owned();
                here::failure(cx, &dots, Left { target, problem })
            };
            let taken = dots.take(target).map_err(left)?;
            let taken = taken.ok_or_else(|| Failure::failed(format!("there is no {place}")))?;
            let item = items.iter().find(|item| self.is_of(item, target));
            let change = match item {
                Some(item) => self.changed(cx, &dots, &mut filling, (item, taken))?,
                None => self.new_one(cx, (&dots, &place), &mut names, taken)?,
            };
            if item.is_some_and(|item| change.is_in(item)) {
                same += 1;
            } else {
                changes.push(change);
            }
        }
        if !self.dry_run {
            let store = (&opened, &*keys);
            taking::commit(cx, store, &mut dots, &mut filling, ("add", &changes))?;
            dots.save()?;
        }
        self.tell(cx, &dots, &changes, same);
        Ok(0)
    }

    fn check(&self) -> Result<(), Failure> {
        let mode = self.mode.clone();
        if let Err(problem) = mode_of(&Facts {
            mode,
            ..Facts::default()
        }) {
            return Err(Failure::usage(problem.to_string()).hint("three octal digits, such as 600"));
        }
        let words = [
            (&self.hosts, "--only-host"),
            (&self.systems, "--only-os"),
            (&self.tags, "--tag"),
        ];
        let empty = words
            .iter()
            .find(|(list, _)| list.iter().any(String::is_empty));
        match empty {
            Some((_, flag)) => Err(Failure::usage(format!("{flag} takes a word"))),
            None => Ok(()),
        }
    }

    /// All places that the paths mean, each once.
    fn targets(&self, cx: &Context, dots: &Dotfiles<'_>) -> Result<Vec<Target>, Failure> {
        let mut all = Vec::new();
        for path in &self.paths {
            let below = here::below(cx, dots, path).ok_or_else(|| {
                let root = dots.root.path().display();
                Failure::failed(format!("{} is not below {root}", path.display()))
                    .hint("another folder can be named with --target")
            })?;
            let problem = |problem: Problem| {
                let failure = Failure::from(problem);
                Failure {
                    message: format!("{}: {}", path.display(), failure.message),
                    ..failure
                }
            };
            if below.as_os_str().is_empty() {
                let text = format!("{} is all of it", path.display());
                return Err(Failure::failed(text).hint("name the files and folders in it"));
            }
            let (targets, odd) = dots.places(&below).map_err(problem)?;
            for path in odd {
                cx.ui.warn(&format!(
                    "{} is left out: it is no file and no link, or its name is no text",
                    dots.root.path().join(path).display()
                ));
            }
            all.extend(targets);
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    /// Whether an item is the one that a file of this target is brought up to date in.
    fn is_of(&self, item: &Item, target: &Target) -> bool {
        let Some(facts) = item
            .facts
            .as_ref()
            .filter(|facts| facts.target == target.as_str())
        else {
            return false;
        };
        let is_said = !self.hosts.is_empty() || !self.systems.is_empty();
        match item.standing {
            Standing::Gone => false,
            _ if is_said => facts.hosts == self.hosts && facts.systems == self.systems,
            Standing::Elsewhere => false,
            _ => true,
        }
    }

    fn changed(
        &self,
        cx: &Context,
        dots: &Dotfiles<'_>,
        filling: &mut Filling<'_>,
        (item, taken): (&Item, Taken),
    ) -> Result<Change, Failure> {
        if matches!(item.standing, Standing::Both | Standing::Update) && !self.dry_run {
            let place = here::shown(cx, dots, item.target());
            let text = format!("{place} was changed in the store");
            return Err(Failure::new(FAILED, text)
                .hint("see how with: vault dotfiles diff; then: vault dotfiles apply --ours, --theirs or --merge"));
        }
        let mut change = Change::of_changed(cx, dots, filling, (item, taken))?;
        if !self.tags.is_empty() {
            change.facts.tags.clone_from(&self.tags);
        }
        if self.mode.is_some() {
            change.facts.mode.clone_from(&self.mode);
        }
        if self.no_template {
            change.facts.template = false;
        }
        Ok(change)
    }

    fn new_one(
        &self,
        cx: &Context,
        (dots, place): (&Dotfiles<'_>, &str),
        names: &mut Names,
        taken: Taken,
    ) -> Result<Change, Failure> {
        let Taken {
            target,
            bytes,
            stat,
        } = taken;
        let link = stat.kind == Kind::Link;
        let has = !link && template::has_references(bytes.expose());
        let template = self.template || (has && !self.no_template);
        if template {
            template::parse(bytes.expose()).map_err(|fault| {
                let problem = Problem::Template(fault);
                let target = target.as_str().to_owned();
                here::failure(cx, dots, Left { target, problem })
                    .hint("take it in as it is with --no-template")
            })?;
            if !self.template {
                cx.ui
                    .say(&format!("{place} holds references: apply fills them in"));
            }
        }
        let mode = self.mode.clone();
        let own_mode = || format!("{:03o}", stat.mode & 0o777);
        let facts = Facts {
            target: target.as_str().to_owned(),
            mode: mode
                .or_else(|| (!template).then(own_mode))
                .filter(|_| !link),
            link,
            template,
            hosts: self.hosts.clone(),
            systems: self.systems.clone(),
            tags: self.tags.clone(),
        };
        let more = self.hosts.first().or(self.systems.first());
        let name = names.free(&target, more.map(String::as_str));
        let name = name.ok_or_else(|| Failure::failed(format!("{place}: no name is free")))?;
        Ok(Change {
            name,
            header: None,
            facts,
            source: crate::secret::Secret::copy_of(bytes.expose()),
            taken: bytes,
            stat: Some(stat),
        })
    }

    fn tell(&self, cx: &mut Context, dots: &Dotfiles<'_>, changes: &[Change], same: usize) {
        for change in changes.iter().take(TOLD_MAX) {
            let place = here::shown(cx, dots, &change.facts.target);
            let verb = match (self.dry_run, change.header.is_some()) {
                (true, false) => "would add",
                (true, true) => "would update",
                (false, false) => "added",
                (false, true) => "updated",
            };
            cx.ui.say(&format!("{verb} {place} as \"{}\"", change.name));
        }
        if let Some(more @ 1..) = changes.len().checked_sub(TOLD_MAX) {
            cx.ui.say(&format!("and {more} more"));
        }
        if same > 0 {
            cx.ui.say(&format!("{same} unchanged"));
        }
    }
}

/// The names that are taken, by their lower-case form: two that differ in case only clash.
struct Names(BTreeMap<String, String>);

impl Names {
    fn of(names: &[Name]) -> Self {
        let mut all = Self(BTreeMap::new());
        for name in names {
            all.take(name);
        }
        all
    }

    fn take(&mut self, name: &Name) {
        let mut path = String::new();
        for component in name.components() {
            if !path.is_empty() {
                self.0
                    .insert(format!("{}/", path.to_lowercase()), path.clone());
                path.push('/');
            }
            path.push_str(component);
        }
        self.0.insert(path.to_lowercase(), path);
    }

    /// A free name for a target, which is taken then. Folders are spelled as they are there.
    fn free(&mut self, target: &Target, more: Option<&str>) -> Option<Name> {
        let wanted = target.name()?;
        let mut folder = String::new();
        let folders = wanted.components().count().saturating_sub(1);
        for component in wanted.components().take(folders) {
            let path = format!("{folder}{component}");
            let known = self.0.get(&format!("{}/", path.to_lowercase()));
            folder = format!("{}/", known.unwrap_or(&path));
        }
        let base = format!("{folder}{}", wanted.last());
        let with = more.map(|more| format!("{base}@{more}"));
        let numbered = (2..NAMES_MAX).map(|number| format!("{base}-{number}"));
        let candidates = std::iter::once(base.clone()).chain(with).chain(numbered);
        for text in candidates {
            let is_free = !self.0.contains_key(&text.to_lowercase());
            if let Some(name) = Name::parse(&text).ok().filter(|_| is_free) {
                self.take(&name);
                return Some(name);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_free_and_do_not_clash() {
        let parse = |text: &str| Name::parse(text).unwrap();
        let mut names = Names::of(&[parse("dotfiles/Config/x"), parse("dotfiles/dot_npmrc")]);
        let mut free = |target: &str, more: Option<&str>| {
            let target = Target::parse(target).unwrap();
            names.free(&target, more).unwrap().to_string()
        };
        assert_eq!(free(".netrc", None), "dotfiles/dot_netrc");
        assert_eq!(free(".npmrc", None), "dotfiles/dot_npmrc-2");
        assert_eq!(free(".npmrc", Some("laptop")), "dotfiles/dot_npmrc@laptop");
        assert_eq!(free("config/x", None), "dotfiles/Config/x-2");
        assert_eq!(free("config/X", None), "dotfiles/Config/X-3");
        assert_eq!(free("a/a/a", None), "dotfiles/a/a/a");
    }
}
