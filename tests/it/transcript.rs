//! Terminal sessions, kept as files and run as they are written.
//!
//! In `tests/transcripts/*.txt`, and in the console blocks of README.md:
//!
//! ```text
//! -- script.sh --              a file of the home, up to the next line of this kind or `-- end --`
//! $ vault get github/ci        a command, for `sh`; the lines after it are what it prints, stdout and stderr in order
//! ghp_...                      `...` in a line is any text; a line of nothing else is any number of lines
//! ? 3                          the exit code, where it is not 0
//! # a note
//! ```
//!
//! All commands of a file run in one fresh home, in their order. With `BLESS=1` the files are written anew; lines with
//! `...` stay as they are where they still match.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::world::VAULT;
use crate::world::World;

/// The folder of this repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a transcript shows for the home.
const HOME: &str = "/home/you";

/// One piece of a transcript.
#[derive(Debug)]
enum Piece {
    /// Lines that say nothing to the machine.
    Note(String),
    /// A file, and its content.
    File(String, String),
    /// A command, what it prints, and its exit code.
    Command(String, Vec<String>, i32),
}

fn parse(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let file = line
            .strip_prefix("-- ")
            .and_then(|line| line.strip_suffix(" --"));
        if let Some(command) = line.strip_prefix("$ ") {
            let mut command = command.to_owned();
            while command.ends_with('\\') {
                command.push('\n');
                command.push_str(lines.next().unwrap_or_default());
            }
            let (mut printed, mut code) = (Vec::new(), 0);
            while let Some(line) = lines.next_if(|line| !starts_piece(line)) {
                match line.strip_prefix("? ") {
                    Some(number) => code = number.trim().parse().expect("an exit code"),
                    None => printed.push(line.to_owned()),
                }
            }
            let blank = trim(&mut printed);
            pieces.push(Piece::Command(command, printed, code));
            pieces.extend((0..blank).map(|_| Piece::Note(String::new())));
        } else if let Some(name) = file.filter(|name| *name != "end") {
            let mut content = String::new();
            while let Some(line) =
                lines.next_if(|line| !(line.starts_with("-- ") && line.ends_with(" --")))
            {
                content.push_str(line);
                content.push('\n');
            }
            pieces.push(Piece::File(name.to_owned(), content));
        } else {
            pieces.push(Piece::Note(line.to_owned()));
        }
    }
    pieces
}

/// Takes blank lines off the end; how many there were.
fn trim(lines: &mut Vec<String>) -> usize {
    let count = lines
        .iter()
        .rev()
        .take_while(|line| line.is_empty())
        .count();
    lines.truncate(lines.len() - count);
    count
}

/// Whether a line ends what a command has printed.
fn starts_piece(line: &str) -> bool {
    line.starts_with("$ ")
        || line.starts_with("# ")
        || (line.starts_with("-- ") && line.ends_with(" --"))
}

/// Whether printed lines are as expected.
fn matches(expected: &[String], printed: &[&str]) -> bool {
    let Some((first, rest)) = expected.split_first() else {
        return printed.is_empty();
    };
    if first == "..." {
        return (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..]));
    }
    let Some((line, others)) = printed.split_first() else {
        return false;
    };
    line_matches(first, line) && matches(rest, others)
}

fn line_matches(expected: &str, line: &str) -> bool {
    let mut parts = expected.split("...");
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let parts: Vec<_> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// What a blessed transcript says: the expected lines where they match, else what was printed.
fn blessed(expected: &[String], printed: &[&str]) -> Vec<String> {
    if matches(expected, printed) {
        return expected.to_vec();
    }
    let keep = |line: &&str| {
        expected
            .iter()
            .find(|old| *old != "..." && line_matches(old, line))
            .cloned()
    };
    printed
        .iter()
        .map(|line| keep(line).unwrap_or_else(|| mask(line)))
        .collect()
}

/// A line with `...` for what differs from run to run: ids of commits, fingerprints, keys, and the time of day.
fn mask(line: &str) -> String {
    let is_dividing = |c: char| c == ' ' || c == '"' || c == '(' || c == ')';
    let units = ["second", "minute", "hour", "day", "year"];
    let is_unit =
        |word: &str| units.contains(&word.trim_end_matches(is_dividing).trim_end_matches('s'));
    let mut words = line.split_inclusive(is_dividing).peekable();
    let mut masked = String::new();
    while let Some(mut word) = words.next() {
        let mut bare = word
            .trim_end_matches(is_dividing)
            .trim_end_matches([',', ':']);
        let is_number = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
        let mut varies = ([10, 32, 40].contains(&bare.len())
            && bare.bytes().all(|byte| byte.is_ascii_hexdigit()))
            || (bare.matches('-').count() == 7
                && bare
                    .bytes()
                    .all(|byte| byte == b'-' || byte.is_ascii_lowercase()))
            || bare.starts_with("AGE-SECRET-KEY-1")
            || (bare.starts_with("20") && bare.ends_with('Z') && !bare.ends_with("T00:00:00Z"));
        if is_number && let Some(unit) = words.next_if(|next| is_unit(next)) {
            // "1 second" and "2 seconds" are one thing.
            (word, bare, varies) = (unit, unit.trim_end_matches(is_dividing), true);
        }
        match bare.split_once("/stores/") {
            Some((state, _)) => masked.push_str(&format!("{state}/stores/...")),
            None => masked.push_str(if varies { "..." } else { bare }),
        }
        masked.push_str(&word[bare.len()..]);
    }
    masked
}

/// A world in which `vault` and `agevault` are on PATH, and secrets may be in the files that a transcript makes.
fn prepared() -> World {
    let mut world = World::new();
    let bin = world.home().join("bin");
    for name in ["vault", "agevault"] {
        std::os::unix::fs::symlink(VAULT, bin.join(name)).unwrap();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(bin).chain(std::env::split_paths(&path));
    world.set("PATH", std::env::join_paths(folders).unwrap());
    world.set("TZ", "UTC");
    world.set("COLUMNS", "100");
    world
}

/// Runs pieces in one home; the transcript as it came out, and what was not as expected.
fn play(pieces: &[Piece]) -> (String, Vec<String>) {
    let world = prepared();
    let (mut text, mut wrong) = (String::new(), Vec::new());
    for piece in pieces {
        match piece {
            Piece::Note(line) => text.push_str(&format!("{line}\n")),
            Piece::File(name, content) => {
                let path = world.script(name, "");
                fs::write(&path, content).unwrap();
                world.allow(path);
                text.push_str(&format!("-- {name} --\n{content}"));
            }
            Piece::Command(command, expected, code) => {
                let run = world
                    .program("sh", &["-c", &format!("{{ {command}\n}} 2>&1")])
                    .run();
                let printed = String::from_utf8_lossy(&run.stdout);
                let printed = printed
                    .trim_end_matches('\n')
                    .replace(world.home().to_str().unwrap(), HOME);
                let lines: Vec<&str> = printed.lines().collect();
                if !matches(expected, &lines) || run.code != *code {
                    wrong.push(format!(
                        "$ {command}\n{printed}? {}\nexpected:\n{}\n? {code}\n",
                        run.code,
                        expected.join("\n")
                    ));
                }
                text.push_str(&format!("$ {command}\n"));
                for line in blessed(expected, &lines) {
                    text.push_str(&format!("{line}\n"));
                }
                if run.code != 0 {
                    text.push_str(&format!("? {}\n", run.code));
                }
            }
        }
    }
    (text, wrong)
}

fn is_blessing() -> bool {
    std::env::var_os("BLESS").is_some()
}

#[test]
fn transcripts_are_what_happens() {
    let folder = repository().join("tests/transcripts");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|item| item.unwrap().path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let (played, failures) = play(&parse(&text));
        if is_blessing() && played != text {
            fs::write(&path, played).unwrap();
        } else if !is_blessing() {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            wrong.extend(
                failures
                    .into_iter()
                    .map(|failure| format!("{name}: {failure}")),
            );
        }
    }
    assert!(
        wrong.is_empty(),
        "BLESS=1 writes transcripts anew\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_readme_shows_what_happens() {
    let text = fs::read_to_string(repository().join("README.md")).expect("README.md");
    let mut blocks = String::new();
    let mut rest = text.as_str();
    while let Some((_, after)) = rest.split_once("```console\n") {
        let (block, after) = after.split_once("\n```").expect("a block has an end");
        blocks.push_str(&format!("{block}\n\n"));
        rest = after;
    }
    assert!(
        !blocks.is_empty(),
        "README.md has a tour in ```console blocks"
    );
    let (_, wrong) = play(&parse(&blocks));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every example of every command's help: the line without its indentation.
fn examples() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for command in agevault::cli::grammar().get_subcommands_mut() {
        if command.is_hide_set() {
            continue;
        }
        let name = command.get_name().to_owned();
        command.build();
        let help = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let examples = help
            .split_once("Examples:\n")
            .map(|(_, examples)| examples.to_owned())
            .unwrap_or_default();
        let lines = examples
            .lines()
            .take_while(|line| line.starts_with("  "))
            .map(str::trim);
        found.extend(lines.map(|line| (name.clone(), line.to_owned())));
    }
    found
}

/// The words of each `vault` command in a shell line.
fn calls(line: &str) -> Vec<Vec<String>> {
    line.split(['|', ';'])
        .filter_map(|part| {
            let part = part.trim();
            let at = part.find("vault ")?;
            let is_word = at == 0 || part[..at].ends_with(' ');
            is_word.then(|| words(&part[at..]))
        })
        .collect()
}

/// Words as a shell splits them, as far as our own examples go; nothing is expanded.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut is_open) = (Vec::new(), String::new(), None, false);
    for c in line.chars() {
        match (c, quote) {
            ('\'' | '"', None) => (quote, is_open) = (Some(c), true),
            (c, Some(open)) if c == open => quote = None,
            (' ', None) => {
                if is_open || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                is_open = false;
            }
            ('>' | '<' | '#', None) if word.is_empty() => return words,
            (c, _) => word.push(c),
        }
    }
    if is_open || !word.is_empty() {
        words.push(word);
    }
    words
}

#[track_caller]
fn parses(words: &[String], whence: &str) {
    let parsed = agevault::cli::grammar().try_get_matches_from(words);
    if let Err(error) = &parsed {
        assert!(!error.use_stderr(), "{whence}: {error}");
    }
    let matches = parsed.ok();
    let verb = matches
        .as_ref()
        .and_then(|matches| matches.subcommand_name());
    let is_known = |verb: &str| {
        agevault::cli::grammar()
            .get_subcommands()
            .any(|one| one.get_name() == verb)
    };
    assert!(
        verb.is_none_or(is_known),
        "{whence}: {verb:?} is no command"
    );
}

#[test]
fn examples_parse() {
    let all = examples();
    let grammar = agevault::cli::grammar();
    for command in grammar
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
    {
        let name = command.get_name();
        assert!(
            all.iter().any(|(of, _)| of == name),
            "{name}: the help has no example"
        );
    }
    for (name, line) in all {
        let calls = calls(&line);
        assert!(!calls.is_empty(), "{name}: {line}");
        for words in calls {
            parses(&words, &format!("an example of {name}"));
        }
    }
}

#[test]
fn hints_propose_what_works() {
    let mut count = 0;
    for item in walkdir::WalkDir::new(repository().join("src")) {
        let path = item.unwrap().into_path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for (line, hint) in text
            .lines()
            .enumerate()
            .flat_map(|(line, text)| hints(text).into_iter().map(move |hint| (line, hint)))
        {
            count += 1;
            parses(
                &words(&hint),
                &format!("{}:{}: {hint}", path.display(), line + 1),
            );
        }
    }
    assert!(count > 10, "{count}");
}

/// The commands that a line of code proposes: `vault VERB …` after a colon, or at the start of a text, up to its end.
fn hints(line: &str) -> Vec<String> {
    let code = line.trim_start();
    if code.starts_with("//") || code.starts_with("vault ") {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut rest = line;
    while let Some((_, after)) = rest.split_once(": vault ") {
        let end = after.find(['"', ';', ')', ',', '|']).unwrap_or(after.len());
        let words = after[..end].trim_end();
        // What is filled in is some word; a hint made of nothing else names no command.
        let filled = words
            .split(' ')
            .map(|word| if word.contains('{') { "x" } else { word });
        let filled: Vec<_> = filled.collect();
        if filled.first() != Some(&"x") && filled.first() != Some(&"") {
            found.push(format!("vault {}", filled.join(" ")));
        }
        rest = &after[end..];
    }
    found
}

#[test]
fn examples_run() {
    let mut failures = Vec::new();
    let shared = furnished(true);
    for (name, line) in examples() {
        if let Some((_, why)) = NOT_RUN.iter().find(|(part, _)| line.contains(part)) {
            assert!(!why.is_empty());
            continue;
        }
        let own;
        let world = if READING.contains(&name.as_str()) {
            &shared
        } else {
            own = furnished(name != "add");
            &own
        };
        if name == "init" {
            let _ = fs::remove_dir_all(world.store());
            let _ = fs::remove_dir_all(world.state());
        } else if line == "vault identity new" {
            fs::remove_file(world.identity()).unwrap();
        } else if line == "vault generate web/forum" {
            let _ = world.vault(&["rm", "-f", "web/forum"]).run().ok();
        } else if line.ends_with("work:github/ci") && name == "cp" {
            let _ = world.vault(&["rm", "-f", "work:github/ci"]).run().ok();
        } else if line.ends_with("sparse+https://registry.example/index/") {
            let url = ["--url", "sparse+https://registry.example/index/"];
            world.add_with("cargo/example", crate::world::secret("cargo"), &url);
        } else if line == "vault env init" {
            world.write(".env.example", "GITHUB_TOKEN=\n");
        } else if ["env", "deny"].contains(&name.as_str()) {
            let project = "[env]\nGITHUB_TOKEN = \"github/ci\"\n[profiles.release.env]\n";
            world.write(".agevault.toml", project);
        } else if ["dotfiles", "inject"].contains(&name.as_str()) {
            for file in [".npmrc", ".config/gh/hosts.yml", "app.conf.in"] {
                // What the reference stands for comes to its place.
                world.allow(world.write(file, "token = agevault://github/ci\n"));
            }
            // What is filled in is in clear.
            world.allow(world.home().join("app.conf"));
        } else if line.starts_with("vault store add") {
            let _ = fs::remove_file(world.home().join(".config/agevault/config.toml"));
            fs::rename(world.home().join("work"), world.home().join("work-store")).unwrap();
        }
        let run = world
            .program("sh", &["-c", &line])
            .stdin(crate::world::secret("typed"))
            .env("AGEVAULT_AGENT", "on")
            .secret_stderr()
            .run();
        if run.code != 0 {
            failures.push(format!("{name}: {line}: {run:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Commands that change nothing, so that one home serves them all.
const READING: [&str; 14] = [
    "explain",
    "askpass",
    "get",
    "show",
    "ls",
    "find",
    "grep",
    "log",
    "exec",
    "git",
    "status",
    "completions",
    "doctor",
    "config",
];

/// Examples that are not run here, by a part of the line, and why.
const NOT_RUN: [(&str, &str); 19] = [
    (
        "vault plugins git-https --dry-run",
        "there is no repository here; its own tests have one",
    ),
    (
        "--from-keys ci.pub",
        "there is no such file; the tests of members have one",
    ),
    (
        "vault members test",
        "it asks for a key; members' transcript gives one",
    ),
    (
        "vault members remove phone",
        "there is no such member; members' transcript has one",
    ),
    (
        "vault trust correct-horse",
        "no other device began an epoch; trust's transcript has one",
    ),
    (
        "9c56cc51b3",
        "the id of a commit is another each time; restore's transcript has revisions",
    ),
    (
        "get -c",
        "there is no clipboard here; the clipboard's own tests have one",
    ),
    ("show -c", "there is no clipboard here"),
    ("generate -n -c", "there is no clipboard here"),
    (
        "vault edit",
        "the editor is the user's; edit's transcript has one",
    ),
    (
        "git push",
        "there is no remote; another example of exec shows the rest",
    ),
    ("vault rm github/ci", "it asks on a terminal"),
    ("vault demo", "its transcript runs it"),
    (
        "vault shell",
        "the shell is the user's own; its tests have real ones",
    ),
    (
        "vault allow",
        "it asks on a terminal; its transcript runs it",
    ),
    (
        "vault sync",
        "there is no remote; sync's transcript has one",
    ),
    (
        "vault clone",
        "there is no such host; clone's transcript has a folder",
    ),
    (
        "vault remote remove",
        "nothing was added before it; remote's transcript does both",
    ),
    (
        "vault accept 0123456789",
        "no commit was made by hand; accept's transcript has one",
    ),
];

/// A home with what the examples speak of.
fn furnished(has_entries: bool) -> World {
    let mut world = prepared();
    world.set("TOKEN", crate::world::secret("token"));
    world.set("AGEVAULT_PASSPHRASE_CMD", "echo correct horse");
    let _ = world
        .vault(&["init", "--no-passphrase", "--no-recovery"])
        .run()
        .ok();
    let entries: [(&str, &[&str]); 8] = [
        (
            "github/ci",
            &[
                "--env=GITHUB_TOKEN",
                "--scope=repo",
                "--scope=read:org",
                "--provider=github",
                "--expires=20d",
                "--username=octocat",
            ],
        ),
        (
            "npm/publish",
            &["--description=release", "--tag=work", "--scope=repo"],
        ),
        ("npm/read", &[]),
        ("web/forum", &[]),
        ("work/api", &["--env=API_TOKEN", "--scope=repo"]),
        ("old/token", &["--expires=2020-01-01"]),
        ("old/other", &[]),
        ("NPM_TOKEN", &[]),
    ];
    for (name, flags) in entries.into_iter().filter(|_| has_entries) {
        for round in 1..=3 {
            let value = crate::world::secret(&format!("ghp_{name} {round}"));
            world.add_with(name, value, flags);
        }
    }
    let other = world.home().join("work");
    let init = ["--store", other.to_str().unwrap(), "init", "--no-recovery"];
    let _ = world.vault(&init).run().ok();
    let add = ["--store", other.to_str().unwrap(), "add", "github/ci"];
    let _ = world
        .vault(&add)
        .stdin(crate::world::secret("work"))
        .run()
        .ok();
    world.write(
        ".config/agevault/config.toml",
        format!(
            "clipboard-seconds = 30\n[stores.work]\npath = \"{}\"\n",
            other.display()
        ),
    );
    let _ = world.script("release.sh", "true");
    let pem = world.write("deploy.pem", crate::world::secret("pem"));
    world.allow(pem);
    let key = world.home().join(".ssh/id_ed25519");
    fs::create_dir_all(key.parent().unwrap()).unwrap();
    let keygen = ["-q", "-t", "ed25519", "-N", "", "-f", key.to_str().unwrap()];
    let _ = world
        .program(crate::world::tool("ssh-keygen"), &keygen)
        .run()
        .ok();
    world
}

mod tests {
    use super::*;

    #[test]
    fn dots_stand_for_anything() {
        for (expected, line, fits) in [
            ("a...c", "abc", true),
            ("a...c", "ac", true),
            ("a...", "abc", true),
            ("...c", "abc", true),
            ("a", "ab", false),
            ("a...b...c", "a1b2c", true),
            ("a...b...c", "a1c", false),
        ] {
            assert_eq!(line_matches(expected, line), fits, "{expected} {line}");
        }
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        assert!(matches(&lines("a\n...\nz"), &["a", "b", "c", "z"]));
        assert!(matches(&lines("a\n..."), &["a"]));
        assert!(!matches(&lines("a\n...\nz"), &["a", "b"]));
    }

    #[test]
    fn words_are_split_as_a_shell_does() {
        assert_eq!(
            words("vault add 'a b' \"c\" d>e"),
            ["vault", "add", "a b", "c", "d>e"]
        );
        assert_eq!(
            calls("printf %s \"$T\" | vault add x"),
            [["vault", "add", "x"]]
        );
    }

    #[test]
    fn hints_are_found_in_code() {
        assert_eq!(hints("    .hint(\"see: vault doctor\")"), ["vault doctor"]);
        assert_eq!(
            hints("    (\"with: vault add -f {name}; or\")"),
            ["vault add -f x"]
        );
        assert!(hints("    talk(\"vault: {mark}\")").is_empty());
    }
}
