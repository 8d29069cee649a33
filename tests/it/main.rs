//! Behaviour, in one binary: the built program against real components.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test that cannot go on fails"
)]

mod abuse;
mod adversary;
mod age_vectors;
mod bytes;
mod concurrent;
mod exec;
mod exec_streams;
mod exec_terminal;
mod faults;
mod manpages;
mod project;
mod pty;
mod terminal;
mod tidy;
mod transcript;
mod recover;
mod schemas;
mod shell;
mod unlock;
mod values;
mod vectors;
mod world;
