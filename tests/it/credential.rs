//! git's credential helper: the protocol as it is spoken, and real git against a real web server.

mod attacks;
mod protocol;
mod registry;
mod server;
mod settings;
mod web;

use crate::world::Output;
use crate::world::World;

/// One operation of the helper, with what git says on stdin.
pub(crate) fn helper(world: &World, operation: &str, description: &str) -> Output {
    world
        .vault(&["git-credential", operation])
        .stdin(description)
        .run()
}

/// What `get` answers, with exit code 0 and nothing on stderr.
#[track_caller]
pub(crate) fn get(world: &World, description: &str) -> String {
    let output = helper(world, "get", description).ok();
    assert_eq!(output.stderr, "");
    output.text()
}

/// `get` gives nothing, and says why.
#[track_caller]
pub(crate) fn refused(world: &World, description: &str, code: i32, why: &str) {
    let output = helper(world, "get", description).fails_with(code).says(why);
    assert_eq!(output.stdout, b"");
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
}
