//! `vault cargo-credential`: cargo's credential provider, also under the name `cargo-credential-vault`.

use std::io::BufRead;
use std::io::Read;

use zeroize::Zeroizing;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::answer;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::failure::Failure;
use crate::cli::keep;
use crate::cli::keep::Kept;
use crate::plugins::cargo;
use crate::plugins::cargo::Reply;
use crate::plugins::cargo::Wanted;
use crate::policy::answer::Request;
use crate::policy::answer::SPARSE;
use crate::secret::Secret;
use crate::store::keeper::Keeper;

/// The room for a line at first, so that a token that cargo tells leaves no copy behind as it grows.
const LINE_BYTES: usize = 64 << 10;

/// Arguments of `cargo-credential`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
cargo starts this and talks with it in lines of JSON; `vault plugins install cargo` tells it to. An entry answers for the one index
that is its url: `vault add NAME --url https://registry.example/index/`. One for the host alone does not, nor a provider's token: an index says
itself where its token is sent, and anybody may have one somewhere on a host.

`cargo login` keeps a token only where the setting on-store is ask or add, and never over an entry. `cargo logout` deletes nothing.

Called by the name cargo-credential-vault it is the same command.

Examples:
  vault plugins install cargo
  vault cargo-credential --cargo-plugin </dev/null")]
pub(crate) struct Args {
    /// How cargo says that it wants to talk
    #[arg(long)]
    cargo_plugin: bool,
    /// What else cargo hands over
    #[arg(hide = true)]
    rest: Vec<String>,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        if !self.cargo_plugin {
            let failure = Failure::usage("cargo calls this with --cargo-plugin");
            return Err(failure.hint("tell it to with: vault plugins install cargo"));
        }
        cx.ui.line(cargo::HELLO);
        cx.ui.finish()?;
        while let Some(line) = next_line()? {
            // A failure is an answer, too: nothing else may come out.
            if let Err(failure) = answer_one(cx, &line) {
                let text = failure.in_one_line().message;
                send(cx, &Reply::Failed(&text))?;
            }
        }
        Ok(0)
    }
}

/// The next line that cargo says; none when it is done.
fn next_line() -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let mut line = Zeroizing::new(Vec::with_capacity(LINE_BYTES));
    let mut stdin = std::io::stdin().lock().take(cargo::LINE_MAX_BYTES);
    let read = stdin.read_until(b'\n', &mut line);
    let count =
        read.map_err(|error| Failure::failed(format!("cannot read what cargo asks: {error}")))?;
    Ok((count > 0).then_some(line))
}

fn send(cx: &mut Context, reply: &Reply<'_>) -> Result<(), Failure> {
    cx.ui.secret_and(&reply.line(), b"\n")
}

fn unlock(cx: &mut Context, opened: &Opened) -> Result<Box<dyn Keeper>, Failure> {
    cx.unlock(opened)
}

fn answer_one(cx: &mut Context, line: &[u8]) -> Result<(), Failure> {
    let refused = |malformed| Failure::failed(format!("what cargo asks is refused: {malformed}"));
    match Wanted::parse(line).map_err(refused)? {
        Wanted::Get(request) => get(cx, &request),
        Wanted::Login(request, Some(token)) => login(cx, &request, &token),
        Wanted::Login(request, None) => {
            let failure = Failure::failed("cargo hands no token over");
            Err(failure.hint(format!(
                "put it in with: vault add NAME --url {}",
                request.place
            )))
        }
        Wanted::Logout(request) => {
            let failure = Failure::failed("vault deletes nothing when a program logs out");
            Err(failure.hint(format!(
                "see which entry it is with: vault explain {SPARSE}{}",
                request.place
            )))
        }
        Wanted::Unknown => send(cx, &Reply::NotSupported),
    }
}

fn get(cx: &mut Context, request: &Request) -> Result<(), Failure> {
    let Some(given) = answer::answer(cx, request, unlock)? else {
        return send(cx, &Reply::NotFound);
    };
    let header = &given.entry.header;
    let token = std::str::from_utf8(given.entry.secret.as_line()).ok();
    let token = token.filter(|token| !token.chars().any(char::is_control));
    let token = token.ok_or_else(|| {
        Failure::failed(format!("the secret of \"{}\" is not one line", header.name))
    })?;
    send(cx, &Reply::Token(token, header.expires))
}

fn login(cx: &mut Context, request: &Request, token: &Secret) -> Result<(), Failure> {
    let opened = cx.open(None)?;
    let wish = keep::New {
        folder: "cargo",
        kind: "token",
        username: None,
        secret: token,
        expires: None,
    };
    match keep::keep(cx, &opened, request, &wish)? {
        Kept::New => {}
        Kept::Unwanted => return Err(keep::unwanted()),
        Kept::Known(name) => keep::check_same(cx, &opened, &name, token)?,
    }
    send(cx, &Reply::Kept)
}
