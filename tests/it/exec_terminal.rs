//! `vault exec --mask` on a terminal: the program has one as good as the user's.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use pty_process::blocking::Command;

use crate::pty::Pty;
use crate::world::CANARY;
use crate::world::VAULT;
use crate::world::World;
use crate::world::contains;
use crate::world::secret;
use crate::world::tool;

/// Counts the interrupts that come, for a moment after the first.
const COUNT: &str = "\
import signal, time
seen = []
signal.signal(signal.SIGINT, lambda *_: seen.append('x'))
print('ready', flush=True)
while not seen:
    time.sleep(0.02)
time.sleep(0.2)
print('<' + ''.join(seen) + '>', flush=True)
";

/// How long something may take that takes a moment.
const SOON: Duration = Duration::from_secs(20);

fn world() -> World {
    let world = World::with_store();
    world.add_with("github/ci", secret("github"), &["--env", "TOKEN"]);
    world
}

/// A program on a terminal of 30 rows and 100 columns.
fn on_terminal(world: &World, program: &str, args: &[&str]) -> Pty {
    let command = Command::new(program).args(args).env_clear();
    let command = command.envs(world.vars().iter().cloned());
    let command = command.env("TERM", "xterm-256color").env("PS1", "prompt> ");
    Pty::spawn(command.current_dir(world.home()), (30, 100))
}

/// A masked program.
fn masked(world: &World, words: &[&str]) -> Pty {
    on_terminal(
        world,
        VAULT,
        &[&["exec", "-q", "--mask", "--"], words].concat(),
    )
}

/// A shell with job control, to which command lines are typed.
fn shell(world: &World) -> Pty {
    let bash = tool("bash");
    let mut pty = on_terminal(
        world,
        bash.to_str().unwrap(),
        &["--norc", "--noprofile", "--noediting", "-i"],
    );
    pty.expect("prompt> ", SOON);
    let folder = std::path::Path::new(VAULT).parent().unwrap();
    pty.send(&format!(
        "PATH='{}':$PATH; stty -a > before\r",
        folder.display()
    ));
    pty.expect("prompt> ", SOON);
    pty
}

/// The shell goes on, and the terminal is as it was.
#[track_caller]
fn is_as_before(pty: &mut Pty) {
    pty.send("stty -a | cmp before - && echo s''ame\r");
    pty.expect("same\r\n", SOON);
    assert!(!contains(pty.output(), CANARY.as_bytes()));
}

#[test]
fn three_streams_are_one_terminal_of_the_same_size() {
    let world = world();
    let script = "test -t 0 && test -t 1 && test -t 2 && stty size && echo \"$TOKEN\" && echo \"$TOKEN\" >/dev/tty; exit 3";
    let mut pty = masked(&world, &["sh", "-c", script]);
    assert_eq!(pty.wait().code(), Some(3));
    assert_eq!(pty.screen(), "30 100\n********\n********");
    let mut pty = masked(&world, &["sh", "-c", "kill -TERM $$"]);
    assert_eq!(pty.wait().signal(), Some(15));
}

#[test]
fn each_stream_stays_what_it_was() {
    let world = world();
    let script = "s=; for n in 0 1 2; do test -t $n && s=\"$s$n \"; done; printf %s \"$s\" >told; echo \"out $TOKEN\"; echo \"err $TOKEN\" >&2";
    let run = |line: &str| {
        let line = line.replace(
            "VAULT",
            &format!("'{VAULT}' exec -q --mask -- sh -c '{script}'"),
        );
        let mut pty = on_terminal(&world, "sh", &["-c", &line]);
        assert!(pty.wait().success(), "{}", pty.screen());
        let told = std::fs::read_to_string(world.home().join("told")).unwrap();
        // The two lines may take two ways: either can be first.
        let mut lines: Vec<String> = pty.screen().lines().map(str::to_owned).collect();
        lines.sort_unstable();
        assert_eq!(lines, ["err ********", "out ********"], "{line}");
        told
    };
    assert_eq!(run("VAULT"), "0 1 2 ");
    assert_eq!(run("VAULT | cat"), "0 2 ");
    assert_eq!(run("VAULT 2>errors; cat errors"), "0 1 ");
    assert_eq!(run("true | VAULT"), "1 2 ");
    assert_eq!(run("VAULT >output 2>&1; cat output"), "0 ");
}

#[test]
fn keys_echo_at_once_and_a_password_does_not() {
    let world = world();
    // The canary's first letters may begin a secret, and are shown all the same.
    let mut pty = masked(
        &world,
        &[
            "sh",
            "-c",
            "printf 'name: '; read name; stty -echo; printf 'password: ' >/dev/tty; read p </dev/tty; echo \"$name ${#p}\"",
        ],
    );
    pty.expect("name: ", SOON);
    pty.send("CAN");
    pty.expect("CAN", SOON);
    pty.send("\r");
    pty.expect("password: ", SOON);
    pty.send("hidden\r");
    assert!(pty.wait().success());
    assert_eq!(pty.screen(), "name: CAN\npassword: CAN 6");
}

#[test]
fn a_new_size_is_the_programs_too() {
    let world = world();
    for line in ["VAULT", "true | VAULT"] {
        let script = "trap 'stty size <&1; exit' WINCH; echo ready; while :; do sleep 0.02; done";
        let line = line.replace(
            "VAULT",
            &format!("'{VAULT}' exec -q --mask -- sh -c \"{script}\""),
        );
        let mut pty = on_terminal(&world, "sh", &["-c", &line]);
        pty.expect("ready", SOON);
        pty.resize(20, 70);
        pty.expect("20 70", SOON);
        assert!(pty.wait().success());
    }
}

#[test]
fn ctrl_c_ends_the_program_and_the_loop_around_it() {
    let world = world();
    let mut pty = shell(&world);
    // Nothing that a key is to reach may be between vfork and exec: a signal is lost, or stops the shell for good, in there.
    pty.send("while :; do vault exec -q --mask -- sh -c 'echo r''eady; exec sleep 1000'; done\r");
    pty.expect("ready\r\n", SOON);
    pty.send("\x03");
    pty.expect("prompt> ", SOON);
    // Where the terminal is shared, one Ctrl-C is one signal.
    world.write("count.py", COUNT);
    pty.send("true | vault exec -q --mask -- python3 count.py\r");
    pty.expect("ready\r", SOON);
    pty.send("\x03");
    pty.expect("<x>", SOON);
    pty.expect("prompt> ", SOON);
    is_as_before(&mut pty);
}

#[test]
fn ctrl_z_stops_it_and_fg_goes_on() {
    let world = world();
    let mut pty = shell(&world);
    pty.send("mkfifo go\r");
    pty.expect("prompt> ", SOON);
    for start in ["", "true | "] {
        pty.send(&format!(
            "{start}vault exec -q --mask -- sh -c 'echo r''eady; read x <go; echo \"$TOKEN\"'\r"
        ));
        pty.expect("ready\r", SOON);
        pty.send("\x1a");
        pty.expect("Stopped", SOON);
        pty.expect("prompt> ", SOON);
        is_as_before(&mut pty);
        pty.send("(echo >go &); fg\r");
        pty.expect("********", SOON);
        pty.expect("prompt> ", SOON);
        is_as_before(&mut pty);
    }
}

#[test]
fn in_the_background_and_back() {
    let world = world();
    let mut pty = shell(&world);
    pty.send("vault exec -q --mask -- sh -c 'echo r''eady; read x; echo \"got $x\"' &\r");
    pty.expect("ready\r", SOON);
    pty.send("fg\r");
    pty.expect("read x", SOON);
    pty.send("typed\r");
    pty.expect("got typed", SOON);
    pty.expect("prompt> ", SOON);
    is_as_before(&mut pty);
    // A terminal is not waited for when the program has ended.
    pty.send("vault exec -q --mask -- sh -c 'nohup sleep 1000 >/dev/null & echo $! >left; echo d''one'\r");
    pty.expect("done", SOON);
    pty.expect("prompt> ", SOON);
    pty.send("kill $(cat left) && echo was t''here\r");
    pty.expect("was there", SOON);
}

#[test]
fn an_editor_works() {
    let world = world();
    world.write("text", "a line\n");
    let vim = tool("vim");
    let line = format!("vault exec -q --mask -- {} -u NONE text\r", vim.display());
    let mut pty = shell(&world);
    pty.send(&line);
    pty.expect("a line", SOON);
    pty.send("itoken \x12=$TOKEN\r, \x1b");
    pty.expect("********", SOON);
    pty.send("\x1a");
    pty.expect("Stopped", SOON);
    is_as_before(&mut pty);
    pty.send("fg\r");
    pty.expect("a line", SOON);
    pty.resize(20, 60);
    pty.send(":wq\r");
    pty.expect("written", SOON);
    pty.expect("prompt> ", SOON);
    let text = std::fs::read_to_string(world.home().join("text")).unwrap();
    assert_eq!(text, format!("token {}, a line\n", secret("github")));
    world.allow(world.home().join("text"));
    world.allow(world.home().join(".viminfo"));
    pty.resize(30, 100);
    is_as_before(&mut pty);
}

#[test]
fn a_pager_works_wherever_its_input_comes_from() {
    let world = world();
    let numbers = (1..=400)
        .map(|number| format!("{number}.\n"))
        .collect::<Vec<_>>()
        .concat();
    world.write("numbers", numbers);
    let less = tool("less");
    let mut pty = shell(&world);
    for line in [
        "vault exec -q --mask -- LESS numbers",
        "cat numbers | vault exec -q --mask -- LESS",
        "vault exec -q --mask -- cat numbers | LESS",
    ] {
        pty.send(&format!(
            "{}\r",
            line.replace("LESS", less.to_str().unwrap())
        ));
        pty.expect("29.", SOON);
        pty.send("G");
        pty.expect("400.", SOON);
        pty.send("q");
        pty.expect("prompt> ", SOON);
        is_as_before(&mut pty);
    }
}

#[test]
fn a_program_that_redraws_works() {
    let world = world();
    let mut pty = masked(&world, &[tool("top").to_str().unwrap(), "-d", "0.1"]);
    pty.expect("PID", SOON);
    pty.send("h");
    pty.expect("Help for Interactive", SOON);
    pty.send("q");
    pty.expect("PID", SOON);
    pty.send("q");
    assert!(pty.wait().success());
}
