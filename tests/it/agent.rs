//! The agent: unlocked once, everything works through it, and it forgets when it should.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use crate::pty::Pty;
use crate::world::VAULT;
use crate::world::World;
use crate::world::secret;
use crate::world::tool;

/// How long is waited for something that must happen.
const SOON: Duration = Duration::from_secs(30);

/// A world with an agent: ended when this is dropped.
pub(crate) struct Agency {
    pub(crate) world: World,
}

impl Agency {
    /// A store behind a passphrase, which a program prints and counts.
    pub(crate) fn with_passphrase() -> Self {
        let mut world = World::new();
        world.set("AGEVAULT_AGENT", "on");
        let ask = world.script("bin/ask", "echo asked >> ~/asked; echo correct-horse");
        world.set("AGEVAULT_PASSPHRASE_CMD", ask);
        let init = ["init", "--no-recovery", "--member", "laptop"];
        world.vault(&init).run().ok();
        fs::remove_file(world.home().join("asked")).unwrap();
        Self { world }
    }

    /// A store with a plain identity, unlocked; the identity is out of reach, so that the agent alone has the keys.
    pub(crate) fn unlocked() -> Self {
        let mut world = World::with_store();
        world.set("AGEVAULT_AGENT", "on");
        let this = Self { world };
        this.world.vault(&["unlock"]).run().ok();
        this.hide_identity();
        this
    }

    pub(crate) fn hide_identity(&self) {
        let identity = self.world.identity();
        fs::rename(&identity, identity.with_extension("hidden")).unwrap();
    }

    pub(crate) fn show_identity(&self) {
        let identity = self.world.identity();
        fs::rename(identity.with_extension("hidden"), identity).unwrap();
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.world.state().join("run")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder().join("agent.sock")
    }

    pub(crate) fn status(&self) -> serde_json::Value {
        let text = self.world.vault(&["status", "--json"]).run().ok().text();
        serde_json::from_str(&text).unwrap()
    }

    /// The agent's process id.
    pub(crate) fn pid(&self) -> u32 {
        let pid = self.status()["agent"]["pid"].as_u64();
        u32::try_from(pid.expect("an agent")).unwrap()
    }

    fn asked(&self) -> usize {
        let asked = fs::read_to_string(self.world.home().join("asked"));
        asked.unwrap_or_default().lines().count()
    }
}

impl Drop for Agency {
    fn drop(&mut self) {
        let _ = self.world.vault(&["lock"]).run();
    }
}

/// Waits for a condition.
#[track_caller]
pub(crate) fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::yield_now();
    }
}

/// Whether a process is there, and no corpse.
pub(crate) fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

#[test]
fn a_passphrase_is_asked_once() {
    let agency = Agency::with_passphrase();
    let world = &agency.world;
    world.add("a", secret("a"));
    assert_eq!(agency.asked(), 1, "the first unlocking starts the agent");
    for _ in 0..20 {
        assert_eq!(world.get("a").unwrap(), secret("a").into_bytes());
    }
    world.add("b/c", vec![b'x'; 3 << 20]);
    assert_eq!(world.get("b/c").unwrap().len(), 3 << 20);
    world.vault(&["tag", "a", "--scope", "repo"]).run().ok();
    world.vault(&["mv", "a", "d"]).run().ok();
    let printed = world
        .vault(&["exec", "-q", "-e", "T=d", "--", "printenv", "T"])
        .run()
        .ok();
    assert_eq!(printed.text().trim_end(), secret("d").replace("-d", "-a"));
    assert!(
        world
            .vault(&["log", "-p", "d"])
            .run()
            .ok()
            .text()
            .contains("scopes")
    );
    world.vault(&["doctor"]).run().ok();
    assert_eq!(world.git(&["status", "--porcelain"]), "");
    assert_eq!(agency.asked(), 1, "nobody is asked again");
    world.vault(&["lock"]).run().ok().says("locked");
    world.get("d").unwrap();
    assert_eq!(agency.asked(), 2);
}

#[test]
fn locked_means_exit_4_and_a_word_of_how_to_unlock() {
    let mut agency = Agency::with_passphrase();
    agency.world.add("a", secret("a"));
    let unlocked = |agency: &Agency| agency.world.vault(&["status", "--unlocked"]).run().code;
    assert_eq!(unlocked(&agency), 0);
    let pid = agency.pid();
    agency.world.vault(&["lock"]).run().ok();
    assert!(!lives(pid), "the process ends");
    assert!(!agency.socket().exists());
    agency
        .world
        .vault(&["lock"])
        .run()
        .ok()
        .says("nothing was unlocked");
    agency.world.set("AGEVAULT_PASSPHRASE_CMD", "");
    assert_eq!(unlocked(&agency), 4);
    for vars in ["AGEVAULT_NON_INTERACTIVE", "NOTHING"] {
        let get = agency.world.vault(&["get", "a"]).env(vars, "1");
        get.run().fails_with(4).says("vault unlock");
    }
    agency
        .world
        .vault(&["unlock"])
        .run()
        .fails_with(4)
        .says("vault unlock");
    assert_eq!(agency.status()["agent"], serde_json::Value::Null);
}

#[test]
fn status_tells_pid_stores_and_time() {
    let agency = Agency::unlocked();
    let status = agency.status();
    assert_eq!(status["unlocked"], true);
    let store = &status["agent"]["stores"][0];
    assert_eq!(store["member"], "laptop");
    assert_eq!(
        store["path"].as_str().unwrap(),
        agency.world.store().to_str().unwrap()
    );
    let left = |key: &str| store[key].as_u64().unwrap();
    assert!((14 * 60..=15 * 60).contains(&left("idle_seconds_left")));
    assert!((7 * 3600..=8 * 3600).contains(&left("seconds_left")));
    assert!(lives(agency.pid()));
    let told = agency.world.vault(&["status"]).run().ok().text();
    assert!(
        told.contains("15 minutes without use, 8 hours at most"),
        "{told}"
    );
    agency
        .world
        .vault(&["unlock"])
        .run()
        .ok()
        .says("unlocked already");
}

#[test]
fn for_sets_the_time_within_the_limit() {
    let agency = Agency::unlocked();
    let world = &agency.world;
    agency.show_identity();
    world
        .vault(&["unlock", "--for", "2h"])
        .run()
        .ok()
        .says("for 2 hours");
    world
        .vault(&["unlock", "--for", "8h"])
        .run()
        .ok()
        .says("for 8 hours");
    world
        .vault(&["unlock", "--for", "9h"])
        .run()
        .fails_with(2)
        .says("8 hours");
    world
        .vault(&["unlock", "--for", "soon"])
        .run()
        .fails_with(2);
    let set = ["config", "set", "unlock-max-hours", "9"];
    world.vault(&set).run().ok();
    world
        .vault(&["unlock", "--for", "9h"])
        .run()
        .ok()
        .says("for 9 hours");
    let set = ["config", "set", "unlock-idle-minutes", "3"];
    world.vault(&set).run().ok();
    world.vault(&["lock"]).run().ok();
    world
        .vault(&["unlock"])
        .run()
        .ok()
        .says("3 minutes without use");
}

#[test]
fn the_agent_ends_when_the_time_is_over() {
    let agency = Agency::unlocked();
    let world = &agency.world;
    agency.show_identity();
    world.add("a", secret("a"));
    world.vault(&["unlock", "--for", "2s"]).run().ok();
    agency.hide_identity();
    let pid = agency.pid();
    soon("the agent ends", || !lives(pid));
    world.vault(&["get", "a"]).run().fails_with(4);
}

#[test]
fn one_agent_holds_several_stores() {
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
    world.vault(&["--store", "./other", "unlock"]).run().ok();
    agency.hide_identity();
    let add = ["--store", "./other", "add", "x"];
    world.vault(&add).stdin(secret("x")).run().ok();
    world.add("a", secret("a"));
    let get = world.vault(&["--store", "./other", "get", "x"]).run().ok();
    assert_eq!(get.text(), secret("x"));
    assert_eq!(
        agency.status()["agent"]["stores"].as_array().unwrap().len(),
        2
    );
}

#[test]
fn the_socket_is_this_users_alone() {
    let agency = Agency::unlocked();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&agency.folder()), 0o700);
    assert_eq!(mode(&agency.socket()), 0o600);
    let runtime = agency.world.home().join("runtime");
    fs::create_dir(&runtime).unwrap();
    agency.show_identity();
    let unlock = agency
        .world
        .vault(&["unlock"])
        .env("XDG_RUNTIME_DIR", &runtime);
    unlock.run().ok();
    let socket = runtime.join("agevault/agent.sock");
    assert_eq!(
        (mode(&socket), mode(socket.parent().unwrap())),
        (0o600, 0o700)
    );
    let lock = agency
        .world
        .vault(&["lock"])
        .env("XDG_RUNTIME_DIR", &runtime);
    lock.run().ok();
    // That of a session without a runtime directory is locked as well.
    assert!(!socket.exists() && !agency.socket().exists());
    // One that is not there, or another user's, is none.
    let others = agency.world.home().join("others");
    fs::create_dir(&others).unwrap();
    std::os::unix::fs::chown(&others, Some(65_534), None).unwrap();
    for runtime in [Path::new("/nonexistent/run"), &others] {
        let unlock = agency
            .world
            .vault(&["unlock"])
            .env("XDG_RUNTIME_DIR", runtime);
        unlock.run().ok();
        assert!(agency.socket().exists());
        agency.world.vault(&["lock"]).run().ok();
    }
}

#[test]
fn off_means_off() {
    let agency = Agency::with_passphrase();
    let world = &agency.world;
    let off = |args: &[&str]| world.vault(args).env("AGEVAULT_AGENT", "off");
    off(&["add", "a"]).stdin(secret("a")).run().ok();
    off(&["get", "a"]).run().ok();
    assert_eq!(agency.asked(), 2);
    off(&["unlock"]).run().fails_with(1).says("AGEVAULT_AGENT");
    assert!(!agency.socket().exists());
}

#[test]
fn a_plain_identity_starts_no_agent() {
    let mut world = World::with_store();
    world.set("AGEVAULT_AGENT", "on");
    world.add("a", secret("a"));
    world.get("a").unwrap();
    assert!(!world.state().join("run").exists());
    world.vault(&["status", "--unlocked"]).run().ok();
}

#[test]
fn several_that_lock_at_once_all_succeed() {
    let agency = Agency::unlocked();
    agency.show_identity();
    for _ in 0..10 {
        agency.world.vault(&["unlock"]).run().ok();
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| agency.world.vault(&["lock"]).run().ok());
            }
        });
        assert!(!agency.socket().exists());
    }
}

#[test]
fn an_agent_whose_socket_is_gone_ends() {
    let agency = Agency::unlocked();
    let pid = agency.pid();
    fs::remove_file(agency.socket()).unwrap();
    // Asked by nobody, it looks around within its interval.
    soon("the agent ends", || !lives(pid));
}

#[test]
fn several_that_start_at_once_leave_one_agent() {
    let mut world = World::with_store();
    world.set("AGEVAULT_AGENT", "on");
    let agency = Agency { world };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| agency.world.vault(&["unlock"]).run().ok());
        }
    });
    let pid = agency.pid();
    let args = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    let mut same = 0;
    for process in fs::read_dir("/proc").unwrap().flatten() {
        same += usize::from(fs::read(process.path().join("cmdline")).is_ok_and(|one| one == args));
    }
    assert_eq!(same, 1);
}

#[test]
fn what_is_marked_asks_for_consent() {
    let agency = Agency::unlocked();
    let world = &agency.world;
    world
        .vault(&["add", "a", "--confirm"])
        .stdin(secret("a"))
        .run()
        .ok();
    world
        .vault(&["get", "a"])
        .run()
        .fails_with(4)
        .says("consent");
    world.vault(&["show", "a"]).run().ok();
    world.vault(&["ls"]).run().ok();
    for answer in [true, false] {
        let pinentry = pinentry(world, answer);
        let set = ["config", "set", "pinentry", pinentry.to_str().unwrap()];
        world.vault(&set).run().ok();
        agency.show_identity();
        world.vault(&["lock"]).run().ok();
        let here = world.vault(&["get", "a"]).run();
        world.vault(&["unlock"]).run().ok();
        agency.hide_identity();
        let there = world.vault(&["get", "a"]).run();
        for output in [here, there] {
            if answer {
                assert_eq!(output.ok().text(), secret("a"));
            } else {
                assert!(
                    output
                        .fails_with(4)
                        .says("the answer was no")
                        .stdout
                        .is_empty()
                );
            }
        }
        let refused = world
            .vault(&["get", "a"])
            .env("AGEVAULT_NON_INTERACTIVE", "1");
        refused.run().fails_with(4).says("nobody may be asked");
        let asked = fs::read_to_string(world.home().join("questions")).unwrap();
        assert!(asked.contains("vault (process "), "{asked}");
        assert!(asked.contains("wants \"a\" for get"), "{asked}");
    }
}

#[test]
fn an_earlier_value_is_no_way_around_consent() {
    let agency = Agency::unlocked();
    let world = &agency.world;
    world.add("a", secret("a"));
    world.vault(&["tag", "a", "--confirm"]).run().ok();
    for args in [
        &["restore", "a"][..],
        &["restore", "a", "1"],
        &["log", "-p", "--reveal", "a"],
        &["log", "-p", "--reveal", "--json", "a"],
        &["mv", "a", "b"],
    ] {
        let output = world.vault(args).run().fails_with(4).says("consent");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
    world.vault(&["rm", "-f", "a"]).run().ok();
    world.vault(&["restore", "a", "1"]).run().fails_with(4);
    // With a yes it comes back, and still asks.
    let pinentry = pinentry(world, true);
    let set = ["config", "set", "pinentry", pinentry.to_str().unwrap()];
    world.vault(&set).run().ok();
    agency.show_identity();
    world.vault(&["restore", "a", "1"]).run().ok();
    let refused = world
        .vault(&["get", "a"])
        .env("AGEVAULT_NON_INTERACTIVE", "1");
    refused.run().fails_with(4).says("consent");
}

/// How often the pinentry was asked for consent since the last call.
fn questions(world: &World) -> usize {
    let path = world.home().join("questions");
    let asked = fs::read_to_string(&path).unwrap_or_default();
    let _ = fs::remove_file(path);
    asked.matches("allow it").count()
}

#[test]
fn a_command_asks_once_and_never_for_what_it_does_not_hand_out() {
    let agency = Agency::unlocked();
    let world = &agency.world;
    for number in 0..12 {
        world.add_with("a", secret(&number.to_string()), &["--confirm"]);
    }
    for number in 1..10 {
        let env = format!("--env=S{number}");
        world.add_with(
            &format!("several/{number}"),
            secret("s"),
            &["--confirm", &env],
        );
    }
    world.add_with("old", secret("old"), &["--confirm", "--expires=2020-01-01"]);
    for answer in [true, false] {
        let pinentry = pinentry(world, answer);
        let set = ["config", "set", "pinentry", pinentry.to_str().unwrap()];
        world.vault(&set).run().ok();
        agency.show_identity();
        world.vault(&["lock"]).run().ok();
        for has_agent in [false, true] {
            if has_agent {
                world.vault(&["unlock"]).run().ok();
                agency.hide_identity();
            }
            questions(world);
            let shown = world.vault(&["log", "-p", "--reveal", "a"]).run();
            assert_eq!(questions(world), 1, "answer {answer}, agent {has_agent}");
            if answer {
                let text = shown.ok().text();
                assert!(text.contains(&secret("0")) && text.contains(&secret("11")));
            } else {
                shown.fails_with(4).says("the answer was no");
            }
            world.vault(&["log", "-p", "a"]).run().ok();
            assert_eq!(questions(world), 1);
            let several = ["exec", "--under=several", "--", "true"];
            let started = world.vault(&several).run();
            if answer {
                started.ok();
                assert_eq!(questions(world), 9);
            } else {
                started.fails_with(125).says("asks for consent");
                assert_eq!(questions(world), 1, "after a no nothing more is asked");
            }
            let listed = world.vault(&["log", "a"]).run().ok().text();
            assert!(listed.contains("rev 12"), "{listed}");
            let exec = ["exec", "-e", "T=old", "--", "true"];
            world.vault(&exec).run().fails_with(125).says("expired");
            let exec = ["exec", "--skip-expired", "-e", "T=old", "--", "true"];
            world.vault(&exec).run().fails_with(125).says("no entry");
            world.vault(&["get", "old"]).run().fails_with(6);
            assert_eq!(questions(world), 0, "nothing was to be handed out");
        }
    }
    let used = world.vault(&["log", "--use", "old"]).run().ok().text();
    assert!(used.is_empty(), "what was refused was not used: {used}");
}

/// A pinentry that says yes or no, and writes down what it was asked.
pub(crate) fn pinentry(world: &World, answer: bool) -> PathBuf {
    let answer = if answer {
        "OK"
    } else {
        "ERR 83886194 Not confirmed"
    };
    let text = format!(
        "echo OK hello
while read -r line; do
  case $line in
    SETDESC*) echo \"$line\" >> ~/questions; echo OK ;;
    CONFIRM*) echo '{answer}' ;;
    GETPIN*) printf 'D correct-horse\\nOK\\n' ;;
    *) echo OK ;;
  esac
done"
    );
    world.script("bin/pinentry-test", &text)
}

#[test]
fn the_terminal_that_unlocked_is_asked_for_consent() {
    let mut world = World::with_store();
    world.set("AGEVAULT_AGENT", "on");
    let agency = Agency { world };
    let world = &agency.world;
    world
        .vault(&["add", "a", "--confirm"])
        .stdin(secret("a"))
        .run()
        .ok();
    // The identity goes away, so that `get` without a terminal can only ask the agent.
    let script = format!(
        "{VAULT} unlock; mv .config/agevault/identities hidden; \
         setsid sh -c '{VAULT} get a > out 2>err </dev/null; echo $? > code'; echo done"
    );
    let command = pty_process::blocking::Command::new("sh")
        .args(["-c", &script])
        .env_clear()
        .envs(world.vars().iter().cloned())
        .env("TERM", "xterm")
        .current_dir(world.home());
    let mut pty = Pty::spawn(command, (24, 80));
    pty.expect("allow it? [y/N]", SOON);
    pty.send("y\r");
    pty.expect("done", SOON);
    let read = |file: &str| fs::read_to_string(world.home().join(file)).unwrap();
    assert_eq!(read("code"), "0\n", "{}", read("err"));
    assert_eq!(read("out"), secret("a"));
    world.allow(world.home().join("out"));
}

#[test]
fn a_pinentry_asks_for_the_passphrase() {
    let mut agency = Agency::with_passphrase();
    agency.world.set("AGEVAULT_PASSPHRASE_CMD", "");
    let pinentry = pinentry(&agency.world, true);
    let set = ["config", "set", "pinentry", pinentry.to_str().unwrap()];
    agency.world.vault(&set).run().ok();
    agency
        .world
        .vault(&["unlock"])
        .run()
        .ok()
        .says("unlocked as \"laptop\"");
    let asked = fs::read_to_string(agency.world.home().join("questions")).unwrap();
    let identity = agency.world.identity();
    assert!(
        asked.contains(identity.to_str().unwrap()),
        "it says which key: {asked}"
    );
    agency.world.vault(&["lock"]).run().ok();
    let silent = agency
        .world
        .vault(&["unlock"])
        .env("AGEVAULT_NON_INTERACTIVE", "1");
    silent.run().fails_with(4);
}

#[test]
fn a_real_pinentry_asks_on_the_terminal() {
    let mut agency = Agency::with_passphrase();
    agency.world.set("AGEVAULT_PASSPHRASE_CMD", "");
    let pinentry = tool("pinentry-curses");
    let set = ["config", "set", "pinentry", pinentry.to_str().unwrap()];
    agency.world.vault(&set).run().ok();
    let command = pty_process::blocking::Command::new(VAULT)
        .arg("unlock")
        .env_clear()
        .envs(agency.world.vars().iter().cloned())
        .env("TERM", "xterm")
        .current_dir(agency.world.home());
    let mut pty = Pty::spawn(command, (24, 120));
    pty.expect("Passphrase:", SOON);
    pty.send("correct-horse\r");
    pty.expect("unlocked as", SOON);
    assert!(pty.wait().success());
}

#[test]
fn uses_are_recorded_here_and_in_the_agent() {
    let agency = Agency::unlocked();
    let world = &agency.world;
    world.add("a", secret("a"));
    world.add("b/c", secret("c"));
    world.get("a").unwrap();
    agency.show_identity();
    world.vault(&["lock"]).run().ok();
    world.get("b/c").unwrap();
    world.vault(&["show", "a"]).run().ok();
    let text = world.vault(&["log", "--use", "--json"]).run().ok().text();
    let uses: serde_json::Value = serde_json::from_str(&text).unwrap();
    let told: Vec<_> = uses
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let word = |key: &str| one[key].as_str().unwrap().to_owned();
            (word("entry"), word("purpose"), word("program"))
        })
        .collect();
    let expected = |entry: &str| (entry.to_owned(), "get".to_owned(), "vault".to_owned());
    assert_eq!(
        told,
        [expected("b/c"), expected("a")],
        "newest first; a look is no use"
    );
    assert!(
        uses[0]["parent"]
            .as_str()
            .is_some_and(|parent| !parent.is_empty())
    );
    let one = world.vault(&["log", "--use", "b"]).run().ok().text();
    assert!(one.contains("b/c") && one.lines().count() == 1, "{one}");
}

#[test]
fn nothing_of_the_parent_stays_with_the_agent() {
    let mut world = World::with_store();
    world.set("AGEVAULT_AGENT", "on");
    let agency = Agency { world };
    let world = &agency.world;
    let held = world.write("held", "x");
    let script = format!(
        "exec 7<{}; AGEVAULT_KEY=$(grep ^AGE .config/agevault/identities) TOKEN=x {VAULT} unlock",
        held.display()
    );
    world.program(tool("bash"), &["-c", &script]).run().ok();
    let pid = agency.pid();
    let open: Vec<_> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .flatten()
        .collect();
    for descriptor in &open {
        let to = fs::read_link(descriptor.path()).unwrap();
        assert_ne!(to, held);
        assert!(!to.to_string_lossy().starts_with("pipe:"), "{to:?}");
    }
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    assert!(
        !environment.contains("AGE-SECRET") && !environment.contains("TOKEN"),
        "{environment}"
    );
    assert_eq!(
        fs::read_link(format!("/proc/{pid}/cwd")).unwrap(),
        Path::new("/")
    );
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let session = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .nth(3)
        .unwrap()
        .to_owned();
    assert_eq!(session, pid.to_string());
}
