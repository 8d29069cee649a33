//! Many processes at once: writers lose nothing (W-110), each change has a revision of its own (W-050), and readers see the old
//! value or the new one.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use crate::world::World;
use crate::world::secret;

/// How many processes write at the same time.
const WRITERS: usize = 16;
/// How many changes each of them makes.
const ROUNDS: usize = 3;

fn revision(world: &World, name: &str) -> u64 {
    let shown = world.vault(&["show", "--json", name]).run().ok();
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    shown["rev"].as_u64().unwrap()
}

#[test]
fn sixteen_writers_of_distinct_names_lose_nothing() {
    for world in [World::with_store(), World::with_plain_store()] {
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let world = &world;
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let name = format!("folder {}/w{writer} r{round}", writer % 4);
                        world.add(&name, secret(&name));
                    }
                });
            }
        });
        let names = world.names();
        assert_eq!(names.len(), WRITERS * ROUNDS);
        for name in &names {
            assert_eq!(world.get(name).unwrap(), secret(name).into_bytes());
        }
        settled(&world, WRITERS * ROUNDS);
    }
}

#[test]
fn sixteen_writers_of_one_name_make_sixteen_revisions() {
    for world in [World::with_store(), World::with_plain_store()] {
        world.add("the one", secret("first"));
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let world = &world;
                scope.spawn(move || world.add("the one", secret(&format!("w{writer}"))));
            }
        });
        let last = String::from_utf8(world.get("the one").unwrap()).unwrap();
        assert!(
            (0..WRITERS).any(|writer| last == secret(&format!("w{writer}"))),
            "{last}"
        );
        assert_eq!(revision(&world, "the one"), 1 + WRITERS as u64);
        settled(&world, 1 + WRITERS);
    }
}

#[test]
fn of_sixteen_who_add_the_same_name_one_wins_and_the_others_are_told() {
    let world = World::with_store();
    let codes: Vec<i32> = std::thread::scope(|scope| {
        let one = |writer: usize| {
            let add = world
                .vault(&["add", "the one"])
                .stdin(secret(&writer.to_string()));
            let output = add.run();
            assert!(
                output.code == 0 || output.stderr.contains("the one"),
                "{output:?}"
            );
            output.code
        };
        let threads: Vec<_> = (0..WRITERS)
            .map(|writer| scope.spawn(move || one(writer)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(
        codes.iter().filter(|code| **code == 0).count(),
        1,
        "{codes:?}"
    );
    assert_eq!(
        codes.iter().filter(|code| **code == 1).count(),
        WRITERS - 1,
        "{codes:?}"
    );
    assert_eq!(revision(&world, "the one"), 1);
    settled(&world, 1);
}

#[test]
fn readers_see_a_whole_value_at_all_times() {
    for world in [World::with_store(), World::with_plain_store()] {
        // Values of very different sizes, so that a mix of two would show.
        let values: BTreeSet<Vec<u8>> = (1..=6)
            .map(|n| secret(&"long ".repeat(n * n * 1000)).into_bytes())
            .collect();
        world.add("moving", values.first().unwrap());
        world.add("still", secret("still"));
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !is_done.load(Ordering::Relaxed) {
                        assert!(
                            values
                                .contains(&world.get("moving").expect("it is there at all times"))
                        );
                        assert_eq!(world.get("still").unwrap(), secret("still").into_bytes());
                    }
                });
            }
            let writing = std::panic::AssertUnwindSafe(|| {
                for value in values.iter().cycle().take(3 * values.len()) {
                    world.add("moving", value);
                }
            });
            let written = std::panic::catch_unwind(writing);
            is_done.store(true, Ordering::Relaxed);
            assert!(written.is_ok());
        });
        settled(&world, 2 + 18);
    }
}

/// One commit a change, besides the store's first; nothing half done.
fn settled(world: &World, changes: usize) {
    if !world.store().join(".git").exists() {
        return;
    }
    let count: usize = world
        .git(&["rev-list", "--count", "HEAD"])
        .trim()
        .parse()
        .unwrap();
    assert_eq!(count, 1 + changes);
    assert_eq!(world.git(&["status", "--porcelain"]), "");
    world.git(&["fsck", "--strict", "--no-dangling"]);
}
