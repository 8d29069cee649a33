//! `vault allow` and `vault deny`: which project files, and files of references, this device trusts.

use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::asking;
use crate::cli::asking::Asking;
use crate::cli::context::Context;
use crate::cli::exec;
use crate::cli::failure::Failure;
use crate::cli::failure::REFUSED;
use crate::cli::ui::Style;
use crate::cli::view;
use crate::exec::allowance;
use crate::exec::allowance::Allowances;
use crate::exec::project;
use crate::sys::fs;

/// Arguments of `allow`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Shows what the project file .agevault.toml of this folder, or of one above, asks for, and asks whether it may have it. The answer holds
for this path, this content and this store: after any change `vault exec` asks for it again. FILE is a file for `exec --env-file`, or
another project file.

Where nobody can be asked, --expect says which content was looked at before: the digest that sha256sum prints. `vault env check`
says what is missing, without allowing anything.

Examples:
  vault allow
  vault allow deploy.env
  vault allow --list
  vault allow --expect \"$(sha256sum < .agevault.toml)\"")]
pub(crate) struct Args {
    /// The file, or the folder of a project file
    #[arg(value_hint = clap::ValueHint::FilePath, conflicts_with = "list")]
    file: Option<PathBuf>,
    /// Allow it without a question if its SHA-256 is this
    #[arg(long, value_name = "DIGEST", conflicts_with = "list")]
    expect: Option<String>,
    /// List what is allowed
    #[arg(long)]
    list: bool,
    /// Print the list as JSON
    #[arg(long, requires = "list")]
    json: bool,
}

/// Arguments of `deny`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Takes back what `vault allow` has allowed. The file itself stays as it is.

Examples:
  vault deny
  vault deny deploy.env")]
pub(crate) struct DenyArgs {
    /// The file, or the folder of a project file
    #[arg(value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        if self.list {
            return list(cx, self.json);
        }
        let path = meant(cx, self.file.as_deref())?;
        let asking = Asking::read(&path)?;
        let opened = cx.open(None)?;
        let store = opened.store.epoch.store.clone();
        let real = fs::canonical(&path).unwrap_or_else(|| path.clone());
        let allowances = Allowances::of(&cx.env.places.state);
        if allowances.hold(&real, asking.content(), &store)? {
            cx.ui.say(&format!("{} is allowed already", path.display()));
            return Ok(0);
        }
        asking::show(cx, &opened, &path, &asking)?;
        cx.ui.finish()?;
        self.consent(cx, &path, &asking)?;
        allowances.allow(&real, asking.content(), &store)?;
        cx.ui.say(&format!("allowed {}", path.display()));
        Ok(0)
    }
}

impl Args {
    /// Whether it may: asked on a terminal, else by the digest of what was looked at.
    fn consent(&self, cx: &Context, path: &Path, asking: &Asking) -> Result<(), Failure> {
        let digest = allowance::digest(asking.content());
        if let Some(expected) = &self.expect {
            // As sha256sum prints it, with a file's name behind it.
            let expected = expected.split_whitespace().next().unwrap_or_default();
            if expected.eq_ignore_ascii_case(&digest) {
                return Ok(());
            }
            let text = format!(
                "{} has the SHA-256 {digest}, not the expected one",
                path.display()
            );
            return Err(Failure::new(REFUSED, text));
        }
        match cx.confirm(&format!("Allow {}?", path.display()))? {
            Some(true) => Ok(()),
            Some(false) => Err(Failure::failed("nothing is allowed")),
            None => Err(
                Failure::failed("there is no terminal to ask on, nothing is allowed")
                    .hint(format!("if this is what may be had: --expect {digest}")),
            ),
        }
    }
}

impl Run for DenyArgs {
    fn run(self, cx: &mut Context) -> Outcome {
        let path = meant(cx, self.file.as_deref())?;
        let real = fs::canonical(&path).unwrap_or_else(|| path.clone());
        let was_allowed = Allowances::of(&cx.env.places.state).deny(&real)?;
        let what = if was_allowed {
            "is no longer allowed"
        } else {
            "was not allowed"
        };
        cx.ui.say(&format!("{} {what}", path.display()));
        Ok(0)
    }
}

/// The file that is meant: the named one, a named folder's project file, else the one in this folder or above.
fn meant(cx: &Context, named: Option<&Path>) -> Result<PathBuf, Failure> {
    match named {
        Some(path) => {
            let path = cx.env.absolute(path);
            let is_folder = fs::kind(&path) == Some(fs::Kind::Folder);
            Ok(if is_folder {
                path.join(project::FILE)
            } else {
                path
            })
        }
        None => find_project(cx),
    }
}

/// The project file in this folder or above.
pub(super) fn find_project(cx: &Context) -> Result<PathBuf, Failure> {
    exec::find_project(cx).ok_or_else(|| {
        let text = format!("there is no {} in this folder or above", project::FILE);
        Failure::failed(text).hint("write one from what the project uses with: vault env init")
    })
}

fn list(cx: &mut Context, json: bool) -> Outcome {
    let all = Allowances::of(&cx.env.places.state).list()?;
    if json {
        let one = |one: &allowance::Allowed| json!({ "path": one.path.to_string_lossy(), "sha256": one.digest, "store": one.store });
        let all = Value::Array(all.iter().map(one).collect());
        view::print_json(&mut cx.ui, &all);
        return Ok(0);
    }
    for one in &all {
        let path = one.path.to_string_lossy();
        let line = cx.ui.paint(&path, Style::Plain).into_owned();
        cx.ui.line(&line);
    }
    if all.is_empty() {
        cx.ui.say("nothing is allowed");
    }
    Ok(0)
}
