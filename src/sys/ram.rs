//! A folder in RAM for the moments in which a secret must be a file: an editor, and many a program, opens paths.
//!
//! Lives here: finding, making and wiping such a folder. Never here: what is written into it. `edit` and `exec` use it.
//!
//! A folder counts as RAM only if the kernel says that its file system is tmpfs or ramfs. The kernel may still move
//! tmpfs pages to swap: where swap is not encrypted, what was edited can be found there. macOS has no such file system,
//! so there is no folder, and the caller refuses.

#![allow(
    clippy::disallowed_methods,
    reason = "makes and wipes a folder of its own"
)]

use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::io::Seek;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::FlockOperation;
use rustix::fs::OFlags;

use crate::secret::Secret;
use crate::sys::fs;
use crate::sys::process;
use crate::sys::process::Witness;

/// Prefix of the folders' names, by which those left behind by a killed process are found.
const PREFIX: &str = "agevault-ram-";

/// How often a folder is made before giving up.
const TRIES: usize = 8;

/// A private folder in RAM; overwritten with zeros and removed when dropped, whatever an editor left in it included.
pub struct RamFolder {
    path: PathBuf,
    /// Locked while the folder is in use, so that no other process takes it for a left-over.
    #[allow(dead_code, reason = "dropping it releases the lock")]
    lock: File,
    /// Wipes the folder if this process is killed.
    witness: Option<Witness>,
}

impl RamFolder {
    /// Makes one in the first place that is RAM and ours to write to; `None` where there is none. `runtime` is the
    /// variable `XDG_RUNTIME_DIR`. Folders that a killed process left behind are wiped on the way.
    pub fn create(runtime: Option<&Path>) -> io::Result<Option<Self>> {
        for place in places(runtime) {
            if is_ram(&place) && is_safe(&place) {
                sweep(&place);
                match Self::create_in(&place) {
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                    made => return made.map(Some),
                }
            }
        }
        Ok(None)
    }

    /// From now on a helper wipes it when this process is killed, and does not wait for the next one that makes a folder.
    pub fn watch(&mut self) -> io::Result<()> {
        self.witness = Some(process::spawn_witness(process::SWEEP_VERB, &self.path)?);
        Ok(())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a new file, for this user alone, and returns its path.
    pub fn write(&self, name: &str, content: &Secret) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(content.expose())?;
        Ok(path)
    }

    /// Reads a file as the editor left it.
    pub fn read(&self, name: &str, max_bytes: u64) -> io::Result<Secret> {
        let mut file = open_plain(&self.path.join(name), false)?;
        fs::read_stream(&mut file, max_bytes)
    }

    /// Makes and locks a folder. Another process that sweeps may take it for a left-over before it is locked: then once more.
    fn create_in(place: &Path) -> io::Result<Self> {
        for _ in 0..TRIES {
            let mut random = [0; 8];
            getrandom::fill(&mut random).map_err(io::Error::other)?;
            let path = place.join(format!("{PREFIX}{:016x}", u64::from_ne_bytes(random)));
            DirBuilder::new().mode(0o700).create(&path)?;
            let Ok(lock) = File::open(&path) else {
                continue;
            };
            let is_locked = rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive);
            if is_locked.is_ok() && path.exists() {
                return Ok(Self {
                    path,
                    lock,
                    witness: None,
                });
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }
}

impl Drop for RamFolder {
    fn drop(&mut self) {
        wipe(&self.path);
        self.witness = None;
    }
}

/// The helper: waits until whoever started it is gone, which closes `told`, and wipes the folder if it is still there.
pub fn wipe_after(path: &Path, told: &mut dyn io::Read) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    if !name.starts_with(PREFIX.as_bytes()) || !path.parent().is_some_and(is_ram) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    io::copy(told, &mut io::sink())?;
    if path.exists() {
        wipe(path);
    }
    Ok(())
}

fn places(runtime: Option<&Path>) -> Vec<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let fixed = [
        PathBuf::from("/dev/shm"),
        PathBuf::from(format!("/run/user/{user}")),
    ];
    runtime
        .map(Path::to_path_buf)
        .into_iter()
        .chain(fixed)
        .collect()
}

#[cfg(target_os = "linux")]
#[allow(
    clippy::cast_sign_loss,
    clippy::unnecessary_cast,
    clippy::cast_lossless,
    reason = "the field has another type on other machines; the numbers have 32 bits"
)]
fn is_ram(place: &Path) -> bool {
    /// `statfs(2)`: `TMPFS_MAGIC` and `RAMFS_MAGIC`.
    const RAM: [u64; 2] = [0x0102_1994, 0x8584_58f6];
    let kind = rustix::fs::statfs(place).map(|found| found.f_type as u64 & 0xffff_ffff);
    kind.is_ok_and(|kind| RAM.contains(&kind))
}

#[cfg(not(target_os = "linux"))]
fn is_ram(_place: &Path) -> bool {
    false
}

/// Whether nobody else can rename what we put there: the place is ours or root's, and closed to others or sticky.
fn is_safe(place: &Path) -> bool {
    let us = rustix::process::geteuid().as_raw();
    std::fs::metadata(place).is_ok_and(|found| {
        [0, us].contains(&found.uid()) && (found.mode() & 0o022 == 0 || found.mode() & 0o1000 != 0)
    })
}

/// Wipes folders of ours that no process holds. What cannot be wiped now is tried again next time.
fn sweep(place: &Path) {
    let us = rustix::process::geteuid().as_raw();
    for found in std::fs::read_dir(place).into_iter().flatten().flatten() {
        let is_one = found
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes());
        if !is_one
            || !found
                .metadata()
                .is_ok_and(|about| about.is_dir() && about.uid() == us)
        {
            continue;
        }
        let Ok(folder) = File::open(found.path()) else {
            continue;
        };
        if rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
            wipe(&found.path());
        }
    }
}

/// Zeros over every file, then nothing. Goes on after an error: the rest is still worth wiping.
fn wipe(folder: &Path) {
    for found in walkdir::WalkDir::new(folder).into_iter().flatten() {
        if found.file_type().is_file() {
            let _ = zero(found.path());
        }
    }
    let _ = fs::remove_tree(folder);
}

fn zero(path: &Path) -> io::Result<()> {
    let mut file = open_plain(path, true)?;
    let length = file.metadata()?.len();
    file.rewind()?;
    io::copy(&mut io::Read::take(io::repeat(0), length), &mut file)?;
    Ok(())
}

/// Opens a regular file, never through a link and never waiting for a pipe's other end.
fn open_plain(path: &Path, write: bool) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let mut options = File::options();
    let file = options
        .read(!write)
        .write(write)
        .custom_flags(flags.cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(file)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_private_and_gone_afterwards() {
        let folder = RamFolder::create(None).unwrap().unwrap();
        let path = folder.path().to_path_buf();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        let file = folder.write("entry", &Secret::copy_of(b"old")).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        std::fs::write(path.join(".entry.swp"), "traces").unwrap();
        std::fs::write(&file, "new").unwrap();
        assert_eq!(folder.read("entry", 3).unwrap().expose(), b"new");
        assert!(folder.read("entry", 2).is_err());

        // Still seen through a descriptor that was open before.
        let witness = File::open(&file).unwrap();
        drop(folder);
        assert!(!path.exists());
        assert_eq!(
            fs::read_stream(&mut &witness, 100).unwrap().expose(),
            b"\0\0\0"
        );
    }

    #[test]
    fn left_overs_are_swept_and_those_in_use_are_not() {
        // A place of its own: other tests sweep the real one.
        let place = tempfile::tempdir().unwrap();
        let used = RamFolder::create_in(place.path()).unwrap();
        let left = RamFolder::create_in(place.path()).unwrap();
        let path = left.path.clone();
        rustix::fs::flock(&left.lock, FlockOperation::Unlock).unwrap();
        sweep(place.path());
        assert!(used.path.exists());
        assert!(!path.exists());
    }

    #[test]
    fn a_disk_is_not_ram_and_an_open_place_not_safe() {
        assert!(!is_ram(Path::new("/proc")));
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(
            folder.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o777),
        )
        .unwrap();
        assert!(!is_safe(folder.path()));
    }

    #[test]
    fn a_link_is_not_read() {
        let folder = RamFolder::create(None).unwrap().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("entry")).unwrap();
        assert!(folder.read("entry", 1 << 20).is_err());
    }
}
