//! `vault members`: who can open the store, and what it takes to let somebody in or out.

mod add;
mod leave;
mod paper;
mod test;

use serde_json::json;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::failure::Failure;
use crate::cli::ui::Style;
use crate::cli::view;
use crate::crypto::recipient::Recipient;
use crate::format::expiry;
use crate::format::members::Member;
use crate::format::members::Role;
use crate::store::keeper::Keeper;

/// How much of a recipient is shown.
const SHOWN_CHARS: usize = 40;

/// Arguments of `members`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Each member has a key of its own, and a key file in the store that opens with it. Adding one writes that file and the signed
list, whatever the size of the store. Removing one makes new keys: every entry is encrypted and signed anew, in one commit, and
the other devices take the new keys with `vault trust WORDS`. A member who is gone keeps what it could read: what is still
valid is listed, to be replaced.

Examples:
  vault members list
  vault members add phone age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa
  vault members add --read-only ci --from-keys ci.pub
  vault members add --paper
  vault members test
  vault members remove phone")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// List the members: name, role, key
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let a member in, by its public key
    Add(add::Add),
    /// Take a member out: new keys, every entry encrypted anew
    Remove(leave::Remove),
    /// Make new keys without taking anyone out: when a key may be known to others
    RotateKey(leave::How),
    /// Prove that a key opens the store: of a file, from stdin, or typed
    Test(test::Test),
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        match self.action {
            Action::List { json } => list(cx, json),
            Action::Add(add) => add.run(cx),
            Action::Remove(remove) => remove.run(cx),
            Action::RotateKey(how) => leave::rotate(cx, &how),
            Action::Test(test) => test.run(cx),
        }
    }
}

fn list(cx: &mut Context, json: bool) -> Outcome {
    let opened = cx.open(None)?;
    let keeper = cx.unlock(&opened)?;
    let members = opened.store.members(keeper.as_ref())?.list;
    let files = opened.store.key_files()?;
    let own = opened.store.state.member();
    let is_own = |member: &Member| own.as_deref() == Some(&member.name);
    let has_file = |member: &Member| files.contains(&member.name);
    if json {
        let one = |member: &Member| {
            json!({
                "name": member.name,
                "role": member.role.word(),
                "recipient": member.recipient.to_string(),
                "added": member.added.map(|added| added.to_string()),
                "this_device": is_own(member),
                "key_file": has_file(member),
            })
        };
        view::print_json(&mut cx.ui, &members.iter().map(one).collect());
        return Ok(0);
    }
    let width = members.iter().map(|member| member.name.len()).max();
    for member in &members {
        let name = format!("{:<width$}", member.name, width = width.unwrap_or(0));
        let name = cx.ui.paint(&name, Style::Bold).into_owned();
        let mut words = vec![role(member.role).to_owned(), shown(&member.recipient)];
        words.extend(
            member
                .added
                .map(|added| format!("added {}", expiry::show(added))),
        );
        words.extend(is_own(member).then(|| "this device".to_owned()));
        let rest = cx.ui.paint(&words.join("  "), Style::Plain).into_owned();
        cx.ui.line(&format!("{name}  {rest}"));
        if !has_file(member) {
            cx.ui.warn(&format!(
                "\"{}\" has no key file and cannot open the store",
                member.name
            ));
        }
    }
    Ok(0)
}

/// What a member may do, in words of one length.
pub(super) const fn role(role: Role) -> &'static str {
    match role {
        Role::Writer => "writes",
        Role::Reader => "reads ",
    }
}

/// A recipient, as much of it as tells it from others.
fn shown(recipient: &Recipient) -> String {
    let text = recipient.to_string();
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or(&text)),
        None => text,
    }
}

/// How many entries there are, in words.
fn entries(count: usize) -> String {
    match count {
        1 => "1 entry".to_owned(),
        count => format!("{count} entries"),
    }
}

/// The members, as the signed list has them.
fn members(opened: &Opened, keeper: &dyn Keeper) -> Result<Vec<Member>, Failure> {
    Ok(opened.store.members(keeper)?.list)
}
