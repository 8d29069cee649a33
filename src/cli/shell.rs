//! `vault shell`: a shell that has the secrets, until it ends. vault is replaced by it.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::exec::REFUSED;
use crate::cli::exec::Selection;
use crate::cli::exec::start;
use crate::cli::failure::Failure;
use crate::sys::fs;

/// The variable that tells a program, and a prompt of the user's own, that the secrets are there.
const MARK: &str = "AGEVAULT_SHELL";
/// The variable by which zsh finds its files, and under which name the user's own value is kept meanwhile.
const ZDOTDIR: &str = "ZDOTDIR";
const USER_ZDOTDIR: &str = "AGEVAULT_ZDOTDIR";
/// The folder of the local state with the files that shells read. There is no secret in them.
const FOLDER: &str = "shell";
/// What bash reads instead of its own file.
const BASH: &str = include_str!("shell/bash.sh");
/// What zsh reads before its own files.
const ZSH: &str = include_str!("shell/zshenv.zsh");
/// What fish runs after its own files.
const FISH: &str = include_str!("shell/mark.fish");
/// The function file for direnv.
const DIRENV: &str = include_str!("shell/direnv.sh");

/// Arguments of `shell`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The shell is $SHELL, with your own start-up files, and the prompt of bash, zsh, fish and sh begins with (vault). In any other
AGEVAULT_SHELL is set. What it gets is chosen as for `vault exec`; it has it until it ends, and so has all that is started in it.

For direnv --direnv-lib prints the function `use vault`. A folder's .envrc then says `use vault`, with a selection behind it or
not; if vault refuses, nothing of the .envrc counts.

Examples:
  vault shell
  vault shell -e github/ci
  vault shell --direnv-lib > ~/.config/direnv/lib/vault.sh")]
pub(crate) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Print the file that gives direnv `use vault`, and start nothing
    #[arg(long)]
    direnv_lib: bool,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        if self.direnv_lib {
            cx.ui.line(DIRENV.trim_end());
            return Ok(0);
        }
        let refused = |failure: Failure| failure.with_code(REFUSED);
        if cx.env.var_os(MARK).is_some() {
            cx.ui
                .say("this is a shell with secrets already; the new one has both");
        }
        let plan = self.selection.plan(cx, Vec::new()).map_err(refused)?;
        self.selection.tell(cx, &plan);
        let shell = cx.env.var_os("SHELL").unwrap_or(OsStr::new("/bin/sh"));
        let shell = shell.to_owned();
        let command = dress(cx, &shell).map_err(refused)?;
        start(cx, &self.selection, &plan, &command)
    }
}

/// The command line of a shell with its prompt marked; the variables that it takes are added to the environment.
fn dress(cx: &mut Context, shell: &OsStr) -> Result<Vec<OsString>, Failure> {
    let name = Path::new(shell).file_name().unwrap_or_default();
    let mut command = vec![shell.to_owned()];
    set(cx, MARK, OsString::from("1"));
    match name.to_str() {
        Some("bash") => {
            let file = keep(cx, "bashrc", BASH)?;
            command.extend(["--rcfile".into(), file]);
        }
        Some("zsh") => {
            keep(cx, "zsh/.zshenv", ZSH)?;
            if let Some(own) = cx.env.var_os(ZDOTDIR).map(OsStr::to_owned) {
                set(cx, USER_ZDOTDIR, own);
            }
            let folder = cx.env.places.state.join(FOLDER).join("zsh");
            set(cx, ZDOTDIR, folder.into());
        }
        Some("fish") => command.extend(["--init-command".into(), FISH.into()]),
        Some("sh" | "dash" | "ash" | "ksh" | "mksh") => {
            let mut prompt = OsString::from("(vault) ");
            prompt.push(cx.env.var_os("PS1").unwrap_or(OsStr::new("$ ")));
            set(cx, "PS1", prompt);
        }
        _ => {}
    }
    Ok(command)
}

fn set(cx: &mut Context, variable: &str, value: OsString) {
    let vars = &mut Arc::make_mut(&mut cx.env).vars;
    vars.retain(|(key, _)| key != variable);
    vars.push((variable.into(), value));
}

/// Keeps a file for a shell in the local state; where it is.
fn keep(cx: &Context, file: &str, text: &str) -> Result<OsString, Failure> {
    let folder = cx.env.places.state.join(FOLDER);
    let dir = fs::make_private(&folder)?;
    let below = Path::new(file);
    if dir.read(below, text.len() as u64).ok().flatten().as_deref() != Some(text.as_bytes()) {
        dir.replace(below, text.as_bytes())?;
    }
    Ok(folder.join(below).into())
}
