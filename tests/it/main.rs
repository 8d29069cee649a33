//! Behaviour, in one binary: the built program against real components.

mod age_vectors;
mod pty;
