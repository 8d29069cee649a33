//! The store and its remotes: what comes is verified before it is followed, and merged by meaning.
//!
//! Lives here: talking to a remote (`fetch`), what is asked of its commits (`verify`), merging (`merge`, pure; `join` for whole
//! trees) and the round that does all of it (`round`). Never here: prompts and printing. A remote's bytes lie in a quarantine in
//! the local state until all of them have been verified: what is refused has never touched the store.

mod accept;
pub mod carry;
mod clone;
mod copies;
mod error;
mod fetch;
mod foreign;
mod join;
pub mod merge;
mod remote;
mod round;
pub mod trust;
mod verify;

pub use accept::Fate;
pub use accept::Item;
pub use accept::Proposal;
pub use accept::adopt;
pub use accept::look_here;
pub use accept::look_there;
pub use clone::Cloning;
pub use clone::clone;
pub use copies::Copied;
pub use copies::merge_copies;
pub use error::Error;
pub use fetch::Fetched;
pub use fetch::fetch;
pub use join::Join;
pub use join::Joined;
pub use remote::Remote;
pub use remote::USUAL;
pub use round::Changed;
pub use round::How;
pub use round::Outcome;
pub use round::Tools;
pub use round::run;
pub use verify::check;
pub use verify::revisions;
pub use verify::verify;

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests make and read files")]
mod tests;
