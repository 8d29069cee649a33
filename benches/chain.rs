//! `chain SECRET_FILE COUNT`: puts COUNT sealed commits on the branch of the store that is meant, each adding one entry.
//!
//! For benchmarks only: the program's own way in brings each commit to the disk by itself.

use std::error::Error;
use std::path::Path;

use agevault::format::Header;
use agevault::format::Name;
use agevault::format::document::Domain;
use agevault::format::layout;
use agevault::git::Ident;
use agevault::git::object::commit_text;
use agevault::secret::Secret;
use agevault::session;
use agevault::session::Source;
use agevault::store::Store;
use agevault::store::keeper::Keeper;
use agevault::sys::Env;
use agevault::sys::fs;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, file, count] = args.as_slice() else {
        return Err("usage: chain SECRET_FILE COUNT".into());
    };
    let env = std::sync::Arc::new(Env::of_process());
    let path = env.var_os("AGEVAULT_STORE").ok_or("no store is named")?;
    let store = Store::open(&env.absolute(Path::new(path)), &env.places.state, None)?;
    let keys = session::unlock(&env, &store, &Source::choose(&env, None), "bench")?;
    let repo = store.repo.as_ref().ok_or("the store has no repository")?;
    let secret: Secret = fs::read_secret(Path::new(file), 1 << 20)?;
    let who = Ident::new("Bench", "bench@example.org", env.now.as_second(), 0);
    let head = repo.head()?;
    let mut last = head.commit.ok_or("the store has no commit")?;
    for number in 1..=count.parse::<usize>()? {
        let name = Name::parse(&format!("team{}/token{number:05}", number % 100))?;
        let mut header = Header::new(&name, env.now);
        header.rev = 1;
        let bytes = keys.make(&header.to_text(), &secret, Domain::Entry)?;
        let blob = repo.write_blob(&bytes)?;
        let tree = repo.edit_tree(Some(last), &[(layout::path_of(&name), Some(blob))])?;
        let raw = commit_text(&tree, &[last], &who, &format!("add {name}"));
        last = repo.write_commit(&keys.seal(&raw)?)?;
    }
    repo.move_head(&head, last, &who, "chain")?;
    Ok(())
}
