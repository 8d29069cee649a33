//! `vault dotfiles diff`: what `apply --theirs` would change, line by line.

use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::dotfiles::here;
use crate::cli::dotfiles::here::Which;
use crate::cli::failure::Failure;
use crate::cli::ui::Style;
use crate::dotfiles::Dotfiles;
use crate::dotfiles::Item;
use crate::dotfiles::Standing;
use crate::dotfiles::mode_of;
use crate::dotfiles::target::Target;
use crate::secret::Secret;
use crate::sys::fs::Kind;

/// Arguments of `dotfiles diff`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Lines with - are what is there, lines with + what the store has. Secrets in them are shown as they are.

Examples:
  vault dotfiles diff
  vault dotfiles diff ~/.npmrc")]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
}

impl Args {
    pub(super) fn run(self, cx: &mut Context) -> Outcome {
        let opened = cx.open(None)?;
        if !here::is_any(cx, &opened) {
            return Ok(0);
        }
        let mut dots = here::open(cx, &opened, &self.which.at)?;
        let mut items = dots.survey(None, &[])?;
        if items.iter().all(|item| item.standing.is_settled()) {
            dots.remember()?;
            self.which.filter(cx, &dots, &mut items)?;
            return Ok(0);
        }
        let keys = cx.unlock(&opened)?;
        let mut filling = here::filling(cx, &opened, &keys, true);
        let mut items = here::survey_with(&mut dots, &mut filling)?;
        dots.remember()?;
        self.which.filter(cx, &dots, &mut items)?;
        dots.open_contents(&mut items, &mut filling, |item| {
            matches!(item.standing, Standing::ChangedHere)
        });
        for item in &items {
            match &item.standing {
                Standing::Refused(_) | Standing::Mode => here::line(cx, &dots, item),
                standing if standing.is_settled() => {}
                _ => one(cx, &dots, item)?,
            }
        }
        Ok(0)
    }
}

/// The difference of one item.
pub(super) fn one(cx: &mut Context, dots: &Dotfiles<'_>, item: &Item) -> Result<(), Failure> {
    let Some(content) = &item.content else {
        return Ok(());
    };
    let target = Target::parse(item.target()).map_err(Failure::failed)?;
    let there = dots.take(&target).map_err(Failure::from)?;
    let place = here::shown(cx, dots, item.target());
    let new_mode = item.facts.as_ref().and_then(|facts| mode_of(facts).ok());
    let old = there.as_ref().map(|taken| (taken.stat.kind, &taken.bytes));
    let old_mode = there.as_ref().map(|taken| taken.stat.mode & 0o777);
    if let (Some(old), Some(new), Kind::File) = (old_mode, new_mode, content.kind())
        && old != new
        && there
            .as_ref()
            .is_some_and(|taken| taken.stat.kind == Kind::File)
    {
        let line = format!("mode {old:03o} -> {new:03o} {place}");
        let line = cx.ui.paint(&line, Style::Bold).into_owned();
        cx.ui.line(&line);
    }
    texts(cx, &place, old, (content.kind(), &content.bytes))
}

/// The difference of two files.
pub(super) fn texts(
    cx: &mut Context,
    place: &str,
    old: Option<(Kind, &Secret)>,
    (new_kind, new): (Kind, &Secret),
) -> Result<(), Failure> {
    let head = |kind: Kind| if kind == Kind::Link { "link " } else { "" };
    let old_bytes = old.map(|(_, bytes)| bytes.expose()).unwrap_or_default();
    let from = match old {
        None => "/dev/null".to_owned(),
        Some((kind, _)) => format!("{}{place}", head(kind)),
    };
    for (mark, name) in [("---", from), ("+++", format!("{}{place}", head(new_kind)))] {
        let line = cx
            .ui
            .paint(&format!("{mark} {name}"), Style::Bold)
            .into_owned();
        cx.ui.line(&line);
    }
    let (Ok(old), Ok(new)) = (
        std::str::from_utf8(old_bytes),
        std::str::from_utf8(new.expose()),
    ) else {
        let line = format!("{} bytes -> {} bytes, not text", old_bytes.len(), new.len());
        cx.ui.line(&line);
        return Ok(());
    };
    // The answer is printed as a secret is: at once, and wiped.
    let patch = diffy::create_patch(old, new);
    let text = Secret::new(patch.to_bytes());
    let text = std::str::from_utf8(text.expose()).unwrap_or_default();
    for line in text.lines().skip_while(|line| !line.starts_with("@@")) {
        let style = match line.as_bytes().first() {
            Some(b'-') => Style::Red,
            Some(b'+') => Style::Green,
            Some(b'@') => Style::Dim,
            _ => Style::Plain,
        };
        let line = Secret::new(cx.ui.paint(line, style).into_owned().into_bytes());
        cx.ui
            .line(std::str::from_utf8(line.expose()).unwrap_or_default());
    }
    cx.ui.finish()
}
