//! How the program starts: with what is inherited and what was chosen, in vault's place.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::exec::REFUSED;
use crate::cli::exec::Selection;
use crate::cli::failure::Failure;
use crate::exec::plan::Plan;
use crate::sys::process;
use crate::sys::process::Variable;

/// The exit code when the program is there and cannot be run.
const NOT_EXECUTABLE: u8 = 126;
/// The exit code when there is no such program.
const NOT_FOUND: u8 = 127;
/// Becomes the program; returns only if that fails.
pub(in crate::cli) fn start(
    cx: &Context,
    selection: &Selection,
    plan: &Plan,
    command: &[OsString],
) -> Outcome {
    let [program, arguments @ ..] = command else {
        return Err(Failure::usage("no program is named").with_code(REFUSED));
    };
    let mut vars: Vec<Variable<'_>> =
        Vec::with_capacity(cx.env.vars.len() + plan.assignments.len());
    let inherited = cx
        .env
        .vars
        .iter()
        .filter(|(key, _)| !plan.sets(key) && selection.inherits(key, plan));
    vars.extend(inherited.map(|(key, value)| (key.as_os_str(), value.as_os_str())));
    for one in &plan.assignments {
        vars.push((
            OsStr::new(&one.variable),
            OsStr::from_bytes(one.secret.as_line()),
        ));
    }
    let arguments: Vec<&OsStr> = arguments.iter().map(OsString::as_os_str).collect();
    let error = process::replace(program, &arguments, &vars, &cx.limits);
    let code = match error.kind() {
        std::io::ErrorKind::NotFound => NOT_FOUND,
        _ => NOT_EXECUTABLE,
    };
    Err(Failure::new(
        code,
        format!("cannot run {}: {error}", program.display()),
    ))
}
