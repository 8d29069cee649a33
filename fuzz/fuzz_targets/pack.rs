//! A pack and its index: one object at the pack's beginning, or where the input says.

#![no_main]

use std::path::PathBuf;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [at, data @ ..] = data else { return };
    let (index, content) = agevault_fuzz::split(data);
    let memory = PathBuf::from("/dev/shm");
    let path = memory.join(format!("agevault-fuzz-{}.idx", std::process::id()));
    let mut whole = b"\xfftOc\0\0\0\x02".to_vec();
    whole.extend_from_slice(&[0, 0, 0, 1].repeat(256));
    whole.extend_from_slice(index);
    std::fs::write(&path, whole).unwrap();
    let head = b"PACK\0\0\0\x02\0\0\0\x01";
    std::fs::write(path.with_extension("pack"), [head, content].concat()).unwrap();
    agevault::git::doors::pack(&path, 12 + u64::from(*at));
});
