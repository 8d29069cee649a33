//! `vault dotfiles`: files of the home directory, encrypted whole in the store, put in their places and taken from there.

mod add;
mod apply;
mod diff;
mod edit;
mod forget;
mod here;
mod list;
mod merge;
mod readd;
mod restore;
mod status;
mod taking;

pub(super) use here::after_sync;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;

/// Arguments of `dotfiles`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
A dotfile is an entry below dotfiles/ that holds a file as it is: .npmrc is dotfiles/dot_npmrc. What was put in place is remembered on this
device by a keyed digest, so that what is unchanged is neither opened nor written again.

A dotfile may hold references, such as agevault://github/ci#username or {{agevault://npm/publish:-none}}. They are filled in by apply, and
what comes of them is for you alone, unless another mode was given.

Examples:
  vault dotfiles add ~/.npmrc ~/.config/gh
  vault dotfiles
  vault dotfiles apply
  vault dot re-add ~/.npmrc")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Take files and folders into the store
    Add(add::Args),
    /// Put dotfiles in their places
    Apply(apply::Args),
    /// Show which dotfiles differ
    Status(status::Args),
    /// Show what apply would change
    Diff(diff::Args),
    /// Change a dotfile in your editor, then put it in place
    Edit(edit::Args),
    /// Take what was changed here into the store
    #[command(name = "re-add", visible_alias = "readd")]
    ReAdd(readd::Args),
    /// Take dotfiles out of the store; the files stay
    Forget(forget::Args),
    /// List the dotfiles and their places
    List(list::Args),
    /// Bring an earlier version back, or what apply has replaced
    Restore(restore::Args),
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        match self.action {
            None => status::Args::default().run(cx),
            Some(Action::Add(args)) => args.run(cx),
            Some(Action::Apply(args)) => args.run(cx),
            Some(Action::Status(args)) => args.run(cx),
            Some(Action::Diff(args)) => args.run(cx),
            Some(Action::Edit(args)) => args.run(cx),
            Some(Action::ReAdd(args)) => args.run(cx),
            Some(Action::Forget(args)) => args.run(cx),
            Some(Action::List(args)) => args.run(cx),
            Some(Action::Restore(args)) => args.run(cx),
        }
    }
}
