//! A local socket between two processes of one user, and files in memory handed over on it.
//!
//! Lives here: the private folder, binding and connecting, who is at the other end, bytes with a file beside them. Never
//! here: what a message means. The agent and its client call it. Linux only: other systems do not tell the peer, or
//! have no file in memory that can be sealed, in a form that needs no `unsafe`.

#![allow(clippy::disallowed_methods, reason = "the home of the socket")]

use std::fs::File;
use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::FileType;
use rustix::fs::MemfdFlags;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::SealFlags;
use rustix::net::RecvAncillaryBuffer;
use rustix::net::RecvAncillaryMessage;
use rustix::net::RecvFlags;
use rustix::net::SendAncillaryBuffer;
use rustix::net::SendAncillaryMessage;
use rustix::net::SendFlags;

use crate::secret::Secret;

/// What a file in memory must forbid before it is read: nobody changes it under the reader's eyes, and reading it
/// cannot hang as reading a file of some file systems can.
const SEALS: SealFlags = SealFlags::WRITE
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW);

/// What others than the owner may do.
const OTHERS: Mode = Mode::RWXG.union(Mode::RWXO);

/// A folder that belongs to this user and that nobody else can enter.
pub struct Private {
    fd: OwnedFd,
}

impl Private {
    /// Opens it, if it is one: no link, owned by this user, closed to all others.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&fd)?;
        let is_ours = stat.st_uid == rustix::process::geteuid().as_raw();
        if is_ours && Mode::from_raw_mode(stat.st_mode) & OTHERS == Mode::empty() {
            Ok(Self { fd })
        } else {
            let text = "it is not this user's own, closed to all others";
            Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
        }
    }

    /// Makes it where it is not there yet.
    pub fn make(path: &Path) -> io::Result<Self> {
        let mut folder = std::fs::DirBuilder::new();
        if let Some(parent) = path.parent() {
            folder.recursive(true).mode(0o700).create(parent)?;
        }
        match folder.recursive(false).mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Self::open(path),
        }
    }

    /// Binds a socket for this user alone; what has stood at its name is removed.
    pub fn bind(&self, name: &str) -> io::Result<UnixListener> {
        let path = self.through(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        // The standard library lets 128 wait; more come at once where a program starts many.
        rustix::net::listen(&listener, 4096)?;
        Ok(listener)
    }

    /// Connects, if it is this user that listens.
    pub fn connect(&self, name: &str) -> io::Result<UnixStream> {
        let stream = UnixStream::connect(self.through(name))?;
        peer(&stream)?;
        Ok(stream)
    }

    /// What tells one socket from another that later stands at the same name.
    pub fn inode(&self, name: &str) -> Option<u64> {
        let stat = rustix::fs::statat(&self.fd, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
        stat.ok().map(|stat| stat.st_ino)
    }

    /// Removes a socket.
    pub fn remove(&self, name: &str) {
        // It may be gone already.
        let _ = rustix::fs::unlinkat(&self.fd, name, rustix::fs::AtFlags::empty());
    }

    /// A path through the open folder: what was checked is what is used, and no path is too long for a socket.
    fn through(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.fd.as_raw_fd()))
    }
}

/// Whether something is a folder, and this user's own.
pub fn is_own_folder(path: &Path) -> bool {
    let stat = rustix::fs::stat(path);
    stat.is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::Directory
            && stat.st_uid == rustix::process::geteuid().as_raw()
    })
}

/// The process id at the other end; refused if it is not of this user.
pub fn peer(stream: &UnixStream) -> io::Result<i32> {
    let peer = rustix::net::sockopt::socket_peercred(stream)?;
    if peer.uid == rustix::process::geteuid() {
        Ok(peer.pid.as_raw_nonzero().get())
    } else {
        let text = "another user is at the other end of the socket";
        Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
    }
}

/// Sends bytes, and files beside the first of them. Blocks.
pub fn send(stream: &UnixStream, bytes: &[u8], files: &[&OwnedFd]) -> io::Result<()> {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut beside = SendAncillaryBuffer::new(&mut room);
    let files: Vec<_> = files.iter().map(|file| file.as_fd()).collect();
    if !files.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let parts = [IoSlice::new(bytes)];
    let sent = loop {
        match rustix::net::sendmsg(stream, &parts, &mut beside, SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?,
        }
    };
    let mut stream = stream;
    stream.write_all(bytes.get(sent..).unwrap_or_default())
}

/// Receives what is there, at most as much as the buffer holds; files that come with it are added to `files`, and closed
/// where there are more than two.
pub fn receive(
    stream: &UnixStream,
    buffer: &mut [u8],
    files: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut beside = RecvAncillaryBuffer::new(&mut room);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = rustix::net::recvmsg(stream, &mut parts, &mut beside, flags)?;
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            files.extend(received);
        }
    }
    files.truncate(2);
    Ok(received.bytes)
}

/// A sealed file in memory with these bytes.
pub fn sealed(bytes: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(rustix::fs::memfd_create("agevault", flags)?);
    file.write_all(bytes)?;
    rustix::fs::fcntl_add_seals(&file, SEALS)?;
    Ok(file.into())
}

/// The bytes of a file in memory that was handed over; refused if it is not sealed, or larger than `max`.
pub fn read_sealed(file: OwnedFd, max: usize) -> io::Result<Secret> {
    let seals = rustix::fs::fcntl_get_seals(&file)?;
    let stat = rustix::fs::fstat(&file)?;
    let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if !seals.contains(SEALS) || !is_file || size > max {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = zeroize::Zeroizing::new(vec![0; size]);
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    File::from(file).read_exact(&mut bytes)?;
    Ok(Secret::new(std::mem::take(&mut *bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_a_file_arrive() {
        let (here, there) = UnixStream::pair().unwrap();
        let file = sealed(b"in memory").unwrap();
        send(&here, b"beside", &[&file]).unwrap();
        let (mut buffer, mut files) = ([0; 16], Vec::new());
        let count = receive(&there, &mut buffer, &mut files).unwrap();
        assert_eq!(buffer.get(..count), Some(&b"beside"[..]));
        let file = files.pop().unwrap();
        assert_eq!(read_sealed(file, 9).unwrap().expose(), b"in memory");
        assert_eq!(peer(&there).unwrap().unsigned_abs(), std::process::id());
    }

    #[test]
    fn a_file_that_can_change_is_not_read() {
        let open = tempfile::tempfile().unwrap();
        assert!(read_sealed(open.into(), 9).is_err());
        let open = rustix::fs::memfd_create("x", MemfdFlags::ALLOW_SEALING).unwrap();
        assert!(read_sealed(open, 9).is_err());
        assert!(read_sealed(sealed(b"ten bytes!").unwrap(), 9).is_err());
    }

    #[test]
    fn a_folder_that_others_can_enter_is_not_private() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        Private::make(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o710)).unwrap();
        assert!(Private::open(&path).is_err());
        assert!(Private::make(&path).is_err());
        let link = root.path().join("link");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(Private::open(&link).is_err());
        let listener = Private::open(&path).unwrap().bind("s").unwrap();
        let mode = std::fs::metadata(path.join("s"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        Private::open(&path).unwrap().connect("s").unwrap();
        drop(listener);
        assert!(Private::open(&path).unwrap().connect("s").is_err());
    }
}
