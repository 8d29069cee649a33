//! What lies in the agent's memory, and that none of it reaches a core file.

use std::fs;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::process::Stdio;

use crate::agent::Agency;
use crate::agent::soon;
use crate::world::CANARY;
use crate::world::VAULT;
use crate::world::World;
use crate::world::contains;
use crate::world::secret;
use crate::world::tool;

/// All memory of a process that can be written to. For root.
fn memory(pid: u32) -> Vec<u8> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut file = fs::File::open(format!("/proc/{pid}/mem")).expect("this test must run as root");
    let mut whole = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let range = line.split(' ').next().unwrap().split_once('-').unwrap();
        let number = |hex| u64::from_str_radix(hex, 16).unwrap();
        let (start, end) = (number(range.0), number(range.1));
        file.seek(SeekFrom::Start(start)).unwrap();
        // A part that is not there reads as an error.
        let _ = (&file).take(end - start).read_to_end(&mut whole);
    }
    assert!(whole.len() > 4096, "no memory was read");
    whole
}

/// The 32 bytes of an age identity.
fn key_bytes(line: &str) -> Vec<u8> {
    const LETTERS: &str = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
    let data = line.trim().strip_prefix("AGE-SECRET-KEY-1").unwrap();
    let data = &data[..data.len() - 6];
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in data.chars() {
        let five = u32::try_from(LETTERS.find(letter).unwrap()).unwrap();
        bits = bits << 5 | five;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    assert_eq!(bytes.len(), 32);
    bytes
}

fn identity_key(world: &World, path: &str) -> String {
    let text = fs::read_to_string(world.home().join(path)).unwrap();
    let line = text.lines().find(|line| line.starts_with("AGE-SECRET"));
    line.unwrap().to_owned()
}

/// The store key, by stock age.
fn store_key(world: &World, store: &str, identity: &str) -> String {
    let keys = world.home().join(store).join(".vault/keys");
    let file = fs::read_dir(keys).unwrap().next().unwrap().unwrap().path();
    let args = ["-d", "-i", identity, file.to_str().unwrap()];
    let text = world.program(tool("age"), &args).run().ok().text();
    let line = text.lines().find(|line| line.starts_with("AGE-SECRET"));
    line.unwrap().to_owned()
}

const STORE: &str = ".local/share/agevault/store";
const HIDDEN: &str = ".config/agevault/identities.hidden";

#[test]
fn the_agent_holds_the_stores_keys_locked_and_nothing_else() {
    let agency = Agency::unlocked();
    let world = &agency.world;
    world.add("a", secret("a"));
    world.add("large", secret("large").repeat(9000));
    for _ in 0..20 {
        world.get("a").unwrap();
        world.get("large").unwrap();
    }
    let pid = agency.pid();
    let memory = memory(pid);
    let store = store_key(world, STORE, HIDDEN);
    assert!(
        contains(&memory, &key_bytes(&store)),
        "the test looks in the right place"
    );
    let identity = identity_key(world, HIDDEN);
    assert!(!contains(&memory, identity.as_bytes()));
    assert!(
        !contains(&memory, &key_bytes(&identity)),
        "never the identity"
    );
    assert!(
        !contains(&memory, CANARY.as_bytes()),
        "a secret stayed behind"
    );
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:"));
    let locked = locked.unwrap().split_whitespace().next().unwrap();
    assert!(locked.parse::<u32>().unwrap() > 0, "{status}");
    assert_eq!(agency.status()["agent"]["stores"][0]["memory_locked"], true);
}

#[test]
fn an_expired_key_leaves_the_memory_of_an_agent_that_lives_on() {
    let agency = Agency::unlocked();
    let world = &agency.world;
    agency.show_identity();
    let init = [
        "--store",
        "./other",
        "init",
        "--no-passphrase",
        "--no-recovery",
    ];
    world.vault(&init).run().ok();
    let unlock = ["--store", "./other", "unlock", "--for", "3s"];
    world.vault(&unlock).run().ok();
    agency.hide_identity();
    let add = ["--store", "./other", "add", "x"];
    world.vault(&add).stdin(secret("x")).run().ok();
    world.add("a", secret("a"));
    let pid = agency.pid();
    let held = || agency.status()["agent"]["stores"].as_array().unwrap().len();
    soon("the other store is forgotten", || held() == 1);
    // It goes on as a fresh image; once that answers, it has what is left.
    let is_fresh = || {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        contains(&words, b"--renewed")
    };
    soon("a fresh image", is_fresh);
    assert_eq!(agency.pid(), pid, "the same process");
    let memory = memory(pid);
    let other = store_key(world, "other", HIDDEN);
    assert!(!contains(&memory, other.as_bytes()));
    assert!(
        !contains(&memory, &key_bytes(&other)),
        "a key stayed behind"
    );
    assert!(contains(
        &memory,
        &key_bytes(&store_key(world, STORE, HIDDEN))
    ));
}

#[test]
fn where_memory_cannot_be_locked_it_is_said() {
    let mut world = World::with_store();
    world.set("AGEVAULT_AGENT", "on");
    let agency = Agency { world };
    let world = &agency.world;
    // Root may lock what it wants, unless the right to is taken away.
    let args = [
        "--bounding-set",
        "-ipc_lock",
        "--inh-caps",
        "-ipc_lock",
        "prlimit",
        "--memlock=0:0",
        VAULT,
        "unlock",
    ];
    world
        .program(tool("setpriv"), &args)
        .run()
        .ok()
        .says("ulimit -l");
    assert_eq!(
        agency.status()["agent"]["stores"][0]["memory_locked"],
        false
    );
}

/// The soft limit of core files.
fn core_limit(limits: &str) -> String {
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let word = line.and_then(|line| line.split_whitespace().nth(4));
    word.unwrap_or_default().to_owned()
}

#[test]
fn an_abort_leaves_no_core_file() {
    let agency = Agency::unlocked();
    let world = &agency.world;
    let folder = world.home().join("cores");
    fs::create_dir(&folder).unwrap();
    let mut add = Command::new(tool("prlimit"))
        .args(["--core=unlimited", VAULT, "add", "x"])
        .env_clear()
        .envs(world.vars().iter().cloned())
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    // It has read a part of the secret, and waits for the rest.
    add.stdin
        .as_mut()
        .unwrap()
        .write_all(secret("x").as_bytes())
        .unwrap();
    let of =
        |file: &str| fs::read_to_string(format!("/proc/{}/{file}", add.id())).unwrap_or_default();
    // prlimit has raised the limit before it became vault: a limit of 0 is vault's own work.
    let is_hardened = || of("cmdline").starts_with(VAULT) && core_limit(&of("limits")) == "0";
    soon("vault has begun", is_hardened);
    let abort = |pid: u32| {
        let args = ["-ABRT", &pid.to_string()];
        assert!(Command::new("kill").args(args).status().unwrap().success());
    };
    abort(add.id());
    let status = add.wait().unwrap();
    assert_eq!(status.signal(), Some(6));
    assert!(!status.core_dumped());
    let pid = agency.pid();
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    abort(pid);
    soon("the agent is gone", || !crate::agent::lives(pid));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}
