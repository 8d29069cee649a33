//! `vault askpass`: answers the prompts of git, ssh and sudo; also under the name `vault-askpass`.

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::answer;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::context::Target;
use crate::cli::failure::Failure;
use crate::cli::failure::NO_ENTRY;
use crate::format::Header;
use crate::plugins::askpass::Wanted;
use crate::policy::answer::Circumstances;
use crate::policy::answer::Misfit;
use crate::policy::answer::Request;
use crate::policy::release;
use crate::secret::Secret;
use crate::store::keeper::Keeper;
use crate::sys::tty;

/// The variable that names the entry for prompts that do not say what they are about.
const ENTRY_VARIABLE: &str = "AGEVAULT_ASKPASS";
/// By which OpenSSH says what kind of answer it wants.
const KIND_VARIABLE: &str = "SSH_ASKPASS_PROMPT";

/// Arguments of `askpass`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
For GIT_ASKPASS, SSH_ASKPASS (with SSH_ASKPASS_REQUIRE=force) and SUDO_ASKPASS (sudo -A), which name a program without arguments:
`vault plugins install askpass` makes vault-askpass, which is this command. The prompt says what is wanted, and an entry answers by its url:

  git          the address in the prompt, as for vault git-credential
  ssh          ssh://HOST and the entry's username
  a key        file:///home/you/.ssh/id_ed25519
  sudo         sudo://localhost and the entry's username

AGEVAULT_ASKPASS names the entry for all prompts but git's; one with a url only for what that names. A question for yes or no is asked on the terminal. What cannot be answered
ends with a line on stderr and an exit code, so that the program goes on in its own way.

Examples:
  vault plugins install askpass
  vault askpass \"Password for 'https://octocat@github.com': \"")]
pub(crate) struct Args {
    /// What the program asks, in its words
    #[arg(value_name = "PROMPT", default_value = "")]
    prompt: Vec<String>,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let prompt = self.prompt.join(" ");
        reply(cx, &prompt).map(|()| 0).map_err(Failure::in_one_line)
    }
}

fn reply(cx: &mut Context, prompt: &str) -> Result<(), Failure> {
    match cx.env.var(KIND_VARIABLE) {
        Some("none") => {
            cx.ui.say(&tty::sanitize(prompt));
            return Ok(());
        }
        Some("confirm") => return consent(cx, prompt),
        _ => {}
    }
    let named = cx.env.var(ENTRY_VARIABLE).map(str::to_owned);
    match (Wanted::of_prompt(prompt), named) {
        (None, _) => Err(not_understood()),
        (Some(Wanted::Consent), _) => consent(cx, prompt),
        (Some(Wanted::Username(request)), _) => username(cx, &request),
        (Some(Wanted::Password(request)), Some(name)) if !is_web(&request) => {
            by_name(cx, &name, Some(&request))
        }
        (Some(Wanted::Password(request)), _) => {
            let given = answer::answer(cx, &request, unlock)?;
            let given = given.ok_or_else(|| nothing(&request))?;
            hand_out(cx, &given.entry.header.name, &given.entry.secret)
        }
        (Some(Wanted::Unnamed), Some(name)) => by_name(cx, &name, None),
        (Some(Wanted::Unnamed), None) => {
            let failure = Failure::failed("the prompt does not say what it is about");
            Err(failure.hint(format!("{ENTRY_VARIABLE} names the entry for it")))
        }
    }
}

/// Whether a password goes over the web: to the host that it is for, and never by a variable.
fn is_web(request: &Request) -> bool {
    ["https", "http"].contains(&request.place.protocol.as_str())
}

fn unlock(cx: &mut Context, opened: &Opened) -> Result<Box<dyn Keeper>, Failure> {
    cx.unlock(opened)
}

fn username(cx: &mut Context, request: &Request) -> Result<(), Failure> {
    let decided = answer::decide(cx, request, unlock)?;
    let decided = decided.ok_or_else(|| nothing(request))?;
    let name = &decided.header.name;
    let user = request.username(&decided.header).ok_or_else(|| {
        let failure = Failure::failed(format!("\"{name}\" names no user"));
        failure.hint(format!(
            "give it one with: vault tag {name} --username USER"
        ))
    })?;
    hand_out(cx, name, &Secret::new(user.into_bytes()))
}

/// The entry that the variable names; where that one says what it is for, only for that.
fn by_name(cx: &mut Context, name: &str, request: Option<&Request>) -> Result<(), Failure> {
    let target = Target::parse(name)?;
    let opened = cx.open(target.store.as_deref())?;
    if !opened.store.has(&target.name)? {
        return Err(Context::no_entry(&opened.store, &target.name));
    }
    let keys = cx.unlock(&opened)?;
    let headers = answer::verified(&opened, &keys, std::slice::from_ref(&target.name))?;
    let header = headers.first().filter(|header| header.url.is_some());
    if let Some((request, header)) = request.zip(header) {
        check_place(cx, request, header)?;
    }
    let entry = opened.store.entry(&keys, &target.name)?;
    release::check(&entry.header, cx.env.now, false)?;
    hand_out(cx, &entry.header.name, &entry.secret)
}

/// A prompt may be about another place than the one that a person had in mind who set the variable.
fn check_place(cx: &Context, request: &Request, header: &Header) -> Result<(), Failure> {
    let now = cx.env.now;
    let with = Circumstances { now, refused: &[] };
    match request.judge(header, with) {
        Ok(_) | Err(Misfit::Expired(_)) => Ok(()),
        Err(misfit) => {
            let why = answer::words(&misfit, request, now);
            let text = format!("\"{}\" {why}, and not for {}", header.name, request.place);
            Err(Failure::failed(text))
        }
    }
}

/// One line, as every such program reads it.
fn hand_out(cx: &mut Context, name: &str, secret: &Secret) -> Result<(), Failure> {
    let line = secret.as_line();
    if line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        let text = format!(
            "the secret of \"{name}\" is not one line, and a part of it would be taken for all"
        );
        return Err(Failure::failed(text));
    }
    cx.ui.secret_and(&Secret::copy_of(line), b"\n")
}

/// A question that only a person can answer.
fn consent(cx: &mut Context, prompt: &str) -> Result<(), Failure> {
    match cx.confirm(&tty::sanitize(prompt.trim()))? {
        Some(true) => {
            cx.ui.line("yes");
            Ok(())
        }
        Some(false) => Err(Failure::failed("no")),
        None => Err(Failure::failed(
            "there is no terminal to ask for a yes or a no on",
        )),
    }
}

fn nothing(request: &Request) -> Failure {
    let failure = Failure::new(NO_ENTRY, format!("no entry answers for {}", request.place));
    failure.hint(format!("see why with: vault explain {}", request.place))
}

fn not_understood() -> Failure {
    Failure::failed("the prompt is not one that is known, and nothing is given")
}
