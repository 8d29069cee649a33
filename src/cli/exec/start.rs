//! How the program starts: with what is inherited and what was chosen, in vault's place, or below it where something must
//! happen to what it prints or after its end.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;

use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::exec::REFUSED;
use crate::cli::exec::Selection;
use crate::cli::failure::Failure;
use crate::exec::mask::Masker;
use crate::exec::mask::Shapes;
use crate::exec::plan::Assignment;
use crate::exec::plan::Plan;
use crate::exec::shapes;
use crate::exec::shapes::ALL_MAX_BYTES;
use crate::exec::shapes::MAX_BYTES;
use crate::exec::shapes::MIN_BYTES;
use crate::sys::handed;
use crate::sys::process;
use crate::sys::process::Variable;
use crate::sys::ram::RamFolder;
use crate::sys::supervise;
use crate::sys::supervise::Ended;
use crate::sys::supervise::Filter;
use crate::sys::supervise::Filters;
use crate::sys::supervise::Job;

/// The exit code when the program is there and cannot be run.
const NOT_EXECUTABLE: u8 = 126;
/// The exit code when there is no such program.
const NOT_FOUND: u8 = 127;
/// What is added to a signal's number where a shell shows it as a code.
const SIGNALLED: i32 = 128;

/// Becomes the program, or runs it to its end.
pub(in crate::cli) fn start(
    cx: &Context,
    selection: &Selection,
    plan: &Plan,
    command: &[OsString],
) -> Outcome {
    let [program, args @ ..] = command else {
        return Err(Failure::usage("no program is named").with_code(REFUSED));
    };
    let is_masked = selection.mask || plan.mask;
    let (stdin, placed) = streams(plan).map_err(|error| {
        Failure::failed(format!("cannot hand a secret over: {error}")).with_code(REFUSED)
    })?;
    let files = Files::write(cx, &plan.files).map_err(|failure| failure.with_code(REFUSED))?;
    let vars = variables(cx, selection, plan, &files);
    let args: Vec<&OsStr> = args.iter().map(OsString::as_os_str).collect();
    if files.folder.is_none() && !is_masked {
        let error = process::replace_with_input(program, &args, &vars, &cx.limits, stdin);
        return Err(cannot_run(program, &error));
    }
    let shapes = if is_masked { mask(cx, plan)? } else { None };
    let job = Job {
        program,
        args: &args,
        variables: &vars,
        limits: &cx.limits,
        stdin,
    };
    let ended = match &shapes {
        Some(shapes) => {
            let filters: &Filters<'_> = &|| Box::new(Masked(Masker::new(shapes)));
            supervise::run(job, cx.env.terminal, Some(filters))
        }
        None => supervise::run(job, cx.env.terminal, None),
    };
    // The secrets' files are gone, and what was handed over is closed, before anyone hears of the end.
    drop((files, placed));
    Ok(end_as(ended.map_err(|error| cannot_watch(&error))?))
}

/// The program's environment.
fn variables<'a>(
    cx: &'a Context,
    selection: &Selection,
    plan: &'a Plan,
    files: &'a Files,
) -> Vec<Variable<'a>> {
    let mut vars: Vec<Variable<'a>> =
        Vec::with_capacity(cx.env.vars.len() + plan.assignments.len());
    let inherited = cx
        .env
        .vars
        .iter()
        .map(|(key, value)| (key.as_os_str(), value.as_os_str()));
    vars.extend(inherited.filter(|(key, _)| !plan.sets(key) && selection.inherits(key, plan)));
    for one in &plan.assignments {
        vars.push((
            OsStr::new(&one.variable),
            OsStr::from_bytes(one.secret.as_line()),
        ));
    }
    for (one, path) in plan.files.iter().zip(&files.paths) {
        vars.push((OsStr::new(&one.variable), path.as_os_str()));
    }
    vars
}

/// The files of a program; wiped and removed when dropped.
struct Files {
    paths: Vec<PathBuf>,
    folder: Option<RamFolder>,
}

impl Files {
    /// Writes them, each named like its entry, so that a program sees the ending it expects.
    fn write(cx: &Context, files: &[Assignment]) -> Result<Self, Failure> {
        let cannot =
            |error: io::Error| Failure::failed(format!("cannot make the secrets' files: {error}"));
        let mut written = Self {
            paths: Vec::new(),
            folder: None,
        };
        if files.is_empty() {
            return Ok(written);
        }
        let runtime = cx.env.var_os("XDG_RUNTIME_DIR").map(Path::new);
        let mut folder = RamFolder::create(runtime).map_err(cannot)?.ok_or_else(|| {
            Failure::failed("there is no folder in RAM, and a secret is not written to a disk")
                .hint("hand it over without a file: --stdin NAME, or --fd N=NAME with the path /dev/fd/N")
        })?;
        folder.watch().map_err(cannot)?;
        let mut names = HashSet::new();
        for one in files {
            let own = one.name.rsplit(['/', ':']).next().unwrap_or_default();
            let name = if names.insert(own) {
                own.to_owned()
            } else {
                format!("{}-{own}", one.variable)
            };
            written
                .paths
                .push(folder.write(&name, &one.secret).map_err(cannot)?);
        }
        written.folder = Some(folder);
        Ok(written)
    }
}

/// Standard input, where it is a secret, and the other open files, each at its number. Before anything else is opened, which
/// might get that number.
fn streams(plan: &Plan) -> io::Result<(Option<File>, Vec<OwnedFd>)> {
    let numbered = plan.streams.iter().filter(|one| one.number != 0);
    let files = numbered
        .map(|one| Ok((one.number, handed::in_memory(&one.secret)?)))
        .collect::<io::Result<_>>()?;
    let placed = handed::place(files)?;
    let stdin = plan.streams.iter().find(|one| one.number == 0);
    let stdin = stdin
        .map(|one| handed::in_memory(&one.secret))
        .transpose()?;
    Ok((stdin, placed))
}

/// What is looked for in the output; nothing if all secrets are too short, which is told.
fn mask(cx: &Context, plan: &Plan) -> Result<Option<Shapes>, Failure> {
    let mut long = Vec::new();
    for (name, secret) in plan.secrets() {
        if secret.len() > MAX_BYTES {
            let most = MAX_BYTES >> 10;
            let text = format!("\"{name}\" is too large to be masked: it has more than {most} KiB");
            return Err(too_large(text));
        }
        if shapes::is_long_enough(secret.expose()) {
            long.push(secret.expose());
        } else if !secret.is_empty() {
            let text = format!(
                "\"{name}\" is too short to be masked: it has fewer than {MIN_BYTES} bytes"
            );
            cx.ui.warn(&text);
        }
    }
    if long.is_empty() {
        return Ok(None);
    }
    let most = ALL_MAX_BYTES >> 10;
    let refused = || {
        too_large(format!(
            "the secrets are too large to be masked: they have more than {most} KiB together"
        ))
    };
    if long.iter().map(|secret| secret.len()).sum::<usize>() > ALL_MAX_BYTES {
        return Err(refused());
    }
    Shapes::of(long).map(Some).ok_or_else(refused)
}

fn too_large(text: String) -> Failure {
    Failure::new(REFUSED, text)
        .hint("leave it out with --except, or see to it that the program does not print it, and do not mask")
}

/// A masker as the filter of a stream.
struct Masked(Masker);

impl Filter for Masked {
    fn feed<'f>(&'f mut self, piece: &'f [u8]) -> &'f [u8] {
        self.0.feed(piece)
    }

    fn holds(&self) -> bool {
        self.0.holds()
    }

    fn pause(&mut self) -> &[u8] {
        self.0.pause()
    }

    fn finish(&mut self) -> &[u8] {
        self.0.finish()
    }
}

/// Ends as the program did: by the same signal, where this process can; else with the code that a shell shows for it.
pub(in crate::cli) fn end_as(ended: Ended) -> u8 {
    match ended {
        Ended::Code(code) => code,
        Ended::Signal(signal) => {
            process::end_by(signal);
            u8::try_from(SIGNALLED + signal).unwrap_or(u8::MAX)
        }
    }
}

/// The program did not start.
pub(in crate::cli) fn cannot_run(program: &OsStr, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::NotFound => NOT_FOUND,
        _ => NOT_EXECUTABLE,
    };
    Failure::new(code, format!("cannot run {}: {error}", program.display()))
}

/// Nothing can be said of the program.
pub(in crate::cli) fn cannot_watch(error: &io::Error) -> Failure {
    Failure::new(
        REFUSED,
        format!("cannot run a program and watch it: {error}"),
    )
}
