//! The real git and its object database, made harmless.
//!
//! Lives here: a repository's objects, references and index, read and written in process (`repo`), what their bytes mean
//! (`object`, `tree`), and the one place that starts the git program (`run`). Never here: what an entry is, what a seal
//! covers, what a person sees. Called by `store` and what lies above it.

mod delta;
mod disk;
mod error;
mod index;
mod lock;
mod odb;
mod pack;
mod packing;
mod refs;
mod tree;

pub mod address;
pub mod config;
#[doc(hidden)]
pub mod doors;
pub mod object;
pub mod quarantine;
pub mod repo;
pub mod run;
pub mod user;

#[cfg(test)]
mod testing;

pub use error::Error;
pub use object::Commit;
pub use object::Id;
pub use object::Ident;
pub use quarantine::Quarantine;
pub use refs::Head;
pub use repo::Change;
pub use repo::Repo;
pub use repo::Step;
pub use repo::TreeFile;
