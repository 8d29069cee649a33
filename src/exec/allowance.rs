//! Which project files this device has been told to trust: each by its path, its content, and the store that it was meant for.
//!
//! Lives here: the folder `allowed` of the local state, a small file for each path. Never here: what a project file says.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::path::PathBuf;

use crate::crypto::sign::digest_hex;
use crate::sys::fs;
use crate::sys::fs::Dir;

/// The folder's name.
const FOLDER: &str = "allowed";
/// Most bytes of one record: two digests and a path.
const RECORD_MAX_BYTES: u64 = 16 << 10;

/// What is trusted, as remembered on this device.
pub struct Allowances {
    folder: PathBuf,
}

/// One file that is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Its canonical path.
    pub path: PathBuf,
    /// The digest of its content.
    pub digest: String,
    /// The id of the store.
    pub store: String,
}

impl Allowances {
    /// Those of a device, below the folder of all local state.
    pub fn of(state_home: &Path) -> Self {
        Self {
            folder: state_home.join(FOLDER),
        }
    }

    /// Whether a file is trusted, with this very content, for this store.
    pub fn hold(&self, path: &Path, content: &[u8], store: &str) -> Result<bool, fs::Error> {
        let known = self.record(path)?;
        Ok(known.is_some_and(|known| known.digest == digest(content) && known.store == store))
    }

    /// What is remembered of a path, whatever the file has become since.
    pub fn record(&self, path: &Path) -> Result<Option<Allowed>, fs::Error> {
        let Some(dir) = self.dir()? else {
            return Ok(None);
        };
        let bytes = dir.read(Path::new(&file_of(path)), RECORD_MAX_BYTES)?;
        let record = bytes.and_then(|bytes| Allowed::parse(&bytes));
        Ok(record.filter(|record| record.path == path))
    }

    /// Trusts a file with this content.
    pub fn allow(&self, path: &Path, content: &[u8], store: &str) -> Result<(), fs::Error> {
        let digest = digest(content);
        let record = [
            digest.as_bytes(),
            b"\n",
            store.as_bytes(),
            b"\n",
            path.as_os_str().as_bytes(),
        ];
        let dir = fs::make_private(&self.folder)?;
        dir.replace(Path::new(&file_of(path)), &record.concat())
    }

    /// Takes it back; whether there was anything to take back.
    pub fn deny(&self, path: &Path) -> Result<bool, fs::Error> {
        let Some(dir) = self.dir()? else {
            return Ok(false);
        };
        let file = file_of(path);
        let was_there = dir.stat(Path::new(&file))?.is_some();
        dir.remove(Path::new(&file))?;
        Ok(was_there)
    }

    /// Everything that is trusted, by path.
    pub fn list(&self) -> Result<Vec<Allowed>, fs::Error> {
        let Some(dir) = self.dir()? else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        for (name, _) in dir.names(Path::new(""))? {
            let bytes = dir.read(&name, RECORD_MAX_BYTES)?;
            all.extend(bytes.and_then(|bytes| Allowed::parse(&bytes)));
        }
        all.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(all)
    }

    fn dir(&self) -> Result<Option<Dir>, fs::Error> {
        match Dir::open(&self.folder) {
            Ok(dir) => Ok(Some(dir)),
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Allowed {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
        let mut text = || String::from_utf8(parts.next()?.to_vec()).ok();
        let (digest, store) = (text()?, text()?);
        let path = PathBuf::from(OsString::from_vec(parts.next()?.to_vec()));
        Some(Self {
            path,
            digest,
            store,
        })
    }
}

/// The digest of a file's content: what `sha256sum` prints.
pub fn digest(content: &[u8]) -> String {
    digest_hex(content)
}

fn file_of(path: &Path) -> String {
    digest_hex(path.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_is_bound_to_path_content_and_store() {
        let temp = tempfile::tempdir().unwrap();
        let all = Allowances::of(temp.path());
        let path = Path::new("/home/you/x/.agevault.toml");
        let holds = |path: &str, content: &[u8], store: &str| {
            all.hold(Path::new(path), content, store).unwrap()
        };
        assert!(!holds("/home/you/x/.agevault.toml", b"a", "s"));
        assert!(!all.deny(path).unwrap());
        all.allow(path, b"a", "s").unwrap();
        assert!(holds("/home/you/x/.agevault.toml", b"a", "s"));
        assert!(!holds("/home/you/x/.agevault.toml", b"b", "s"));
        assert!(!holds("/home/you/x/.agevault.toml", b"a", "t"));
        assert!(!holds("/home/you/y/.agevault.toml", b"a", "s"));
        all.allow(path, b"b", "s").unwrap();
        assert!(!holds("/home/you/x/.agevault.toml", b"a", "s"));
        assert_eq!(all.list().unwrap().len(), 1);
        assert!(all.deny(path).unwrap());
        assert!(!holds("/home/you/x/.agevault.toml", b"b", "s"));
        assert!(all.list().unwrap().is_empty());
    }
}
