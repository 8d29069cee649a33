//! A program with secrets in its environment: what it gets, decided before anything starts.

pub mod plan;
