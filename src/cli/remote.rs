//! `vault remote`: where the store is synced to.

use std::path::Path;

use serde_json::json;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::view;
use crate::git::address::holds_secret;
use crate::git::address::is_address;
use crate::git::address::shown;
use crate::store;
use crate::sync;
use crate::sync::Remote;
use crate::sys::fs;

/// Arguments of `remote`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
A remote is a git repository: on any host, over ssh or https, or a folder. git's own credential helpers and ssh keys are used.

Examples:
  vault remote add git@example.org:me/store.git
  vault remote add usb /media/usb/store.git
  vault remote show
  vault remote remove usb")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

/// What to do with the remotes.
#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Add a remote, or give one another address
    Add {
        /// The address, with a name before it where it is not the only one
        #[arg(required = true, num_args = 1..=2, value_names = ["NAME", "URL"])]
        words: Vec<String>,
    },
    /// Show the remotes
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a remote, by its name or address; nothing of it is deleted
    Remove {
        /// Which one [default: the only one]
        #[arg(value_name = "NAME|URL")]
        remote: Option<String>,
    },
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let opened = cx.open(None)?;
        let store = &opened.store;
        let git = cx.git(store.path());
        match self.action {
            Action::Add { words } => {
                let (name, url) = match words.as_slice() {
                    [name, url] => (name.as_str(), url),
                    [url] => (sync::USUAL, url),
                    _ => return Err(Failure::usage("an address is needed")),
                };
                let remote = Remote {
                    name: checked_name(name)?,
                    url: checked_url(cx, url)?,
                };
                remote.add(store, &git)?;
                cx.ui
                    .say(&format!("{} is {}", remote.name, shown(&remote.url)));
            }
            Action::Show { json: true } => {
                let remotes = Remote::all(store)?;
                let list = remotes.iter().map(|remote| {
                    let seen = store.state.remote(&remote.name).ok().flatten();
                    json!({
                        "name": remote.name,
                        "url": shown(&remote.url),
                        "seen": seen.map(|(id, _)| id.to_string()),
                    })
                });
                let list = list.collect::<Vec<_>>().into();
                view::print_json(&mut cx.ui, &list);
            }
            Action::Show { json: false } => {
                for remote in Remote::all(store)? {
                    let line = format!("{}\t{}", remote.name, shown(&remote.url));
                    let line = cx
                        .ui
                        .paint(&line, crate::cli::ui::Style::Plain)
                        .into_owned();
                    cx.ui.line(&line);
                }
            }
            Action::Remove { remote } => {
                let by_url = Remote::all(store)?
                    .into_iter()
                    .find(|known| Some(&known.url) == remote.as_ref());
                let found = match by_url {
                    Some(found) => found,
                    None => Remote::choose(store, remote.as_deref())?,
                };
                found.remove(store, &git)?;
                let text = format!(
                    "forgot {}; what is at {} stays there",
                    found.name,
                    shown(&found.url)
                );
                cx.ui.say(&text);
            }
        }
        Ok(0)
    }
}

fn checked_name(name: &str) -> Result<String, Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.chars().all(plain) && name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Ok(name.to_owned());
    }
    let text = format!("\"{}\" cannot name a remote", name.escape_debug());
    Err(Failure::usage(text).hint("use letters, digits, \"-\", \"_\" and \".\""))
}

/// An address that git takes for nothing else, and that holds no password. A folder is made absolute.
pub(super) fn checked_url(cx: &Context, url: &str) -> Result<String, Failure> {
    if !is_address(url) {
        let error = crate::git::Error::Address(url.to_owned());
        return Err(store::Error::from(error).into());
    }
    if holds_secret(url) {
        let error = crate::git::Error::AddressSecret(url.to_owned());
        return Err(store::Error::from(error).into());
    }
    let local = cx.env.absolute(Path::new(url));
    if !url.contains("://") && fs::kind(&local).is_some() {
        let text = local.to_str().map(str::to_owned);
        return text.ok_or_else(|| Failure::usage("the folder's path is not UTF-8"));
    }
    Ok(url.to_owned())
}
