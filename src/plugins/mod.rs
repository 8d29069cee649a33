//! Other programs' protocols, one small file each: what their requests and answers mean. Pure: which entry answers is decided by
//! `policy::answer`, and what is said, asked and handed out lies in `cli`.

pub mod askpass;
pub mod cargo;
pub mod docker;
pub mod git;

/// The names by which other programs call this one, each with the words that it stands for.
pub const NAMES: [(&str, &[&str]); 4] = [
    ("git-credential-vault", &["git-credential"]),
    ("vault-askpass", &["askpass"]),
    ("docker-credential-vault", &["docker-credential"]),
    ("cargo-credential-vault", &["cargo-credential"]),
];
