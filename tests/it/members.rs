//! Members: who can open the store, what adding and removing one writes, and what a removed one can still do.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::world::World;
use crate::world::contains;
use crate::world::secret;
use crate::world::tool;

/// A new SSH key below the home; the path of its private half.
pub(crate) fn ssh_key(world: &World, name: &str) -> PathBuf {
    let path = world.home().join(name);
    let args = ["-q", "-t", "ed25519", "-N", "", "-C", "a comment", "-f"];
    let mut args: Vec<&str> = args.to_vec();
    args.push(path.to_str().unwrap());
    world.program(tool("ssh-keygen"), &args).run().ok();
    path
}

/// Lets a member with a new SSH key in; the path of its private half.
fn let_in(world: &World, member: &str, flags: &[&str]) -> PathBuf {
    let key = ssh_key(world, member);
    let public = format!("{}.pub", key.display());
    let args = [&["members", "add", member, "--from-keys", &public], flags].concat();
    world.vault(&args).run().ok();
    key
}

/// Reads an entry by another identity.
fn get_as(world: &World, key: &Path, name: &str) -> crate::world::Output {
    world
        .vault(&["get", name])
        .env("AGEVAULT_IDENTITY", key)
        .run()
}

fn json(world: &World, args: &[&str]) -> serde_json::Value {
    let output = world.vault(args).run().ok();
    serde_json::from_slice(&output.stdout).unwrap()
}

pub(crate) fn fingerprint(world: &World) -> String {
    json(world, &["status", "--json"])["fingerprint"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_member_reads_and_writes_and_a_reader_reads() {
    for world in [World::with_store(), World::with_plain_store()] {
        world.add("a", secret("a"));
        let phone = let_in(&world, "phone", &[]);
        let ci = let_in(&world, "ci", &["--read-only"]);
        for key in [&phone, &ci] {
            assert_eq!(
                get_as(&world, key, "a").ok().stdout,
                secret("a").into_bytes()
            );
        }
        let add = |key: &Path, name: &str| {
            world
                .vault(&["add", name])
                .env("AGEVAULT_IDENTITY", key)
                .stdin(secret(name))
                .run()
        };
        add(&phone, "b").ok();
        let _ = add(&ci, "c")
            .fails_with(4)
            .says("may read the store and not write");
        let list = json(&world, &["members", "list", "--json"]);
        let roles: Vec<_> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["role"].as_str().unwrap())
            .collect();
        assert_eq!(roles, ["writer", "writer", "reader"]);
        // A reader makes nobody a member and takes nobody out.
        for args in [
            &["members", "rotate-key"][..],
            &["members", "remove", "phone"],
            &["members", "add", "--paper"],
        ] {
            let _ = world
                .vault(args)
                .env("AGEVAULT_IDENTITY", &ci)
                .run()
                .fails_with(4);
        }
        assert_eq!(json(&world, &["members", "list", "--json"]), list);
    }
}

#[test]
fn adding_touches_no_entry() {
    let world = World::with_store();
    world.add("a", secret("a"));
    let before = fs::read(world.entry("a")).unwrap();
    let _ = let_in(&world, "phone", &[]);
    assert_eq!(fs::read(world.entry("a")).unwrap(), before);
    let changed = world.git(&["show", "--format=", "--name-only", "HEAD"]);
    assert_eq!(
        changed.lines().collect::<Vec<_>>(),
        [".vault/keys/phone.age", ".vault/members.age"]
    );
    assert_eq!(world.git(&["status", "--porcelain"]), "");
    assert_eq!(
        json(&world, &["status", "--json"])["git"]["head_sealed"],
        true
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    let world = World::with_store();
    let _ = let_in(&world, "phone", &[]);
    let head = world.git(&["rev-parse", "HEAD"]);
    let other = ssh_key(&world, "other");
    let public = |path: &Path| fs::read_to_string(format!("{}.pub", path.display())).unwrap();
    let (phone, other) = (public(&world.home().join("phone")), public(&other));
    let both = world.write("both.pub", format!("{phone}{other}"));
    let none = world.write("none.pub", "# nothing\n");
    let sk = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAA x\n";
    let sk = world.write("sk.pub", sk);
    let private = world.home().join("other");
    let rows: [(&[&str], i32, &str); 11] = [
        (
            &["add", "phone", &other],
            1,
            "there is a member \"phone\" already",
        ),
        (
            &["add", "again", &phone],
            1,
            "this key is the member \"phone\" already",
        ),
        (&["add", "Phone", &other], 2, "cannot name a member"),
        (&["add", "x", "nonsense"], 2, "not a recipient"),
        (
            &["add", "x", "--from-keys", both.to_str().unwrap()],
            1,
            "holds 2 keys",
        ),
        (
            &["add", "x", "--from-keys", none.to_str().unwrap()],
            1,
            "no public key",
        ),
        (
            &["add", "x", "--from-keys", sk.to_str().unwrap()],
            1,
            "can be used",
        ),
        (
            &["add", "x", "--from-keys", private.to_str().unwrap()],
            1,
            "holds a secret key",
        ),
        (&["remove", "nobody"], 1, "there is no member \"nobody\""),
        (&["remove", "laptop"], 1, "this device's own member"),
        (&["add", "--paper", "x", "--read-only"], 2, ""),
    ];
    for (args, code, text) in rows {
        let args = [&["members"], args].concat();
        let _ = world.vault(&args).run().fails_with(code).says(text);
    }
    world.vault(&["members", "remove", "phone"]).run().ok();
    let _ = world
        .vault(&["members", "remove", "-f", "laptop"])
        .run()
        .fails_with(1)
        .says("last member who may write");
    assert_ne!(world.git(&["rev-parse", "HEAD"]), head);
    let from_stdin = ["members", "add", "other", "--from-keys", "-"];
    world.vault(&from_stdin).stdin(&other).run().ok();
}

#[test]
fn a_removed_member_opens_nothing_new() {
    for world in [World::with_store(), World::with_plain_store()] {
        world.add("a", secret("a"));
        world.add_with("soon", secret("soon"), &["--expires", "10d"]);
        world.add_with("over", secret("over"), &["--expires", "2020-01-01"]);
        let phone = let_in(&world, "phone", &[]);
        let ci = let_in(&world, "ci", &["--read-only"]);
        let words = fingerprint(&world);
        let old = fs::read(world.entry("a")).unwrap();
        let rev = json(&world, &["show", "--json", "a"])["rev"].clone();
        let output = world.vault(&["members", "remove", "phone"]).run().ok();
        let listed = output.text();
        let names: Vec<&str> = listed
            .lines()
            .map(|line| line.split(' ').next().unwrap())
            .collect();
        assert_eq!(
            names,
            ["soon", "a"],
            "what ends soonest is replaced first, what is over not at all"
        );
        assert_ne!(fingerprint(&world), words);
        assert_eq!(json(&world, &["status", "--json"])["epoch"], 2);
        assert_ne!(fs::read(world.entry("a")).unwrap(), old);
        assert_eq!(
            json(&world, &["show", "--json", "a"])["rev"],
            rev,
            "the same revision"
        );
        assert_eq!(world.get("a"), Some(secret("a").into_bytes()));
        assert_eq!(
            get_as(&world, &ci, "a").ok().stdout,
            secret("a").into_bytes()
        );
        let _ = get_as(&world, &phone, "a").fails_with(4);
        assert!(!world.store().join(".vault/keys/phone.age").exists());
        world.add("b", secret("b"));
        world.vault(&["doctor"]).run().ok();
        if world.store().join(".git").exists() {
            assert_eq!(world.git(&["status", "--porcelain"]), "");
            assert_eq!(
                world.git(&["rev-list", "--count", "HEAD"]).trim(),
                "8",
                "one commit"
            );
            world.git(&["fsck", "--strict"]);
            // History of the epoch before still opens.
            let log = world.vault(&["log", "a"]).run().ok().text();
            assert_eq!(log.lines().count(), 2, "{log}");
            world.add("a", secret("a, newer"));
            world.vault(&["restore", "a", "1"]).run().ok();
            assert_eq!(world.get("a"), Some(secret("a").into_bytes()));
        }
    }
}

#[test]
fn the_blast_radius_as_json() {
    let world = World::with_store();
    world.add_with(
        "a",
        secret("a"),
        &["--expires", "2099-01-01", "--provider", "github"],
    );
    let _ = let_in(&world, "phone", &[]);
    let told = json(&world, &["members", "remove", "phone", "--json"]);
    assert_eq!(
        (&told["epoch"], &told["removed"]),
        (&2.into(), &"phone".into())
    );
    assert_eq!(told["fingerprint"].as_str().unwrap(), fingerprint(&world));
    let exposed = &told["exposed"][0];
    assert_eq!(
        (&exposed["name"], &exposed["provider"]),
        (&"a".into(), &"github".into())
    );
    assert_eq!(exposed["expires"], "2099-01-01T00:00:00Z");
    let told = json(&world, &["members", "rotate-key", "--json"]);
    assert_eq!(
        (&told["epoch"], &told["exposed"]),
        (&3.into(), &serde_json::Value::Null)
    );
}

#[test]
fn a_key_on_paper_is_printed_once_and_proves_itself() {
    let world = World::with_store();
    world.add("a", secret("a"));
    let page = world.vault(&["members", "add", "--paper"]).run().ok();
    let text = page.text();
    let (key, code) = text.split_once("\n\n").unwrap();
    assert!(key.starts_with("AGE-SECRET-KEY-1"));
    assert!(code.lines().count() > 15 && code.contains('█'), "{code}");
    for path in walkdir::WalkDir::new(world.home()) {
        let path = path.unwrap().into_path();
        assert!(
            !path.is_file() || !contains(&fs::read(&path).unwrap(), key.as_bytes()),
            "{}",
            path.display()
        );
    }
    let small = key.to_lowercase();
    let groups: Vec<&str> = (0..small.len())
        .step_by(5)
        .map(|at| &small[at..small.len().min(at + 5)])
        .collect();
    let by_hand = groups.join(" ");
    for typed in [key.to_owned(), by_hand] {
        let proof = world.vault(&["members", "test"]).stdin(typed).run().ok();
        assert!(
            proof.text().contains("member \"recovery\", who may write"),
            "{}",
            proof.text()
        );
    }
    let _ = world
        .vault(&["members", "add", "--paper"])
        .run()
        .fails_with(1);
    let other = ssh_key(&world, "other");
    let _ = world
        .vault(&["members", "test", other.to_str().unwrap()])
        .run()
        .fails_with(4);
    let own = world.identity();
    let own = world
        .vault(&["members", "test", own.to_str().unwrap()])
        .run()
        .ok();
    assert!(own.text().contains("member \"laptop\""));
    let _ = world
        .vault(&["members", "test"])
        .stdin("nonsense")
        .run()
        .fails_with(4);
}

#[test]
fn the_code_on_paper_is_read_by_a_reader_of_codes() {
    let world = World::with_store();
    let page = world
        .vault(&["members", "add", "--paper"])
        .run()
        .ok()
        .text();
    let (key, code) = page.split_once("\n\n").unwrap();
    // A picture of the code, light on dark turned round, eight dots a module.
    let mut rows: Vec<Vec<bool>> = Vec::new();
    for line in code.lines() {
        let dark = |upper: bool| {
            line.chars()
                .map(|c| !matches!((c, upper), ('█', _) | ('▀', true) | ('▄', false)))
                .collect()
        };
        rows.push(dark(true));
        rows.push(dark(false));
    }
    rows.truncate(rows[0].len());
    let size = rows.len() * 8;
    let mut picture = format!("P1\n{size} {size}\n");
    for row in &rows {
        let dots: String = row
            .iter()
            .map(|dark| {
                if *dark {
                    "1 ".repeat(8)
                } else {
                    "0 ".repeat(8)
                }
            })
            .collect();
        picture.push_str(&format!("{dots}\n").repeat(8));
    }
    let path = world.write("code.pbm", picture);
    world.allow(&path);
    let read = world
        .program(
            tool("zbarimg"),
            &["--quiet", "--raw", path.to_str().unwrap()],
        )
        .run()
        .ok();
    assert_eq!(read.text().trim(), key);
}

#[test]
fn many_entries_take_a_new_epoch_in_one_commit() {
    for world in [World::with_store(), World::with_plain_store()] {
        for number in 0..70 {
            world.add(
                &format!("f{}/e{number}", number % 3),
                secret(&number.to_string()),
            );
        }
        world
            .vault(&["members", "rotate-key"])
            .run()
            .ok()
            .says("70 entries encrypted anew");
        let exec = [
            "exec",
            "-q",
            "-e",
            "A=f0/e0",
            "-e",
            "B=f1/e67",
            "--",
            "sh",
            "-c",
            "printf %s $A,$B",
        ];
        let read = world.vault(&exec).run().ok().text();
        assert_eq!(read, format!("{},{}", secret("0"), secret("67")));
        world.vault(&["doctor"]).run().ok();
        if world.store().join(".git").exists() {
            assert_eq!(world.git(&["status", "--porcelain"]), "");
            world.git(&["fsck", "--strict"]);
            // git itself reads the pack.
            world.git(&["repack", "-adq"]);
        }
    }
}

#[test]
fn an_entry_that_is_not_as_committed_stops_a_new_epoch() {
    let world = World::with_store();
    world.add("a", secret("a"));
    world.add("b", secret("b"));
    fs::copy(world.entry("a"), world.entry("by-hand")).unwrap();
    let _ = world
        .vault(&["members", "rotate-key"])
        .run()
        .fails_with(1)
        .says("by-hand.age differs");
    fs::remove_file(world.entry("by-hand")).unwrap();
    fs::remove_file(world.entry("b")).unwrap();
    let _ = world
        .vault(&["members", "rotate-key"])
        .run()
        .fails_with(1)
        .says("b.age differs");
    fs::copy(world.entry("a"), world.entry("b")).unwrap();
    let _ = world
        .vault(&["members", "rotate-key"])
        .run()
        .fails_with(1)
        .says("b.age differs");
    assert_eq!(json(&world, &["status", "--json"])["epoch"], 1);
    world.vault(&["doctor", "--repair"]).run().ok();
    world.vault(&["members", "rotate-key"]).run().ok();
}

#[test]
fn writers_and_a_new_epoch_at_once_lose_nothing() {
    for world in [World::with_store(), World::with_plain_store()] {
        for number in 0..20 {
            world.add(&format!("before{number}"), secret("before"));
        }
        let done: Vec<(String, i32, String)> = std::thread::scope(|scope| {
            let world = &world;
            let rotate = scope.spawn(move || {
                let output = world.vault(&["members", "rotate-key"]).run();
                ("rotate".to_owned(), output.code, output.stderr)
            });
            let writers: Vec<_> = (0..8)
                .map(|number| {
                    scope.spawn(move || {
                        let name = format!("new{number}");
                        let output = world.vault(&["add", &name]).stdin(secret(&name)).run();
                        (name, output.code, output.stderr)
                    })
                })
                .collect();
            let readers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(move || {
                        let output = world.vault(&["get", "before7"]).run();
                        ("get".to_owned(), output.code, output.stderr)
                    })
                })
                .collect();
            let all = writers.into_iter().chain(readers).chain([rotate]);
            all.map(|thread| thread.join().unwrap()).collect()
        });
        for (what, code, stderr) in done {
            // Whoever comes in between is told so, and that is no refusal for integrity.
            assert!(
                code == 0 || code == 1 && stderr.contains("replaced meanwhile"),
                "{what}: {code}: {stderr}"
            );
            if what.starts_with("new") {
                assert_eq!(world.get(&what).is_some(), code == 0, "{what}");
            }
        }
        world.vault(&["doctor"]).run().ok();
        assert_eq!(json(&world, &["status", "--json"])["epoch"], 2);
    }
}
