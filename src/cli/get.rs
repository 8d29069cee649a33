//! `vault get`: a secret's exact bytes, and nothing else.

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::clipboard;
use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::context::Target;
use crate::cli::pick;
use crate::policy::release;

/// Arguments of `get`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The secret is printed as it was stored, byte for byte; on a terminal a line feed is added. Nothing is printed before the
whole entry has been verified. Without a name, on a terminal, one is picked from a list.

Examples:
  vault get github/ci
  vault get -c github/ci
  vault get work:github/ci")]
pub(crate) struct Args {
    /// The entry: NAME, or STORE:NAME
    #[arg(add = complete::names())]
    name: Option<String>,
    /// Copy it to the clipboard instead, for a while [default: 45 s]
    #[arg(short, long)]
    copy: bool,
    /// Give it out even if it is expired
    #[arg(long)]
    allow_expired: bool,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let target = match &self.name {
            Some(name) => Target::parse(name)?,
            None => pick::entry(cx)?,
        };
        let opened = cx.open(target.store.as_deref())?;
        if !opened.store.has(&target.name)? {
            return Err(Context::no_entry(&opened.store, &target.name));
        }
        let keys = cx.unlock(&opened)?;
        let entry = if self.allow_expired {
            opened.store.entry(&keys, &target.name)?
        } else {
            let now = cx.env.now;
            match opened.store.entry_unexpired(&keys, &target.name, now)? {
                Ok(entry) => entry,
                Err(header) => return Err(release::denied(&header, now).into()),
            }
        };
        if self.copy {
            clipboard::copy_and_say(cx, &target.name, &entry.secret)?;
        } else {
            cx.ui.secret(&entry.secret)?;
        }
        Ok(0)
    }
}
