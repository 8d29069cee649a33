//! Dotfiles that hold references, and `inject`.

use std::fs;
use std::os::unix::fs::symlink;

use super::dot;
use super::mode;
use super::set_mode;
use super::status;
use crate::world::World;
use crate::world::secret;

const TEMPLATE: &str = "user = {{agevault://github/ci#username}}\ntoken = agevault://github/ci # the token\nnone = {{ agevault://not/there:-none }}\n";

fn filled(token: &str, more: &str) -> String {
    format!(
        "user = octo\ntoken = {} # the token\nnone = none\n{more}",
        secret(token)
    )
}

fn stored(world: &World) -> String {
    String::from_utf8(world.get("dotfiles/dot_conf").unwrap()).unwrap()
}

/// W-134.
#[test]
fn references_are_filled_in_and_kept() {
    let world = World::with_store();
    world.add_with(
        "github/ci",
        format!("{}\n", secret("one")),
        &["--username", "octo"],
    );
    let file = world.write(".conf", TEMPLATE);
    set_mode(&file, 0o644);
    world.allow(&file);
    dot(&world, &["add", ".conf"]).ok().says("holds references");
    dot(&world, &["apply"]).ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), filled("one", ""));
    assert_eq!(mode(&file), 0o600);
    assert!(status(&world).is_empty());
    // A token that is replaced comes with the next apply, and nothing else is touched.
    world.add_with("github/ci", secret("two"), &["--username", "octo"]);
    assert_eq!(status(&world), ["update ~/.conf"]);
    // What is changed meanwhile is taken by what stood there then: the reference stays.
    fs::write(&file, filled("one", "more\n")).unwrap();
    dot(&world, &["apply", "--ours"]).ok();
    assert_eq!(stored(&world), format!("{TEMPLATE}more\n"));
    dot(&world, &["apply"]).ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), filled("two", "more\n"));
    fs::write(
        &file,
        filled("two", "more\n").replace("# the token", "# why"),
    )
    .unwrap();
    dot(&world, &["re-add"]).ok();
    let template = format!("{TEMPLATE}more\n").replace("# the token", "# why");
    assert_eq!(stored(&world), template);
    assert!(status(&world).is_empty());
    // A default gives way to what is there.
    world.add("not/there", secret("new"));
    dot(&world, &["apply"]).ok();
    assert!(fs::read_to_string(&file).unwrap().contains(&secret("new")));
    // A reference that a person takes out is told.
    fs::write(&file, "user = octo\n").unwrap();
    let _ = dot(&world, &["re-add"])
        .ok()
        .says("agevault://github/ci has no place");
    assert_eq!(stored(&world), "user = {{agevault://github/ci#username}}\n");
}

#[test]
fn both_sides_of_a_template_are_joined() {
    let world = World::with_store();
    world.add_with("github/ci", secret("one"), &["--username", "octo"]);
    let file = world.write(".conf", TEMPLATE);
    world.allow(&file);
    dot(&world, &["add", ".conf"]).ok();
    dot(&world, &["apply"]).ok();
    let theirs = format!("# head\n{TEMPLATE}");
    world
        .vault(&["add", "-f", "dotfiles/dot_conf"])
        .stdin(&theirs)
        .run()
        .ok();
    fs::write(&file, filled("one", "# foot\n")).unwrap();
    dot(&world, &["apply", "--merge"]).ok();
    assert_eq!(stored(&world), format!("{theirs}# foot\n"));
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        format!("# head\n{}", filled("one", "# foot\n"))
    );
    assert!(status(&world).is_empty());
}

#[test]
fn what_cannot_be_filled_in_is_left_as_it_was() {
    let world = World::with_store();
    world.add_with("old", secret("old"), &["--expires", "2020-01-01"]);
    for (text, code, says) in [
        ("agevault://gone", 3, "there is no entry \"gone\""),
        ("\nagevault://old", 6, "expired"),
        ("{{agevault://old#url}}", 6, "expired"),
        ("agevault://work:x", 1, "another store"),
        ("{{agevault://old", 1, "line 1: the braces"),
    ] {
        let file = world.write(".conf", "as it was");
        dot(&world, &["add", "--template", ".conf"]).ok();
        dot(&world, &["apply"]).ok();
        world
            .vault(&["add", "-f", "dotfiles/dot_conf"])
            .stdin(text)
            .run()
            .ok();
        let _ = dot(&world, &["apply"]).fails_with(code).says(says);
        assert_eq!(fs::read_to_string(&file).unwrap(), "as it was");
        assert!(status(&world)[0].starts_with("refused ~/.conf") || code == 6);
        dot(&world, &["forget", ".conf"]).ok();
    }
    // A file that only looks like a template can go in as it is.
    let text = "{{agevault://old";
    let file = world.write(".notes", text);
    let _ = dot(&world, &["add", ".notes"])
        .fails_with(1)
        .says("--no-template");
    dot(&world, &["add", "--no-template", ".notes"]).ok();
    dot(&world, &["apply"]).ok();
    assert_eq!(fs::read_to_string(file).unwrap(), text);
}

#[test]
fn inject_fills_any_file_in() {
    let world = World::with_store();
    world.add_with("github/ci", secret("one"), &["--username", "octo"]);
    let (input, output) = (world.write("in", TEMPLATE), world.home().join("sub/out"));
    fs::create_dir(world.home().join("sub")).unwrap();
    world.allow(&output);
    let inject = |args: &[&str]| world.vault(&[&["inject"], args].concat());
    let both = ["-i", "in", "-o", "sub/out"];
    inject(&both)
        .run()
        .ok()
        .says("filled in github/ci#username, github/ci, not/there");
    assert_eq!(fs::read_to_string(&output).unwrap(), filled("one", ""));
    assert_eq!(mode(&output), 0o600);
    let _ = inject(&both).run().fails_with(1).says("there already");
    world.add_with("github/ci", secret("two"), &["--username", "octo"]);
    inject(&[&both[..], &["-f", "--mode", "640"]].concat())
        .run()
        .ok();
    assert_eq!(fs::read_to_string(&output).unwrap(), filled("two", ""));
    assert_eq!(mode(&output), 0o640);
    let printed = inject(&[]).stdin(fs::read(&input).unwrap()).run().ok();
    assert_eq!(printed.text(), filled("two", ""));
    assert_eq!(
        inject(&["-n", "-i", "in"])
            .run()
            .ok()
            .text()
            .lines()
            .count(),
        3
    );
    // By the name of a store, which a file that somebody else has written may not.
    let store = world.store();
    let named = ["store", "add", "work", store.to_str().unwrap()];
    world.vault(&named).run().ok();
    let printed = inject(&[]).stdin("agevault://work:github/ci").run().ok();
    assert_eq!(printed.text(), secret("two"));
    // Nothing is written where something is wrong, nor through a link.
    world.write("bad", "agevault://gone");
    let _ = inject(&["-f", "-i", "bad", "-o", "sub/out"])
        .run()
        .fails_with(3);
    let _ = inject(&["-f", "-i", "in", "--mode", "4755", "-o", "sub/out"])
        .run()
        .fails_with(2);
    symlink(&output, world.home().join("link")).unwrap();
    let _ = inject(&["-f", "-i", "in", "-o", "link"])
        .run()
        .fails_with(1)
        .says("symbolic link");
    assert_eq!(fs::read_to_string(&output).unwrap(), filled("two", ""));
    // Only its owner sees what `-o` has made, and nothing else is left in the folder.
    assert_eq!(fs::read_dir(world.home().join("sub")).unwrap().count(), 1);
}
