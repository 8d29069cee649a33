//! `vault dotfiles status`: which dotfiles differ. Nobody is asked for anything.

use serde_json::Value;
use serde_json::json;

use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::dotfiles::here;
use crate::cli::dotfiles::here::Which;
use crate::cli::view;
use crate::dotfiles::Dotfiles;
use crate::dotfiles::Item;
use crate::dotfiles::Standing;

/// Arguments of `dotfiles status`.
#[derive(clap::Args, Debug, Default)]
#[command(after_help = "\
What differs, a line each: add, update and mode are what apply would do; changed here is what re-add would take; both changed waits for
apply with --ours, --theirs or --merge. Nothing is unlocked for what is unchanged, and nobody is asked: what cannot be told without the keys is
said to be locked.

Exit code: 0, or with --exit-code 1 if anything differs.")]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// End with 1 if anything differs
    #[arg(long)]
    exit_code: bool,
    /// Show what is the same, too
    #[arg(short, long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self, cx: &mut Context) -> Outcome {
        let opened = cx.open(None)?;
        if !self.json && !here::is_any(cx, &opened) {
            return Ok(0);
        }
        let mut dots = here::open(cx, &opened, &self.which.at)?;
        let mut items = here::survey(cx, &opened, &mut dots)?;
        self.which.filter(cx, &dots, &mut items)?;
        let differs = items.iter().any(|item| !item.standing.is_settled());
        if self.json {
            let list = items.iter().map(|item| json_of(&dots, item)).collect();
            view::print_json(&mut cx.ui, &Value::Array(list));
        } else {
            for item in items
                .iter()
                .filter(|item| self.all || !item.standing.is_settled())
            {
                here::line(cx, &dots, item);
            }
            let same = items
                .iter()
                .filter(|item| matches!(item.standing, Standing::Clean));
            if !differs {
                let count = same.count();
                cx.ui.say(&format!("all as it should be: {count} in place"));
            }
        }
        Ok(u8::from(self.exit_code && differs))
    }
}

/// An item as JSON.
pub(super) fn json_of(dots: &Dotfiles<'_>, item: &Item) -> Value {
    let facts = item.facts.as_ref();
    let problem = match &item.standing {
        Standing::Refused(problem) => Some(problem.to_string()),
        _ => None,
    };
    json!({
        "name": item.name.as_str(),
        "target": facts.map(|facts| facts.target.as_str()),
        "path": facts.map(|facts| dots.root.path().join(&facts.target).to_string_lossy().into_owned()),
        "mode": facts.and_then(|facts| facts.mode.as_deref()),
        "link": facts.is_some_and(|facts| facts.link),
        "template": facts.is_some_and(|facts| facts.template),
        "hosts": facts.map(|facts| facts.hosts.clone()).unwrap_or_default(),
        "systems": facts.map(|facts| facts.systems.clone()).unwrap_or_default(),
        "tags": facts.map(|facts| facts.tags.clone()).unwrap_or_default(),
        "status": item.standing.word(),
        "problem": problem,
    })
}
