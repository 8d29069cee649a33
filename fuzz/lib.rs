//! What several targets need: keys that never change, and an input in two parts.

use agevault::crypto::sign::WriterKey;
use agevault::format::Epoch;

/// A fixed epoch and its writer key.
pub fn keys() -> (Epoch, WriterKey) {
    let seed = "A".repeat(43);
    let key = WriterKey::from_seed_text(seed.as_bytes()).expect("32 zeros are a seed");
    let epoch = Epoch {
        store: "ab".repeat(16),
        number: 4,
        writer: key.public(),
    };
    (epoch, key)
}

/// The input up to its first line `---`, and the rest; all of it and nothing where there is none.
pub fn split(data: &[u8]) -> (&[u8], &[u8]) {
    const FENCE: &[u8] = b"---\n";
    match data.windows(FENCE.len()).position(|at| at == FENCE) {
        Some(at) => (&data[..at], &data[at + FENCE.len()..]),
        None => (data, &[]),
    }
}
