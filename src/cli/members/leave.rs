//! `vault members remove` and `rotate-key`: a new epoch, and which entries are to be replaced because of who left.

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use crate::cli::Outcome;
use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::failure::Failure;
use crate::cli::members::entries;
use crate::cli::members::members;
use crate::cli::sync::with_tools;
use crate::cli::ui::Style;
use crate::cli::view;
use crate::format::Header;
use crate::format::expiry;
use crate::format::keys::KeyFile;
use crate::store::people::Unfit;
use crate::store::turn::Renewal;
use crate::store::turn::Renewed;
use crate::sync;
use crate::sync::Remote;

/// Arguments of `members remove`.
#[derive(clap::Args, Debug)]
pub(super) struct Remove {
    /// The member
    #[arg(add = complete::members())]
    name: String,
    /// Remove this device's own member without asking
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    how: How,
}

/// What `remove` and `rotate-key` share.
#[derive(clap::Args, Debug)]
pub(super) struct How {
    /// Do not sync before and after
    #[arg(long)]
    offline: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Remove {
    pub(super) fn run(self, cx: &mut Context) -> Outcome {
        let opened = cx.open(None)?;
        let keys = cx.open_keys(&opened)?;
        let list = members(&opened, &keys)?;
        if !list.iter().any(|member| member.name == self.name) {
            let names = list.into_iter().map(|member| member.name).collect();
            return Err(Unfit::Unknown(self.name, names).into());
        }
        if self.name == keys.member && !self.force {
            may_leave(cx, &self.name)?;
        }
        let (renewed, is_pushed) = renew(cx, &opened, &keys, (Some(&self.name), &self.how))?;
        let exposed = exposed(&renewed.headers, cx.env.now);
        if self.how.json {
            let value = json(&renewed, Some((&self.name, &exposed)));
            view::print_json(&mut cx.ui, &value);
            return Ok(0);
        }
        cx.ui.say(&format!("removed the member \"{}\"", self.name));
        tell(cx, &renewed, is_pushed);
        print_exposed(cx, &self.name, &exposed);
        Ok(0)
    }
}

/// Makes new keys.
pub(super) fn rotate(cx: &mut Context, how: &How) -> Outcome {
    let opened = cx.open(None)?;
    let keys = cx.open_keys(&opened)?;
    let (renewed, is_pushed) = renew(cx, &opened, &keys, (None, how))?;
    if how.json {
        view::print_json(&mut cx.ui, &json(&renewed, None));
    } else {
        tell(cx, &renewed, is_pushed);
        cx.ui.say("whoever knew the keys before keeps what could be read with them: replace those secrets");
    }
    Ok(0)
}

/// Whoever removes its own member cannot open the store afterwards.
fn may_leave(cx: &Context, name: &str) -> Result<(), Failure> {
    let question = format!(
        "\"{name}\" is this device's own member, which could not open the store any more. Remove it?"
    );
    match cx.confirm(&question)? {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::failed("nothing is changed")),
        None => Err(Failure::failed(format!(
            "\"{name}\" is this device's own member, which could not open the store any more"
        ))
        .hint("remove it all the same with -f")),
    }
}

/// Makes the new epoch; whether a remote has it already, where there is one. What others have pushed comes first: what they
/// push with the old keys afterwards, nobody takes any more.
fn renew(
    cx: &Context,
    opened: &Opened,
    keys: &KeyFile,
    (remove, how): (Option<&str>, &How),
) -> Result<(Renewed, Option<bool>), Failure> {
    let store = &opened.store;
    let has_remote = match &store.repo {
        Some(_) => !Remote::all(store)?.is_empty(),
        None => false,
    };
    if has_remote && !how.offline {
        exchange(cx, opened).map_err(|failure| {
            failure.hint("nothing is changed; without the remote, with the risk that others push in between: --offline")
        })?;
    }
    let progress = |done: usize, all: usize| cx.ui.progress_of("encrypted anew", done, all);
    let plan = Renewal {
        remove,
        now: cx.env.now,
        progress: &progress,
    };
    let on_wait = || cx.ui.say("waiting for another vault to finish writing");
    let renewed = store.renew(keys, &plan, || cx.author(store), on_wait);
    cx.ui.progress("");
    let renewed = renewed?;
    let pushed = || match cx.open(None).and_then(|opened| exchange(cx, &opened)) {
        Ok(()) => true,
        Err(failure) => {
            cx.ui.warn(&failure.message);
            false
        }
    };
    let is_pushed = has_remote.then(|| !how.offline && pushed());
    Ok((renewed, is_pushed))
}

/// Brings the store and its remote together.
fn exchange(cx: &Context, opened: &Opened) -> Result<(), Failure> {
    let remote = Remote::choose(&opened.store, None)?;
    with_tools(cx, opened, |tools| {
        sync::run(&opened.store, &remote, tools, (false, None))?
            .whole()
            .map(drop)
    })
}

/// What there is now, and what the other devices have to do.
fn tell(cx: &Context, renewed: &Renewed, is_pushed: Option<bool>) {
    let epoch = &renewed.keys.epoch;
    let words = epoch.fingerprint();
    let count = entries(renewed.headers.len());
    cx.ui.say(&format!(
        "epoch {} has begun, with new keys: {count} encrypted anew",
        epoch.number
    ));
    cx.ui.say(&format!("fingerprint: {words}"));
    if is_pushed == Some(false) {
        cx.ui.say("it is not pushed yet, push it with: vault sync");
    }
    cx.ui.say(&format!(
        "on every other device, with these words: vault trust {words}"
    ));
}

/// The entries that are still valid, those that end soonest first; what never ends comes last.
fn exposed(headers: &[Header], now: Timestamp) -> Vec<&Header> {
    let mut valid: Vec<&Header> = headers.iter().filter(|one| !one.is_expired(now)).collect();
    valid.sort_by(|a, b| {
        let end = |header: &Header| (header.expires.is_none(), header.expires);
        (end(a), &a.name).cmp(&(end(b), &b.name))
    });
    valid
}

fn print_exposed(cx: &mut Context, member: &str, exposed: &[&Header]) {
    if exposed.is_empty() {
        cx.ui.say(&format!(
            "\"{member}\" could read nothing that is still valid"
        ));
        return;
    }
    let count = entries(exposed.len());
    cx.ui.say(&format!(
        "\"{member}\" could read {count} still valid: replace them, these first"
    ));
    let width = exposed.iter().map(|one| one.name.chars().count()).max();
    for header in exposed {
        let name = format!("{:<width$}", header.name, width = width.unwrap_or(0));
        let name = cx.ui.paint(&name, Style::Bold).into_owned();
        let mut words = vec![match header.expires {
            Some(end) => format!("expires {}", expiry::distance(end, cx.env.now)),
            None => "never expires".to_owned(),
        }];
        words.push(header.kind().to_owned());
        words.extend(header.provider.clone());
        let rest = cx.ui.paint(&words.join("  "), Style::Plain).into_owned();
        cx.ui.line(&format!("{name}  {rest}"));
    }
}

fn json(renewed: &Renewed, left: Option<(&str, &[&Header])>) -> Value {
    let one = |header: &&Header| {
        json!({
            "name": header.name,
            "kind": header.kind(),
            "provider": header.provider,
            "url": header.url,
            "scopes": header.scopes,
            "expires": header.expires.map(|end| end.to_string()),
        })
    };
    let epoch = &renewed.keys.epoch;
    json!({
        "epoch": epoch.number,
        "fingerprint": epoch.fingerprint(),
        "entries": renewed.headers.len(),
        "removed": left.map(|(name, _)| name),
        "exposed": left.map(|(_, exposed)| exposed.iter().map(one).collect::<Vec<_>>()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_soonest_comes_first_and_what_is_over_not_at_all() {
        let now: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
        let header = |name: &str, expires: Option<&str>| Header {
            name: name.to_owned(),
            expires: expires.map(|text| text.parse().unwrap()),
            ..Header::default()
        };
        let headers = [
            header("never", None),
            header("late", Some("2028-01-01T00:00:00Z")),
            header("over", Some("2027-01-01T00:00:00Z")),
            header("also-never", None),
            header("soon", Some("2027-01-02T00:00:00Z")),
        ];
        let names: Vec<_> = exposed(&headers, now)
            .into_iter()
            .map(|one| one.name.as_str())
            .collect();
        assert_eq!(names, ["soon", "late", "also-never", "never"]);
    }
}
