//! What a project file or a file of references asks for, as a person reads it before it is allowed. Its text is a stranger's.

use std::borrow::Cow;
use std::path::Path;

use jiff::Timestamp;

use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::exec::ENV_FILE_MAX_BYTES;
use crate::cli::exec::reference;
use crate::cli::failure;
use crate::cli::failure::Failure;
use crate::cli::ui::Style;
use crate::exec::check;
use crate::exec::check::Judged;
use crate::exec::check::Standing;
use crate::exec::dotenv;
use crate::exec::project;
use crate::exec::project::Part;
use crate::exec::project::Project;
use crate::exec::project::Source;
use crate::exec::project::Variable;
use crate::format::expiry;
use crate::policy::variable;
use crate::secret::Secret;
use crate::store::index::Catalogue;
use crate::sys::fs;
use crate::sys::tty;

/// What a file asks for, and the bytes in which it does.
pub(super) struct Asking {
    content: Secret,
    project: Project,
    /// How many plain values a file of references has.
    plain: usize,
}

impl Asking {
    /// Reads a project file, or a file of references by any other name.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        if path.ends_with(project::FILE) {
            let content = Secret::new(fs::read_trusted(path, project::MAX_BYTES)?);
            let project = Project::parse(content.expose());
            return Ok(Self {
                project: project.map_err(|wrong| failure::of_project(path, &wrong))?,
                content,
                plain: 0,
            });
        }
        let content = fs::read_secret(path, ENV_FILE_MAX_BYTES)?;
        let (env, plain) = references(path, content.expose())?;
        if env.is_empty() {
            let text = format!("{} has no reference", path.display());
            return Err(Failure::failed(text)
                .hint("a reference is agevault://NAME; a file without one needs no permission"));
        }
        let base = Part {
            env,
            files: Vec::new(),
        };
        Ok(Self {
            content,
            project: Project {
                base,
                ..Project::default()
            },
            plain,
        })
    }

    /// The bytes that were read.
    pub(super) fn content(&self) -> &[u8] {
        self.content.expose()
    }

    /// What they say.
    pub(super) fn project(&self) -> &Project {
        &self.project
    }
}

/// The variables of a file that are references, and how many are not.
fn references(path: &Path, content: &[u8]) -> Result<(Vec<Variable>, usize), Failure> {
    let shown = path.display();
    let lines = dotenv::parse(content);
    let lines = lines.map_err(|wrong| Failure::failed(format!("{shown}: {wrong}")))?;
    let (mut env, mut plain) = (Vec::new(), 0);
    for line in lines {
        let place = format!("{shown}: line {}", line.number);
        if variable::is_dangerous(&line.name) {
            let text = format!(
                "{place}: the variable {} can take over a program and is never set",
                line.name
            );
            return Err(Failure::failed(text));
        }
        let Some(reference) = reference(&place, line.value.expose())? else {
            plain += 1;
            continue;
        };
        if reference.store.is_some() {
            let text = format!("{place}: it names another store, which a file may not");
            return Err(Failure::failed(text));
        }
        env.push(Variable {
            name: line.name,
            source: Source::Entry(reference.name, None),
            field: reference.field,
            default: None,
            is_required: true,
            description: None,
        });
    }
    Ok((env, plain))
}

/// What is known of the entries; brought up to date where nobody needs to be asked for that.
pub(super) fn known(cx: &Context, opened: &Opened) -> Result<Catalogue, Failure> {
    let mut catalogue = opened.store.catalogue()?;
    if !catalogue.unread.is_empty()
        && let Some(keys) = cx.unlock_silently(opened)
    {
        for (_, error) in opened.store.refresh(&keys, &mut catalogue)? {
            cx.ui.warn(&Failure::from(error).message);
        }
    }
    Ok(catalogue)
}

/// Shows all of it.
pub(super) fn show(
    cx: &mut Context,
    opened: &Opened,
    path: &Path,
    asking: &Asking,
) -> Result<(), Failure> {
    let known = known(cx, opened)?;
    let title = format!("{} asks for", path.display());
    let title = cx
        .ui
        .paint(&tty::sanitize(&title), Style::Bold)
        .into_owned();
    cx.ui.line(&title);
    let project = asking.project();
    let all = || {
        let parts = std::iter::once(&project.base).chain(project.profiles.values());
        parts.flat_map(|part| part.env.iter().chain(&part.files))
    };
    let width = all().map(|one| one.name.len()).max().unwrap_or(0);
    part(cx, &project.base, width, &known);
    for (name, profile) in &project.profiles {
        let title = format!("and with --profile {} for", tty::sanitize(name));
        let title = cx.ui.paint(&title, Style::Bold).into_owned();
        cx.ui.line(&title);
        part(cx, profile, width, &known);
    }
    if all().next().is_none() {
        cx.ui.line("  nothing");
    }
    if asking.plain > 0 {
        let values = match asking.plain {
            1 => "1 plain value".to_owned(),
            count => format!("{count} plain values"),
        };
        cx.ui.line(&format!("and sets {values}"));
    }
    if project.mask {
        cx.ui
            .line("and wants the secrets blanked out of what the program prints");
    }
    Ok(())
}

fn part(cx: &mut Context, part: &Part, width: usize, known: &Catalogue) {
    let files = part.files.iter().map(|one| (one, true));
    let now = cx.env.now;
    for (one, is_file) in part.env.iter().map(|one| (one, false)).chain(files) {
        let judged = check::judge(one, &known.known, &known.unread, now);
        let mut text = source(one);
        if is_file {
            text.push_str(", as a file");
        }
        let remark = remark(one, &judged, now);
        let style = match judged.standing {
            Standing::Fine | Standing::Plain => Style::Dim,
            _ => Style::Yellow,
        };
        let text = cx.ui.paint(&text, Style::Plain).into_owned();
        let remark = remark.map(|remark| format!("  {}", cx.ui.paint(&remark, style)));
        let name = &one.name;
        cx.ui.line(&format!(
            "  {name:<width$}  {text}{}",
            remark.unwrap_or_default()
        ));
    }
}

/// What a variable is to come from.
pub(super) fn source(variable: &Variable) -> String {
    let field = match variable.field.word() {
        "secret" => String::new(),
        word => format!("#{word}"),
    };
    let default = variable.default.as_deref().map(tty::sanitize);
    let mut text = match &variable.source {
        Source::Plain => {
            let default = default.unwrap_or_default();
            return format!("\"{default}\" where it is not inherited");
        }
        Source::Entry(name, None) => format!("{name}{field}"),
        Source::Entry(name, Some(need)) => {
            format!("{name}{field}, {}", tty::sanitize(&need.to_string()))
        }
        Source::Need(need) => format!("{}{field}", tty::sanitize(&need.to_string())),
    };
    if let Some(default) = default {
        text.push_str(&format!(", else \"{default}\""));
    } else if !variable.is_required {
        text.push_str(", if there is one");
    }
    text
}

/// How it stands, in words; nothing where there is nothing to say.
pub(super) fn remark(variable: &Variable, judged: &Judged, now: Timestamp) -> Option<String> {
    let mut parts: Vec<Cow<'_, str>> = Vec::new();
    if let (Some(entry), Source::Need(_)) = (&judged.entry, &variable.source) {
        parts.push(format!("now {entry}").into());
    }
    match &judged.standing {
        Standing::Fine | Standing::Plain => {}
        Standing::Missing => parts.push("there is no such entry".into()),
        Standing::Expired => parts.push("it is expired".into()),
        Standing::Unfit => parts.push("it does not suffice".into()),
        Standing::NoField => parts.push(format!("it has no {}", variable.field.word()).into()),
        Standing::Tie(one, other) => {
            let text = format!("\"{one}\" and \"{other}\" suffice, and neither is narrower");
            parts.push(text.into());
        }
        Standing::Unread => parts.push("not read yet on this device".into()),
    }
    if !judged.excess.is_empty() {
        let excess = judged.excess.join(", ");
        parts.push(format!("it may do more than that: {}", tty::sanitize(&excess)).into());
    }
    if let Some(expires) = judged.expires.filter(|expires| *expires > now) {
        parts.push(format!("expires {}", expiry::distance(expires, now)).into());
    }
    (!parts.is_empty()).then(|| format!("({})", parts.join("; ")))
}
