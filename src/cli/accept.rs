//! `vault accept`: what commits made by hand change, and adopting it.

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::failure::Failure;
use crate::cli::sync::line;
use crate::cli::sync::with_tools;
use crate::cli::ui::Style;
use crate::format::expiry;
use crate::git::Repo;
use crate::store;
use crate::sync;
use crate::sync::Fate;
use crate::sync::Item;
use crate::sync::Proposal;
use crate::sync::Remote;

/// How many digits of a commit's id are shown, and the fewest that name it.
const SHORT: usize = 10;

/// Arguments of `accept`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
A commit that vault has not made has no seal, and is not followed. This shows what such commits change, entry by entry: those on this
store's own branch, else those at the remote. With the commit's id it adopts what they change, in a sealed commit that takes
their place; the one made by hand stays in git's reflog here. Entries that do not verify, and files that are no part of a store, are left out and
named. Nothing is adopted but the commit that is named.

Examples:
  vault accept
  vault accept 0123456789")]
pub(crate) struct Args {
    /// Adopt what leads to this commit: its id as shown
    commit: Option<String>,
    /// Look at this remote [default: the one that the branch follows, or origin]
    #[arg(long, value_name = "NAME")]
    remote: Option<String>,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let opened = cx.open_as_is(None)?;
        let keys = cx.unlock(&opened)?;
        let store = &opened.store;
        if let Some(proposal) = sync::look_here(store, &keys)? {
            let adopts = self.adopts(&proposal)?;
            let own = store.repo.as_ref().ok_or(store::Error::NoRepository)?;
            show(cx, own, &proposal)?;
            if !adopts {
                return Ok(advise(cx, &proposal));
            }
            with_tools(cx, &opened, |tools| {
                sync::adopt(store, &keys, proposal, None, tools)
            })?;
            cx.ui
                .say("adopted, in a sealed commit; send it with: vault sync");
            return Ok(0);
        }
        self.at_remote(cx, &opened, &keys)
    }
}

impl Args {
    /// Whether this is the commit that the person has named.
    fn adopts(&self, proposal: &Proposal) -> Result<bool, Failure> {
        let Some(named) = &self.commit else {
            return Ok(false);
        };
        let head = proposal.head.to_string();
        if named.len() >= SHORT && head.starts_with(named.as_str()) {
            return Ok(true);
        }
        let text = format!("the newest commit made by hand is {head}, not the one that is named");
        Err(Failure::failed(text).hint("look at it first with: vault accept"))
    }

    fn at_remote(
        &self,
        cx: &mut Context,
        opened: &Opened,
        keys: &dyn crate::store::keeper::Keeper,
    ) -> Outcome {
        let store = &opened.store;
        let remote = match Remote::choose(store, self.remote.as_deref()) {
            Err(sync::Error::NoRemote) => return Ok(nothing(cx)),
            other => other?,
        };
        let found = with_tools(cx, opened, |tools| {
            let on_wait = || (tools.on_wait)();
            let mut fetched = sync::fetch(store, tools.git, &remote, tools.heard, on_wait)?;
            let found = sync::look_there(store, keys, &mut fetched)?;
            Ok(found.map(|proposal| (proposal, fetched)))
        })?;
        let Some((proposal, mut fetched)) = found else {
            return Ok(nothing(cx));
        };
        let adopts = self.adopts(&proposal)?;
        show(cx, &fetched.repo, &proposal)?;
        if !adopts {
            return Ok(advise(cx, &proposal));
        }
        with_tools(cx, opened, |tools| {
            sync::adopt(store, keys, proposal, Some(&mut fetched), tools)
        })?;
        cx.ui.say(&format!(
            "adopted, in a sealed commit; {} has it in place of the one made by hand",
            remote.name
        ));
        Ok(0)
    }
}

fn nothing(cx: &Context) -> u8 {
    cx.ui.say("nothing to accept: every commit is sealed");
    0
}

fn advise(cx: &Context, proposal: &Proposal) -> u8 {
    let short: String = proposal.head.to_string().chars().take(SHORT).collect();
    cx.ui.say(&format!(
        "nothing is adopted yet; if you made this: vault accept {short}"
    ));
    0
}

/// The commits, and what they change.
fn show(cx: &mut Context, repo: &Repo, proposal: &Proposal) -> Result<(), Failure> {
    for id in &proposal.commits {
        let commit = repo.commit(*id).map_err(store::Error::from)?;
        let time = jiff::Timestamp::from_second(commit.seconds).unwrap_or_default();
        let short: String = id.to_string().chars().take(SHORT).collect();
        let subject = commit.message.lines().next().unwrap_or_default();
        let text = format!(
            "{}  {short}  {}  {subject}",
            expiry::show(time),
            commit.author
        );
        let text = cx.ui.paint(&text, Style::Plain).into_owned();
        cx.ui.line(&text);
    }
    for item in &proposal.items {
        line(cx, mark(item), &item.changed);
        let why = match &item.fate {
            Fate::AsIs => continue,
            Fate::Anew(why) => format!("    made anew: {why}"),
            Fate::Merged => "    this store has changed it, too: both are merged".to_owned(),
            Fate::Moved(to) => {
                let to = to.strip_suffix(".age").unwrap_or(to);
                format!("    this store has changed it, too: that goes on as {to}")
            }
            Fate::LeftOut(why) => format!("    left out: {why}"),
        };
        let why = cx.ui.paint(&why, Style::Yellow).into_owned();
        cx.ui.line(&why);
    }
    Ok(())
}

const fn mark(item: &Item) -> &'static str {
    match item.fate {
        Fate::LeftOut(_) => "!",
        _ => "<",
    }
}
