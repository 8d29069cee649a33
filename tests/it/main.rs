//! The one integration binary.

// A test that stops at the first surprise is what is wanted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
// Tests make their own files and start real programs.
#![allow(clippy::disallowed_methods, clippy::print_stderr)]

mod age_vectors;
