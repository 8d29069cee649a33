//! Random changes on three clones: after syncing all, every clone is equal, and every value ever written is in an entry, a
//! conflict copy or history.

use std::collections::BTreeSet;

use crate::sync::Clones;
use crate::world::secret;

/// How many steps the long run has.
const STEPS: usize = 48;
/// After how many steps all devices are synced and compared.
const ROUND: usize = 8;
const NAMES: [&str; 6] = ["a", "b", "f/c", "f/d", "F/e", "g/h"];

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

#[test]
fn three_clones_converge_and_lose_nothing() {
    let clones = Clones::new(3);
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut written = BTreeSet::new();
    for step in 0..STEPS {
        let device = &clones.devices[dice.roll(3)];
        let name = NAMES[dice.roll(NAMES.len())];
        let other = NAMES[dice.roll(NAMES.len())];
        match dice.roll(8) {
            0..=3 => {
                let value = secret(&format!("step {step}"));
                let added = device.vault(&["add", "-f", name]).stdin(&value).run();
                // A name may clash in case with one that is there.
                if added.code == 0 {
                    written.insert(value);
                }
            }
            4 => drop(
                device
                    .vault(&["tag", name, "--tag", &format!("t{step}")])
                    .run(),
            ),
            5 => drop(device.vault(&["rm", "-f", name]).run()),
            6 => drop(device.vault(&["mv", name, other]).run()),
            _ => drop(device.vault(&["sync"]).run().ok()),
        }
        if step % ROUND == ROUND - 1 {
            compare(&clones);
        }
    }
    look_for_all(&clones, &written);
}

/// Everything is the same everywhere.
#[track_caller]
fn compare(clones: &Clones) {
    clones.sync_all();
    let first = &clones.devices[0];
    let head = first.git(&["rev-parse", "HEAD"]);
    for device in &clones.devices {
        assert_eq!(device.git(&["rev-parse", "HEAD"]), head);
        assert_eq!(device.git(&["status", "--porcelain"]), "");
        device.vault(&["doctor"]).run().ok();
    }
}

/// Each value is in some version of some entry, as any device reads it.
fn look_for_all(clones: &Clones, written: &BTreeSet<String>) {
    let device = &clones.devices[2];
    let paths = device.git(&["log", "--all", "--format=", "--name-only"]);
    let names: BTreeSet<&str> = paths
        .lines()
        .filter_map(|path| path.strip_suffix(".age"))
        .filter(|name| !name.starts_with(".vault/"))
        .collect();
    let mut found = String::new();
    for name in names {
        let log = device.vault(&["log", "-p", "--reveal", name]).run().ok();
        found.push_str(&log.text());
    }
    for value in written {
        assert!(found.contains(value.as_str()), "lost: {value}");
    }
}
