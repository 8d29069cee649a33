//! What both floor programs share: read a file, open it, and take the part that counts.
//!
//! No command line parser, no TOML, no signature, no checks: whoever wants to be faster than this
//! has to leave out age itself.

use std::error::Error;
use std::fs;

use age::x25519::Identity;

/// Any failure ends the program with its text.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The store key: the identity in the file `identity` opens `key_file`, whose body names it first.
pub fn store_key(identity: &str, key_file: &str) -> Result<Identity> {
    let own = first_key(&fs::read(identity)?)?;
    first_key(body(&age::decrypt(&own, &fs::read(key_file)?)?))
}

/// The secret in the entry file `entry`.
pub fn secret(key: &Identity, entry: &str) -> Result<Vec<u8>> {
    Ok(body(&age::decrypt(key, &fs::read(entry)?)?).to_vec())
}

/// What follows the first line `---`.
fn body(document: &[u8]) -> &[u8] {
    let mark = b"\n---\n";
    let at = document
        .windows(mark.len())
        .position(|window| window == mark);
    at.map_or(&[], |at| &document[at + mark.len()..])
}

/// The first line of an identity file that is a native age key.
fn first_key(text: &[u8]) -> Result<Identity> {
    let line = std::str::from_utf8(text)?
        .lines()
        .find(|line| line.starts_with("AGE-SECRET-KEY-1"))
        .ok_or("no age key")?;
    Ok(line.parse()?)
}
