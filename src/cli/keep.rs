//! A new password that another program wants to be kept: only where the setting `on-store` says so, and never over an entry.

use jiff::Timestamp;

use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::failure::Failure;
use crate::config::Config;
use crate::config::OnStore;
use crate::format::Header;
use crate::format::Name;
use crate::policy::answer::Circumstances;
use crate::policy::answer::Request;
use crate::policy::place::Place;
use crate::secret::Secret;

/// The folder of such entries.
const FOLDER: &str = "git";
/// How many names are tried.
const NAMES_MAX: usize = 100;

/// What is to be kept.
pub(super) struct New<'n> {
    /// Where it is used.
    pub place: &'n Place,
    /// By whom.
    pub username: &'n str,
    /// The password.
    pub secret: &'n Secret,
    /// Until when.
    pub expires: Option<Timestamp>,
}

/// Keeps it, if that is wanted and nothing is there that answers for this user.
pub(super) fn keep(
    cx: &mut Context,
    opened: &Opened,
    request: &Request,
    new: &New<'_>,
) -> Result<(), Failure> {
    let wish = Config::load(&cx.env)?.on_store.unwrap_or_default();
    if wish == OnStore::Ignore || new.expires.is_some_and(|expires| expires <= cx.env.now) {
        return Ok(());
    }
    cx.learn_providers()?;
    let with = Circumstances {
        now: cx.env.now,
        refused: &[],
    };
    let is_same = |header: &Header| {
        let user = request.username(header);
        request.is_near(header, with) && user.as_deref() == Some(new.username)
    };
    let mut catalogue = opened.store.catalogue_of(is_same)?;
    let known = |headers: &[Header]| {
        headers
            .iter()
            .find(|one| is_same(one))
            .map(|one| one.name.clone())
    };
    if known(&catalogue.known).is_some() {
        return Ok(());
    }
    let question = format!(
        "Keep the password of {} at {} in the vault?",
        new.username,
        new.place.authority()
    );
    if wish == OnStore::Ask && cx.confirm(&question)? != Some(true) {
        return Ok(());
    }
    let keys = cx.unlock(opened)?;
    opened.store.refresh(&keys, &mut catalogue)?;
    if known(&catalogue.known).is_some() {
        return Ok(());
    }
    let mut writer = cx.writer(&opened.store, &keys)?;
    let name = free_name(opened, new)?;
    let header = Header {
        kind: Some("password".to_owned()),
        username: Some(new.username.to_owned()),
        url: Some(address(new.place)),
        expires: new.expires,
        ..Header::new(&name, cx.env.now)
    };
    writer.put(&name, header, &Secret::copy_of(new.secret.as_line()))?;
    writer.commit(&format!("add {name}"))?;
    cx.ui.say(&format!("kept the password as \"{name}\""));
    Ok(())
}

/// The place as an address that is read as the same.
fn address(place: &Place) -> String {
    let mut text = format!("{}://{}", place.protocol, place.authority());
    for part in &place.path {
        text.push('/');
        for letter in part.chars() {
            match letter {
                '%' => text.push_str("%25"),
                '?' => text.push_str("%3f"),
                '#' => text.push_str("%23"),
                other => text.push(other),
            }
        }
    }
    text
}

/// A name that no entry has: host, path and user, with a number where that is taken.
fn free_name(opened: &Opened, new: &New<'_>) -> Result<Name, Failure> {
    let parts = std::iter::once(new.place.authority())
        .chain(new.place.path.iter().cloned())
        .chain([new.username.to_owned()]);
    let parts: Vec<String> = parts.map(|part| component(&part)).collect();
    let base = format!("{FOLDER}/{}", parts.join("/"));
    for count in 1..NAMES_MAX {
        let text = if count == 1 {
            base.clone()
        } else {
            format!("{base}-{count}")
        };
        let name = Name::parse(&text)?;
        if !opened.store.has(&name)? {
            return Ok(name);
        }
    }
    Err(Failure::failed(format!(
        "\"{base}\" is there already, and was not overwritten"
    )))
}

/// A text as a part of a name.
fn component(text: &str) -> String {
    let plain = |c: char| {
        if c.is_alphanumeric() || "._-@+".contains(c) {
            c
        } else {
            '-'
        }
    };
    let text: String = text.chars().map(plain).take(60).collect();
    let text = text.trim_matches(['.', '-']).to_owned();
    if text.is_empty() {
        "x".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_name_is_always_one() {
        for (text, part) in [
            ("localhost:8443", "localhost-8443"),
            ("..", "x"),
            ("-rf", "rf"),
            ("a/b", "a-b"),
            ("octo@cat", "octo@cat"),
            ("", "x"),
        ] {
            assert_eq!(component(text), part);
            Name::parse(&format!("git/{part}")).unwrap();
        }
    }

    #[test]
    fn an_address_is_read_as_the_same_place() {
        let place = Place::of_parts("https", "h:8443", Some("a%20b/c?d#e")).unwrap();
        assert_eq!(Place::parse(&address(&place)).unwrap().0, place);
    }
}
