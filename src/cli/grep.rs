//! `vault grep`: a search through what is encrypted, line by line.

use regex_lite::Regex;
use regex_lite::RegexBuilder;
use serde_json::Map;
use serde_json::Value;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::context::Target;
use crate::cli::failure::Failure;
use crate::cli::failure::NO_ENTRY;
use crate::cli::several;
use crate::cli::show::MASK;
use crate::cli::ui::Style;
use crate::cli::view;
use crate::format::Header;
use crate::format::Name;
use crate::secret::Secret;
use crate::store::Entry;
use crate::store::Error;
use crate::sys::fs;

/// From this many entries on, opening them is shared among the cores.
const PARALLEL_FROM: usize = 4;
/// So many entries are open at once: each may hold 64 MiB.
const CHUNK: usize = 64;

/// Arguments of `grep`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Each match is a line NAME:LINE. A line of the metadata is shown as it is; one of the secret is masked, unless --reveal shows it
(never that of an expired entry). Lines that are not text are passed over.

Examples:
  vault grep octocat
  vault grep -i -l 'read:.*org'
  vault grep -F --secret-only 'ghp_' --under github")]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Args {
    /// A regular expression
    #[arg(allow_hyphen_values = true)]
    pattern: String,
    /// Take the pattern as it is, not as an expression
    #[arg(short = 'F', long)]
    fixed_strings: bool,
    /// Do not tell upper from lower case
    #[arg(short, long)]
    ignore_case: bool,
    /// Print only the names of the entries
    #[arg(short = 'l', long)]
    names: bool,
    /// Search the secrets, not the metadata
    #[arg(long)]
    secret_only: bool,
    /// Only entries in this folder: FOLDER, or STORE:FOLDER
    #[arg(long, value_name = "FOLDER")]
    under: Option<String>,
    /// Show the lines of secrets
    #[arg(long)]
    reveal: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What matched in an entry.
struct Match {
    name: String,
    /// Lines of the metadata.
    header: Vec<String>,
    /// The numbers of the secret's lines, from 1, and the lines themselves if they are to be shown.
    secret: Vec<(usize, Option<Secret>)>,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let regex = self.regex()?;
        let (opened, names) = self.names(cx)?;
        let keys = cx.unlock(&opened)?;
        let mut list = Vec::new();
        let (mut is_found, mut is_refused) = (false, false);
        for names in names.chunks(CHUNK) {
            let searched = fs::parallel(names, PARALLEL_FROM, |name| {
                let entry = opened.store.entry(&keys, name)?;
                Ok::<_, Error>(self.search(cx, &regex, &entry))
            });
            for outcome in searched {
                match outcome {
                    Ok(None) => {}
                    Ok(Some(found)) if self.json => list.push(self.to_json(&found)),
                    Ok(Some(found)) => {
                        is_found = true;
                        self.print(cx, &found);
                    }
                    Err(error) => {
                        is_refused = true;
                        cx.ui.warn(&Failure::from(error).message);
                    }
                }
            }
        }
        if self.json {
            is_found = !list.is_empty();
            view::print_json(&mut cx.ui, &Value::Array(list));
        }
        if is_found {
            return Ok(0);
        }
        cx.ui.finish()?;
        let text = if is_refused {
            "nothing matches in the entries that could be opened"
        } else {
            "nothing matches"
        };
        Err(Failure::new(NO_ENTRY, text))
    }
}

impl Args {
    fn regex(&self) -> Result<Regex, Failure> {
        let pattern = if self.fixed_strings {
            regex_lite::escape(&self.pattern)
        } else {
            self.pattern.clone()
        };
        let built = RegexBuilder::new(&pattern)
            .case_insensitive(self.ignore_case)
            .build();
        built.map_err(|error| {
            Failure::usage(format!("the pattern is no regular expression: {error}"))
                .hint("-F takes it as it is")
        })
    }

    /// The store, and the entries that are searched.
    fn names(&self, cx: &Context) -> Result<(Opened, Vec<Name>), Failure> {
        let Some(text) = &self.under else {
            let opened = cx.open(None)?;
            let names = opened.store.names()?;
            return Ok((opened, names));
        };
        let target = Target::parse(text)?;
        let opened = cx.open(target.store.as_deref())?;
        let mut names = several::in_folder(&opened, target.name.as_str())?;
        if opened.store.has(&target.name)? {
            names.insert(0, target.name.clone());
        }
        if names.is_empty() {
            return Err(Context::no_entry(&opened.store, &target.name));
        }
        Ok((opened, names))
    }

    fn search(&self, cx: &Context, regex: &Regex, entry: &Entry) -> Option<Match> {
        let header = if self.secret_only {
            Vec::new()
        } else {
            matching_lines(&entry.header, regex)
        };
        let is_shown = self.reveal && !entry.header.is_expired(cx.env.now);
        let secret: Vec<_> = matching_secret(&entry.secret, regex)
            .map(|(number, line)| (number, is_shown.then(|| Secret::copy_of(line))))
            .collect();
        (!header.is_empty() || !secret.is_empty()).then(|| Match {
            name: entry.header.name.clone(),
            header,
            secret,
        })
    }

    fn print(&self, cx: &mut Context, found: &Match) {
        let name = cx.ui.paint(&found.name, Style::Bold).into_owned();
        if self.names {
            cx.ui.line(&name);
            return;
        }
        for line in &found.header {
            let line = cx.ui.paint(line, Style::Plain).into_owned();
            cx.ui.line(&format!("{name}:{line}"));
        }
        for (_, line) in &found.secret {
            let text = line
                .as_ref()
                .map_or(MASK.into(), |line| String::from_utf8_lossy(line.expose()));
            let text = cx.ui.paint(&text, Style::Plain).into_owned();
            cx.ui.line(&format!("{name}:{text}"));
        }
    }

    fn to_json(&self, found: &Match) -> Value {
        let mut object = Map::new();
        let mut set = |key: &str, value: Value| drop(object.insert(key.to_owned(), value));
        set("name", found.name.clone().into());
        set("header", found.header.clone().into());
        let numbers: Vec<usize> = found.secret.iter().map(|(number, _)| *number).collect();
        set("secret_lines", numbers.into());
        if self.reveal {
            let lines = found.secret.iter().filter_map(|(_, line)| line.as_ref());
            set("secret", lines.map(super::show::json_secret).collect());
        }
        Value::Object(object)
    }
}

/// The lines of a header that match, its name among them.
fn matching_lines(header: &Header, regex: &Regex) -> Vec<String> {
    let text = header.to_text();
    let lines = text.lines().filter(|line| !line.starts_with("format = "));
    lines
        .filter(|line| regex.is_match(line))
        .map(str::to_owned)
        .collect()
}

/// The lines of a secret that match, with their numbers from 1; without a copy of any.
fn matching_secret<'s>(
    secret: &'s Secret,
    regex: &'s Regex,
) -> impl Iterator<Item = (usize, &'s [u8])> {
    let lines = secret.as_line().split(|byte| *byte == b'\n');
    let numbered = lines.enumerate().map(|(at, line)| (at + 1, line));
    numbered.filter(|(_, line)| std::str::from_utf8(line).is_ok_and(|line| regex.is_match(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(pattern: &str, fixed_strings: bool, ignore_case: bool) -> Args {
        Args {
            pattern: pattern.to_owned(),
            fixed_strings,
            ignore_case,
            names: false,
            secret_only: false,
            under: None,
            reveal: false,
            json: false,
        }
    }

    fn lines(secret: &[u8], args: &Args) -> Vec<usize> {
        let regex = args.regex().unwrap();
        let secret = Secret::copy_of(secret);
        matching_secret(&secret, &regex)
            .map(|(number, _)| number)
            .collect()
    }

    #[test]
    fn secrets_match_line_by_line() {
        let secret = b"user=x\nPASS=a.c\n\xff\xfePASS\nabc";
        assert_eq!(lines(secret, &args("pass", false, true)), [2]);
        assert_eq!(lines(secret, &args("a.c", false, false)), [2, 4]);
        assert_eq!(lines(secret, &args("a.c", true, false)), [2]);
        assert_eq!(lines(secret, &args("^abc$", false, false)), [4]);
        assert_eq!(lines(b"a\n", &args("^$", false, false)), [0; 0]);
        assert!(args("(", false, false).regex().is_err());
    }

    #[test]
    fn header_lines_match_as_they_are_written() {
        let header = Header {
            name: "github/ci".into(),
            scopes: vec!["read:org".into()],
            ..Header::default()
        };
        let found =
            |pattern| matching_lines(&header, &args(pattern, false, false).regex().unwrap());
        assert_eq!(found("org"), ["scopes = [\"read:org\"]"]);
        assert_eq!(found("^name.*ci"), ["name = \"github/ci\""]);
    }
}
