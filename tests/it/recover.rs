//! `store-format/recover.sh` with the system's own `age`, on stores that `vault` wrote.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use pty_process::blocking::Command;

use crate::pty::Pty;
use crate::world::Run;
use crate::world::World;
use crate::world::secret;
use crate::world::tool;

const SOON: Duration = Duration::from_secs(60);

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("store-format/recover.sh")
}

/// The script, run by this shell.
fn recover<'w>(world: &'w World, shell: &str, identity: &Path, name: &str) -> Run<'w> {
    tool("age");
    let (script, store) = (script(), world.store());
    let args = [&script, &store, identity, Path::new(name)].map(|path| path.as_os_str().to_owned());
    world.program(tool(shell), &args)
}

#[test]
fn every_secret_comes_out_byte_for_byte() {
    let world = World::with_store();
    let binary: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    let secrets: [(&str, Vec<u8>); 6] = [
        ("plain", secret("plain").into_bytes()),
        (
            "github/ci/deep name",
            format!("{}\n", secret("deep")).into_bytes(),
        ),
        ("Grüße", b"\n\n".to_vec()),
        ("fences", b"---\nsig = \"x\"\n---\n\0---".to_vec()),
        ("binary", binary),
        ("empty", Vec::new()),
    ];
    for (name, secret) in &secrets {
        world.add_with(name, secret, &["--scope", "repo", "--expires", "never"]);
    }
    for shell in ["sh", "bash"] {
        for (name, secret) in &secrets {
            let output = recover(&world, shell, &world.identity(), name).run().ok();
            assert!(&output.stdout == secret, "{shell}: {name}");
        }
    }
    let listed = world
        .program(
            tool("sh"),
            &[
                script().as_os_str(),
                world.store().as_os_str(),
                "-l".as_ref(),
            ],
        )
        .run()
        .ok()
        .text();
    let mut listed: Vec<&str> = listed.lines().collect();
    let mut names = secrets.each_ref().map(|(name, _)| *name);
    listed.sort_unstable();
    names.sort_unstable();
    assert_eq!(listed, names);
}

#[test]
fn failures_say_what_is_wrong() {
    let world = World::with_store();
    world.add("a", secret("a"));
    let identity = world.identity();
    let fails = |name: &str, identity: &Path, text: &str| {
        recover(&world, "sh", identity, name)
            .run()
            .fails_with(1)
            .says(text);
    };
    fails("b", &identity, "there is no entry \"b\"");
    fails("../store/a", &identity, "is not a name");
    fails(
        "a",
        Path::new("/nowhere"),
        "there is no identity at /nowhere",
    );
    let other = crate::vectors::root().join("keys/phone.txt");
    fails("a", &other, "opens none of the key files");
    // A cut file: what age gives out before it notices is not passed off as the secret.
    let bytes = std::fs::read(world.entry("a")).unwrap();
    std::fs::write(world.entry("a"), &bytes[..bytes.len() - 1]).unwrap();
    fails("a", &identity, "does not open");
}

#[test]
fn a_passphrase_is_asked_for_once_on_the_terminal() {
    let mut world = World::new();
    world.set("AGEVAULT_PASSPHRASE_CMD", "printf %s 'open sesame'");
    world
        .vault(&["init", "--member", "laptop"])
        .secret_stderr()
        .run()
        .ok();
    world.add("github/ci", secret("ci"));
    tool("age");
    // The secret goes to a file, as a person would send it; the terminal has the question alone.
    let out = world.write("out", "");
    world.allow(&out);
    let line = format!(
        "sh '{}' '{}' '{}' github/ci > '{}'",
        script().display(),
        world.store().display(),
        world.identity().display(),
        out.display()
    );
    let command = Command::new("sh")
        .args(["-c", &line])
        .env_clear()
        .envs(world.vars().iter().cloned());
    let mut pty = Pty::spawn(command, (24, 200));
    pty.expect("passphrase", SOON);
    pty.send("open sesame\r");
    let status = pty.wait();
    assert!(status.success(), "{}", pty.screen());
    assert_eq!(std::fs::read(&out).unwrap(), secret("ci").into_bytes());
    let asked = String::from_utf8_lossy(pty.output()).to_lowercase();
    assert_eq!(asked.matches("passphrase").count(), 1, "{asked}");
}

#[test]
fn an_ssh_key_opens_it_too() {
    let world = World::new();
    let key = crate::vectors::root().join("keys/ssh.txt");
    let copy = world.write("ssh-key", std::fs::read(&key).unwrap());
    std::fs::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let copy = copy.to_str().unwrap();
    world
        .vault(&[
            "init",
            "--no-recovery",
            "--member",
            "laptop",
            "--identity",
            copy,
        ])
        .run()
        .ok();
    let add = world.vault(&["add", "a"]).env("AGEVAULT_IDENTITY", copy);
    add.stdin(secret("a")).run().ok();
    let output = recover(&world, "sh", Path::new(copy), "a").run().ok();
    assert_eq!(output.stdout, secret("a").into_bytes());
}
