//! `vault dotfiles forget`: dotfiles go out of the store; the files stay.

use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::dotfiles::here;
use crate::cli::dotfiles::here::Which;
use crate::cli::failure::Failure;
use crate::cli::several;
use crate::dotfiles::Standing;
use crate::format::Name;

/// Arguments of `dotfiles forget`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The history keeps them: bring one back with `vault restore NAME`.

Examples:
  vault dotfiles forget ~/.npmrc
  vault dotfiles forget --dry-run ~/.config/gh")]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Show what would go, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

impl Args {
    pub(super) fn run(self, cx: &mut Context) -> Outcome {
        if self.which.paths.is_empty() {
            return Err(Failure::usage("say which: vault dotfiles forget PATH"));
        }
        let opened = cx.open(None)?;
        let mut dots = here::open(cx, &opened, &self.which.at)?;
        let keys = cx.unlock(&opened)?;
        let _lock = dots.begin(|| cx.ui.say("waiting for another vault to finish"))?;
        let mut filling = here::filling(cx, &opened, &keys, true);
        let mut items = here::survey_with(&mut dots, &mut filling)?;
        items.retain(|item| !matches!(item.standing, Standing::Gone));
        self.which.filter(cx, &dots, &mut items)?;
        let names: Vec<Name> = items.iter().map(|item| item.name.clone()).collect();
        if !self.dry_run {
            let mut writer = cx.writer(&opened.store, &keys)?;
            several::check_there(&opened, &names)?;
            for name in &names {
                let rev = opened
                    .store
                    .look(&keys, name)
                    .map_or(0, |(header, _)| header.rev);
                writer.remove(name, rev)?;
                dots.forget(name);
            }
            writer.commit(&several::message("forget", &names))?;
            dots.save()?;
        }
        for item in &items {
            let place = here::shown(cx, &dots, item.target());
            let verb = if self.dry_run {
                "would forget"
            } else {
                "forgot"
            };
            cx.ui.say(&format!("{verb} {place}; the file stays"));
        }
        Ok(0)
    }
}
