//! Choosing one name from many by typing parts of it.
//!
//! Lives here: the fuzzy picker, on the terminal itself, so that stdout and stderr may be pipes. Never here: what happens to
//! the choice. `get` and `show` without a name call it.

use std::io;
use std::io::BufWriter;

use nucleo_picker::PickerOptions;
use nucleo_picker::error::PickError;
use nucleo_picker::event::StdinReader;
use nucleo_picker::render::StrRenderer;

use crate::sys::tty::Terminal;

/// Lets a person choose one of the items; `None` if he leaves with Esc or Ctrl-C.
///
/// The list is shown on the alternate screen, best match first, and is gone afterwards.
pub(super) fn pick(terminal: &Terminal, items: Vec<String>) -> io::Result<Option<String>> {
    let mut picker = PickerOptions::new().match_paths().picker(StrRenderer);
    picker.extend_exact(items);
    let mut screen = BufWriter::new(terminal.handle()?);
    let keys = StdinReader::default();
    match picker.pick_with_io(keys, &mut screen) {
        Ok(choice) => Ok(choice.cloned()),
        Err(PickError::UserInterrupted) => Ok(None),
        Err(error) => Err(into_io(error)),
    }
}

fn into_io(error: PickError) -> io::Error {
    error.into()
}
