//! A program with secrets in its environment: what it gets, decided before anything starts, and what is kept out of what it prints.

mod heads;
pub mod mask;
pub mod plan;
pub mod shapes;
