//! `vault dotfiles apply`: dotfiles are put in their places. What is unchanged is neither opened nor written.

use std::path::Path;
use std::path::PathBuf;

use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::dotfiles::here;
use crate::cli::dotfiles::here::Which;
use crate::cli::dotfiles::merge;
use crate::cli::dotfiles::taking;
use crate::cli::dotfiles::taking::Change;
use crate::cli::failure::FAILED;
use crate::cli::failure::Failure;
use crate::dotfiles::Done;
use crate::dotfiles::Dotfiles;
use crate::dotfiles::Filling;
use crate::dotfiles::Item;
use crate::dotfiles::Left;
use crate::dotfiles::Problem;
use crate::dotfiles::Standing;
use crate::dotfiles::mode_of;
use crate::dotfiles::target::Target;
use crate::dotfiles::target::sensitive;
use crate::store::keeper::Keeper;
use crate::sys::fs::Kind;

/// Arguments of `dotfiles apply`.
#[derive(clap::Args, Debug, Default)]
#[command(after_help = "\
Where more would change than the files that are named, the plan is shown first, and on a terminal asked about. What lets somebody in or is
run when you log in, such as ~/.ssh/authorized_keys or ~/.bashrc, is asked about by its name, each time it would change, and so is what every
user could write to; without a terminal it must be named itself. Nothing is written below a link that leads out of the home directory, nor over
a folder, a device or another user's file.

A file is replaced in one step. What was there is kept, encrypted, until the next apply that finds nothing in its way: see restore --backup.

What was changed here stays. What was changed on both sides stays too, until you say which: --theirs puts the store's in place, --ours takes
this one into the store, --merge opens both in your editor where they cannot be joined line by line.

Exit code: 0; 1 something was left; 4 the keys are needed; 5 refused for integrity; 6 a template refers to an expired entry.

Examples:
  vault dotfiles apply
  vault dotfiles apply --dry-run
  vault dotfiles apply --theirs ~/.npmrc")]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Show what would be done, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do not ask about the plan; what is sensitive is asked about all the same
    #[arg(short, long)]
    yes: bool,
    /// Of what was changed on both sides, take this machine's into the store
    #[arg(long, conflicts_with_all = ["theirs", "merge"])]
    ours: bool,
    /// Put the store's in place, over what was changed here
    #[arg(long, conflicts_with = "merge")]
    theirs: bool,
    /// Join what was changed on both sides, in your editor where that takes a person
    #[arg(long)]
    merge: bool,
    /// Fill references to expired entries in, too
    #[arg(long)]
    allow_expired: bool,
}

/// The bits that let other users write.
const OTHERS_WRITE: u32 = 0o002;
const GROUP_WRITES: u32 = 0o020;
/// Why a person is asked about a file that has the first of them.
const OPEN: &str = "every user of this machine could write to it";

/// What was decided about an item.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Decision {
    /// Nothing is to be done.
    Leave,
    /// The store's is put in place.
    Write,
    /// This machine's goes into the store.
    Take,
    /// Both are joined.
    Merge,
}

impl Args {
    /// What `sync --apply` does.
    pub(super) fn of_sync() -> Self {
        Self::default()
    }

    /// What other commands do with one dotfile that they have changed.
    pub(super) fn of_one(which: Which) -> Self {
        Self {
            which,
            ..Self::default()
        }
    }

    pub(super) fn run(self, cx: &mut Context) -> Outcome {
        let opened = cx.open(None)?;
        if !here::is_any(cx, &opened) {
            return Ok(0);
        }
        self.apply(cx, &opened)
    }

    /// Does it in an opened store.
    pub(super) fn apply(&self, cx: &mut Context, opened: &Opened) -> Outcome {
        let mut dots = here::open(cx, opened, &self.which.at)?;
        let lock = dots.begin(|| cx.ui.say("waiting for another vault to finish"))?;
        let items = dots.survey(None, &[])?;
        let code = if items.iter().all(|item| self.is_quiet(item)) {
            self.quiet(cx, &mut dots, items)?
        } else {
            let keys = cx.unlock(opened)?;
            let mut filling = here::filling(cx, opened, &keys, self.allow_expired);
            self.with_keys(cx, (opened, &*keys), &mut dots, &mut filling)?
        };
        drop(lock);
        Ok(code)
    }

    /// Whether nothing needs to be opened for an item.
    fn is_quiet(&self, item: &Item) -> bool {
        match item.standing {
            Standing::Mode => false,
            Standing::ChangedHere => !self.theirs,
            _ => here::is_known(item),
        }
    }

    /// Nothing is to be written.
    fn quiet(&self, cx: &mut Context, dots: &mut Dotfiles<'_>, items: Vec<Item>) -> Outcome {
        let mut items = items;
        self.which.filter(cx, dots, &mut items)?;
        let left = refusals(&mut items);
        if left.is_empty() && self.is_clean(&items) {
            dots.finish(&[])?;
        } else {
            dots.save()?;
        }
        let done = Done {
            left,
            ..Done::default()
        };
        Ok(self.report(cx, dots, &items, (done, 0)))
    }

    fn with_keys(
        &self,
        cx: &mut Context,
        (opened, keys): (&Opened, &dyn Keeper),
        dots: &mut Dotfiles<'_>,
        filling: &mut Filling<'_>,
    ) -> Outcome {
        let mut items = here::survey_with(dots, filling)?;
        self.which.filter(cx, dots, &mut items)?;
        if self.theirs {
            dots.open_contents(&mut items, filling, |item| {
                matches!(item.standing, Standing::ChangedHere)
            });
        }
        dots.locate(&mut items);
        self.show_plan(cx, dots, &items)?;
        let mut left = refusals(&mut items);
        if self.dry_run {
            dots.save()?;
            return Ok(0);
        }
        let mut decisions: Vec<Decision> = items.iter().map(|item| self.decide(item)).collect();
        let mut unnamed = Vec::new();
        let led_to = dots.led_to();
        for (item, decision) in items.iter().zip(&mut decisions) {
            let is_writing = matches!(decision, Decision::Write | Decision::Merge);
            if is_writing && !self.may_write(cx, (dots, &led_to), item)? {
                *decision = Decision::Leave;
                unnamed.push(item.target().to_owned());
            }
            let is_taking = matches!(decision, Decision::Take | Decision::Merge);
            if is_taking && !self.which.may_take(cx, dots, item)? {
                *decision = Decision::Leave;
                unnamed.push(item.target().to_owned());
            }
        }
        take(cx, (opened, keys), dots, filling, (&items, &decisions))?;
        for (item, decision) in items.iter_mut().zip(&mut decisions) {
            match decision {
                Decision::Merge => {
                    let store = (opened, keys);
                    merge::one(cx, store, dots, filling, item)?;
                    *decision = Decision::Write;
                }
                Decision::Take => item.standing = Standing::Clean,
                _ => {}
            }
        }
        let writing = items.iter_mut().zip(&decisions);
        let writing = writing.filter(|(_, decision)| **decision == Decision::Write);
        let mut done = dots.put(keys, writing.map(|(item, _)| item).collect())?;
        let is_done = left.is_empty() && done.left.is_empty() && unnamed.is_empty();
        if is_done && self.is_clean(&items) {
            dots.finish(&done.backups)?;
        } else {
            dots.save()?;
        }
        done.left.append(&mut left);
        Ok(self.report(cx, dots, &items, (done, unnamed.len())))
    }

    /// Whether it was about all dotfiles, and nothing waits: then what was replaced earlier is not needed any more.
    fn is_clean(&self, items: &[Item]) -> bool {
        let is_all = self.which.paths.is_empty() && self.which.tags.is_empty();
        is_all && !self.dry_run && items.iter().all(|item| item.standing.is_settled())
    }

    fn decide(&self, item: &Item) -> Decision {
        match item.standing {
            Standing::Add | Standing::Update | Standing::Mode => Decision::Write,
            Standing::ChangedHere | Standing::Both if self.theirs => Decision::Write,
            Standing::Both if self.ours => Decision::Take,
            Standing::Both if self.merge => Decision::Merge,
            _ => Decision::Leave,
        }
    }

    /// Shows what is to be done where that is more than the files that were named, and asks.
    fn show_plan(
        &self,
        cx: &mut Context,
        dots: &Dotfiles<'_>,
        items: &[Item],
    ) -> Result<(), Failure> {
        let is_planned = |item: &&Item| self.decide(item) != Decision::Leave;
        let planned = || items.iter().filter(is_planned);
        let is_named = planned().all(|item| self.which.names_place(cx, dots, item));
        if is_named && !self.dry_run {
            return Ok(());
        }
        let shown = |item: &&Item| self.dry_run || !item.standing.is_settled();
        for item in items
            .iter()
            .filter(shown)
            .filter(|item| !item.standing.is_settled())
        {
            here::line(cx, dots, item);
        }
        cx.ui.finish()?;
        let count = planned().count();
        if self.dry_run {
            cx.ui.say(&format!(
                "{} would change; nothing was changed",
                files(count)
            ));
            return Ok(());
        }
        if self.yes {
            return Ok(());
        }
        match cx.confirm(&format!("Change {}?", files(count)))? {
            Some(false) => Err(Failure::failed("nothing is changed")),
            // Without a terminal it was shown, and whoever runs it has asked for it.
            Some(true) | None => Ok(()),
        }
    }

    /// Asks about what lets somebody in or is run, by its name.
    fn may_write(
        &self,
        cx: &Context,
        (dots, led_to): (&Dotfiles<'_>, &[(PathBuf, &'static str)]),
        item: &Item,
    ) -> Result<bool, Failure> {
        let target = Path::new(item.target());
        let led = |place: &Path| {
            let mut led = led_to.iter().filter(|(led, _)| place.starts_with(led));
            led.next().map(|(_, why)| *why)
        };
        let real = item.real.as_deref();
        let by_place = real.and_then(|real| sensitive(real).or_else(|| led(real)));
        let opened = opened_to(item);
        let is_quiet = matches!(item.standing, Standing::Mode) && opened == 0;
        let by_name = sensitive(target).or(by_place).filter(|_| !is_quiet);
        let Some(why) = by_name.or((opened & OTHERS_WRITE != 0).then_some(OPEN)) else {
            return Ok(true);
        };
        // Whoever has named a harmless place has not named where a link leads from there.
        let is_elsewhere = real.is_some_and(|real| {
            real != target && (sensitive(real).is_some() || sensitive(target).is_none())
        });
        let is_hidden = by_place.is_some() && is_elsewhere;
        if self.which.names_place(cx, dots, item) && !is_hidden {
            return Ok(true);
        }
        let place = here::shown(cx, dots, item.target());
        let question = format!("{place}: {why}. Put the store's there?");
        if let Some(answer) = cx.confirm(&question)? {
            if !answer {
                cx.ui.say(&format!("{place} is left as it is"));
            }
            return Ok(answer);
        }
        cx.ui
            .warn(&format!("{place} is left: {why}, and nobody can be asked"));
        cx.ui.say(&format!(
            "name it, if it is meant: vault dotfiles apply {place}"
        ));
        Ok(false)
    }

    /// Says what was done and what was left, and gives the exit code.
    fn report(
        &self,
        cx: &mut Context,
        dots: &Dotfiles<'_>,
        items: &[Item],
        (done, unnamed): (Done, usize),
    ) -> u8 {
        let is_few = done.written.len() <= self.which.paths.len().max(1);
        for target in done.written.iter().filter(|_| is_few) {
            let place = here::shown(cx, dots, target);
            cx.ui.say(&format!("put {place} in place"));
        }
        if !is_few {
            cx.ui
                .say(&format!("put {} in place", files(done.written.len())));
        }
        if !done.backups.is_empty() {
            cx.ui.say("what was there is kept, encrypted, until the next apply: see vault dotfiles restore --backup");
        }
        for item in items {
            let place = here::shown(cx, dots, item.target());
            match item.standing {
                Standing::ChangedHere => cx.ui.say(&format!(
                    "{place} was changed here and is left: take it in with re-add, or put the store's there with apply --theirs"
                )),
                Standing::Both => cx.ui.warn(&format!(
                    "{place} was changed here and in the store: choose with --ours, --theirs or --merge"
                )),
                Standing::Gone => cx.ui.say(&format!("{place} is a dotfile no longer; the file stays")),
                _ => {}
            }
        }
        let waits = items
            .iter()
            .any(|item| matches!(item.standing, Standing::Both));
        let mut code = if waits || unnamed > 0 { FAILED } else { 0 };
        for left in done.left {
            let failure = here::failure(cx, dots, left);
            code = code.max(failure.code);
            let _ = cx.ui.fail(&failure);
        }
        let quiet = items.iter().all(|item| item.standing.is_settled());
        if done.written.is_empty() && code == 0 && quiet {
            let count = items
                .iter()
                .filter(|item| matches!(item.standing, Standing::Clean));
            cx.ui
                .say(&format!("all as it should be: {} in place", count.count()));
        }
        code
    }
}

/// The bits that would let other users write, and that what is in its place does not have.
fn opened_to(item: &Item) -> u32 {
    let facts = item.facts.as_ref().filter(|facts| !facts.link);
    let mode = facts.and_then(|facts| mode_of(facts).ok()).unwrap_or(0);
    let seen = item.seen.filter(|seen| seen.kind == Kind::File);
    mode & !seen.map_or(0, |seen| seen.mode) & (OTHERS_WRITE | GROUP_WRITES)
}

/// Takes this machine's files into the store.
fn take(
    cx: &Context,
    (opened, keys): (&Opened, &dyn Keeper),
    dots: &mut Dotfiles<'_>,
    filling: &mut Filling<'_>,
    (items, decisions): (&[Item], &[Decision]),
) -> Result<(), Failure> {
    let mut changes = Vec::new();
    let taking = items.iter().zip(decisions);
    for (item, _) in taking.filter(|(_, decision)| **decision == Decision::Take) {
        let left = |problem: Problem| {
            let target = item.target().to_owned();
            here::failure(cx, dots, Left { target, problem })
        };
        let target = Target::parse(item.target());
        let target = target.map_err(|why| left(Problem::Header(why.to_owned())))?;
        if let Some(taken) = dots.take(&target).map_err(left)? {
            changes.push(Change::of_changed(cx, dots, filling, (item, taken))?);
        }
    }
    taking::commit(cx, (opened, keys), dots, filling, ("re-add", &changes))?;
    for change in &changes {
        let place = here::shown(cx, dots, &change.facts.target);
        cx.ui.say(&format!("took {place} into the store"));
    }
    Ok(())
}

/// Takes the refusals out of the items.
fn refusals(items: &mut Vec<Item>) -> Vec<Left> {
    let (refused, fine): (Vec<Item>, Vec<Item>) = std::mem::take(items)
        .into_iter()
        .partition(|item| matches!(item.standing, Standing::Refused(_)));
    *items = fine;
    let left = refused.into_iter().filter_map(|item| {
        let target = item.target().to_owned();
        match item.standing {
            Standing::Refused(problem) => Some(Left { target, problem }),
            _ => None,
        }
    });
    left.collect()
}

fn files(count: usize) -> String {
    match count {
        1 => "1 dotfile".to_owned(),
        count => format!("{count} dotfiles"),
    }
}
