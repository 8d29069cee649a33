//! The pages in `man/` are what the command definitions render. `BLESS=1` writes them anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use agevault::cli::manual;
use agevault::cli::manual::Term;
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::Roff;
use clap_mangen::roff::bold;
use clap_mangen::roff::roman;

#[test]
fn the_pages_are_what_the_definitions_render() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
    let mut root = agevault::cli::grammar();
    root.build();
    let mut pages = BTreeMap::new();
    collect(&root, &mut pages);
    if std::env::var_os("BLESS").is_some() {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for (file, page) in &pages {
            fs::write(folder.join(file), page).unwrap();
        }
    }
    let there: BTreeMap<String, String> = fs::read_dir(&folder)
        .unwrap()
        .map(|item| {
            let item = item.unwrap();
            let page = fs::read_to_string(item.path()).unwrap();
            (item.file_name().into_string().unwrap(), page)
        })
        .collect();
    let names = |pages: &BTreeMap<String, String>| pages.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&there), names(&pages), "BLESS=1 writes them anew");
    for (file, page) in &pages {
        assert!(
            there[file] == *page,
            "man/{file} is not up to date: BLESS=1"
        );
    }
}

/// The page of a command, and of those below it.
fn collect(command: &Command, pages: &mut BTreeMap<String, String>) {
    let name = command.get_display_name().unwrap_or(command.get_name());
    pages.insert(format!("{name}.1"), page(command));
    for below in command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
    {
        collect(below, pages);
    }
}

fn page(command: &Command) -> String {
    let is_root = command.get_name() == "vault";
    let title = command.get_display_name().unwrap_or("vault").to_uppercase();
    let man = Man::new(command.clone())
        .title(title)
        .source(format!("agevault {}", env!("CARGO_PKG_VERSION")))
        .manual("agevault");
    let help = Help::of(command);
    let mut out = Vec::new();
    man.render_title(&mut out).unwrap();
    man.render_name_section(&mut out).unwrap();
    man.render_synopsis_section(&mut out).unwrap();
    man.render_description_section(&mut out).unwrap();
    let mut roff = Roff::new();
    aliases(&mut roff, command);
    for paragraph in &help.prose {
        write_paragraph(&mut roff, paragraph);
    }
    roff.to_writer(&mut out).unwrap();
    man.render_options_section(&mut out).unwrap();
    if command.get_subcommands().any(|below| !below.is_hide_set()) {
        man.render_subcommands_section(&mut out).unwrap();
    }
    let mut roff = Roff::new();
    if !help.examples.is_empty() {
        roff.control("SH", ["EXAMPLES"]);
        write_paragraph(&mut roff, &help.examples);
    }
    let is_exec = command.get_name() == "exec";
    let exit = if is_exec {
        manual::EXIT_STATUS_EXEC
    } else {
        manual::EXIT_STATUS
    };
    terms(&mut roff, "EXIT STATUS", exit);
    if is_root {
        terms(&mut roff, "ENVIRONMENT", manual::ENVIRONMENT);
        terms(&mut roff, "FILES", manual::FILES);
    } else {
        roff.control("SH", ["SEE ALSO"]);
        roff.text([bold("vault"), roman("(1), for variables and files")]);
    }
    roff.to_writer(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// What stands after a command's flags in its help, taken apart.
struct Help {
    prose: Vec<Vec<String>>,
    examples: Vec<String>,
}

impl Help {
    fn of(command: &Command) -> Self {
        let text = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let paragraphs = text.split("\n\n").filter(|text| !text.trim().is_empty());
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let (mut prose, mut examples) = (Vec::new(), Vec::new());
        for paragraph in paragraphs.map(lines) {
            if paragraph[0] == "Examples:" {
                examples = paragraph[1..].to_vec();
            } else if !paragraph[0].starts_with("Exit codes:") {
                prose.push(paragraph);
            }
        }
        Self { prose, examples }
    }
}

fn aliases(roff: &mut Roff, command: &Command) {
    let aliases: Vec<&str> = command.get_visible_aliases().collect();
    if !aliases.is_empty() {
        roff.control("PP", []);
        roff.text([roman(format!("Also called {}.", aliases.join(", ")))]);
    }
}

/// Indented lines stay as they are, the others flow.
fn write_paragraph(roff: &mut Roff, lines: &[String]) {
    roff.control("PP", []);
    let is_code = |line: &String| line.starts_with(' ');
    for run in lines.chunk_by(|one, next| is_code(one) == is_code(next)) {
        if is_code(&run[0]) {
            roff.control("RS", ["4"]);
            roff.control("nf", []);
        }
        for line in run {
            roff.text([roman(line.trim_start())]);
        }
        if is_code(&run[0]) {
            roff.control("fi", []);
            roff.control("RE", []);
        }
    }
}

fn terms(roff: &mut Roff, title: &str, terms: &[Term]) {
    roff.control("SH", [title]);
    for (term, text) in terms {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*text)]);
    }
}
