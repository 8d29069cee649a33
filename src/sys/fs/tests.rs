use super::*;

fn dir() -> (tempfile::TempDir, Dir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::open(temp.path()).unwrap();
    (temp, dir)
}

#[test]
fn replace_makes_folders_and_leaves_no_temporary_file() {
    let (temp, dir) = dir();
    dir.replace(Path::new("a/b/c.age"), b"one").unwrap();
    dir.replace(Path::new("a/b/c.age"), b"two").unwrap();
    assert_eq!(
        dir.read(Path::new("a/b/c.age"), 10).unwrap().unwrap(),
        b"two"
    );
    let stat = dir.stat(Path::new("a/b/c.age")).unwrap().unwrap();
    assert_eq!((stat.mode, stat.size), (0o600, 3));
    assert_eq!(walk(temp.path(), &[]).unwrap().len(), 3);
}

#[test]
fn create_never_overwrites() {
    let (_temp, dir) = dir();
    dir.create(Path::new("key"), b"first").unwrap();
    let again = dir.create(Path::new("key"), b"second").unwrap_err();
    assert_eq!(again.source.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(dir.read(Path::new("key"), 10).unwrap().unwrap(), b"first");
    assert_eq!(dir.names(Path::new("")).unwrap().len(), 1);
}

#[test]
fn a_link_is_never_followed() {
    let (temp, dir) = dir();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("x"), b"outside").unwrap();
    std::os::unix::fs::symlink(outside.path().join("x"), temp.path().join("file")).unwrap();
    std::os::unix::fs::symlink(outside.path(), temp.path().join("folder")).unwrap();
    assert!(dir.read(Path::new("file"), 10).is_err());
    assert!(dir.read(Path::new("folder/x"), 10).is_err());
    assert!(dir.replace(Path::new("folder/y"), b"").is_err());
    assert!(dir.read(Path::new("../x"), 10).is_err());
}

#[test]
fn the_limit_holds_on_both_sides() {
    let (temp, dir) = dir();
    std::fs::write(temp.path().join("x"), b"12345").unwrap();
    assert!(dir.read(Path::new("x"), 5).is_ok());
    assert!(dir.read(Path::new("x"), 4).is_err());
    assert_eq!(
        read_stream(&mut &b"12345"[..], 5).unwrap().expose(),
        b"12345"
    );
    assert!(read_stream(&mut &b"12345"[..], 4).is_err());
}

#[test]
fn remove_takes_the_emptied_folders_along() {
    let (temp, dir) = dir();
    dir.replace(Path::new("a/b/c"), b"1").unwrap();
    dir.replace(Path::new("a/d"), b"1").unwrap();
    dir.remove(Path::new("a/b/c")).unwrap();
    dir.remove(Path::new("a/b/c")).unwrap();
    assert!(!temp.path().join("a/b").exists());
    assert!(temp.path().join("a/d").exists());
}

#[test]
fn a_held_lock_is_not_taken_twice() {
    let (temp, _dir) = dir();
    let path = temp.path().join("lock");
    let held = Lock::try_acquire(&path).unwrap();
    assert!(held.is_some());
    assert!(Lock::try_acquire(&path).unwrap().is_none());
    drop(held);
    assert!(Lock::try_acquire(&path).unwrap().is_some());
}

#[test]
#[should_panic(expected = "one of them")]
fn a_panic_on_another_core_is_no_missing_answer() {
    let numbers: Vec<u32> = (0..64).collect();
    let answers = parallel(&numbers, 2, |number| {
        assert_ne!(*number, 40, "one of them");
        *number
    });
    assert_eq!(answers.len(), 64);
}
