//! `vault docker-credential`: the credential helper of docker, podman and skopeo, also under the name `docker-credential-vault`.

use serde_json::Map;
use serde_json::Value;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::answer;
use crate::cli::asking;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::failure::FAILED;
use crate::cli::failure::Failure;
use crate::cli::keep;
use crate::cli::keep::Kept;
use crate::plugins::docker;
use crate::plugins::docker::New;
use crate::policy::place::Place;
use crate::secret::Secret;
use crate::store::keeper::Keeper;
use crate::sys::fs;

/// Arguments of `docker-credential`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
docker calls this with a registry on stdin; `vault plugins install docker --host HOST` tells it to. An entry answers for the place of its
url, with its username. docker does not say by which protocol it goes there: a url without one fits, or https.

`store` keeps a password only where the setting on-store is ask or add, and never over an entry; otherwise it fails, so that a login that is not
kept does not look as if it were. `erase` deletes nothing. What fails is said on stdout, where docker reads it.

Called by the name docker-credential-vault it is the same command.

Examples:
  vault plugins install docker --host registry.example
  vault docker-credential list")]
pub(crate) struct Args {
    /// get, store, erase, list or version
    #[arg(value_name = "ACTION")]
    action: String,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let done = match self.action.as_str() {
            "get" => get(cx),
            "store" => store(cx),
            // What is kept here is removed here: vault rm.
            "erase" => read().map(drop),
            "list" => list(cx),
            "version" => {
                cx.ui.line(concat!("vault ", env!("CARGO_PKG_VERSION")));
                Ok(())
            }
            _ => Err(Failure::failed("this action is not known")),
        };
        match done {
            Ok(()) => Ok(0),
            Err(failure) => {
                cx.ui.line(&failure.in_one_line().message);
                Ok(FAILED)
            }
        }
    }
}

fn read() -> Result<Secret, Failure> {
    let read = fs::read_stream(&mut std::io::stdin().lock(), docker::MAX_BYTES);
    read.map_err(|error| Failure::failed(format!("cannot read what is asked: {error}")))
}

fn unlock(cx: &mut Context, opened: &Opened) -> Result<Box<dyn Keeper>, Failure> {
    cx.unlock(opened)
}

fn get(cx: &mut Context) -> Result<(), Failure> {
    let asked = read()?;
    let server = std::str::from_utf8(asked.expose())
        .unwrap_or_default()
        .trim();
    if server.is_empty() {
        return Err(Failure::failed(docker::NO_SERVER));
    }
    let none = || Failure::failed(docker::NOT_FOUND);
    let request = docker::request(server).map_err(|_| none())?;
    let given = answer::answer(cx, &request, unlock)?.ok_or_else(none)?;
    let name = &given.entry.header.name;
    let username = given.username.ok_or_else(|| {
        let failure = Failure::failed(format!("\"{name}\" names no user"));
        failure.hint(format!(
            "give it one with: vault tag {name} --username USER"
        ))
    })?;
    let secret = std::str::from_utf8(given.entry.secret.as_line());
    let secret =
        secret.map_err(|_| Failure::failed(format!("the secret of \"{name}\" is not text")))?;
    cx.ui
        .secret_and(&docker::answer(server, &username, secret), b"\n")
}

fn store(cx: &mut Context) -> Result<(), Failure> {
    let told = read()?;
    let new = New::parse(told.expose());
    let new = new.ok_or_else(|| Failure::failed("what is to be kept is not understood"))?;
    let wrong = |wrong| Failure::failed(format!("the server is no address: {wrong}"));
    let request = docker::request(&new.server).map_err(wrong)?;
    let opened = cx.open(None)?;
    let secret = new.secret();
    let wish = keep::New {
        folder: "docker",
        kind: "password",
        username: Some(&new.username),
        secret: &secret,
        expires: None,
    };
    match keep::keep(cx, &opened, &request, &wish)? {
        Kept::New => Ok(()),
        Kept::Known(name) => keep::check_same(cx, &opened, &name, &secret),
        Kept::Unwanted => Err(keep::unwanted()),
    }
}

/// The registries that entries have a url of, with their users; from the index, nothing is opened.
fn list(cx: &mut Context) -> Result<(), Failure> {
    let opened = cx.open(None)?;
    let known = asking::known(cx, &opened)?.known;
    let place = |url: &String| Place::parse(url).ok().map(|(place, _)| place);
    let rows = known.iter().filter_map(|header| {
        let place = header.url.as_ref().and_then(place)?;
        let user = header.username.clone()?;
        let is_web = place.protocol == "https";
        is_web.then(|| (place.to_string(), Value::from(user)))
    });
    let list: Map<String, Value> = rows.collect();
    cx.ui.line(&Value::Object(list).to_string());
    Ok(())
}
