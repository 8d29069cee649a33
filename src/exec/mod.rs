//! A program with secrets in its environment: what it gets, decided before anything starts, and what is kept out of what it prints.

pub mod allowance;
pub mod check;
pub mod dotenv;
mod heads;
pub mod mask;
pub mod plan;
pub mod project;
pub mod reference;
pub mod shapes;
