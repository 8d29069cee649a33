//! `vault sync`: what is here and what is at the remote become the same, verified and merged by meaning.

use serde_json::Value;
use serde_json::json;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::dotfiles;
use crate::cli::failure::Failure;
use crate::cli::ui::Style;
use crate::cli::view;
use crate::store::keeper::Keeper;
use crate::sync;
use crate::sync::Changed;
use crate::sync::How;
use crate::sync::Remote;
use crate::sync::Tools;

/// The fewest digits of a commit's id that name it.
const COMMIT_MIN_DIGITS: usize = 10;

/// Arguments of `sync`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
What the remote has is fetched into a quarantine and verified: every new commit has the store's seal, descends from what was seen
there before, and holds nothing but a store. Then this store moves forward, or both sides are merged: headers field by field,
an equal secret is no conflict, of two different secrets the later one keeps the name and the other is kept beside it as
NAME.conflict-DATE. What is refused has never touched the store. Only a merge needs the keys.

Dotfiles are left in their places; which of them differ from the store now is told, and with --apply they are put in place, as
`vault dotfiles apply` does it.

Exit code: 0 both are the same; 1 something was not pushed; 4 a merge needs the keys; 5 something was refused.

Examples:
  vault sync
  vault sync --dry-run")]
pub(crate) struct Args {
    /// The remote [default: the one that the branch follows, or origin]
    remote: Option<String>,
    /// Show what would come and go, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Follow this head of the remote although it was rewound or rewritten; where it is of an epoch that is over, put this
    /// store's in its place
    #[arg(long, value_name = "COMMIT")]
    accept_rewrite: Option<String>,
    /// Put dotfiles in their places afterwards
    #[arg(long, conflicts_with_all = ["dry_run", "json"])]
    apply: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let accepted = self.accept_rewrite.as_deref();
        if let Some(hex) = accepted {
            check_named(hex)?;
        }
        let opened = cx.open_as_is(None)?;
        let remote = Remote::choose(&opened.store, self.remote.as_deref())?;
        let done = with_tools(cx, &opened, |tools| {
            sync::run(&opened.store, &remote, tools, (self.dry_run, accepted))
        })?;
        if self.json {
            let value = json(&remote, &done, self.dry_run);
            view::print_json(&mut cx.ui, &value);
        } else {
            self.print(cx, &remote, &done);
        }
        cx.ui.finish()?;
        let code = if self.dry_run {
            0
        } else {
            dotfiles::after_sync(cx, &opened, self.apply)?
        };
        done.whole()?;
        Ok(code)
    }
}

/// Refuses what cannot name a commit.
pub(super) fn check_named(hex: &str) -> Result<(), Failure> {
    if hex.len() < COMMIT_MIN_DIGITS || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        let text = format!("a commit is named by {COMMIT_MIN_DIGITS} hex digits or more");
        return Err(Failure::usage(text));
    }
    Ok(())
}

/// Runs what talks to a remote, with this run's git, keys and progress.
pub(super) fn with_tools<T>(
    cx: &Context,
    opened: &Opened,
    work: impl FnOnce(&mut Tools<'_>) -> Result<T, sync::Error>,
) -> Result<T, Failure> {
    let git = cx.git(opened.store.path());
    let mut refused: Option<Failure> = None;
    let mut heard = |text: &str| cx.ui.progress(text);
    let mut unlock = |may_ask: bool| -> Option<Box<dyn Keeper>> {
        if !may_ask {
            return cx.unlock_silently(opened);
        }
        cx.ui.progress("");
        match cx.unlock(opened) {
            Ok(keys) => Some(keys),
            Err(failure) => {
                refused = Some(failure);
                None
            }
        }
    };
    let done = work(&mut Tools {
        git: &git,
        now: cx.env.now,
        author: &|| git.at(std::path::Path::new("/")).author(),
        unlock: &mut unlock,
        heard: &mut heard,
        on_wait: &|| cx.ui.say("waiting for another vault to finish"),
    });
    cx.ui.progress("");
    match done {
        Err(sync::Error::Locked) => Err(refused
            .unwrap_or_else(|| sync::Error::Locked.into())
            .hint("both sides have changes, and merging them needs the keys")),
        other => Ok(other?),
    }
}

impl Args {
    fn print(&self, cx: &mut Context, remote: &Remote, done: &sync::Outcome) {
        for one in &done.came {
            line(cx, "<", one);
        }
        for name in &done.joined.merged {
            let name = cx.ui.paint(name, Style::Plain).into_owned();
            cx.ui.line(&format!("= merge   {name}"));
        }
        for name in &done.joined.conflicts {
            let name = cx.ui.paint(name, Style::Yellow).into_owned();
            cx.ui.line(&format!("! kept    {name}"));
        }
        for one in &done.went {
            line(cx, ">", one);
        }
        for name in &done.both {
            let name = cx.ui.paint(name, Style::Plain).into_owned();
            cx.ui.line(&format!("= merge   {name}"));
        }
        cx.ui.say(&self.summary(remote, done));
        if !done.joined.conflicts.is_empty() {
            cx.ui.say("two different secrets had one name: the later one keeps it, the other is kept beside it; look with: vault show, then vault rm what is not needed");
        }
    }

    fn summary(&self, remote: &Remote, done: &sync::Outcome) -> String {
        let (came, went) = (
            count(done.commits_in, "commit"),
            count(done.commits_out, "commit"),
        );
        let parts = match (self.dry_run, done.commits_in, done.commits_out) {
            (_, 0, 0) => "nothing to do, both are the same".to_owned(),
            (true, ..) => format!("{came} would come and {went} would go; nothing was changed"),
            (false, ..) if done.failed.is_some() => {
                format!("{came} came, each verified, and nothing was pushed")
            }
            (false, _, 0) => format!("{came} came, each verified"),
            (false, 0, _) => format!("{went} went"),
            (false, ..) => format!("{came} came, each verified, and {went} went"),
        };
        format!("{}: {parts}", remote.name)
    }
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// A line for an entry that comes or goes.
pub(super) fn line(cx: &mut Context, mark: &str, one: &Changed) {
    let (word, style) = match one.how {
        How::Added => ("add", Style::Green),
        How::Changed => ("change", Style::Plain),
        How::Removed => ("remove", Style::Red),
    };
    let subject = one.name.as_deref().unwrap_or(&one.path);
    let subject = cx.ui.paint(subject, style).into_owned();
    cx.ui.line(&format!("{mark} {word:<7} {subject}"));
}

/// A change as JSON.
pub(super) fn to_json(one: &Changed) -> Value {
    let how = match one.how {
        How::Added => "added",
        How::Changed => "changed",
        How::Removed => "removed",
    };
    json!({ "name": one.name, "path": one.path, "change": how })
}

fn json(remote: &Remote, done: &sync::Outcome, dry_run: bool) -> Value {
    let list = |changes: &[Changed]| changes.iter().map(to_json).collect::<Vec<_>>();
    json!({
        "remote": remote.name,
        "url": crate::git::address::shown(&remote.url),
        "dry_run": dry_run,
        "commits_in": done.commits_in,
        "commits_out": done.commits_out,
        "came": list(&done.came),
        "went": list(&done.went),
        "both": done.both,
        "merged": done.joined.merged,
        "conflicts": done.joined.conflicts,
        "failed": done.failed.as_ref().map(ToString::to_string),
    })
}
