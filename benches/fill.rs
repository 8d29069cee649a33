//! `fill SECRET_FILE [--env] [--url] < NAMES`: puts one secret under many names into the store that is meant, in one change.
//!
//! For benchmarks only: the program's own way in is one entry at a time. With `--env` each entry gets a variable, with
//! `--url` a host of its own and a user.

use std::error::Error;
use std::io::BufRead;
use std::path::Path;

use agevault::format::Header;
use agevault::format::Name;
use agevault::git::run::Git;
use agevault::secret::Secret;
use agevault::session;
use agevault::session::Source;
use agevault::store::Store;
use agevault::sys::Env;
use agevault::sys::fs;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let file = args
        .get(1)
        .ok_or("usage: fill SECRET_FILE [--env] [--url]")?;
    let with_variables = args.iter().any(|arg| arg == "--env");
    let with_urls = args.iter().any(|arg| arg == "--url");
    let env = std::sync::Arc::new(Env::of_process());
    let usual = env.places.data.join("store");
    let path = env
        .var_os("AGEVAULT_STORE")
        .map_or(usual, |path| env.absolute(Path::new(path)));
    let store = Store::open(&path, &env.places.state, None)?;
    let keys = session::open_keys(&env, &store, &Source::choose(&env, None))?;
    let secret = fs::read_secret(Path::new(file), 1 << 20)?;
    let author = || Git::new(store.path(), env.vars.iter().cloned()).author();
    let mut writer = store.writer(&keys, env.now, author, || {})?;
    let mut entries = Vec::new();
    for (number, line) in std::io::stdin().lock().lines().enumerate() {
        let name = Name::parse(&line?)?;
        let mut header = Header::new(&name, env.now);
        header.provider = Some("bench".to_owned());
        header.scopes = vec!["repo".to_owned(), "read:org".to_owned()];
        header.tags = vec!["bench".to_owned()];
        let days = i64::try_from(number % 400)? + 1;
        let expires = env.now + jiff::SignedDuration::from_hours(24 * days);
        header.expires = Some(agevault::format::header::whole_seconds(expires));
        if with_variables {
            header.env = Some(format!("TOKEN_{:05}", number + 1));
            header.profiles = vec!["default".to_owned()];
        }
        if with_urls {
            header.url = Some(format!("https://host{:05}.example", number + 1));
            header.username = Some("bench".to_owned());
        }
        entries.push((name, header, Secret::copy_of(secret.expose())));
    }
    writer.put_all(entries)?;
    writer.commit("fill the store")?;
    Ok(())
}
