//! `vault dotfiles restore`: an earlier version of a dotfile, or what apply has replaced.

use std::path::PathBuf;

use crate::cli::Outcome;
use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::dotfiles::apply;
use crate::cli::dotfiles::here;
use crate::cli::dotfiles::here::At;
use crate::cli::dotfiles::here::Which;
use crate::cli::failure::Failure;
use crate::cli::failure::NO_ENTRY;
use crate::cli::restore;
use crate::cli::restore::How;
use crate::dotfiles::Content;
use crate::dotfiles::Dotfiles;
use crate::dotfiles::Item;
use crate::dotfiles::Left;
use crate::dotfiles::Standing;
use crate::dotfiles::memory::Facts;
use crate::dotfiles::target::Target;
use crate::secret::Secret;
use crate::store::keeper::Keeper;

/// Arguments of `dotfiles restore`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The earlier version becomes a new revision in the store, and is put in place as apply does it. With --backup it is what was there before apply
replaced it: that goes to its place alone, where it counts as changed here.

Examples:
  vault dotfiles restore ~/.npmrc
  vault dotfiles restore ~/.npmrc 3
  vault dotfiles restore --backup ~/.npmrc")]
pub(super) struct Args {
    /// The dotfile
    #[arg(value_name = "PATH", value_hint = clap::ValueHint::FilePath, add = complete::targets())]
    path: PathBuf,
    /// A revision's number, or the beginning of a commit's id, as `vault log NAME` shows them
    #[arg(conflicts_with = "backup")]
    version: Option<String>,
    /// Put back what was in its place before apply replaced it
    #[arg(long)]
    backup: bool,
    /// Leave what is in its place as it is
    #[arg(long, conflicts_with = "backup")]
    no_apply: bool,
    /// Show what would be done, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    at: At,
}

impl Args {
    pub(super) fn run(self, cx: &mut Context) -> Outcome {
        let opened = cx.open(None)?;
        let which = Which {
            paths: vec![self.path.clone()],
            at: self.at.clone(),
            ..Which::default()
        };
        let keys = cx.unlock(&opened)?;
        let mut dots = here::open(cx, &opened, &self.at)?;
        let lock = dots.begin(|| cx.ui.say("waiting for another vault to finish"))?;
        let mut filling = here::filling(cx, &opened, &keys, true);
        let items = here::survey_with(&mut dots, &mut filling)?;
        let item = here::only(cx, &dots, &self.path, items)?;
        let place = here::shown(cx, &dots, item.target());
        if self.backup {
            return self.put_back(cx, &mut dots, &keys, (item, &place));
        }
        let is_elsewhere = matches!(item.standing, Standing::Elsewhere);
        let name = item.name.clone();
        drop((item, filling, lock, dots));
        let how = How {
            version: self.version.as_deref(),
            secret_only: false,
            dry_run: self.dry_run,
        };
        restore::one(cx, &opened, &keys, (&name, how))?;
        drop(keys);
        if self.no_apply || self.dry_run || is_elsewhere {
            return Ok(0);
        }
        apply::Args::of_one(which).apply(cx, &opened)
    }

    /// Puts what was replaced back in its place.
    fn put_back(
        &self,
        cx: &mut Context,
        dots: &mut Dotfiles<'_>,
        keys: &dyn Keeper,
        (item, place): (Item, &str),
    ) -> Outcome {
        let target = item.target().to_owned();
        let left = |cx: &Context, dots: &Dotfiles<'_>, problem| {
            let target = target.clone();
            here::failure(cx, dots, Left { target, problem })
        };
        let found = dots.backup(keys, (&item.name, &target));
        let found = found.map_err(|problem| left(cx, dots, problem))?;
        let Some((header, bytes)) = found else {
            let text = format!("there is no backup of {place}");
            return Err(Failure::new(NO_ENTRY, text)
                .hint("apply keeps one of what it replaces, until the next apply"));
        };
        if self.dry_run {
            cx.ui
                .say(&format!("would put {} bytes back to {place}", bytes.len()));
            return Ok(0);
        }
        let taken = Target::parse(&target).map_err(Failure::failed)?;
        let seen = dots
            .take(&taken)
            .map_err(|problem| left(cx, dots, problem))?;
        let mut item = Item {
            facts: Facts::of(&header),
            standing: Standing::Both,
            seen: seen.map(|taken| taken.stat),
            content: Some(Content {
                source: Secret::copy_of(bytes.expose()),
                header,
                bytes,
                needs: Vec::new(),
            }),
            ..item
        };
        dots.locate(std::slice::from_mut(&mut item));
        if let Standing::Refused(problem) = item.standing {
            return Err(left(cx, dots, problem));
        }
        let name = item.name.clone();
        let applied = dots.applied_of(&name).cloned();
        let done = dots.put(keys, vec![&mut item])?;
        // What apply has put there last stays remembered, so that this counts as changed here.
        dots.set_back(&name, applied);
        dots.save()?;
        if let Some(one) = done.left.into_iter().next() {
            return Err(here::failure(cx, dots, one));
        }
        cx.ui
            .say(&format!("put back what was in the place of {place}"));
        Ok(0)
    }
}
