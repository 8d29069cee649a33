//! Masking of a stream in any pieces: the same as in one piece, and no secret is left in it.

#![no_main]

use agevault::exec::mask::Masker;
use agevault::exec::mask::Shapes;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (secrets, stream) = agevault_fuzz::split(data);
    let secrets: Vec<&[u8]> = secrets.split(|byte| *byte == b'\n').take(4).collect();
    let Some(shapes) = Shapes::of(secrets.iter().map(|secret| &secret[..secret.len().min(64)])) else {
        return;
    };
    let whole = masked(&shapes, std::iter::once(stream));
    assert_eq!(masked(&shapes, stream.chunks(1)), whole);
    let cut = secrets.first().map_or(0, |secret| secret.len()) % 7 + 2;
    assert_eq!(masked(&shapes, stream.chunks(cut)), whole);
    for secret in secrets.iter().filter(|secret| (4..=64).contains(&secret.len()) && !secret.contains(&b'*')) {
        assert!(!whole.windows(secret.len()).any(|at| at == *secret) || secret.ends_with(b"\r"));
    }
});

fn masked<'s>(shapes: &Shapes, pieces: impl Iterator<Item = &'s [u8]>) -> Vec<u8> {
    let mut masker = Masker::new(shapes);
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(masker.feed(piece));
    }
    out.extend_from_slice(masker.finish());
    out
}
