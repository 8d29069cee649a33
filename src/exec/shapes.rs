//! The shapes in which a secret turns up in a program's output: as it is, and as encodings show it.
//!
//! Lives here: one secret in, byte strings out. Pure. Never here: looking for them; `mask` does that. What comes out is as
//! secret as what went in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE;
use zeroize::Zeroizing;

/// A shorter secret is not looked for: "yes" or "42" is in every output.
pub const MIN_BYTES: usize = 4;
/// A longer secret has more shapes than can be looked for in any reasonable time and memory: of this size it takes two seconds
/// and 150 MB before the program starts.
pub const MAX_BYTES: usize = 64 << 10;
/// The same for all secrets of a program together.
pub const ALL_MAX_BYTES: usize = 128 << 10;

/// A shorter line of a secret of several lines is not looked for alone.
const LINE_MIN_BYTES: usize = 8;

/// Where `base64` (76), PEM and `openssl` (64), and `xxd -p` (60) begin a new line.
const WIDTHS: [usize; 3] = [76, 64, 60];

/// Bytes that never stand for themselves alone in a URL or a shell word, beside letters and digits.
const UNRESERVED: &[u8] = b"-_.~";

/// Every shape of a secret; none if it is too short. Each has at least `MIN_BYTES`, none stands twice.
pub fn shapes(secret: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let whole = trim(secret);
    let mut found = Found(Vec::new());
    if whole.len() < MIN_BYTES {
        return found.0;
    }
    found.text(whole);
    found.base64(whole);
    for digits in [LOWER, UPPER] {
        found.folded(whole.iter().flat_map(|&byte| hex(byte, digits)).collect());
    }
    let lines: Vec<&[u8]> = whole.split(|byte| *byte == b'\n').map(trim).collect();
    if lines.len() > 1 {
        found.text(&lines.join(&b"\r\n"[..]));
        for line in lines.into_iter().filter(|line| is_telling(line)) {
            found.text(line);
        }
    }
    found.0.sort_unstable_by(|a, b| a.as_slice().cmp(b));
    found.0.dedup();
    found.0
}

/// Whether a secret is long enough to be looked for.
pub fn is_long_enough(secret: &[u8]) -> bool {
    trim(secret).len() >= MIN_BYTES
}

/// Whether a line tells something: long enough, and no mark of PEM, which is in every key.
fn is_telling(line: &[u8]) -> bool {
    line.len() >= LINE_MIN_BYTES && !line.starts_with(b"-----")
}

/// Without line ends behind it, which programs drop and add.
fn trim(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !b"\r\n".contains(byte));
    bytes.get(..end.map_or(0, |last| last + 1)).unwrap_or(bytes)
}

struct Found(Vec<Zeroizing<Vec<u8>>>);

impl Found {
    fn add(&mut self, shape: Vec<u8>) {
        let shape = Zeroizing::new(shape);
        if shape.len() >= MIN_BYTES {
            self.0.push(shape);
        }
    }

    /// Text, and the same line by line, as programs that fold what they print have it.
    fn folded(&mut self, text: Vec<u8>) {
        let text = Zeroizing::new(text);
        for width in WIDTHS {
            let lines = text.chunks(width).filter(|_| text.len() > width);
            for line in lines.filter(|line| line.len() >= LINE_MIN_BYTES) {
                self.add(line.to_vec());
            }
        }
        self.add(text.to_vec());
    }

    /// As it is, and escaped for URLs, JSON and shells.
    fn text(&mut self, bytes: &[u8]) {
        self.add(bytes.to_vec());
        for digits in [LOWER, UPPER] {
            for kept in [&b""[..], b"/", b"!'()*", b"!'()*#$&+,/:;=?@"] {
                self.add(percent(bytes, digits, |byte| is_plain(byte, kept)));
            }
            self.add(percent(bytes, digits, |_| false));
            // As forms have it: a blank is a plus sign. Browsers and Java keep the star, Go and Python the tilde.
            let forms: [&dyn Fn(u8) -> bool; 3] = [
                &|byte| is_plain(byte, b" "),
                &|byte| byte != b'~' && is_plain(byte, b"* "),
                &|byte| is_plain(byte, b"* "),
            ];
            for is_kept in forms {
                let mut form = percent(bytes, digits, is_kept);
                form.iter_mut()
                    .filter(|byte| **byte == b' ')
                    .for_each(|byte| *byte = b'+');
                self.add(form);
            }
        }
        self.json(bytes);
        self.shell(bytes);
        for (kept, start) in WORDS {
            self.add(word(bytes, kept, start));
        }
        self.markup(bytes);
    }

    /// As HTML and XML have it, as far as each writer replaces quotes; and in the quotes of YAML and SQL.
    fn markup(&mut self, bytes: &[u8]) {
        for (double, single) in [
            ("\"", "'"),
            ("&quot;", "'"),
            ("&quot;", "&#x27;"),
            ("&quot;", "&#39;"),
            ("&quot;", "&apos;"),
            ("&#34;", "&#39;"),
        ] {
            let mut out = Vec::with_capacity(bytes.len() * 6);
            for byte in bytes {
                match byte {
                    b'&' => out.extend(b"&amp;"),
                    b'<' => out.extend(b"&lt;"),
                    b'>' => out.extend(b"&gt;"),
                    b'"' => out.extend(double.as_bytes()),
                    b'\'' => out.extend(single.as_bytes()),
                    byte => out.push(*byte),
                }
            }
            self.add(out);
        }
        let mut doubled = Vec::with_capacity(bytes.len() * 2);
        for byte in bytes {
            doubled.extend(std::iter::repeat_n(*byte, 1 + usize::from(*byte == b'\'')));
        }
        self.add(doubled);
    }

    /// What `base64` shows of it, wherever in the encoded text it begins: what every such text has in common, and, where
    /// the secret ends the text, its end.
    fn base64(&mut self, bytes: &[u8]) {
        for engine in [STANDARD, URL_SAFE] {
            for (before, mixed) in [(0, 0), (1, 2), (2, 3)] {
                let padded = Zeroizing::new([&vec![0; before][..], bytes].concat());
                let encoded = Zeroizing::new(engine.encode(&*padded).into_bytes());
                let text = encoded.get(mixed..).unwrap_or_default();
                let bare = text.split(|byte| *byte == b'=').next().unwrap_or_default();
                // The last character has bits of what follows.
                let shared = bare.len() - usize::from(padded.len() % 3 != 0);
                self.add(bare.get(..shared).unwrap_or_default().to_vec());
                self.add(bare.to_vec());
                self.folded(text.to_vec());
            }
        }
    }

    /// As JSON writers have it: what must be escaped; beside it what is not ASCII; beside it what HTML reads; and slashes.
    fn json(&mut self, bytes: &[u8]) {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return;
        };
        for digits in [LOWER, UPPER] {
            for (ascii, html, slash) in [
                (false, false, false),
                (true, false, false),
                (false, true, false),
                (true, true, false),
                (true, false, true),
            ] {
                let mut out = Vec::with_capacity(text.len() * 6);
                for letter in text.chars() {
                    let is_code = letter.is_control()
                        || (ascii && !letter.is_ascii())
                        || (html && "<>&\u{2028}\u{2029}".contains(letter));
                    match letter {
                        '"' | '\\' => out.extend([b'\\', letter as u8]),
                        '/' if slash => out.extend(b"\\/"),
                        '\n' => out.extend(b"\\n"),
                        '\r' => out.extend(b"\\r"),
                        '\t' => out.extend(b"\\t"),
                        '\u{8}' => out.extend(b"\\b"),
                        '\u{c}' => out.extend(b"\\f"),
                        _ if is_code => {
                            for unit in letter.encode_utf16(&mut [0; 2]) {
                                let [high, low] = unit.to_be_bytes();
                                out.extend(b"\\u");
                                out.extend(hex(high, digits).into_iter().chain(hex(low, digits)));
                            }
                        }
                        _ => out.extend(letter.encode_utf8(&mut [0; 4]).as_bytes()),
                    }
                }
                self.add(out);
            }
        }
    }

    /// As shells quote it: in single quotes in two ways, in double quotes, behind backslashes, and in `$'...'`.
    fn shell(&mut self, bytes: &[u8]) {
        let replaced = |with: &dyn Fn(u8) -> Option<Vec<u8>>| -> Vec<u8> {
            let one = |&byte: &u8| with(byte).unwrap_or_else(|| vec![byte]);
            bytes.iter().flat_map(one).collect()
        };
        let behind = |byte: u8| Some(vec![b'\\', byte]);
        self.add(replaced(&|byte| (byte == b'\'').then(|| b"'\\''".to_vec())));
        self.add(replaced(&|byte| {
            (byte == b'\'').then(|| b"'\"'\"'".to_vec())
        }));
        self.add(replaced(&|byte| {
            behind(byte).filter(|_| b"\"$`\\".contains(&byte))
        }));
        self.add(replaced(&|byte| {
            behind(byte).filter(|_| b"\"$`\\!".contains(&byte))
        }));
        // As fish lists variables.
        self.add(replaced(&|byte| behind(byte).filter(|_| byte == b'\\')));
        for kept in [&b"-_./:@%+=,"[..], b"-_./:@%+=,~#", b"_./:@%+,-=]}#"] {
            self.add(replaced(&|byte| {
                behind(byte).filter(|_| byte.is_ascii() && !is_plain(byte, kept))
            }));
        }
        for octal in [false, true] {
            self.add(replaced(&|byte| match byte {
                b'\'' | b'\\' => behind(byte),
                b'\n' => behind(b'n'),
                b'\r' => behind(b'r'),
                b'\t' => behind(b't'),
                0x1b => behind(b'E'),
                0x07 => behind(b'a'),
                0..0x20 | 0x7f => Some(octal_of(byte)),
                0x80.. if octal => Some(octal_of(byte)),
                _ => None,
            }));
        }
    }
}

/// What shells leave as it is in a word with backslashes, beside letters, digits and what is not ASCII; and which of it they
/// do not leave at the beginning: bash (`printf %q`), zsh (`${(q)…}`, with history and without), fish (`string escape`).
const WORDS: [(&[u8], &[u8]); 4] = [
    (b"%+-./:=@_~#", b"~#"),
    (b"%+,-./:=@_~", b"~="),
    (b"!%+,-./:=@_~", b"~="),
    (b"!+,-./:=@^_`", b""),
];

/// A word with backslashes. A tilde behind a colon or an equals sign counts as one at the beginning, where that matters.
fn word(bytes: &[u8], kept: &[u8], not_at_start: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    let mut before = None;
    for &byte in bytes {
        let is_start = match byte {
            b'~' if not_at_start.contains(&b'#') => {
                before.is_none_or(|before| b":=".contains(&before))
            }
            _ => before.is_none(),
        };
        let is_kept = byte.is_ascii_alphanumeric()
            || !byte.is_ascii()
            || (kept.contains(&byte) && !(is_start && not_at_start.contains(&byte)));
        if !is_kept {
            out.push(b'\\');
        }
        out.push(byte);
        before = Some(byte);
    }
    out
}

const LOWER: &[u8; 16] = b"0123456789abcdef";
const UPPER: &[u8; 16] = b"0123456789ABCDEF";

fn hex(byte: u8, digits: &[u8; 16]) -> [u8; 2] {
    let digit = |nibble: u8| digits.get(usize::from(nibble)).copied().unwrap_or(b'0');
    [digit(byte >> 4), digit(byte & 15)]
}

fn octal_of(byte: u8) -> Vec<u8> {
    vec![
        b'\\',
        b'0' + (byte >> 6),
        b'0' + (byte >> 3 & 7),
        b'0' + (byte & 7),
    ]
}

fn is_plain(byte: u8, kept: &[u8]) -> bool {
    byte.is_ascii_alphanumeric() || UNRESERVED.contains(&byte) || kept.contains(&byte)
}

fn percent(bytes: &[u8], digits: &[u8; 16], is_kept: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() * 3);
    for &byte in bytes {
        if is_kept(byte) {
            out.push(byte);
        } else {
            out.push(b'%');
            out.extend(hex(byte, digits));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn has(secret: &[u8], expected: &[&str]) {
        let shapes = shapes(secret);
        for one in expected {
            assert!(
                shapes
                    .iter()
                    .any(|shape| shape.as_slice() == one.as_bytes()),
                "{one:?} is not among {:?}",
                shapes
                    .iter()
                    .map(|shape| String::from_utf8_lossy(shape))
                    .collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn encodings_of_one_line() {
        has(
            b"ghp_secret",
            &["ghp_secret", "6768705f736563726574", "6768705F736563726574"],
        );
        // As `printf 'ghp_secret' | base64` has it, and with one and two letters before it.
        has(
            b"ghp_secret",
            &[
                "Z2hwX3NlY3JldA==",
                "Z2hwX3NlY3JldA",
                "docF9zZWNyZXQ=",
                "naHBfc2VjcmV0",
            ],
        );
        has(
            b"a b/c'd\"\\",
            &[
                "a%20b%2Fc%27d%22%5C",
                "a%20b%2fc%27d%22%5c",
                "a+b%2Fc%27d%22%5C",
                "a%20b/c%27d%22%5C",
            ],
        );
        has(
            b"a b/c'd\"\\",
            &[
                "a b/c'd\\\"\\\\",
                "a b\\/c'd\\\"\\\\",
                "a b/c'\\''d\"\\",
                "a\\ b/c\\'d\\\"\\\\",
            ],
        );
        has(
            b"~p's\"w\\ord$`!<&>/+ #1{x}[y](z);|~*?^=~,:@",
            &[
                "%7Ep%27s%22w%5Cord%24%60%21%3C%26%3E%2F%2B+%231%7Bx%7D%5By%5D%28z%29%3B%7C%7E*%3F%5E%3D%7E%2C%3A%40",
                "~p%27s%22w%5Cord%24%60%21%3C%26%3E%2F%2B+%231%7Bx%7D%5By%5D%28z%29%3B%7C~%2A%3F%5E%3D~%2C%3A%40",
                "\\~p\\'s\\\"w\\\\ord\\$\\`\\!\\<\\&\\>/+\\ #1\\{x\\}\\[y\\]\\(z\\)\\;\\|~\\*\\?\\^=\\~\\,:@",
                "\\~p\\'s\\\"w\\\\ord\\$\\`!\\<\\&\\>/+\\ \\#1\\{x\\}\\[y\\]\\(z\\)\\;\\|~\\*\\?\\^=~,:@",
                "~p&#x27;s&quot;w\\ord$`!&lt;&amp;&gt;/+ #1{x}[y](z);|~*?^=~,:@",
                "~p''s\"w\\ord$`!<&>/+ #1{x}[y](z);|~*?^=~,:@",
            ],
        );
        has(
            b"<\xc3\xa9&>x",
            &[
                "\\u003c\u{e9}\\u0026\\u003ex",
                "<\\u00e9&>x",
                "<\\u00E9&>x",
                "%3C%C3%A9%26%3Ex",
            ],
        );
        has("a\u{1f511}bc".as_bytes(), &["a\\ud83d\\udd11bc"]);
        has(
            b"\xfb\xff\xfe\xfa\xef",
            &["+//++u8=", "-__--u8=", "\\373\\377\\376\\372\\357"],
        );
    }

    #[test]
    fn several_lines_are_one_shape_and_each_its_own() {
        let key = b"-----BEGIN KEY-----\nfirst line of it\nxy\nsecond line\n-----END KEY-----\n";
        has(key, &["first line of it", "second line"]);
        has(
            key,
            &["-----BEGIN KEY-----\r\nfirst line of it\r\nxy\r\nsecond line\r\n-----END KEY-----"],
        );
        has(
            key,
            &["-----BEGIN KEY-----\\nfirst line of it\\nxy\\nsecond line\\n-----END KEY-----"],
        );
        let shapes = shapes(key);
        assert!(
            !shapes
                .iter()
                .any(|shape| shape.starts_with(b"-----") && shape.len() < 30)
        );
        assert!(!shapes.iter().any(|shape| shape.as_slice() == b"xy"));
    }

    #[test]
    fn long_ones_are_folded_as_programs_fold_them() {
        let secret = [b'k'; 100];
        let encoded = STANDARD.encode(secret);
        has(&secret, &[&encoded[..76], &encoded[76..], &encoded[..64]]);
    }

    #[test]
    fn short_ones_have_no_shape() {
        for short in [&b""[..], b"a", b"abc", b"abc\n", b"\r\n\n\n"] {
            assert!(shapes(short).is_empty(), "{short:?}");
        }
        has(b"abcd", &["abcd", "YWJjZA==", "YWJjZ", "61626364"]);
    }
}
