//! Where in a stream some shape may begin: found many bytes at a time, by what the shapes begin with.
//!
//! Lives here: the jump to the next such place. Never here: whether a shape is there; the automaton of `mask` tells.

use aho_corasick::Span;
use aho_corasick::packed;
use aho_corasick::packed::Searcher;

/// How many bytes of a shape are its head; no more than the shortest shape has.
const HEAD_BYTES: usize = 4;
/// How many heads one searcher takes.
const GROUP: usize = 64;
/// From this many searchers on, the automaton alone is as fast.
const GROUPS_MAX: usize = 2;

/// Searchers for the heads of all shapes.
pub(super) struct Heads(Vec<Searcher>);

impl Heads {
    /// `None` if there are too many for it to pay, or where the processor has no instructions for it.
    pub(super) fn of<'p>(patterns: impl Iterator<Item = &'p [u8]>) -> Option<Self> {
        let mut heads: Vec<&[u8]> = patterns
            .map(|one| one.get(..HEAD_BYTES))
            .collect::<Option<_>>()?;
        heads.sort_unstable();
        heads.dedup();
        if heads.len() > GROUP * GROUPS_MAX {
            return None;
        }
        let searcher = |group: &[&[u8]]| packed::Builder::new().extend(group).build();
        heads
            .chunks(GROUP)
            .map(searcher)
            .collect::<Option<_>>()
            .map(Self)
    }

    /// A walk through one piece.
    pub(super) fn jumps(&self) -> Jumps<'_> {
        Jumps {
            found: self.0.iter().map(|searcher| (searcher, None)).collect(),
        }
    }
}

/// For each searcher, where its next head is in the piece.
pub(super) struct Jumps<'h> {
    found: Vec<(&'h Searcher, Option<usize>)>,
}

impl Jumps<'_> {
    /// The first place from `at` on where a shape may begin; towards the end of the piece, where a head may be cut in two.
    pub(super) fn next(&mut self, data: &[u8], at: usize) -> usize {
        let end = data.len();
        let cut = end.saturating_sub(HEAD_BYTES - 1).max(at);
        let mut first = cut;
        for (searcher, next) in &mut self.found {
            let place = next.filter(|place| *place >= at).unwrap_or_else(|| {
                let head = searcher.find_in(data, Span { start: at, end });
                head.map_or(end, |head| head.start())
            });
            *next = Some(place);
            first = first.min(place);
        }
        first
    }
}
