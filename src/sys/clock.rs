//! The one reading of the clock.
//!
//! Lives here: `now`. Never here: arithmetic on dates, or a way to move the clock. `Env` calls it once a run; every
//! layer above takes time as a value.

use jiff::Timestamp;

/// The present moment, by the system's clock.
#[allow(clippy::disallowed_methods, reason = "the home of the clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
