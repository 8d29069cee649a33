//! Making, showing and protecting identities, and age plugins.

use std::fs;

use crate::world::World;
use crate::world::secret;
use crate::world::tool;

#[test]
fn the_program_that_prints_the_passphrase_gets_nothing_that_unlocks() {
    let mut world = World::new();
    world.set(
        "AGEVAULT_PASSPHRASE_CMD",
        "env | grep -e ^AGEVAULT_KEY -e PASSPHRASE_CMD >> ~/seen; echo passphrase",
    );
    world.vault(&["identity", "new"]).run().ok();
    world.vault(&["init", "--no-recovery"]).run().ok();
    world.add("a", secret("a"));
    world.get("a").unwrap();
    assert_eq!(fs::read_to_string(world.home().join("seen")).unwrap(), "");
}

#[test]
fn an_identity_is_made_shown_and_given_another_passphrase() {
    let mut world = World::new();
    world.set("AGEVAULT_PASSPHRASE_CMD", "cat ~/passphrase");
    world.write("passphrase", "first\n");
    let made = world.vault(&["identity", "new"]).run().ok().text();
    assert!(made.starts_with("age1"), "{made}");
    world
        .vault(&["identity", "new"])
        .run()
        .fails_with(1)
        .says("already");
    let shown = world.vault(&["identity", "show"]).run().ok().text();
    assert!(
        shown.contains(made.trim()) && shown.contains("passphrase"),
        "{shown}"
    );
    world.vault(&["init", "--no-recovery"]).run().ok();
    world.add("a", secret("a"));
    // The program prints the old one first, then the new one.
    world.script(
        "bin/two",
        "if [ -e ~/second ]; then echo second; else touch ~/second; echo first; fi",
    );
    let two = world.home().join("bin/two");
    world
        .vault(&["identity", "passwd"])
        .env("AGEVAULT_PASSPHRASE_CMD", &two)
        .run()
        .ok();
    world.vault(&["get", "a"]).run().fails_with(4);
    world.write("passphrase", "second\n");
    world.get("a").unwrap();
    world
        .vault(&["identity", "passwd", "--no-passphrase"])
        .run()
        .ok();
    let get = world
        .vault(&["get", "a"])
        .env("AGEVAULT_PASSPHRASE_CMD", "false");
    assert_eq!(get.run().ok().text(), secret("a"));
    let text = world
        .vault(&["identity", "show", "--json"])
        .run()
        .ok()
        .text();
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (shown["kind"].as_str(), shown["recipients"][0].as_str()),
        (Some("plain"), Some(made.trim()))
    );
}

#[test]
fn the_passphrase_of_an_ssh_key_is_not_ours_to_change() {
    let world = World::new();
    let key = world.home().join("key");
    let args = ["-q", "-t", "ed25519", "-N", "", "-f", key.to_str().unwrap()];
    world.program(tool("ssh-keygen"), &args).run().ok();
    let passwd = ["identity", "passwd", "key"];
    world
        .vault(&passwd)
        .run()
        .fails_with(4)
        .says("ssh-keygen -p");
    let shown = world.vault(&["identity", "show", "key"]).run().ok().text();
    assert!(shown.contains("ssh-ed25519 "), "{shown}");
}

/// An age plugin: its stanza holds the file key turned round, so that whoever has the program has the key. `ask` is what it
/// asks for before it unwraps, `wait` makes it hang.
const PLUGIN: &str = r#"
import base64, os, sys, time
mode = sys.argv[1].split("=", 1)[1]
def read():
    line = sys.stdin.readline().rstrip("\n")
    if not line: sys.exit(0)
    body = ""
    while True:
        part = sys.stdin.readline().rstrip("\n")
        body += part
        if len(part) < 64: break
    return line.split(" ")[1:], base64.b64decode(body + "=" * (-len(body) % 4))
def write(words, body=b""):
    text = base64.b64encode(body).decode().rstrip("=")
    lines = [text[i:i+64] for i in range(0, len(text), 64)] or [""]
    if len(lines[-1]) == 64: lines.append("")
    sys.stdout.write("-> " + " ".join(words) + "\n" + "\n".join(lines) + "\n")
    sys.stdout.flush()
def ask(words, body=b""):
    write(words, body); return read()
with open(os.environ["HOME"] + "/environment", "a") as kept:
    kept.write("\n".join(os.environ) + "\n" + open("/proc/self/environ").read())
got = []
while True:
    words, body = read()
    if words[0] == "done": break
    got.append((words, body))
home = os.environ["HOME"]
if mode == "recipient-v1":
    keys = [body for words, body in got if words[0] == "wrap-file-key"]
    for number, key in enumerate(keys):
        ask(["recipient-stanza", str(number), "turned"], key[::-1])
    ask(["done"]) if False else write(["done"])
else:
    how = open(home + "/how").read().strip() if os.path.exists(home + "/how") else ""
    open(home + "/started", "a").write("x")
    if how == "hang":
        open(home + "/pid", "w").write(str(os.getpid()))
        time.sleep(3600)
    if how == "strict" and not any(words[0] == "recipient-stanza" and words[2] == "turned" for words, _ in got):
        ask(["error", "stanza", "0", "0"], b"nothing for me")
    for words, body in got:
        if words[0] == "recipient-stanza" and words[2] == "turned":
            if how == "pin":
                answer, pin = ask(["request-secret"], b"PIN of the card")
                if pin != b"1234":
                    ask(["error", "identity", "0"], b"wrong PIN")
                    break
            ask(["msg"], b"touch it")
            ask(["file-key", words[1]], body[::-1])
            break
    write(["done"])
"#;

const RECIPIENT: &str = "turned";

/// A store whose one member holds a key of the plugin.
fn with_plugin() -> World {
    let mut world = World::with_plain_store();
    world.add("a", secret("a"));
    let python = tool("python3");
    let program = world.write(
        "bin/age-plugin-turned",
        format!("#!{}\n{PLUGIN}", python.display()),
    );
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, mode).unwrap();
    let path = std::env::var("PATH").unwrap();
    let bin = world.home().join("bin");
    world.set("PATH", format!("{}:{path}", bin.display()));
    let keys = world.store().join(".vault/keys/laptop.age");
    let script = format!(
        "set -e; age -d -i .config/agevault/identities {0} | age -r {1} > new; mv new {0}; rm .config/agevault/identities",
        keys.display(),
        bech32("age1turned", false),
    );
    world.program(tool("sh"), &["-c", &script]).run().ok();
    world.write(
        ".config/agevault/identities",
        format!("{}\n", bech32("age-plugin-turned-", true)),
    );
    world
}

/// The text form of a plugin's recipient or identity with one byte of data.
fn bech32(prefix: &str, upper: bool) -> String {
    let _ = RECIPIENT;
    let script = "
import sys
C='qpzry9x8gf2tvdw0s3jn54khce6mua7l'
def mod(v):
    c=1
    for x in v:
        b=c>>25; c=(c&0x1ffffff)<<5^x
        for i,g in enumerate((0x3b6a57b2,0x26508e6d,0x1ea119fa,0x3d4233dd,0x2a1462b3)):
            if b>>i&1: c^=g
    return c
h=sys.argv[1]; d=[0,4]
e=[ord(x)>>5 for x in h]+[0]+[ord(x)&31 for x in h]
p=mod(e+d+[0]*6)^1
print(h+'1'+''.join(C[x] for x in d+[p>>5*(5-i)&31 for i in range(6)]))";
    let prefix = prefix.strip_suffix("-x").unwrap_or(prefix);
    let output = std::process::Command::new(tool("python3"))
        .args(["-c", script, prefix])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    if upper { text.to_uppercase() } else { text }
}

#[test]
fn a_plugin_opens_the_store_and_is_started_once() {
    let mut world = with_plugin();
    world.set("AGEVAULT_AGENT", "on");
    let agency = crate::agent::Agency { world };
    let world = &agency.world;
    for _ in 0..3 {
        assert_eq!(world.get("a").unwrap(), secret("a").into_bytes());
    }
    assert_eq!(
        fs::read_to_string(world.home().join("started")).unwrap(),
        "x"
    );
}

#[test]
fn a_plugin_asks_by_name() {
    let world = with_plugin();
    world.write("how", "pin");
    world.vault(&["get", "a"]).run().fails_with(4);
    let ask = world
        .vault(&["get", "a"])
        .env("AGEVAULT_PASSPHRASE_CMD", "echo 1234");
    assert_eq!(ask.run().ok().text(), secret("a"));
    let wrong = world
        .vault(&["get", "a"])
        .env("AGEVAULT_PASSPHRASE_CMD", "echo 9");
    wrong.run().fails_with(4).says("wrong PIN");
    let command = pty_process::blocking::Command::new(crate::world::VAULT)
        .args(["get", "a"])
        .env_clear()
        .envs(world.vars().iter().cloned())
        .current_dir(world.home());
    let mut pty = crate::pty::Pty::spawn(command, (24, 100));
    let soon = std::time::Duration::from_secs(20);
    pty.expect("age-plugin-turned: PIN of the card", soon);
    pty.send("1234\r");
    pty.expect("age-plugin-turned: touch it", soon);
    pty.expect(&secret("a"), soon);
}

#[test]
fn a_plugin_is_not_told_what_unlocks() {
    let world = with_plugin();
    let of_variable = world
        .vault(&["get", "a"])
        .env("AGEVAULT_KEY", bech32("age-plugin-turned-", true))
        .env("AGEVAULT_PASSPHRASE_CMD", "echo no")
        .env("AGEDEBUG", "plugin");
    let output = of_variable.run().ok();
    assert!(output.stderr.is_empty(), "the talk is not shown");
    assert_eq!(output.text(), secret("a"));
    let told = fs::read_to_string(world.home().join("environment")).unwrap();
    assert!(told.contains("HOME") && told.contains("PATH"));
    for withheld in ["AGEVAULT_KEY", "AGEVAULT_PASSPHRASE_CMD", "AGEDEBUG"] {
        assert!(!told.contains(withheld), "{withheld} reached the plugin");
    }
}

#[test]
fn a_plugin_that_fails_on_anothers_key_file_is_asked_for_the_next() {
    let world = with_plugin();
    world.write("how", "strict");
    let keys = world.store().join(".vault/keys");
    let args = ["-o", "another.age", "-e", "-r", NOBODY, "how"];
    world.program(tool("age"), &args).run().ok();
    fs::rename(world.home().join("another.age"), keys.join("another.age")).unwrap();
    let state = fs::read_dir(world.state().join("stores")).unwrap();
    let state = state.last().unwrap().unwrap().path();
    fs::write(state.join("member"), "another\n").unwrap();
    assert_eq!(world.get("a").unwrap(), secret("a").into_bytes());
    fs::remove_file(keys.join("laptop.age")).unwrap();
    let lost = world.vault(&["get", "a"]).run();
    lost.fails_with(4).says("nothing for me");
}

/// Another's recipient.
const NOBODY: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

#[test]
fn a_plugin_that_hangs_is_ended() {
    let world = with_plugin();
    world.write("how", "hang");
    world
        .vault(&["config", "set", "plugin-seconds", "1"])
        .run()
        .ok();
    world
        .vault(&["get", "a"])
        .run()
        .fails_with(4)
        .says("did not answer within 1 second");
    let pid = fs::read_to_string(world.home().join("pid"))
        .unwrap()
        .parse()
        .unwrap();
    crate::agent::soon("the plugin is ended", || !crate::agent::lives(pid));
}

#[test]
fn a_plugin_that_is_missing_is_named() {
    let world = with_plugin();
    fs::remove_file(world.home().join("bin/age-plugin-turned")).unwrap();
    world
        .vault(&["get", "a"])
        .run()
        .fails_with(4)
        .says("age-plugin-turned");
}
