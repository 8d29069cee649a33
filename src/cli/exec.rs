//! `vault exec`: a program gets the secrets it needs in its environment, and vault is gone.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use serde_json::Value;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::VERBS;
use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::context::Target;
use crate::cli::failure::Failure;
use crate::cli::view;
use crate::exec::plan;
use crate::exec::plan::Expired;
use crate::exec::plan::Plan;
use crate::exec::plan::Wanted;
use crate::format::Header;
use crate::format::Name;
use crate::policy::select::DEFAULT_PROFILE;
use crate::policy::select::Filter;
use crate::policy::variable;
use crate::store;
use crate::store::Entry;
use crate::store::keeper::Keeper;
use crate::sys::fs;
use crate::sys::process;
use crate::sys::process::Variable;

/// The exit code when vault itself refuses or fails.
pub(crate) const REFUSED: u8 = 125;
/// The exit code when the program is there and cannot be run.
const NOT_EXECUTABLE: u8 = 126;
/// The exit code when there is no such program.
const NOT_FOUND: u8 = 127;
/// From this many entries on, opening them is shared among the cores.
const PARALLEL_FROM: usize = 4;
/// Variables that never reach the program: they unlock the store.
pub(crate) const KEPT_BACK: [&str; 2] = ["AGEVAULT_KEY", "AGEVAULT_PASSPHRASE_CMD"];

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
    /// Everything that can refuse, before anything starts.
    fn plan(&self, cx: &Context) -> Result<Plan, Failure> {
        let asked = self
            .entries
            .iter()
            .map(|text| Asked::parse(text))
            .collect::<Result<Vec<_>, _>>()?;
        let mut wanted = Vec::new();
        let mut stores: Vec<Option<String>> = vec![None];
        stores.extend(asked.iter().map(|one| one.target.store.clone()));
        stores.sort();
        stores.dedup();
        for store in stores {
            let here: Vec<&Asked> = asked
                .iter()
                .filter(|one| one.target.store == store)
                .collect();
            let filter = self.filter().filter(|_| store.is_none());
            if here.is_empty() && filter.is_none() {
                continue;
            }
            let opened = cx.open(store.as_deref())?;
            let keys = cx.unlock(&opened)?;
            let found = collect(&opened, &keys, &here, filter.as_ref())?;
            wanted.extend(found.into_iter().map(|one| one.of_store(store.as_deref())));
        }
        let expired = match (self.skip_expired, self.allow_expired) {
            (true, _) => Expired::Skip,
            (_, true) => Expired::Allow,
            _ => Expired::Refuse,
        };
        Ok(plan::plan(wanted, cx.env.now, expired)?)
    }

    /// What is chosen beside `-e`; nothing, if there are only `-e`.
    fn filter(&self) -> Option<Filter> {
        let is_narrowed =
            !self.profiles.is_empty() || self.under.is_some() || !self.scopes.is_empty();
        if !is_narrowed && !self.entries.is_empty() {
            return None;
        }
        let profiles = if is_narrowed {
            self.profiles.clone()
        } else {
            vec![DEFAULT_PROFILE.to_owned()]
        };
        Some(Filter {
            profiles,
            under: self.under.clone(),
            scopes: self.scopes.clone(),
            env: Some(String::new()),
            ..Filter::default()
        })
    }

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

    /// Becomes the program; returns only if that fails.
    fn start(&self, cx: &Context, plan: &Plan) -> Outcome {
        let [program, arguments @ ..] = self.command.as_slice() else {
            return Err(Failure::usage("no program is named").with_code(REFUSED));
        };
        let mut vars: Vec<Variable<'_>> =
            Vec::with_capacity(cx.env.vars.len() + plan.assignments.len());
        if !self.pristine {
            let is_set = |key: &OsStr| {
                plan.assignments
                    .iter()
                    .any(|one| key == one.variable.as_str())
            };
            let is_kept_back = |key: &OsStr| KEPT_BACK.iter().any(|name| key == *name);
            let inherited = cx
                .env
                .vars
                .iter()
                .filter(|(key, _)| !is_set(key) && !is_kept_back(key));
            vars.extend(inherited.map(|(key, value)| (key.as_os_str(), value.as_os_str())));
        }
        for one in &plan.assignments {
            vars.push((
                OsStr::new(&one.variable),
                OsStr::from_bytes(one.secret.as_line()),
            ));
        }
        let arguments: Vec<&OsStr> = arguments.iter().map(OsString::as_os_str).collect();
        let error = process::replace(program, &arguments, &vars, &cx.limits);
        let code = match error.kind() {
            std::io::ErrorKind::NotFound => NOT_FOUND,
            _ => NOT_EXECUTABLE,
        };
        Err(Failure::new(
            code,
            format!("cannot run {}: {error}", program.display()),
        ))
    }
}

/// One `-e`.
struct Asked {
    variable: Option<String>,
    target: Target,
}

impl Asked {
    fn parse(text: &str) -> Result<Self, Failure> {
        match text.split_once('=') {
            Some((variable, name)) if variable::is_name(variable) => Ok(Self {
                variable: Some(variable.to_owned()),
                target: Target::parse(name)?,
            }),
            _ => Ok(Self {
                variable: None,
                target: Target::parse(text)?,
            }),
        }
    }
}

/// Opens what is asked for by name, and what the filter accepts. The index finds candidates; the verified headers decide.
fn collect(
    opened: &Opened,
    keys: &dyn Keeper,
    asked: &[&Asked],
    filter: Option<&Filter>,
) -> Result<Vec<Wanted>, Failure> {
    let candidates = match filter {
        Some(filter) => candidates(opened, keys, filter)?,
        None => Vec::new(),
    };
    for one in asked {
        if !opened.store.has(&one.target.name)? {
            return Err(Context::no_entry(&opened.store, &one.target.name));
        }
    }
    let names: Vec<&Name> = asked
        .iter()
        .map(|one| &one.target.name)
        .chain(&candidates)
        .collect();
    let entries = fs::parallel(&names, PARALLEL_FROM, |name| opened.store.entry(keys, name));
    let mut wanted = Vec::with_capacity(names.len());
    for (number, entry) in entries.into_iter().enumerate() {
        let Entry { header, secret } = entry?;
        let by_name = asked.get(number);
        if by_name.is_none() && !filter.is_some_and(|filter| is_meant(filter, &header)) {
            continue;
        }
        let variable = by_name.and_then(|one| one.variable.clone());
        wanted.push(Wanted {
            variable,
            header,
            secret,
        });
    }
    Ok(wanted)
}

/// The names that the index, brought up to date, has for a filter.
fn candidates(opened: &Opened, keys: &dyn Keeper, filter: &Filter) -> Result<Vec<Name>, Failure> {
    let mut catalogue = opened.store.catalogue()?;
    let is_in_folder = |name: &Name| {
        filter
            .under
            .as_ref()
            .is_none_or(|under| name.is_under(under))
    };
    for (name, error) in opened.store.refresh(keys, &mut catalogue)? {
        // Whether it is one of those that are meant, a refused entry cannot say. One that is gone by now is none.
        if is_in_folder(&name) && !matches!(error, store::Error::NoEntry(_)) {
            return Err(
                Failure::from(error).hint("to leave it out, choose entries by name: -e NAME")
            );
        }
    }
    if let Some(name) = opened.store.gone()?.iter().find(|name| is_in_folder(name)) {
        return Err(Context::no_entry(&opened.store, name)
            .hint("to leave it out, choose entries by name: -e NAME"));
    }
    let meant = catalogue
        .known
        .iter()
        .filter(|header| is_meant(filter, header));
    Ok(meant
        .filter_map(|header| Name::parse(&header.name).ok())
        .collect())
}

/// Whether a filter means an entry; the losing side of a merge is never meant.
fn is_meant(filter: &Filter, header: &Header) -> bool {
    filter.accepts(header) && Name::parse(&header.name).is_ok_and(|name| !name.is_conflict())
}
