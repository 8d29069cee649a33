use super::*;

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % limit
    }
}

/// Masking in one piece, by looking for every shape at every place.
fn plainly(secrets: &[&[u8]], stream: &[u8]) -> Vec<u8> {
    let mut is_blank = vec![false; stream.len()];
    for shape in secrets.iter().flat_map(|secret| shapes(secret)) {
        for at in 0..stream.len() {
            if stream[at..].starts_with(&shape) {
                is_blank[at..at + shape.len()].fill(true);
            }
        }
    }
    let mut out = Vec::new();
    for (at, &byte) in stream.iter().enumerate() {
        match (is_blank[at], at > 0 && is_blank[at - 1]) {
            (false, _) => out.push(byte),
            (true, false) => out.extend_from_slice(MASK),
            (true, true) => {}
        }
    }
    out
}

fn in_pieces<'s>(set: &Shapes, pieces: impl Iterator<Item = &'s [u8]>) -> Vec<u8> {
    let mut masker = Masker::new(set);
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(masker.feed(piece));
    }
    out.extend_from_slice(masker.finish());
    out
}

#[track_caller]
fn check(secrets: &[&str], stream: &str, expected: &str) {
    let secrets: Vec<&[u8]> = secrets.iter().map(|one| one.as_bytes()).collect();
    let set = Shapes::of(secrets.iter().copied()).unwrap();
    for size in 1..=stream.len() {
        let got = in_pieces(&set, stream.as_bytes().chunks(size));
        assert_eq!(
            String::from_utf8_lossy(&got),
            expected,
            "in pieces of {size}"
        );
    }
    assert_eq!(plainly(&secrets, stream.as_bytes()), expected.as_bytes());
}

#[test]
fn what_belongs_to_a_secret_is_blanked() {
    check(
        &["hunter2"],
        "it is hunter2, hunter3 and hunter",
        "it is ********, hunter3 and hunter",
    );
    check(&["hunter2"], "hunter2hunter2", "********");
    check(&["hunter2"], "hunthunter2r2", "hunt********r2");
}

#[test]
fn prefixes_nests_and_overlaps() {
    // One is the beginning of another.
    check(
        &["token", "token-long"],
        "token token-lon token-long",
        "******** ********-lon ********",
    );
    // One lies in another, and the outer one is cut short.
    check(
        &["xabcdefx", "abcd"],
        "xabcdefx xabcdef",
        "******** x********ef",
    );
    // They overlap.
    check(&["abcdef", "defghi"], "abcdefghi", "********");
    check(&["abab"], "ababab abab", "******** ********");
    // They touch.
    check(&["first", "second"], "firstsecond", "********");
}

#[test]
fn encoded_ones_are_blanked() {
    let stream =
        "dXNlcjpodW50ZXIyIQ== hunter2! aHVudGVyMiE= 68756e7465723221 %68%75%6e%74%65%72%32%21";
    check(
        &["hunter2!"],
        stream,
        "dXNlcjp******** ******** ******** ******** ********",
    );
    let stream = "Authorization: Basic eDpodW50ZXIyIXg=";
    check(&["hunter2!"], stream, "Authorization: Basic eDp********Xg=");
}

#[test]
fn any_cut_gives_what_one_piece_gives() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for round in 0..400 {
        // Few letters, so that secrets overlap, nest and begin each other.
        let letters = &b"ab\n/%Y"[..2 + numbers.below(5)];
        let mut text = |most: usize| -> Vec<u8> {
            let length = numbers.below(most);
            (0..length)
                .map(|_| letters[numbers.below(letters.len())])
                .collect()
        };
        let most = if round % 2 == 0 { 12 } else { 40 };
        let secrets: Vec<Vec<u8>> = (0..=(round % 5)).map(|_| text(most)).collect();
        let mut stream = text(60);
        for secret in &secrets {
            for shape in shapes(secret).iter().step_by(3) {
                stream.extend_from_slice(&shape[..numbers.below(shape.len() + 1)]);
                stream.extend_from_slice(shape);
                stream.push(b"ab. "[numbers.below(4)]);
            }
        }
        let secrets: Vec<&[u8]> = secrets.iter().map(Vec::as_slice).collect();
        let Some(set) = Shapes::of(secrets.iter().copied()) else {
            continue;
        };
        let expected = plainly(&secrets, &stream);
        assert_eq!(in_pieces(&set, std::iter::once(&stream[..])), expected);
        for size in [1, 2, 3, 7, 64] {
            assert_eq!(in_pieces(&set, stream.chunks(size)), expected, "{size}");
        }
        for _ in 0..8 {
            let mut pieces = Vec::new();
            let mut rest = &stream[..];
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(numbers.below(rest.len() + 1).min(40));
                pieces.push(piece);
                rest = behind;
            }
            assert_eq!(in_pieces(&set, pieces.into_iter()), expected);
        }
    }
}

#[test]
fn many_secrets_are_found_with_and_without_the_table() {
    // Few bytes, then too many for the table.
    for (count, length) in [(60, 8), (60, 900)] {
        let secrets: Vec<String> = (0..count)
            .map(|number: usize| format!("{:x}{}", number * 7919 + 4096, "q".repeat(length)))
            .collect();
        let set = Shapes::of(secrets.iter().map(String::as_bytes)).unwrap();
        assert_eq!(length > 100, matches!(set.0.automaton, Form::Small(_)));
        let stream = secrets.join(" and ");
        let expected = vec!["********"; count].join(" and ");
        for size in [1, 10, 100_000] {
            let got = in_pieces(&set, stream.as_bytes().chunks(size));
            assert_eq!(String::from_utf8_lossy(&got), expected);
        }
    }
}

#[test]
fn nothing_is_held_but_what_may_begin_a_secret() {
    let set = Shapes::of([&b"hunter2"[..]]).unwrap();
    let mut masker = Masker::new(&set);
    assert_eq!(masker.feed(b"Password: "), b"Password: ");
    assert_eq!(masker.feed(b"say hunt"), b"say ");
    assert_eq!(masker.feed(b"s"), b"hunts");
    // A whole secret is told at once.
    assert_eq!(masker.feed(b" hunter2"), b" ********");
    assert!(!masker.holds());
    assert_eq!(masker.feed(b"hun"), b"");
    assert_eq!(masker.finish(), b"hun");
}

#[test]
fn a_pause_shows_no_fourth_byte() {
    let set = Shapes::of([&b"hunter2"[..]]).unwrap();
    let mut masker = Masker::new(&set);
    assert_eq!(masker.feed(b"$ h"), b"$ ");
    assert_eq!(masker.pause(), b"h");
    assert_eq!(masker.feed(b"un"), b"");
    assert_eq!(masker.pause(), b"un");
    assert_eq!(masker.feed(b"te"), b"");
    assert_eq!(masker.pause(), b"");
    assert!(masker.holds());
    assert_eq!(masker.feed(b"r2!"), b"********!");
    assert_eq!(masker.feed(b"hunte"), b"");
    assert_eq!(masker.pause(), b"hun");
    assert_eq!(masker.feed(b"x"), b"tex");
}

#[test]
fn debug_shows_no_byte() {
    assert_eq!(
        format!("{:?}", Shapes::of([&b"hunter2"[..]])),
        "Some(Shapes(..))"
    );
    assert!(Shapes::of([&b"abc"[..], b""]).is_none());
}
