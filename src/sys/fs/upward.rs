//! A file that is looked for in a folder and those above it, and read only if nobody else can have written it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::Mode;
use rustix::fs::OFlags;

use super::Result;
use super::fail;
use super::read_bounded;
use super::stat::kind_of;
use super::stat::regular;

/// Looks for a file in a folder and those above it: not past `last`, nor past the place where a file system is mounted. What
/// another user has put there is passed over and told: in a folder such as `/tmp` it would be in everybody's way.
///
/// Two looks a folder. What is found may be anything; a link is not followed.
pub fn find_upward(
    start: &Path,
    name: &str,
    last: Option<&Path>,
    mut passed_over: impl FnMut(&Path),
) -> Option<PathBuf> {
    let own = rustix::process::geteuid().as_raw();
    let id = |folder: &Path| {
        let stat = rustix::fs::stat(folder).ok()?;
        Some((stat.st_dev, stat.st_ino))
    };
    let first = id(start)?;
    let last = last.and_then(id);
    let mut here = Some(first);
    for folder in start.ancestors() {
        let at = here.take().or_else(|| id(folder))?;
        if at.0 != first.0 {
            return None;
        }
        let path = folder.join(name);
        match rustix::fs::lstat(&path) {
            Ok(stat) if stat.st_uid == own => return Some(path),
            Ok(_) => passed_over(&path),
            Err(_) => {}
        }
        if Some(at) == last {
            return None;
        }
    }
    None
}

/// The bytes of a regular file that belongs to this user and that not everybody can write; anything else is an error.
pub fn read_trusted(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let err = |error: io::Error| fail("trust", path, error);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
        rustix::io::Errno::LOOP => err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is a symbolic link",
        )),
        other => fail("read", path, other.into()),
    })?;
    let stat = rustix::fs::fstat(&fd).map_err(|errno| err(errno.into()))?;
    regular(kind_of(stat.st_mode))
        .map_err(|error| err(io::Error::new(error.kind(), format!("it {error}"))))?;
    let refused = |why: String| Err(err(io::Error::new(io::ErrorKind::PermissionDenied, why)));
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return refused(format!("it belongs to another user ({})", stat.st_uid));
    }
    if stat.st_mode & 0o002 != 0 {
        return refused("everybody can write to it".to_owned());
    }
    read_bounded(&mut File::from(fd), max_bytes).map_err(|error| fail("read", path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_above_and_not_past_the_last_folder() {
        let temp = tempfile::tempdir().unwrap();
        let home = temp.path().join("home");
        let deep = home.join("a/b/c");
        std::fs::create_dir_all(&deep).unwrap();
        let find = |last: Option<&Path>| find_upward(&deep, ".x", last, |_| panic!("all are ours"));
        std::fs::write(temp.path().join(".x"), "").unwrap();
        assert_eq!(find(Some(&home)), None);
        assert_eq!(find(None), Some(temp.path().join(".x")));
        std::fs::write(home.join(".x"), "").unwrap();
        assert_eq!(find(Some(&home)), Some(home.join(".x")));
        std::fs::create_dir(home.join("a/.x")).unwrap();
        assert_eq!(find(Some(&home)), Some(home.join("a/.x")));
        let proc = Path::new("/proc/self");
        assert_eq!(find_upward(proc, ".x", None, |_| {}), None);
    }

    #[test]
    fn what_others_can_write_is_not_trusted() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("x");
        std::fs::write(&path, "text").unwrap();
        assert_eq!(read_trusted(&path, 4).unwrap(), b"text");
        assert!(read_trusted(&path, 3).is_err());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        let says = |path: &Path| read_trusted(path, 9).unwrap_err().to_string();
        assert!(says(&path).contains("everybody"));
        let link = temp.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(says(&link).contains("symbolic link"));
        assert!(says(temp.path()).contains("folder"));
    }
}
