//! What a person sees: commands, output, failures.

pub mod clipboard;
pub mod picker;
