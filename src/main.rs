//! The program: the real environment in, an exit code out.

use std::process::ExitCode;

use agevault::sys::Env;
use agevault::sys::process;

#[allow(
    clippy::disallowed_methods,
    reason = "the one place that reads the arguments"
)]
fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    let env = Env::of_process();
    process::withholding(|| agevault::run(env, &args))
}
