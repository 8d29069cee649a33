//! `vault dotfiles re-add`: what was changed here goes into the store; references stay.

use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::dotfiles::here;
use crate::cli::dotfiles::here::Which;
use crate::cli::dotfiles::taking;
use crate::cli::dotfiles::taking::Change;
use crate::cli::failure::Failure;
use crate::dotfiles::Left;
use crate::dotfiles::Problem;
use crate::dotfiles::Standing;
use crate::dotfiles::target::Target;

/// Arguments of `dotfiles re-add`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Of a template, what stands where a reference was filled in stays that reference, and the rest is taken over. What was changed in the store
meanwhile, too, is not taken: see it with diff, then choose with apply --ours, --theirs or --merge.

Examples:
  vault dotfiles re-add
  vault dotfiles re-add --dry-run ~/.npmrc")]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Show what would be taken, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

impl Args {
    pub(super) fn run(self, cx: &mut Context) -> Outcome {
        let opened = cx.open(None)?;
        if !here::is_any(cx, &opened) {
            return Ok(0);
        }
        let mut dots = here::open(cx, &opened, &self.which.at)?;
        let _lock = dots.begin(|| cx.ui.say("waiting for another vault to finish"))?;
        let mut items = dots.survey(None, &[])?;
        let is_quiet = |item: &crate::dotfiles::Item| {
            item.standing.is_settled() || matches!(item.standing, Standing::Refused(_))
        };
        if items.iter().all(is_quiet) {
            dots.save()?;
            self.which.filter(cx, &dots, &mut items)?;
            cx.ui.say("nothing was changed here");
            return Ok(0);
        }
        let keys = cx.unlock(&opened)?;
        let mut filling = here::filling(cx, &opened, &keys, true);
        let mut items = here::survey_with(&mut dots, &mut filling)?;
        self.which.filter(cx, &dots, &mut items)?;
        let is_changed = |item: &crate::dotfiles::Item| {
            matches!(item.standing, Standing::ChangedHere | Standing::Mode)
        };
        dots.open_contents(&mut items, &mut filling, is_changed);
        dots.locate(&mut items);
        let mut changes = Vec::new();
        let (mut conflicts, mut unnamed) = (0, 0);
        for item in &items {
            if matches!(item.standing, Standing::Both) {
                conflicts += 1;
                let place = here::shown(cx, &dots, item.target());
                cx.ui
                    .warn(&format!("{place} was changed here and in the store"));
            }
            if !is_changed(item) {
                continue;
            }
            if !self.which.may_take(cx, &dots, item)? {
                unnamed += 1;
                continue;
            }
            let left = |problem: Problem| {
                let target = item.target().to_owned();
                here::failure(cx, &dots, Left { target, problem })
            };
            let target = Target::parse(item.target());
            let target = target.map_err(|why| left(Problem::Header(why.to_owned())))?;
            if let Some(taken) = dots.take(&target).map_err(left)? {
                changes.push(Change::of_changed(cx, &dots, &mut filling, (item, taken))?);
            }
        }
        for change in &changes {
            let place = here::shown(cx, &dots, &change.facts.target);
            let verb = if self.dry_run { "would take" } else { "taking" };
            cx.ui.say(&format!("{verb} {place}"));
        }
        if !self.dry_run {
            let store = (&opened, &*keys);
            taking::commit(cx, store, &mut dots, &mut filling, ("re-add", &changes))?;
            dots.save()?;
        }
        check_left(conflicts, unnamed)?;
        if changes.is_empty() {
            cx.ui.say("nothing was changed here");
        }
        Ok(0)
    }
}

/// Fails if something was left: changed on both sides, or never in the store and not named.
fn check_left(conflicts: usize, unnamed: usize) -> Result<(), Failure> {
    if conflicts > 0 {
        return Err(Failure::failed("what was changed on both sides was not taken").hint(
            "see it with: vault dotfiles diff; then: vault dotfiles apply --ours, --theirs or --merge",
        ));
    }
    if unnamed > 0 {
        return Err(Failure::failed("what nobody has named was not taken"));
    }
    Ok(())
}
