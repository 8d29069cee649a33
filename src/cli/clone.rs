//! `vault clone`: this machine's copy of a store that is elsewhere.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::own_identity::OwnIdentity;
use crate::cli::remote::checked_url;
use crate::crypto::Prompt;
use crate::git;
use crate::session;
use crate::session::Asking;
use crate::session::Source;
use crate::store;
use crate::store::Store;
use crate::sync;
use crate::sync::Cloning;
use crate::sys::fs;

/// Arguments of `clone`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The first copy trusts what it sees: compare the fingerprint with the one that \"vault status\" shows on a machine that has the store, or
give it with --expect. From then on it is pinned.

On a new machine no key fits yet. Its public key is printed: add it on a machine that opens the store, with \"vault members add\",
then \"vault sync\" on both. Where there is no identity, one is made, as by \"vault init\".

Examples:
  vault clone git@example.org:me/store.git
  vault clone https://example.org/me/store.git ./store
  vault clone /media/usb/store.git --expect \"word-word-word-word-word-word-word-word\"")]
pub(crate) struct Args {
    /// The address of the repository
    url: String,
    /// Where to put the store [default: the store that is meant]
    folder: Option<PathBuf>,
    /// Refuse a store with another fingerprint than this
    #[arg(long, value_name = "WORDS")]
    expect: Option<String>,
    /// Use this age identity file or SSH private key
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Do not protect a new identity with a passphrase: for machines
    #[arg(long, conflicts_with = "identity")]
    no_passphrase: bool,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let site = cx.site(None)?;
        let path = match &self.folder {
            Some(folder) => cx.env.absolute(folder),
            None => site.path.clone(),
        };
        let url = checked_url(cx, &self.url)?;
        let pinned = cx.expected_pin();
        let git = cx.git(&path);
        let store = {
            let cloning = Cloning {
                url: &url,
                path: &path,
                state_home: &cx.env.places.state,
                expected: self.expect.as_deref().or(pinned.as_deref()),
                git: &git,
                now: cx.env.now,
            };
            let cloned = sync::clone(&cloning, &mut |text| cx.ui.progress(text));
            cx.ui.progress("");
            cloned.map_err(not_cloned)?
        };
        let names = store.names()?.len();
        let plural = if names == 1 { "entry" } else { "entries" };
        cx.ui.say(&format!(
            "cloned {names} {plural} to {}",
            store.path().display()
        ));
        let words = store.epoch.fingerprint();
        if self.expect.is_some() || pinned.is_some() {
            cx.ui.say(&format!("fingerprint: {words}, as expected"));
        } else {
            cx.ui.say(&format!(
                "first sight of this store, compare its fingerprint: {words}"
            ));
        }
        self.introduce(cx, &store, site.identity.as_deref())?;
        Ok(0)
    }
}

impl Args {
    /// Finds out whether this machine is a member, and says what to do if it is none.
    fn introduce(
        &self,
        cx: &mut Context,
        store: &Store,
        configured: Option<&std::path::Path>,
    ) -> Result<(), Failure> {
        let given = self.identity.as_ref().map(|path| cx.env.absolute(path));
        let source = match &given {
            Some(path) => Source::File(path.clone()),
            None => Source::choose(&cx.env, configured),
        };
        if let Source::File(path) = &source
            && given.is_none()
            && fs::kind(path).is_none()
        {
            return self.make_identity(cx, path.clone());
        }
        if let Some(path) = &given {
            store.state.set_identity(path)?;
        }
        let prompt: Arc<dyn Prompt> = Arc::new(Asking::new(&cx.env));
        let identities = match source.load(&prompt) {
            Ok(identities) => identities,
            Err(error) => {
                cx.ui.warn(&Failure::from(error).message);
                cx.ui
                    .say("so it is not known yet whether this machine may open the store");
                return Ok(());
            }
        };
        match session::open_by(store, (&source, &identities, &prompt), false) {
            Ok(opened) => {
                let text = format!("this machine is the member \"{}\"", opened.keys.member);
                cx.ui.say(&text);
                Ok(())
            }
            Err(session::Error::NoKeyFits { .. }) => {
                let recipients = identities.recipients()?;
                let Some(recipient) = recipients.first() else {
                    return Ok(());
                };
                ask_to_add(cx, &recipient.to_string());
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn make_identity(&self, cx: &mut Context, path: PathBuf) -> Result<(), Failure> {
        let made = OwnIdentity::make(cx, path, self.no_passphrase).and_then(|identity| {
            identity.write()?;
            Ok(identity)
        });
        match made {
            Ok(identity) => {
                let text = format!("made the identity {}", identity.path.display());
                cx.ui.say(&text);
                ask_to_add(cx, &identity.recipient.to_string());
                Ok(())
            }
            // The store is there; only the identity is not.
            Err(failure) => Err(Failure {
                message: format!(
                    "the store is cloned, but there is no identity to open it: {}",
                    failure.message
                ),
                ..failure
            }),
        }
    }
}

/// Nothing was made, so there is nothing to sync again.
fn not_cloned(error: sync::Error) -> Failure {
    match error {
        sync::Error::Store(store::Error::Git(error @ git::Error::Git { .. })) => {
            Failure::failed(error.to_string()).hint("nothing was made; try again: vault clone URL")
        }
        error => error.into(),
    }
}

/// This machine's public key, and what to do with it elsewhere.
fn ask_to_add(cx: &mut Context, recipient: &str) {
    cx.ui.line(recipient);
    let member = super::init::default_member();
    cx.ui
        .say("no key of the store fits this machine yet; its public key is on stdout");
    cx.ui.say(&format!(
        "add it on a machine that opens the store, with \"vault members add {member} '{recipient}'\" and \"vault sync\"; then sync here"
    ));
}
