//! Choosing one name from many by typing parts of it.
//!
//! Lives here: the fuzzy picker, on the terminal itself, so that stdout and stderr may be pipes. Never here: what happens to
//! the choice. `get` and `show` without a name call it.

use std::io;
use std::io::BufWriter;
use std::time::Duration;

use nucleo_picker::PickerOptions;
use nucleo_picker::error::PickError;
use nucleo_picker::event::Event;
use nucleo_picker::event::EventSource;
use nucleo_picker::event::RecvError;
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
    let keys = Keys::default();
    match picker.pick_with_io(keys, &mut screen) {
        Ok(choice) => Ok(choice.cloned()),
        Err(PickError::UserInterrupted) => Ok(None),
        Err(error) => Err(into_io(error)),
    }
}

/// How many frames Enter waits: in one the letters before it reach the filter, in the next the list is the filtered one.
const ENTER_WAITS_FRAMES: u8 = 2;

/// The keys that are pressed, Enter a little late: typed at once with the letters before it, it takes what they find, and
/// not what was highlighted before.
#[derive(Default)]
struct Keys {
    typed: StdinReader,
    /// Enter was pressed: so many frames are to pass before it counts.
    enter_in: Option<u8>,
}

impl EventSource for Keys {
    type AbortErr = <StdinReader as EventSource>::AbortErr;

    fn recv_timeout(&mut self, wait: Duration) -> Result<Event<Self::AbortErr>, RecvError> {
        match self.enter_in {
            Some(0) => {
                self.enter_in = None;
                return Ok(Event::Select);
            }
            Some(frames) => {
                self.enter_in = Some(frames - 1);
                return Err(RecvError::Timeout);
            }
            None => {}
        }
        match self.typed.recv_timeout(wait)? {
            Event::Select => {
                self.enter_in = Some(ENTER_WAITS_FRAMES - 1);
                Err(RecvError::Timeout)
            }
            event => Ok(event),
        }
    }
}

fn into_io(error: PickError) -> io::Error {
    error.into()
}
