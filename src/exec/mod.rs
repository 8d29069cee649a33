//! A program with secrets in its environment: what it gets, decided before anything starts.

pub mod allowance;
pub mod check;
pub mod dotenv;
pub mod plan;
pub mod project;
pub mod reference;
