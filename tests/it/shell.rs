//! `vault shell` in real shells on a terminal, `--unsafe-export`, and direnv's `use vault`.

use std::time::Duration;

use pty_process::blocking::Command;

use crate::pty::Pty;
use crate::world::CANARY;
use crate::world::VAULT;
use crate::world::World;
use crate::world::contains;
use crate::world::secret;
use crate::world::tool;

/// How long a shell may take to come up.
const SOON: Duration = Duration::from_secs(30);

fn world() -> World {
    let world = World::with_store();
    world.add_with("github/ci", secret("github"), &["--env=GITHUB_TOKEN"]);
    world.add_with(
        "quote",
        "it's $HOME `id`\nand \"more\"",
        &["--env=QUOTED", "--profile=odd"],
    );
    world
}

fn shell(world: &World, program: &str, args: &[&str]) -> Pty {
    let command = Command::new(VAULT)
        .args([&["shell"], args].concat())
        .env_clear();
    let command = command
        .envs(world.vars().iter().cloned())
        .env("TERM", "xterm-256color")
        .env("SHELL", tool(program))
        .current_dir(world.home());
    Pty::spawn(command, (30, 100))
}

#[test]
fn a_shell_has_the_secrets_and_a_marked_prompt_until_it_ends() {
    let world = world();
    world.write(".bashrc", "PS1='mine> '\nPROMPT_COMMAND='true;'\n");
    world.write(".zshrc", "PROMPT='mine> '\nexport FROM_RC=1\n");
    world.write(".zshenv", "export FROM_ENV=1\n");
    world.write(
        ".config/fish/config.fish",
        "function fish_prompt; echo -n 'mine> '; end\nset -g fish_greeting\n",
    );
    for (program, is_set) in [
        (
            "bash",
            "[ -n \"$GITHUB_TOKEN\" ] && echo has-${#GITHUB_TOKEN}-$AGEVAULT_SHELL\r",
        ),
        (
            "zsh",
            "[ -n \"$GITHUB_TOKEN\" ] && echo has-${#GITHUB_TOKEN}-$FROM_RC$FROM_ENV${ZDOTDIR:-}\r",
        ),
        (
            "fish",
            "test -n \"$GITHUB_TOKEN\"; and echo has-(string length $GITHUB_TOKEN)-$AGEVAULT_SHELL\r",
        ),
    ] {
        let mut pty = shell(&world, program, &[]);
        pty.expect("GITHUB_TOKEN (from github/ci)", SOON);
        pty.expect("(vault) mine>", SOON);
        pty.send(is_set);
        let tail = if program == "zsh" { "11" } else { "1" };
        pty.expect(&format!("has-{}-{tail}", secret("github").len()), SOON);
        pty.expect("(vault) mine>", SOON);
        pty.send("exit 7\r");
        assert_eq!(pty.wait().code(), Some(7), "{program}: {}", pty.screen());
        assert!(!contains(pty.output(), CANARY.as_bytes()), "{program}");
    }
    let mut pty = shell(&world, "dash", &[]);
    pty.expect("(vault) $ ", SOON);
    pty.send("exit 7\r");
    assert_eq!(pty.wait().code(), Some(7), "{}", pty.screen());
}

#[test]
fn any_other_shell_is_told_by_a_variable_and_a_refusal_starts_none() {
    let world = world();
    let run = world
        .vault(&["shell", "-q", "-e", "github/ci"])
        .env("SHELL", "/bin/sh");
    let seen = run
        .stdin("echo $AGEVAULT_SHELL ${#GITHUB_TOKEN}; exit 3\n")
        .run();
    assert_eq!(
        seen.fails_with(3).text(),
        format!("1 {}\n", secret("github").len())
    );
    let refused = world
        .vault(&["shell", "--profile", "none"])
        .env("SHELL", "/bin/sh");
    let refused = refused.stdin("echo started\n").run().fails_with(125);
    assert!(refused.text().is_empty());
    let missing = world.vault(&["shell"]).env("SHELL", "/no/such/shell").run();
    let _ = missing.fails_with(127).says("/no/such/shell");
}

#[test]
fn an_export_is_typed_out_and_never_on_a_terminal() {
    let world = world();
    let script =
        format!("eval \"$('{VAULT}' exec --profile odd --unsafe-export)\"; printf %s \"$QUOTED\"");
    let seen = world.program("sh", &["-c", &script]).run().ok().text();
    assert_eq!(seen, "it's $HOME `id`\nand \"more\"");
    let run = world
        .vault(&["exec", "-e", "quote", "--unsafe-export"])
        .env("GITHUB_TOKEN", "stale");
    assert!(
        run.run()
            .ok()
            .text()
            .starts_with("unset GITHUB_TOKEN\nexport QUOTED='it'\\''s ")
    );
    let _ = world
        .vault(&["exec", "--unsafe-export", "--", "true"])
        .run()
        .fails_with(125);
    let file = ["exec", "--unsafe-export", "--file", "F=quote"];
    let _ = world.vault(&file).run().fails_with(125);
    let command = Command::new(VAULT)
        .args(["exec", "--unsafe-export"])
        .env_clear();
    let command = command
        .envs(world.vars().iter().cloned())
        .current_dir(world.home());
    let mut pty = Pty::spawn(command, (30, 100));
    pty.expect("not printed on a terminal", SOON);
    assert_eq!(pty.wait().code(), Some(125));
    assert!(!contains(pty.output(), CANARY.as_bytes()));
}

#[test]
fn direnv_uses_the_vault_and_fails_closed() {
    let mut world = world();
    std::os::unix::fs::symlink(VAULT, world.home().join("bin/agevault")).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let folders = std::iter::once(world.home().join("bin")).chain(std::env::split_paths(&path));
    world.set("PATH", std::env::join_paths(folders).unwrap());
    let lib = world.vault(&["shell", "--direnv-lib"]).run().ok().text();
    world.write(".config/direnv/lib/vault.sh", lib);
    world.write("work/.envrc", "use vault\nexport AFTER=1\n");
    let folder = world.home().join("work");
    let direnv = |args: &[&str]| {
        world
            .program(tool("direnv"), args)
            .cwd(&folder)
            .secret_stderr()
            .run()
    };
    let _ = direnv(&["allow"]).ok();
    let script = "echo ${#GITHUB_TOKEN} $AFTER";
    let seen = direnv(&["exec", ".", "sh", "-c", script]).ok();
    assert_eq!(seen.text(), format!("{} 1\n", secret("github").len()));
    assert!(!contains(seen.stderr.as_bytes(), CANARY.as_bytes()));
    // A project file that was not allowed: nothing of the folder counts, and nothing starts.
    world.write("work/.agevault.toml", "[env]\nTOKEN = \"github/ci\"\n");
    let refused = direnv(&["exec", ".", "sh", "-c", "echo started"]);
    assert!(
        refused.code != 0 && refused.text().is_empty(),
        "{refused:?}"
    );
    assert!(refused.stderr.contains("vault allow") && refused.stderr.contains("nothing is set"));
    let exported = direnv(&["export", "bash"]);
    assert!(!exported.text().contains("AFTER"), "{exported:?}");
    // A selection may stand behind it.
    world.write("work/.envrc", "use vault -e github/ci\n");
    let _ = direnv(&["allow"]).ok();
    let seen = direnv(&["exec", ".", "sh", "-c", script]).ok();
    assert_eq!(seen.text(), format!("{}\n", secret("github").len()));
}
