//! `vault completions`: the script by which a shell asks this program what may stand at a place of the command line.
//!
//! Lives here: how a shell asks, and how it is answered. Never here: the candidates; those are in `complete`. A script runs the
//! program with `VARIABLE` set, and after `--` the number of the word that is wanted and the words.

use std::ffi::OsString;
use std::io;
use std::io::Write;
use std::path::Path;

use clap_complete::CompleteEnv;
use clap_complete::env::EnvCompleter;
use clap_complete::env::Shells;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::sys::tty::sanitize;

/// The variable that asks for candidates. A name of our own: `COMPLETE` may be set for another program.
const VARIABLE: &str = "AGEVAULT_COMPLETE";
/// The name that is never another program's.
const OWN_NAME: &str = "agevault";

/// Arguments of `completions`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Commands, flags, entry names, named stores, and the scopes, tags, providers and profiles in use are completed, while the store is
locked too. The script is for the name by which vault was called, and for `agevault`.

  bash: source <(vault completions bash)        in ~/.bashrc
  zsh:  source <(vault completions zsh)         in ~/.zshrc, after compinit
  fish: vault completions fish | source         in ~/.config/fish/config.fish

Examples:
  vault completions bash
  vault completions zsh
  vault completions fish")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

/// A shell that can ask.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let (name, program) = called(&cx.env.cwd);
        let mut script = Vec::new();
        let mut write = |name: &str, program: &str| {
            self.shell
                .write_registration(VARIABLE, &identifier(name), name, program, &mut script)
        };
        let own = (name != OWN_NAME).then(|| write(OWN_NAME, OWN_NAME));
        own.unwrap_or(Ok(()))
            .and_then(|()| write(&name, &program))
            .map_err(|error| Failure::failed(error.to_string()))?;
        cx.ui.line(String::from_utf8_lossy(&script).trim_end());
        Ok(0)
    }
}

/// Answers a shell that asks, and ends then. Costs one look at the environment otherwise.
pub(super) fn answer(grammar: fn() -> clap::Command) {
    let shells: [&dyn EnvCompleter; 3] = [&Shell::Bash, &Shell::Zsh, &Shell::Fish];
    let env = CompleteEnv::with_factory(grammar).var(VARIABLE);
    env.shells(Shells(&shells)).complete();
}

/// The name by which this program was called, and how to call it again: by the name, or by the path if one was given.
fn called(cwd: &Path) -> (String, String) {
    let path = std::env::args_os().next().unwrap_or_default();
    let path = Path::new(&path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let program = if path.components().count() > 1 {
        cwd.join(path).to_string_lossy().into_owned()
    } else {
        name.clone().into_owned()
    };
    (name.into_owned(), program)
}

/// A name for the script's function.
fn identifier(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    name.chars().map(plain).collect()
}

/// A word for a POSIX shell, bash, zsh or fish.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.' | '+');
    if word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\\', "\\\\").replace('\'', "'\\''"))
}

impl EnvCompleter for Shell {
    fn name(&self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }
    }

    fn is(&self, name: &str) -> bool {
        name == self.name()
    }

    fn write_registration(
        &self,
        var: &str,
        name: &str,
        bin: &str,
        completer: &str,
        buf: &mut dyn Write,
    ) -> io::Result<()> {
        let script = match self {
            Self::Bash => BASH,
            Self::Zsh => ZSH,
            Self::Fish => FISH,
        };
        let script = script
            .replace("{var}", var)
            .replace("{id}", name)
            .replace("{bin}", &quoted(bin))
            .replace("{program}", &quoted(completer));
        buf.write_all(script.as_bytes())
    }

    /// The first of `args` is the number of the word that is wanted; the words follow.
    fn write_complete(
        &self,
        cmd: &mut clap::Command,
        args: Vec<OsString>,
        current_dir: Option<&Path>,
        buf: &mut dyn Write,
    ) -> io::Result<()> {
        let mut words = args.into_iter();
        let index = words.next().and_then(|index| index.to_str()?.parse().ok());
        let mut words: Vec<OsString> = words.collect();
        let index = index.unwrap_or(words.len().saturating_sub(1));
        if words.len() <= index {
            words.resize(index + 1, OsString::new());
        }
        let candidates = clap_complete::engine::complete(cmd, words, index, current_dir)?;
        // A hidden one is not told even where nothing else fits.
        for candidate in candidates.iter().filter(|one| !one.is_hide_set()) {
            let value = candidate.get_value().to_string_lossy();
            let help = candidate.get_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            let line = help.lines().next().unwrap_or_default();
            match self {
                Self::Bash => writeln!(buf, "{}", sanitize(&value))?,
                _ => writeln!(buf, "{}\t{line}", sanitize(&value))?,
            }
        }
        Ok(())
    }
}

/// bash parts words at ":" and "=": what stands together on the line is joined for the program, and the part that bash
/// leaves as it is goes off the answers again.
const BASH: &str = r#"
_complete_{id}() {
    local line=${COMP_LINE:0:COMP_POINT} rest word cur quote= prefix= i
    local -a words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        rest=${line#"${line%%[![:space:]]*}"}
        [[ $rest == "$word"* ]] || word=$rest
        if [[ $i -eq 0 || $rest != "$line" ]]; then
            words+=("$word")
        else
            words[${#words[@]}-1]+=$word
        fi
        line=${rest#"$word"}
    done
    for i in "${!words[@]}"; do
        case ${words[i]} in
            \'* | \"*) [[ $i -ne ${#words[@]}-1 ]] || quote=1; words[i]=${words[i]:1}; words[i]=${words[i]%[\'\"]} ;;
            *) words[i]=${words[i]//\\/} ;;
        esac
    done
    cur=${words[${#words[@]}-1]}
    if [[ -z $quote ]]; then
        prefix=${cur%"${cur##*[:=]}"}
        [[ $COMP_WORDBREAKS == *:* ]] || prefix=${cur%"${cur##*=}"}
        printf -v prefix %q "$prefix"
        [[ $prefix != "''" ]] || prefix=
    fi
    COMPREPLY=()
    while IFS= read -r line; do
        [[ -n $quote ]] || printf -v line %q "$line"
        COMPREPLY+=("${line#"$prefix"}")
    done < <({var}=bash {program} -- $((${#words[@]} - 1)) "${words[@]}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[/:=] ]]; then
        compopt -o nospace 2>/dev/null
    elif [[ ${#COMPREPLY[@]} -eq 0 && " ${words[*]} " == *" -- "* ]]; then
        compopt -o default -o bashdefault 2>/dev/null
    fi
}
complete -F _complete_{id} {bin}
"#;

/// For `source`, and for a file on `fpath` alike.
const ZSH: &str = r#"#compdef {bin}
_complete_{id}() {
    local -a open closed
    local line value
    for line in "${(@f)$({var}=zsh {program} -- $((CURRENT - 1)) "${(@Q)words}" 2>/dev/null)}"; do
        [[ -n $line ]] || continue
        value=${line%%$'\t'*}
        line=${value//:/\\:}:${line#*$'\t'}
        if [[ $value == *[/:=] ]]; then open+=("${line%:}"); else closed+=("${line%:}"); fi
    done
    if (( $#open + $#closed )); then
        (( $#open )) && _describe -V values open -S ''
        (( $#closed )) && _describe -V values closed
    elif (( ${words[(I)--]} && ${words[(I)--]} < CURRENT )); then
        _files
    fi
}
if [[ $funcstack[1] == _{bin} ]]; then _complete_{id} "$@"; else compdef _complete_{id} {bin}; fi
"#;

/// After `--` a program's own arguments stand: files.
const FISH: &str = r#"complete --command {bin} --no-files --keep-order --arguments "({var}=fish {program} -- last (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
complete --command {bin} --condition 'contains -- -- (commandline -opc)' --force-files
"#;
