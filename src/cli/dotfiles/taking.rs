//! Files that go into the store: what becomes of each, and their commit.

use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::dotfiles::here;
use crate::cli::failure::Failure;
use crate::cli::several;
use crate::dotfiles;
use crate::dotfiles::Dotfiles;
use crate::dotfiles::Filling;
use crate::dotfiles::Item;
use crate::dotfiles::Left;
use crate::dotfiles::Problem;
use crate::dotfiles::Taken;
use crate::dotfiles::Took;
use crate::dotfiles::memory::Facts;
use crate::format::Header;
use crate::format::Name;
use crate::secret::Secret;
use crate::store::keeper::Keeper;
use crate::sys::fs::Kind;
use crate::sys::fs::Stat;

/// A file that goes into the store.
pub(super) struct Change {
    /// Its entry.
    pub name: Name,
    /// The header that it has; none if it is new.
    pub header: Option<Header>,
    /// What the header will say.
    pub facts: Facts,
    /// What goes into the entry.
    pub source: Secret,
    /// What is in its place.
    pub taken: Secret,
    /// The state of that; none if nothing is known to be there.
    pub stat: Option<Stat>,
}

impl Change {
    /// A file that was changed in its place, as the next value of its entry. References that are lost are told.
    pub(super) fn of_changed(
        cx: &Context,
        dots: &Dotfiles<'_>,
        filling: &mut Filling<'_>,
        (item, taken): (&Item, Taken),
    ) -> Result<Self, Failure> {
        let place = here::shown(cx, dots, item.target());
        let left = |problem: Problem| {
            let target = item.target().to_owned();
            here::failure(cx, dots, Left { target, problem })
        };
        let content = item
            .content
            .as_ref()
            .ok_or_else(|| Failure::failed(format!("{place}: its entry could not be opened")))?;
        let mut facts = item.facts.clone().unwrap_or_default();
        facts.link = taken.stat.kind == Kind::Link;
        let source = if facts.link {
            facts.template = false;
            Secret::copy_of(taken.bytes.expose())
        } else {
            let base = dots.base(item, content, filling).map_err(left)?;
            let back = base.take_back(&taken.bytes).map_err(left)?;
            for reference in &back.lost {
                cx.ui.warn(&format!(
                    "{place}: the reference agevault://{reference} has no place in it any more"
                ));
            }
            back.text
        };
        facts.mode = mode(&facts, &taken.stat);
        Ok(Self {
            name: item.name.clone(),
            header: Some(content.header.clone()),
            facts,
            source,
            taken: taken.bytes,
            stat: Some(taken.stat),
        })
    }

    /// Whether the entry says all of that already.
    pub(super) fn is_in(&self, item: &Item) -> bool {
        item.facts.as_ref() == Some(&self.facts)
            && item
                .content
                .as_ref()
                .is_some_and(|content| content.source == self.source)
    }
}

/// The mode as a header gives it: none of a link.
fn mode(facts: &Facts, stat: &Stat) -> Option<String> {
    let is_usual = facts.mode.is_none() && stat.mode & 0o777 == dotfiles::MODE;
    (!facts.link && !is_usual).then(|| format!("{:03o}", stat.mode & 0o777))
}

/// Puts changes into the store in one commit, and remembers that what is in their places was taken from there.
pub(super) fn commit(
    cx: &Context,
    (opened, keys): (&Opened, &dyn Keeper),
    dots: &mut Dotfiles<'_>,
    filling: &mut Filling<'_>,
    (verb, changes): (&str, &[Change]),
) -> Result<(), Failure> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut writer = cx.writer(&opened.store, keys)?;
    let mut entries = Vec::with_capacity(changes.len());
    for change in changes {
        let header = change.header.clone();
        // Under the lock: another process may have written it meanwhile.
        let now = opened.store.has(&change.name)?;
        let is_same = match &header {
            Some(header) => now && opened.store.look(keys, &change.name)?.0 == *header,
            None => !now,
        };
        if !is_same {
            let text = format!(
                "\"{}\" was changed by another process meanwhile",
                change.name
            );
            return Err(Failure::failed(text).hint("run the same again"));
        }
        let mut header = header.unwrap_or_else(|| Header::new(&change.name, cx.env.now));
        dotfiles::mark(&mut header, &change.facts);
        entries.push((
            change.name.clone(),
            header,
            Secret::copy_of(change.source.expose()),
        ));
    }
    writer.put_all(entries)?;
    let names: Vec<Name> = changes.iter().map(|change| change.name.clone()).collect();
    writer.commit(&several::message(verb, &names))?;
    for change in changes {
        let filled = if change.facts.template {
            filling.fill(&change.source).ok()
        } else {
            Some((Secret::copy_of(change.source.expose()), Vec::new()))
        };
        let filled = filled.filter(|(bytes, _)| *bytes == change.taken);
        let took = Took {
            bytes: &change.taken,
            stat: change.stat,
            is_rendered: filled.is_some(),
            needs: filled.map(|(_, needs)| needs).unwrap_or_default(),
        };
        dots.took(&change.name, &change.facts, took)?;
    }
    dots.save()?;
    Ok(())
}
