//! How the program is linked.
//!
//! A look-up is over in two milliseconds, and a seventh of that went into relocating the program's own pointers, one by one from a
//! table of 190 KB. Packed (`DT_RELR`) the table has 3 KB. glibc reads it from version 2.36 on, and only if the linker has noted
//! that it must: mold before 2.0 does not, so with mold nothing is packed.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "cargo asks by variables and reads the output; the layers are the program's"
)]

use std::env;
use std::path::Path;
use std::process::Command;

/// The first glibc that reads packed relocations.
const GLIBC: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if is_for_here() && has_unwinder() {
        println!("cargo::rustc-link-lib=static:+whole-archive,-bundle=gcc_eh");
    }
    if is_for_here() && !is_mold() && glibc().is_some_and(|found| found >= GLIBC) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Whether the program will run on a system like this one, with glibc.
fn is_for_here() -> bool {
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let host = env::var("HOST").unwrap_or_default();
    is("TARGET", &host) && is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu")
}

fn is_mold() -> bool {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    flags.contains("mold") || env::var_os("MOLD_PATH").is_some()
}

/// Whether gcc has what unwinds the stack as an archive.
fn has_unwinder() -> bool {
    let said = Command::new("cc")
        .arg("-print-file-name=libgcc_eh.a")
        .output();
    let path = said
        .ok()
        .and_then(|said| String::from_utf8(said.stdout).ok());
    path.is_some_and(|path| Path::new(path.trim()).is_absolute())
}

/// This system's, from `glibc 2.36`.
fn glibc() -> Option<(u32, u32)> {
    let said = Command::new("getconf")
        .arg("GNU_LIBC_VERSION")
        .output()
        .ok()?;
    let text = String::from_utf8(said.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
