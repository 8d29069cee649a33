//! `vault`, as a library: the program's own parts, in layers.
//!
//! There is no promise of a stable interface: the audience is `main.rs` and the tests. Other programs read the store by
//! its specification, `store-format/README.md`.
//!
//! The modules stand in layer order, lowest first: each may use those above it in this list and none
//! below. A test (`tests/it/tidy.rs`) holds that.

pub mod secret;
pub mod sys;
pub mod config;
pub mod crypto;
pub mod format;
pub mod git;
pub mod store;
pub mod sync;
pub mod policy;
pub mod session;
pub mod exec;
pub mod dotfiles;
pub mod plugins;
pub mod cli;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::sys::Env;

/// Runs one command line; the first argument is the name by which the program was called.
pub fn run(env: Env, args: &[OsString]) -> ExitCode {
    cli::run(env, args)
}
