//! One way to touch a file: private, bounded, atomic, and never through a link.
//!
//! Lives here: reading with a limit, replacing atomically, locking, and walking a store. Never here: what the bytes mean.
//! Any layer may use it; clippy refuses the standard calls everywhere else.

#![allow(clippy::disallowed_methods, reason = "the home of file access")]

pub mod beneath;
mod dir;
mod lock;
mod stat;
mod upward;
mod walk;

use std::fmt;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

pub use self::dir::Dir;
pub use self::lock::Lock;
pub use self::stat::Kind;
pub use self::stat::Stat;
pub use self::upward::find_upward;
pub use self::upward::read_trusted;
pub use self::walk::Found;
pub use self::walk::Seen;
pub use self::walk::is_too_deep;
pub use self::walk::walk;
pub use self::walk::walk_with;

use self::lock::lock_file;
use self::stat::kind_of;
use self::stat::regular;
use self::stat::stat_of;
use crate::secret::Secret;

/// Prefix of the temporary files that this program makes (W-114).
pub const TEMP_PREFIX: &str = ".vault-tmp-";
/// In how many parts work is taken by each core, so that a slow one does not keep the others waiting.
const RUNS: usize = 16;

/// What could not be done, and to which file.
#[derive(Debug)]
pub struct Error {
    /// The verb of the sentence: "read", "write", …
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot {} {}: {}",
            self.action,
            self.path.display(),
            self.source
        )
    }
}

impl Error {
    /// Whether this user may not write there at all.
    pub fn is_read_only(&self) -> bool {
        let kind = self.source.kind();
        matches!(
            kind,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
        )
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The outcome of something done to a file.
pub type Result<T> = std::result::Result<T, Error>;

/// The bytes of a file that the user named; links are followed, anything but a regular file is refused.
pub fn read(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let err = |e| fail("read", path, e);
    let mut file = open_named(path).map_err(err)?;
    read_bounded(&mut file, max_bytes).map_err(err)
}

/// The same into a buffer that is wiped.
pub fn read_secret(path: &Path, max_bytes: u64) -> Result<Secret> {
    read(path, max_bytes).map(Secret::new)
}

/// Everything from a stream of unknown length, up to a limit, leaving no copy behind while the buffer grows.
pub fn read_stream(stream: &mut dyn Read, max_bytes: u64) -> io::Result<Secret> {
    let mut whole = zeroize::Zeroizing::new(Vec::with_capacity(1 << 16));
    loop {
        if whole.len() == whole.capacity() {
            let mut larger = zeroize::Zeroizing::new(Vec::with_capacity(whole.capacity() * 4));
            larger.extend_from_slice(&whole);
            whole = larger;
        }
        let room = (whole.capacity() - whole.len()) as u64;
        if stream.take(room).read_to_end(&mut whole)? == 0 {
            return Ok(Secret::new(std::mem::take(&mut *whole)));
        }
        if whole.len() as u64 > max_bytes {
            return Err(too_large(max_bytes));
        }
    }
}

/// What stands at a path that the user named, links followed; `None` if nothing does.
pub fn kind(path: &Path) -> Option<Kind> {
    let kind = std::fs::metadata(path).ok()?;
    Some(if kind.is_file() {
        Kind::File
    } else if kind.is_dir() {
        Kind::Folder
    } else {
        Kind::Special
    })
}

/// The path with every link resolved; `None` if something on it is missing.
pub fn canonical(path: &Path) -> Option<PathBuf> {
    std::fs::canonicalize(path).ok()
}

/// Where a symbolic link points; `None` if there is none.
pub fn link_target(path: &Path) -> Option<PathBuf> {
    std::fs::read_link(path).ok()
}

/// Makes a symbolic link that points to `target`; what is there already is left as it is, and an error. The folder is made.
pub fn make_link(path: &Path, target: &Path) -> Result<()> {
    let err = |e| fail("make", path, e);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(err)?;
    }
    std::os::unix::fs::symlink(target, path).map_err(err)
}

/// Removes a file or a link, if it is there.
pub fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(fail("remove", path, error)),
        _ => Ok(()),
    }
}

/// Makes a folder for this user alone, with those on the way; an existing one is left as it is.
pub fn make_private(path: &Path) -> Result<Dir> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.map_err(|e| fail("make", path, e))?;
    Dir::open(path)
}

/// Removes a folder of our own making and everything in it; links in it are removed, not followed.
pub fn remove_tree(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(fail("remove", path, error)),
        _ => Ok(()),
    }
}

/// Adds a record to the end of a private file in one write, and returns the file's size then; a write cut short is
/// taken back.
pub fn append(path: &Path, bytes: &[u8]) -> Result<u64> {
    let err = |e| fail("write", path, e);
    let mut file = lock_file(path).map_err(err)?;
    let before = file.metadata().map_err(err)?.len();
    file.write_all(bytes).map_err(|error| {
        let _ = file.set_len(before);
        err(error)
    })?;
    Ok(before + bytes.len() as u64)
}

/// Applies a function to every item, in order, on all cores once there are more than `least` items. There are as many answers
/// as items: if one panics, so does this.
pub fn parallel<T: Sync, R: Send>(
    items: &[T],
    least: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if items.len() < least || cores == 1 {
        return items.iter().map(work).collect();
    }
    let run = (items.len() / (cores * RUNS)).max(1);
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            let from = next.fetch_add(run, Ordering::Relaxed);
            let rest = items.get(from..).unwrap_or_default();
            if rest.is_empty() {
                return done;
            }
            let part: Vec<R> = rest.iter().take(run).map(&work).collect();
            done.push((from, part));
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores.min(items.len()))
            .map(|_| scope.spawn(take))
            .collect();
        let mut parts = Vec::new();
        for thread in threads {
            match thread.join() {
                Ok(done) => parts.extend(done),
                // A missing answer must not look like a good one.
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        parts.sort_unstable_by_key(|(from, _)| *from);
        parts.into_iter().flat_map(|(_, part)| part).collect()
    })
}

/// Opens a file that the user named, if it is a regular one. A pipe is let through: `--from-file <(...)`.
fn open_named(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(file)
}

/// Reads a whole file into a buffer that is as large as it will get before it is filled.
fn read_bounded(file: &mut File, max_bytes: u64) -> io::Result<Vec<u8>> {
    let stat = rustix::fs::fstat(&*file)?;
    if kind_of(stat.st_mode) != Kind::File {
        let secret = read_stream(file, max_bytes)?;
        return Ok(secret.expose().to_vec());
    }
    read_sized(file, stat_of(&stat).size, max_bytes)
}

/// The same of nothing but a file.
fn read_regular(file: &mut File, max_bytes: u64) -> io::Result<Vec<u8>> {
    let stat = rustix::fs::fstat(&*file)?;
    regular(kind_of(stat.st_mode))?;
    read_sized(file, stat_of(&stat).size, max_bytes)
}

fn read_sized(file: &mut File, size: u64, max_bytes: u64) -> io::Result<Vec<u8>> {
    if size > max_bytes {
        return Err(too_large(max_bytes));
    }
    let size = usize::try_from(size).map_err(|_| too_large(max_bytes))?;
    // The size that it had when it was opened: what is appended meanwhile belongs to the next reading.
    let mut bytes = vec![0; size];
    let mut filled = 0;
    while let Some(free) = bytes.get_mut(filled..).filter(|free| !free.is_empty()) {
        match file.read(free) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn too_large(max_bytes: u64) -> io::Error {
    let limit = match (max_bytes % (1 << 20), max_bytes % (1 << 10)) {
        (0, _) => format!("{} MiB", max_bytes >> 20),
        (_, 0) => format!("{} KiB", max_bytes >> 10),
        _ => format!("{max_bytes} bytes"),
    };
    let text = format!("larger than the limit of {limit}");
    io::Error::new(io::ErrorKind::FileTooLarge, text)
}

fn fail(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
