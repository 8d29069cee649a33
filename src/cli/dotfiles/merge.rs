//! Joining what was changed here and in the store: line by line, and in the editor where both have changed the same lines.

use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::dotfiles::here;
use crate::cli::dotfiles::taking;
use crate::cli::dotfiles::taking::Change;
use crate::cli::edit;
use crate::cli::failure::Failure;
use crate::dotfiles::Content;
use crate::dotfiles::Dotfiles;
use crate::dotfiles::Filling;
use crate::dotfiles::Item;
use crate::dotfiles::Left;
use crate::dotfiles::Problem;
use crate::dotfiles::Standing;
use crate::dotfiles::target::Target;
use crate::secret::Secret;
use crate::store::keeper::Keeper;

/// How a line begins that parts what both sides have.
const MARKS: [&[u8]; 3] = [b"<<<<<<< ", b"=======\n", b">>>>>>> "];

/// Joins both sides of an item: what comes of it goes into the store, and the item is to be written then.
pub(super) fn one(
    cx: &Context,
    (opened, keys): (&Opened, &dyn Keeper),
    dots: &mut Dotfiles<'_>,
    filling: &mut Filling<'_>,
    item: &mut Item,
) -> Result<(), Failure> {
    let place = here::shown(cx, dots, item.target());
    let target_text = item.target().to_owned();
    let left = |cx: &Context, dots: &Dotfiles<'_>, problem: Problem| {
        let target = target_text.clone();
        here::failure(cx, dots, Left { target, problem })
    };
    let target = Target::parse(item.target())
        .map_err(|why| left(cx, dots, Problem::Header(why.to_owned())))?;
    let taken = dots
        .take(&target)
        .map_err(|problem| left(cx, dots, problem))?;
    let content = item.content.take();
    let (Some(taken), Some(content)) = (taken, content) else {
        return Err(Failure::failed(format!("{place} was changed meanwhile")));
    };
    let base = dots.base(item, &content, filling);
    let base = base.map_err(|problem| left(cx, dots, problem))?;
    let ours = base
        .take_back(&taken.bytes)
        .map_err(|problem| left(cx, dots, problem))?
        .text;
    let is_known = dots.applied_of(&item.name).is_some();
    let nothing = Secret::copy_of(b"");
    let ancestor = if is_known { &base.text } else { &nothing };
    let texts = [ancestor, &ours, &content.source];
    let is_text = |text: &Secret| std::str::from_utf8(text.expose()).is_ok();
    if content.header.link || !texts.into_iter().all(is_text) {
        return Err(
            Failure::failed(format!("{place} is no text and cannot be joined"))
                .hint("choose with --ours or --theirs"),
        );
    }
    let merged = joined(cx, &place, texts)?;
    let source = Secret::copy_of(merged.expose());
    let filled = if content.header.template {
        filling
            .fill(&source)
            .map_err(|problem| left(cx, dots, problem))?
    } else {
        (Secret::copy_of(merged.expose()), Vec::new())
    };
    if merged != content.source {
        let change = Change {
            name: item.name.clone(),
            header: Some(content.header.clone()),
            facts: item.facts.clone().unwrap_or_default(),
            source: Secret::copy_of(merged.expose()),
            taken: taken.bytes,
            stat: Some(taken.stat),
        };
        taking::commit(cx, (opened, keys), dots, filling, ("merge", &[change]))?;
    }
    cx.ui.say(&format!("joined both sides of {place}"));
    item.content = Some(Content {
        header: content.header,
        source,
        bytes: filled.0,
        needs: filled.1,
    });
    item.standing = Standing::Both;
    item.seen = Some(taken.stat);
    Ok(())
}

/// The text that is made of both, by a person where both have changed the same lines.
fn joined(
    cx: &Context,
    place: &str,
    [base, ours, theirs]: [&Secret; 3],
) -> Result<Secret, Failure> {
    let merged = diffy::merge_bytes(base.expose(), ours.expose(), theirs.expose());
    let marked = match merged {
        Ok(merged) => return Ok(Secret::new(merged)),
        Err(marked) => Secret::new(marked),
    };
    if cx.terminal().is_none()
        && cx.env.var_os("EDITOR").is_none()
        && cx.env.var_os("VISUAL").is_none()
    {
        return Err(
            Failure::failed(format!("{place}: both sides have changed the same lines"))
                .hint("join them on a terminal, or choose with --ours or --theirs"),
        );
    }
    let edited = edit::text(cx, "merge.txt", &marked, |edited| {
        let lines = edited.expose().split_inclusive(|byte| *byte == b'\n');
        let is_mark = |line: &[u8]| MARKS.iter().any(|mark| line.starts_with(mark));
        if lines.into_iter().any(is_mark) {
            return Err(Failure::failed("there are marks of both sides in it still"));
        }
        Ok(Secret::copy_of(edited.expose()))
    })?;
    Ok(edited)
}
