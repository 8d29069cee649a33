//! Writing a pack: many blobs in one file, where as many files of their own would cost more than what is in them.
//!
//! Lives here: the bytes of a version 2 pack without deltas, and of its index. Never here: reading packs (`pack`), or where they
//! lie (`odb`). Called by `odb` alone.

use std::collections::BTreeMap;
use std::io;
use std::io::Write;

use flate2::Compression;
use flate2::Crc;
use flate2::write::ZlibEncoder;
use sha1::Digest;
use sha1::Sha1;

use crate::git::Error;
use crate::git::object::Id;
use crate::git::object::Kind;
use crate::git::object::id_of;
use crate::sys::fs::parallel;

/// From this many blobs on, they are shared among the cores.
const PARALLEL_FROM: usize = 64;
/// The kind of a whole blob in a pack.
const BLOB: u8 = 3;

/// A pack and its index, as they are written.
pub(super) struct Packing {
    /// What its files are called after `pack-`: the digest of what it is.
    pub(super) name: String,
    /// The pack.
    pub(super) pack: Vec<u8>,
    /// The index.
    pub(super) index: Vec<u8>,
    /// The ids of the blobs, in the order in which they were given.
    pub(super) ids: Vec<Id>,
}

/// One object, as it stands in a pack.
struct Packed {
    id: Id,
    bytes: Vec<u8>,
    crc: u32,
}

impl Packing {
    /// Packs blobs; `None` for what has no room in one pack with short offsets.
    pub(super) fn of(contents: &[&[u8]]) -> Result<Option<Self>, Error> {
        let collision = || Error::damaged("a new object", "it is made for a SHA-1 collision");
        let made = parallel(contents, PARALLEL_FROM, |body| {
            let id = id_of(Kind::Blob, body).ok_or_else(collision)?;
            let bytes = packed(body).map_err(Error::io("pack", "objects"))?;
            let mut crc = Crc::new();
            crc.update(&bytes);
            Ok::<_, Error>(Packed {
                id,
                bytes,
                crc: crc.sum(),
            })
        });
        let made = made.into_iter().collect::<Result<Vec<_>, _>>()?;
        let ids = made.iter().map(|one| one.id).collect();
        let by_id: BTreeMap<Id, &Packed> = made.iter().map(|one| (one.id, one)).collect();
        let Some((pack, offsets)) = pack(&by_id) else {
            return Ok(None);
        };
        let checksum = pack.get(pack.len() - 20..).unwrap_or_default();
        let name = <[u8; 20]>::try_from(checksum).map_or_else(|_| String::new(), hex);
        let index = index(&by_id, &offsets, checksum);
        Ok(Some(Self {
            name,
            pack,
            index,
            ids,
        }))
    }
}

/// A digest in hex, as ids are written.
fn hex(digest: [u8; 20]) -> String {
    Id::from_bytes(digest).to_string()
}

/// An object in a pack: kind and size, then its bytes. They are encrypted, so squeezing them would only cost time.
fn packed(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(body.len() + 32);
    let mut size = body.len();
    let mut byte = BLOB << 4 | low_bits(size, 0x0f);
    size >>= 4;
    while size > 0 {
        out.push(byte | 0x80);
        byte = low_bits(size, 0x7f);
        size >>= 7;
    }
    out.push(byte);
    let mut encoder = ZlibEncoder::new(out, Compression::none());
    encoder.write_all(body)?;
    encoder.finish()
}

/// The lowest bits of a number.
fn low_bits(number: usize, mask: u8) -> u8 {
    let [low, ..] = number.to_le_bytes();
    low & mask
}

/// The pack, and where each object begins in it.
fn pack(objects: &BTreeMap<Id, &Packed>) -> Option<(Vec<u8>, Vec<u32>)> {
    let total: usize = objects.values().map(|one| one.bytes.len()).sum();
    let count = u32::try_from(objects.len()).ok()?;
    let mut out = Vec::with_capacity(total + 32);
    out.extend_from_slice(b"PACK\0\0\0\x02");
    out.extend_from_slice(&count.to_be_bytes());
    let mut offsets = Vec::with_capacity(objects.len());
    for object in objects.values() {
        let offset = u32::try_from(out.len()).ok();
        offsets.push(offset.filter(|offset| *offset < 1 << 31)?);
        out.extend_from_slice(&object.bytes);
    }
    let checksum = Sha1::digest(&out);
    out.extend_from_slice(&checksum);
    Some((out, offsets))
}

/// The index: how many ids begin with each byte or a lower one, the ids, their checksums, where they begin.
fn index(objects: &BTreeMap<Id, &Packed>, offsets: &[u32], checksum: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(objects.len() * 28 + 1100);
    out.extend_from_slice(b"\xfftOc\0\0\0\x02");
    let mut ids = objects.keys().peekable();
    let mut count = 0_u32;
    for first in 0..=u8::MAX {
        while ids.next_if(|id| id.as_bytes()[0] == first).is_some() {
            count += 1;
        }
        out.extend_from_slice(&count.to_be_bytes());
    }
    for id in objects.keys() {
        out.extend_from_slice(id.as_bytes());
    }
    for object in objects.values() {
        out.extend_from_slice(&object.crc.to_be_bytes());
    }
    for offset in offsets {
        out.extend_from_slice(&offset.to_be_bytes());
    }
    out.extend_from_slice(checksum);
    let own = Sha1::digest(&out);
    out.extend_from_slice(&own);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::pack::Pack;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "tests make files")]
    fn what_is_packed_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let bodies: Vec<Vec<u8>> = (0..300_u32)
            .map(|n| n.to_be_bytes().repeat(usize::try_from(n).unwrap() * 7 + 1))
            .chain([Vec::new(), vec![7; 70_000]])
            .collect();
        let mut contents: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        contents.push(&bodies[0]);
        let packing = Packing::of(&contents).unwrap().unwrap();
        let path = folder.path().join("pack-x");
        std::fs::write(path.with_extension("pack"), &packing.pack).unwrap();
        std::fs::write(path.with_extension("idx"), &packing.index).unwrap();
        let pack = Pack::open(&path.with_extension("idx")).unwrap().unwrap();
        for (id, body) in packing.ids.iter().zip(&contents) {
            let at = pack.find(id).unwrap().unwrap();
            let (kind, bytes) = pack.read(at, 100_000).unwrap();
            assert_eq!((kind, bytes.as_slice()), (Kind::Blob, *body));
        }
        assert!(pack.find(&Id::from_bytes([9; 20])).unwrap().is_none());
    }
}
