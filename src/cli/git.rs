//! `vault git`: git in the store, tamed, for what vault has no command for.

use std::ffi::OsString;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::failure::FAILED;
use crate::cli::failure::Failure;
use crate::cli::failure::REFUSED;
use crate::store;

/// git commands that bring commits in, or make them out of others, without anything being verified.
const UNVERIFIED: [&str; 3] = ["pull", "merge", "rebase"];
/// git's own options before the command that take the next word as their value.
const WITH_VALUE: [&str; 9] = [
    "-c",
    "-C",
    "--git-dir",
    "--work-tree",
    "--namespace",
    "--exec-path",
    "--super-prefix",
    "--config-env",
    "--attr-source",
];

/// Arguments of `git`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
git runs in the store's folder, without hooks, filters and the caller's GIT_ variables. What it leaves behind is checked by the
next command: a commit made by hand has no seal and is not followed. pull, merge and rebase are refused: they would bring
in what nobody has verified.

The exit code is git's own.

Examples:
  vault git log --oneline
  vault git show --stat")]
pub(crate) struct Args {
    /// git's command and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGS"
    )]
    args: Vec<OsString>,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        if let Some(word) = command(&self.args).filter(|word| UNVERIFIED.contains(word)) {
            let text = format!("git {word} would bring in commits that nobody has verified");
            return Err(Failure::usage(text).hint("fetch, verify and merge with: vault sync"));
        }
        let opened = cx.open(None)?;
        let repo = opened
            .store
            .repo
            .as_ref()
            .ok_or(store::Error::NoRepository)?;
        let mut dangers = repo.dangerous_config().map_err(store::Error::from)?;
        for word in self.args.iter().filter_map(|word| word.to_str()) {
            if repo.names_planted(word).map_err(store::Error::from)? {
                dangers.push(format!("\"{word}\" is a repository inside the store"));
            }
        }
        if !dangers.is_empty() {
            let text = format!(
                "git is not started, the repository could make it run other programs: {}",
                dangers.join(", ")
            );
            return Err(Failure::new(REFUSED, text).hint("take it out by hand, then try again"));
        }
        let code = cx
            .git(opened.store.path())
            .passthrough(&self.args)
            .map_err(store::Error::from)?;
        // Whatever git did is looked at once, now that the person still knows what was typed.
        cx.settle(&opened.store);
        Ok(u8::try_from(code).unwrap_or(FAILED))
    }
}

/// The git command among git's arguments: the first word that is no option and no option's value.
fn command(args: &[OsString]) -> Option<&str> {
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let word = word.to_str()?;
        if WITH_VALUE.contains(&word) {
            words.next();
        } else if !word.starts_with('-') {
            return Some(word);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_found_behind_options() {
        for (line, found) in [
            ("pull", Some("pull")),
            ("-c x=pull log", Some("log")),
            ("--no-pager -C . pull --ff-only", Some("pull")),
            ("--git-dir=x merge y", Some("merge")),
            ("log --grep pull", Some("log")),
            ("--version", None),
        ] {
            let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(command(&args), found, "{line}");
        }
    }
}
