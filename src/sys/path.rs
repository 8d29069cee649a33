//! Programs on `PATH`, and folders that last as long as one command.
//!
//! Lives here: looking for programs without starting them, and `TempFolder`. Never here: what a program is for.

#![allow(clippy::disallowed_methods, reason = "a home of file access")]

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

/// How often a new name for a folder is tried.
const TRIES: usize = 8;

/// Every executable file of a name in the folders of a `PATH`, in its order.
pub fn programs(name: &str, path: &OsStr) -> Vec<PathBuf> {
    let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    let files = folders.map(|folder| folder.join(name));
    let is_program = |file: &PathBuf| {
        let meta = std::fs::metadata(file).ok();
        meta.is_some_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    files.filter(is_program).collect()
}

/// This very program's file.
pub fn own_program() -> Option<PathBuf> {
    std::env::current_exe().ok()
}

/// Whether two paths lead to one file, by links of any kind.
pub fn is_same_file(one: &Path, other: &Path) -> bool {
    let id = |path: &Path| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.dev(), meta.ino()))
    };
    id(one).is_some_and(|one| id(other) == Some(one))
}

/// The permission bits of what a path leads to, links followed.
pub fn mode(path: &Path) -> Option<u32> {
    let meta = std::fs::metadata(path).ok()?;
    Some(meta.permissions().mode() & 0o7777)
}

/// A private folder in the usual place for temporary files, removed with everything in it when dropped.
pub struct TempFolder(PathBuf);

impl TempFolder {
    /// Makes one below `parent`.
    pub fn create(parent: &Path, prefix: &str) -> io::Result<Self> {
        for _ in 0..TRIES {
            let mut random = [0_u8; 8];
            getrandom::fill(&mut random).map_err(|_| io::Error::other("no random bytes"))?;
            let path = parent.join(format!("{prefix}{:016x}", u64::from_le_bytes(random)));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made.map(|()| Self(path)),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Removes it now, and tells whether that worked.
    pub fn close(self) -> io::Result<()> {
        std::fs::remove_dir_all(&self.0)
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        // After `close` nothing is left; what cannot be removed holds nothing that matters.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_the_order_of_the_path() {
        let temp = tempfile::tempdir().unwrap();
        let mut path = Vec::new();
        for (folder, mode) in [("a", 0o755), ("b", 0o644), ("c", 0o700)] {
            let folder = temp.path().join(folder);
            std::fs::create_dir(&folder).unwrap();
            let file = folder.join("vault");
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
            path.push(folder);
        }
        let found = programs("vault", &std::env::join_paths(&path).unwrap());
        assert_eq!(found, [path[0].join("vault"), path[2].join("vault")]);
        assert!(!is_same_file(&found[0], &found[1]));
        std::fs::hard_link(&found[0], temp.path().join("x")).unwrap();
        assert!(is_same_file(&found[0], &temp.path().join("x")));
    }

    #[test]
    fn a_temporary_folder_is_private_and_goes() {
        let temp = tempfile::tempdir().unwrap();
        let folder = TempFolder::create(temp.path(), "x-").unwrap();
        let path = folder.path().to_owned();
        assert_eq!(mode(&path), Some(0o700));
        std::fs::write(path.join("file"), "").unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
