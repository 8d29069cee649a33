//! A file that holds references: finding them, filling them in, and taking a changed file back without losing them (W-134). Pure.

use std::fmt;
use std::ops::Range;

use crate::exec::reference::Reference;
use crate::exec::reference::SCHEME;
use crate::exec::reference::Wrong;
use crate::secret::Secret;

/// How a reference in braces begins and ends.
const OPEN: &[u8] = b"{{";
const CLOSE: &[u8] = b"}}";
/// What stands between a reference in braces and its default.
const DEFAULT: &str = ":-";
/// The longest text between braces that is looked through for their end.
const BRACED_MAX_BYTES: usize = 4096;
/// So much of what stands before a value must be the same for it to be found first.
const CONTEXT_BYTES: usize = 8;

/// One piece of a template.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes that stand for themselves.
    Text(Range<usize>),
    /// A reference, its default, and the bytes that it is written in.
    Hole(Hole),
    /// `{{agevault://}}`: the scheme itself.
    Scheme(Range<usize>),
}

/// A reference in a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// What it refers to.
    pub reference: Reference,
    /// What stands there if there is no such thing.
    pub default: Option<String>,
    /// The bytes that it is written in.
    pub at: Range<usize>,
}

/// What is wrong, and in which line.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1 on.
    pub line: usize,
    /// What it is.
    pub why: Why,
}

/// What is wrong with a reference in a template.
#[derive(Debug, PartialEq, Eq)]
pub enum Why {
    /// It is none.
    Wrong(Wrong),
    /// Its braces do not end in its line.
    Open,
    /// It is not UTF-8.
    NotText,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.why {
            Why::Wrong(wrong) => wrong.fmt(f),
            Why::Open => write!(f, "the braces of a reference do not end"),
            Why::NotText => write!(f, "a reference is not UTF-8"),
        }
    }
}

/// Whether there is anything like a reference.
pub fn has_references(text: &[u8]) -> bool {
    find(text, SCHEME.as_bytes(), 0).is_some()
}

/// Takes a template apart.
pub fn parse(text: &[u8]) -> Result<Vec<Piece>, Fault> {
    let mut pieces = Vec::new();
    let (mut from, mut search) = (0, 0);
    while let Some(at) = find(text, SCHEME.as_bytes(), search) {
        let fault = |why| Fault {
            line: 1 + text.iter().take(at).filter(|byte| **byte == b'\n').count(),
            why,
        };
        let (piece, range) = match braces_before(text, at) {
            Some(open) => braced(text, open, at).map_err(fault)?,
            None => bare(text, at).map_err(fault)?,
        };
        if from < range.start {
            pieces.push(Piece::Text(from..range.start));
        }
        (from, search) = (range.end, range.end);
        pieces.push(piece);
    }
    if from < text.len() {
        pieces.push(Piece::Text(from..text.len()));
    }
    Ok(pieces)
}

/// The references of a template.
pub fn holes(pieces: &[Piece]) -> impl Iterator<Item = &Hole> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Hole(hole) => Some(hole),
        _ => None,
    })
}

/// Fills in: the value of each reference in its order.
pub fn fill(text: &[u8], pieces: &[Piece], values: &[Secret]) -> Secret {
    filled(text, pieces, values).0
}

/// The same with the range of each piece in what comes out.
fn filled(text: &[u8], pieces: &[Piece], values: &[Secret]) -> (Secret, Vec<Range<usize>>) {
    let mut values = values.iter();
    let parts: Vec<&[u8]> = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(range) => text.get(range.clone()).unwrap_or_default(),
            Piece::Scheme(_) => SCHEME.as_bytes(),
            Piece::Hole(_) => values.next().map(Secret::expose).unwrap_or_default(),
        })
        .collect();
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
    let mut ranges = Vec::with_capacity(parts.len());
    for part in parts {
        let start = out.len();
        out.extend_from_slice(part);
        ranges.push(start..out.len());
    }
    (Secret::new(out), ranges)
}

/// A template taken back from a file that was made of it and then changed.
pub struct TakenBack {
    /// The template, with the changes.
    pub text: Secret,
    /// References that the changed file has no place for any more.
    pub lost: Vec<Reference>,
}

/// Takes a changed file back: where a value still stands, its reference does.
pub fn take_back(text: &[u8], pieces: &[Piece], values: &[Secret], changed: &[u8]) -> TakenBack {
    let (rendered, ranges) = filled(text, pieces, values);
    let rendered = rendered.expose();
    // What is the same in both, as ranges of both: lines from a comparison, then the values within the lines that differ.
    let hunks = differences(rendered, changed);
    let mut taking = Taking {
        text,
        pieces,
        ranges: &ranges,
        rendered,
        out: Vec::with_capacity(text.len() + changed.len()),
        lost: Vec::new(),
        told: vec![false; pieces.len()],
    };
    let mut old = 0;
    for (old_hunk, new_hunk) in hunks {
        taking.keep(old..old_hunk.start, old_hunk.is_empty());
        let part = changed.get(new_hunk).unwrap_or_default();
        taking.change(&old_hunk, part);
        old = old_hunk.end;
    }
    taking.keep(old..rendered.len(), true);
    TakenBack {
        text: Secret::new(taking.out),
        lost: taking.lost,
    }
}

/// A template being taken back.
struct Taking<'t> {
    text: &'t [u8],
    pieces: &'t [Piece],
    /// Where each piece is in what was made of the template.
    ranges: &'t [Range<usize>],
    rendered: &'t [u8],
    out: Vec<u8>,
    lost: Vec<Reference>,
    /// The pieces that are in `out`.
    told: Vec<bool>,
}

impl<'t> Taking<'t> {
    fn all(&self) -> impl Iterator<Item = (usize, &'t Piece, Range<usize>)> + use<'t> {
        let pieces = self.pieces.iter().zip(self.ranges).enumerate();
        pieces.map(|(number, (piece, range))| (number, piece, range.clone()))
    }

    /// Takes what has not changed, in the template's own words. Where a change begins or ends within a value, it is the value's bytes.
    /// A value without a byte at the end is in it, if `to_end`.
    fn keep(&mut self, kept: Range<usize>, to_end: bool) {
        for (number, piece, range) in self.all() {
            let is_empty = range.is_empty();
            let (start, end) = (range.start.max(kept.start), range.end.min(kept.end));
            let is_in = if is_empty {
                kept.contains(&range.start) || (to_end && range.start == kept.end)
            } else {
                start < end
            };
            let told = self.told.get_mut(number);
            if !is_in || told.is_some_and(|told| is_empty && std::mem::replace(told, true)) {
                continue;
            }
            let own = match piece {
                Piece::Text(_) => None,
                Piece::Scheme(at) => Some(at),
                Piece::Hole(hole) => Some(&hole.at),
            };
            let bytes = match own.filter(|_| start == range.start && end == range.end) {
                Some(at) => self.text.get(at.clone()),
                None => self.rendered.get(start..end),
            };
            self.out.extend_from_slice(bytes.unwrap_or_default());
        }
    }

    /// Takes what has changed: a value that stands there still is written as its reference.
    fn change(&mut self, old: &Range<usize>, part: &[u8]) {
        let mut search = 0;
        for (_, piece, range) in self.all() {
            let Piece::Hole(hole) = piece else { continue };
            if !old.contains(&range.start) {
                continue;
            }
            let value = self.rendered.get(range.clone()).unwrap_or_default();
            let context = range.start.saturating_sub(CONTEXT_BYTES).max(old.start);
            let before = self.rendered.get(context..range.start).unwrap_or_default();
            let reference = self.text.get(hole.at.clone()).unwrap_or_default();
            // A person may have written the reference itself there.
            let itself = || find(part, reference, search).map(|at| (at, reference.len()));
            let found = place_of(part, value, before, search).map(|at| (at, value.len()));
            let Some((at, length)) = found.or_else(itself) else {
                self.lost.push(hole.reference.clone());
                continue;
            };
            let unchanged = part.get(search..at).unwrap_or_default();
            self.out.extend_from_slice(unchanged);
            self.out.extend_from_slice(reference);
            search = at + length;
        }
        self.out
            .extend_from_slice(part.get(search..).unwrap_or_default());
    }
}

/// Where a value stands from `from` on: first where the same bytes stand before it.
fn place_of(part: &[u8], value: &[u8], before: &[u8], from: usize) -> Option<usize> {
    let with = Secret::new([before, value].concat());
    let found = find(part, with.expose(), from).map(|at| at + before.len());
    found.or_else(|| find(part, value, from))
}

/// The ranges of both texts that differ, whole lines, in order.
fn differences(old: &[u8], new: &[u8]) -> Vec<(Range<usize>, Range<usize>)> {
    let mut options = diffy::DiffOptions::new();
    options.set_context_len(0);
    let patch = options.create_patch_bytes(old, new);
    let (old_lines, new_lines) = (line_starts(old), line_starts(new));
    let bytes = |range: diffy::HunkRange, starts: &[usize]| {
        // A range of no line stands behind the line that it names.
        let first = match range.len() {
            0 => range.start(),
            _ => range.start().saturating_sub(1),
        };
        let at = |line: usize| starts.get(line).copied();
        let last = starts.last().copied().unwrap_or(0);
        at(first).unwrap_or(last)..at(first + range.len()).unwrap_or(last)
    };
    patch
        .hunks()
        .iter()
        .map(|hunk| {
            (
                bytes(hunk.old_range(), &old_lines),
                bytes(hunk.new_range(), &new_lines),
            )
        })
        .collect()
}

/// Where each line begins, and where the last one ends.
fn line_starts(text: &[u8]) -> Vec<usize> {
    let mut starts = vec![0];
    let ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    starts.extend(ends.map(|(at, _)| at + 1));
    if starts.last() != Some(&text.len()) {
        starts.push(text.len());
    }
    starts
}

/// Where the braces open before a reference, spaces between them not counted.
fn braces_before(text: &[u8], at: usize) -> Option<usize> {
    let before = text.get(..at)?;
    let spaces = before
        .iter()
        .rev()
        .take_while(|byte| **byte == b' ')
        .count();
    let open = (at - spaces).checked_sub(OPEN.len())?;
    text.get(open..)?.starts_with(OPEN).then_some(open)
}

/// A reference in braces; all of it, braces included.
fn braced(text: &[u8], open: usize, at: usize) -> Result<(Piece, Range<usize>), Why> {
    let from = at + SCHEME.len();
    let rest = text.get(from..).unwrap_or_default();
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.get(..BRACED_MAX_BYTES).unwrap_or(line);
    let end = find(line, CLOSE, 0).ok_or(Why::Open)?;
    let inside = line.get(..end).unwrap_or_default();
    let range = open..from + end + CLOSE.len();
    let inside = std::str::from_utf8(inside).map_err(|_| Why::NotText)?;
    if inside.trim_matches(' ').is_empty() {
        return Ok((Piece::Scheme(range.clone()), range));
    }
    let (reference, default) = match inside.split_once(DEFAULT) {
        Some((reference, default)) => (reference, Some(default.trim_matches(' ').to_owned())),
        None => (inside, None),
    };
    let reference = Reference::parse(reference.trim_matches(' ')).map_err(Why::Wrong)?;
    let hole = Hole {
        reference,
        default,
        at: range.clone(),
    };
    Ok((Piece::Hole(hole), range))
}

/// A reference that stands alone: as far as harmless letters go.
fn bare(text: &[u8], at: usize) -> Result<(Piece, Range<usize>), Why> {
    let from = at + SCHEME.len();
    let rest = text.get(from..).unwrap_or_default();
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./@+#:".contains(byte);
    let mut length = rest.iter().take_while(|byte| is_part(byte)).count();
    // A final dot ends a sentence, a final colon parts it from what follows.
    while length > 0
        && rest
            .get(length - 1)
            .is_some_and(|byte| b".:".contains(byte))
    {
        length -= 1;
    }
    let range = at..from + length;
    let inside = rest.get(..length).unwrap_or_default();
    let inside = std::str::from_utf8(inside).map_err(|_| Why::NotText)?;
    let hole = Hole {
        reference: Reference::parse(inside).map_err(Why::Wrong)?,
        default: None,
        at: range.clone(),
    };
    Ok((Piece::Hole(hole), range))
}

fn find(text: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    let first = *wanted.first()?;
    let mut starts = rest.iter().enumerate().filter(|(_, byte)| **byte == first);
    let found = starts.find(|(at, _)| rest.get(*at..).is_some_and(|rest| rest.starts_with(wanted)));
    found.map(|(at, _)| from + at)
}

#[cfg(test)]
mod tests;
