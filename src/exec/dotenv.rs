//! Files of `NAME=VALUE` lines. Nothing is expanded or run. Pure.
//!
//! A line may begin with `export`. A value is `'...'` as it stands, `"..."` with `\n \r \t \" \\ \$`, both over several
//! lines if need be, or plain up to ` #` or the end of the line, without white space around it.

use std::fmt;

use crate::policy::variable;
use crate::secret::Secret;

/// A variable and its value, which may be a secret.
#[derive(Debug)]
pub struct Line {
    /// The line's number, from 1.
    pub number: usize,
    /// The variable.
    pub name: String,
    /// The value.
    pub value: Secret,
}

/// What is wrong, and in which line; never what stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: &'static str,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its line {} {}", self.line, self.why)
    }
}

impl std::error::Error for Wrong {}

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Reads all lines.
pub fn parse(text: &[u8]) -> Result<Vec<Line>, Wrong> {
    let mut rest = Rest {
        bytes: text.strip_prefix(BOM).unwrap_or(text),
        line: 1,
    };
    let mut lines = Vec::new();
    while !rest.bytes.is_empty() {
        rest.skip_blanks();
        match rest.bytes.first() {
            Some(b'\n' | b'\r' | b'#') => rest.skip_line(),
            Some(_) => lines.push(rest.line()?),
            None => {}
        }
    }
    Ok(lines)
}

/// What is not read yet.
struct Rest<'t> {
    bytes: &'t [u8],
    line: usize,
}

impl Rest<'_> {
    fn line(&mut self) -> Result<Line, Wrong> {
        let number = self.line;
        let wrong = |why| Wrong { line: number, why };
        let end = self.position(|byte| byte == b'\n');
        let end = end.unwrap_or(self.bytes.len());
        let text = self.bytes.get(..end).unwrap_or_default();
        let equals = text.iter().position(|byte| *byte == b'=');
        let equals = equals.ok_or_else(|| wrong("is not NAME=VALUE"))?;
        let name = text.get(..equals).unwrap_or_default().trim_ascii();
        let name = match name.strip_prefix(b"export") {
            Some(rest) if rest.first().is_some_and(u8::is_ascii_whitespace) => rest.trim_ascii(),
            _ => name,
        };
        let name = std::str::from_utf8(name).ok();
        let name = name.filter(|name| variable::is_name(name));
        let name = name
            .ok_or_else(|| wrong("does not begin with a variable's name"))?
            .to_owned();
        self.take(equals + 1);
        self.skip_blanks();
        let value = match self.bytes.first() {
            Some(b'\'') => self.quoted(b'\'')?,
            Some(b'"') => self.quoted(b'"')?,
            _ => self.plain(),
        };
        self.skip_line();
        Ok(Line {
            number,
            name,
            value,
        })
    }

    /// Up to a comment or the end of the line.
    fn plain(&mut self) -> Secret {
        let end = self.position(|byte| byte == b'\n');
        let line = self
            .bytes
            .get(..end.unwrap_or(self.bytes.len()))
            .unwrap_or_default();
        let is_comment = |at: usize| {
            let before = at.checked_sub(1).and_then(|at| line.get(at));
            line.get(at) == Some(&b'#') && before.is_none_or(u8::is_ascii_whitespace)
        };
        let end = (0..line.len()).find(|at| is_comment(*at));
        let value = line.get(..end.unwrap_or(line.len())).unwrap_or_default();
        Secret::copy_of(value.trim_ascii())
    }

    /// Up to the closing quote; nothing but a comment may follow on its line.
    fn quoted(&mut self, quote: u8) -> Result<Secret, Wrong> {
        let wrong = Wrong {
            line: self.line,
            why: "has a quote that is not closed",
        };
        self.take(1);
        let mut end = 0;
        loop {
            match self.bytes.get(end) {
                Some(byte) if *byte == quote => break,
                Some(b'\\') if quote == b'"' => end += 2,
                Some(_) => end += 1,
                None => return Err(wrong),
            }
        }
        let inner = self.bytes.get(..end).unwrap_or_default();
        let value = if quote == b'"' {
            unescaped(inner)
        } else {
            Secret::copy_of(inner)
        };
        self.take(end + 1);
        self.skip_blanks();
        match self.bytes.first() {
            None | Some(b'\n' | b'\r' | b'#') => Ok(value),
            Some(_) => Err(Wrong {
                line: self.line,
                why: "goes on after the closing quote",
            }),
        }
    }

    fn skip_blanks(&mut self) {
        let blanks = self.position(|byte| byte != b' ' && byte != b'\t');
        self.take(blanks.unwrap_or(self.bytes.len()));
    }

    fn skip_line(&mut self) {
        let end = self.position(|byte| byte == b'\n');
        self.take(end.map_or(self.bytes.len(), |end| end + 1));
    }

    fn position(&self, is_it: impl Fn(u8) -> bool) -> Option<usize> {
        self.bytes.iter().position(|byte| is_it(*byte))
    }

    /// Goes on by so many bytes, and counts the lines.
    fn take(&mut self, count: usize) {
        let (taken, rest) = self
            .bytes
            .split_at_checked(count)
            .unwrap_or((self.bytes, &[]));
        self.line += taken.split(|byte| *byte == b'\n').skip(1).count();
        self.bytes = rest;
    }
}

/// The text between double quotes. The buffer is as large as it will get from the start.
fn unescaped(inner: &[u8]) -> Secret {
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(other @ (b'"' | b'\\' | b'$' | b'`')) => out.push(other),
            Some(other) => out.extend([b'\\', other]),
            None => out.push(b'\\'),
        }
    }
    Secret::new(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&[(&str, &str)], (usize, &str)>) {
        match (parse(text.as_bytes()), expected) {
            (Ok(lines), Ok(pairs)) => {
                let got: Vec<_> = lines
                    .iter()
                    .map(|line| {
                        let value = std::str::from_utf8(line.value.expose()).unwrap();
                        (line.name.as_str(), value)
                    })
                    .collect();
                assert_eq!(got, pairs, "{text:?}");
            }
            (Err(wrong), Err((line, word))) => {
                assert_eq!(wrong.line, line, "{text:?}");
                assert!(wrong.why.contains(word), "{text:?}: {wrong}");
            }
            (outcome, _) => panic!("{text:?}: {outcome:?}"),
        }
    }

    #[test]
    fn lines_are_read_as_people_write_them() {
        check("", Ok(&[]));
        check("\n# note\n  \t\n", Ok(&[]));
        check(
            "A=1\r\nB = two words \r\n",
            Ok(&[("A", "1"), ("B", "two words")]),
        );
        check(
            "export A=1\nexported=2",
            Ok(&[("A", "1"), ("exported", "2")]),
        );
        check(
            "A=a#b # note\nB=#c\nC=",
            Ok(&[("A", "a#b"), ("B", ""), ("C", "")]),
        );
        check(
            "A='x\\n$Y'# note\nB=\"x\\n\\\"$Y\\q\" # n",
            Ok(&[("A", "x\\n$Y"), ("B", "x\n\"$Y\\q")]),
        );
        check("A='1\n2'\nB=3", Ok(&[("A", "1\n2"), ("B", "3")]));
        check("\u{feff}A=$(id) `id` ${X}", Ok(&[("A", "$(id) `id` ${X}")]));
    }

    #[test]
    fn what_is_wrong_is_told_by_its_line() {
        check("A=1\nword", Err((2, "NAME=VALUE")));
        check("A-B=1", Err((1, "name")));
        check("\n=1", Err((2, "name")));
        check("A='x\ny", Err((1, "closed")));
        check("A=\"x\\\"", Err((1, "closed")));
        check("A='x\ny'z", Err((2, "after")));
        check("export=1", Ok(&[("export", "1")]));
    }
}
