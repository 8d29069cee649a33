//! A recovery key on paper: its text, and a QR code of half blocks, which a phone reads off a screen or a print.

use qrcode::Color;
use qrcode::EcLevel;
use qrcode::QrCode;
use zeroize::Zeroizing;

use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::secret::Secret;

/// Light modules around the code, which readers need.
const QUIET: usize = 4;

/// Prints the key, once: the text on the first line, the code below.
pub(super) fn print(cx: &mut Context, key: &Secret) -> Outcome {
    let code = QrCode::with_error_correction_level(key.expose(), EcLevel::M);
    let code = code.map_err(|error| Failure::failed(format!("no QR code: {error}")))?;
    let width = code.width();
    let modules = code.to_colors();
    let is_dark = |x: usize, y: usize| {
        let (x, y) = (x.checked_sub(QUIET)?, y.checked_sub(QUIET)?);
        let is_inside = x < width && y < width;
        (is_inside && modules.get(y * width + x) == Some(&Color::Dark)).then_some(())
    };
    let text = blocks(width + 2 * QUIET, |x, y| is_dark(x, y).is_some());
    cx.ui.say(
        "the recovery key follows, this once: write it on paper and keep it away from this machine",
    );
    let page = [key.expose(), b"\n\n", text.as_bytes()].concat();
    cx.ui.secret(&Secret::new(page))?;
    cx.ui
        .say("then prove that what you wrote opens the store: vault members test");
    Ok(0)
}

/// Two rows of modules a line. Light is drawn and dark left out, for light letters on a dark ground; readers take it either
/// way round.
fn blocks(size: usize, is_dark: impl Fn(usize, usize) -> bool) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(size * size * 2));
    for y in (0..size).step_by(2) {
        for x in 0..size {
            text.push(match (is_dark(x, y), y + 1 >= size || is_dark(x, y + 1)) {
                (false, false) => '█',
                (false, true) => '▀',
                (true, false) => '▄',
                (true, true) => ' ',
            });
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_rows_are_one_line() {
        let drawn = blocks(3, |x, y| (x + y) % 2 == 0);
        assert_eq!(*drawn, "▄▀▄\n ▀ \n");
    }
}
