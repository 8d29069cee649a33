//! Where a selection comes from: the flags, files of references, the environment, the project file. What is wanted, nothing opened.

use std::path::Path;
use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::context::Target;
use crate::cli::exec::selection::Selection;
use crate::cli::failure;
use crate::cli::failure::Failure;
use crate::exec::allowance::Allowances;
use crate::exec::dotenv;
use crate::exec::plan::Plain;
use crate::exec::plan::Way;
use crate::exec::project;
use crate::exec::project::Project;
use crate::exec::project::Source;
use crate::exec::reference::FOREIGN;
use crate::exec::reference::Field;
use crate::exec::reference::Reference;
use crate::exec::reference::SCHEME;
use crate::format::Name;
use crate::policy::need::Need;
use crate::policy::scope;
use crate::policy::select::DEFAULT_PROFILE;
use crate::policy::select::Filter;
use crate::policy::variable;
use crate::secret::Secret;
use crate::sys::fs;

/// Most bytes of a file of variables.
pub(in crate::cli) const ENV_FILE_MAX_BYTES: u64 = 1 << 20;

/// One thing that is wanted.
pub(in crate::cli) struct Ask {
    /// The variable, where the request names one; else the entry's own.
    pub variable: Option<String>,
    /// The named store, if one is named.
    pub store: Option<String>,
    /// Which entry.
    pub what: What,
    /// What of it.
    pub field: Field,
    /// What becomes of it where there is no such entry.
    pub absent: Absent,
    /// Why, in words.
    pub why: String,
    /// How the program gets it.
    pub way: Way,
}

/// Which entry is wanted.
pub(in crate::cli) enum What {
    /// This one, and it must be able to do this.
    Entry(Name, Option<Need>),
    /// The narrowest that suffices.
    Need(Need),
}

/// What becomes of a variable without its entry.
pub(in crate::cli) enum Absent {
    /// Nothing starts.
    Refuse,
    /// It is left out.
    LeaveOut,
    /// It gets this value.
    Default(String),
}

/// All that is wanted.
#[derive(Default)]
pub(super) struct Request {
    /// Entries one by one.
    pub asks: Vec<Ask>,
    /// Entries by what they are like, with the reason in words.
    pub filter: Option<(Filter, String)>,
    /// Narrows what is meant by a need.
    pub within: Filter,
    /// Plain values.
    pub plain: Vec<Plain>,
    /// Whether the project file wants masking.
    pub mask: bool,
    /// What else was decided, in words.
    pub notes: Vec<String>,
}

impl Ask {
    fn new(variable: Option<String>, reference: Reference, why: impl Into<String>) -> Self {
        Self {
            variable,
            store: reference.store,
            what: What::Entry(reference.name, None),
            field: reference.field,
            absent: Absent::Refuse,
            why: why.into(),
            way: Way::Variable,
        }
    }

    /// What a flag names, and how the program gets it.
    fn named(variable: Option<String>, name: &str, way: Way) -> Result<Self, Failure> {
        let reference = if let Some(reference) = Reference::of_text(name) {
            reference?
        } else {
            let Target { store, name } = Target::parse(name)?;
            let field = Field::Secret;
            Reference { store, name, field }
        };
        let named = Self::new(variable, reference, "asked for by name");
        Ok(Self { way, ..named })
    }

    /// One `-e`: `NAME` or `VAR=NAME`.
    fn of_flag(text: &str) -> Result<Self, Failure> {
        let (variable, name) = match text.split_once('=') {
            Some((variable, name)) if variable::is_name(variable) => {
                (Some(variable.to_owned()), name)
            }
            _ => (None, text),
        };
        Self::named(variable, name, Way::Variable)
    }

    /// One `--file`: `VAR=NAME`.
    fn of_file(text: &str) -> Result<Self, Failure> {
        let (variable, name) = text.split_once('=').ok_or_else(|| {
            Failure::usage("--file takes VAR=NAME: the variable that holds the path, and the entry")
        })?;
        Self::named(Some(variable.to_owned()), name, Way::File)
    }

    /// One `--fd`: `N=NAME`.
    pub(super) fn of_number(text: &str) -> Result<Self, Failure> {
        let parts = text.split_once('=');
        let number = parts.and_then(|(number, name)| Some((number.parse().ok()?, name)));
        match number {
            // Standard input has its own flag, and the two others are for output.
            Some((0..=2, _)) => Err(Failure::usage(
                "--fd takes a number from 3 on; standard input is --stdin NAME",
            )),
            Some((number, name)) => Self::of_stream(number, name),
            None => Err(Failure::usage(
                "--fd takes N=NAME: the descriptor's number, and the entry",
            )),
        }
    }

    /// An open file with a number.
    pub(super) fn of_stream(number: i32, name: &str) -> Result<Self, Failure> {
        Self::named(None, name, Way::Stream(number))
    }
}

impl Request {
    /// What a selection means in this place; `opened` gives the store that is meant.
    pub(super) fn of<'o>(
        selection: &Selection,
        cx: &Context,
        streams: Vec<Ask>,
        opened: impl Fn() -> Result<&'o Opened, Failure>,
    ) -> Result<Self, Failure> {
        let chooses = selection.chooses() || !streams.is_empty();
        let mut request = Self {
            asks: streams,
            ..Self::default()
        };
        for text in &selection.files {
            request.asks.push(Ask::of_file(text)?);
        }
        for text in &selection.entries {
            request.asks.push(Ask::of_flag(text)?);
        }
        for path in &selection.env_files {
            request.add_env_file(cx, path, &opened)?;
        }
        if selection.resolve_env {
            request.add_environment(cx)?;
        }
        if let Some((path, profiles)) = project_meant(selection, cx, chooses) {
            let bytes = fs::read_trusted(&path, project::MAX_BYTES)?;
            let project = Project::parse(&bytes);
            let project = project.map_err(|wrong| failure::of_project(&path, &wrong))?;
            let is_known = |name: &String| project.profiles.contains_key(name);
            if profiles.is_empty() || profiles.iter().any(is_known) {
                check_allowed(cx, opened()?, &path, &bytes)?;
                request.add_project(selection, cx, &project, &profiles)?;
                return Ok(request);
            }
        }
        if selection.narrows() || !chooses {
            request.add_filter(selection)?;
        }
        Ok(request)
    }

    /// What the flags say of the entries' properties; without any, the default profile.
    fn add_filter(&mut self, selection: &Selection) -> Result<(), Failure> {
        let profiles = if selection.narrows() {
            selection.profiles.clone()
        } else {
            vec![DEFAULT_PROFILE.to_owned()]
        };
        let filter = Filter {
            profiles,
            under: selection.under.clone(),
            env: Some(String::new()),
            ..Filter::default()
        };
        let needs = needs(&selection.scopes)?;
        if needs.is_empty() {
            let scopes = selection.scopes.clone();
            let filter = Filter { scopes, ..filter };
            let why = why(&filter);
            self.filter = Some((filter, why));
            return Ok(());
        }
        self.within = Filter {
            env: None,
            ..filter
        };
        for need in needs {
            let why = format!("the narrowest that is {need}");
            self.asks.push(Ask {
                variable: None,
                store: None,
                what: What::Need(need),
                field: Field::Secret,
                absent: Absent::Refuse,
                why,
                way: Way::Variable,
            });
        }
        Ok(())
    }

    /// The variables of a file; one with references must have been allowed.
    fn add_env_file<'o>(
        &mut self,
        cx: &Context,
        path: &Path,
        opened: &impl Fn() -> Result<&'o Opened, Failure>,
    ) -> Result<(), Failure> {
        let path = cx.env.absolute(path);
        let bytes = fs::read_secret(&path, ENV_FILE_MAX_BYTES)?;
        let shown = path.display().to_string();
        let lines = dotenv::parse(bytes.expose());
        let lines = lines.map_err(|wrong| Failure::failed(format!("{shown}: {wrong}")))?;
        let mut has_references = false;
        for line in lines {
            let place = format!("{shown}: line {}", line.number);
            let Some(reference) = reference(&place, line.value.expose())? else {
                self.plain.push(Plain {
                    variable: line.name,
                    value: line.value,
                    origin: shown.clone(),
                });
                continue;
            };
            if reference.store.is_some() {
                let text = format!("{place}: it names another store, which a file may not");
                return Err(Failure::failed(text));
            }
            has_references = true;
            let why = format!("a reference in {shown}");
            self.asks.push(Ask::new(Some(line.name), reference, why));
        }
        if has_references {
            check_allowed(cx, opened()?, &path, bytes.expose())?;
        }
        Ok(())
    }

    /// The references among the inherited variables.
    fn add_environment(&mut self, cx: &Context) -> Result<(), Failure> {
        for (key, value) in &cx.env.vars {
            let name = key.to_string_lossy().into_owned();
            let place = format!("the variable {name}");
            if let Some(reference) = reference(&place, value.as_encoded_bytes())? {
                let why = "a reference in the environment";
                self.asks.push(Ask::new(Some(name), reference, why));
            }
        }
        Ok(())
    }

    /// What the project file asks for.
    fn add_project(
        &mut self,
        selection: &Selection,
        cx: &Context,
        project: &Project,
        profiles: &[String],
    ) -> Result<(), Failure> {
        if let Some(name) = profiles
            .iter()
            .find(|name| !project.profiles.contains_key(*name))
        {
            let text = format!("{} has no profile \"{name}\"", project::FILE);
            let known: Vec<_> = project.profiles.keys().map(String::as_str).collect();
            return Err(Failure::failed(text).hint(format!("it has: {}", known.join(", "))));
        }
        self.mask = project.mask;
        let sieve = selection.sieve();
        let part = project.part(profiles);
        let files = part.files.into_iter().map(|one| (one, Way::File));
        let env = part.env.into_iter().map(|one| (one, Way::Variable));
        for (one, way) in env.chain(files) {
            if !sieve.passes(&one.name) {
                continue;
            }
            let (what, why) = match one.source {
                Source::Plain => {
                    self.add_default(selection, cx, one.name, one.default.unwrap_or_default());
                    continue;
                }
                Source::Entry(name, need) => (What::Entry(name, need), project::FILE.to_owned()),
                Source::Need(need) => {
                    let why = format!("{}: the narrowest that is {need}", project::FILE);
                    (What::Need(need), why)
                }
            };
            let absent = match (one.default, one.is_required) {
                (Some(text), _) => Absent::Default(text),
                (None, true) => Absent::Refuse,
                (None, false) => Absent::LeaveOut,
            };
            self.asks.push(Ask {
                variable: Some(one.name),
                store: None,
                what,
                field: one.field,
                absent,
                why,
                way,
            });
        }
        Ok(())
    }

    /// A default stands where the program does not inherit the variable.
    fn add_default(
        &mut self,
        selection: &Selection,
        cx: &Context,
        variable: String,
        default: String,
    ) {
        let is_kept = !selection.pristine || selection.keep.contains(&variable);
        if is_kept && cx.env.vars.iter().any(|(key, _)| *key == *variable) {
            let note = format!("{variable} is inherited, and its default is not used");
            self.notes.push(note);
        } else {
            self.plain.push(default_of(variable, default));
        }
    }
}

/// A default of the project file as a plain value.
pub(super) fn default_of(variable: String, default: String) -> Plain {
    Plain {
        variable,
        value: Secret::new(default.into_bytes()),
        origin: project::FILE.to_owned(),
    }
}

/// The project file that is asked, and the profiles of it: the one in this folder or above, if no flag chooses, or only
/// `--profile` does and not the default one.
fn project_meant(
    selection: &Selection,
    cx: &Context,
    chooses: bool,
) -> Option<(PathBuf, Vec<String>)> {
    let is_narrowed = selection.under.is_some() || !selection.scopes.is_empty();
    let mut profiles = selection.profiles.iter();
    let is_default = profiles.any(|name| name == DEFAULT_PROFILE);
    let is_asked = !chooses || !selection.profiles.is_empty();
    if is_narrowed || is_default || !is_asked {
        return None;
    }
    find_project(cx).map(|path| (path, selection.profiles.clone()))
}

/// The project file in this folder or above. One of another user is nobody to ask, and no reason to refuse either.
pub(in crate::cli) fn find_project(cx: &Context) -> Option<PathBuf> {
    let home = cx.env.places.home.as_deref();
    fs::find_upward(&cx.env.cwd, project::FILE, home, |path| {
        cx.ui.warn(&format!(
            "{} belongs to another user and is passed over",
            path.display()
        ));
    })
}

/// Refuses a file that this device has not been told to trust, as it is now, for this store.
fn check_allowed(
    cx: &Context,
    opened: &Opened,
    path: &Path,
    content: &[u8],
) -> Result<(), Failure> {
    let real = fs::canonical(path).unwrap_or_else(|| path.to_owned());
    let allowed = Allowances::of(&cx.env.places.state);
    let store = &opened.store.epoch.store;
    if allowed.hold(&real, content, store)? {
        return Ok(());
    }
    let what = match allowed.record(&real)? {
        Some(known) if known.store != *store => "was allowed for another store",
        Some(_) => "has changed since it was allowed",
        None => "is not allowed yet",
    };
    let failure = Failure::failed(format!("{} {what}", path.display()));
    Err(if path.ends_with(project::FILE) {
        failure.hint("see what it asks for, and allow it, with: vault allow")
    } else {
        failure.hint(format!(
            "see what it asks for, and allow it, with: vault allow {}",
            path.display()
        ))
    })
}

/// A value as a reference, if it is one. One to another program's store is told how to bring it over.
pub(in crate::cli) fn reference(place: &str, value: &[u8]) -> Result<Option<Reference>, Failure> {
    if value.starts_with(FOREIGN.as_bytes()) {
        let text = format!("{place}: it is a reference to 1Password, which vault does not resolve");
        return Err(Failure::failed(text).hint(
            "bring the secret over once, `op read REFERENCE | vault add NAME`, and write agevault://NAME instead",
        ));
    }
    let Some(rest) = value.strip_prefix(SCHEME.as_bytes()) else {
        return Ok(None);
    };
    let of_place = |failure: Failure| Failure {
        message: format!("{place}: {}", failure.message),
        ..failure
    };
    let rest = std::str::from_utf8(rest);
    let rest = rest.map_err(|_| Failure::failed(format!("{place}: it is not UTF-8")))?;
    let parsed = Reference::parse(rest).map_err(|wrong| of_place(Failure::from(wrong)))?;
    Ok(Some(parsed))
}

/// The needs of scopes that name their provider, one a provider; with one of them all must.
fn needs(scopes: &[String]) -> Result<Vec<Need>, Failure> {
    let mut needs: Vec<Need> = Vec::new();
    let mut bare = None;
    for text in scopes {
        let Some((provider, scope)) = scope::of_provider(text) else {
            bare = Some(text);
            continue;
        };
        match needs.iter_mut().find(|need| need.provider == provider) {
            Some(need) => need.scopes.push(scope.to_owned()),
            None => needs.push(Need {
                provider: provider.to_owned(),
                scopes: vec![scope.to_owned()],
            }),
        }
    }
    match (bare, needs.first()) {
        (Some(bare), Some(need)) => {
            let text = format!(
                "--scope {bare} names no provider, and another --scope names {}",
                need.provider
            );
            Err(Failure::usage(text).hint("name the provider with each of them, or with none"))
        }
        _ => Ok(needs),
    }
}

/// A filter in words.
fn why(filter: &Filter) -> String {
    let mut parts = Vec::new();
    if !filter.profiles.is_empty() {
        parts.push(format!("profile {}", filter.profiles.join(" or ")));
    }
    parts.extend(filter.under.as_ref().map(|under| format!("under {under}")));
    if !filter.scopes.is_empty() {
        parts.push(format!("scope {}", filter.scopes.join(" and ")));
    }
    parts.join(", ")
}
