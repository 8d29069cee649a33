//! `recrypt`: opens, signs and encrypts every entry of the store that is meant, on all cores, and keeps nothing.
//!
//! For benchmarks only: the floor under a new epoch, which has to do at least this.

use std::error::Error;
use std::path::Path;

use agevault::format::document::Domain;
use agevault::session;
use agevault::session::Source;
use agevault::store::Store;
use agevault::store::keeper::Keeper;
use agevault::sys::Env;
use agevault::sys::fs;

fn main() -> Result<(), Box<dyn Error>> {
    let env = std::sync::Arc::new(Env::of_process());
    let usual = env.places.data.join("store");
    let path = env
        .var_os("AGEVAULT_STORE")
        .map_or(usual, |path| env.absolute(Path::new(path)));
    let store = Store::open(&path, &env.places.state, None)?;
    let keys = session::open_keys(&env, &store, &Source::choose(&env, None))?;
    let next = keys.succeed("")?;
    let names = store.names()?;
    let made = fs::parallel(&names, 8, |name| {
        let opened = keys.open(&store.ciphertext(name)?, Domain::Entry)?;
        next.make(&opened.header, &opened.body, Domain::Entry)
    });
    let total: usize = made
        .into_iter()
        .map(|file| file.map(|file| file.len()))
        .sum::<Result<_, _>>()?;
    std::hint::black_box(total);
    Ok(())
}
