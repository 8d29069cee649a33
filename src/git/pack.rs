//! Packs: many objects in one file, as git makes them when it tidies or fetches.
//!
//! Lives here: finding and reading an object through a version 2 index. Never here: writing packs, or trust in what is
//! read: `odb` computes every digest anew. Called by `odb` alone.

use std::fs::File;
use std::io;
use std::io::BufReader;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::path::PathBuf;

use flate2::bufread::ZlibDecoder;

use crate::git::Error;
use crate::git::delta;
use crate::git::disk;
use crate::git::object::Id;
use crate::git::object::Kind;

/// Magic and version, then 256 numbers.
const TABLE_AT: u64 = 8;
const NAMES_AT: u64 = TABLE_AT + 256 * 4;
/// More deltas in a row than git ever makes.
const CHAIN_MAX: usize = 4096;
/// What a delta or its base may be at most, in bytes; a little more than the largest entry.
const BASE_MAX_BYTES: u64 = 80 * 1024 * 1024;

/// What the deltas of one object may take at most together, and what may be made on the way to it, in bytes. A real chain stays
/// far below; without these a file of some KiB could take all the memory, or hours.
const DELTAS_MAX_BYTES: usize = 160 * 1024 * 1024;
const MADE_MAX_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// The most objects whose ids begin with one byte: more than two hundred million in all.
const BUCKET_MAX: u64 = 1 << 20;

/// One pack and its index, open.
pub(super) struct Pack {
    path: PathBuf,
    index: File,
    content: File,
    table: Vec<u8>,
    count: u64,
}

/// What stands at an offset.
enum Found {
    Whole(Kind, Vec<u8>),
    Delta { base: u64, delta: Vec<u8> },
}

impl Pack {
    /// Opens the pack whose index is `path`.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, Error> {
        let pack_path = path.with_extension("pack");
        let (Some(index), Some(pack)) = (disk::open(path)?, disk::open(&pack_path)?) else {
            return Ok(None);
        };
        let mut head = vec![0; 8 + 256 * 4];
        index
            .read_exact_at(&mut head, 0)
            .map_err(Error::io("read", path))?;
        let table = head.split_off(8);
        if head != *b"\xfftOc\0\0\0\x02" {
            return Err(Error::Unusual {
                path: path.to_owned(),
                what: "an old pack index",
            });
        }
        let mut opened = Self {
            path: path.to_owned(),
            index,
            content: pack,
            table,
            count: 0,
        };
        opened.count = opened.below(256);
        Ok(Some(opened))
    }

    /// How many objects have a first byte below `first`.
    fn below(&self, first: usize) -> u64 {
        let Some(last) = first.checked_sub(1) else {
            return 0;
        };
        let found = self
            .table
            .chunks_exact(4)
            .nth(last)
            .and_then(|four| four.try_into().ok());
        found.map_or(0, |four| u64::from(u32::from_be_bytes(four)))
    }

    /// Where an object begins; none if it is not in this pack.
    pub(super) fn find(&self, id: &Id) -> Result<Option<u64>, Error> {
        let first = usize::from(id.as_bytes()[0]);
        let (low, high) = (self.below(first), self.below(first + 1));
        if low >= high {
            return Ok(None);
        }
        let length = high - low;
        if high > self.count || length > BUCKET_MAX {
            return Err(self.damaged("its index is out of order"));
        }
        let mut names = vec![0; usize::try_from(length * 20).unwrap_or(0)];
        self.read_index(&mut names, NAMES_AT + low * 20)?;
        let names: Vec<&[u8]> = names.chunks_exact(20).collect();
        match names.binary_search(&id.as_bytes().as_slice()) {
            Ok(nth) => self.offset(low + nth as u64).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// The offset of the nth object.
    fn offset(&self, nth: u64) -> Result<u64, Error> {
        let offsets_at = NAMES_AT + self.count * 24;
        let mut four = [0; 4];
        self.read_index(&mut four, offsets_at + nth * 4)?;
        let value = u64::from(u32::from_be_bytes(four));
        let Some(large) = value.checked_sub(1 << 31) else {
            return Ok(value);
        };
        let mut eight = [0; 8];
        self.read_index(&mut eight, offsets_at + self.count * 4 + large * 8)?;
        Ok(u64::from_be_bytes(eight))
    }

    fn read_index(&self, bytes: &mut [u8], at: u64) -> Result<(), Error> {
        self.index
            .read_exact_at(bytes, at)
            .map_err(Error::io("read", &self.path))
    }

    fn damaged(&self, why: &'static str) -> Error {
        Error::damaged(format!("\"{}\"", self.path.display()), why)
    }

    /// Reads the object at an offset, resolving deltas.
    pub(super) fn read(&self, at: u64, max_bytes: u64) -> Result<(Kind, Vec<u8>), Error> {
        let mut deltas: Vec<Vec<u8>> = Vec::new();
        let mut at = at;
        let (mut held, mut made) = (0_usize, 0_u64);
        let (kind, mut bytes) = loop {
            // The object itself has the caller's limit, what it is made from a wider one.
            let limit = if deltas.is_empty() {
                max_bytes
            } else {
                BASE_MAX_BYTES
            };
            match self.read_one(at, limit)? {
                Found::Whole(kind, bytes) => break (kind, bytes),
                Found::Delta { base, delta } => {
                    let size = delta::result_size(&delta);
                    let size = size.ok_or_else(|| self.damaged("a delta is cut"))?;
                    self.check_size(size, limit)?;
                    held = held.saturating_add(delta.len());
                    made = made.saturating_add(size);
                    if held > DELTAS_MAX_BYTES || made > MADE_MAX_BYTES {
                        return Err(self.damaged("its deltas make too much"));
                    }
                    deltas.push(delta);
                    at = base;
                }
            }
            if deltas.len() > CHAIN_MAX {
                return Err(self.damaged("deltas go in a circle"));
            }
        };
        while let Some(delta) = deltas.pop() {
            bytes = delta::apply(&bytes, &delta, BASE_MAX_BYTES.max(max_bytes))
                .ok_or_else(|| self.damaged("a delta does not fit"))?;
        }
        Ok((kind, bytes))
    }

    fn check_size(&self, size: u64, max_bytes: u64) -> Result<(), Error> {
        let what = || format!("an object in \"{}\"", self.path.display());
        if size > max_bytes {
            Err(Error::TooLarge {
                what: what(),
                max_bytes,
            })
        } else {
            Ok(())
        }
    }

    /// Reads what stands at an offset, without resolving a delta.
    fn read_one(&self, at: u64, max_bytes: u64) -> Result<Found, Error> {
        let cut = |_| self.damaged("it is cut short");
        let mut reader = BufReader::with_capacity(
            4096,
            At {
                file: &self.content,
                at,
            },
        );
        let first = byte(&mut reader).map_err(cut)?;
        let mut size = u64::from(first & 15);
        let (mut last, mut shift) = (first, 4);
        while last & 0x80 != 0 && shift < 60 {
            last = byte(&mut reader).map_err(cut)?;
            size |= u64::from(last & 0x7f) << shift;
            shift += 7;
        }
        let whole = match first >> 4 & 7 {
            1 => Some(Kind::Commit),
            2 => Some(Kind::Tree),
            3 => Some(Kind::Blob),
            4 => Some(Kind::Tag),
            6 | 7 => None,
            _ => return Err(self.damaged("an object has no known kind")),
        };
        let base = match first >> 4 & 7 {
            6 => at
                .checked_sub(back(&mut reader).map_err(cut)?)
                .filter(|base| *base < at),
            7 => {
                let mut id = [0; 20];
                reader.read_exact(&mut id).map_err(cut)?;
                self.find(&Id::from_bytes(id))?
            }
            _ => Some(0),
        };
        let base = base.ok_or_else(|| self.damaged("a delta has no base"))?;
        self.check_size(
            size,
            if whole.is_some() {
                max_bytes
            } else {
                BASE_MAX_BYTES
            },
        )?;
        let bytes = self.inflate(reader, size)?;
        Ok(match whole {
            Some(kind) => Found::Whole(kind, bytes),
            None => Found::Delta { base, delta: bytes },
        })
    }

    /// Unpacks exactly `size` bytes.
    fn inflate(&self, reader: BufReader<At<'_>>, size: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        let read = ZlibDecoder::new(reader)
            .take(size + 1)
            .read_to_end(&mut bytes);
        if read.is_err() || bytes.len() as u64 != size {
            return Err(self.damaged("an object does not unpack"));
        }
        Ok(bytes)
    }
}

/// Reads a file from an offset on, without moving its position.
struct At<'a> {
    file: &'a File,
    at: u64,
}

impl Read for At<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(bytes, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

fn byte(reader: &mut impl Read) -> io::Result<u8> {
    let mut one = [0];
    reader.read_exact(&mut one)?;
    Ok(one[0])
}

/// How far back a delta's base begins: seven bits a byte, highest first, each further byte adding one.
fn back(reader: &mut impl Read) -> io::Result<u64> {
    let mut last = byte(reader)?;
    let mut value = u64::from(last & 0x7f);
    while last & 0x80 != 0 {
        last = byte(reader)?;
        let next = value
            .checked_add(1)
            .and_then(|value| value.checked_mul(128));
        value = next.ok_or(io::ErrorKind::InvalidData)? | u64::from(last & 0x7f);
    }
    Ok(value)
}
