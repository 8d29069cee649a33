//! `vault demo`: the main job, on a store that is made for it and removed again.
//!
//! Every step runs this very program, as a person would, with its home in a temporary folder; nothing of the user's is read or
//! written. A step that does not end as it should ends the demo, with exit code 1.

use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::exec;
use crate::cli::failure;
use crate::cli::failure::Failure;
use crate::cli::ui::Style;
use crate::sys::fs::Dir;
use crate::sys::path;
use crate::sys::path::TempFolder;
use crate::sys::process;
use crate::sys::process::Variable;
use crate::sys::signal::Held;

/// The exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;
/// Where the demo's store lies below its home.
const STORE: &str = ".local/share/agevault/store";
/// Most bytes of the file that is tampered with.
const ENTRY_MAX_BYTES: u64 = 1 << 16;

/// Arguments of `demo`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Makes a store with throw-away keys in a temporary folder, adds two tokens with scopes and expiry, looks one up, runs a script with
one, shows what an expired token and a tampered file get, and removes it all. Your own stores are not touched.

Exit code: 0 if every step did what it should.

Examples:
  vault demo")]
pub(crate) struct Args {}

/// One step: a line for a person, the words and the input of the command, and how it must end.
struct Step {
    talk: &'static str,
    words: &'static [&'static str],
    input: &'static str,
    /// What must be among what it prints; and its exit code.
    says: &'static str,
    code: u8,
}

const INIT: Step = Step {
    talk: "a store, for a machine: no passphrase, no recovery key",
    words: &[
        "init",
        "--no-passphrase",
        "--no-recovery",
        "--member",
        "demo",
    ],
    input: "",
    says: "made the store",
    code: 0,
};

const INIT_WITHOUT_GIT: Step = Step {
    words: &[
        "init",
        "--no-passphrase",
        "--no-recovery",
        "--member",
        "demo",
        "--no-git",
    ],
    ..INIT
};

/// What comes before the tampering.
const STEPS: [Step; 8] = [
    Step {
        talk: "a token with scopes, good for 90 days; it comes in on stdin, never as an argument",
        words: &[
            "add",
            "github/ci",
            "--provider",
            "github",
            "--scope",
            "repo",
            "--scope",
            "read:org",
            "--expires",
            "90d",
            "--env",
            "GITHUB_TOKEN",
        ],
        input: "demo-token-for-github",
        says: "added \"github/ci\"",
        code: 0,
    },
    Step {
        talk: "a token that expired long ago",
        words: &[
            "add",
            "npm/publish",
            "--provider",
            "npm",
            "--scope",
            "publish",
            "--expires",
            "2020-01-01",
            "--env",
            "NPM_TOKEN",
        ],
        input: "demo-token-for-npm",
        says: "added \"npm/publish\"",
        code: 0,
    },
    Step {
        talk: "what there is",
        words: &["ls"],
        input: "",
        says: "publish",
        code: 0,
    },
    Step {
        talk: "what is known of one, the secret masked",
        words: &["show", "github/ci"],
        input: "",
        says: "repo, read:org",
        code: 0,
    },
    Step {
        talk: "one looked up by name: its exact bytes",
        words: &["get", "github/ci"],
        input: "",
        says: "demo-token-for-github",
        code: 0,
    },
    Step {
        talk: "a script that needs a token gets it in its environment",
        words: &[
            "exec",
            "-e",
            "github/ci",
            "--",
            "sh",
            "-c",
            "echo \"the script has a token of ${#GITHUB_TOKEN} characters\"",
        ],
        input: "",
        says: "a token of 21 characters",
        code: 0,
    },
    Step {
        talk: "an expired token is not given out",
        words: &["get", "npm/publish"],
        input: "",
        says: "expired",
        code: failure::EXPIRED,
    },
    Step {
        talk: "nor handed to a script, which is not even started",
        words: &["exec", "--", "sh", "-c", "echo never"],
        input: "",
        says: "expired",
        code: exec::REFUSED,
    },
];

const TAMPERED: Step = Step {
    talk: "one bit of a file flipped: nothing is given out",
    words: &["get", "github/ci"],
    input: "",
    says: "is refused",
    code: failure::REFUSED,
};

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let failed = |what: &str, error: std::io::Error| {
            Failure::failed(format!("the demo cannot {what}: {error}"))
        };
        // Ctrl-C ends the step that runs; what was made is removed all the same.
        let held = Held::new().map_err(|error| failed("hold signals", error))?;
        let parent = cx.env.var_os("TMPDIR").map_or("/tmp".into(), PathBuf::from);
        let home = TempFolder::create(&parent, "agevault-demo-")
            .map_err(|error| failed("make a folder", error))?;
        let outcome = play(cx, home.path(), &held);
        let path = home.path().to_owned();
        home.close()
            .map_err(|error| failed(&format!("remove {}", path.display()), error))?;
        if held.is_caught() {
            return Err(Failure::new(INTERRUPTED, "interrupted, and removed again"));
        }
        outcome?;
        tell(cx, "everything is removed again", "")?;
        Ok(0)
    }
}

/// Plays all steps.
fn play(cx: &mut Context, home: &Path, held: &Held) -> Result<(), Failure> {
    let search = cx.env.var_os("PATH").unwrap_or_default();
    let has_git = !path::programs("git", search).is_empty();
    if !has_git {
        cx.ui
            .say("git is not installed, so this store will have no history");
    }
    step(
        cx,
        home,
        held,
        if has_git { &INIT } else { &INIT_WITHOUT_GIT },
    )?;
    for one in &STEPS {
        step(cx, home, held, one)?;
    }
    tamper(&home.join(STORE))?;
    step(cx, home, held, &TAMPERED)
}

/// Shows a command line, runs it, shows what it printed, and holds its exit code against what it must be.
fn step(cx: &mut Context, home: &Path, held: &Held, step: &Step) -> Result<(), Failure> {
    if held.is_caught() {
        return Err(Failure::new(INTERRUPTED, "interrupted"));
    }
    tell(cx, step.talk, &typed(step))?;
    let folders = [
        ("HOME", ""),
        ("XDG_CONFIG_HOME", ".config"),
        ("XDG_DATA_HOME", ".local/share"),
        ("XDG_STATE_HOME", ".local/state"),
    ];
    let folders = folders.map(|(name, folder)| (name, home.join(folder)));
    let own = folders
        .iter()
        .map(|(name, folder)| (OsStr::new(name), folder.as_os_str()));
    let mut variables: Vec<Variable<'_>> = own.collect();
    let kept = ["PATH", "LANG", "LC_ALL", "TMPDIR"].map(OsStr::new);
    let kept = kept.into_iter().filter_map(|name| {
        let value = cx.env.var_os(name.to_str()?)?;
        Some((name, value))
    });
    variables.extend(kept);
    variables.push((OsStr::new("AGEVAULT_NON_INTERACTIVE"), OsStr::new("1")));
    let words: Vec<&OsStr> = step.words.iter().map(OsStr::new).collect();
    let ended = process::run_myself(&words, &variables, home, step.input.as_bytes())
        .map_err(|error| Failure::failed(format!("this program cannot be started: {error}")))?;
    for line in ended.printed.replace(&*home.to_string_lossy(), "~").lines() {
        let line = cx.ui.paint(line, Style::Plain).into_owned();
        cx.ui.line(&line);
    }
    if step.code != 0 {
        let line = format!("(exit code {})", ended.code);
        let line = cx.ui.paint(&line, Style::Dim).into_owned();
        cx.ui.line(&line);
    }
    cx.ui.finish()?;
    if held.is_caught() {
        return Err(Failure::new(INTERRUPTED, "interrupted"));
    }
    if !ended.printed.contains(step.says) {
        let text = format!("this step did not say \"{}\"", step.says);
        return Err(Failure::failed(text));
    }
    if ended.code != i32::from(step.code) {
        let text = format!(
            "this step ended with {} instead of {}",
            ended.code, step.code
        );
        return Err(Failure::failed(text));
    }
    Ok(())
}

/// A sentence, and a command line below it.
fn tell(cx: &mut Context, talk: &str, command: &str) -> Result<(), Failure> {
    cx.ui.line("");
    let talk = cx.ui.paint(&format!("# {talk}"), Style::Dim).into_owned();
    cx.ui.line(&talk);
    if !command.is_empty() {
        let command = cx
            .ui
            .paint(&format!("$ {command}"), Style::Bold)
            .into_owned();
        cx.ui.line(&command);
    }
    cx.ui.finish()
}

/// The command line as a person types it.
fn typed(step: &Step) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_:.,=".contains(c);
    let quote = |word: &&str| {
        if word.chars().all(is_plain) {
            (*word).to_owned()
        } else {
            format!("'{word}'")
        }
    };
    let words: Vec<String> = step.words.iter().map(quote).collect();
    let line = format!("vault {}", words.join(" "));
    if step.input.is_empty() {
        line
    } else {
        format!("printf %s {} | {line}", step.input)
    }
}

/// Flips one bit in the middle of an entry's file.
fn tamper(store: &Path) -> Result<(), Failure> {
    let file = Path::new("github/ci.age");
    let dir = Dir::open(store)?;
    let mut bytes = dir.read(file, ENTRY_MAX_BYTES)?.unwrap_or_default();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    Ok(dir.replace(file, &bytes)?)
}
