//! Where a dotfile belongs, below the home directory; what its entry is called; and which places a person is asked about by
//! name. Pure.

use std::path::Path;

use unicode_normalization::UnicodeNormalization;
use unicode_properties::GeneralCategory;
use unicode_properties::UnicodeGeneralCategory;

use crate::crypto::sign::digest_hex;
use crate::format::Name;

/// The folder of the store that dotfiles lie in.
pub const FOLDER: &str = "dotfiles";
/// How the leading dot of a component is written in a name.
const DOT: &str = "dot_";
/// Most bytes of a target.
const TARGET_MAX_BYTES: usize = 4096;
/// Most bytes of a component of a target.
const COMPONENT_MAX_BYTES: usize = 255;
/// A longer component is cut in a name, and told from others by a digest.
const LONG_BYTES: usize = 180;

/// A place below the home directory (W-130).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target(String);

impl Target {
    /// Checks a text; the error is a clause that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.starts_with('/') {
            return Err("its target does not begin at the home directory");
        }
        if text.len() > TARGET_MAX_BYTES {
            return Err("its target is longer than 4096 bytes");
        }
        for component in text.split('/') {
            match component {
                "" => return Err("a component of its target is empty"),
                "." | ".." => return Err("its target goes up, or nowhere"),
                long if long.len() > COMPONENT_MAX_BYTES => {
                    return Err("a component of its target is longer than 255 bytes");
                }
                odd if odd.chars().any(is_hidden) => {
                    return Err("its target has a control or invisible character");
                }
                _ => {}
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a path below the home directory.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// What its entry is called where that name is free.
    pub fn name(&self) -> Option<Name> {
        let components: Vec<String> = self.0.split('/').map(component).collect();
        let text = format!("{FOLDER}/{}", components.join("/"));
        let by_digest = || {
            let digest = digest_hex(self.0.as_bytes());
            Name::parse(&format!("{FOLDER}/{}", digest.get(..32)?)).ok()
        };
        Name::parse(&text).ok().or_else(by_digest)
    }
}

/// Whether a letter cannot be seen, or turns others around: what is asked about by its name must be what it looks like.
fn is_hidden(letter: char) -> bool {
    matches!(
        letter.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    )
}

/// A path as it is compared where case may not count: letters that some systems take for one are one.
pub fn folded(path: &Path) -> String {
    let text = path.to_string_lossy();
    let text: String = text.nfc().collect();
    text.to_uppercase().to_lowercase()
}

/// A component of a target as one of a name: what the grammar of names refuses is written another way.
fn component(text: &str) -> String {
    let mut name: String = text
        .nfc()
        .map(|letter| {
            let is_fine = Name::parse(&format!("a{letter}a")).is_ok() && letter != '/';
            if is_fine { letter } else { '_' }
        })
        .collect();
    // Two letters that are fine alone may be composed to one.
    name = name.nfc().collect();
    name = name.replace(".conflict-", "_conflict-");
    if let Some(rest) = name.strip_prefix('.') {
        name = format!("{DOT}{rest}");
    }
    if name.starts_with(['-', ' ']) {
        name.replace_range(..1, "_");
    }
    if name.ends_with([' ', '.']) {
        name.pop();
        name.push('_');
    }
    if name.len() > LONG_BYTES {
        let digest = digest_hex(text.as_bytes());
        let mut end = LONG_BYTES;
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
        name.push_str(&format!("-{}", digest.get(..8).unwrap_or("")));
    }
    if Name::parse(&name).is_err() {
        // A reserved ending, or a device.
        name.push('_');
    }
    name
}

/// What is run, or lets somebody in, wherever it is: a whole path, or with a `/` at its end a folder.
const SENSITIVE: [(&str, &str); 78] = [
    (".ssh/authorized_keys", LETS_IN),
    (".ssh/authorized_keys2", LETS_IN),
    (".rhosts", LETS_IN),
    (".shosts", LETS_IN),
    (".k5login", LETS_IN),
    (".ssh/config", RUNS),
    (".ssh/config.d/", RUNS),
    (".ssh/rc", RUNS),
    (".ssh/environment", RUNS),
    (".pam_environment", RUNS),
    (".bashrc", STARTS),
    (".bash_profile", STARTS),
    (".bash_login", STARTS),
    (".bash_logout", STARTS),
    (".bash_aliases", STARTS),
    (".bashrc.d/", STARTS),
    (".inputrc", STARTS),
    (".profile", STARTS),
    (".zshrc", STARTS),
    (".zshenv", STARTS),
    (".zprofile", STARTS),
    (".zlogin", STARTS),
    (".zlogout", STARTS),
    (".zshrc.d/", STARTS),
    (".kshrc", STARTS),
    (".mkshrc", STARTS),
    (".cshrc", STARTS),
    (".tcshrc", STARTS),
    (".login", STARTS),
    (".logout", STARTS),
    (".oh-my-zsh/", STARTS),
    (".config/zsh/", STARTS),
    (".config/fish/", STARTS),
    (".config/nushell/", STARTS),
    (".config/xonsh/", STARTS),
    (".config/powershell/", STARTS),
    (".config/environment.d/", STARTS),
    (".xinitrc", STARTS),
    (".xprofile", STARTS),
    (".xsession", STARTS),
    (".xsessionrc", STARTS),
    (".config/autostart/", STARTS),
    (".config/systemd/", STARTS),
    (".local/share/systemd/", STARTS),
    ("Library/LaunchAgents/", STARTS),
    (".config/direnv/", STARTS),
    (".gitconfig", RUNS),
    (".config/git/config", RUNS),
    (".config/git/hooks/", RUNS),
    (".cargo/config", RUNS),
    (".cargo/config.toml", RUNS),
    (".gdbinit", RUNS),
    (".vimrc", RUNS),
    (".vim/", RUNS),
    (".config/nvim/", RUNS),
    (".emacs", RUNS),
    (".emacs.d/", RUNS),
    (".tmux.conf", RUNS),
    (".forward", RUNS),
    (".procmailrc", RUNS),
    (".mailcap", RUNS),
    (".screenrc", RUNS),
    (".lldbinit", RUNS),
    (".gnupg/gpg-agent.conf", RUNS),
    (".aws/config", RUNS),
    (".kube/config", RUNS),
    (".config/tmux/", RUNS),
    (".config/i3/", STARTS),
    (".config/sway/", STARTS),
    (".config/hypr/", STARTS),
    (".config/plasma-workspace/", STARTS),
    (".local/share/dbus-1/", STARTS),
    (".local/share/applications/", RUNS),
    (".cargo/env", STARTS),
    (".cargo/bin/", IS_PROGRAM),
    ("go/bin/", IS_PROGRAM),
    (".local/bin/", IS_PROGRAM),
    ("bin/", IS_PROGRAM),
];
const HOLDS: &str = "what is in it is run, or lets somebody in";
const LETS_IN: &str = "it says who may log in here";
const STARTS: &str = "it is run when you log in or open a shell";
const RUNS: &str = "it can name programs that are run";
const IS_PROGRAM: &str = "it is a program on your path";

/// The places that are asked about by their names, and why.
pub fn sensitive_places() -> impl Iterator<Item = (&'static Path, &'static str)> {
    SENSITIVE
        .iter()
        .map(|(known, why)| (Path::new(known.trim_end_matches('/')), *why))
}

/// Why a person is asked about a place by its name; nothing for any other place. Case does not count: to some systems it does not.
pub fn sensitive(place: &Path) -> Option<&'static str> {
    let place = folded(place);
    let above = format!("{place}/");
    SENSITIVE.iter().find_map(|(known, why)| {
        let known = known.to_lowercase();
        if known.starts_with(&above) {
            // A link there would lead everything that is in the folder elsewhere.
            return Some(HOLDS);
        }
        let is_it = place == known || (known.ends_with('/') && place.starts_with(&known));
        is_it.then_some(*why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_stay_below_the_home() {
        for fine in [
            ".npmrc",
            ".config/gh/hosts.yml",
            "a b",
            "Grüße/日本語",
            "-x",
            "..x",
        ] {
            assert!(Target::parse(fine).is_ok(), "{fine}");
        }
        let long = "x".repeat(256);
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../x",
            "a//b",
            "a/",
            ".",
            "a\0",
            "a\nb",
            "\u{202e}crhsab.",
            ".bash\u{200c}rc",
            &long,
        ] {
            assert!(Target::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn every_target_has_a_name() {
        let name = |text: &str| Target::parse(text).unwrap().name().unwrap().to_string();
        for (target, expected) in [
            (".npmrc", "dotfiles/dot_npmrc"),
            (".config/gh/hosts.yml", "dotfiles/dot_config/gh/hosts.yml"),
            ("a:b", "dotfiles/a_b"),
            ("-x/ y/z.", "dotfiles/_x/_y/z_"),
            ("key.age", "dotfiles/key.age_"),
            ("NUL", "dotfiles/NUL_"),
            ("e\u{301}", "dotfiles/é"),
            ("a.conflict-b", "dotfiles/a_conflict-b"),
            ("..x", "dotfiles/dot_.x"),
            ("\u{e000}x", "dotfiles/_x"),
        ] {
            assert_eq!(name(target), expected);
        }
        assert_eq!(name(&"y".repeat(250)).len(), "dotfiles/".len() + 189);
        assert_eq!(name(&["a"; 40].join("/")).len(), "dotfiles/".len() + 32);
        assert_ne!(name(&"y".repeat(250)), name(&"y".repeat(251)));
    }

    #[test]
    fn what_runs_or_lets_in_is_known() {
        for place in [
            ".bashrc",
            ".SSH/authorized_keys",
            ".ba\u{17f}hrc",
            ".config/fish/config.fish",
            "bin/x",
            ".ssh",
            ".config",
            "bin",
        ] {
            assert!(sensitive(Path::new(place)).is_some(), "{place}");
        }
        for place in [".npmrc", ".ssh/known_hosts", ".bashrc.old", "binary"] {
            assert!(sensitive(Path::new(place)).is_none(), "{place}");
        }
    }
}
