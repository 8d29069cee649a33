//! Hundreds of runs of random changes on three devices, in process: after syncing all, every device is equal, and every value
//! ever written is in an entry, a conflict copy or history. git is started for the first store alone; the remote is a folder of
//! objects and a head.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::crypto::identity::StoreKey;
use crate::format::Header;
use crate::format::Name;
use crate::format::keys::KeyFile;
use crate::git::Id;
use crate::git::Ident;
use crate::git::run::Git;
use crate::secret::Secret;
use crate::store::Entry;
use crate::store::Plan;
use crate::store::Store;
use crate::store::Writer;
use crate::sync::Join;
use crate::sync::revisions;
use crate::sync::verify;

/// How many runs there are, and how many changes each has.
const RUNS: u64 = 200;
const CHANGES: usize = 10;
const NAMES: [&str; 5] = ["a", "b", "f/c", "f/d", "F/e"];

/// Numbers from a seed: the same at every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % 1_000_003).unwrap() % below
    }
}

/// A folder in RAM where there is one: hundreds of runs would otherwise mostly wait for the disk.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// A store and when it is there: each device's clock is a little off.
struct Device {
    store: Store,
    late: i64,
}

/// Three devices, their keys, and what is between them.
struct World {
    devices: Vec<Device>,
    keys: KeyFile,
    objects: PathBuf,
    head: Option<Id>,
    seconds: i64,
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(from).unwrap();
    for item in walkdir::WalkDir::new(from) {
        let item = item.unwrap();
        let to = to.join(item.path().strip_prefix(from).unwrap());
        if item.file_type().is_dir() {
            fs::create_dir_all(to).unwrap();
        } else if !to.exists() {
            fs::copy(item.path(), to).unwrap();
        }
    }
}

/// A store that all devices begin with.
fn first(root: &Path) -> KeyFile {
    let recipient = StoreKey::generate().recipient();
    let vars = [("PATH", std::env::var_os("PATH").unwrap())];
    let vars = vars.map(|(name, value)| (name.into(), value));
    let founding = Store::create(&Plan {
        path: &root.join("first"),
        state_home: &root.join("state"),
        members: vec![("laptop".to_owned(), recipient)],
        now: Timestamp::from_second(1_795_000_000).unwrap(),
        git: Some(Git::new(root, vars)),
    });
    founding.unwrap().keys
}

impl World {
    fn new(root: &Path, keys: KeyFile, first: &Path) -> Self {
        let devices = [0, -5, 7].map(|late: i64| {
            let path = root.join(format!("device{late}"));
            copy(first, &path);
            let store = Store::open(&path, &root.join("state"), None).unwrap();
            store.settle().unwrap();
            Device { store, late }
        });
        Self {
            devices: devices.into(),
            keys,
            objects: root.join("objects"),
            head: None,
            seconds: 1_795_000_000,
        }
    }

    fn change(&mut self, device: usize, work: impl FnOnce(&mut Writer<'_>, &Store, &KeyFile)) {
        self.seconds += 1;
        let Device { store, late } = &self.devices[device];
        let now = Timestamp::from_second(self.seconds + late).unwrap();
        let author = || Git::new(Path::new("/nowhere"), []).author();
        let mut writer = store.writer(&self.keys, now, author, || {}).unwrap();
        work(&mut writer, store, &self.keys);
        writer.commit("change").unwrap();
    }

    /// What a round does, without a host.
    fn sync(&mut self, device: usize) {
        let objects = self.devices[device].store.path().join(".git/objects");
        copy(&self.objects, &objects);
        let own = self.devices[device]
            .store
            .repo
            .as_ref()
            .unwrap()
            .head()
            .unwrap();
        if let (Some(there), Some(here)) = (self.head, own.commit) {
            self.take_in(device, &own, (here, there));
        }
        copy(&objects, &self.objects);
        self.head = self.devices[device]
            .store
            .repo
            .as_ref()
            .unwrap()
            .head()
            .unwrap()
            .commit;
    }

    fn take_in(&mut self, device: usize, own: &crate::git::Head, (here, there): (Id, Id)) {
        let Device { store, .. } = &self.devices[device];
        let repo = store.repo.as_ref().unwrap();
        let steps = verify(repo, &[here], there, &|_| &store.epoch).unwrap();
        if repo.is_ancestor(there, here).unwrap() {
        } else if repo.is_ancestor(here, there).unwrap() {
            let changes = repo.diff(Some(here), there).unwrap();
            let revs = revisions(store, &self.keys, repo, &changes).unwrap();
            let who = Ident::new("", "", self.seconds, 0);
            let done = store.fast_forward(own, there, (&who, "sync"), (repo, &steps));
            done.unwrap();
            store.state.raise_revs(&revs).unwrap();
        } else {
            self.change(device, |writer, store, keys| {
                let join = Join {
                    store,
                    keeper: keys,
                    repo: store.repo.as_ref().unwrap(),
                    ours: here,
                    theirs: there,
                };
                join.prepare(writer).unwrap();
            });
        }
    }

    /// Every entry of a device, each verified and not of an old revision.
    fn content(&self, device: usize) -> Vec<(String, Entry)> {
        let store = &self.devices[device].store;
        let names = store.names().unwrap().into_iter();
        let opened = names.map(|name| (name.to_string(), store.entry(&self.keys, &name).unwrap()));
        opened.collect()
    }

    /// Every value that any version of any entry had.
    fn history(&self) -> BTreeSet<Vec<u8>> {
        let store = &self.devices[0].store;
        let repo = store.repo.as_ref().unwrap();
        let mut values = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for id in repo.walk(self.head.unwrap(), None).unwrap() {
            for file in repo.files(id).unwrap() {
                let name = file.path.strip_suffix(".age").unwrap_or("");
                if let Ok(name) = Name::parse(name)
                    && seen.insert(file.id)
                {
                    let entry = store.version(&self.keys, &name, file.id).unwrap();
                    values.insert(entry.secret.expose().to_vec());
                }
            }
        }
        values
    }
}

/// One random change on one device; the value that it writes.
fn change(world: &mut World, dice: &mut Dice, number: usize) -> Option<String> {
    let device = dice.roll(3);
    let name = Name::parse(NAMES[dice.roll(NAMES.len())]).unwrap();
    let to = Name::parse(NAMES[dice.roll(NAMES.len())]).unwrap();
    let what = dice.roll(8);
    let value = format!("value {number}");
    let mut written = None;
    if what == 7 {
        world.sync(device);
        return None;
    }
    world.change(device, |writer, store, keys| {
        let there = store.entry(keys, &name).ok();
        match (what, there) {
            (0..=3, there) => {
                let header = there.map_or_else(
                    || Header::new(&name, Timestamp::UNIX_EPOCH),
                    |entry| entry.header,
                );
                let secret = Secret::new(value.clone().into_bytes());
                if writer.put(&name, header, &secret).is_ok() {
                    written = Some(value);
                }
            }
            (4, Some(mut entry)) => {
                entry.header.tags.push(value);
                writer.put(&name, entry.header, &entry.secret).unwrap();
            }
            (5, Some(entry)) => writer.remove(&name, entry.header.rev).unwrap(),
            (6, Some(entry)) if !store.has(&to).unwrap() => {
                let rev = entry.header.rev;
                if writer.put(&to, entry.header, &entry.secret).is_ok() {
                    writer.remove(&name, rev).unwrap();
                }
            }
            _ => {}
        }
    });
    written
}

#[test]
fn devices_converge_and_lose_nothing() {
    let base = folder();
    let keys = first(base.path());
    for run in 1..=RUNS {
        let root = folder();
        let mut world = World::new(root.path(), copy_keys(&keys), &base.path().join("first"));
        let mut dice = Dice(run.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut written = BTreeSet::new();
        for number in 0..CHANGES {
            written.extend(change(&mut world, &mut dice, number));
        }
        for device in [0, 1, 2, 0, 1, 2] {
            world.sync(device);
        }
        let first = world.content(0);
        for device in 1..3 {
            let other = world.content(device);
            let same = first.iter().zip(&other).all(|(one, other)| {
                let ((name, one), (other_name, other)) = (one, other);
                name == other_name && one.header == other.header && one.secret == other.secret
            });
            assert!(
                same && first.len() == other.len(),
                "run {run}: {first:?} {other:?}"
            );
        }
        let history = world.history();
        for value in written {
            assert!(
                history.contains(value.as_bytes()),
                "run {run}: lost {value}"
            );
        }
    }
}

/// The same keys again, as their file has them.
fn copy_keys(keys: &KeyFile) -> KeyFile {
    let (head, body) = keys.plaintext_for(&keys.member, false).unwrap();
    let plain = [head.as_bytes(), body.expose()].concat();
    KeyFile::parse(Secret::new(plain), &keys.epoch, &keys.member).unwrap()
}
