//! `vault git-credential`: git's credential helper, also under the name `git-credential-vault`.

use std::io::BufRead;
use std::io::Read;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::answer;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::failure::Failure;
use crate::cli::failure::LOCKED;
use crate::cli::keep;
use crate::git::user::UserGit;
use crate::plugins::git;
use crate::plugins::git::Answer;
use crate::plugins::git::Description;
use crate::plugins::git::Malformed;
use crate::plugins::git::Unsendable;
use crate::store::keeper::Keeper;
use crate::store::offers::Offers;
use crate::sys::fs;

/// The variable by which git is told not to ask on the terminal.
const TERMINAL_PROMPT: &str = "GIT_TERMINAL_PROMPT";

/// Arguments of `git-credential`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
git calls this with a description on stdin; `vault plugins install git` tells it to. An entry answers for the place of its url: protocol,
host with port, and path; http only if the url says so. A token without a url answers for the hosts of its provider. The longest path
wins, then the entry that names the user. Where several fit equally none is given, and a line on stderr says how to settle it. Nothing is
printed, and the exit code is 0, where nothing fits: git asks its next helper.

`store` keeps nothing, unless the setting on-store is ask or add; an entry is never overwritten. `erase` deletes nothing: this device
notes that the host has refused the entry, passes it over for ten minutes, and `vault show` tells it.

Called by the name git-credential-vault it is the same command. `vault explain URL` shows which entry would answer.

Examples:
  vault plugins install git
  printf 'protocol=https\\nhost=github.com\\n\\n' | vault git-credential get")]
pub(crate) struct Args {
    /// get, store, erase or capability; another one is passed over
    #[arg(value_name = "OPERATION")]
    operation: String,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let done = match self.operation.as_str() {
            "get" => get(cx),
            "store" => store(cx),
            "erase" => erase(cx),
            "capability" => {
                cx.ui.line(git::CAPABILITIES.trim_end());
                Ok(())
            }
            _ => Ok(()),
        };
        // git shows what a helper says line by line among its own.
        done.map(|()| 0).map_err(Failure::in_one_line)
    }
}

/// A description ends at an empty line, or where the stream ends: who asks may keep the stream open and wait for the answer.
struct UpToEmpty<R> {
    stream: R,
    /// How many bytes the line has so far, a final CR not counted.
    line: usize,
    is_over: bool,
}

impl<R: BufRead> Read for UpToEmpty<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.is_over {
            return Ok(0);
        }
        let there = self.stream.fill_buf()?;
        let end = there.iter().position(|byte| *byte == b'\n');
        let count = end.map_or(there.len(), |end| end + 1).min(out.len());
        let (taken, _) = there.split_at(count);
        for (to, from) in out.iter_mut().zip(taken) {
            *to = *from;
        }
        let is_line = taken.last() == Some(&b'\n');
        self.line += taken.iter().filter(|byte| !b"\r\n".contains(byte)).count();
        self.is_over = is_line && self.line == 0;
        self.line = if is_line { 0 } else { self.line };
        self.stream.consume(count);
        Ok(count)
    }
}

/// What git says on stdin.
fn read() -> Result<Description, Failure> {
    let mut stream = UpToEmpty {
        stream: std::io::stdin().lock(),
        line: 0,
        is_over: false,
    };
    let read = fs::read_stream(&mut stream, git::MAX_BYTES);
    let bytes =
        read.map_err(|error| Failure::failed(format!("cannot read what git asks: {error}")))?;
    Ok(Description::parse(bytes.expose())?)
}

fn get(cx: &mut Context) -> Result<(), Failure> {
    let asked = read()?;
    let request = asked.request()?;
    let Some(decided) = answer::decide(cx, &request, unlock)? else {
        return Ok(());
    };
    let name = &decided.header.name;
    if decided.header.confirm && is_quiet(cx) {
        let text = format!("\"{name}\" wants consent, and git says that nobody is to be asked");
        return Err(Failure::new(LOCKED, text));
    }
    let given = decided.open(cx, &request)?;
    if given.username.is_none() {
        cx.ui.say(&format!(
            "\"{0}\" names no user; give it one with: vault tag {0} --username USER",
            given.entry.header.name
        ));
    }
    let lines = asked.answer(&Answer {
        username: given.username.as_deref(),
        secret: given.entry.secret.as_line(),
        expires: given.entry.header.expires,
    });
    let lines = lines.map_err(|wrong| unsendable(&given.entry.header.name, &wrong))?;
    cx.ui.secret_and(&lines, b"")
}

/// Unlocks the store, asking a person only where git may ask one.
fn unlock(cx: &mut Context, opened: &Opened) -> Result<Box<dyn Keeper>, Failure> {
    if let Some(keys) = cx.unlock_silently(opened) {
        return Ok(keys);
    }
    if is_quiet(cx) {
        cx.ask_nobody();
    }
    cx.unlock(opened)
}

/// Whether git itself would ask nobody: by its variable, or by a setting, for which git is asked.
fn is_quiet(cx: &Context) -> bool {
    let is_off = |value: &str| ["0", "false", "no", "off", "never"].contains(&value);
    let git = || UserGit::new(&cx.env.cwd, &cx.env.vars).setting("credential.interactive");
    cx.env.var(TERMINAL_PROMPT).is_some_and(is_off) || git().is_some_and(|value| is_off(&value))
}

fn store(cx: &mut Context) -> Result<(), Failure> {
    let told = read()?;
    let request = told.request()?;
    let Some(secret) = told.secret() else {
        return Ok(());
    };
    let opened = cx.open(None)?;
    let mut offers = Offers::load(opened.store.state.path())?;
    let ours = offers.accept(cx.env.now, &request.place.authority(), secret.as_line());
    let is_known = ours?.is_some() || told.is_ours || told.is_ephemeral;
    if is_known || !keep::is_wanted(cx)? {
        return Ok(());
    }
    match told.pair() {
        Some((username, password)) => {
            let new = keep::New {
                folder: "git",
                kind: "password",
                username: Some(username),
                secret: password,
                expires: told.expires,
            };
            keep::keep(cx, &opened, &request, &new).map(drop)
        }
        None => Ok(()),
    }
}

fn erase(cx: &mut Context) -> Result<(), Failure> {
    let told = read()?;
    let request = told.request()?;
    let Some(secret) = told.secret() else {
        return Ok(());
    };
    let opened = cx.open(None)?;
    let host = request.place.authority();
    let mut offers = Offers::load(opened.store.state.path())?;
    if let Some(name) = offers.refuse(cx.env.now, &host, secret.as_line())? {
        cx.ui.say(&format!(
            "{host} refused \"{name}\": it is kept, and passed over for ten minutes; replace it with: vault add -f {name}"
        ));
    }
    Ok(())
}

/// A value that would be more than one line.
fn unsendable(name: &str, wrong: &Unsendable) -> Failure {
    let Unsendable(key) = wrong;
    let what = if *key == "username" {
        "username"
    } else {
        "secret"
    };
    let text = format!(
        "the {what} of \"{name}\" is not one line, and git could take it for another answer"
    );
    Failure::failed(text).hint(format!("put it in anew with: vault add -f {name}"))
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        Self::failed(format!("what git asks is refused: {malformed}"))
    }
}
