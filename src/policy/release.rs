//! Whether an entry may be handed out now; and if not, why.

use std::fmt;

use jiff::Timestamp;

use crate::format::Header;
use crate::format::expiry;

/// Why an entry is not handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It has been expired since this instant.
    Expired {
        /// The entry.
        name: String,
        /// Since when.
        since: Timestamp,
        /// Now.
        now: Timestamp,
    },
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { name, since, now } => {
                write!(
                    f,
                    "\"{name}\" expired {} (on {})",
                    expiry::distance(*since, *now),
                    expiry::show(*since)
                )
            }
        }
    }
}

impl std::error::Error for Denied {}

/// An expired entry is handed out only where that was asked for.
pub fn check(header: &Header, now: Timestamp, allow_expired: bool) -> Result<(), Denied> {
    if header.is_expired(now) && !allow_expired {
        Err(denied(header, now))
    } else {
        Ok(())
    }
}

/// The word for an entry that has expired.
pub fn denied(header: &Header, now: Timestamp) -> Denied {
    Denied::Expired {
        name: header.name.clone(),
        since: header.expires.unwrap_or(now),
        now,
    }
}
