//! Bad clients, bad servers, and other users: none of them stops the agent, makes it grow, or gets anything.

use std::fs;
use std::io::Read;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use crate::agent::Agency;
use crate::agent::lives;
use crate::agent::soon;
use crate::world::World;
use crate::world::secret;
use crate::world::tool;

fn frame(version: u8, kind: u8, rest: &[u8]) -> Vec<u8> {
    let length = u32::try_from(rest.len() + 2).unwrap().to_be_bytes();
    [&length[..], &[version, kind], rest].concat()
}

fn connect(agency: &Agency) -> UnixStream {
    let stream = UnixStream::connect(agency.socket()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream
}

/// One answer's kind; none if the connection was closed.
fn answer(stream: &mut UnixStream) -> Option<(u8, u8)> {
    let mut head = [0; 6];
    stream.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    let mut rest = vec![0; usize::try_from(length).unwrap() - 2];
    stream.read_exact(&mut rest).ok()?;
    Some((head[4], head[5]))
}

fn memory_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn garbage_ends_a_connection_and_nothing_else() {
    let agency = Agency::unlocked();
    agency.world.add("a", secret("a"));
    let pid = agency.pid();
    for bytes in [
        vec![0xff; 64],
        vec![0; 64],
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        u32::MAX.to_be_bytes().to_vec(),
    ] {
        let mut stream = connect(&agency);
        let _ = stream.write_all(&bytes);
        assert_eq!(answer(&mut stream), None, "{bytes:?}");
    }
    let mut stream = connect(&agency);
    for (kind, rest) in [
        (2, &b"more"[..]),
        (77, b""),
        (5, &[0, 0, 0, 9, 1]),
        (0x85, b""),
    ] {
        stream.write_all(&frame(1, kind, rest)).unwrap();
        assert_eq!(answer(&mut stream), Some((1, 12)), "not understood: {kind}");
    }
    stream.write_all(&frame(1, 2, b"")).unwrap();
    assert_eq!(answer(&mut stream), Some((1, 11)), "and it still answers");
    assert_eq!(agency.world.get("a").unwrap(), secret("a").into_bytes());
    assert_eq!(agency.pid(), pid);
}

#[test]
fn a_thousand_silent_clients_do_not_stop_it() {
    let agency = Agency::unlocked();
    agency.world.add("a", secret("a"));
    let pid = agency.pid();
    let mut silent = Vec::new();
    for number in 0..1000_u32 {
        let Ok(mut stream) = UnixStream::connect(agency.socket()) else {
            break;
        };
        // Some have begun, and will never go on.
        if number % 2 == 0 {
            let _ = stream.write_all(&[0, 1, 0, 0, 1, 5]);
        }
        silent.push(stream);
    }
    assert_eq!(agency.world.get("a").unwrap(), secret("a").into_bytes());
    assert!(memory_kib(pid) < 128 * 1024, "{}", memory_kib(pid));
    assert_eq!(agency.pid(), pid);
}

#[test]
fn a_thousand_clients_at_once_are_all_answered() {
    let agency = Agency::unlocked();
    let pid = agency.pid();
    let answered: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..1000)
            .map(|_| {
                scope.spawn(|| {
                    // As the program does: once more where the agent had no patience.
                    (0..3).any(|_| {
                        let mut stream = connect(&agency);
                        let _ = stream.write_all(&frame(1, 2, b""));
                        answer(&mut stream) == Some((1, 11))
                    })
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| usize::from(thread.join().unwrap()))
            .sum()
    });
    assert_eq!(answered, 1000);
    assert!(memory_kib(pid) < 128 * 1024);
    assert_eq!(agency.pid(), pid);
}

#[test]
fn one_that_does_not_read_its_answers_is_sent_away() {
    let agency = Agency::unlocked();
    agency.world.add("large", vec![b'x'; 8 << 20]);
    let mut stream = connect(&agency);
    // Requests without end, answers never read: the socket fills in the end, and the agent does not.
    stream
        .set_write_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let many = frame(1, 2, b"").repeat(1000);
    let mut is_open = true;
    for _ in 0..1000 {
        is_open = is_open && stream.write_all(&many).is_ok();
    }
    assert!(!is_open, "it took millions of requests");
    assert_eq!(agency.world.get("large").unwrap().len(), 8 << 20);
}

#[test]
fn those_that_do_not_read_keep_nobody_waiting() {
    let agency = Agency::unlocked();
    agency.world.add("a", secret("a"));
    let many = frame(1, 2, b"").repeat(1000);
    let flooded: Vec<UnixStream> = (0..8)
        .map(|_| {
            let mut stream = connect(&agency);
            let moment = Duration::from_millis(100);
            stream.set_write_timeout(Some(moment)).unwrap();
            while stream.write_all(&many).is_ok() {}
            stream
        })
        .collect();
    assert_eq!(agency.world.get("a").unwrap(), secret("a").into_bytes());
    for mut stream in flooded {
        stream.set_nonblocking(true).unwrap();
        let error = stream.write_all(&many).unwrap_err();
        let is_waited_for = error.kind() == std::io::ErrorKind::WouldBlock;
        assert!(
            is_waited_for,
            "it was answered only after one was sent away: {error}"
        );
    }
}

#[test]
fn another_version_is_told_so_and_can_lock() {
    let agency = Agency::unlocked();
    let pid = agency.pid();
    let mut stream = connect(&agency);
    stream
        .write_all(&frame(9, 5, b"whatever it means there"))
        .unwrap();
    assert_eq!(answer(&mut stream), Some((1, 1)));
    stream.write_all(&frame(9, 1, b"")).unwrap();
    assert_eq!(answer(&mut stream), Some((1, 2)));
    soon("the agent ends", || !lives(pid));
}

/// Something else that listens where the agent would, until it has answered so often.
fn impostor(agency: &Agency, reply: Vec<u8>) {
    fs::create_dir_all(agency.folder()).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(agency.folder(), mode).unwrap();
    let listener = UnixListener::bind(agency.socket()).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let reply = reply.clone();
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                while matches!(stream.read(&mut request), Ok(1..)) {
                    if reply.is_empty() || stream.write_all(&reply).is_err() {
                        return;
                    }
                }
            });
        }
    });
}

#[test]
fn an_agent_of_another_version_or_of_none_is_done_without() {
    let agency = Agency::with_passphrase();
    agency.world.add("a", secret("a"));
    for reply in [
        frame(9, 1, &[0, 0, 0, 1, 9]),
        frame(9, 2, b""),
        vec![0xff; 16],
        Vec::new(),
    ] {
        agency.world.vault(&["lock"]).run().ok();
        let _ = fs::remove_dir_all(agency.folder());
        impostor(&agency, reply);
        assert_eq!(agency.world.get("a").unwrap(), secret("a").into_bytes());
        let locked = agency
            .world
            .vault(&["get", "a"])
            .env("AGEVAULT_PASSPHRASE_CMD", "");
        locked.run().fails_with(4);
        fs::remove_dir_all(agency.folder()).unwrap();
    }
}

#[test]
fn an_agent_killed_in_the_middle_means_exit_4() {
    let agency = Agency::unlocked();
    let world = &agency.world;
    world
        .vault(&["add", "a", "--confirm"])
        .stdin(secret("a"))
        .run()
        .ok();
    world.script("bin/slow", "echo OK; while read -r line; do case $line in CONFIRM*) touch ~/waiting; sleep 600;; *) echo OK;; esac; done");
    let slow = world.home().join("bin/slow");
    let set = ["config", "set", "pinentry", slow.to_str().unwrap()];
    world.vault(&set).run().ok();
    agency.show_identity();
    world.vault(&["lock"]).run().ok();
    world.vault(&["unlock"]).run().ok();
    agency.hide_identity();
    let pid = agency.pid();
    std::thread::scope(|scope| {
        let get = scope.spawn(|| world.vault(&["get", "a"]).run());
        soon("the question", || world.home().join("waiting").exists());
        let kill = Command::new("kill")
            .args(["-9", &pid.to_string()])
            .status()
            .unwrap();
        assert!(kill.success());
        let output = get.join().unwrap().fails_with(4).says("vault unlock");
        assert!(output.stdout.is_empty());
    });
    // What it leaves behind is in nobody's way.
    agency.show_identity();
    world.vault(&["unlock"]).run().ok();
}

/// A user who is not this one, made for these tests and removed with the last that needs it.
struct OtherUser {
    id: String,
}

const OTHER_USER: &str = "vault-it-other";
/// How many tests have the user at the moment.
static OTHER_USERS: std::sync::Mutex<u32> = std::sync::Mutex::new(0);

impl OtherUser {
    fn new() -> Self {
        let mut users = OTHER_USERS.lock().unwrap();
        if *users == 0 {
            // One may be left of a run that was killed.
            let _ = Command::new(tool("useradd"))
                .args(["-M", OTHER_USER])
                .output()
                .unwrap();
        }
        let id = Command::new(tool("id"))
            .args(["-u", OTHER_USER])
            .output()
            .unwrap();
        let id = String::from_utf8(id.stdout).unwrap().trim().to_owned();
        assert!(
            !id.is_empty(),
            "this test makes a second user, for which it must run as root"
        );
        *users += 1;
        Self { id }
    }
}

impl Drop for OtherUser {
    fn drop(&mut self) {
        let mut users = OTHER_USERS.lock().unwrap();
        *users -= 1;
        if *users == 0 {
            let _ = Command::new(tool("userdel")).arg(OTHER_USER).output();
        }
    }
}

/// A Python program of another user.
fn as_other(other: &OtherUser, script: &str, args: &[&str]) -> std::process::Output {
    let id = other.id.as_str();
    Command::new(tool("setpriv"))
        .args(["--reuid", id, "--regid", id, "--clear-groups"])
        // The system's own: one in a home is closed to that user.
        .arg("/usr/bin/python3")
        .args(["-c", script])
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn another_user_gets_no_answer() {
    use std::os::unix::fs::PermissionsExt;
    const ASK: &str = "import socket,sys
s = socket.socket(socket.AF_UNIX); s.settimeout(20)
s.connect(sys.argv[1]); s.sendall(bytes([0,0,0,2,1,2])); print(len(s.recv(9)))";
    let agency = Agency::unlocked();
    let socket = agency.socket();
    let user = OtherUser::new();
    let refused = as_other(&user, ASK, &[socket.to_str().unwrap()]);
    assert!(!refused.status.success(), "the folder is closed");
    // Even where somebody has opened all doors, the agent looks who is there.
    let open = |mode| std::fs::Permissions::from_mode(mode);
    let mut folder = agency.folder();
    fs::set_permissions(&socket, open(0o777)).unwrap();
    while folder
        .parent()
        .is_some_and(|parent| parent != std::env::temp_dir())
    {
        fs::set_permissions(&folder, open(0o755)).unwrap();
        folder = folder.parent().unwrap().to_owned();
    }
    fs::set_permissions(&folder, open(0o755)).unwrap();
    let asked = as_other(&user, ASK, &[socket.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&asked.stdout).into_owned();
    let why = String::from_utf8_lossy(&asked.stderr).into_owned();
    assert!(
        told.trim() == "0" || why.contains("Connection reset") || why.contains("Broken pipe"),
        "{told} {why}"
    );
    fs::set_permissions(agency.folder(), open(0o700)).unwrap();
}

#[test]
fn a_socket_of_another_user_is_not_trusted() {
    const LISTEN: &str = "import os,socket,sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o777)
os.setuid(int(sys.argv[2])); s.listen(9); print('ready', flush=True)
while True:
    c, _ = s.accept(); print(len(c.recv(99)), flush=True)";
    let mut world = World::with_store();
    world.set("AGEVAULT_AGENT", "on");
    let agency = Agency { world };
    let user = OtherUser::new();
    let id = &user.id;
    fs::create_dir_all(agency.folder()).unwrap();
    let closed: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(agency.folder(), closed).unwrap();
    let socket = agency.socket();
    let mut other = Command::new(tool("python3"))
        .args(["-c", LISTEN, socket.to_str().unwrap(), id])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut heard = other.stdout.take().unwrap();
    let mut ready = [0; 6];
    heard.read_exact(&mut ready).unwrap();
    agency.world.add("a", secret("a"));
    agency.hide_identity();
    agency.world.vault(&["get", "a"]).run().fails_with(4);
    other.kill().unwrap();
    other.wait().unwrap();
    let mut rest = String::new();
    heard.read_to_string(&mut rest).unwrap();
    assert!(
        rest.lines().all(|count| count == "0"),
        "something was sent: {rest}"
    );
    // Nor is a folder that is another's.
    fs::remove_file(&socket).unwrap();
    std::os::unix::fs::chown(agency.folder(), Some(id.parse().unwrap()), None).unwrap();
    agency.show_identity();
    agency
        .world
        .vault(&["unlock"])
        .run()
        .fails_with(4)
        .says("own");
    std::os::unix::fs::chown(agency.folder(), Some(0), None).unwrap();
}
