//! cargo's config.toml: the providers that it asks for tokens.

use std::path::Path;
use std::path::PathBuf;

use toml_edit::Array;
use toml_edit::DocumentMut;
use toml_edit::Item;
use toml_edit::Table;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::sys::fs;

/// Our provider's name.
const PROVIDER: &str = "cargo-credential-vault";
/// The provider that cargo asks where nothing is set.
const USUAL: &str = "cargo:token";
/// The list of providers, in its table; later ones are asked first.
const TABLE: &str = "registry";
const LIST: &str = "global-credential-providers";
/// Most bytes of the file.
const MAX_BYTES: u64 = 1 << 20;

fn path(cx: &Context) -> PathBuf {
    let home = match (cx.env.var_os("CARGO_HOME"), &cx.env.places.home) {
        (Some(folder), _) => cx.env.absolute(Path::new(folder)),
        (None, Some(home)) => home.join(".cargo"),
        (None, None) => PathBuf::from("/.cargo"),
    };
    let path = home.join("config.toml");
    // Where it is a link, what it points to is meant: people keep their settings elsewhere.
    fs::canonical(&path).unwrap_or(path)
}

fn read(path: &Path) -> Result<DocumentMut, Failure> {
    let bytes = match fs::read(path, MAX_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let text = String::from_utf8_lossy(&bytes);
    let wrong = |_| {
        Failure::failed(format!(
            "{} is not TOML, and stays as it is",
            path.display()
        ))
    };
    text.parse().map_err(wrong)
}

fn write(path: &Path, document: &DocumentMut) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().unwrap_or_default();
    Ok(fs::make_private(folder)?.replace(Path::new(name), document.to_string().as_bytes())?)
}

/// Has cargo ask here first, and then whom it asked before.
pub(super) fn install(cx: &mut Context, dry_run: bool) -> Result<(), Failure> {
    let path = path(cx);
    let mut document = read(&path)?;
    let odd = || Failure::failed(format!("{TABLE}.{LIST} in {} is no list", path.display()));
    let table = document.entry(TABLE).or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(false);
        Item::Table(table)
    });
    let table = table.as_table_like_mut().ok_or_else(odd)?;
    let list = table.entry(LIST).or_insert_with(|| {
        let usual: Array = [USUAL].into_iter().collect();
        toml_edit::value(usual)
    });
    let list = list.as_array_mut().ok_or_else(odd)?;
    if !list.iter().any(|one| one.as_str() == Some(PROVIDER)) {
        list.push(PROVIDER);
    }
    cx.ui.line(&format!(
        "{}: {TABLE}.{LIST} = {}",
        path.display(),
        list.to_string().trim()
    ));
    cx.ui.finish()?;
    if dry_run {
        return Ok(());
    }
    write(&path, &document)?;
    cx.ui
        .say("cargo asks vault now; vault plugins remove cargo takes it back");
    Ok(())
}

/// Takes that back.
pub(super) fn remove(cx: &mut Context) -> Result<(), Failure> {
    let path = path(cx);
    let mut document = read(&path)?;
    let Some(table) = document.get_mut(TABLE).and_then(Item::as_table_like_mut) else {
        return Ok(());
    };
    let Some(list) = table.get_mut(LIST).and_then(Item::as_array_mut) else {
        return Ok(());
    };
    let before = list.len();
    list.retain(|one| one.as_str() != Some(PROVIDER));
    if list.len() == before {
        return Ok(());
    }
    // The list as it is where nobody sets it.
    let is_usual = list.len() == 1 && list.iter().all(|one| one.as_str() == Some(USUAL));
    if list.is_empty() || is_usual {
        table.remove(LIST);
    }
    if table.is_empty() {
        document.remove(TABLE);
    }
    write(&path, &document)?;
    cx.ui.say("cargo asks vault no longer");
    Ok(())
}
