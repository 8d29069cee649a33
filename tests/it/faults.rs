//! A kill, a full disk and an I/O error at every system call of a change.
//!
//! A change is run once under strace to see which calls it makes below the home. Then, for each call, the home is put
//! back as it was and the change runs again with a fault at that call alone. Afterwards every entry is its old value or its
//! new one, and the next command leaves nothing behind: W-111 and W-114 with git, W-113 without, W-112 where several
//! entries change.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use crate::world::VAULT;
use crate::world::World;
use crate::world::contains;
use crate::world::secret;
use crate::world::tool;

/// How many runs are made at the same time.
const LANES: usize = 2;

/// Calls that change what is on the disk, and the error that each can meet. The process is killed at each of them, and
/// each of them fails once.
const CHANGING: [(&str, &str); 27] = [
    ("write", "ENOSPC"),
    ("writev", "ENOSPC"),
    ("pwrite64", "ENOSPC"),
    ("copy_file_range", "ENOSPC"),
    ("sendfile", "ENOSPC"),
    ("fallocate", "ENOSPC"),
    ("ftruncate", "EIO"),
    ("fsync", "EIO"),
    ("fdatasync", "EIO"),
    ("syncfs", "EIO"),
    ("sync_file_range", "EIO"),
    ("rename", "ENOSPC"),
    ("renameat", "ENOSPC"),
    ("renameat2", "ENOSPC"),
    ("link", "ENOSPC"),
    ("linkat", "ENOSPC"),
    ("symlink", "ENOSPC"),
    ("symlinkat", "ENOSPC"),
    ("unlink", "EIO"),
    ("unlinkat", "EIO"),
    ("rmdir", "EIO"),
    ("mkdir", "ENOSPC"),
    ("mkdirat", "ENOSPC"),
    ("fchmod", "EIO"),
    ("fchmodat", "EIO"),
    ("flock", "EIO"),
    ("utimensat", "EIO"),
];

/// Calls that change nothing, so that a kill at them is a kill at the next change; each of them fails once.
const READING: [&str; 8] = [
    "open",
    "openat",
    "openat2",
    "read",
    "pread64",
    "getdents64",
    "readlink",
    "readlinkat",
];

/// Calls that are left alone, and why.
const LEFT_ALONE: [(&[&str], &str); 5] = [
    (
        &["close", "dup", "fcntl"],
        "on Linux they say nothing about the disk that is not said elsewhere",
    ),
    (
        &["lseek", "mmap", "munmap", "mprotect"],
        "memory and positions",
    ),
    (
        &[
            "stat",
            "lstat",
            "fstat",
            "newfstatat",
            "statx",
            "statfs",
            "access",
            "faccessat",
            "faccessat2",
        ],
        "an answer from the cache; opening the file fails in their stead",
    ),
    (
        &["execve", "chdir", "getcwd", "ioctl"],
        "other programs, and no file of the store",
    ),
    (
        &["fadvise64", "umask"],
        "advice and settings of the process",
    ),
];

/// One change, and what it makes of the store.
struct Change {
    args: &'static [&'static str],
    stdin: &'static str,
    /// What the entries are after it; those that are not named stay.
    after: &'static [(&'static str, Option<&'static str>)],
}

/// An editor that changes the secret in its place; nothing of it goes anywhere else.
const EDITOR: &str = r#"text=$(sed s/-solo$/-edited/ "$1"); printf %s "$text" > "$1""#;

/// The entry whose description changes.
const TAGGED: &str = "f/one";

impl Change {
    /// Whether it begins a new epoch, which changes no entry: then the epoch counts as content.
    fn renews(&self) -> bool {
        ["members", "trust"].contains(&self.args[0])
    }

    /// What the store holds before it. A new epoch writes everything, so two entries are enough; a large one, for which files
    /// and objects are written together, has many.
    fn before(&self) -> Vec<(String, String)> {
        let own = |(name, word): (&str, &str)| (name.to_owned(), word.to_owned());
        match self.args {
            ["members", "rotate-key"] => (0..LARGE)
                .map(|number| (format!("f{}/e{number}", number % 3), "many".to_owned()))
                .collect(),
            ["members", ..] => BEFORE.into_iter().take(2).map(own).collect(),
            _ => BEFORE.into_iter().map(own).collect(),
        }
    }

    /// Of how many calls of one kind a fault is tried. A new epoch makes the same calls for one file after the other.
    fn most(&self) -> usize {
        match self.args {
            ["members", "rotate-key"] | ["trust", ..] => 2,
            ["members", ..] => 4,
            ["sync"] => 6,
            _ => usize::MAX,
        }
    }

    /// Whether a fault is tried in any case: what a sync renames, links and removes decides what the store is after it, and what
    /// is renamed on the way to a new epoch, which of the two the device is in.
    fn tries_each(&self, fault: &Fault) -> bool {
        if self.args[0] == "trust" {
            return fault.call.starts_with("rename") && fault.effect.contains("KILL");
        }
        let decides = ["rename", "link", "unlink"];
        self.args[0] == "sync" && decides.iter().any(|call| fault.call.starts_with(call))
    }

    /// Whether it starts an editor, which is not to meet the fault in vault's stead: then vault's first thread alone meets it.
    fn starts_another(&self) -> bool {
        ["edit", "sync", "trust"].contains(&self.args[0])
    }
}

/// What the number of the epoch is called among the content.
const EPOCH: &str = "(epoch)";
/// How many entries a large store has: more than are written one by one.
const LARGE: usize = 70;
/// A member that is removed.
const PHONE: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

/// What the store holds before each change: name and word of its secret.
const BEFORE: [(&str, &str); 4] = [
    ("apart", "apart"),
    ("f/one", "one"),
    ("f/two", "two"),
    ("solo", "solo"),
];

#[test]
fn add_survives_a_fault_at_every_call() {
    survives(&Change {
        args: &["add", "new/entry"],
        stdin: "new",
        after: &[("new/entry", Some("new"))],
    });
}

#[test]
fn add_over_an_entry_survives_a_fault_at_every_call() {
    survives(&Change {
        args: &["add", "-f", "solo"],
        stdin: "newer",
        after: &[("solo", Some("newer"))],
    });
}

#[test]
fn edit_survives_a_fault_at_every_call() {
    survives(&Change {
        args: &["edit", "solo"],
        stdin: "",
        after: &[("solo", Some("edited"))],
    });
}

#[test]
fn tag_survives_a_fault_at_every_call() {
    survives(&Change {
        args: &["tag", "f/one", "--description", "changed"],
        stdin: "",
        after: &[("f/one", Some("one changed"))],
    });
}

#[test]
fn rm_survives_a_fault_at_every_call() {
    survives(&Change {
        args: &["rm", "-f", "f/one"],
        stdin: "",
        after: &[("f/one", None)],
    });
}

#[test]
fn rm_of_a_folder_survives_a_fault_at_every_call() {
    survives(&Change {
        args: &["rm", "-rf", "f"],
        stdin: "",
        after: &[("f/one", None), ("f/two", None)],
    });
}

#[test]
fn mv_survives_a_fault_at_every_call() {
    survives(&Change {
        args: &["mv", "solo", "g/moved"],
        stdin: "",
        after: &[("solo", None), ("g/moved", Some("solo"))],
    });
}

#[test]
fn mv_of_a_folder_survives_a_fault_at_every_call() {
    survives(&Change {
        args: &["mv", "f", "g"],
        stdin: "",
        after: &[
            ("f/one", None),
            ("f/two", None),
            ("g/one", Some("one")),
            ("g/two", Some("two")),
        ],
    });
}

#[test]
fn members_remove_survives_faults_at_calls_of_every_kind() {
    survives(&Change {
        args: &["members", "remove", "phone"],
        stdin: "",
        after: &[],
    });
}

#[test]
fn a_large_new_epoch_survives_faults() {
    let change = Change {
        args: &["members", "rotate-key"],
        stdin: "",
        after: &[],
    };
    survives_in(&change, &World::with_store());
}

#[test]
fn sync_survives_faults_at_calls_of_every_kind() {
    let world = World::with_store();
    for (name, word) in BEFORE {
        world.add(name, secret(word));
    }
    // A remote that another device has changed, and a change of this one: a sync fetches, merges and pushes.
    let (remote, other) = (world.home().join("remote.git"), world.home().join("other"));
    let [remote, other] = [&remote, &other].map(|path| path.to_str().unwrap());
    let bare = ["init", "-q", "--bare", "-b", "main", remote];
    world.program(tool("git"), &bare).run().ok();
    world.vault(&["remote", "add", remote]).run().ok();
    world.vault(&["sync"]).run().ok();
    world.vault(&["clone", remote, other]).run().ok();
    let there = |args: &[&str]| world.vault(&[&["-S", other], args].concat());
    there(&["add", "there"]).stdin(secret("there")).run().ok();
    there(&["rm", "-f", "f/two"]).run().ok();
    there(&["tag", TAGGED, "--description", "of both"])
        .run()
        .ok();
    there(&["sync"]).run().ok();
    world.vault(&["tag", TAGGED, "--tag", "here"]).run().ok();
    std::fs::remove_dir_all(other).unwrap();
    forget_all_but(&world.state().join("stores"), &world.store());
    survives_from(
        &Change {
            args: &["sync"],
            stdin: "",
            after: &[
                ("there", Some("there")),
                ("f/two", None),
                (TAGGED, Some("one of both")),
            ],
        },
        &world,
    );
}

/// A new epoch at the remote is followed, and work that was not pushed is carried over: it is as before, or followed with everything.
#[test]
fn trust_survives_faults_at_calls_of_every_kind() {
    let world = World::with_store();
    for (name, word) in BEFORE {
        world.add(name, secret(word));
    }
    let (remote, other) = (world.home().join("remote.git"), world.home().join("other"));
    let [remote, other] = [&remote, &other].map(|path| path.to_str().unwrap());
    let bare = ["init", "-q", "--bare", "-b", "main", remote];
    world.program(tool("git"), &bare).run().ok();
    world.vault(&["remote", "add", remote]).run().ok();
    world.vault(&["sync"]).run().ok();
    world.vault(&["clone", remote, other]).run().ok();
    let there = |args: &[&str]| world.vault(&[&["-S", other], args].concat()).run().ok();
    there(&["members", "rotate-key"]);
    let status = there(&["status", "--json"]).text();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let words = status["fingerprint"].as_str().unwrap().to_owned();
    // The arguments of a change live as long as the test program.
    let args: &'static [&'static str] = Box::leak(Box::new(["trust", Box::leak(words.into())]));
    world
        .vault(&["tag", TAGGED, "--description", "here"])
        .run()
        .ok();
    world.add("mine", secret("mine"));
    std::fs::remove_dir_all(other).unwrap();
    forget_all_but(&world.state().join("stores"), &world.store());
    survives_from_to(
        &Change {
            args,
            stdin: "",
            after: &[],
        },
        (&world, &[(TAGGED, "one here"), ("mine", "mine")]),
    );
}

/// Removes what is remembered of other stores than one.
fn forget_all_but(stores: &Path, store: &Path) {
    for name in names(stores) {
        let path = std::fs::read_to_string(stores.join(&name).join("path")).unwrap();
        if Path::new(&path) != store {
            std::fs::remove_dir_all(stores.join(name)).unwrap();
        }
    }
}

fn survives(change: &Change) {
    survives_in(change, &World::with_store());
    survives_in(change, &World::with_plain_store());
}

/// What a store holds: name to secret, with the description after it.
type Content = BTreeMap<String, String>;

/// The secret of a word; a second word is the description.
fn value(words: &str) -> String {
    let (word, description) = words.split_once(' ').unwrap_or((words, ""));
    format!("{} {description}", secret(word))
}

fn survives_in(change: &Change, world: &World) {
    let before = change.before();
    for (name, word) in &before {
        world.add(name, secret(word));
    }
    if change.renews() {
        let add = ["members", "add", "phone", PHONE];
        world.vault(&add).run().ok();
    }
    survives_from(change, world);
}

fn survives_from(change: &Change, world: &World) {
    survives_from_to(change, (world, &[]));
}

/// The same in a world that has changed these entries already.
fn survives_from_to(change: &Change, (world, changed): (&World, &[(&str, &str)])) {
    let lanes: Vec<Lane> = (0..LANES).map(|number| Lane::new(world, number)).collect();
    let before = change.before().into_iter();
    let mut new: Content = before.map(|(name, word)| (name, value(&word))).collect();
    for (name, words) in changed {
        new.insert((*name).to_owned(), value(words));
    }
    if change.renews() {
        new.insert(EPOCH.to_owned(), "1".to_owned());
    }
    let old = new.clone();
    if change.renews() {
        new.insert(EPOCH.to_owned(), "2".to_owned());
    }
    for (name, word) in change.after {
        match word {
            Some(word) => new.insert((*name).to_owned(), value(word)),
            None => new.remove(*name),
        };
    }
    let faults = lanes[0].plan(change);
    let (rare, many): (BTreeSet<Fault>, BTreeSet<Fault>) = faults
        .into_iter()
        .partition(|fault| change.tries_each(fault));
    let mut faults = sampled(many, change.most());
    faults.extend(rare);
    assert_eq!(lanes[0].content(change), new, "without a fault");
    assert!(faults.len() > 20, "{faults:?}");
    let count = faults.len();
    let (faults, failures, missed) = (
        Mutex::new(faults),
        Mutex::new(Vec::new()),
        Mutex::new(Vec::new()),
    );
    std::thread::scope(|scope| {
        for lane in &lanes {
            let (faults, failures, missed, old, new) = (&faults, &failures, &missed, &old, &new);
            scope.spawn(move || {
                while let Some(fault) = { faults.lock().unwrap().pop_first() } {
                    match lane.survives(change, &fault, old, new) {
                        Ok(true) => {}
                        Ok(false) => missed.lock().unwrap().push(fault),
                        Err(why) => failures.lock().unwrap().push(format!("{fault:?}: {why}")),
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap();
    assert!(
        missed.len() * 10 < count,
        "{} of {count} faults were not met, such as {:?}",
        missed.len(),
        missed.first()
    );
    let failures = failures.into_inner().unwrap();
    let shown: Vec<_> = failures.iter().take(10).map(String::as_str).collect();
    assert!(
        failures.is_empty(),
        "{} of {count} faults, such as:\n{}",
        failures.len(),
        shown.join("\n")
    );
}

/// One fault: `call` at its `when`-th time does this.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault {
    pub(crate) call: String,
    pub(crate) when: usize,
    pub(crate) effect: String,
}

/// Of each kind, which is a call and an effect, at most so many: the first, the last, and others evenly between.
pub(crate) fn sampled(faults: BTreeSet<Fault>, most: usize) -> BTreeSet<Fault> {
    let mut kinds: BTreeMap<(String, String), Vec<Fault>> = BTreeMap::new();
    for fault in faults {
        let kind = (fault.call.clone(), fault.effect.clone());
        kinds.entry(kind).or_default().push(fault);
    }
    let of_kind = |mut kind: Vec<Fault>| {
        kind.sort_by_key(|fault| fault.when);
        let (last, steps) = (kind.len() - 1, most.min(kind.len()).max(2) - 1);
        let tried: BTreeSet<usize> = (0..=steps).map(|nth| nth * last / steps).collect();
        let kind = kind.into_iter().enumerate();
        kind.filter_map(move |(at, fault)| tried.contains(&at).then_some(fault))
    };
    kinds.into_values().flat_map(of_kind).collect()
}

/// A home of its own, put back before each fault.
struct Lane {
    world: World,
    pristine: std::path::PathBuf,
}

impl Lane {
    /// A copy of a prepared world. Its store has its own path, so what the device remembers is moved along.
    fn new(prepared: &World, _number: usize) -> Self {
        let mut world = World::in_memory();
        let editor = world.home().with_file_name("editor");
        std::fs::write(&editor, EDITOR).unwrap();
        world.set("EDITOR", format!("sh {}", editor.display()));
        let pristine = world.home().with_file_name("pristine");
        copy(&prepared.home(), &pristine);
        let lane = Self { world, pristine };
        lane.restore();
        // The first look pins the store at its new path; from then on it is the state before each fault.
        let stores = lane.world.state().join("stores");
        let old = only(&stores);
        lane.world.vault(&["ls"]).run().ok();
        let made: Vec<_> = names(&stores)
            .into_iter()
            .filter(|name| *name != old)
            .collect();
        std::fs::remove_dir_all(stores.join(&made[0])).unwrap();
        std::fs::rename(stores.join(&old), stores.join(&made[0])).unwrap();
        if lane.world.home().join("remote.git").exists() {
            // Each lane has a remote of its own.
            let url = lane.world.home().join("remote.git");
            let url = url.to_str().unwrap();
            lane.world.vault(&["remote", "add", url]).run().ok();
        }
        std::fs::remove_dir_all(&lane.pristine).unwrap();
        copy(&lane.world.home(), &lane.pristine);
        lane
    }

    fn restore(&self) {
        std::fs::remove_dir_all(self.world.home()).unwrap();
        copy(&self.pristine, &self.world.home());
    }

    /// Every fault that the change can meet: the calls it makes below the home.
    fn plan(&self, change: &Change) -> BTreeSet<Fault> {
        self.restore();
        let log = self.world.home().with_file_name("log");
        let output = self.strace(change, &["-f", "-y", "-o", log.to_str().unwrap()]);
        assert_eq!(output.0, 0, "{}", output.1);
        let text = String::from_utf8_lossy(&std::fs::read(&log).unwrap()).into_owned();
        std::fs::remove_file(log).unwrap();
        let home = self.world.home();
        faults_of(&text, home.to_str().unwrap(), change.starts_another())
    }

    /// Runs the change under strace.
    fn strace(&self, change: &Change, flags: &[&str]) -> (i32, String) {
        let strace = tool("strace");
        // Twice "-f" would make one log of each thread.
        let is_followed = flags.contains(&"-f") || change.starts_another();
        let follow: &[&str] = if is_followed { &[] } else { &["-f"] };
        let args: Vec<&str> = [follow, &["-qq"], flags, &["--", VAULT], change.args].concat();
        let run = self.world.program(strace, &args);
        let output = run
            .stdin(if change.stdin.is_empty() {
                String::new()
            } else {
                secret(change.stdin)
            })
            .run();
        (output.code, output.stderr)
    }

    /// One fault, and what remains of it; whether it was met. The number of folders that are made for objects varies with
    /// their random ids, so a call that is not made in one run is tried again.
    fn survives(
        &self,
        change: &Change,
        fault: &Fault,
        old: &Content,
        new: &Content,
    ) -> Result<bool, String> {
        for _ in 0..3 {
            self.restore();
            if self.survives_once(change, fault, old, new)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn survives_once(
        &self,
        change: &Change,
        fault: &Fault,
        old: &Content,
        new: &Content,
    ) -> Result<bool, String> {
        let inject = format!("inject={}:{}:when={}", fault.call, fault.effect, fault.when);
        let trace = format!("trace={}", fault.call);
        let log = self.world.home().with_file_name("log");
        let flags = ["-e", &trace, "-e", &inject, "-o", log.to_str().unwrap()];
        let (code, stderr) = self.strace(change, &flags);
        let trace = std::fs::read(&log).unwrap_or_default();
        std::fs::remove_file(log).unwrap();
        if !contains(&trace, b"INJECTED") && !contains(&trace, b"SIGKILL") {
            return Ok(false);
        }
        if contains(stderr.as_bytes(), crate::world::CANARY.as_bytes())
            || code == 101
            || code == 134
        {
            return Err(format!("code {code}: {stderr}"));
        }
        let content = self.content(change);
        let is_old = content == *old;
        if !is_old && content != *new {
            return Err(format!(
                "neither old nor new: {content:?}; code {code}: {stderr}"
            ));
        }
        if code == 0 && is_old {
            return Err(format!("it said that it is done, and it is not: {stderr}"));
        }
        let after_change = content == *new;
        let next = self
            .world
            .vault(&["add", "-f", "next"])
            .stdin(secret("next"))
            .run();
        if next.code != 0 {
            return Err(format!(
                "the next command: {next:?}; before, code {code}: {stderr}"
            ));
        }
        let mut after = content;
        after.insert("next".to_owned(), value("next"));
        if self.content(change) != after {
            return Err(format!(
                "the next command changed more: {:?}",
                self.content(change)
            ));
        }
        self.leftovers()?;
        if change.args[0] == "sync" {
            self.syncs_again(change, new)?;
            return Ok(true);
        }
        if change.args[0] == "trust" {
            self.trusts_again(change, new)?;
            return Ok(true);
        }
        if after_change {
            self.stay_removed(change)?;
        }
        Ok(true)
    }

    /// A sync that met a fault, done once more, comes to its end: here and at the remote is what should be, and "next".
    fn syncs_again(&self, change: &Change, new: &Content) -> Result<(), String> {
        let again = self.world.vault(&["sync"]).run();
        let mut wanted = new.clone();
        wanted.insert("next".to_owned(), value("next"));
        let content = self.content(change);
        let head = self.world.git(&["rev-parse", "HEAD"]);
        let url = self.world.home().join("remote.git");
        let args = ["-C", url.to_str().unwrap(), "rev-parse", "main"];
        let there = self.world.program(tool("git"), &args).run().text();
        if again.code != 0 || content != wanted || head != there {
            return Err(format!(
                "sync again: {again:?}; {content:?}; {head} {there}"
            ));
        }
        Ok(())
    }

    /// A new epoch that was not followed because of a fault is followed when it is told once more.
    fn trusts_again(&self, change: &Change, new: &Content) -> Result<(), String> {
        let again = self.world.vault(change.args).run();
        let mut wanted = new.clone();
        wanted.insert("next".to_owned(), value("next"));
        let content = self.content(change);
        if again.code != 0 || content != wanted {
            return Err(format!("trust again: {again:?}; {content:?}"));
        }
        Ok(())
    }

    /// Every entry, read by the program: all secrets by one `exec`, a description by `show` where it matters.
    fn content(&self, change: &Change) -> Content {
        let names = self.world.names();
        let asked: Vec<String> = names
            .iter()
            .enumerate()
            .map(|(n, name)| format!("-eV{n:03}={name}"))
            .collect();
        let mut args = vec!["exec", "-q", "--pristine"];
        args.extend(asked.iter().map(String::as_str));
        args.extend(["--", "/usr/bin/env", "-0"]);
        let printed = self.world.vault(&args).run();
        if printed.code != 0 {
            return [("exec".to_owned(), format!("{printed:?}"))].into();
        }
        let printed = printed.text();
        let mut secrets: Vec<&str> = printed.split_terminator('\0').collect();
        secrets.sort_unstable();
        let one = |(name, secret): (String, &str)| {
            let secret = secret.split_once('=').unwrap().1;
            let description = if name == TAGGED {
                self.description(&name)
            } else {
                String::new()
            };
            (name, format!("{secret} {description}"))
        };
        let mut content: Content = names.into_iter().zip(secrets).map(one).collect();
        if change.renews() {
            let status = self.world.vault(&["status", "--json"]).run();
            let status: serde_json::Value =
                serde_json::from_slice(&status.stdout).unwrap_or_default();
            content.insert(EPOCH.to_owned(), status["epoch"].to_string());
        }
        content
    }

    fn description(&self, name: &str) -> String {
        let shown = self.world.vault(&["show", "--json", name]).run();
        let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap_or_default();
        shown["description"].as_str().unwrap_or_default().to_owned()
    }

    /// The old file of a removed entry, brought back, is refused (W-115).
    fn stay_removed(&self, change: &Change) -> Result<(), String> {
        for (name, _) in change.after.iter().filter(|(_, word)| word.is_none()) {
            let file = self.world.entry(name);
            let old = self
                .pristine
                .join(file.strip_prefix(self.world.home()).unwrap());
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::copy(old, file).unwrap();
            let output = self.world.vault(&["get", name]).run();
            if output.code != 5 || !output.stderr.contains("(revision)") {
                return Err(format!("\"{name}\" was removed and came back: {output:?}"));
            }
        }
        Ok(())
    }

    /// Nothing is left behind, and git finds nothing wrong.
    fn leftovers(&self) -> Result<(), String> {
        let mut left = Vec::new();
        for root in [self.world.store(), self.world.state()] {
            for item in walkdir::WalkDir::new(root) {
                let path = item.unwrap().into_path();
                let text = path.to_string_lossy();
                let name = path.file_name().unwrap().to_string_lossy();
                let is_left = name.starts_with(".vault-tmp-")
                    || (name.ends_with(".lock") && text.contains("/.git/"))
                    || text.contains("/vault-tmp/object-")
                    || text.contains("/vault-tmp/lock-of-")
                    || text.contains("/.vault/next")
                    || (name == "lock"
                        && text.contains("/stores/")
                        && path.metadata().unwrap().len() > 0);
                if is_left {
                    left.push(text.into_owned());
                }
            }
        }
        if !left.is_empty() {
            return Err(format!("left behind: {}", left.join(", ")));
        }
        if self.world.store().join(".git").exists() {
            let status = self.world.git(&["status", "--porcelain"]);
            if !status.is_empty() {
                return Err(format!("git status: {status}"));
            }
            self.world.git(&["fsck", "--strict", "--no-dangling"]);
        }
        Ok(())
    }
}

/// The faults that a log of strace (`-f -y`) names.
pub(crate) fn faults_of(log: &str, home: &str, is_alone: bool) -> BTreeSet<Fault> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut others: BTreeSet<&str> = BTreeSet::new();
    let mut faults = BTreeSet::new();
    let mut first = None;
    for line in log.lines() {
        let Some((pid, rest)) = line.split_once(' ') else {
            continue;
        };
        let Some((call, args)) = rest.trim_start().split_once('(') else {
            continue;
        };
        if !call
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            continue;
        }
        let first = *first.get_or_insert(pid);
        if pid != first && (is_alone || call == "execve") {
            // Another program from here on.
            others.insert(pid);
        }
        if others.contains(pid) {
            continue;
        }
        let when = counts.entry((pid, call)).or_default();
        *when += 1;
        if !args.contains(home) {
            continue;
        }
        let mut add = |effect: &str| {
            faults.insert(Fault {
                call: call.to_owned(),
                when: *when,
                effect: effect.to_owned(),
            });
        };
        let makes = ["O_CREAT", "O_WRONLY", "O_RDWR"]
            .iter()
            .any(|flag| args.contains(flag));
        if let Some((_, error)) = CHANGING.iter().find(|(name, _)| *name == call) {
            add("signal=KILL");
            add(&format!("error={error}"));
        } else if READING.contains(&call) {
            if makes {
                add("signal=KILL");
                add("error=ENOSPC");
            } else {
                add("error=EIO");
            }
        } else {
            let is_known = LEFT_ALONE.iter().any(|(names, _)| names.contains(&call));
            assert!(
                is_known,
                "say in a table what a fault at {call} does: {line}"
            );
        }
    }
    faults
}

pub(crate) fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status()
        .unwrap();
    assert!(status.success());
}

fn names(folder: &Path) -> Vec<std::ffi::OsString> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|item| item.unwrap().file_name())
        .collect()
}

fn only(folder: &Path) -> std::ffi::OsString {
    let mut names = names(folder);
    assert_eq!(names.len(), 1);
    names.remove(0)
}
