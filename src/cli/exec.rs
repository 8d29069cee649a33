//! `vault exec`: a program gets the secrets it needs in its environment, and vault is gone.

mod choose;
mod start;

use std::ffi::OsStr;
use std::ffi::OsString;

use serde_json::Value;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::VERBS;
use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::view;
use crate::exec::plan;
use crate::exec::plan::Plan;

pub(in crate::cli) use start::KEPT_BACK;

/// The exit code when vault itself refuses or fails.
pub(crate) const REFUSED: u8 = 125;

/// Arguments of `exec`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Without a selection the program gets the entries of the profile \"default\": those that were added with --env. -e adds entries;
--profile, --under and --scope narrow each other. vault is replaced by the program, so signals, terminal and exit code are the
program's own.

Refused with 125 before anything starts: an expired entry, two entries for one variable, a variable that can take over a
program (PATH, LD_PRELOAD, ...), a value with a NUL byte, an unknown entry, nothing selected, a locked store.

Examples:
  vault exec -- ./release.sh
  vault exec -e github/ci -e NPM_TOKEN=npm/publish -- ./release.sh
  vault exec --under work --scope repo -- git push
  vault exec -n")]
pub(crate) struct Args {
    /// Add this entry: under its own variable, or as VAR=NAME; repeat for more
    #[arg(short, long = "entry", value_name = "NAME|VAR=NAME", add = complete::entries())]
    entries: Vec<String>,
    /// Entries of this profile; repeat for more
    #[arg(long = "profile", value_name = "PROFILE", add = complete::profiles())]
    profiles: Vec<String>,
    /// Entries in this folder
    #[arg(long, value_name = "FOLDER", add = complete::names())]
    under: Option<String>,
    /// Entries with this scope; with several, all of them
    #[arg(long = "scope", value_name = "SCOPE", add = complete::scopes())]
    scopes: Vec<String>,
    /// Leave expired entries out, and say so
    #[arg(long)]
    skip_expired: bool,
    /// Hand expired entries out, and say so
    #[arg(long, conflicts_with = "skip_expired")]
    allow_expired: bool,
    /// Start from an empty environment
    #[arg(long)]
    pristine: bool,
    /// Print which variables come from which entries, and start nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print the plan of -n as JSON
    #[arg(long, requires = "dry_run")]
    json: bool,
    /// Do not say which variables are set
    #[arg(short, long)]
    quiet: bool,
    /// The program and its arguments
    #[arg(
        last = true,
        value_name = "COMMAND",
        required_unless_present = "dry_run"
    )]
    command: Vec<OsString>,
}

/// Whether a word on the command line calls this command.
pub(crate) fn is_called(word: &OsStr) -> bool {
    VERBS
        .iter()
        .filter(|verb| verb.name == "exec")
        .any(|verb| word == verb.name || verb.aliases.iter().any(|alias| word == *alias))
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let plan = self
            .plan(cx)
            .map_err(|failure| failure.with_code(REFUSED))?;
        if self.dry_run {
            self.print(cx, &plan);
            return Ok(0);
        }
        self.tell(cx, &plan);
        self.start(cx, &plan)
    }
}

impl Args {
    fn print(&self, cx: &mut Context, plan: &Plan) {
        if self.json {
            let one = |one: &plan::Assignment| serde_json::json!({ "variable": one.variable, "entry": one.name, "expired": one.is_expired });
            let list = Value::Array(plan.assignments.iter().map(one).collect());
            view::print_json(&mut cx.ui, &list);
        } else {
            for one in &plan.assignments {
                cx.ui.line(&format!("{} <- {}", one.variable, one.name));
            }
        }
    }

    /// One line on a terminal; what was left out or let through although expired is always told.
    fn tell(&self, cx: &Context, plan: &Plan) {
        for name in &plan.skipped {
            cx.ui.warn(&format!("\"{name}\" is expired and left out"));
        }
        for one in plan.assignments.iter().filter(|one| one.is_expired) {
            cx.ui.warn(&format!(
                "\"{}\" is expired and handed out all the same",
                one.name
            ));
        }
        if cx.ui.talks_to_terminal() && !self.quiet {
            let pairs: Vec<_> = plan
                .assignments
                .iter()
                .map(|one| format!("{} (from {})", one.variable, one.name))
                .collect();
            cx.ui.say(&format!("setting {}", pairs.join(", ")));
        }
    }
}
