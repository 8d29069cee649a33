//! The store and its remotes: what comes is verified before it is followed, and merged by meaning.
//!
//! Lives here: talking to a remote (`fetch`), what is asked of its commits (`verify`), merging (`merge`, pure; `join` for whole
//! trees) and the round that does all of it (`round`). Never here: prompts and printing. A remote's bytes lie in a quarantine in
//! the local state until all of them have been verified: what is refused has never touched the store.

pub mod carry;
mod error;
mod fetch;
mod remote;
pub mod trust;
mod verify;

pub use error::Error;
pub use fetch::Fetched;
pub use fetch::fetch;
pub use remote::Remote;
pub use remote::USUAL;
pub use verify::check;
pub use verify::revisions;
pub use verify::verify;
