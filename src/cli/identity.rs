//! `vault identity`: make an identity, show it, change its passphrase.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::failure::LOCKED;
use crate::cli::own_identity::OwnIdentity;
use crate::cli::own_identity::new_passphrase;
use crate::cli::ui::Style;
use crate::cli::view;
use crate::crypto::IdentityKind;
use crate::crypto::Prompt;
use crate::crypto::identity;
use crate::session;
use crate::session::Asking;
use crate::session::Source;
use crate::sys::fs;

/// Arguments of `identity`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The identity is this machine's own key; with it the key file of its member is opened. It is an age identity, in clear or
protected by a passphrase, an SSH private key, or what an age plugin has made, and lies outside the store. Its public half is
what another member needs to let this machine in.

Examples:
  vault identity new
  vault identity show
  vault identity passwd")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Make a new identity and print its public half
    New {
        /// Where to put it [default: the usual place]
        path: Option<PathBuf>,
        /// Do not protect it with a passphrase: for machines
        #[arg(long)]
        no_passphrase: bool,
    },
    /// Show where the identity is, of what kind, and its public half
    Show {
        /// Another identity file
        path: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change the passphrase of an age identity, or give it one
    Passwd {
        /// Another identity file
        path: Option<PathBuf>,
        /// Leave it without a passphrase: for machines
        #[arg(long)]
        no_passphrase: bool,
    },
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        match self.action {
            Action::New {
                path,
                no_passphrase,
            } => new(cx, path.as_deref(), no_passphrase),
            Action::Show { path, json } => show(cx, path.as_deref(), json),
            Action::Passwd {
                path,
                no_passphrase,
            } => passwd(cx, path.as_deref(), no_passphrase),
        }
    }
}

fn new(cx: &mut Context, path: Option<&Path>, no_passphrase: bool) -> Outcome {
    let usual = || session::usual_identity(&cx.env);
    let path = path.map_or_else(usual, |path| cx.env.absolute(path));
    if fs::kind(&path).is_some() {
        let text = format!("there is something at {} already", path.display());
        return Err(
            Failure::failed(text).hint("an identity is never overwritten: name another path")
        );
    }
    let made = OwnIdentity::make(cx, path, no_passphrase)?;
    made.write()?;
    cx.ui
        .say(&format!("made the identity {}", made.path.display()));
    cx.ui.line(&made.recipient.to_string());
    Ok(0)
}

fn show(cx: &mut Context, path: Option<&Path>, json: bool) -> Outcome {
    let source = source(cx, path)?;
    let kind = kind(&source)?;
    let prompt: Arc<dyn Prompt> = Arc::new(Asking::new(&cx.env));
    let identities = source.load(&prompt)?;
    let recipients: Option<Vec<String>> = match identities.recipients() {
        Ok(all) => Some(all.iter().map(ToString::to_string).collect()),
        Err(crate::crypto::Error::PluginRecipient { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    if json {
        let value = json!({
            "source": source.label(),
            "kind": kind.word(),
            "recipients": recipients,
        });
        view::print_json(&mut cx.ui, &value);
        return Ok(0);
    }
    let unknown =
        || vec!["known to the plugin only, which printed it when it made the key".to_owned()];
    let mut rows = vec![("identity", source.label()), ("kind", kind.to_string())];
    let recipients = recipients.unwrap_or_else(unknown);
    rows.extend(recipients.into_iter().map(|one| ("recipient", one)));
    for (key, text) in rows {
        let key = cx.ui.paint(&format!("{key:<12}"), Style::Dim).into_owned();
        let text = cx.ui.paint(&text, Style::Plain).into_owned();
        cx.ui.line(&format!("{key} {text}"));
    }
    Ok(0)
}

fn passwd(cx: &mut Context, path: Option<&Path>, no_passphrase: bool) -> Outcome {
    let source = source(cx, path)?;
    let Source::File(path) = &source else {
        let text = "the identity is in AGEVAULT_KEY, which has no passphrase";
        return Err(Failure::failed(text));
    };
    let asking = Asking::new(&cx.env);
    let text = session::identity_text(path, &asking)?;
    // It must be an identity, before anything replaces it.
    let prompt: Arc<dyn Prompt> = Arc::new(crate::crypto::Unattended);
    crate::crypto::Identities::from_file(&text, &source.label(), prompt)?;
    let file = if no_passphrase {
        text
    } else {
        identity::protect(&text, &new_passphrase(cx)?)?
    };
    let path = fs::canonical(path).unwrap_or_else(|| path.clone());
    let (folder, name) = parts(&path);
    fs::make_private(folder)?.replace(name, file.expose())?;
    let words = if no_passphrase {
        "has no passphrase now"
    } else {
        "has a new passphrase"
    };
    cx.ui
        .say(&format!("the identity {} {words}", path.display()));
    cx.ui.say("copies and backups of it keep the old one");
    Ok(0)
}

/// The identity that is meant: a named file, else that of the store that is meant, else the usual one.
fn source(cx: &Context, path: Option<&Path>) -> Result<Source, Failure> {
    if let Some(path) = path {
        return Ok(Source::File(cx.env.absolute(path)));
    }
    let site = cx.site(None)?;
    if let Some(identity) = &site.identity {
        return Ok(Source::choose(&cx.env, Some(identity)));
    }
    // Without a store an identity can be looked at, too.
    match cx.open_as_is(None) {
        Ok(opened) => Ok(opened.source),
        Err(_) => Ok(Source::choose(&cx.env, None)),
    }
}

fn kind(source: &Source) -> Result<IdentityKind, Failure> {
    source.kind().ok_or_else(|| {
        let text = format!("there is no identity in {}", source.label());
        Failure::new(LOCKED, text).hint("make one with: vault identity new")
    })
}

fn parts(path: &Path) -> (&Path, &Path) {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().unwrap_or_default();
    (folder, Path::new(name))
}
