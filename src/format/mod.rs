//! What the bytes mean: names, headers, key files, members, seals. Pure: made by parsing, and nothing here does I/O.
//!
//! The specification is `store-format/README.md`; a section is named wherever a rule comes from it. Every layer from
//! `store` up uses this one; it uses only `crypto` (digests and keys) and `secret`.

pub mod document;
pub mod epoch;
pub mod expiry;
pub mod header;
pub mod keys;
pub mod layout;
pub mod members;
pub mod name;
pub mod refusal;
pub mod seal;
mod text;

pub use document::Document;
pub use epoch::Epoch;
pub use header::Header;
pub use name::Name;
pub use refusal::Refusal;
pub use refusal::Stage;

/// The version of the format that this program reads and writes.
pub const VERSION: i64 = 1;
/// Most bytes of a secret.
pub const SECRET_MAX_BYTES: usize = 64 << 20;
/// Most bytes of a signed document's header, its `sig` line included.
pub const HEADER_MAX_BYTES: usize = 64 << 10;
/// Most bytes of an entry's file.
pub const ENTRY_MAX_BYTES: u64 = 66 << 20;
/// Most bytes of a key file or of the member list.
pub const KEYS_MAX_BYTES: u64 = 1 << 20;
/// Most bytes of `.vault/format`.
pub const FORMAT_MAX_BYTES: u64 = 4 << 10;
