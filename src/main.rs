//! The program: the real environment in, an exit code out.

use std::process::ExitCode;

use agevault::sys::Env;

#[allow(
    clippy::disallowed_methods,
    reason = "the one place that reads the arguments"
)]
fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    agevault::run(Env::of_process(), &args)
}
