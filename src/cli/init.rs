//! `vault init`: the store, its keys, this member's identity, and a recovery key for paper.

use std::path::PathBuf;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::own_identity::OwnIdentity;
use crate::cli::own_identity::Wanted;
use crate::crypto::recipient::Recipient;
use crate::format::layout::is_member_name;
use crate::secret::Secret;
use crate::store::Founding;
use crate::store::Plan;
use crate::store::Store;
use crate::sys::fs;

/// The name of the member whose identity is kept on paper.
const RECOVERY: &str = "recovery";

/// Arguments of `init`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The identity is this machine's key. It is protected by a passphrase unless --no-passphrase says otherwise, or an existing age
identity or SSH key is used, which this device then remembers for this store. An identity that is there already is used and
never overwritten.

Examples:
  vault init
  vault init --identity ~/.ssh/id_ed25519
  vault init --no-passphrase --no-recovery
  vault --store ./ci-store init --no-git")]
pub(crate) struct Args {
    /// Where to make the store [default: the store that is meant]
    path: Option<PathBuf>,
    /// Use this age identity file or SSH private key
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Do not protect the new identity with a passphrase: for machines
    #[arg(long, conflicts_with = "identity")]
    no_passphrase: bool,
    /// Do not make a recovery key
    #[arg(long)]
    no_recovery: bool,
    /// Do not make a git repository
    #[arg(long)]
    no_git: bool,
    /// What this member is called [default: this machine's name]
    #[arg(long, value_name = "NAME")]
    member: Option<String>,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let site = cx.site(None)?;
        let path = self
            .path
            .as_ref()
            .map_or(site.path.clone(), |path| cx.env.absolute(path));
        if fs::kind(&path.join(crate::format::layout::FORMAT)).is_some() {
            let text = format!(
                "there is a store at {} already, it is left as it is",
                path.display()
            );
            return Err(Failure::failed(text).hint("make another one with: vault init PATH"));
        }
        let member = self.member_name()?;
        let author = (!self.no_git).then(|| cx.git(&path));
        let wanted = Wanted {
            given: self.identity.as_deref(),
            configured: site.identity.as_deref(),
            no_passphrase: self.no_passphrase,
        };
        let identity = OwnIdentity::find_or_make(cx, &wanted)?;
        let recovery = self.recovery(cx)?;
        identity.write()?;
        let mut members = vec![(member, identity.recipient.clone())];
        members.extend(
            recovery
                .iter()
                .map(|(_, recipient)| (RECOVERY.to_owned(), recipient.clone())),
        );
        let state_home = &cx.env.places.state;
        let founding = Store::create(&Plan {
            path: &path,
            state_home,
            members,
            now: cx.env.now,
            git: author,
        })?;
        if self.identity.is_some()
            && let Err(error) = founding.store.state.set_identity(&identity.path)
        {
            cx.ui.warn(&Failure::from(error).message);
        }
        self.report(
            cx,
            &founding,
            &identity,
            recovery.as_ref().map(|(key, _)| key),
        );
        if let Some((key, _)) = &recovery {
            cx.ui.secret(key)?;
            cx.ui.line("");
        }
        Ok(0)
    }
}

impl Args {
    fn member_name(&self) -> Result<String, Failure> {
        let given = self.member.clone().unwrap_or_else(default_member);
        if is_member_name(&given) && given != RECOVERY {
            return Ok(given);
        }
        let text = format!("\"{}\" cannot name a member", given.escape_debug());
        Err(Failure::usage(text)
            .hint("use lower-case letters, digits, \"-\", \"_\" and \".\": --member laptop"))
    }

    /// A recovery key, unless it is declined.
    fn recovery(&self, cx: &Context) -> Result<Option<(Secret, Recipient)>, Failure> {
        if self.no_recovery {
            return Ok(None);
        }
        let question = "Make a recovery key, printed once, to be kept on paper?";
        if let Some(terminal) = cx.terminal() {
            let answer = terminal.confirm(question, true);
            if !answer
                .map_err(|error| Failure::failed(format!("no answer, nothing is made: {error}")))?
            {
                return Ok(None);
            }
        }
        let key = crate::crypto::StoreKey::generate();
        Ok(Some((key.to_line(), key.recipient())))
    }

    /// What was made, where, and what to back up. The recovery key itself follows on stdout.
    fn report(
        &self,
        cx: &Context,
        founding: &Founding,
        identity: &OwnIdentity,
        recovery: Option<&Secret>,
    ) {
        let ui = &cx.ui;
        let store = &founding.store;
        let git = if store.repo.is_some() {
            ", a git repository"
        } else {
            ""
        };
        ui.say(&format!("made the store {}{git}", store.path().display()));
        let protected = if self.no_passphrase {
            "not protected by a passphrase"
        } else {
            "protected by your passphrase"
        };
        if identity.new.is_some() {
            ui.say(&format!(
                "made the identity {}, {protected}",
                identity.path.display()
            ));
        } else {
            ui.say(&format!("using the identity {}", identity.path.display()));
        }
        ui.say(&format!(
            "this machine is the member \"{}\"",
            founding.keys.member
        ));
        ui.say(&format!("fingerprint: {}", store.epoch.fingerprint()));
        ui.say(&format!(
            "back up {}: without it the store cannot be opened",
            identity.path.display()
        ));
        match recovery {
            Some(_) => ui.say("the recovery key follows, this once: write it on paper and keep it away from this machine"),
            None => ui.say("there is no recovery key: if the identity is lost, so is everything in the store"),
        }
    }
}

/// This machine's name, as far as it may name a member.
pub(super) fn default_member() -> String {
    let host = crate::sys::process::host_name().to_ascii_lowercase();
    let plain: String = host
        .split('.')
        .next()
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    if is_member_name(&plain) && plain != RECOVERY {
        plain
    } else {
        "device".to_owned()
    }
}
