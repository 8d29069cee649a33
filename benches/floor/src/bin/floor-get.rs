//! `floor-get IDENTITY KEYFILE ENTRY` prints the secret of one entry.

use std::io::Write;

fn main() -> floor::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, identity, key_file, entry] = args.as_slice() else {
        return Err("usage: floor-get IDENTITY KEYFILE ENTRY".into());
    };
    let key = floor::store_key(identity, key_file)?;
    std::io::stdout().write_all(&floor::secret(&key, entry)?)?;
    Ok(())
}
