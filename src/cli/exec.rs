//! `vault exec`: a program gets the secrets it needs in its environment, and vault is gone.

mod asked;
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
pub(in crate::cli) use start::cannot_run;
pub(in crate::cli) use start::cannot_watch;
pub(in crate::cli) use start::end_as;

/// The exit code when vault itself refuses or fails.
pub(crate) const REFUSED: u8 = 125;

/// Arguments of `exec`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Without a selection the program gets the entries of the profile \"default\": those that were added with --env. -e adds entries;
--profile, --under and --scope narrow each other. vault is replaced by the program, so signals, terminal and exit code are the
program's own. With --file and --mask it stays until the program has ended, and behaves as the program would.

--file writes a private file in RAM, named like the entry, and wipes it when the program has ended. --stdin and --fd hand over the exact
bytes as an open file in memory, which has no name. The three name entries as -e does.

--mask puts ******** where a secret would be printed: as it is, in base64, hex, percent-encoded, or escaped for JSON or a shell. Terminals
stay terminals. It is a guard against accidents: a program that wants to show a secret can. Secrets of fewer than four bytes are
not masked. What the program leaves running in the background ends with its terminal, unless it is started with nohup.

Refused with 125 before anything starts: an expired entry, two entries for one variable, a variable that can take over a
program (PATH, LD_PRELOAD, ...), a value with a NUL byte, an unknown entry, nothing selected, a locked store.

Examples:
  vault exec -- ./release.sh
  vault exec -e github/ci -e NPM_TOKEN=npm/publish -- ./release.sh
  vault exec --under work --scope repo -- git push
  vault exec --mask -- ./release.sh
  vault exec --file NPM_FILE=npm/publish -- ./release.sh
  vault exec --stdin github/ci -- sha256sum
  vault exec --fd 3=github/ci -- sha256sum /dev/fd/3
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
    /// Write an entry to a private file in RAM and set VAR to its path; repeat for more
    #[arg(long = "file", value_name = "VAR=NAME", add = complete::entries())]
    files: Vec<String>,
    /// Let the program read an entry from its standard input
    #[arg(long, value_name = "NAME", add = complete::names())]
    stdin: Option<String>,
    /// Let the program read an entry from the descriptor N, 3 or higher; repeat for more
    #[arg(long = "fd", value_name = "N=NAME", add = complete::entries())]
    fds: Vec<String>,
    /// Blank the secrets out of what the program prints
    #[arg(long)]
    mask: bool,
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
        let rows = Row::of(plan);
        if self.json {
            let list = Value::Array(rows.iter().map(Row::to_json).collect());
            view::print_json(&mut cx.ui, &list);
        } else {
            for row in rows {
                cx.ui.line(&format!("{} <- {}", row.place(), row.entry));
            }
        }
    }

    /// One line on a terminal; what was left out or let through although expired is always told.
    fn tell(&self, cx: &Context, plan: &Plan) {
        for name in &plan.skipped {
            cx.ui.warn(&format!("\"{name}\" is expired and left out"));
        }
        for name in plan.expired() {
            cx.ui.warn(&format!(
                "\"{name}\" is expired and handed out all the same"
            ));
        }
        if cx.ui.talks_to_terminal() && !self.quiet {
            let rows = Row::of(plan);
            let pairs: Vec<_> = rows
                .iter()
                .map(|row| format!("{} (from {})", row.place(), row.entry))
                .collect();
            cx.ui.say(&format!("setting {}", pairs.join(", ")));
        }
    }
}

/// One line of the plan.
struct Row<'p> {
    /// How it is handed over, where that is not a variable.
    way: Option<(&'static str, Value)>,
    /// The variable.
    variable: Option<&'p str>,
    entry: &'p str,
    is_expired: bool,
}

impl<'p> Row<'p> {
    fn of(plan: &'p Plan) -> Vec<Self> {
        let assigned = |one: &'p plan::Assignment, way| Row {
            way,
            variable: Some(&one.variable),
            entry: &one.name,
            is_expired: one.is_expired,
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
            is_expired: one.is_expired,
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
        let mut row = serde_json::json!({ "entry": self.entry, "expired": self.is_expired });
        if let (Some(variable), Value::Object(fields)) = (self.variable, &mut row) {
            fields.insert("variable".to_owned(), Value::from(variable));
        }
        if let (Some((key, value)), Value::Object(fields)) = (&self.way, &mut row) {
            fields.insert((*key).to_owned(), value.clone());
        }
        row
    }
}
