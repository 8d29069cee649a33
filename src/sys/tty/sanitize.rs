//! Text of unknown origin, made harmless for a terminal.
//!
//! Lives here: which characters a terminal may get. Never here: the rule for names, which refuses where this escapes.

use std::borrow::Cow;
use std::fmt::Write;

use unicode_properties::GeneralCategory;
use unicode_properties::UnicodeGeneralCategory;

/// The text with what would move the cursor, hide, or turn around other text shown as `\n`, `\t` or `\u{202e}`.
///
/// For showing only: a backslash stays as it is, so the result cannot be turned back.
pub fn sanitize(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            _ if is_harmful(letter) => {
                // Writing into a string does not fail.
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(letter));
            }
            _ => safe.push(letter),
        }
    }
    Cow::Owned(safe)
}

/// Whether a terminal would obey a character, or show nothing for it.
pub fn is_harmful(letter: char) -> bool {
    match letter {
        ' '..='~' => false,
        // Letters by category that show nothing: fillers, a joiner, blanks for Braille and vowels.
        '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{2800}'
        | '\u{3164}'
        | '\u{ffa0}'
        | '\u{e0100}'..='\u{e01ef}' => true,
        _ => matches!(
            letter.general_category(),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
                | GeneralCategory::PrivateUse
                | GeneralCategory::Unassigned
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: &str) {
        assert_eq!(sanitize(input), expected);
    }

    #[test]
    fn ordinary_text_is_untouched() {
        for text in [
            "",
            "github/ci",
            "Gr\u{fc}\u{df}e",
            "\u{65e5}\u{672c}",
            "\u{26a0}\u{fe0f} soon",
            "a\\b",
        ] {
            assert!(matches!(sanitize(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn hostile_text_is_shown_escaped() {
        check("a\x1b]52;c;eA==\x07", "a\\u{1b}]52;c;eA==\\u{7}");
        check("two\nlines\r\tX", "two\\nlines\\r\\tX");
        check("\u{202e}txt.exe", "\\u{202e}txt.exe");
        check(
            "a\u{200b}b\u{2066}\u{feff}",
            "a\\u{200b}b\\u{2066}\\u{feff}",
        );
        check("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}");
        check("\u{3164}\u{e0041}\u{2028}", "\\u{3164}\\u{e0041}\\u{2028}");
    }
}
