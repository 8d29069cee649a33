//! Secrets handed over as open files: in memory, without a name, gone with the last program that has them open.
//!
//! Lives here: making such a file and putting it at a number. Never here: which secret. `exec` calls it.

use std::fs::File;
use std::io;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;

use rustix::io::FdFlags;

use crate::secret::Secret;

/// A file in memory with these bytes, at its beginning, that nobody can change any more.
#[cfg(target_os = "linux")]
pub fn in_memory(secret: &Secret) -> io::Result<File> {
    use std::io::Seek;

    use rustix::fs::MemfdFlags;
    use rustix::fs::Mode;
    use rustix::fs::SealFlags;

    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(rustix::fs::memfd_create("secret", flags)?);
    rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR)?;
    file.write_all(secret.expose())?;
    file.rewind()?;
    let all = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&file, all)?;
    Ok(file)
}

/// A pipe that holds these bytes; too many for it are an error.
#[cfg(not(target_os = "linux"))]
pub fn in_memory(secret: &Secret) -> io::Result<File> {
    let (reader, writer) = io::pipe()?;
    crate::sys::pty::never_block(&writer)?;
    let mut writer = File::from(OwnedFd::from(writer));
    writer.write_all(secret.expose())?;
    Ok(File::from(OwnedFd::from(reader)))
}

/// Puts open files at these numbers, for the program that this process starts next or becomes.
///
/// A number that is in use is refused: it is something that the caller gave the program.
pub fn place(files: Vec<(i32, File)>) -> io::Result<Vec<OwnedFd>> {
    let above = files.iter().map(|(number, _)| *number).max().unwrap_or(0) + 1;
    // Out of the way first: the files themselves may have got a number that is wanted.
    let aside: Vec<(i32, OwnedFd)> = files
        .into_iter()
        .map(|(number, file)| Ok((number, rustix::io::fcntl_dupfd_cloexec(&file, above)?)))
        .collect::<io::Result<_>>()?;
    let mut placed = Vec::new();
    for (number, file) in aside {
        let file = rustix::io::fcntl_dupfd_cloexec(&file, number)?;
        if file.as_raw_fd() != number {
            return Err(io::Error::other(format!(
                "the descriptor {number} is in use"
            )));
        }
        rustix::io::fcntl_setfd(&file, FdFlags::empty())?;
        placed.push(file);
    }
    Ok(placed)
}
