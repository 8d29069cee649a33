//! How the program starts: with what is inherited and what was chosen, in vault's place.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::exec::Args;
use crate::cli::exec::REFUSED;
use crate::cli::failure::Failure;
use crate::exec::plan::Plan;
use crate::sys::process;
use crate::sys::process::Variable;

/// The exit code when the program is there and cannot be run.
const NOT_EXECUTABLE: u8 = 126;
/// The exit code when there is no such program.
const NOT_FOUND: u8 = 127;
/// Variables that never reach the program: they unlock the store.
pub(in crate::cli) const KEPT_BACK: [&str; 2] = ["AGEVAULT_KEY", "AGEVAULT_PASSPHRASE_CMD"];

impl Args {
    /// Becomes the program; returns only if that fails.
    pub(super) fn start(&self, cx: &Context, plan: &Plan) -> Outcome {
        let [program, arguments @ ..] = self.command.as_slice() else {
            return Err(Failure::usage("no program is named").with_code(REFUSED));
        };
        let mut vars: Vec<Variable<'_>> =
            Vec::with_capacity(cx.env.vars.len() + plan.assignments.len());
        if !self.pristine {
            let is_set = |key: &OsStr| {
                plan.assignments
                    .iter()
                    .any(|one| key == one.variable.as_str())
            };
            let is_kept_back = |key: &OsStr| KEPT_BACK.iter().any(|name| key == *name);
            let inherited = cx
                .env
                .vars
                .iter()
                .filter(|(key, _)| !is_set(key) && !is_kept_back(key));
            vars.extend(inherited.map(|(key, value)| (key.as_os_str(), value.as_os_str())));
        }
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
}
