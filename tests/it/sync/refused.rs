//! Someone with write access to the remote, and with a key that he should not have where the row says so: each of his moves is
//! refused by name, and the store is byte for byte as it was.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use agevault::crypto::sign::WriterKey;
use agevault::format::Epoch;
use agevault::format::keys::KeyFile;
use agevault::format::seal;
use agevault::secret::Secret;

use crate::sync::Clones;
use crate::world::World;
use crate::world::secret;
use crate::world::tool;

/// Who seals a commit.
#[derive(Clone, Copy)]
enum Seal {
    /// Nobody: it is made by hand.
    None,
    /// Somebody else's key.
    Forged,
    /// The store's own key: a writer member, or a thief of his key.
    Real,
}

/// His repository, at the commit that the remote has.
struct Hand<'c> {
    clones: &'c Clones,
    folder: PathBuf,
    keys: KeyFile,
}

impl<'c> Hand<'c> {
    fn new(clones: &'c Clones) -> Self {
        let device = &clones.devices[0];
        let folder = device.home().with_file_name("hand");
        let args = ["clone", "--quiet", &clones.url(), folder.to_str().unwrap()];
        device.program(tool("git"), &args).run().ok();
        let key_file = folder.join(".vault/keys/laptop.age");
        let (identity, key_file) = (device.identity(), key_file);
        let args = [
            "-d",
            "-i",
            identity.to_str().unwrap(),
            key_file.to_str().unwrap(),
        ];
        let plain = device.program(tool("age"), &args).run().ok().stdout;
        let epoch = Epoch::parse(&std::fs::read(folder.join(".vault/format")).unwrap()).unwrap();
        let keys = KeyFile::parse(Secret::new(plain), &epoch, "laptop").unwrap();
        Self {
            clones,
            folder,
            keys,
        }
    }

    fn git(&self, args: &[&str]) -> String {
        let device = &self.clones.devices[0];
        let run = device.program(tool("git"), args).cwd(&self.folder).run();
        run.ok().text().trim().to_owned()
    }

    /// Puts a file of any mode into the next tree.
    fn put(&self, mode: &str, path: &str, bytes: &[u8]) {
        let device = &self.clones.devices[0];
        let run = device.program(tool("git"), &["hash-object", "-w", "--stdin"]);
        let id = run.cwd(&self.folder).stdin(bytes).run().ok().text();
        self.put_id(mode, path, id.trim());
    }

    fn put_id(&self, mode: &str, path: &str, id: &str) {
        let info = format!("{mode},{id},{path}");
        self.git(&["update-index", "--add", "--cacheinfo", &info]);
    }

    /// A commit of the next tree on the remote's head, or on another commit.
    fn commit(&self, by: Seal, on: Option<&str>) -> String {
        let tree = self.git(&["write-tree"]);
        let parent = match on {
            Some(on) => on.to_owned(),
            None => self.git(&["rev-parse", "HEAD"]),
        };
        let who = "Mallory <m@example.org> 1795374720 +0000";
        let text = format!("tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\nhis\n");
        let raw = match by {
            Seal::None => text.into_bytes(),
            Seal::Forged => {
                let key = WriterKey::generate().unwrap();
                seal::seal(text.as_bytes(), &self.keys.epoch, &key)
            }
            Seal::Real => {
                let key = self.keys.writer_key.as_ref().unwrap();
                seal::seal(text.as_bytes(), &self.keys.epoch, key)
            }
        };
        let device = &self.clones.devices[0];
        let args = ["hash-object", "-w", "-t", "commit", "--stdin"];
        let run = device.program(tool("git"), &args).cwd(&self.folder);
        let id = run.stdin(raw).run().ok().text().trim().to_owned();
        self.git(&["update-ref", "HEAD", &id]);
        id
    }

    fn push(&self) {
        self.git(&["push", "--quiet", "--force", "origin", "HEAD:main"]);
    }
}

/// Every file of a folder, and what is in it.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = walkdir::WalkDir::new(folder).into_iter();
    let files = files.map(|item| item.unwrap().into_path());
    files
        .map(|path| {
            let bytes = std::fs::read(&path).unwrap_or_default();
            (path, bytes)
        })
        .collect()
}

/// The second device refuses what the remote has now, at this stage, and nothing of its store has changed.
#[track_caller]
fn refused(clones: &Clones, about: &str, stage: &str) {
    let device = &clones.devices[1];
    let before = snapshot(&device.store());
    let output = device.vault(&["sync"]).run();
    assert!(
        output.code == 5 && output.stderr.contains(&format!("({stage})")),
        "{about}: {output:?}"
    );
    assert!(before == snapshot(&device.store()), "{about}: it changed");
    assert_eq!(device.get("a").unwrap(), secret("a").into_bytes());
}

/// Two devices, both synced; `a` was written twice.
fn victims() -> Clones {
    let clones = Clones::new(2);
    let first = &clones.devices[0];
    first.add("a", secret("a, old"));
    std::fs::copy(first.entry("a"), first.home().join("a.old")).unwrap();
    first.add("a", secret("a"));
    first.add("b", secret("b"));
    clones.sync_all();
    clones
}

/// A row: what he does to the next tree, who seals it, and where it is refused.
type Row = (&'static str, fn(&Hand<'_>), Seal, &'static str);

const ROWS: [Row; 20] = [
    (
        "an entry added",
        |h| h.put("100644", "c.age", b"x"),
        Seal::None,
        "seal",
    ),
    (
        "a forged seal",
        |h| h.put("100644", "c.age", b"x"),
        Seal::Forged,
        "seal",
    ),
    ("entries swapped", swap, Seal::None, "seal"),
    ("entries swapped, forged", swap, Seal::Forged, "seal"),
    (
        "entries swapped, by a writer's key",
        swap,
        Seal::Real,
        "name",
    ),
    ("an old entry brought back", old, Seal::None, "seal"),
    (
        "an old entry, by a writer's key",
        old,
        Seal::Real,
        "revision",
    ),
    (
        "an entry dropped",
        |h| drop(h.git(&["rm", "-q", "--cached", "b.age"])),
        Seal::None,
        "seal",
    ),
    (
        "a key file added",
        |h| h.put("100644", ".vault/keys/m.age", b"x"),
        Seal::None,
        "seal",
    ),
    (
        "a key file replaced",
        |h| h.put("100644", ".vault/keys/laptop.age", b"x"),
        Seal::Forged,
        "seal",
    ),
    (
        "a planted entry, by a writer's key",
        |h| h.put("100644", "c.age", b"x"),
        Seal::Real,
        "envelope",
    ),
    (
        "a symbolic link",
        |h| h.put("120000", "c.age", b"a.age"),
        Seal::Real,
        "name",
    ),
    (
        "an executable",
        |h| h.put("100755", "c.age", b"x"),
        Seal::Real,
        "name",
    ),
    (
        "a bad name",
        |h| h.put("100644", "a\u{202e}b.age", b"x"),
        Seal::Real,
        "name",
    ),
    (
        "a clashing name",
        |h| h.put("100644", "A.age", b"x"),
        Seal::Real,
        "name",
    ),
    (
        "attributes",
        |h| h.put("100644", ".gitattributes", b"* filter=x\n"),
        Seal::Real,
        "name",
    ),
    (
        "a file that is not ours",
        |h| h.put("100644", "f/README.md", b"x"),
        Seal::Real,
        "name",
    ),
    (
        "an oversized key file",
        |h| h.put("100644", ".vault/keys/m.age", &[0; (1 << 20) + 1]),
        Seal::Real,
        "envelope",
    ),
    ("an oversized entry", oversized, Seal::Real, "envelope"),
    ("a submodule", submodule, Seal::Real, "name"),
];

fn swap(hand: &Hand<'_>) {
    let id = |path: &str| hand.git(&["rev-parse", &format!("HEAD:{path}")]);
    let (a, b) = (id("a.age"), id("b.age"));
    hand.put_id("100644", "a.age", &b);
    hand.put_id("100644", "b.age", &a);
}

fn old(hand: &Hand<'_>) {
    let old = hand.clones.devices[0].home().join("a.old");
    hand.put("100644", "a.age", &std::fs::read(old).unwrap());
}

fn oversized(hand: &Hand<'_>) {
    let limit = usize::try_from(agevault::format::ENTRY_MAX_BYTES).unwrap();
    hand.put("100644", "c.age", &vec![0; limit + 1]);
}

fn submodule(hand: &Hand<'_>) {
    let head = hand.git(&["rev-parse", "HEAD"]);
    hand.put_id("160000", "c.age", &head);
}

#[test]
fn each_of_his_commits_is_refused_by_name() {
    let clones = victims();
    let hand = Hand::new(&clones);
    let good = hand.git(&["rev-parse", "HEAD"]);
    for (about, change, by, stage) in ROWS {
        hand.git(&["reset", "--quiet", "--hard", &good]);
        change(&hand);
        hand.commit(by, None);
        hand.push();
        refused(&clones, about, stage);
    }
    // Below a sealed commit, too.
    hand.git(&["reset", "--quiet", "--hard", &good]);
    hand.put("100644", "c.age", b"x");
    hand.commit(Seal::None, None);
    hand.git(&["rm", "-q", "--cached", "c.age"]);
    hand.commit(Seal::Real, None);
    hand.push();
    refused(&clones, "a commit by hand below a sealed one", "seal");
    hand.git(&["reset", "--quiet", "--hard", &good]);
    hand.push();
    clones.sync_all();
}

#[test]
fn a_remote_that_goes_back_or_elsewhere_is_refused_until_it_is_accepted() {
    let clones = victims();
    let hand = Hand::new(&clones);
    let good = hand.git(&["rev-parse", "HEAD"]);
    hand.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    hand.push();
    refused(&clones, "rewound", "descent");
    let beside = hand.commit(Seal::Real, None);
    hand.push();
    refused(&clones, "rewritten", "descent");
    clones.git(&["update-ref", "-d", "refs/heads/main"]);
    refused(&clones, "the branch is gone", "descent");
    hand.push();
    // What was seen stays, and both sides are merged.
    clones
        .vault(1, &["sync", "--accept-rewrite", &good])
        .fails_with(5);
    clones
        .vault(1, &["sync", "--accept-rewrite", &beside[..12]])
        .ok();
    let device = &clones.devices[1];
    assert_eq!(device.names(), ["a", "b"]);
    assert_eq!(device.get("b").unwrap(), secret("b").into_bytes());
}

#[test]
fn another_store_and_another_epoch_are_refused() {
    let clones = victims();
    let other = World::with_store();
    let url = clones.url();
    other.git(&["push", "--quiet", "--force", &url, "HEAD:other"]);
    let hand = Hand::new(&clones);
    // Another epoch with a key of his own, sealed with it.
    let key = WriterKey::generate().unwrap();
    let epoch = Epoch {
        number: 2,
        writer: key.public(),
        ..hand.keys.epoch.clone()
    };
    hand.put("100644", ".vault/format", epoch.to_text().as_bytes());
    hand.commit(Seal::Real, None);
    hand.push();
    refused(&clones, "another epoch", "pin");
    let said = clones.vault(1, &["sync"]).fails_with(5);
    assert!(
        said.stderr.contains(&epoch.fingerprint()),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("vault trust"), "{}", said.stderr);
    // Another store in its place, to a device that has seen nothing of this remote.
    hand.git(&["fetch", "--quiet", "origin", "other"]);
    hand.git(&["push", "--quiet", "--force", "origin", "FETCH_HEAD:main"]);
    clones.vault(1, &["remote", "remove"]).ok();
    clones.vault(1, &["remote", "add", &url]).ok();
    refused(&clones, "another store", "pin");
}

#[test]
fn a_repository_that_leads_git_elsewhere_is_not_synced() {
    let clones = victims();
    let device = &clones.devices[1];
    clones.devices[0].add("c", secret("c"));
    clones.sync(0);
    let git = device.store().join(".git");
    let touched = device.home().join("touched");
    let program = format!("touch '{}'", touched.display());
    for key in [
        "core.sshCommand",
        "core.fsmonitor",
        "remote.origin.uploadpack",
    ] {
        device.git(&["config", key, &program]);
        let before = snapshot(&device.store());
        device
            .vault(&["sync"])
            .run()
            .fails_with(5)
            .says(key.to_lowercase().as_str());
        assert!(before == snapshot(&device.store()), "{key}");
        device.git(&["config", "--unset", key]);
    }
    let head = device.git(&["rev-parse", "HEAD"]);
    for (path, text) in [
        ("info/grafts", head.as_str()),
        ("objects/info/alternates", "/tmp\n"),
        (
            "refs/replace/0000000000000000000000000000000000000001",
            &head,
        ),
    ] {
        let path = git.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        let before = snapshot(&device.store());
        device.vault(&["sync"]).run().fails_with(5);
        assert!(before == snapshot(&device.store()), "{}", path.display());
        std::fs::remove_file(&path).unwrap();
    }
    assert!(!touched.exists());
    clones.sync(1);
    assert_eq!(device.get("c").unwrap(), secret("c").into_bytes());
}

#[test]
fn a_clone_of_what_is_not_expected_leaves_nothing() {
    let clones = victims();
    let device = clones.device();
    let words = ["abandon"; 8].join("-");
    let url = clones.url();
    let refused = device.vault(&["clone", &url, "--expect", &words]).run();
    let _ = refused.fails_with(5).says("(pin)");
    let hand = Hand::new(&clones);
    hand.put("100644", "c.age", b"x");
    hand.commit(Seal::None, None);
    hand.push();
    let _ = device
        .vault(&["clone", &url])
        .run()
        .fails_with(5)
        .says("(seal)");
    let folder = device.store();
    let left = std::fs::read_dir(folder.parent().unwrap()).unwrap().count();
    assert_eq!(left, 0);
}
