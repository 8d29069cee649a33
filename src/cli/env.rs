//! `vault env`: the project file, written from what a project uses, and held against what there is.

mod init;

use std::path::Path;

use serde_json::Value;
use serde_json::json;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::allow::find_project;
use crate::cli::asking;
use crate::cli::asking::Asking;
use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::failure::FAILED;
use crate::cli::failure::Failure;
use crate::cli::ui::Style;
use crate::cli::view;
use crate::exec::check;
use crate::exec::check::Judged;
use crate::exec::check::Standing;
use crate::exec::project;
use crate::exec::project::Variable;

/// Arguments of `env`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The project file .agevault.toml says which variables a project needs, and from which entries. `init` writes one for the variables of
.env, .env.example and their like, where an entry names the variable, where an entry has the very value, or where a token of
its provider is there. No value is copied. `check` holds the file against what is known of the entries and changes nothing; it
needs no permission, works while the store is locked, and ends with 1 if `vault exec` would refuse.

Examples:
  vault env init
  vault env check
  vault env check --profile release --json")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Write the project file
    Init {
        /// Replace the one that is there
        #[arg(short, long)]
        force: bool,
    },
    /// Say what is missing, expired or too broad
    Check {
        /// With this profile of the project file; repeat for more
        #[arg(long = "profile", value_name = "PROFILE", add = complete::profiles())]
        profiles: Vec<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        match self.action {
            Action::Init { force } => init::write(cx, force),
            Action::Check { profiles, json } => {
                let path = find_project(cx)?;
                check(cx, &path, &profiles, json)
            }
        }
    }
}

fn check(cx: &mut Context, path: &Path, profiles: &[String], json: bool) -> Outcome {
    let asking = Asking::read(path)?;
    let project = asking.project();
    let unknown = profiles
        .iter()
        .find(|name| !project.profiles.contains_key(*name));
    if let Some(name) = unknown {
        let text = format!(
            "{} has no profile \"{}\"",
            project::FILE,
            name.escape_debug()
        );
        return Err(Failure::failed(text));
    }
    let opened = cx.open(None)?;
    let known = asking::known(cx, &opened)?;
    let part = project.part(profiles);
    let now = cx.env.now;
    let files = part.files.iter().map(|one| (one, true));
    let rows: Vec<(&Variable, bool, Judged)> = part
        .env
        .iter()
        .map(|one| (one, false))
        .chain(files)
        .map(|(one, is_file)| {
            let judged = check::judge(one, &known.known, &known.unread, now);
            (one, is_file, judged)
        })
        .collect();
    if json {
        let list = Value::Array(rows.iter().map(as_json).collect());
        view::print_json(&mut cx.ui, &list);
    } else {
        print(cx, &rows);
    }
    if !known.unread.is_empty() {
        let count = known.unread.len();
        cx.ui.say(&format!(
            "{count} not read yet on this device: what is said of needs may change once they are"
        ));
    }
    let stops = rows
        .iter()
        .any(|(one, _, judged)| judged.standing.stops(one));
    Ok(if stops { FAILED } else { 0 })
}

fn as_json((variable, is_file, judged): &(&Variable, bool, Judged)) -> Value {
    let need = variable.source.need();
    json!({
        "variable": variable.name,
        "file": is_file,
        "entry": judged.entry,
        "provider": need.map(|need| need.provider.clone()),
        "scopes": need.map(|need| need.scopes.clone()),
        "required": variable.is_required && variable.default.is_none(),
        "state": judged.standing.word(),
        "stops": judged.standing.stops(variable),
        "excess": judged.excess,
        "expires": judged.expires.map(|time| time.to_string()),
        "description": variable.description,
    })
}

fn print(cx: &mut Context, rows: &[(&Variable, bool, Judged)]) {
    let width = rows
        .iter()
        .map(|(one, ..)| one.name.len())
        .max()
        .unwrap_or(0);
    for (one, _, judged) in rows {
        let stops = judged.standing.stops(one);
        let is_broad = judged.standing == Standing::Fine && !judged.excess.is_empty();
        let word = if is_broad {
            "broad"
        } else {
            judged.standing.word()
        };
        let style = match (stops, is_broad) {
            (true, _) => Style::Red,
            (false, true) => Style::Yellow,
            (false, false) if judged.standing == Standing::Fine => Style::Green,
            (false, false) => Style::Dim,
        };
        let word = format!("{word:<8}");
        let word = cx.ui.paint(&word, style).into_owned();
        let source = asking::source(one);
        let source = cx.ui.paint(&source, Style::Plain).into_owned();
        let remark = asking::remark(one, judged, cx.env.now);
        let remark = remark.map(|remark| format!("  {}", cx.ui.paint(&remark, Style::Dim)));
        let name = &one.name;
        cx.ui.line(&format!(
            "{word} {name:<width$}  {source}{}",
            remark.unwrap_or_default()
        ));
    }
    if rows.is_empty() {
        cx.ui.say("the project file asks for nothing");
    }
}
