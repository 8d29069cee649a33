//! `vault store`: the stores that are known by a name on this device.

use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::ui::Style;
use crate::cli::view;
use crate::config;
use crate::config::Config;
use crate::format::layout;
use crate::sys::fs;

/// Arguments of `store`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
A named store is meant with --store NAME, and its entries with NAME:ENTRY. Each store has its own keys and members.

Examples:
  vault store add work ~/work-store
  vault store list
  vault get work:github/ci
  vault config set default-store work
  vault store remove work")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Give a store a name
    Add {
        /// The name: lower-case letters, digits, "-" and "_"
        name: String,
        /// The store's folder
        #[arg(value_hint = clap::ValueHint::DirPath)]
        path: PathBuf,
        /// The identity file that opens it, where it is not the usual one
        #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
        identity: Option<PathBuf>,
    },
    /// List the named stores; the one that is meant when none is named has a star
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Forget a name; the store stays as it is
    Remove {
        /// The name
        #[arg(add = complete::stores())]
        name: String,
    },
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        match self.action {
            Action::Add {
                name,
                path,
                identity,
            } => add(cx, &name, &path, identity.as_deref()),
            Action::List { json } => list(cx, json),
            Action::Remove { name } => remove(cx, &name),
        }
    }
}

/// Refuses what cannot name a store: it stands before a `:`, and between dots in the configuration.
pub(super) fn check_name(name: &str) -> Result<(), Failure> {
    if layout::is_member_name(name) && !name.contains('.') {
        return Ok(());
    }
    let text = format!("\"{}\" cannot name a store", name.escape_debug());
    Err(Failure::usage(text)
        .hint("use lower-case letters, digits, \"-\" and \"_\", a letter or digit first"))
}

fn add(cx: &mut Context, name: &str, path: &Path, identity: Option<&Path>) -> Outcome {
    check_name(name)?;
    let path = cx.env.absolute(path);
    if let Some(known) = Config::load(&cx.env)?.stores.get(name) {
        let text = format!("\"{name}\" names {} already", known.path.display());
        return Err(
            Failure::failed(text).hint(format!("forget it with: vault store remove {name}"))
        );
    }
    if fs::kind(&path.join(layout::FORMAT)).is_none() {
        let text = format!("there is no store at {}", path.display());
        return Err(
            Failure::failed(text).hint(format!("make one with: vault init {}", path.display()))
        );
    }
    let path = fs::canonical(&path).unwrap_or(path);
    let mut changes = vec![setting(name, "path", &path)?];
    if let Some(identity) = identity.map(|identity| cx.env.absolute(identity)) {
        if fs::kind(&identity).is_none() {
            let text = format!("there is no identity at {}", identity.display());
            return Err(Failure::failed(text));
        }
        changes.push(setting(name, "identity", &identity)?);
    }
    config::change(&cx.env, &changes)?;
    cx.ui
        .say(&format!("\"{name}\" is the store {}", path.display()));
    Ok(0)
}

/// One setting of a named store.
fn setting(name: &str, key: &str, path: &Path) -> Result<(String, Option<String>), Failure> {
    let not_text = || Failure::failed(format!("{} is not UTF-8", path.display()));
    let text = path.to_str().ok_or_else(not_text)?;
    Ok((format!("stores.{name}.{key}"), Some(text.to_owned())))
}

fn list(cx: &mut Context, json: bool) -> Outcome {
    let config = Config::load(&cx.env)?;
    let is_default = |name: &str| config.default_store.as_deref() == Some(name);
    if json {
        let one = |(name, known): (&String, &config::Named)| {
            json!({
                "name": name,
                "path": cx.env.absolute(&known.path),
                "identity": known.identity.as_ref().map(|path| cx.env.absolute(path)),
                "default": is_default(name),
            })
        };
        let all = config.stores.iter().map(one).collect();
        view::print_json(&mut cx.ui, &Value::Array(all));
        return Ok(0);
    }
    let width = config.stores.keys().map(String::len).max().unwrap_or(0);
    for (name, known) in &config.stores {
        let star = if is_default(name) { "*" } else { " " };
        let padded = format!("{name:width$}");
        let name = cx.ui.paint(&padded, Style::Bold).into_owned();
        let path = known.path.to_string_lossy().into_owned();
        let path = cx.ui.paint(&path, Style::Plain).into_owned();
        cx.ui.line(&format!("{star} {name}  {path}"));
    }
    if config.stores.is_empty() {
        cx.ui
            .say("no store has a name; give one with: vault store add NAME PATH");
    }
    Ok(0)
}

fn remove(cx: &mut Context, name: &str) -> Outcome {
    let config = Config::load(&cx.env)?;
    let Some(known) = config.stores.get(name) else {
        let text = format!("there is no store named \"{}\"", name.escape_debug());
        return Err(Failure::failed(text).hint("the named stores: vault store list"));
    };
    let mut changes = vec![
        (format!("stores.{name}.identity"), None),
        (format!("stores.{name}.path"), None),
    ];
    let was_default = config.default_store.as_deref() == Some(name);
    if was_default {
        changes.push(("default-store".to_owned(), None));
    }
    config::change(&cx.env, &changes)?;
    let path = cx.env.absolute(&known.path);
    cx.ui.say(&format!(
        "forgot the name \"{name}\"; the store {} stays as it is",
        path.display()
    ));
    if was_default {
        cx.ui
            .say("it was the default store; now the one in the usual place is");
    }
    Ok(0)
}
