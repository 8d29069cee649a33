//! `vault dotfiles edit`: a dotfile as it is in the store, in the user's editor, on a file that never reaches a disk.

use std::path::PathBuf;

use crate::cli::Outcome;
use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::dotfiles::apply;
use crate::cli::dotfiles::diff;
use crate::cli::dotfiles::here;
use crate::cli::dotfiles::here::At;
use crate::cli::dotfiles::here::Which;
use crate::cli::edit;
use crate::cli::failure::Failure;
use crate::dotfiles::Left;
use crate::dotfiles::Problem;
use crate::dotfiles::Standing;
use crate::dotfiles::template;
use crate::secret::Secret;
use crate::sys::fs::Kind;

/// Arguments of `dotfiles edit`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The editor gets the file as it is in the store: of a template its references, not what they stand for. What is saved goes into the store,
and is then put in place as apply does it.

Examples:
  vault dotfiles edit ~/.npmrc
  vault dotfiles edit --no-apply ~/.netrc")]
pub(super) struct Args {
    /// The dotfile
    #[arg(value_name = "PATH", value_hint = clap::ValueHint::FilePath, add = complete::targets())]
    path: PathBuf,
    /// Leave what is in its place as it is
    #[arg(long)]
    no_apply: bool,
    /// Show what would change, and save nothing
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
        let mut filling = here::filling(cx, &opened, &keys, true);
        let mut items = here::survey_with(&mut dots, &mut filling)?;
        items.retain(|item| !matches!(item.standing, Standing::Gone));
        let item = here::only(cx, &dots, &self.path, items)?;
        let place = here::shown(cx, &dots, item.target());
        let before = opened.store.entry(&keys, &item.name)?;
        if std::str::from_utf8(before.secret.expose()).is_err() || before.header.link {
            return Err(Failure::failed(format!("{place} is no text")));
        }
        let mut header = before.header.clone();
        let file = item
            .target()
            .rsplit('/')
            .next()
            .unwrap_or("file")
            .to_owned();
        let edited = edit::text(cx, &file, &before.secret, |edited| {
            let had = template::has_references(before.secret.expose());
            let has = template::has_references(edited.expose());
            if before.header.template || (has && !had) {
                template::parse(edited.expose()).map_err(|fault| {
                    let target = item.target().to_owned();
                    let problem = Problem::Template(fault);
                    here::failure(cx, &dots, Left { target, problem })
                })?;
            }
            Ok(Secret::copy_of(edited.expose()))
        })?;
        if edited == before.secret {
            cx.ui.say(&format!("{place} is unchanged"));
            return Ok(0);
        }
        let had = template::has_references(before.secret.expose());
        if !header.template && !had && template::has_references(edited.expose()) {
            header.template = true;
            header.mode = None;
            cx.ui
                .say(&format!("{place} holds references: apply fills them in"));
        }
        if self.dry_run {
            let old = Some((Kind::File, &before.secret));
            diff::texts(cx, &place, old, (Kind::File, &edited))?;
            return Ok(0);
        }
        let mut writer = cx.writer(&opened.store, &keys)?;
        let now = opened.store.entry(&keys, &item.name)?;
        if now.header != before.header || now.secret != before.secret {
            let text = format!("\"{}\" was changed by another process meanwhile", item.name);
            return Err(Failure::failed(text));
        }
        writer.put(&item.name, header, &edited)?;
        writer.commit(&format!("edit {}", item.name))?;
        cx.ui.say(&format!("edited {place}"));
        if self.no_apply || matches!(item.standing, Standing::Elsewhere) {
            return Ok(0);
        }
        drop(filling);
        drop(keys);
        apply::Args::of_one(which).apply(cx, &opened)
    }
}
