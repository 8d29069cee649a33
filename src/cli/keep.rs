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

/// How many names are tried.
const NAMES_MAX: usize = 100;

/// What is to be kept.
pub(super) struct New<'n> {
    /// The folder for such entries: the program's name.
    pub folder: &'static str,
    /// What kind of entry it becomes.
    pub kind: &'static str,
    /// By whom it is used, where somebody is named.
    pub username: Option<&'n str>,
    /// The password.
    pub secret: &'n Secret,
    /// Until when.
    pub expires: Option<Timestamp>,
}

/// What has become of it.
pub(super) enum Kept {
    /// It is an entry now.
    New,
    /// An entry answers for this place and user already.
    Known(String),
    /// Nobody wants it.
    Unwanted,
}

/// Keeps it, if that is wanted and nothing is there that answers for this user.
pub(super) fn keep(
    cx: &mut Context,
    opened: &Opened,
    request: &Request,
    new: &New<'_>,
) -> Result<Kept, Failure> {
    let wish = Config::load(&cx.env)?.on_store.unwrap_or_default();
    if new.expires.is_some_and(|expires| expires <= cx.env.now) {
        return Ok(Kept::Unwanted);
    }
    cx.learn_providers()?;
    let with = Circumstances {
        now: cx.env.now,
        refused: &[],
    };
    let is_same = |header: &Header| {
        let user = request.username(header);
        request.is_near(header, with) && (new.username.is_none() || user.as_deref() == new.username)
    };
    let mut catalogue = opened.store.catalogue_of(is_same)?;
    let known = |headers: &[Header]| {
        headers
            .iter()
            .find(|one| is_same(one))
            .map(|one| one.name.clone())
    };
    if let Some(name) = known(&catalogue.known) {
        return Ok(Kept::Known(name));
    }
    let host = request.place.authority();
    let who = new.username.map(|user| format!(" of {user}"));
    let question = format!(
        "Keep the password{} at {host} in the vault?",
        who.unwrap_or_default()
    );
    let is_wanted = match wish {
        OnStore::Ignore => false,
        OnStore::Ask => cx.confirm(&question)? == Some(true),
        OnStore::Add => true,
    };
    if !is_wanted {
        return Ok(Kept::Unwanted);
    }
    let keys = cx.unlock(opened)?;
    opened.store.refresh(&keys, &mut catalogue)?;
    if let Some(name) = known(&catalogue.known) {
        return Ok(Kept::Known(name));
    }
    let mut writer = cx.writer(&opened.store, &keys)?;
    let name = free_name(opened, &request.place, new)?;
    let header = Header {
        kind: Some(new.kind.to_owned()),
        username: new.username.map(str::to_owned),
        url: Some(address(&request.place)),
        expires: new.expires,
        ..Header::new(&name, cx.env.now)
    };
    writer.put(&name, header, &Secret::copy_of(new.secret.as_line()))?;
    writer.commit(&format!("add {name}"))?;
    cx.ui.say(&format!("kept the {} as \"{name}\"", new.kind));
    Ok(Kept::New)
}

/// Whether anything may be kept.
pub(super) fn is_wanted(cx: &Context) -> Result<bool, Failure> {
    Ok(Config::load(&cx.env)?.on_store.unwrap_or_default() != OnStore::Ignore)
}

/// What is there already is as good, if it is the same secret.
pub(super) fn check_same(
    cx: &Context,
    opened: &Opened,
    name: &str,
    secret: &Secret,
) -> Result<(), Failure> {
    let keys = cx.unlock(opened)?;
    let entry = opened.store.entry(&keys, &Name::parse(name)?)?;
    if entry.secret.as_line() == secret.as_line() {
        return Ok(());
    }
    let failure = Failure::failed(format!(
        "\"{name}\" holds another secret, and is not overwritten"
    ));
    Err(failure.hint(format!("replace it with: vault add -f {name}")))
}

/// The failure where a program was told to keep a secret, and nobody wants that.
pub(super) fn unwanted() -> Failure {
    Failure::failed("vault does not keep it")
        .hint("have it kept with: vault config set on-store add")
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
fn free_name(opened: &Opened, place: &Place, new: &New<'_>) -> Result<Name, Failure> {
    let parts = std::iter::once(place.authority())
        .chain(place.path.iter().cloned())
        .chain(new.username.map(str::to_owned));
    let parts: Vec<String> = parts.map(|part| component(&part)).collect();
    let base = format!("{}/{}", new.folder, parts.join("/"));
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
