//! What the commands of `dotfiles` share: the root, the dotfiles that words mean, how one is shown, and what `sync` tells.

use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::context::closest;
use crate::cli::dotfiles::apply;
use crate::cli::failure::Failure;
use crate::cli::failure::NO_ENTRY;
use crate::cli::ui::Style;
use crate::config::Config;
use crate::dotfiles;
use crate::dotfiles::Dotfiles;
use crate::dotfiles::Filling;
use crate::dotfiles::Item;
use crate::dotfiles::Left;
use crate::dotfiles::Machine;
use crate::dotfiles::Standing;
use crate::dotfiles::mode_of;
use crate::store::keeper::Keeper;
use crate::sys::fs;
use crate::sys::fs::Kind;
use crate::sys::fs::beneath::Root;
use crate::sys::process;

/// Where dotfiles belong.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct At {
    /// Another folder than the home directory
    #[arg(long = "target", value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    pub root: Option<PathBuf>,
}

/// Which dotfiles are meant.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct Which {
    /// Files, or folders with all that is in them [default: all]
    #[arg(value_name = "PATH", value_hint = clap::ValueHint::AnyPath, add = complete::targets())]
    pub paths: Vec<PathBuf>,
    /// Only dotfiles with this tag; repeat for more
    #[arg(long = "tag", value_name = "TAG", add = complete::tags())]
    pub tags: Vec<String>,
    #[command(flatten)]
    pub at: At,
}

impl Which {
    /// Leaves the items that are meant. A path that means none is a failure.
    pub(super) fn filter(
        &self,
        cx: &Context,
        dots: &Dotfiles<'_>,
        items: &mut Vec<Item>,
    ) -> Result<(), Failure> {
        let has_tag = |item: &Item| {
            let tags = item.facts.as_ref().map(|facts| facts.tags.as_slice());
            self.tags
                .iter()
                .all(|tag| tags.is_some_and(|tags| tags.contains(tag)))
        };
        let mut meant = vec![self.paths.is_empty(); items.len()];
        for path in &self.paths {
            let words = words(cx, dots, path);
            let is_meant = |item: &Item| {
                words.iter().any(|word| {
                    let is_below = |text: &str| {
                        let rest = text.strip_prefix(word.as_str());
                        rest.is_some_and(|rest| {
                            rest.is_empty() || rest.starts_with('/') || word.is_empty()
                        })
                    };
                    is_below(item.target()) || is_below(item.name.as_str())
                })
            };
            let found: Vec<bool> = items.iter().map(is_meant).collect();
            if !found.contains(&true) {
                return Err(none(path, below(cx, dots, path).is_some(), items));
            }
            for (meant, found) in meant.iter_mut().zip(found) {
                *meant |= found;
            }
        }
        let mut meant = meant.into_iter();
        items.retain(|item| meant.next().unwrap_or(false) && has_tag(item));
        Ok(())
    }

    /// Whether a person has named this very dotfile, and not a folder that it is in.
    pub(super) fn names(&self, cx: &Context, dots: &Dotfiles<'_>, item: &Item) -> bool {
        self.paths.iter().any(|path| {
            let words = words(cx, dots, path);
            words
                .iter()
                .any(|word| word == item.target() || word == item.name.as_str())
        })
    }

    /// Whether a person has named the place itself: an entry's name tells nobody what its target is.
    pub(super) fn names_place(&self, cx: &Context, dots: &Dotfiles<'_>, item: &Item) -> bool {
        let mut words = self.paths.iter().flat_map(|path| words(cx, dots, path));
        words.any(|word| word == item.target())
    }

    /// Asks before a file goes into the store that never was there from its place, or that a link on the way leads to: whoever can write
    /// to the store chooses where an entry belongs, and could read what is there once it is taken.
    pub(super) fn may_take(
        &self,
        cx: &Context,
        dots: &Dotfiles<'_>,
        item: &Item,
    ) -> Result<bool, Failure> {
        let real = item.real.as_deref();
        let is_straight = real == Some(Path::new(item.target()));
        let is_known = is_straight && dots.applied_of(&item.name).is_some();
        if is_known || self.names_place(cx, dots, item) {
            return Ok(true);
        }
        let place = shown(cx, dots, item.target());
        let why = match real {
            Some(real) if !is_straight => {
                format!("a link on its way leads to {}", real.display())
            }
            _ => "it was never in the store".to_owned(),
        };
        let question = format!("{place}: {why}. Take it in, for all members of the store?");
        if let Some(answer) = cx.confirm(&question)? {
            return Ok(answer);
        }
        cx.ui.warn(&format!("{place} is left: {why}"));
        cx.ui
            .say("name it, if what is there is meant to go into the store");
        Ok(false)
    }
}

/// The one dotfile that a path names; of several with its target the one that is for this machine.
pub(super) fn only(
    cx: &Context,
    dots: &Dotfiles<'_>,
    path: &Path,
    mut items: Vec<Item>,
) -> Result<Item, Failure> {
    let which = Which {
        paths: vec![path.to_owned()],
        ..Which::default()
    };
    which.filter(cx, dots, &mut items)?;
    items.retain(|item| which.names(cx, dots, item));
    if items.len() > 1 {
        items.retain(|item| !matches!(item.standing, Standing::Elsewhere));
    }
    items.pop().ok_or_else(|| {
        let text = format!("{} is no dotfile, or a folder of them", path.display());
        Failure::failed(text).hint("name one: vault dotfiles list")
    })
}

/// What a path may mean: a place below the root, by the working directory or by itself.
fn words(cx: &Context, dots: &Dotfiles<'_>, path: &Path) -> Vec<String> {
    let by_place = below(cx, dots, path).and_then(|path| path.to_str().map(str::to_owned));
    let itself = (!path.is_absolute()).then(|| path.to_str()).flatten();
    let itself = itself.map(|text| text.trim_end_matches('/').to_owned());
    by_place.into_iter().chain(itself).collect()
}

fn none(path: &Path, is_below: bool, items: &[Item]) -> Failure {
    let text = format!("{} is no dotfile of this store", path.display());
    let failure = Failure::new(NO_ENTRY, text);
    let name = path.to_string_lossy();
    match closest(&name, items.iter().map(Item::target)) {
        Some(guess) => failure.hint(format!("did you mean {guess}?")),
        None if is_below => failure.hint(format!(
            "take it in with: vault dotfiles add {}",
            path.display()
        )),
        None => failure.hint("see what there is with: vault dotfiles list"),
    }
}

/// A path that a person gives, as a place below the root; none if it lies elsewhere.
pub(super) fn below(cx: &Context, dots: &Dotfiles<'_>, path: &Path) -> Option<PathBuf> {
    let whole = plain(&cx.env.absolute(path));
    let root = dots.root.path();
    let home = cx.env.places.home.as_deref().map(plain);
    let home = home.filter(|home| fs::canonical(home).as_deref() == Some(root));
    let roots = std::iter::once(root).chain(home.as_deref());
    for root in roots {
        if let Ok(below) = whole.strip_prefix(root) {
            return Some(below.to_owned());
        }
    }
    // The folder may be known by another path.
    let parent = fs::canonical(whole.parent()?)?;
    let below = parent.strip_prefix(root).ok()?;
    Some(below.join(whole.file_name()?))
}

/// A path without `.` and `..`, as it is written: no link is looked at.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    plain
}

/// The dotfiles of a store.
pub(super) fn open<'s>(cx: &Context, opened: &'s Opened, at: &At) -> Result<Dotfiles<'s>, Failure> {
    let home = cx.env.places.home.clone();
    let root = at.root.as_ref().map(|root| cx.env.absolute(root)).or(home);
    let root = root.ok_or_else(|| {
        Failure::failed("there is no home directory").hint("name a folder with --target")
    })?;
    let places = &cx.env.places;
    let mut own = vec![opened.store.path().to_owned(), places.state.clone()];
    own.extend([places.config.clone(), places.data.clone()]);
    own.extend(opened.store.state.identity());
    for named in Config::load(&cx.env)?.stores.into_values() {
        own.push(cx.env.absolute(&named.path));
        own.extend(named.identity.map(|path| cx.env.absolute(&path)));
    }
    let machine = Machine {
        host: process::host_name(),
        system: std::env::consts::OS,
    };
    Ok(Dotfiles::open(
        &opened.store,
        Root::open(&root)?,
        machine,
        &own,
    )?)
}

/// Whether there is a dotfile at all; says so if not.
pub(super) fn is_any(cx: &Context, opened: &Opened) -> bool {
    let is_any = dotfiles::is_any(&opened.store);
    if !is_any {
        cx.ui
            .say("there are no dotfiles; take one in with: vault dotfiles add PATH");
    }
    is_any
}

/// How everything stands without a key; where that does not tell all and keys are at hand, with them.
pub(super) fn survey(
    cx: &Context,
    opened: &Opened,
    dots: &mut Dotfiles<'_>,
) -> Result<Vec<Item>, Failure> {
    let mut items = dots.survey(None, &[])?;
    if items.iter().all(is_known) {
        dots.remember()?;
        return Ok(items);
    }
    if let Some(keys) = cx.unlock_silently(opened) {
        let mut filling = Filling::new(&opened.store, &keys, cx.env.now, true);
        items = dots.survey(Some(&mut filling), &[])?;
    } else {
        let hints = opened.store.catalogue()?.known;
        items = dots.survey(None, &hints)?;
    }
    dots.remember()?;
    Ok(items)
}

/// Whether it is known how one stands, without the keys.
pub(super) fn is_known(item: &Item) -> bool {
    item.standing.is_settled()
        || matches!(
            item.standing,
            Standing::ChangedHere | Standing::Mode | Standing::Refused(_)
        )
}

/// The same with the keys, asking where nobody has unlocked.
pub(super) fn survey_with(
    dots: &mut Dotfiles<'_>,
    filling: &mut Filling<'_>,
) -> Result<Vec<Item>, Failure> {
    Ok(dots.survey(Some(filling), &[])?)
}

/// Fills references in from the store.
pub(super) fn filling<'s>(
    cx: &Context,
    opened: &'s Opened,
    keys: &'s dyn Keeper,
    allow_expired: bool,
) -> Filling<'s> {
    Filling::new(&opened.store, keys, cx.env.now, allow_expired)
}

/// A target as a person reads it.
pub(super) fn shown(cx: &Context, dots: &Dotfiles<'_>, target: &str) -> String {
    let home = cx.env.places.home.as_deref().and_then(fs::canonical);
    let is_home = home.as_deref() == Some(dots.root.path());
    if is_home {
        format!("~/{target}")
    } else {
        dots.root.path().join(target).display().to_string()
    }
}

/// A line for an item.
pub(super) fn line(cx: &mut Context, dots: &Dotfiles<'_>, item: &Item) {
    let style = match item.standing {
        Standing::Add => Style::Green,
        Standing::Both | Standing::Refused(_) => Style::Red,
        Standing::ChangedHere | Standing::Stale | Standing::Unread => Style::Yellow,
        Standing::Clean | Standing::Elsewhere | Standing::Gone => Style::Dim,
        Standing::Update | Standing::Mode => Style::Plain,
    };
    let word = format!("{:<13}", item.standing.word());
    let word = cx.ui.paint(&word, style).into_owned();
    let place = match &item.facts {
        Some(facts) => shown(cx, dots, &facts.target),
        None => item.name.to_string(),
    };
    let place = cx.ui.paint(&place, Style::Plain).into_owned();
    let remark = match &item.standing {
        Standing::Refused(problem) => format!("  ({problem})"),
        Standing::Unread => "  (locked: unlock to see what it is)".to_owned(),
        Standing::Stale => "  (the store may have another one: unlock to compare)".to_owned(),
        _ => what(item) + &way(item),
    };
    let remark = cx.ui.paint(&remark, Style::Dim).into_owned();
    cx.ui.line(&format!("{word} {place}{remark}"));
}

/// What becomes of it, where that is not all in its place: how its permission bits change, and where a link will lead.
fn what(item: &Item) -> String {
    let mode = item.facts.as_ref().and_then(|facts| mode_of(facts).ok());
    match (&item.standing, item.seen, mode, &item.content) {
        (_, _, _, Some(content)) if content.header.link && item.standing.is_due() => {
            let text = String::from_utf8_lossy(content.bytes.expose());
            format!("  (a link to {text})")
        }
        (Standing::Add, None, Some(mode), Some(content))
            if content.header.template && mode & 0o077 != 0 =>
        {
            format!("  (filled in, mode {mode:03o})")
        }
        (Standing::Mode | Standing::Update, Some(seen), Some(mode), _)
            if seen.kind == Kind::File && seen.mode != mode =>
        {
            format!("  (mode {:03o} -> {mode:03o})", seen.mode)
        }
        _ => String::new(),
    }
}

/// Where a link on the way leads to.
fn way(item: &Item) -> String {
    match (&item.real, item.standing.is_due()) {
        (Some(real), true) if real != Path::new(item.target()) => {
            format!("  (a link on the way leads to {})", real.display())
        }
        _ => String::new(),
    }
}

/// The failure of what was left, by the first of them.
pub(super) fn failure(cx: &Context, dots: &Dotfiles<'_>, left: Left) -> Failure {
    let place = shown(cx, dots, &left.target);
    let failure = Failure::from(left.problem);
    Failure {
        message: format!("{place}: {}", failure.message),
        ..failure
    }
}

/// What a sync tells of dotfiles, and does if asked.
pub(in crate::cli) fn after_sync(
    cx: &mut Context,
    opened: &Opened,
    applies: bool,
) -> Result<u8, Failure> {
    if !dotfiles::is_any(&opened.store) || cx.env.places.home.is_none() {
        return Ok(0);
    }
    if applies {
        return apply::Args::of_sync().apply(cx, opened);
    }
    let at = At::default();
    let mut dots = open(cx, opened, &at)?;
    let items = survey(cx, opened, &mut dots)?;
    let due = |item: &&Item| !item.standing.is_settled();
    let count = items.iter().filter(due).count();
    for item in items.iter().filter(due) {
        cx.ui.say(&format!(
            "dotfiles: {:<12} {}",
            item.standing.word(),
            shown(cx, &dots, item.target())
        ));
    }
    if count > 0 {
        cx.ui
            .say("nothing of that was put in place; do it with: vault dotfiles apply");
    }
    Ok(0)
}
