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
use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::view;
use crate::exec::plan;
use crate::exec::plan::Plan;

pub(in crate::cli) use selection::Selection;
pub(in crate::cli) use source::Ask;
pub(in crate::cli) use source::ENV_FILE_MAX_BYTES;
pub(in crate::cli) use source::find_project;
pub(in crate::cli) use source::reference;
pub(in crate::cli) use start::cannot_run;
pub(in crate::cli) use start::cannot_watch;
pub(in crate::cli) use start::end_as;
pub(in crate::cli) use start::start;

/// The exit code when vault itself refuses or fails.
pub(crate) const REFUSED: u8 = 125;

/// Arguments of `exec`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Without a selection the program gets what the project file .agevault.toml asks for, once `vault allow` has shown that; without
such a file in this folder or above the entries of the profile \"default\": those that were added with --env. -e, --env-file and
--resolve-env add to what is chosen; --profile, --under and --scope narrow each other. --scope github:read:org takes the narrowest
token of GitHub that has not expired and may do that.

vault is replaced by the program, so signals, terminal and exit code are the program's own. With --file and --mask it stays until the
program has ended, and behaves as the program would. The program inherits the environment, but for variables that some entry names and
that were not chosen: --keep VAR keeps one.

--file writes a private file in RAM, named like the entry, and wipes it when the program has ended. --stdin and --fd hand over the exact
bytes as an open file in memory, which has no name. The three name entries as -e does.

--mask puts ******** where a secret would be printed: as it is, in base64, hex, percent-encoded, or escaped for JSON or a shell. Terminals
stay terminals. It is a guard against accidents: a program that wants to show a secret can. Secrets of fewer than four bytes are
not masked; with one of more than 64 KiB, or more than 128 KiB in all, nothing is started. What the program leaves running in the
background ends with its terminal, unless it is started with nohup.

Refused with 125 before anything starts: an expired entry, two entries for one variable, a variable that can take over a
program (PATH, LD_PRELOAD, ...), a value with a NUL byte, an unknown entry, nothing selected, a locked store, a project file that
was not allowed.

Examples:
  vault exec -- ./release.sh
  vault exec -e github/ci -e NPM_TOKEN=npm/publish -- ./release.sh
  vault exec --under work --scope repo -- git push
  vault exec --scope github:read:org -v -- ./release.sh
  vault exec --except 'NPM_*' -- ./release.sh
  vault exec --mask -- ./release.sh
  vault exec --file NPM_FILE=npm/publish -- ./release.sh
  vault exec --stdin github/ci -- sha256sum
  vault exec --fd 3=github/ci -- sha256sum /dev/fd/3
  vault exec -n")]
pub(crate) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Let the program read an entry from its standard input
    #[arg(long, value_name = "NAME", add = complete::names())]
    stdin: Option<String>,
    /// Let the program read an entry from the descriptor N, 3 or higher; repeat for more
    #[arg(long = "fd", value_name = "N=NAME", add = complete::entries())]
    fds: Vec<String>,
    /// Print which variables come from which entries, and start nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print the plan of -n as JSON
    #[arg(long, requires = "dry_run")]
    json: bool,
    /// Print `export VAR='secret'` lines for a shell to evaluate, and start nothing; never on a terminal
    #[arg(long, conflicts_with_all = ["dry_run", "command", "stdin", "fds", "mask", "files"])]
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
    let exec = VERBS.iter().find(|verb| verb.name == "exec");
    exec.is_some_and(|verb| verb.is_called(word))
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        if self.unsafe_export {
            let printed = export::print(cx, &self.selection);
            return printed.map_err(|failure| failure.with_code(REFUSED));
        }
        let refused = |failure: Failure| failure.with_code(REFUSED);
        let streams = self.streams().map_err(refused)?;
        let plan = self.selection.plan(cx, streams).map_err(refused)?;
        if self.dry_run {
            self.print(cx, &plan);
            return Ok(0);
        }
        self.selection.tell(cx, &plan);
        start(cx, &self.selection, &plan, &self.command)
    }
}

impl Args {
    /// The entries that the program reads from open files.
    fn streams(&self) -> Result<Vec<Ask>, Failure> {
        let stdin = self.stdin.iter().map(|text| Ask::of_stream(0, text));
        let numbered = self.fds.iter().map(|text| Ask::of_number(text));
        stdin.chain(numbered).collect()
    }

    fn print(&self, cx: &mut Context, plan: &Plan) {
        let rows = Row::of(plan);
        if self.json {
            let list = Value::Array(rows.iter().map(Row::to_json).collect());
            view::print_json(&mut cx.ui, &list);
            return;
        }
        for row in rows {
            cx.ui.line(&format!("{} <- {}", row.place(), row.entry));
        }
        if self.selection.verbose {
            self.selection.tell(cx, plan);
        }
    }
}

/// One line of the plan.
pub(in crate::cli::exec) struct Row<'p> {
    /// How it is handed over, where that is not a variable.
    way: Option<(&'static str, Value)>,
    /// The variable.
    variable: Option<&'p str>,
    entry: &'p str,
    /// Whether that is an entry, and not a file with plain values.
    is_entry: bool,
    is_expired: bool,
    why: &'p str,
}

impl<'p> Row<'p> {
    fn of(plan: &'p Plan) -> Vec<Self> {
        let assigned = |one: &'p plan::Assignment, way| Row {
            way,
            variable: Some(&one.variable),
            entry: &one.name,
            is_entry: one.is_entry,
            is_expired: one.is_expired,
            why: &one.why,
        };
        let variables = plan.assignments.iter().map(|one| assigned(one, None));
        let files = plan
            .files
            .iter()
            .map(|one| assigned(one, Some(("file", Value::Bool(true)))));
        let streams = plan.streams.iter().map(|one| Row {
            way: Some(("fd", Value::from(one.number))),
            variable: None,
            entry: &one.name,
            is_entry: true,
            is_expired: one.is_expired,
            why: &one.why,
        });
        variables.chain(files).chain(streams).collect()
    }

    fn place(&self) -> String {
        match (self.variable, &self.way) {
            (Some(variable), None) => variable.to_owned(),
            (Some(variable), Some(_)) => format!("{variable} (a file)"),
            (None, Some((_, number))) if *number == 0 => "standard input".to_owned(),
            (None, way) => format!(
                "descriptor {}",
                way.as_ref().map_or(&Value::Null, |(_, number)| number)
            ),
        }
    }

    fn to_json(&self) -> Value {
        let entry = Some(self.entry).filter(|_| self.is_entry);
        let mut row =
            serde_json::json!({ "entry": entry, "expired": self.is_expired, "why": self.why });
        if let (Some(variable), Value::Object(fields)) = (self.variable, &mut row) {
            fields.insert("variable".to_owned(), Value::from(variable));
        }
        if let (Some((key, value)), Value::Object(fields)) = (&self.way, &mut row) {
            fields.insert((*key).to_owned(), value.clone());
        }
        row
    }
}
