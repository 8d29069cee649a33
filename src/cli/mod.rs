//! What a person sees: the closed list of commands, and dispatch. The only layer that names `clap`, prints, or chooses
//! an exit code.

mod accept;
mod add;
#[cfg(target_os = "linux")]
mod agent;
mod allow;
mod answer;
mod asking;
mod askpass;
mod cargo_credential;
mod clipboard;
mod clipboard_hold;
mod clone;
mod complete;
mod completions;
mod config;
mod context;
mod edit;
mod demo;
mod docker_credential;
mod doctor;
mod dotfiles;
mod env;
mod exec;
mod exec_member;
mod explain;
mod failure;
mod fields;
mod expiring;
mod find;
mod generate;
mod get;
mod git;
mod git_credential;
mod grep;
mod identity;
mod init;
mod inject;
mod keep;
mod lock;
mod log;
mod ls;
mod members;
mod mv;
mod own_identity;
pub mod manual;
mod pick;
mod picker;
mod plugins;
mod remote;
mod restore;
mod rm;
mod several;
mod shell;
mod show;
mod status;
mod store;
mod sync;
mod tag;
mod trust;
mod ui;
mod unlock;
mod uses;
mod view;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::process::ExitCode;

use clap::ArgMatches;
use clap::Command;
use clap::error::ContextKind;
use clap::error::ContextValue;
use clap::error::ErrorKind;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::ui::Ui;
use crate::plugins::NAMES;
#[cfg(target_os = "linux")]
use crate::session::client::AGENT_VERB;
use crate::sys::Env;
use crate::sys::mem;
use crate::sys::process;

/// What a command ends with when nothing failed: an exit code.
type Outcome = Result<u8, Failure>;

/// A command's arguments, and what it does. One file has one of them.
trait Run: clap::Args {
    /// Does it. The exit code is 0 unless the command hands on another program's.
    fn run(self, cx: &mut Context) -> Outcome;
}

/// A command: its names, its line in the list, and what it does.
struct Verb {
    name: &'static str,
    aliases: &'static [&'static str],
    about: &'static str,
    args: fn(Command) -> Command,
    run: fn(&ArgMatches, &mut Context) -> Outcome,
    hidden: bool,
}

impl Verb {
    fn is_called(&self, word: &OsStr) -> bool {
        word == self.name || self.aliases.iter().any(|alias| word == *alias)
    }
}

/// Every command, in the order of `vault --help`.
const VERBS: &[Verb] = &[
    verb::<init::Args>("init", &[], "Make a store, its keys and a recovery key"),
    verb::<add::Args>(
        "add",
        &["insert", "set", "new"],
        "Put a secret in, with its scopes and expiry",
    ),
    verb::<get::Args>("get", &["read"], "Print a secret"),
    verb::<show::Args>(
        "show",
        &[],
        "Show what is known about an entry, the secret masked",
    ),
    verb::<ls::Args>("ls", &["list"], "List the entries as a tree"),
    verb::<find::Args>(
        "find",
        &["search"],
        "Find entries by words, scopes and expiry",
    ),
    verb::<expiring::Args>("expiring", &[], "Show what expires soon, as a timeline"),
    verb::<grep::Args>("grep", &[], "Search the decrypted entries"),
    verb::<edit::Args>("edit", &[], "Change an entry in your editor"),
    verb::<tag::Args>("tag", &[], "Change metadata without touching the secret"),
    verb::<generate::Args>("generate", &["gen"], "Make a random secret and put it in"),
    verb::<mv::Args>(
        "mv",
        &["rename", "move"],
        "Rename an entry or a folder, or move it to another store",
    ),
    verb::<mv::CopyArgs>("cp", &["copy"], "Copy an entry or a folder"),
    verb::<rm::Args>(
        "rm",
        &["remove", "delete"],
        "Remove entries, or a folder with -r",
    ),
    verb::<log::Args>("log", &["history"], "Show the versions of an entry"),
    verb::<restore::Args>("restore", &[], "Bring an earlier value of an entry back"),
    verb::<exec::Args>(
        "exec",
        &["run", "x"],
        "Run a program with secrets in its environment",
    ),
    verb::<shell::Args>(
        "shell",
        &[],
        "Start a shell with secrets in its environment",
    ),
    verb::<env::Args>("env", &[], "Write and check the project file"),
    verb::<inject::Args>("inject", &[], "Fill the references of a file in"),
    verb::<dotfiles::Args>(
        "dotfiles",
        &["dot"],
        "Keep files of the home directory in the store, and put them in place",
    ),
    verb::<allow::Args>("allow", &[], "Let a project file have what it asks for"),
    verb::<allow::DenyArgs>("deny", &[], "Take that back"),
    verb::<plugins::Args>(
        "plugins",
        &["plugin"],
        "Let other programs, such as git, get tokens from here",
    ),
    verb::<explain::Args>(
        "explain",
        &[],
        "Say which entry would answer for a place, and why not the others",
    ),
    verb::<git_credential::Args>(
        "git-credential",
        &[],
        "Answer git, as its credential helper",
    ),
    verb::<docker_credential::Args>(
        "docker-credential",
        &[],
        "Answer docker, podman and skopeo, as their credential helper",
    ),
    verb::<cargo_credential::Args>(
        "cargo-credential",
        &[],
        "Answer cargo, as its credential provider",
    ),
    verb::<askpass::Args>("askpass", &[], "Answer the prompts of git, ssh and sudo"),
    verb::<unlock::Args>("unlock", &[], "Unlock once, and keep the keys for a while"),
    verb::<lock::Args>("lock", &[], "Forget all keys"),
    verb::<identity::Args>(
        "identity",
        &[],
        "Make, show or protect this machine's identity",
    ),
    verb::<sync::Args>(
        "sync",
        &[],
        "Fetch, verify, merge and push: bring the store and its remote together",
    ),
    verb::<clone::Args>(
        "clone",
        &[],
        "Make this machine's copy of a store elsewhere",
    ),
    verb::<remote::Args>("remote", &[], "Say where the store is synced to"),
    verb::<accept::Args>(
        "accept",
        &[],
        "Look at commits that were made by hand, and adopt them",
    ),
    verb::<members::Args>(
        "members",
        &[],
        "Show who can open the store, let members in and out",
    ),
    verb::<trust::Args>(
        "trust",
        &[],
        "Take the new keys of an epoch that another device began",
    ),
    verb::<git::Args>("git", &[], "Run git in the store"),
    verb::<status::Args>("status", &[], "Show which store this is and how it stands"),
    verb::<doctor::Args>("doctor", &[], "Find what is wrong, and mend it"),
    verb::<config::Args>("config", &[], "Show and change settings"),
    verb::<store::Args>("store", &[], "Give stores names"),
    verb::<completions::Args>("completions", &[], "Print the completion script of a shell"),
    verb::<demo::Args>(
        "demo",
        &[],
        "Show all this on a store that is made for it and removed again",
    ),
    #[cfg(target_os = "linux")]
    hidden::<agent::Args>(AGENT_VERB, "Hold keys and work with them"),
    hidden::<clipboard_hold::Args>(
        clipboard::HOLD_VERB,
        "Hold the clipboard for a while, then clear it",
    ),
    hidden::<exec_member::Args>(
        process::MEMBER_VERB,
        "Become the program of an exec that stays, or lead its session",
    ),
    hidden::<exec_member::SweepArgs>(
        process::SWEEP_VERB,
        "Wipe the files of an exec that was killed",
    ),
];

const fn verb<A: Run>(
    name: &'static str,
    aliases: &'static [&'static str],
    about: &'static str,
) -> Verb {
    Verb {
        name,
        aliases,
        about,
        args: augment::<A>,
        run: run_verb::<A>,
        hidden: false,
    }
}

/// A command that only this program itself calls.
const fn hidden<A: Run>(name: &'static str, about: &'static str) -> Verb {
    Verb {
        hidden: true,
        ..verb::<A>(name, &[], about)
    }
}

/// Adds a command's arguments; what stands over `Args` is for readers of the code, the line in the list is for people.
fn augment<A: Run>(command: Command) -> Command {
    let about = command.get_about().cloned().unwrap_or_default();
    A::augment_args(command).about(about).long_about(None)
}

fn run_verb<A: Run>(matches: &ArgMatches, cx: &mut Context) -> Outcome {
    A::from_arg_matches(matches)
        .map_err(|error| Failure::usage(error.to_string()))?
        .run(cx)
}

/// A longer word than any option's name is not taken for a mistyped one.
const OPTION_MAX_CHARS: usize = 20;

/// Exit code for wrong usage.
const USAGE: u8 = 2;

/// Runs one command line.
pub fn run(env: Env, args: &[OsString]) -> ExitCode {
    let ui = Ui::new(&env);
    mem::hush_panics();
    let limits = match mem::harden() {
        Ok(limits) if !mem::is_setuid() => limits,
        Ok(_) => {
            return ui.fail(&Failure::failed(
                "it does not run with another user's rights (set-uid)",
            ));
        }
        Err(error) => {
            return ui.fail(&Failure::failed(format!(
                "cannot switch core dumps off: {error}"
            )));
        }
    };
    completions::answer(grammar);
    let args = &called_as(args);
    let args = &asked_for_help(args);
    let matches = match parse(args) {
        Ok(matches) => matches,
        Err(error) => return usage(&error, args, &ui),
    };
    let store = matches.get_one::<String>("store").cloned();
    let mut cx = Context::new(env, ui, limits, store);
    let outcome = dispatch(&matches, &mut cx);
    match outcome.and_then(|code| cx.ui.finish().map(|()| code)) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => cx.ui.fail(&failure),
    }
}

/// Takes a command line apart. Where a command stands first, a grammar of that one will do; only a mistake, or a question for
/// help, needs to know what else there is.
fn parse(args: &[OsString]) -> clap::error::Result<ArgMatches> {
    let first = args.get(1);
    let verb = first.and_then(|word| VERBS.iter().find(|verb| verb.is_called(word)));
    let parse = |verbs| {
        // Taking it apart would cost a hundredth of a look-up; it goes with the process.
        let mut grammar = ManuallyDrop::new(grammar_of(verbs));
        grammar.try_get_matches_from_mut(args.iter())
    };
    verb.and_then(|verb| parse(std::slice::from_ref(verb)).ok())
        .map_or_else(|| parse(VERBS), Ok)
}

/// Under another program's name for it, it is the command that this name stands for.
fn called_as(args: &[OsString]) -> Cow<'_, [OsString]> {
    let name = args.first().map(Path::new).and_then(Path::file_name);
    let known = NAMES
        .iter()
        .find(|(known, _)| name.is_some_and(|name| name == *known));
    match (known, args) {
        (Some((_, words)), [program, rest @ ..]) => {
            let words = words.iter().map(OsString::from);
            let words = std::iter::once(program.clone()).chain(words);
            Cow::Owned(words.chain(rest.iter().cloned()).collect())
        }
        _ => Cow::Borrowed(args),
    }
}

/// `vault help VERB` is `vault VERB --help`, as people of git write it.
fn asked_for_help(args: &[OsString]) -> Cow<'_, [OsString]> {
    match args {
        [program, help, words @ ..] if help == "help" => {
            let program = std::slice::from_ref(program);
            Cow::Owned([program, words, &["--help".into()]].concat())
        }
        _ => Cow::Borrowed(args),
    }
}

fn dispatch(matches: &ArgMatches, cx: &mut Context) -> Outcome {
    match matches.subcommand() {
        None => ls::Args::default().run(cx),
        Some((name, matches)) => {
            let verb = VERBS.iter().find(|verb| verb.name == name);
            cx.purpose = verb.map_or("show", |verb| verb.name);
            match verb {
                Some(verb) => (verb.run)(matches, cx),
                None => show::bare(name, matches, cx),
            }
        }
    }
}

/// The whole grammar.
pub fn grammar() -> Command {
    grammar_of(VERBS)
}

/// The grammar of some commands. A command's own part is built only when it is the one that was called.
fn grammar_of(verbs: &'static [Verb]) -> Command {
    let store = clap::Arg::new("store")
        .long("store")
        .short('S')
        .value_name("NAME|PATH")
        .global(true)
        .add(complete::stores())
        .help("Use this store: a name from the configuration, or a folder");
    let root = Command::new("vault")
        .version(env!("CARGO_PKG_VERSION"))
        .about(
            "A vault for API tokens: one age-encrypted file each, with scopes and an expiry date",
        )
        .after_help(AFTER_HELP)
        .arg(store)
        .add(complete::bare())
        .allow_external_subcommands(true)
        .external_subcommand_value_parser(clap::value_parser!(OsString))
        .disable_help_subcommand(true);
    verbs.iter().fold(root, |root, verb| {
        let command = Command::new(verb.name)
            .about(verb.about)
            .hide(verb.hidden)
            .visible_aliases(verb.aliases);
        root.subcommand(command.defer(verb.args))
    })
}

const AFTER_HELP: &str = "`vault` alone lists the entries, `vault NAME` shows one.

Exit codes: 0 done; 1 failed; 2 usage; 3 no such entry; 4 locked or no key fits; 5 refused for integrity; 6 expired.
`exec` has the program's own code, or 125 if vault refused, 126 if it cannot be run, 127 if it is not found.";

/// What clap has to say: help and version are answers, everything else is wrong usage. `exec` answers wrong usage with
/// 125, as a program of its kind does.
fn usage(error: &clap::Error, args: &[OsString], ui: &Ui) -> ExitCode {
    match secret_argument(error) {
        Some(failure) => drop(ui.fail(&failure)),
        None => drop(error.print()),
    }
    if error.use_stderr() {
        let is_exec = verb_of(args).is_some_and(exec::is_called);
        ExitCode::from(if is_exec { exec::REFUSED } else { USAGE })
    } else {
        ExitCode::SUCCESS
    }
}

/// A word too many may be a secret, pasted where none is taken: it is refused without being shown once more.
fn secret_argument(error: &clap::Error) -> Option<Failure> {
    if !matches!(
        error.kind(),
        ErrorKind::UnknownArgument | ErrorKind::ValueValidation
    ) {
        return None;
    }
    let word = match (
        error.get(ContextKind::InvalidValue),
        error.get(ContextKind::InvalidArg),
    ) {
        (Some(ContextValue::String(value)), _) => value,
        (None, Some(ContextValue::String(argument))) => argument,
        _ => return None,
    };
    if word.starts_with("--") && word.len() <= OPTION_MAX_CHARS || word.is_empty() {
        return None;
    }
    let text = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) if argument != word => {
            format!(
                "what is given for {argument} is not understood, and not shown: it may be a secret"
            )
        }
        _ => "there is an argument too many; it is not shown, it may be a secret".to_owned(),
    };
    Some(
        Failure::usage(text)
            .hint("a secret comes from a prompt, from stdin or from a file, never from an argument")
            .hint(
                "if it was one, take it out of the shell's history; --help says what is expected",
            ),
    )
}

/// The command that a line calls, which need not be understood otherwise: the first word that is no option of the root's.
fn verb_of(args: &[OsString]) -> Option<&OsStr> {
    let mut words = args.iter().skip(1);
    while let Some(word) = words.next() {
        if word == "--store" || word == "-S" {
            words.next();
        } else if !word.as_encoded_bytes().starts_with(b"-") {
            return Some(word);
        }
    }
    None
}
