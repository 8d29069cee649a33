//! What stands at a path, as the system tells it.

use std::io;

use rustix::fs::FileType;

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Length in bytes.
    pub size: u64,
    /// Last change of the content, in nanoseconds since 1970.
    pub mtime_nanos: i128,
    /// Last change of the content or of what is known about it, in nanoseconds since 1970.
    pub ctime_nanos: i128,
    /// Inode number.
    pub inode: u64,
    /// Permission bits.
    pub mode: u32,
    /// The number of the user that it belongs to.
    pub owner: u32,
    /// Regular file, folder, link, …
    pub kind: Kind,
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link; never followed.
    Link,
    /// A socket, pipe or device.
    Special,
}

pub(super) fn regular(kind: Kind) -> io::Result<()> {
    let what = match kind {
        Kind::File => return Ok(()),
        Kind::Folder => "is a folder",
        Kind::Link => "is a symbolic link",
        Kind::Special => "is a socket, pipe or device",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

pub(super) fn kind_of(mode: rustix::fs::RawMode) -> Kind {
    kind_from(FileType::from_raw_mode(mode))
}

pub(super) fn kind_from(file_type: FileType) -> Kind {
    match file_type {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Link,
        _ => Kind::Special,
    }
}

#[allow(
    clippy::unnecessary_cast,
    reason = "the fields' widths differ between systems"
)]
#[allow(
    clippy::cast_sign_loss,
    clippy::cast_lossless,
    reason = "sizes are not negative"
)]
pub(super) fn stat_of(stat: &rustix::fs::Stat) -> Stat {
    Stat {
        size: stat.st_size as u64,
        mtime_nanos: i128::from(stat.st_mtime) * 1_000_000_000 + stat.st_mtime_nsec as i128,
        ctime_nanos: i128::from(stat.st_ctime) * 1_000_000_000 + stat.st_ctime_nsec as i128,
        inode: stat.st_ino as u64,
        mode: stat.st_mode as u32 & 0o7777,
        owner: stat.st_uid as u32,
        kind: kind_of(stat.st_mode),
    }
}
