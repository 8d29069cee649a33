//! What this device has handed to which host, and what a host has refused: a record of digests, of no secret. A hint.
//!
//! A line is a word, seconds since 1970, the host, the entry's revision, a keyed digest of host and secret, and the entry's name, parted
//! by tabs. The key lies beside it; without it a digest tells nothing about a secret. So a program that says later which
//! secret was refused is understood without opening an entry.

use std::path::Path;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::crypto::keyed;
use crate::crypto::sign::random_hex;
use crate::format::Header;
use crate::store::Error;
use crate::sys::fs;

/// The record, in the store's local state.
const FILE: &str = "offers";
/// The key of its digests.
const KEY_FILE: &str = "offers-key";
/// How many random bytes the key has.
const KEY_BYTES: usize = 32;
/// From this size on the record is written anew.
const FULL_BYTES: u64 = 64 << 10;
/// Most bytes that are read of it.
const READ_MAX_BYTES: u64 = 1 << 20;
/// How many lines stay when it is written anew.
const KEPT_LINES: usize = 200;

/// That a host has refused what an entry held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The entry.
    pub name: String,
    /// Its revision then: a changed entry was not refused.
    pub rev: u64,
    /// The host with its port.
    pub host: String,
    /// When.
    pub at: Timestamp,
}

/// What has become of a secret at a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Given,
    Refused,
    Accepted,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    event: Event,
    at: Timestamp,
    host: String,
    rev: u64,
    digest: String,
    name: String,
}

/// The record of one store.
pub struct Offers {
    folder: PathBuf,
    /// None where nothing was noted yet.
    key: Option<String>,
    rows: Vec<Row>,
}

impl Refused {
    /// Whether it is this entry, unchanged since.
    pub fn is_of(&self, header: &Header) -> bool {
        self.name == header.name && self.rev == header.rev
    }
}

impl Offers {
    /// Reads the record in a store's local state. A line that is not understood is passed over.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let text = |file: &str| -> Result<Option<String>, Error> {
            match fs::read(&folder.join(file), READ_MAX_BYTES) {
                Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
                Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        let rows = text(FILE)?.unwrap_or_default();
        Ok(Self {
            folder: folder.to_owned(),
            key: if rows.is_empty() {
                None
            } else {
                text(KEY_FILE)?
            },
            rows: rows.lines().filter_map(Row::parse).collect(),
        })
    }

    /// What hosts have refused and not accepted since.
    pub fn refused(&self) -> Vec<Refused> {
        let mut refused: Vec<Refused> = Vec::new();
        for row in self.rows.iter().filter(|row| row.event != Event::Given) {
            let is_same = |one: &Refused| (&one.name, &one.host) == (&row.name, &row.host);
            refused.retain(|one| !is_same(one));
            if row.event == Event::Refused {
                refused.push(Refused {
                    name: row.name.clone(),
                    rev: row.rev,
                    host: row.host.clone(),
                    at: row.at,
                });
            }
        }
        refused
    }

    /// Notes that an entry's secret is handed to a host, unless that is known.
    pub fn give(
        &mut self,
        at: Timestamp,
        host: &str,
        header: &Header,
        secret: &[u8],
    ) -> Result<(), Error> {
        let row = Row {
            event: Event::Given,
            at,
            host: host.to_owned(),
            rev: header.rev,
            digest: self.digest(host, secret)?,
            name: header.name.clone(),
        };
        let is_known = |known: &Row| {
            Row {
                event: Event::Given,
                at,
                ..known.clone()
            } == row
        };
        if self.rows.iter().any(is_known) {
            return Ok(());
        }
        self.add(row)
    }

    /// Notes that a host has refused a secret; the entry that it is of, if this device has handed that out.
    pub fn refuse(
        &mut self,
        at: Timestamp,
        host: &str,
        secret: &[u8],
    ) -> Result<Option<String>, Error> {
        self.note(Event::Refused, at, host, secret)
    }

    /// Notes that a host has taken a secret; the entry that it is of, if this device has handed that out.
    pub fn accept(
        &mut self,
        at: Timestamp,
        host: &str,
        secret: &[u8],
    ) -> Result<Option<String>, Error> {
        self.note(Event::Accepted, at, host, secret)
    }

    fn note(
        &mut self,
        event: Event,
        at: Timestamp,
        host: &str,
        secret: &[u8],
    ) -> Result<Option<String>, Error> {
        if self.key.is_none() {
            return Ok(None);
        }
        let digest = self.digest(host, secret)?;
        let mut known = self.rows.iter().rev();
        let Some(given) = known.find(|row| row.host == host && row.digest == digest) else {
            return Ok(None);
        };
        let given = given.clone();
        let mut noted = self.refused().into_iter();
        let is_refused = noted.any(|one| (&one.name, &one.host) == (&given.name, &given.host));
        // What was never refused need not be taken back.
        if event == Event::Refused || is_refused {
            self.add(Row {
                event,
                at,
                ..given.clone()
            })?;
        }
        Ok(Some(given.name))
    }

    fn digest(&mut self, host: &str, secret: &[u8]) -> Result<String, Error> {
        if self.key.is_none() {
            let key = random_hex(KEY_BYTES)?;
            let folder = fs::make_private(&self.folder)?;
            folder.replace(Path::new(KEY_FILE), key.as_bytes())?;
            self.key = Some(key);
        }
        let key = self.key.as_deref().unwrap_or_default();
        Ok(keyed::digest_hex(
            key.as_bytes(),
            &[host.as_bytes(), secret],
        ))
    }

    fn add(&mut self, row: Row) -> Result<(), Error> {
        let size = fs::append(&self.folder.join(FILE), row.line().as_bytes())?;
        self.rows.push(row);
        if size >= FULL_BYTES {
            let start = self.rows.len().saturating_sub(KEPT_LINES);
            self.rows.drain(..start);
            let text: String = self.rows.iter().map(Row::line).collect();
            fs::make_private(&self.folder)?.replace(Path::new(FILE), text.as_bytes())?;
        }
        Ok(())
    }
}

impl Row {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.splitn(6, '\t');
        let mut next = || words.next();
        Some(Self {
            event: match next()? {
                "given" => Event::Given,
                "refused" => Event::Refused,
                "accepted" => Event::Accepted,
                _ => return None,
            },
            at: Timestamp::from_second(next()?.parse().ok()?).ok()?,
            host: next()?.to_owned(),
            rev: next()?.parse().ok()?,
            digest: next()?.to_owned(),
            name: next()?.to_owned(),
        })
    }

    fn line(&self) -> String {
        let word = match self.event {
            Event::Given => "given",
            Event::Refused => "refused",
            Event::Accepted => "accepted",
        };
        format!(
            "{word}\t{}\t{}\t{}\t{}\t{}\n",
            self.at.as_second(),
            self.host,
            self.rev,
            self.digest,
            self.name
        )
    }
}

/// Parses the bytes of a record: for the fuzz target.
#[doc(hidden)]
pub fn parses(text: &str) -> bool {
    let rows: Vec<Row> = text.lines().filter_map(Row::parse).collect();
    rows.iter()
        .all(|row| Row::parse(row.line().trim_end_matches('\n')).as_ref() == Some(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(rev: u64) -> Header {
        Header {
            name: "github/ci".into(),
            rev,
            ..Header::default()
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_refusal_is_known_by_the_secret_alone() {
        let folder = tempfile::tempdir().unwrap();
        let load = || Offers::load(folder.path()).unwrap();
        assert_eq!(load().refuse(at(0), "h", b"token").unwrap(), None);
        load().give(at(0), "h", &header(3), b"token").unwrap();
        load().give(at(5), "h", &header(3), b"token").unwrap();
        assert_eq!(load().rows.len(), 1);
        assert_eq!(load().refuse(at(9), "h", b"other").unwrap(), None);
        assert_eq!(load().refuse(at(9), "elsewhere", b"token").unwrap(), None);
        assert_eq!(
            load().refuse(at(9), "h", b"token").unwrap().as_deref(),
            Some("github/ci")
        );
        let refused = load().refused();
        assert_eq!((refused.len(), refused[0].at), (1, at(9)));
        assert!(refused[0].is_of(&header(3)) && !refused[0].is_of(&header(4)));
        assert_eq!(
            load().accept(at(10), "h", b"token").unwrap().as_deref(),
            Some("github/ci")
        );
        assert!(load().refused().is_empty());
        let bytes = fs::read(&folder.path().join(FILE), READ_MAX_BYTES).unwrap();
        assert!(!String::from_utf8(bytes).unwrap().contains("token"));
    }

    #[test]
    fn the_record_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut offers = Offers::load(folder.path()).unwrap();
        for count in 0..1500 {
            offers
                .give(at(count), "h", &header(1), &count.to_be_bytes())
                .unwrap();
        }
        let size = std::fs::metadata(folder.path().join(FILE)).unwrap().len();
        assert!(size < FULL_BYTES, "{size}");
        let last = 1499_i64.to_be_bytes();
        assert!(
            Offers::load(folder.path())
                .unwrap()
                .refuse(at(0), "h", &last)
                .unwrap()
                .is_some()
        );
    }
}
