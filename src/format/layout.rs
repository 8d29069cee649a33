//! Which path means what (sections 2 and 4). The only place that turns a name into a path or back.

use crate::format::Name;

/// The folder of the store's own files.
pub const OWN: &str = ".vault";
/// The clear file with the store's id, epoch and public key.
pub const FORMAT: &str = ".vault/format";
/// The member list.
pub const MEMBERS: &str = ".vault/members.age";
/// The folder of key files.
pub const KEYS: &str = ".vault/keys";
/// Staging of a change of several files without git, before (`.tmp`) and after it became the truth (section 11).
pub const NEXT: &str = ".vault/next";
/// What `NEXT` is called until it is complete.
pub const NEXT_TEMP: &str = ".vault/next.tmp";
/// The repository.
pub const GIT: &str = ".git";
/// What an entry's file ends in.
const SUFFIX: &str = ".age";

/// What a path below the store stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `.vault/format`
    Format,
    /// `.vault/members.age`
    Members,
    /// A member's key file.
    Key(String),
    /// An entry.
    Entry(Name),
}

/// The path of an entry's file below the store, by the rule `plain`.
pub fn path_of(name: &Name) -> String {
    format!("{name}{SUFFIX}")
}

/// The path of a member's key file below the store.
pub fn key_path(member: &str) -> String {
    format!("{KEYS}/{member}{SUFFIX}")
}

/// What a path stands for; a clause saying why, if it stands for nothing of ours (F-082).
pub fn place_of(path: &str) -> Result<Place, &'static str> {
    match path {
        FORMAT => return Ok(Place::Format),
        MEMBERS => return Ok(Place::Members),
        _ => {}
    }
    if let Some(own) = path.strip_prefix(".vault/") {
        let member = own
            .strip_prefix("keys/")
            .and_then(|file| file.strip_suffix(SUFFIX));
        let member = member.filter(|name| is_member_name(name));
        return member
            .map(|name| Place::Key(name.to_owned()))
            .ok_or("it is not a file of a store");
    }
    let name = path
        .strip_suffix(SUFFIX)
        .ok_or("it is not an entry: it does not end in \".age\"")?;
    Name::parse(name)
        .map(Place::Entry)
        .map_err(|bad| bad.reason)
}

/// The name of which a file-sync tool has made this one, where two devices had written it: `ci.sync-conflict-…` (Syncthing),
/// `ci (conflicted copy …)` (Dropbox, Nextcloud). A person may have given such a name, too.
pub fn copied_from(name: &str) -> Option<Name> {
    let (folder, last) = match name.rsplit_once('/') {
        Some((folder, last)) => (Some(folder), last),
        None => (None, name),
    };
    let syncthing = last.rsplit_once(".sync-conflict-").filter(|(_, mark)| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        mark.starts_with(|c: char| c.is_ascii_digit()) && mark.chars().all(plain)
    });
    let dropbox = || {
        // The second one of a day has a number in brackets of its own.
        let inner = last.strip_suffix(')')?;
        let (before, _) = inner.rsplit_once("conflicted copy")?;
        before.rsplit_once(" (")
    };
    let (root, _) = syncthing.or_else(dropbox)?;
    let whole = folder.map_or_else(|| root.to_owned(), |folder| format!("{folder}/{root}"));
    Name::parse(&whole).ok()
}

/// Whether a text may name a member: what is safe as a file's name on every system (section 4).
pub fn is_member_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= 64
        && text.starts_with(plain)
        && text
            .chars()
            .all(|c| plain(c) || matches!(c, '-' | '_' | '.'))
        && Name::parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stands_for_one_thing_or_nothing() {
        assert_eq!(place_of(".vault/format"), Ok(Place::Format));
        assert_eq!(
            place_of(".vault/keys/laptop.age"),
            Ok(Place::Key("laptop".into()))
        );
        let name = Name::parse("github/ci").unwrap();
        assert_eq!(place_of(&path_of(&name)), Ok(Place::Entry(name)));
        for bad in [
            ".vault/x",
            ".vault/keys/UP.age",
            ".vault/keys/.age",
            ".gitattributes",
            "a/README.md",
            "a/.x.age",
            ".age",
        ] {
            assert!(place_of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn copies_of_file_sync_tools_are_known() {
        for (name, root) in [
            ("f/ci.sync-conflict-20261122-191200-ABCDEF1", Some("f/ci")),
            ("ci (conflicted copy 2026-11-22)", Some("ci")),
            ("ci (Octo's conflicted copy 2026-11-22)", Some("ci")),
            ("ci (conflicted copy 2026-11-22 191200)", Some("ci")),
            ("ci.sync-conflict-x", None),
            ("ci (old)", None),
            ("ci (Octo's conflicted copy 2026-11-22 (1))", Some("ci")),
            ("ci.conflict-2026-11-22", None),
        ] {
            let found = copied_from(name);
            assert_eq!(found.as_ref().map(Name::as_str), root, "{name}");
        }
    }

    #[test]
    fn member_names_are_harmless_file_names() {
        for (text, ok) in [
            ("laptop", true),
            ("a-b_c.d1", true),
            ("", false),
            ("Laptop", false),
            ("-a", false),
            ("nul", false),
            ("a.", false),
            ("a.age", false),
            ("a/b", false),
        ] {
            assert_eq!(is_member_name(text), ok, "{text}");
        }
    }
}
