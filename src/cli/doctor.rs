//! `vault doctor`: everything that is not as it should be, and mending what can be mended without losing anything.

use std::path::Path;

use serde_json::Value;
use serde_json::json;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::failure::FAILED;
use crate::cli::failure::Failure;
use crate::cli::failure::REFUSED;
use crate::cli::ui::Style;
use crate::cli::view;
use crate::session;
use crate::session::Source;
use crate::store::doctor::Finding;
use crate::store::doctor::Remedy;
use crate::store::doctor::Report;
use crate::store::doctor::Topic;
use crate::store::doctor::set_mode;
use crate::store::doctor::wrong_mode;
use crate::store::keeper::Keeper;
use crate::store::state::State;
use crate::sync;
use crate::sys::fs;
use crate::sys::path;
use crate::sys::ram::RamFolder;

/// The mode of an identity file.
const IDENTITY_MODE: u32 = 0o600;
/// The name of this program that other programs have, too.
const SHARED_NAME: &str = "vault";
/// The name that is its own.
const OWN_NAME: &str = "agevault";

/// Arguments of `doctor`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Looks for entries that do not verify, a work tree that differs from the last commit, foreign files, names that clash, wrong modes
and left-overs, and notices another program called vault. With the keys every entry is opened and verified; its secret is wiped
at once. A refused signature, a foreign commit or an old value brought back is told as what it is.

--repair sets modes, removes left-overs and writes committed files again. It loses nothing: a file that differs is first moved
to this device's local state, and its new place is told. Copies that Syncthing or Dropbox have made of an entry that two
devices had written are merged into it.

Exit code: 0 nothing is wrong, or all is mended; 1 something is left; 5 something does not verify.

Examples:
  vault doctor
  vault doctor --repair
  vault doctor --no-unlock --json")]
pub(crate) struct Args {
    /// Mend what can be mended without losing anything
    #[arg(long)]
    repair: bool,
    /// Do not open the entries: ask for nothing
    #[arg(long)]
    no_unlock: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let opened = cx
            .open_as_is(None)
            .map_err(|failure| memory_hint(cx, failure))?;
        let (keys, locked) = self.keys(cx, &opened)?;
        let keeper = keys.as_ref().map(|keys| keys as &dyn Keeper);
        let copied = match keeper {
            Some(keeper) if self.repair && keeper.can_write() => merge_copies(cx, &opened, keeper)?,
            _ => Vec::new(),
        };
        let on_wait = || cx.ui.say("waiting for another vault to finish writing");
        let mut report = opened.store.check(keeper, self.repair, on_wait)?;
        for copied in copied {
            let problem = format!("merged into \"{}\"", copied.original);
            report
                .mended
                .push(Finding::new(Topic::WorkTree, copied.path, problem));
            report.set_aside.extend(copied.kept);
        }
        self.look_at_identity(&opened.source, &mut report)?;
        let mut notes = notes(cx);
        notes.extend(keeper.and_then(|keeper| lonely(&opened, keeper)));
        if self.json {
            let value = json(&report, &notes, locked.as_deref());
            view::print_json(&mut cx.ui, &value);
        } else {
            self.print(cx, &report, &notes, locked.as_deref());
        }
        Ok(code(&report))
    }
}

/// Whoever holds the keys.
type Keys = Box<dyn Keeper>;

/// Merges what file-sync tools have put beside entries. A store that cannot be written now is looked at all the same.
fn merge_copies(
    cx: &Context,
    opened: &Opened,
    keeper: &dyn Keeper,
) -> Result<Vec<sync::Copied>, Failure> {
    if opened.store.settle().is_err() {
        return Ok(Vec::new());
    }
    let begin = || cx.writer(&opened.store, keeper);
    sync::merge_copies(&opened.store, keeper, begin)
}

impl Args {
    /// The keys, or why the entries are not opened. Only keys that are refused for integrity end it here.
    fn keys(
        &self,
        cx: &Context,
        opened: &Opened,
    ) -> Result<(Option<Keys>, Option<String>), Failure> {
        if self.no_unlock {
            return Ok((None, Some("as asked".to_owned())));
        }
        match session::unlock(&cx.env, &opened.store, &opened.source, cx.purpose) {
            Ok(keys) => Ok((Some(keys), None)),
            Err(session::Error::Store(error)) => Err(error.into()),
            Err(error) => Ok((None, Some(error.to_string()))),
        }
    }

    /// The identity file's mode.
    fn look_at_identity(&self, source: &Source, report: &mut Report) -> Result<(), Failure> {
        let Source::File(path) = source else {
            return Ok(());
        };
        // A link to the file is the person's own; the mode is the file's.
        let path = fs::canonical(path).unwrap_or_else(|| path.clone());
        let Some(finding) = wrong_mode(&path, IDENTITY_MODE) else {
            return Ok(());
        };
        if self.repair {
            set_mode(&path, IDENTITY_MODE)?;
            report.mended.push(finding);
        } else {
            report.findings.push(finding);
            report.findings.sort_by_key(|finding| finding.topic);
        }
        Ok(())
    }

    fn print(&self, cx: &mut Context, report: &Report, notes: &[String], locked: Option<&str>) {
        let mut topic = None;
        for finding in &report.findings {
            if topic != Some(finding.topic) {
                topic = Some(finding.topic);
                let (title, style) = title(finding.topic);
                let title = cx.ui.paint(title, style).into_owned();
                cx.ui.line(&title);
            }
            print_finding(cx, finding, "would");
        }
        if !report.mended.is_empty() {
            let title = cx.ui.paint("mended", Style::Green).into_owned();
            cx.ui.line(&title);
        }
        for finding in &report.mended {
            print_finding(cx, finding, "did");
        }
        for path in &report.set_aside {
            let line = format!("kept what was there: {}", path.display());
            let line = cx.ui.paint(&line, Style::Plain).into_owned();
            cx.ui.line(&line);
        }
        if report.findings.is_empty() {
            let line = match locked {
                None => "nothing is wrong, every entry verifies",
                Some(_) => "nothing is wrong, as far as can be seen without the keys",
            };
            let line = cx.ui.paint(line, Style::Green).into_owned();
            cx.ui.line(&line);
        }
        for note in notes {
            cx.ui.say(&format!("note: {note}"));
        }
        if let Some(why) = locked {
            cx.ui.say(&format!("the entries were not opened: {why}"));
        }
        let is_curable = |finding: &Finding| finding.remedy.is_some();
        if !self.repair && report.findings.iter().any(is_curable) {
            cx.ui
                .say("hint: mend what can be mended with: vault doctor --repair");
        }
    }
}

fn print_finding(cx: &mut Context, finding: &Finding, tense: &str) {
    let text = format!("  {}: {}", finding.subject, finding.problem);
    let line = cx.ui.paint(&text, Style::Plain).into_owned();
    cx.ui.line(&line);
    let next = match (&finding.remedy, tense) {
        (Some(remedy), "would") => Some(format!("--repair {}", remedy_words(remedy))),
        (Some(remedy), _) => Some(remedy_words(remedy).to_owned()),
        (None, _) => finding.advice.clone(),
    };
    if let Some(next) = next {
        let line = cx.ui.paint(&format!("    {next}"), Style::Dim).into_owned();
        cx.ui.line(&line);
    }
}

const fn remedy_words(remedy: &Remedy) -> &'static str {
    match remedy {
        Remedy::SetMode(..) => "sets the mode for you alone",
        Remedy::Remove(_) => "removes it",
        Remedy::WriteCommitted(..) => {
            "writes the committed file, and keeps what is there in the local state"
        }
        Remedy::SetAside(_) => "moves it to the local state",
    }
}

const fn title(topic: Topic) -> (&'static str, Style) {
    match topic {
        Topic::Integrity => ("does not verify", Style::Red),
        Topic::WorkTree => ("work tree", Style::Yellow),
        Topic::Member => ("members", Style::Yellow),
        Topic::Foreign => ("foreign", Style::Yellow),
        Topic::Clash => ("name clashes", Style::Yellow),
        Topic::Mode => ("modes", Style::Yellow),
        Topic::Leftover => ("left-overs", Style::Yellow),
    }
}

const fn word(topic: Topic) -> &'static str {
    match topic {
        Topic::Integrity => "integrity",
        Topic::WorkTree => "work-tree",
        Topic::Member => "member",
        Topic::Foreign => "foreign",
        Topic::Clash => "clash",
        Topic::Mode => "mode",
        Topic::Leftover => "leftover",
    }
}

fn json(report: &Report, notes: &[String], locked: Option<&str>) -> Value {
    let one = |finding: &Finding| {
        json!({
            "topic": word(finding.topic),
            "subject": finding.subject,
            "problem": finding.problem,
            "advice": finding.advice,
            "remedy": finding.remedy.as_ref().map(remedy_words),
        })
    };
    let all = |findings: &[Finding]| findings.iter().map(one).collect::<Vec<_>>();
    json!({
        "findings": all(&report.findings),
        "mended": all(&report.mended),
        "set_aside": report.set_aside,
        "notes": notes,
        "entries_opened": locked.is_none(),
    })
}

fn code(report: &Report) -> u8 {
    match report.findings.first().map(|finding| finding.topic) {
        None => 0,
        Some(Topic::Integrity) => REFUSED,
        Some(_) => FAILED,
    }
}

/// Where this device's memory of the store is, for a person who has replaced the store.
fn memory_hint(cx: &Context, failure: Failure) -> Failure {
    let site = cx.site(None).ok();
    let real = site.and_then(|site| fs::canonical(&site.path));
    match real {
        Some(real) if failure.code == REFUSED => {
            let memory = State::of_store(&cx.env.places.state, &real);
            let memory = memory.path().display().to_string();
            Failure {
                hints: Vec::new(),
                ..failure
            }
            .hint(format!(
                "what this device remembers of the store is in {memory}; \
                 if you replaced the store yourself, move that folder away"
            ))
        }
        _ => failure,
    }
}

/// One member only is one identity that can be lost.
fn lonely(opened: &Opened, keeper: &dyn Keeper) -> Option<String> {
    let members = opened.store.members(keeper).ok()?;
    (members.list.len() == 1).then(|| {
        "there is one member only: without its identity everything is lost; \
         make a recovery key for paper with: vault members add --paper"
            .to_owned()
    })
}

/// What is worth knowing of this machine, and no fault of the store.
fn notes(cx: &Context) -> Vec<String> {
    let mut notes = Vec::new();
    let own = path::own_program();
    let others = others(cx, own.as_deref());
    if let Some((other, is_first)) = others.first() {
        let which = if *is_first { "before" } else { "after" };
        let own = own.as_deref().unwrap_or(Path::new(SHARED_NAME)).display();
        notes.push(format!(
            "another program called {SHARED_NAME} is on PATH {which} this one: {}; \
             this one works as {OWN_NAME} too: ln -s {own} ~/.local/bin/{OWN_NAME}",
            other.display()
        ));
    }
    if is_hashicorp_in_use(cx) {
        notes.push(format!(
            "HashiCorp Vault is in use here; its variables VAULT_* and its files are never read, \
             and this program works under the name {OWN_NAME} too"
        ));
    }
    if !matches!(
        RamFolder::create(cx.env.var_os("XDG_RUNTIME_DIR").map(Path::new)),
        Ok(Some(_))
    ) {
        notes
            .push("there is no folder in RAM here, so vault edit cannot open an editor".to_owned());
    }
    notes
}

/// Other programs of our shared name on `PATH`, and whether they stand before this one.
fn others(cx: &Context, own: Option<&Path>) -> Vec<(std::path::PathBuf, bool)> {
    let path = cx.env.var_os("PATH").unwrap_or_default();
    let mut is_before = true;
    let mut others = Vec::new();
    for found in path::programs(SHARED_NAME, path) {
        if own.is_some_and(|own| path::is_same_file(own, &found)) {
            is_before = false;
        } else {
            others.push((found, is_before));
        }
    }
    others
}

/// By its variables and its token file; no program is started to find out.
fn is_hashicorp_in_use(cx: &Context) -> bool {
    let variables = ["VAULT_ADDR", "VAULT_TOKEN", "VAULT_NAMESPACE"];
    let token = cx
        .env
        .places
        .home
        .as_ref()
        .map(|home| home.join(".vault-token"));
    variables.iter().any(|name| cx.env.var_os(name).is_some())
        || token.is_some_and(|token| fs::kind(&token).is_some())
}
