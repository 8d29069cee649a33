//! The rules of the house, as tests.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::transcript::repository;

/// The most lines of a file under `src/`, tests included.
const LINES_MAX: usize = 600;
/// The most lines of `src/main.rs`.
const MAIN_LINES_MAX: usize = 20;

/// Every file below a folder of the repository with this ending, by its path below the repository, with its text.
fn texts(folder: &str, ending: &str) -> BTreeMap<String, String> {
    let walk = walkdir::WalkDir::new(repository().join(folder)).into_iter();
    let files = walk
        .map(Result::unwrap)
        .filter(|item| item.file_type().is_file());
    files
        .filter(|item| item.path().to_string_lossy().ends_with(ending))
        .map(|item| {
            let path = item
                .path()
                .strip_prefix(repository())
                .unwrap()
                .to_string_lossy()
                .into_owned();
            (path, fs::read_to_string(item.path()).unwrap())
        })
        .collect()
}

/// Every text file that git knows, by its path.
fn tracked() -> BTreeMap<String, String> {
    let git = std::process::Command::new(crate::world::tool("git"))
        .arg("ls-files")
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(git.status.success(), "git ls-files");
    let paths = String::from_utf8(git.stdout).unwrap();
    let read = |path: &str| {
        Some((
            path.to_owned(),
            fs::read_to_string(repository().join(path)).ok()?,
        ))
    };
    paths.lines().filter_map(read).collect()
}

fn fine(wrong: &[String], rule: &str) {
    assert!(wrong.is_empty(), "{rule}:\n{}", wrong.join("\n"));
}

#[test]
fn imports_go_downward() {
    let library = fs::read_to_string(repository().join("src/lib.rs")).unwrap();
    let layers: Vec<String> = library
        .lines()
        .filter_map(|line| {
            Some(
                line.strip_prefix("pub mod ")?
                    .trim_end_matches(';')
                    .to_owned(),
            )
        })
        .collect();
    assert!(layers.len() > 8, "{layers:?}");
    let mut wrong = Vec::new();
    for (path, text) in texts("src", ".rs") {
        let below = path.strip_prefix("src/").unwrap();
        let module = below.split(['/', '.']).next().unwrap();
        let Some(own) = layers.iter().position(|layer| layer == module) else {
            assert!(["lib", "main"].contains(&module), "{path} is in no layer");
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            for used in line.split("crate::").skip(1) {
                let used = used
                    .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .next()
                    .unwrap();
                if layers
                    .iter()
                    .position(|layer| layer == used)
                    .is_some_and(|layer| layer > own)
                {
                    wrong.push(format!("{path}:{}: {module} names {used}", number + 1));
                }
            }
        }
    }
    fine(
        &wrong,
        "a module uses those above it in src/lib.rs, and none below",
    );
}

#[test]
fn absences_hold() {
    let homes: [(&str, &[&str]); 4] = [
        ("use age::", &["src/crypto/"]),
        ("use clap::", &["src/cli/"]),
        ("eprintln!", &["src/cli/ui.rs"]),
        (
            "std::process::Command",
            &["src/sys/process.rs", "src/git/run.rs", "src/git/user.rs"],
        ),
    ];
    let mut wrong = Vec::new();
    for (path, text) in texts("src", ".rs") {
        for (number, line) in shipped(&path, &text) {
            let is_note = line.trim_start().starts_with("//");
            for (word, allowed) in homes {
                if !is_note
                    && line.contains(word)
                    && !allowed.iter().any(|home| path.starts_with(home))
                {
                    wrong.push(format!(
                        "{path}:{number}: {word} outside {}",
                        allowed.join(", ")
                    ));
                }
            }
        }
    }
    fine(&wrong, "each thing has one home");
}

/// The lines of a file that ship, numbered: not its tests.
fn shipped<'t>(path: &str, text: &'t str) -> Vec<(usize, &'t str)> {
    if path.ends_with("/tests.rs") || path.ends_with("/testing.rs") {
        return Vec::new();
    }
    let lines = text
        .lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line));
    lines
        .take_while(|(_, line)| !line.ends_with("mod tests {"))
        .collect()
}

#[test]
fn files_are_short() {
    let mut wrong = Vec::new();
    for (path, text) in texts("src", ".rs") {
        let count = text.lines().count();
        let most = if path == "src/main.rs" {
            MAIN_LINES_MAX
        } else {
            LINES_MAX
        };
        if count > most {
            wrong.push(format!("{path}: {count} lines"));
        }
    }
    fine(&wrong, "a file has at most 600 lines, main.rs at most 20");
}

#[test]
fn nothing_panics_on_purpose_and_nothing_is_left_to_do() {
    let words = [
        ".unwrap()",
        ".expect(",
        "todo!",
        "unimplemented!",
        "unreachable!",
        "panic!(",
        "dbg!",
        "FIXME",
        "// XXX",
        "TODO",
    ];
    let mut wrong = Vec::new();
    for (path, text) in texts("src", ".rs") {
        for (number, line) in shipped(&path, &text) {
            if words.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{path}:{number}: {}", line.trim()));
            }
        }
    }
    fine(&wrong, "an invariant is a type or an error");
}

#[test]
fn every_file_says_what_it_is() {
    let wrong: Vec<_> = texts("src", ".rs")
        .into_iter()
        .filter(|(path, text)| !path.ends_with("/tests.rs") && !text.starts_with("//! "))
        .map(|(path, _)| path)
        .collect();
    fine(&wrong, "a file begins with what lives in it");
}

/// The commands that a person may call, by their names.
fn commands() -> BTreeSet<String> {
    let grammar = agevault::cli::grammar();
    let shown = grammar
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    shown.map(|command| command.get_name().to_owned()).collect()
}

#[test]
fn every_command_has_a_man_page() {
    let missing = commands()
        .into_iter()
        .map(|name| format!("man/vault-{name}.1"));
    let missing: Vec<_> = missing
        .chain(["man/vault.1".to_owned()])
        .filter(|path| !repository().join(path).is_file())
        .collect();
    fine(&missing, "a man page is missing");
}

#[test]
fn every_command_has_a_transcript() {
    let transcripts = texts("tests/transcripts", ".txt");
    let missing: Vec<_> = commands()
        .into_iter()
        .filter(|name| !transcripts.contains_key(&format!("tests/transcripts/{name}.txt")))
        .collect();
    fine(&missing, "tests/transcripts has no file for");
}

/// The identifiers of promises in a text: a letter, a dash, three digits.
fn promises(text: &str, letter: char) -> BTreeSet<String> {
    let mark = format!("{letter}-");
    let starts = text.match_indices(&mark).map(|(at, _)| &text[at..]);
    starts
        .filter(|rest| rest.len() >= 5 && rest[2..5].bytes().all(|byte| byte.is_ascii_digit()))
        .map(|rest| rest[..5].to_owned())
        .collect()
}

#[test]
fn every_promise_to_readers_has_a_vector_and_no_vector_cites_another() {
    let promised = promises(
        &fs::read_to_string(repository().join("store-format/README.md")).unwrap(),
        'F',
    );
    assert!(promised.len() > 20);
    let folder: PathBuf = repository().join("store-format/vectors");
    assert!(folder.is_dir(), "store-format/vectors is missing");
    let cases = texts("store-format/vectors", "case.toml");
    let cited: BTreeSet<_> = cases
        .values()
        .flat_map(|text| promises(text, 'F'))
        .collect();
    let missing: Vec<_> = promised.difference(&cited).cloned().collect();
    fine(&missing, "no vector shows");
    let gone: Vec<_> = cited.difference(&promised).cloned().collect();
    fine(&gone, "a vector cites what the specification does not have");
}

#[test]
fn every_promise_of_writers_is_cited_by_a_test() {
    let promised = promises(
        &fs::read_to_string(repository().join("store-format/README.md")).unwrap(),
        'W',
    );
    assert!(promised.len() > 5);
    let mut tests = texts("tests/it", ".rs");
    tests.remove("tests/it/tidy.rs");
    let cited: BTreeSet<_> = tests
        .values()
        .flat_map(|text| promises(text, 'W'))
        .collect();
    let missing: Vec<_> = promised.difference(&cited).cloned().collect();
    fine(&missing, "no test cites");
    let gone: Vec<_> = cited.difference(&promised).cloned().collect();
    fine(&gone, "a test cites what the specification does not have");
}

#[test]
fn code_cites_promises_that_exist() {
    let promised = fs::read_to_string(repository().join("store-format/README.md")).unwrap();
    let mut wrong = Vec::new();
    for (path, text) in texts("src", ".rs") {
        for letter in ['F', 'W'] {
            let cited = promises(&text, letter);
            wrong.extend(
                cited
                    .difference(&promises(&promised, letter))
                    .map(|promise| format!("{path}: {promise}")),
            );
        }
    }
    fine(&wrong, "the specification does not have");
}

#[test]
fn nothing_names_a_machine_or_a_registry() {
    // Written in two parts, so that this file does not name them.
    let words: Vec<String> = [
        ("/ro", "ot/"),
        ("/wo", "rk/"),
        ("crates", ".io/api"),
        ("static.crates", ".io"),
        ("index.crates", ".io"),
        ("registry.npmjs", ".org"),
        ("pypi", ".org"),
    ]
    .into_iter()
    .map(|(one, two)| format!("{one}{two}"))
    .collect();
    let mut wrong = Vec::new();
    for (path, text) in tracked() {
        if path.ends_with("Cargo.lock") || path.starts_with("store-format/vectors/") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let has = |word: &String| {
                line.match_indices(word.as_str()).any(|(at, _)| {
                    !line[..at].ends_with(|c: char| {
                        c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '}' | '"' | '/')
                    })
                })
            };
            if words.iter().any(has) {
                wrong.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    fine(&wrong, "the project speaks of itself alone");
}
