//! An entry picked from a list, where none was named.

use crate::cli::context::Context;
use crate::cli::context::Target;
use crate::cli::failure::Failure;
use crate::cli::picker;
use crate::format::Name;

/// Lets the person pick an entry; without a terminal the name is required.
pub(crate) fn entry(cx: &Context) -> Result<Target, Failure> {
    let terminal = cx.terminal().filter(|_| cx.env.terminal.stdin);
    let unnamed = || Failure::usage("which entry? give its name").hint("the names: vault ls");
    let terminal = terminal.ok_or_else(unnamed)?;
    let names = cx.open(None)?.store.names()?;
    if names.is_empty() {
        return Err(
            Failure::failed("the store is empty").hint("put a secret in with: vault add NAME")
        );
    }
    let items: Vec<String> = names.iter().map(Name::to_string).collect();
    let picked = picker::pick(&terminal, items)
        .map_err(|error| Failure::failed(format!("cannot show the list: {error}")))?;
    let picked = picked.ok_or_else(|| Failure::failed("nothing was picked"))?;
    Ok(Target {
        store: None,
        name: Name::parse(&picked)?,
    })
}
