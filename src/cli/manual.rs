//! What the manual says beyond the commands' own help: variables, files, exit codes. The test that renders `man/` reads it.

/// A term and what it means.
pub type Term = (&'static str, &'static str);

/// The variables that are read.
pub const ENVIRONMENT: &[Term] = &[
    (
        "AGEVAULT_STORE",
        "The store that is meant when no --store is given: a name from the configuration, or a folder.",
    ),
    (
        "AGEVAULT_IDENTITY",
        "The identity file: an age identity, or an SSH private key.",
    ),
    (
        "AGEVAULT_KEY",
        "An identity itself, for machines without a file. It never reaches a program that vault starts.",
    ),
    ("AGEVAULT_CONFIG", "The configuration file."),
    (
        "AGEVAULT_PIN",
        "The fingerprint that the store must have, in the words that vault status shows. Another one is refused with 5.",
    ),
    (
        "AGEVAULT_PASSPHRASE_CMD",
        "A line for the shell that prints the identity's passphrase. It never reaches a program that vault starts.",
    ),
    (
        "AGEVAULT_AGENT",
        "If it is \"off\", no agent is started or asked, and each command unlocks for itself.",
    ),
    (
        "AGEVAULT_NON_INTERACTIVE",
        "If set, nobody is asked for anything.",
    ),
    (
        "AGEVAULT_ASKPASS",
        "The entry that answers prompts, but git's, for vault askpass.",
    ),
    (
        "GIT_TERMINAL_PROMPT",
        "If it is 0, nobody is asked by vault git-credential, as by git itself.",
    ),
    (
        "DOCKER_CONFIG, CARGO_HOME",
        "Where docker's and cargo's configuration is, for vault plugins.",
    ),
    (
        "VISUAL, EDITOR",
        "The editor, for the command that opens one.",
    ),
    ("NO_COLOR", "If set, nothing is coloured."),
    (
        "XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_STATE_HOME, XDG_RUNTIME_DIR",
        "The parents of the folders below.",
    ),
];

/// The files that are used.
pub const FILES: &[Term] = &[
    ("~/.local/share/agevault/store", "The store."),
    (
        "~/.config/agevault/identities",
        "This member's identity. Without it, or the recovery key, the store cannot be opened.",
    ),
    ("~/.config/agevault/config.toml", "The configuration."),
    (
        "~/.config/agevault/providers/*.toml",
        "What you know of providers: provider, hosts, username, variables. A key that is given replaces what is known.",
    ),
    (
        "~/.config/agevault/vault.gitconfig",
        "What vault plugins install git has git's configuration include.",
    ),
    (
        "~/.local/state/agevault/",
        "What this device remembers of each store: pin, revisions, index, uses, and what doctor has set aside. Names, scopes and \
         dates lie there in clear, secrets do not.",
    ),
    (
        "$XDG_RUNTIME_DIR/agevault/agent.sock",
        "The socket of the agent; where there is no runtime directory, ~/.local/state/agevault/run/agent.sock.",
    ),
];

/// The exit codes of every command but `exec`.
pub const EXIT_STATUS: &[Term] = &[
    ("0", "Done."),
    ("1", "Failed."),
    ("2", "Wrong usage."),
    ("3", "There is no such entry."),
    ("4", "Locked, or no key fits."),
    (
        "5",
        "Refused for integrity: tampered with, forged, rolled back, or another store than the pinned one.",
    ),
    ("6", "Expired."),
];

/// The exit codes of `exec`.
pub const EXIT_STATUS_EXEC: &[Term] = &[
    ("0 to 255", "The program's own; 128+n if a signal ended it."),
    ("125", "vault refused or failed, and nothing was started."),
    ("126", "The program cannot be run."),
    ("127", "The program is not found."),
];
