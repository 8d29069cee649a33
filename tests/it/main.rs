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
mod agent;
mod agent_abuse;
mod agent_memory;
mod age_vectors;
mod bytes;
mod concurrent;
mod dotfiles;
mod credential;
mod exec;
mod exec_streams;
mod exec_terminal;
mod faults;
mod identity;
mod manpages;
mod members;
mod project;
mod pty;
mod terminal;
mod sync;
mod tidy;
mod transcript;
mod trust;
mod recover;
mod schemas;
mod shell;
mod unlock;
mod values;
mod vectors;
mod world;
