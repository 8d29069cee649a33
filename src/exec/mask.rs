//! Secrets blanked out of a stream, whatever the pieces in which it comes.
//!
//! Lives here: the automaton over every shape of every secret, and what of a stream may be handed on. Pure. Never here:
//! reading or writing a stream, or the shapes themselves.
//!
//! Every byte that belongs to any shape found is blanked, shapes that overlap or lie within each other included; a run of
//! such bytes becomes one `MASK`, so that neither length nor number is told. Held back is the longest end of what came
//! so far with which some shape begins, and nothing else. The output does not depend on how the stream was cut, but for `pause`.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::Anchored;
use aho_corasick::automaton::Automaton;
use aho_corasick::automaton::StateID;
use aho_corasick::dfa::DFA;
use aho_corasick::nfa::contiguous::NFA;
use zeroize::Zeroizing;

use crate::exec::heads::Heads;
use crate::exec::shapes::MIN_BYTES;
use crate::exec::shapes::shapes;

/// What stands for a secret.
pub const MASK: &[u8] = b"********";

/// Up to this many bytes of shapes a table of all transitions is built; above, a form that is smaller and slower.
const TABLE_MAX_BYTES: usize = 64 * 1024;

/// The automaton of a set of secrets; shared by the streams of a program.
#[derive(Clone)]
pub struct Shapes(Arc<Machine>);

struct Machine {
    automaton: Form,
    start: StateID,
    /// For each state of the automaton, by its number, how many bytes of a shape it has seen.
    depths: Vec<(StateID, usize)>,
    /// Jumps to where a shape may begin.
    heads: Heads,
}

enum Form {
    Table(DFA),
    Small(NFA),
}

impl fmt::Debug for Shapes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shapes(..)")
    }
}

impl Shapes {
    /// The shapes of these secrets. `None` if none of them is long enough, or if there are more than an automaton can hold.
    pub fn of<'s>(secrets: impl IntoIterator<Item = &'s [u8]>) -> Option<Self> {
        let mut all: Vec<Zeroizing<Vec<u8>>> = secrets.into_iter().flat_map(shapes).collect();
        all.sort_unstable_by(|a, b| a.as_slice().cmp(b));
        all.dedup();
        if all.is_empty() {
            return None;
        }
        let bytes: usize = all.iter().map(|shape| shape.len()).sum();
        let patterns = || all.iter().map(|shape| shape.as_slice());
        let automaton = if bytes <= TABLE_MAX_BYTES {
            Form::Table(DFA::new(patterns()).ok()?)
        } else {
            Form::Small(NFA::new(patterns()).ok()?)
        };
        let (start, depths) = match &automaton {
            Form::Table(dfa) => survey(dfa, patterns())?,
            Form::Small(nfa) => survey(nfa, patterns())?,
        };
        Some(Self(Arc::new(Machine {
            automaton,
            start,
            depths,
            heads: Heads::of(patterns())?,
        })))
    }
}

/// The first state, and the depth of each state: after the first n bytes of a shape it is n.
fn survey<'p, A: Automaton>(
    automaton: &A,
    patterns: impl Iterator<Item = &'p [u8]>,
) -> Option<(StateID, Vec<(StateID, usize)>)> {
    let start = automaton.start_state(Anchored::No).ok()?;
    let mut depths = vec![(start, 0)];
    for pattern in patterns {
        let mut state = start;
        for (number, &byte) in pattern.iter().enumerate() {
            state = automaton.next_state(Anchored::No, state, byte);
            depths.push((state, number + 1));
        }
    }
    depths.sort_unstable();
    depths.dedup();
    Some((start, depths))
}

impl Machine {
    fn depth(&self, state: StateID) -> usize {
        let found = self.depths.binary_search_by_key(&state, |(one, _)| *one);
        let depth = found.ok().and_then(|at| self.depths.get(at));
        depth.map_or(0, |(_, depth)| *depth)
    }
}

/// One stream, being masked.
pub struct Masker {
    shapes: Shapes,
    state: StateID,
    /// What came and was not handed on; the automaton has seen it.
    held: Zeroizing<Vec<u8>>,
    /// Parts of `held` that belong to a shape, in order, not touching.
    blank: Vec<Range<usize>>,
    /// Whether what was handed on last is a mask, which bytes that follow may prolong.
    is_open: bool,
    /// What may be handed on, if it is not just what came.
    out: Zeroizing<Vec<u8>>,
}

impl Masker {
    /// A stream from its beginning.
    pub fn new(shapes: &Shapes) -> Self {
        Self {
            shapes: shapes.clone(),
            state: shapes.0.start,
            held: Zeroizing::default(),
            blank: Vec::new(),
            is_open: false,
            out: Zeroizing::default(),
        }
    }

    /// Takes the next piece of the stream, and returns what may be handed on.
    pub fn feed<'m>(&'m mut self, piece: &'m [u8]) -> &'m [u8] {
        self.out.clear();
        let machine = self.shapes.0.clone();
        if self.held.is_empty() {
            self.scan(&machine, piece, 0);
            let decided = self.decided(piece.len(), machine.depth(self.state));
            let (now, later) = piece.split_at(decided);
            self.held.extend_from_slice(later);
            if self.blank.is_empty() {
                self.is_open &= now.is_empty();
                return now;
            }
            self.hand_on(now);
        } else {
            let seen = self.held.len();
            let mut all = std::mem::take(&mut self.held);
            all.extend_from_slice(piece);
            self.scan(&machine, &all, seen);
            let decided = self.decided(all.len(), machine.depth(self.state));
            self.hand_on(all.get(..decided).unwrap_or_default());
            all.drain(..decided);
            self.held = all;
        }
        &self.out
    }

    /// The stream stands still, and a person waits: hands on what is held, but never so many bytes that they are a shape's
    /// first four. If a secret follows after all, the rest of it is blanked.
    pub fn pause(&mut self) -> &[u8] {
        self.out.clear();
        let depth = self.shapes.0.depth(self.state);
        let shown = depth.saturating_sub(self.held.len());
        let first_blank = self
            .blank
            .first()
            .map_or(self.held.len(), |range| range.start);
        let now = (MIN_BYTES - 1).saturating_sub(shown).min(first_blank);
        let mut all = std::mem::take(&mut self.held);
        self.hand_on(all.get(..now).unwrap_or_default());
        all.drain(..now);
        self.held = all;
        &self.out
    }

    /// Whether `pause` has something to hand on.
    pub fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// The stream has ended: what is held was no secret.
    pub fn finish(&mut self) -> &[u8] {
        self.out.clear();
        let all = std::mem::take(&mut self.held);
        self.hand_on(&all);
        self.state = self.shapes.0.start;
        &self.out
    }

    fn scan(&mut self, machine: &Machine, data: &[u8], from: usize) {
        match &machine.automaton {
            Form::Table(dfa) => self.scan_with(dfa, machine, data, from),
            Form::Small(nfa) => self.scan_with(nfa, machine, data, from),
        }
    }

    /// Runs the automaton over `data[from..]` and notes what belongs to a shape.
    fn scan_with<A: Automaton>(
        &mut self,
        automaton: &A,
        machine: &Machine,
        data: &[u8],
        from: usize,
    ) {
        let mut at = from;
        let mut state = self.state;
        // Where the automaton is left again for a jump, once it has seen nothing that leads on.
        let mut check = from;
        while at < data.len() {
            if at >= check {
                let depth = machine.depth(state);
                if depth < MIN_BYTES && depth <= at {
                    at = machine.heads.next(data, at - depth);
                    state = machine.start;
                }
                check = at + MIN_BYTES;
            }
            let stop = check.min(data.len());
            for &byte in data.get(at..stop).unwrap_or_default() {
                state = automaton.next_state(Anchored::No, state, byte);
                at += 1;
                if automaton.is_special(state) && automaton.is_match(state) {
                    let longest = (0..automaton.match_len(state))
                        .map(|number| automaton.pattern_len(automaton.match_pattern(state, number)))
                        .max();
                    self.note(at.saturating_sub(longest.unwrap_or(0))..at);
                }
            }
        }
        self.state = state;
    }

    /// Adds a part to those that are blanked; it ends last of all so far.
    fn note(&mut self, mut part: Range<usize>) {
        while let Some(last) = self.blank.pop_if(|last| last.end >= part.start) {
            part.start = part.start.min(last.start);
        }
        self.blank.push(part);
    }

    /// How much of what came is decided: what no shape can begin in any more, and what is blanked already.
    fn decided(&self, length: usize, depth: usize) -> usize {
        let open = length.saturating_sub(depth);
        let around = self.blank.iter().find(|range| range.contains(&open));
        around.map_or(open, |range| range.end)
    }

    /// Puts these bytes, the first of all that are there, into `out`, with masks; the parts that lie behind them move up.
    fn hand_on(&mut self, bytes: &[u8]) {
        let mut done = 0;
        let mut rest = Vec::new();
        for part in self.blank.drain(..) {
            if part.start >= bytes.len() {
                rest.push(part.start - bytes.len()..part.end - bytes.len());
                continue;
            }
            let clear = bytes.get(done..part.start).unwrap_or_default();
            self.out.extend_from_slice(clear);
            if !(self.is_open && clear.is_empty()) {
                self.out.extend_from_slice(MASK);
            }
            self.is_open = true;
            done = part.end;
        }
        let clear = bytes.get(done..).unwrap_or_default();
        self.out.extend_from_slice(clear);
        self.is_open &= clear.is_empty();
        self.blank = rest;
    }
}

#[cfg(test)]
mod tests;
