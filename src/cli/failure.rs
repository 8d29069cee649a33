//! Every error as a sentence, hints and an exit code. The only place that turns errors into what a person reads.

use std::path::Path;

use crate::cli::context::closest;
use crate::config;
use crate::crypto;
use crate::dotfiles;
use crate::dotfiles::Problem;
use crate::dotfiles::template::Why;
use crate::exec::plan::Refused;
use crate::exec::project;
use crate::exec::reference;
use crate::exec::reference::FIELD_WORDS;
use crate::format::Refusal;
use crate::format::Stage;
use crate::format::name::BadName;
use crate::git;
use crate::policy::need::Unmet;
use crate::policy::release::Denied;
use crate::session;
use crate::session::ask::NOBODY_MAY;
use crate::session::ask::NOBODY_THERE;
use crate::store;
use crate::store::people::Unfit;
use crate::sync;
use crate::sys::fs;

/// Failed for a reason without a code of its own.
pub(super) const FAILED: u8 = 1;
/// Wrong usage.
pub(super) const USAGE: u8 = 2;
/// No such entry.
pub(super) const NO_ENTRY: u8 = 3;
/// Locked, or no key fits.
pub(super) const LOCKED: u8 = 4;
/// Refused for integrity.
pub(super) const REFUSED: u8 = 5;
/// Expired.
pub(super) const EXPIRED: u8 = 6;

/// What to do about a full disk.
const NO_ROOM: &str = "nothing was lost: make room and try again";

/// What a person reads when a command fails, and what a script sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// What happened.
    pub message: String,
    /// What to do next; a command in it is one that works.
    pub hints: Vec<String>,
    /// The exit code.
    pub code: u8,
}

impl Failure {
    /// A failure with this code.
    pub(super) fn new(code: u8, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hints: Vec::new(),
            code,
        }
    }

    /// A failure without a code of its own.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::new(FAILED, message)
    }

    /// Wrong usage.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, message)
    }

    /// The same with a hint.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same with a guess at the word that was meant, or with all that there are.
    fn guess(self, word: &str, known: &[&str]) -> Self {
        match closest(word, known.iter().copied()) {
            Some(guess) => self.hint(format!("did you mean \"{guess}\"?")),
            None => self.hint(format!("there are: {}", known.join(", "))),
        }
    }

    /// The same in one line, for programs that show no more.
    #[must_use]
    pub(super) fn in_one_line(mut self) -> Self {
        let hints = std::mem::take(&mut self.hints);
        let parts = std::iter::once(self.message).chain(hints);
        self.message = parts
            .collect::<Vec<_>>()
            .join("; ")
            .replace(['\n', '\r'], " ");
        self
    }

    /// The same with another exit code.
    #[must_use]
    pub(super) fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        use store::Error;
        let text = error.to_string();
        match error {
            Error::NoStore(_) => Self::failed(text).hint("make one with: vault init"),
            Error::Occupied(_) => Self::failed(text).hint("choose another folder with --store"),
            Error::NoEntry(_) => Self::new(NO_ENTRY, text),
            Error::Exists(_) => Self::failed(text).hint("replace it with -f"),
            Error::Clash { .. } => {
                Self::failed(text).hint("some systems cannot hold both: choose another name")
            }
            Error::BadName(_) => Self::usage(text),
            Error::Refused(refusal) => refusal.into(),
            Error::Renewed => Self::failed(text).hint("run the same again"),
            Error::Unfit(unfit) => unfit.into(),
            Error::Denied(_, why) if why == NOBODY_THERE || why == NOBODY_MAY => Self::new(
                LOCKED, text,
            )
            .hint("run it on a terminal, or name a pinentry: vault config set pinentry PROGRAM"),
            Error::Denied(..) => Self::new(LOCKED, text),
            Error::KeeperGone => Self::new(LOCKED, text).hint("unlock it again with: vault unlock"),
            Error::ReadOnly => Self::new(LOCKED, text).hint("ask a member who may write"),
            Error::Diverged(_) => {
                Self::failed(text).hint("see what is different with: vault doctor")
            }
            Error::Git(git::Error::Io { source, .. })
                if source.kind() == std::io::ErrorKind::StorageFull =>
            {
                Self::failed(text).hint(NO_ROOM)
            }
            Error::Git(git::Error::AddressSecret(_)) => Self::failed(text).hint(
                "leave it out, with: vault remote add NAME URL; git asks its credential helpers for it",
            ),
            Error::TooLarge | Error::HeaderTooLarge | Error::NoRepository | Error::Git(_) => {
                Self::failed(text)
            }
            Error::RepositoryGone => Self::failed(text).hint("what can be done: vault doctor"),
            Error::File(error) => error.into(),
            Error::Crypto(error) => error.into(),
        }
    }
}

impl From<Unfit> for Failure {
    fn from(unfit: Unfit) -> Self {
        let failure = Self::failed(unfit.to_string());
        match unfit {
            Unfit::Exists(_) => {
                failure.hint("choose another name, or look at the list with: vault members list")
            }
            Unfit::Known(_) => {
                failure.hint("nothing is to be done: this key opens the store already")
            }
            Unfit::Unknown(_, names) => {
                failure.hint(format!("the members are: {}", names.join(", ")))
            }
            Unfit::LastWriter(_) => failure.hint(
                "make another member who may write first, with: vault members add NAME RECIPIENT",
            ),
            Unfit::TooLarge | Unfit::LastEpoch => failure,
        }
    }
}

impl From<sync::Error> for Failure {
    fn from(error: sync::Error) -> Self {
        use sync::Error;
        let text = error.to_string();
        match error {
            Error::NoRemote => Self::failed(text).hint("name one with: vault remote add URL"),
            Error::NoStoreThere(_) => Self::failed(text)
                .hint("make one here with: vault init; then: vault remote add URL; vault sync"),
            Error::UnknownRemote(_) => Self::failed(text).hint("the remotes: vault remote show"),
            Error::SeveralRemotes(_) => Self::failed(text).hint("say which: vault sync REMOTE"),
            Error::Dangerous(_) | Error::Store(store::Error::Git(git::Error::Unusual { .. })) => {
                Self::new(REFUSED, text).hint("take it out by hand, then try again")
            }
            Error::OtherEpoch { epoch, .. } => {
                let words = epoch.fingerprint();
                Self::new(REFUSED, text)
                    .hint(format!("the new fingerprint is {words}: compare it with \"vault status\" on the device that made it"))
                    .hint("if it is the same there, accept it with \"vault trust WORDS\"")
            }
            Error::Rewound { head: Some(head), .. } => Self::new(REFUSED, text)
                .hint(format!("if it was you: vault sync --accept-rewrite {head}")),
            Error::Rewound { head: None, .. } => Self::new(REFUSED, text)
                .hint("if it was you: vault remote remove, then add it again, and sync"),
            Error::Over { head, .. } => Self::new(REFUSED, text)
                .hint("whoever has made them carries them over there, with: vault trust")
                .hint(format!("for that, put this store's epoch in their place: vault sync --accept-rewrite {head}")),
            Error::Without { newest, .. } => Self::new(REFUSED, text)
                .hint("a member who was removed could have made them; what is in one of them: vault log -p NAME")
                .hint(format!("to follow the new epoch without them, with what this device has made itself: vault trust WORDS --without {newest}")),
            Error::Locked => Self::new(LOCKED, text),
            Error::NotPushed => Self::failed(text).hint("try again: vault sync"),
            Error::Store(store::Error::Refused(refusal)) if refusal.stage == Stage::Seal => {
                Self::new(REFUSED, text)
                    .hint("nothing was followed; see what it changes, and adopt it if it was you: vault accept")
            }
            Error::Store(store::Error::Refused(_)) => {
                Self::new(REFUSED, text).hint("nothing was followed, the store is as it was")
            }
            Error::Store(store::Error::Git(git::Error::Git { .. })) => {
                Self::failed(text).hint("nothing was lost; try again: vault sync")
            }
            Error::Store(error @ store::Error::Denied(..)) => Self::from(error)
                .hint("both sides have changed it, and nothing was merged or lost"),
            Error::Store(error) => error.into(),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let hint = match refusal.stage {
            Stage::Version => "a newer vault may know it; nothing was changed",
            Stage::Pin => {
                "if a member began a new epoch, compare the words there with those of: vault trust"
            }
            Stage::Revision | Stage::Signature | Stage::Name | Stage::Envelope | Stage::Header => {
                "nothing was given out; look at the whole store with: vault doctor"
            }
            Stage::Member | Stage::Seal | Stage::Descent => {
                "somebody else may have changed the store; look at it with: vault doctor"
            }
        };
        Self::new(REFUSED, refusal.to_string()).hint(hint)
    }
}

impl From<session::Error> for Failure {
    fn from(error: session::Error) -> Self {
        use session::Error;
        let text = error.to_string();
        match error {
            Error::NoIdentity(_) => {
                Self::new(LOCKED, text).hint("name one with AGEVAULT_IDENTITY, or make a store with: vault init")
            }
            Error::NoKeyFits { .. } => {
                Self::new(LOCKED, text).hint("name another identity with AGEVAULT_IDENTITY")
            }
            Error::WrongPassphrase(_) | Error::Unanswered { .. } | Error::Identity { .. } => Self::new(LOCKED, text),
            Error::CannotAsk(_) => Self::new(LOCKED, text)
                .hint("unlock once, on a terminal, with: vault unlock")
                .hint("AGEVAULT_PASSPHRASE_CMD names a program that prints it; AGEVAULT_KEY holds an identity itself"),
            Error::Store(error) => error.into(),
        }
    }
}

impl From<fs::Error> for Failure {
    fn from(error: fs::Error) -> Self {
        let failure = Self::failed(error.to_string());
        match error.source.kind() {
            std::io::ErrorKind::StorageFull => failure.hint(NO_ROOM),
            _ => failure,
        }
    }
}

impl From<crypto::Error> for Failure {
    fn from(error: crypto::Error) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        use config::Error;
        let text = error.to_string();
        match error {
            Error::Unknown(_) => Self::usage(text).hint("the settings: vault config list"),
            Error::BadValue(..) => Self::usage(text),
            Error::File(_) | Error::Content(..) => Self::failed(text),
        }
    }
}

impl From<BadName> for Failure {
    fn from(bad: BadName) -> Self {
        Self::usage(bad.to_string())
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        let Denied::Expired { name, .. } = &denied;
        Self::new(EXPIRED, denied.to_string()).hint(format!(
            "replace it with: vault add -f {name}; --allow-expired gives it out all the same"
        ))
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let failure = Self::failed(refused.to_string());
        match &refused {
            Refused::Nothing => failure
                .hint("choose entries with -e NAME, --profile, --under or --scope; vault add --env VAR puts one in the default profile"),
            Refused::NoVariable(name) => failure.hint(format!("say which: -e VAR={name}")),
            Refused::Ambiguous { first, .. } => failure.hint(format!("choose with -e VAR={first}, or a narrower selection")),
            Refused::Denied(_) => failure.hint("--skip-expired leaves it out, --allow-expired hands it out"),
            Refused::BadVariable { name, .. } | Refused::Dangerous { name, .. } => {
                failure.hint(format!("change it with: vault tag {name} --env VAR"))
            }
            Refused::NoField { name, .. } => failure.hint(format!("see what it has with: vault show {name}")),
            Refused::Twice { number: 0, .. } => failure.hint("there is one standard input; --fd N=NAME hands over another"),
            Refused::Nul(_) => failure.hint("a file holds it: --file VAR=NAME"),
            Refused::BadNumber(_) | Refused::Twice { .. } => failure,
        }
    }
}

impl From<dotfiles::Error> for Failure {
    fn from(error: dotfiles::Error) -> Self {
        use dotfiles::Error;
        let text = error.to_string();
        match error {
            Error::Store(error) => error.into(),
            Error::File(error) => error.into(),
            Error::TooMuch | Error::NoRandom => Self::failed(text),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let text = problem.to_string();
        match problem {
            Problem::Store(error) => (*error).into(),
            Problem::Denied(denied) => denied.into(),
            Problem::NoEntry(reference) => Self::new(NO_ENTRY, text).hint(format!(
                "put it in with: vault add {}; or give a default: {{{{agevault://{reference}:-DEFAULT}}}}",
                reference.name
            )),
            Problem::NoField(reference) => {
                Self::failed(text).hint(format!("see what it has with: vault show {}", reference.name))
            }
            Problem::Twice(_) => Self::failed(text).hint("forget one of them, or give them hosts or systems"),
            Problem::NoBackup => Self::failed(text).hint("move the file away, then apply again"),
            Problem::Template(fault) => Self {
                hints: match fault.why {
                    Why::Wrong(wrong) => Self::from(wrong).hints,
                    Why::Open | Why::NotText => Vec::new(),
                },
                ..Self::failed(text)
            },
            Problem::Header(_)
            | Problem::Place(_)
            | Problem::Own
            | Problem::OtherStore(_) => Self::failed(text),
        }
    }
}

impl From<Unmet> for Failure {
    fn from(unmet: Unmet) -> Self {
        let failure = Self::failed(unmet.to_string());
        match &unmet {
            Unmet::None(need) => {
                failure.hint(format!("see what there is with: vault find --provider {}", need.provider))
            }
            Unmet::Expired(..) => failure.hint("--skip-expired leaves it out, --allow-expired hands one out"),
            Unmet::Tie(_, first, _) => failure.hint(format!(
                "name the one that is meant: -e VAR={first}, or entry = \"{first}\" in the project file"
            )),
            Unmet::Unfit(_, name) => failure.hint(format!("see what it has with: vault show {name}")),
        }
    }
}

impl From<reference::Wrong> for Failure {
    fn from(wrong: reference::Wrong) -> Self {
        let failure = Self::failed(wrong.to_string());
        match &wrong {
            reference::Wrong::Field(word) => failure.guess(word, &FIELD_WORDS),
            reference::Wrong::Name(_) => failure,
        }
    }
}

/// The failure for a project file that is not understood.
pub(super) fn of_project(path: &Path, wrong: &project::Wrong) -> Failure {
    let failure = Failure::failed(format!("{}: {wrong}", path.display()));
    match project::words_for(&wrong.why) {
        Some((word, known)) => failure.guess(word, known),
        None => failure,
    }
}
