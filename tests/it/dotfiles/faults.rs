//! A kill, a full disk and an I/O error at each call by which `apply` changes or reads the home and what it remembers.
//!
//! Afterwards every file is its old self or its new one, the next apply comes to its end, and nothing is left behind.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use super::tree;
use crate::faults::Fault;
use crate::faults::copy;
use crate::faults::faults_of;
use crate::faults::sampled;
use crate::world::VAULT;
use crate::world::World;
use crate::world::contains;
use crate::world::tool;

/// Of how many calls of one kind an error is tried; the process is killed at each that changes something.
const MOST: usize = 3;

const APPLY: [&str; 5] = ["dotfiles", "apply", "--theirs", "--target", "person"];

type Tree = BTreeMap<PathBuf, String>;

struct Lane {
    world: World,
    pristine: PathBuf,
}

impl Lane {
    /// A home that is due for a new file in a new folder, a replaced one, a link, a template, another mode, and one that was changed here.
    fn new() -> Self {
        let world = World::with_store_in_memory();
        let home = world.home().join("person");
        fs::create_dir(&home).unwrap();
        world.add("token", "one");
        for name in ["a", "b", "mode", "mine"] {
            fs::write(home.join(name), format!("old {name}")).unwrap();
        }
        fs::write(home.join("template"), "t=agevault://token\n").unwrap();
        fs::create_dir(home.join("folder")).unwrap();
        fs::write(home.join("folder/new"), "new").unwrap();
        symlink("old", home.join("link")).unwrap();
        let at = ["--target", "person"];
        let add = [&["dotfiles", "add"], &at[..]].concat();
        let files = ["a", "b", "mode", "mine", "template", "folder", "link"];
        let files = files.map(|name| format!("person/{name}"));
        let add: Vec<&str> = add
            .into_iter()
            .chain(files.iter().map(String::as_str))
            .collect();
        world.vault(&add).run().ok();
        world.vault(&APPLY).run().ok();
        world.add("token", "two");
        fs::remove_dir_all(home.join("folder")).unwrap();
        fs::write(home.join("mine"), "changed").unwrap();
        super::set_mode(&home.join("mode"), 0o604);
        for (name, new) in [("a", "newer a"), ("b", "newer b"), ("link", "newer")] {
            let entry = format!("dotfiles/{name}");
            world.vault(&["add", "-f", &entry]).stdin(new).run().ok();
        }
        let pristine = world.home().with_file_name("pristine");
        copy(&world.home(), &pristine);
        Self { world, pristine }
    }

    fn restore(&self) {
        fs::remove_dir_all(self.world.home()).unwrap();
        copy(&self.pristine, &self.world.home());
    }

    fn tree(&self) -> Tree {
        tree(&self.world.home().join("person"))
    }

    fn strace(&self, flags: &[&str]) -> (i32, String) {
        let args: Vec<&str> = [&["-f", "-qq"], flags, &["--", VAULT], &APPLY].concat();
        let output = self.world.program(tool("strace"), &args).run();
        (output.code, output.stderr)
    }

    /// The faults that an apply can meet, and the tree before and after it.
    fn plan(&self) -> (BTreeSet<Fault>, Tree, Tree) {
        self.restore();
        let before = self.tree();
        let log = self.world.home().with_file_name("log");
        let (code, stderr) = self.strace(&["-y", "-o", log.to_str().unwrap()]);
        assert_eq!(code, 0, "{stderr}");
        let text = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
        fs::remove_file(log).unwrap();
        let mut faults = BTreeSet::new();
        let state = fs::read_dir(self.world.state().join("stores"))
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        for place in [
            self.world.home().join("person"),
            state.path().join("dotfiles"),
        ] {
            faults.extend(faults_of(&text, place.to_str().unwrap(), false));
        }
        (faults, before, self.tree())
    }

    fn survives(&self, fault: &Fault, (old, new): (&Tree, &Tree)) -> Result<bool, String> {
        self.restore();
        let inject = format!("inject={}:{}:when={}", fault.call, fault.effect, fault.when);
        let trace = format!("trace={}", fault.call);
        let log = self.world.home().with_file_name("log");
        let (code, stderr) =
            self.strace(&["-e", &trace, "-e", &inject, "-o", log.to_str().unwrap()]);
        let trace = fs::read(&log).unwrap_or_default();
        fs::remove_file(log).unwrap();
        if !contains(&trace, b"INJECTED") && !contains(&trace, b"SIGKILL") {
            return Ok(false);
        }
        if code == 101 || code == 134 {
            return Err(format!("code {code}: {stderr}"));
        }
        let now = self.tree();
        for (path, what) in now.iter().filter(|(path, _)| !is_temp(path)) {
            if old.get(path) != Some(what) && new.get(path) != Some(what) {
                return Err(format!(
                    "{}: neither old nor new: {what}; {stderr}",
                    path.display()
                ));
            }
        }
        if let Some(path) = old.keys().find(|path| !now.contains_key(*path)) {
            return Err(format!("{} is gone; {stderr}", path.display()));
        }
        if code == 0 && now != *new {
            return Err(format!("it said that it is done, and it is not: {stderr}"));
        }
        let next = self.world.vault(&APPLY).run();
        if next.code != 0 {
            return Err(format!(
                "the next apply: {next:?}; before, code {code}: {stderr}"
            ));
        }
        if self.tree() != *new {
            return Err(format!("after the next apply: {:?}", self.tree()));
        }
        let status = ["dotfiles", "status", "--exit-code", "--target", "person"];
        let status = self.world.vault(&status).run();
        let left = walkdir::WalkDir::new(self.world.state())
            .into_iter()
            .map(Result::unwrap);
        let mut left = left.filter(|item| is_temp(item.path()) || item.path().ends_with("pending"));
        match left.next() {
            _ if status.code != 0 => Err(format!("{status:?}")),
            Some(item) => Err(format!("left behind: {}", item.path().display())),
            None => Ok(true),
        }
    }
}

fn is_temp(path: &std::path::Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    name.starts_with(".vault-tmp-")
}

#[test]
fn apply_survives_a_fault_at_every_call() {
    let lanes = [Lane::new(), Lane::new()];
    let (faults, old, new) = lanes[0].plan();
    assert_ne!(old, new);
    assert!(faults.len() > 40, "{faults:?}");
    let is_kill = |fault: &Fault| fault.effect.contains("KILL");
    let (all, many): (BTreeSet<Fault>, BTreeSet<Fault>) = faults.into_iter().partition(is_kill);
    let mut faults = sampled(many, MOST);
    faults.extend(all);
    let count = faults.len();
    let (faults, failures, met) = (
        Mutex::new(faults),
        Mutex::new(Vec::new()),
        AtomicUsize::new(0),
    );
    std::thread::scope(|scope| {
        for lane in &lanes {
            let (faults, failures, met, old, new) = (&faults, &failures, &met, &old, &new);
            scope.spawn(move || {
                while let Some(fault) = { faults.lock().unwrap().pop_first() } {
                    match lane.survives(&fault, (old, new)) {
                        Ok(true) => drop(met.fetch_add(1, Ordering::Relaxed)),
                        Ok(false) => {}
                        Err(why) => failures.lock().unwrap().push(format!("{fault:?}: {why}")),
                    }
                }
            });
        }
    });
    let (failures, met) = (failures.into_inner().unwrap(), met.into_inner());
    assert!(
        failures.is_empty(),
        "{} of {count}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(met * 10 > count * 9, "{met} of {count}");
}
