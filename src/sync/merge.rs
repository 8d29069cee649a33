//! Merging two values of an entry by what they mean (W-120 to W-122). Pure; no I/O.
//!
//! Lives here: two headers field by field, two secrets, two member lists. Never here: trees and files (`join`).

use jiff::Timestamp;

use crate::format::Header;
use crate::format::members::Member;
use crate::format::members::Members;
use crate::store::Entry;

/// What stands in the name of the losing side of a merge.
pub const CONFLICT: &str = ".conflict-";

/// The most bytes of a component of a name.
const COMPONENT_MAX_BYTES: usize = 200;

/// What two values of an entry become.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one at a time, and taken apart at once"
)]
pub enum Merged {
    /// They say the same: ours stays, or theirs is taken as it is.
    Same {
        /// Whether it is theirs that is taken.
        takes_theirs: bool,
    },
    /// One value made of both.
    One(Entry),
    /// Two different secrets: one keeps the name, the other is kept beside it.
    Two {
        /// Keeps the name.
        winner: Entry,
        /// Is kept under another one.
        loser: Entry,
    },
}

/// Merges two values of an entry whose common ancestor is `base`. The revision is the higher one of the two.
pub fn entries(base: Option<&Entry>, ours: Entry, theirs: Entry) -> Merged {
    let is_same_secret = ours.secret == theirs.secret;
    if is_same_secret && ours.header.same_as(&theirs.header) {
        let takes_theirs = theirs.header.rev >= ours.header.rev;
        return Merged::Same { takes_theirs };
    }
    let theirs_later = is_later(&theirs, &ours);
    let is_old = |entry: &Entry| base.is_some_and(|base| base.secret == entry.secret);
    // Whose secret it is, as long as only one side has changed it.
    let secret_is_theirs = match (is_same_secret, is_old(&ours), is_old(&theirs)) {
        (true, ..) => theirs_later,
        (_, true, _) => true,
        (_, _, true) => false,
        _ => {
            let header = headers(
                base.map(|base| &base.header),
                &ours.header,
                &theirs.header,
                theirs_later,
            );
            let (winner, loser) = if theirs_later {
                (theirs, ours)
            } else {
                (ours, theirs)
            };
            // What a secret may do and until when is its own.
            let header = Header {
                expires: winner.header.expires,
                scopes: winner.header.scopes.clone(),
                ..header
            };
            let secret = winner.secret;
            return Merged::Two {
                winner: Entry { header, secret },
                loser,
            };
        }
    };
    let header = headers(
        base.map(|base| &base.header),
        &ours.header,
        &theirs.header,
        theirs_later,
    );
    let secret = if secret_is_theirs {
        theirs.secret
    } else {
        ours.secret
    };
    Merged::One(Entry { header, secret })
}

/// Whether one value was made after another; the same on every device.
fn is_later(one: &Entry, other: &Entry) -> bool {
    let key = |entry: &Entry| (entry.header.modified, entry.header.rev);
    (key(one), one.secret.expose()) > (key(other), other.secret.expose())
}

/// Two headers, field by field: what only one side has changed is taken from it, sets take what either has added and lose
/// what either has removed, and what both have changed is the later one's.
pub fn headers(
    base: Option<&Header>,
    ours: &Header,
    theirs: &Header,
    theirs_later: bool,
) -> Header {
    let none = Header::default();
    let base = base.unwrap_or(&none);
    macro_rules! pick {
        ($field:ident) => {
            pick(&base.$field, &ours.$field, &theirs.$field, theirs_later).clone()
        };
    }
    macro_rules! join {
        ($field:ident) => {
            sets(&base.$field, &ours.$field, &theirs.$field)
        };
    }
    Header {
        name: ours.name.clone(),
        rev: ours.rev.max(theirs.rev),
        kind: pick!(kind),
        provider: pick!(provider),
        scopes: join!(scopes),
        expires: pick!(expires),
        env: pick!(env),
        profiles: join!(profiles),
        username: pick!(username),
        url: pick!(url),
        tags: join!(tags),
        description: pick!(description),
        created: earlier(ours.created, theirs.created),
        modified: ours.modified.max(theirs.modified),
        confirm: pick!(confirm),
        target: pick!(target),
        mode: pick!(mode),
        consumers: join!(consumers),
        link: pick!(link),
        template: pick!(template),
        hosts: join!(hosts),
        systems: join!(systems),
        unknown: unknown(&base.unknown, &ours.unknown, &theirs.unknown, theirs_later),
    }
}

/// One field that is one value.
fn pick<'v, T: PartialEq>(base: &'v T, ours: &'v T, theirs: &'v T, theirs_later: bool) -> &'v T {
    match (base == ours, base == theirs) {
        (true, _) => theirs,
        (_, true) => ours,
        _ if theirs_later => theirs,
        _ => ours,
    }
}

/// One field that is a set, in the order of ours, then what only theirs has.
fn sets(base: &[String], ours: &[String], theirs: &[String]) -> Vec<String> {
    let is_kept = |word: &&String| {
        let (here, there) = (ours.contains(word), theirs.contains(word));
        here && there || !base.contains(word)
    };
    let mut joined: Vec<String> = Vec::new();
    for word in ours.iter().chain(theirs).filter(is_kept) {
        if !joined.contains(word) {
            joined.push(word.clone());
        }
    }
    joined
}

/// Lines that this version does not know, each `key = value`.
fn unknown(base: &[String], ours: &[String], theirs: &[String], theirs_later: bool) -> Vec<String> {
    let key = |line: &str| {
        line.split_once(" = ")
            .map_or(line, |(key, _)| key)
            .to_owned()
    };
    let find = |lines: &[String], wanted: &str| {
        let found = lines.iter().find(|line| key(line) == wanted);
        found.cloned()
    };
    let mut keys: Vec<String> = Vec::new();
    for line in ours.iter().chain(theirs) {
        if !keys.contains(&key(line)) {
            keys.push(key(line));
        }
    }
    let merged = keys.iter().filter_map(|key| {
        let (base, ours, theirs) = (find(base, key), find(ours, key), find(theirs, key));
        pick(&base, &ours, &theirs, theirs_later).clone()
    });
    merged.collect()
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Two member lists: whoever is on either is on both, unless one side has taken him out; of two members of one name it is
/// theirs, which others know already.
pub fn members(base: Option<Members>, ours: Members, theirs: Members) -> Members {
    let rev = ours.rev.max(theirs.rev);
    let has = |list: &[Member], name: &str| list.iter().any(|member| member.name == name);
    let base = base.map(|base| base.list).unwrap_or_default();
    let left_here: Vec<String> = base
        .iter()
        .filter(|member| !has(&ours.list, &member.name))
        .map(|member| member.name.clone())
        .collect();
    let mut list: Vec<Member> = theirs
        .list
        .into_iter()
        .filter(|member| !left_here.contains(&member.name))
        .collect();
    for member in ours.list {
        if !has(&list, &member.name) && !has(&base, &member.name) {
            list.push(member);
        }
    }
    Members { rev, list }
}

/// The name under which the losing side is kept, `number` counting from 1 where more are needed. A conflict's own name
/// does not grow with each conflict.
pub fn conflict_name(name: &str, loser: &Header, number: u32) -> String {
    let (folder, last) = match name.rsplit_once('/') {
        Some((folder, last)) => (Some(folder), last),
        None => (None, name),
    };
    let root = last.split(CONFLICT).next().unwrap_or(last);
    let date = loser.modified.or(loser.created).unwrap_or_default();
    let date: String = date.to_string().chars().take(10).collect();
    let ending = match number {
        0 | 1 => format!("{CONFLICT}{date}"),
        number => format!("{CONFLICT}{date}-{number}"),
    };
    let mut root = root.to_owned();
    while root.len() + ending.len() > COMPONENT_MAX_BYTES && root.pop().is_some() {}
    match folder {
        Some(folder) => format!("{folder}/{root}{ending}"),
        None => format!("{root}{ending}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::secret::Secret;

    use super::*;

    fn header(modified: i64) -> Header {
        Header {
            name: "a".into(),
            rev: 3,
            scopes: vec!["repo".into(), "gist".into()],
            tags: vec!["work".into()],
            username: Some("octocat".into()),
            modified: Timestamp::from_second(modified).ok(),
            ..Header::default()
        }
    }

    fn entry(header: Header, secret: &str) -> Entry {
        let secret = Secret::new(secret.as_bytes().to_vec());
        Entry { header, secret }
    }

    #[test]
    fn each_field_comes_from_the_side_that_changed_it() {
        let base = header(10);
        let ours = Header {
            scopes: vec!["repo".into(), "read:org".into()],
            username: Some("hubot".into()),
            unknown: vec!["x = 1".into()],
            modified: Timestamp::from_second(30).ok(),
            rev: 5,
            ..base.clone()
        };
        let theirs = Header {
            scopes: vec!["repo".into(), "gist".into(), "user".into()],
            tags: Vec::new(),
            description: Some("CI".into()),
            unknown: vec!["y = 2".into()],
            modified: Timestamp::from_second(20).ok(),
            rev: 4,
            ..base.clone()
        };
        let merged = headers(Some(&base), &ours, &theirs, false);
        assert_eq!(merged.scopes, ["repo", "read:org", "user"]);
        assert!(merged.tags.is_empty());
        assert_eq!(merged.username.as_deref(), Some("hubot"));
        assert_eq!(merged.description.as_deref(), Some("CI"));
        assert_eq!(merged.unknown, ["x = 1", "y = 2"]);
        assert_eq!((merged.rev, merged.modified), (5, ours.modified));
        let mirrored = headers(Some(&base), &theirs, &ours, true);
        assert!(mirrored.username == merged.username && mirrored.tags == merged.tags);
    }

    #[test]
    fn only_two_new_secrets_are_a_conflict() {
        let value = |modified, secret: &str| entry(header(modified), secret);
        let base = value(10, "old");
        let merge = |ours, theirs| entries(Some(&base), ours, theirs);
        let is_one = |merged: &Merged, secret: &str| match merged {
            Merged::One(one) => one.secret.expose() == secret.as_bytes(),
            _ => false,
        };
        let tagged = |secret: &str| {
            let header = Header {
                tags: Vec::new(),
                ..header(15)
            };
            entry(header, secret)
        };
        assert!(is_one(&merge(value(20, "new"), tagged("old")), "new"));
        assert!(is_one(&merge(tagged("old"), value(20, "new")), "new"));
        assert!(is_one(&merge(tagged("new"), value(20, "new")), "new"));
        let same = merge(value(20, "new"), value(21, "new"));
        assert!(matches!(same, Merged::Same { takes_theirs: true }));
        for (ours, theirs) in [(20, 30), (30, 20)] {
            let name = |modified| if modified == 30 { "late" } else { "early" };
            let merged = merge(value(ours, name(ours)), value(theirs, name(theirs)));
            let Merged::Two { winner, loser } = merged else {
                panic!("{merged:?}");
            };
            assert_eq!(winner.secret.expose(), b"late");
            assert_eq!(loser.secret.expose(), b"early");
        }
    }

    #[test]
    fn a_conflict_has_a_name_of_its_own() {
        let loser = header(1_795_374_720);
        let name = |name: &str, number| conflict_name(name, &loser, number);
        assert_eq!(name("a/b", 1), "a/b.conflict-2026-11-22");
        assert_eq!(name("a.conflict-2020-01-01", 2), "a.conflict-2026-11-22-2");
        assert!(name(&"é".repeat(100), 1).len() <= COMPONENT_MAX_BYTES);
    }
}
