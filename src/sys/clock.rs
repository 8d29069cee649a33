//! The readings of the clocks.
//!
//! Lives here: `now`, and the two clocks that tell how long keys are held. Never here: arithmetic on dates, or a way to move
//! the clock. `Env` calls `now` once a run; every layer above takes time as a value, or a [`Ticks`] that it is given.

use std::time::Duration;

use jiff::Timestamp;

/// The present moment, by the system's clock.
#[allow(clippy::disallowed_methods, reason = "the home of the clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Two clocks that nobody sets: one stands still while the machine is suspended, the other does not.
pub trait Ticks: Send + Sync {
    /// The time that has passed, suspended or not.
    fn passed(&self) -> Duration;

    /// The time that the machine was awake.
    fn awake(&self) -> Duration;
}

/// The machine's own clocks.
#[derive(Clone, Copy, Debug)]
pub struct Machine;

impl Ticks for Machine {
    fn passed(&self) -> Duration {
        reading(PASSED)
    }

    fn awake(&self) -> Duration {
        reading(rustix::time::ClockId::Monotonic)
    }
}

#[cfg(target_os = "linux")]
const PASSED: rustix::time::ClockId = rustix::time::ClockId::Boottime;
// There it counts suspension, too; that the machine slept is not seen by comparing the two.
#[cfg(not(target_os = "linux"))]
const PASSED: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

fn reading(clock: rustix::time::ClockId) -> Duration {
    let time = rustix::time::clock_gettime(clock);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}
