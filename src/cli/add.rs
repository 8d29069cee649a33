//! `vault add`: a secret goes in, from a prompt, from stdin or from a file; never from an argument.

use std::path::PathBuf;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::context::Target;
use crate::cli::failure::Failure;
use crate::cli::fields::Fields;
use crate::format::Header;
use crate::format::Name;
use crate::format::SECRET_MAX_BYTES;
use crate::format::expiry;
use crate::secret::Secret;
use crate::sys::fs;

/// Arguments of `add`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
On a terminal the secret is asked for twice, unseen. Otherwise it is read from stdin, byte for byte. There is no argument
for it: arguments are visible to every process.

Replacing an entry keeps its other fields and clears its expiry date unless a new one is given.

Examples:
  vault add github/ci --provider github --scope repo --scope read:org --expires 90d --env GITHUB_TOKEN
  printf %s \"$TOKEN\" | vault add npm/publish --env NPM_TOKEN
  vault add --from-file deploy.pem ssh/deploy --kind file")]
pub(crate) struct Args {
    /// The new entry: NAME, or STORE:NAME
    #[arg(add = complete::names())]
    name: String,
    /// Take several lines, until Ctrl-D on a terminal
    #[arg(short, long)]
    multiline: bool,
    /// Take the secret from this file
    #[arg(long, value_name = "FILE", conflicts_with = "multiline")]
    from_file: Option<PathBuf>,
    /// Replace an entry without asking
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    fields: Fields,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let target = Target::parse(&self.name)?;
        let mut probe = Header::new(&target.name, cx.env.now);
        self.fields.apply(&mut probe, cx.env.now)?;
        let opened = cx.open(target.store.as_deref())?;
        let is_there = opened.store.has(&target.name)?;
        if is_there && !self.force {
            may_replace(cx, &target.name)?;
        }
        let keys = cx.unlock(&opened)?;
        let secret = self.secret(cx, &target.name)?;
        let mut writer = cx.writer(&opened.store, &keys)?;
        // Under the lock: what another process has written meanwhile is what gets replaced.
        let is_there_now = opened.store.has(&target.name)?;
        if is_there_now && !is_there && !self.force {
            let text = format!("\"{}\" was made by another process meanwhile", target.name);
            return Err(Failure::failed(text).hint("replace it with -f"));
        }
        let mut header = if is_there_now {
            Header {
                expires: None,
                ..opened.store.look(&keys, &target.name)?.0
            }
        } else {
            Header::new(&target.name, cx.env.now)
        };
        self.fields.apply(&mut header, cx.env.now)?;
        tell_expiry(cx, &header);
        writer.put(&target.name, header, &secret)?;
        let verb = if is_there_now { "replace" } else { "add" };
        writer.commit(&format!("{verb} {}", target.name))?;
        cx.ui.say(&format!(
            "{} \"{}\"",
            if is_there_now { "replaced" } else { "added" },
            target.name
        ));
        Ok(0)
    }
}

impl Args {
    fn secret(&self, cx: &mut Context, name: &Name) -> Result<Secret, Failure> {
        if let Some(path) = &self.from_file {
            return Ok(fs::read_secret(
                &cx.env.absolute(path),
                SECRET_MAX_BYTES as u64,
            )?);
        }
        if !cx.env.terminal.stdin {
            return from_stdin();
        }
        typed(cx, name, self.multiline)
    }
}

/// Everything from stdin.
pub(crate) fn from_stdin() -> Result<Secret, Failure> {
    let read = fs::read_stream(&mut std::io::stdin().lock(), SECRET_MAX_BYTES as u64);
    read.map_err(|error| Failure::failed(format!("cannot read the secret from stdin: {error}")))
}

/// A secret typed on the terminal, unseen: one line asked for twice, or several lines once.
pub(crate) fn typed(cx: &Context, name: &Name, multiline: bool) -> Result<Secret, Failure> {
    let nobody = || {
        Failure::failed("there is no terminal to ask for the secret on").hint("hand it in on stdin")
    };
    let terminal = cx.terminal().ok_or_else(nobody)?;
    let unanswered =
        |error| Failure::failed(format!("no secret was given, nothing is changed: {error}"));
    if multiline {
        let prompt = format!("Secret for \"{name}\", end with Ctrl-D:\n");
        return terminal.ask_hidden_lines(&prompt).map_err(unanswered);
    }
    let first = terminal
        .ask_hidden(&format!("Secret for \"{name}\": "))
        .map_err(unanswered)?;
    let second = terminal
        .ask_hidden("The same again: ")
        .map_err(unanswered)?;
    if first != second {
        return Err(Failure::failed(
            "the two are not the same, nothing is changed",
        ));
    }
    Ok(first)
}

/// Asks before an entry is replaced; without a terminal that takes `-f`.
pub(crate) fn may_replace(cx: &Context, name: &Name) -> Result<(), Failure> {
    let there = || Failure::failed(format!("\"{name}\" is there already"));
    match cx.confirm(&format!("\"{name}\" is there already. Replace it?"))? {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::failed("nothing is changed")),
        None => Err(there().hint("replace it with -f")),
    }
}

/// Says so when an entry is expired from the start.
pub(crate) fn tell_expiry(cx: &Context, header: &Header) {
    if let Some(expires) = header.expires
        && header.is_expired(cx.env.now)
    {
        cx.ui.warn(&format!(
            "it has been expired since {}",
            expiry::show(expires)
        ));
    }
}
