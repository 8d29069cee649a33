//! `vault exec`: a program gets the secrets it needs in its environment, and vault is gone.

mod choose;
mod export;
mod selection;
mod source;
mod start;

use std::ffi::OsStr;
use std::ffi::OsString;

use serde_json::Value;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::VERBS;
use crate::cli::context::Context;
use crate::cli::view;
use crate::exec::plan;
use crate::exec::plan::Plan;

pub(in crate::cli) use selection::KEPT_BACK;
pub(in crate::cli) use selection::Selection;
pub(in crate::cli) use source::ENV_FILE_MAX_BYTES;
pub(in crate::cli) use source::reference;
pub(in crate::cli) use start::start;

/// The exit code when vault itself refuses or fails.
pub(crate) const REFUSED: u8 = 125;

/// Arguments of `exec`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Without a selection the program gets what the project file .agevault.toml asks for, once `vault allow` has shown that; without
such a file in this folder or above the entries of the profile \"default\": those that were added with --env. -e, --env-file and
--resolve-env add to what is chosen; --profile, --under and --scope narrow each other. --scope github:read:org takes the narrowest
token of GitHub that has not expired and may do that. vault is replaced by the program, so signals, terminal and exit code are the
program's own.

The program inherits the environment, but for variables that some entry names and that were not chosen: --keep VAR keeps one.

Refused with 125 before anything starts: an expired entry, two entries for one variable, a variable that can take over a
program (PATH, LD_PRELOAD, ...), a value with a NUL byte, an unknown entry, nothing selected, a locked store, a project file that
was not allowed.

Examples:
  vault exec -- ./release.sh
  vault exec -e github/ci -e NPM_TOKEN=npm/publish -- ./release.sh
  vault exec --under work --scope repo -- git push
  vault exec --scope github:read:org -v -- ./release.sh
  vault exec --except 'NPM_*' -- ./release.sh
  vault exec -n")]
pub(crate) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Print which variables come from which entries, and start nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print the plan of -n as JSON
    #[arg(long, requires = "dry_run")]
    json: bool,
    /// Print `export VAR='secret'` lines for a shell to evaluate, and start nothing; never on a terminal
    #[arg(long, conflicts_with_all = ["dry_run", "command"])]
    unsafe_export: bool,
    /// The program and its arguments
    #[arg(
        last = true,
        value_name = "COMMAND",
        required_unless_present_any = ["dry_run", "unsafe_export"]
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
        if self.unsafe_export {
            let printed = export::print(cx, &self.selection);
            return printed.map_err(|failure| failure.with_code(REFUSED));
        }
        let plan = self.selection.plan(cx);
        let plan = plan.map_err(|failure| failure.with_code(REFUSED))?;
        if self.dry_run {
            self.print(cx, &plan);
            return Ok(0);
        }
        self.selection.tell(cx, &plan);
        start(cx, &self.selection, &plan, &self.command)
    }
}

impl Args {
    fn print(&self, cx: &mut Context, plan: &Plan) {
        let files = plan.files.iter().map(|one| (one, true));
        let all = plan.assignments.iter().map(|one| (one, false)).chain(files);
        if self.json {
            let one = |(one, is_file): (&plan::Assignment, bool)| {
                let entry = Some(&one.name).filter(|_| one.is_entry);
                serde_json::json!({
                    "variable": one.variable, "entry": entry, "expired": one.is_expired, "file": is_file, "why": one.why,
                })
            };
            let list = Value::Array(all.map(one).collect());
            view::print_json(&mut cx.ui, &list);
        } else {
            for (one, is_file) in all {
                let mark = if is_file { " (as a file)" } else { "" };
                cx.ui
                    .line(&format!("{} <- {}{mark}", one.variable, one.name));
            }
            if self.selection.verbose {
                self.selection.tell(cx, plan);
            }
        }
    }
}
