//! The names on the path by which other programs call this one.

use std::path::Path;
use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::sys::fs;
use crate::sys::process;

/// Where a user's own programs are, below the home.
const FOLDER: &str = ".local/bin";

/// This program as people call it: the one on the path, which an upgrade replaces, else the file that runs.
pub(super) fn own_path(cx: &Context) -> Result<PathBuf, Failure> {
    let running = process::own_path();
    let running =
        running.map_err(|error| Failure::failed(format!("cannot tell where vault is: {error}")))?;
    let real = fs::canonical(&running);
    let path = cx.env.var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("vault"))
        .find(|one| real.is_some() && fs::canonical(one) == real);
    Ok(found.unwrap_or(running))
}

fn place(cx: &Context, name: &str) -> Result<PathBuf, Failure> {
    let home = cx.env.places.home.as_ref();
    let home = home.ok_or_else(|| Failure::failed("there is no home directory"))?;
    Ok(home.join(FOLDER).join(name))
}

/// The link, if it is ours.
pub(super) fn found(cx: &Context, name: &str) -> Option<PathBuf> {
    let path = place(cx, name).ok()?;
    fs::link_target(&path)?;
    let own = fs::canonical(&process::own_path().ok()?);
    (fs::canonical(&path) == own).then_some(path)
}

/// Makes the link; where it is.
pub(super) fn install(cx: &mut Context, name: &str, dry_run: bool) -> Result<PathBuf, Failure> {
    let (path, own) = (place(cx, name)?, own_path(cx)?);
    cx.ui
        .line(&format!("{} -> {}", path.display(), own.display()));
    if dry_run {
        return Ok(path);
    }
    if found(cx, name).is_none() {
        if fs::kind(&path).is_some() || fs::link_target(&path).is_some() {
            let text = format!("{} is something else, and stays", path.display());
            return Err(Failure::failed(text));
        }
        fs::make_link(&path, &own)?;
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    let paths = cx.env.var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(paths).any(|one| one == folder) {
        cx.ui.warn(&format!(
            "{} is not in PATH, add it there",
            folder.display()
        ));
    }
    Ok(path)
}

/// Takes the link away.
pub(super) fn remove(cx: &mut Context, name: &str) -> Result<(), Failure> {
    match found(cx, name) {
        Some(path) => {
            fs::remove(&path)?;
            cx.ui.say(&format!("removed {}", path.display()));
        }
        None => cx.ui.say("it was not installed"),
    }
    Ok(())
}
