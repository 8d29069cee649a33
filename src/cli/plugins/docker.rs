//! docker's config.json: which registries it asks the helper for.

use std::path::Path;
use std::path::PathBuf;

use serde_json::Map;
use serde_json::Value;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::policy::place::Place;
use crate::sys::fs;

/// The helper's name, as docker completes it.
const HELPER: &str = "vault";
/// The table of helpers by registry.
const TABLE: &str = "credHelpers";
/// Most bytes of the file.
const MAX_BYTES: u64 = 1 << 20;

fn path(cx: &Context) -> PathBuf {
    let folder = match (cx.env.var_os("DOCKER_CONFIG"), &cx.env.places.home) {
        (Some(folder), _) => cx.env.absolute(Path::new(folder)),
        (None, Some(home)) => home.join(".docker"),
        (None, None) => PathBuf::from("/.docker"),
    };
    let path = folder.join("config.json");
    // Where it is a link, what it points to is meant: people keep their settings elsewhere.
    fs::canonical(&path).unwrap_or(path)
}

/// The file's content; empty where there is none.
fn read(path: &Path) -> Result<Map<String, Value>, Failure> {
    let bytes = match fs::read(path, MAX_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => return Ok(Map::new()),
        Err(error) => return Err(error.into()),
    };
    let read: Result<Map<String, Value>, _> = serde_json::from_slice(&bytes);
    read.map_err(|_| {
        Failure::failed(format!(
            "{} is not JSON, and stays as it is",
            path.display()
        ))
    })
}

fn write(path: &Path, config: &Map<String, Value>) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(config).unwrap_or_default();
    text.push('\n');
    let folder = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().unwrap_or_default();
    Ok(fs::make_private(folder)?.replace(Path::new(name), text.as_bytes())?)
}

/// The registries for which docker asks here.
pub(super) fn hosts(cx: &Context) -> Result<Vec<String>, Failure> {
    let config = read(&path(cx))?;
    let table = config.get(TABLE).and_then(Value::as_object);
    let ours = table
        .into_iter()
        .flatten()
        .filter(|(_, helper)| *helper == HELPER);
    Ok(ours.map(|(host, _)| host.clone()).collect())
}

/// Refuses to be asked for every registry: a login that is not for here would fail.
pub(super) fn check(hosts: &[String]) -> Result<(), Failure> {
    if hosts.is_empty() {
        let failure = Failure::usage("say for which registry");
        return Err(failure.hint("such as: vault plugins install docker --host registry.example"));
    }
    Ok(())
}

/// Has docker ask here for these registries.
pub(super) fn install(cx: &mut Context, hosts: &[String], dry_run: bool) -> Result<(), Failure> {
    let path = path(cx);
    let mut config = read(&path)?;
    let table = config
        .entry(TABLE)
        .or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(table) = table else {
        let text = format!("{TABLE} in {} is no object", path.display());
        return Err(Failure::failed(text));
    };
    for host in hosts {
        let place = Place::parse(host).ok();
        let place = place.filter(|(place, user)| user.is_none() && place.path.is_empty());
        let (place, _) = place
            .ok_or_else(|| Failure::usage(format!("\"{}\" is not a host", host.escape_debug())))?;
        let host = place.authority();
        cx.ui.line(&format!(
            "{}: {TABLE}.\"{host}\" = \"{HELPER}\"",
            path.display()
        ));
        table.insert(host, Value::from(HELPER));
    }
    cx.ui.finish()?;
    if dry_run {
        return Ok(());
    }
    write(&path, &config)?;
    cx.ui
        .say("docker asks vault now; vault plugins remove docker takes it back");
    Ok(())
}

/// Takes that back.
pub(super) fn remove(cx: &mut Context) -> Result<(), Failure> {
    let path = path(cx);
    let mut config = read(&path)?;
    let Some(Value::Object(table)) = config.get_mut(TABLE) else {
        return Ok(());
    };
    let before = table.len();
    table.retain(|_, helper| *helper != HELPER);
    let (is_changed, is_empty) = (table.len() != before, table.is_empty());
    if is_empty {
        config.remove(TABLE);
    }
    if is_changed {
        write(&path, &config)?;
        cx.ui.say("docker asks vault no longer");
    }
    Ok(())
}
