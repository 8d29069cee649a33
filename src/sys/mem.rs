//! Memory that holds secrets: no core dumps, no debugger of the same user, keys out of swap.
//!
//! Lives here: what the process forbids itself when it starts. Never here: a secret. `main` calls it first; `exec`
//! hands the original limits back to the command.

use std::io;

use rustix::process::Resource;
use rustix::process::Rlimit;

/// The resource limits with which the program was started.
#[derive(Clone, Debug)]
pub struct OriginalLimits {
    /// The size of core dumps, in bytes.
    core: Rlimit,
}

/// Forbids core dumps and returns what the limits were: three system calls.
///
/// Only the soft limit is lowered, since a hard limit could not be put back for a command. Linux ignores the limit
/// where a program receives the dumps, so the process is marked as one that must not be dumped as well; this also keeps other
/// processes of the same user from attaching a debugger. That mark ends with `execve`.
pub fn harden() -> io::Result<OriginalLimits> {
    let core = rustix::process::getrlimit(Resource::Core);
    let lowered = Rlimit {
        current: Some(0),
        maximum: core.maximum,
    };
    rustix::process::setrlimit(Resource::Core, lowered)?;
    forbid_dumps()?;
    Ok(OriginalLimits { core })
}

/// From now on a panic prints one line that says where it was, and not what: a message may quote what was being worked on.
pub fn hush_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let line = format!("vault: stopped by a fault of its own at {place}\n");
        // Nobody is left to be told that this failed.
        let _ = std::io::Write::write_all(&mut io::stderr(), line.as_bytes());
    }));
}

#[cfg(target_os = "linux")]
fn forbid_dumps() -> io::Result<()> {
    use rustix::process::DumpableBehavior;
    Ok(rustix::process::set_dumpable_behavior(
        DumpableBehavior::NotDumpable,
    )?)
}

#[cfg(not(target_os = "linux"))]
fn forbid_dumps() -> io::Result<()> {
    // The core limit is all that is offered; it holds there.
    Ok(())
}

impl OriginalLimits {
    /// The limits as they are: for what has hardened nothing and starts no command.
    pub fn unchanged() -> Self {
        Self {
            core: rustix::process::getrlimit(Resource::Core),
        }
    }

    /// Puts the limits back, for a command that is about to replace this process.
    pub fn restore(&self) -> io::Result<()> {
        Ok(rustix::process::setrlimit(Resource::Core, self.core)?)
    }
}

/// Keeps what lies at a place in memory out of swap, for as long as the process lives; false where the limit
/// (`ulimit -l`) forbids that. It is never unlocked: locks do not nest, and another key may lie in the same page.
pub fn lock<T>(place: &[T]) -> bool {
    if size_of_val(place) == 0 {
        return true;
    }
    let locked = region::lock(place.as_ptr(), size_of_val(place));
    locked.map(std::mem::forget).is_ok()
}

/// Raises the limit of open files to `wanted`, or as far as that is allowed; what it is then.
pub fn raise_open_files(wanted: u64) -> usize {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    let current = limit.current.unwrap_or(u64::MAX);
    let raised = Rlimit {
        current: Some(current.max(wanted.min(most))),
        maximum: limit.maximum,
    };
    let now = match rustix::process::setrlimit(Resource::Nofile, raised) {
        Ok(()) => current.max(wanted.min(most)),
        Err(_) => current,
    };
    usize::try_from(now).unwrap_or(usize::MAX)
}

/// Whether the program runs with another user's or group's rights than its caller's. It is not made for that: the
/// caller chooses its variables, its store and the programs it starts.
pub fn is_setuid() -> bool {
    rustix::process::getuid() != rustix::process::geteuid()
        || rustix::process::getgid() != rustix::process::getegid()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Set in the process that panics.
    const PANICS: &str = "AGEVAULT_TEST_PANICS";

    #[test]
    #[allow(clippy::disallowed_methods, reason = "this test starts itself")]
    fn a_panic_tells_where_and_not_what() {
        const PAYLOAD: &str = "what-was-being-worked-on";
        if std::env::var_os(PANICS).is_some() {
            hush_panics();
            panic!("{PAYLOAD}");
        }
        let name = "sys::mem::tests::a_panic_tells_where_and_not_what";
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env(PANICS, "1")
            .output()
            .unwrap();
        assert!(!output.status.success());
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        let line = "vault: stopped by a fault of its own at src/sys/mem.rs:";
        assert_eq!(told.matches(line).count(), 1, "{told}");
        assert!(!told.contains(PAYLOAD), "{told}");
    }

    #[test]
    fn limits_are_lowered_and_put_back() {
        let before = rustix::process::getrlimit(Resource::Core);
        let original = harden().unwrap();
        let hardened = rustix::process::getrlimit(Resource::Core);
        assert_eq!(
            (hardened.current, hardened.maximum),
            (Some(0), before.maximum)
        );
        original.restore().unwrap();
        assert_eq!(rustix::process::getrlimit(Resource::Core), before);
        assert!(!is_setuid());
    }
}
