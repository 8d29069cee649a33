//! `vault status`: which store this is, and how it stands. Works while it is locked, and asks for nothing.

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::context::Site;
use crate::cli::failure::Failure;
use crate::cli::failure::LOCKED;
use crate::cli::ui::Style;
use crate::cli::unlock;
use crate::cli::view;
use crate::crypto::IdentityKind;
use crate::format::expiry;
use crate::format::members::Role;
use crate::git::Id;
use crate::session::Source;
use crate::session::lasting;
use crate::session::lasting::Left;
use crate::session::protocol;
use crate::sync::Remote;

/// From how many days before its end on an entry counts as expiring.
const SOON_DAYS: i64 = 30;
/// How many hex digits of a commit are shown.
const SHORT_ID: usize = 10;

/// Arguments of `status`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The store stays locked. What is said of expiry comes from what this device has read of the entries; it is a hint and not verified.

Compare the fingerprint with the one on another device: equal words mean the same store and keys. The date of the newest sealed
commit tells how fresh the store is. How a remote stands is told as it was at the last sync: nothing is fetched.

Examples:
  vault status
  vault status --json
  vault status --unlocked || vault unlock")]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print nothing; exit with 0 if nobody needs to be asked before an entry is opened, with 4 if somebody does
    #[arg(long, conflicts_with = "json")]
    unlocked: bool,
}

/// All that is told.
struct Status {
    path: String,
    name: Option<String>,
    id: String,
    epoch: u32,
    fingerprint: String,
    member: Option<String>,
    role: Option<Role>,
    identity: String,
    identity_kind: Option<&'static str>,
    identity_words: String,
    git: Option<Head>,
    is_unlocked: bool,
    left: Option<Left>,
    agent: Option<protocol::Status>,
    remotes: Vec<Mirror>,
    entries: usize,
    unread: usize,
    expired: usize,
    expiring: usize,
    is_settled: bool,
}

/// How the repository stands.
struct Head {
    branch: String,
    commit: Option<String>,
    sealed: Option<String>,
    sealed_at: Option<Timestamp>,
}

/// How a remote stood when it was last talked to.
struct Mirror {
    name: String,
    url: String,
    seen: Option<(String, Timestamp)>,
    ahead: usize,
    behind: usize,
}

impl Mirror {
    fn words(&self, now: Timestamp) -> String {
        let Some((_, at)) = &self.seen else {
            return format!("{} {}: never synced", self.name, self.url);
        };
        let standing = match (self.ahead, self.behind) {
            (0, 0) => "both are the same".to_owned(),
            (ahead, 0) => format!("{ahead} to send"),
            (0, behind) => format!("{behind} to take in"),
            (ahead, behind) => format!("{ahead} to send and {behind} to take in"),
        };
        let when = expiry::distance(*at, now);
        format!("{} {}: {standing}, as of {when}", self.name, self.url)
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "url": self.url,
            "seen": self.seen.as_ref().map(|(id, _)| id),
            "seen_at": self.seen.as_ref().map(|(_, at)| at.to_string()),
            "ahead": self.ahead,
            "behind": self.behind,
        })
    }
}

impl Head {
    /// Whether the head itself is sealed.
    fn is_sealed(&self) -> bool {
        self.commit.is_some() && self.commit == self.sealed
    }
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let site = cx.site(None)?;
        let opened = cx.open(None)?;
        if self.unlocked {
            let agent = lasting::status(&cx.env);
            let is_unlocked = is_silent(&opened) || left(&opened, agent.as_ref()).is_some();
            return Ok(if is_unlocked { 0 } else { LOCKED });
        }
        let status = Status::of(cx, site, &opened)?;
        if self.json {
            let value = status.json();
            view::print_json(&mut cx.ui, &value);
        } else {
            for (key, text, style) in status.rows(cx.env.now) {
                let key = cx.ui.paint(&format!("{key:<12}"), Style::Dim).into_owned();
                let text = cx.ui.paint(&text, style).into_owned();
                cx.ui.line(&format!("{key} {text}"));
            }
        }
        Ok(0)
    }
}

impl Status {
    fn of(cx: &Context, site: Site, opened: &Opened) -> Result<Self, Failure> {
        let Opened { store, source } = opened;
        let catalogue = store.catalogue()?;
        let hours = |end: Timestamp| end.duration_since(cx.env.now).as_hours();
        let ends = || catalogue.known.iter().filter_map(|header| header.expires);
        let expired = ends().filter(|end| *end <= cx.env.now).count();
        let expiring = ends().filter(|end| *end > cx.env.now && hours(*end) < SOON_DAYS * 24);
        let kind = source.kind();
        let agent = lasting::status(&cx.env);
        let left = left(opened, agent.as_ref());
        Ok(Self {
            is_unlocked: left.is_some() || is_silent(opened),
            left,
            agent,
            path: store.path().display().to_string(),
            name: site.name,
            id: store.epoch.store.clone(),
            epoch: store.epoch.number,
            fingerprint: store.epoch.fingerprint(),
            member: store.state.member(),
            role: store.state.role(),
            identity: source.label(),
            identity_kind: kind.map(IdentityKind::word),
            identity_words: match (source, kind) {
                (_, Some(kind)) => kind.to_string(),
                (Source::File(_), None) => "there is none to read".to_owned(),
                (Source::Variable(_) | Source::Given(_), None) => "unknown".to_owned(),
            },
            git: head(opened)?,
            remotes: remotes(opened)?,
            entries: catalogue.known.len() + catalogue.unread.len(),
            unread: catalogue.unread.len(),
            expired,
            expiring: expiring.count(),
            is_settled: !store.is_unsettled()?,
        })
    }

    fn rows(&self, now: Timestamp) -> Vec<(&'static str, String, Style)> {
        let name = self.name.as_ref().map(|name| format!(" (\"{name}\")"));
        let unknown = || "not known before the first unlocking".to_owned();
        let mut rows = vec![
            (
                "store",
                format!("{}{}", self.path, name.unwrap_or_default()),
                Style::Bold,
            ),
            ("id", self.id.clone(), Style::Plain),
            ("epoch", self.epoch.to_string(), Style::Plain),
            ("fingerprint", self.fingerprint.clone(), Style::Plain),
            (
                "member",
                self.member_words().unwrap_or_else(unknown),
                Style::Plain,
            ),
            (
                "identity",
                format!("{}: {}", self.identity, self.identity_words),
                Style::Plain,
            ),
        ];
        rows.push(self.unlocked_row());
        rows.extend(self.git_rows(now));
        let unread = match self.unread {
            0 => String::new(),
            count => format!(", {count} not read by this device yet"),
        };
        rows.push(("entries", format!("{}{unread}", self.entries), Style::Plain));
        rows.push((
            "expired",
            self.expired.to_string(),
            warning(self.expired > 0, Style::Red),
        ));
        let soon = format!("{} within {SOON_DAYS} days", self.expiring);
        rows.push(("expiring", soon, warning(self.expiring > 0, Style::Yellow)));
        let settled = if self.is_settled {
            "settled"
        } else {
            "not settled: a change was interrupted, or the branch was moved by hand (see: vault doctor)"
        };
        rows.push((
            "work tree",
            settled.to_owned(),
            warning(!self.is_settled, Style::Yellow),
        ));
        rows
    }

    /// The member, and what it may do.
    fn member_words(&self) -> Option<String> {
        let member = self.member.as_ref()?;
        Some(match self.role {
            Some(Role::Writer) => format!("{member}, who may write"),
            Some(Role::Reader) => format!("{member}, who reads only"),
            None => member.clone(),
        })
    }

    fn unlocked_row(&self) -> (&'static str, String, Style) {
        let text = match (self.left, &self.agent) {
            (Some(left), Some(agent)) => {
                let words = unlock::left_words(left);
                format!("{words}, by the agent (process {})", agent.pid)
            }
            _ if self.is_unlocked => "always: the identity asks nobody".to_owned(),
            _ => "no".to_owned(),
        };
        ("unlocked", text, Style::Plain)
    }

    fn git_rows(&self, now: Timestamp) -> Vec<(&'static str, String, Style)> {
        let Some(head) = &self.git else {
            return vec![(
                "git",
                "none, so there is no history".to_owned(),
                Style::Plain,
            )];
        };
        let commit = head.commit.as_deref().map_or("no commit", short);
        let seal = if head.is_sealed() {
            ""
        } else {
            ", without the store's seal"
        };
        let style = warning(!head.is_sealed(), Style::Red);
        let sealed = match (&head.sealed, head.sealed_at) {
            (Some(id), Some(at)) => {
                let shown = expiry::show(at);
                format!("{} of {shown} ({})", short(id), expiry::distance(at, now))
            }
            _ => "none".to_owned(),
        };
        let mut rows = vec![
            ("git", format!("{} at {commit}{seal}", head.branch), style),
            ("newest seal", sealed, Style::Plain),
        ];
        let words = |mirror: &Mirror| ("remote", mirror.words(now), Style::Plain);
        rows.extend(self.remotes.iter().map(words));
        rows
    }

    fn json(&self) -> Value {
        let git = self.git.as_ref().map(|head| {
            json!({
                "branch": head.branch,
                "head": head.commit,
                "head_sealed": head.is_sealed(),
                "newest_sealed": head.sealed,
                "newest_sealed_at": head.sealed_at.map(|at| at.to_string()),
            })
        });
        let agent = self.agent.as_ref().map(|agent| {
            let store = |one: &protocol::StoreStatus| {
                json!({
                    "path": one.path,
                    "store": one.store.split(' ').next(),
                    "member": one.member,
                    "idle_seconds_left": one.idle,
                    "seconds_left": one.most,
                    "memory_locked": one.is_locked,
                })
            };
            let stores: Vec<Value> = agent.stores.iter().map(store).collect();
            json!({ "pid": agent.pid, "stores": stores })
        });
        json!({
            "agent": agent,
            "unlocked": self.is_unlocked,
            "path": self.path,
            "name": self.name,
            "store": self.id,
            "epoch": self.epoch,
            "fingerprint": self.fingerprint,
            "member": self.member,
            "role": self.role.map(Role::word),
            "identity": { "source": self.identity, "kind": self.identity_kind },
            "git": git,
            "remotes": self.remotes.iter().map(Mirror::json).collect::<Vec<_>>(),
            "entries": self.entries,
            "unread": self.unread,
            "expired": self.expired,
            "expiring": self.expiring,
            "settled": self.is_settled,
        })
    }
}

/// Whether the identity can be used without anybody being asked.
fn is_silent(opened: &Opened) -> bool {
    opened.source.kind().is_some_and(IdentityKind::is_silent)
}

/// How long an agent still holds the store's keys.
fn left(opened: &Opened, agent: Option<&protocol::Status>) -> Option<Left> {
    lasting::left_of(agent?, &opened.store)
}

fn head(opened: &Opened) -> Result<Option<Head>, Failure> {
    let Some(repo) = &opened.store.repo else {
        return Ok(None);
    };
    let head = repo.head().map_err(crate::store::Error::from)?;
    let sealed = opened.store.newest_sealed()?;
    let branch = head.branch.strip_prefix("refs/heads/");
    Ok(Some(Head {
        branch: branch.unwrap_or(&head.branch).to_owned(),
        commit: head.commit.map(|id| id.to_string()),
        sealed: sealed.map(|(id, _)| id.to_string()),
        sealed_at: sealed.and_then(|(_, seconds)| Timestamp::from_second(seconds).ok()),
    }))
}

/// Each remote, as it was last seen: nothing is fetched.
fn remotes(opened: &Opened) -> Result<Vec<Mirror>, Failure> {
    let store = &opened.store;
    let Some(repo) = &store.repo else {
        return Ok(Vec::new());
    };
    let here = repo.head().map_err(crate::store::Error::from)?.commit;
    let mut mirrors = Vec::new();
    for remote in Remote::all(store)? {
        let seen = store.state.remote(&remote.name)?;
        let there = seen.map(|(id, _)| id);
        // What cannot be counted was never synced whole.
        let count = |from: Option<Id>, until: Option<Id>| {
            let walked = from.map(|from| repo.walk(from, until));
            walked.and_then(Result::ok).map_or(0, |ids| ids.len())
        };
        mirrors.push(Mirror {
            ahead: count(here, there),
            behind: count(there, here),
            seen: seen.and_then(|(id, seconds)| {
                Some((id.to_string(), Timestamp::from_second(seconds).ok()?))
            }),
            name: remote.name,
            url: remote.url,
        });
    }
    Ok(mirrors)
}

fn short(id: &str) -> &str {
    id.get(..SHORT_ID).unwrap_or(id)
}

/// A style where there is something to look at.
const fn warning(is_warning: bool, style: Style) -> Style {
    if is_warning { style } else { Style::Plain }
}
