use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;

use super::*;

fn root() -> (tempfile::TempDir, Root) {
    let temp = tempfile::tempdir().unwrap();
    let home = temp.path().join("home");
    std::fs::create_dir_all(home.join("real/deep")).unwrap();
    std::fs::create_dir(temp.path().join("outside")).unwrap();
    let root = Root::open(&home).unwrap();
    (temp, root)
}

fn put(root: &Root, below: &str, text: &str, seen: Option<Stat>) -> Found<Stat> {
    let secret = Secret::copy_of(text.as_bytes());
    let writing = Writing::new(Path::new(below), What::File(&secret, 0o640), seen).unwrap();
    root.write(&[writing]).pop().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|item| item.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn a_file_is_made_with_its_folders_and_replaced_only_as_it_was_seen() {
    let (_temp, root) = root();
    let made = put(&root, "a/b/file", "one", None).unwrap();
    assert_eq!((made.mode, made.size), (0o640, 3));
    let folder = root.path().join("a");
    assert_eq!(
        folder.metadata().unwrap().permissions().mode() & 0o777,
        0o700
    );
    assert!(matches!(
        put(&root, "a/b/file", "two", None),
        Err(Unfit::Changed)
    ));
    put(&root, "a/b/file", "two", Some(made)).unwrap();
    assert!(matches!(
        put(&root, "a/b/file", "three", Some(made)),
        Err(Unfit::Changed)
    ));
    let (bytes, stat) = root.read(Path::new("a/b/file"), 9).unwrap().unwrap();
    assert_eq!(bytes.expose(), b"two");
    assert_eq!(root.glance(Path::new("a/b/file")), Some(stat));
    assert_eq!(names(&root.path().join("a/b")), ["file"]);
}

#[test]
fn a_link_on_the_way_is_followed_only_inside() {
    let (temp, root) = root();
    let link = |text: &Path, name: &str| symlink(text, root.path().join(name)).unwrap();
    link(Path::new("real"), "inside");
    link(&root.path().join("real"), "absolute");
    link(Path::new("real/deep/../../real"), "winding");
    link(Path::new("../outside"), "out");
    link(&temp.path().join("outside"), "far");
    link(Path::new("inside/../../outside"), "sly");
    link(Path::new("circle"), "circle");
    for (way, real) in [
        ("inside/x", Some("real/x")),
        ("absolute/x", Some("real/x")),
        ("winding/x", Some("real/x")),
        ("inside/new/x", Some("real/new/x")),
        ("out/x", None),
        ("far/x", None),
        ("sly/x", None),
        ("circle/x", None),
    ] {
        let look = root.look(Path::new(way));
        assert_eq!(
            look.as_ref().ok().map(|look| look.real.as_path()),
            real.map(Path::new),
            "{way}"
        );
        assert!(put(&root, way, "x", None).is_err(), "{way}");
        if let Some(real) = real {
            put(&root, real, "x", None).unwrap();
            assert!(root.read(Path::new(way), 9).unwrap().is_some(), "{way}");
        }
        let _ = std::fs::remove_file(root.path().join("real/x"));
    }
    assert!(names(&temp.path().join("outside")).is_empty());
    for bad in ["", "..", "../x", "/etc/x", "a/../x"] {
        assert!(root.look(Path::new(bad)).is_err(), "{bad:?}");
    }
}

#[test]
fn a_link_in_the_last_place_is_replaced_and_folders_and_pipes_are_not() {
    let (temp, root) = root();
    let outside = temp.path().join("outside/file");
    std::fs::write(&outside, "outside").unwrap();
    symlink(&outside, root.path().join("link")).unwrap();
    let look = root.look(Path::new("link")).unwrap();
    put(&root, "link", "mine", look.stat).unwrap();
    assert_eq!(std::fs::read(&outside).unwrap(), b"outside");
    assert_eq!(std::fs::read(root.path().join("link")).unwrap(), b"mine");
    assert!(matches!(
        root.look(Path::new("real")),
        Err(Unfit::Kind(Kind::Folder))
    ));
    let pipe = root.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        Mode::RUSR,
        0,
    )
    .unwrap();
    assert!(matches!(
        root.read(Path::new("pipe"), 9),
        Err(Unfit::Kind(Kind::Special))
    ));
    assert!(put(&root, "link/below", "x", None).is_err());
}

#[test]
fn links_are_written_and_many_files_at_once() {
    let (_temp, root) = root();
    let text = Secret::copy_of(b"nowhere/at all");
    let bytes = Secret::copy_of(b"\0\xff");
    let mut writings: Vec<Writing<'_>> = (0..40)
        .map(|number| {
            let below = format!("many/{}/{number}", number % 3);
            Writing::new(Path::new(&below), What::File(&bytes, 0o600), None).unwrap()
        })
        .collect();
    writings.push(Writing::new(Path::new("dangling"), What::Link(&text), None).unwrap());
    assert!(root.write(&writings).iter().all(Result::is_ok));
    let (said, stat) = root.read(Path::new("dangling"), 0).unwrap().unwrap();
    assert_eq!((said.expose(), stat.kind), (text.expose(), Kind::Link));
    assert_eq!(names(&root.path().join("many/0")).len(), 14);
    let stat = root.set_mode(
        Path::new("many/0/0"),
        0o400,
        &root.glance(Path::new("many/0/0")).unwrap(),
    );
    assert_eq!(stat.unwrap().unwrap().mode, 0o400);
}
