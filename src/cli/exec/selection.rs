//! The flags that choose what a program gets: the same for `exec` and `shell`.

use std::ffi::OsStr;
use std::path::PathBuf;

use glob::Pattern;

use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::exec::Ask;
use crate::cli::exec::Row;
use crate::cli::exec::choose;
use crate::cli::failure::Failure;
use crate::exec::plan::Expired;
use crate::exec::plan::Plan;
use crate::policy::variable::Sieve;
use crate::sys::unlocks;

/// What is chosen, and what is kept of the environment.
#[derive(clap::Args, Debug, Default)]
pub(in crate::cli) struct Selection {
    /// Add this entry: under its own variable, or as VAR=NAME; repeat for more
    #[arg(short, long = "entry", value_name = "NAME|VAR=NAME", add = complete::entries())]
    pub entries: Vec<String>,
    /// The profile of this name in the project file, else the entries of this profile; repeat for more
    #[arg(long = "profile", value_name = "PROFILE", add = complete::profiles())]
    pub profiles: Vec<String>,
    /// Entries in this folder
    #[arg(long, value_name = "FOLDER", add = complete::names())]
    pub under: Option<String>,
    /// Entries with this scope; with several, all of them. PROVIDER:SCOPE is the narrowest token that suffices
    #[arg(long = "scope", value_name = "SCOPE", add = complete::scopes())]
    pub scopes: Vec<String>,
    /// Add the variables of this file; `agevault://NAME` is resolved once the file is allowed; repeat for more
    #[arg(long = "env-file", value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub env_files: Vec<PathBuf>,
    /// Resolve `agevault://NAME` in inherited variables
    #[arg(long)]
    pub resolve_env: bool,
    /// Of all that is chosen, only variables like this: GITHUB_*; repeat for more
    #[arg(long, value_name = "PATTERN")]
    pub only: Vec<Pattern>,
    /// Of all that is chosen, no variables like this; repeat for more
    #[arg(long, value_name = "PATTERN")]
    pub except: Vec<Pattern>,
    /// Leave expired entries out, and say so
    #[arg(long)]
    pub skip_expired: bool,
    /// Hand expired entries out, and say so
    #[arg(long, conflicts_with = "skip_expired")]
    pub allow_expired: bool,
    /// Write an entry to a private file in RAM and set VAR to its path; repeat for more
    #[arg(long = "file", value_name = "VAR=NAME", add = complete::entries())]
    pub files: Vec<String>,
    /// Blank the secrets out of what the program prints
    #[arg(long)]
    pub mask: bool,
    /// Start from an empty environment
    #[arg(long)]
    pub pristine: bool,
    /// Keep this inherited variable, although an entry names it or the environment is to be empty; repeat for more
    #[arg(long, value_name = "VAR")]
    pub keep: Vec<String>,
    /// Say which entries go to which variables, and why
    #[arg(short, long)]
    pub verbose: bool,
    /// Do not say which variables are set
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
}

impl Selection {
    /// Whether the flags themselves choose something, so that neither the project file nor the default profile is asked.
    pub(super) fn chooses(&self) -> bool {
        self.narrows()
            || !self.entries.is_empty()
            || !self.files.is_empty()
            || !self.env_files.is_empty()
            || self.resolve_env
    }

    /// Whether a flag narrows the entries of the store.
    pub(super) fn narrows(&self) -> bool {
        !self.profiles.is_empty() || self.under.is_some() || !self.scopes.is_empty()
    }

    /// Which of the chosen variables are let through.
    pub(super) fn sieve(&self) -> Sieve {
        Sieve {
            only: self.only.clone(),
            except: self.except.clone(),
        }
    }

    /// What to do with an expired entry.
    pub(super) fn expired(&self) -> Expired {
        match (self.skip_expired, self.allow_expired) {
            (true, _) => Expired::Skip,
            (_, true) => Expired::Allow,
            _ => Expired::Refuse,
        }
    }

    /// Whether the program inherits a variable that the plan does not set.
    pub(super) fn inherits(&self, variable: &OsStr, plan: &Plan) -> bool {
        let is_kept = self.keep.iter().any(|kept| variable == kept.as_str());
        !unlocks(variable)
            && (is_kept || !self.pristine)
            && !plan.removed.iter().any(|name| variable == name.as_str())
    }

    /// Says what was decided: on a terminal one line, with `-v` all of it. What was left out or let through although expired
    /// is always told.
    pub(in crate::cli) fn tell(&self, cx: &Context, plan: &Plan) {
        for name in &plan.skipped {
            cx.ui.warn(&format!("\"{name}\" is expired and left out"));
        }
        for name in plan.expired() {
            cx.ui.warn(&format!(
                "\"{name}\" is expired and handed out all the same"
            ));
        }
        let rows = Row::of(plan);
        if self.verbose {
            for row in rows {
                let place = row.place();
                cx.ui
                    .say(&format!("{place} <- {} ({})", row.entry, row.why));
            }
            for note in &plan.notes {
                cx.ui.say(note);
            }
            for name in &plan.removed {
                cx.ui.say(&format!(
                    "{name} is inherited and left out: an entry names it, and was not chosen (--keep {name} keeps it)"
                ));
            }
        } else if cx.ui.talks_to_terminal() && !self.quiet {
            let pairs: Vec<_> = rows
                .iter()
                .map(|row| format!("{} (from {})", row.place(), row.entry))
                .collect();
            cx.ui.say(&format!("setting {}", pairs.join(", ")));
        }
    }

    /// Decides what is set, and what is read from open files: everything that can refuse, before anything starts.
    pub(in crate::cli) fn plan(&self, cx: &Context, streams: Vec<Ask>) -> Result<Plan, Failure> {
        choose::plan(self, cx, streams)
    }
}
