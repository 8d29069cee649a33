//! `vault edit`: metadata and secret in the user's editor, on a file that never reaches a disk.

use std::ffi::OsStr;
use std::ffi::OsString;

use zeroize::Zeroizing;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::context::Target;
use crate::cli::failure::FAILED;
use crate::cli::failure::Failure;
use crate::cli::fields::check_variable;
use crate::format::HEADER_MAX_BYTES;
use crate::format::Header;
use crate::format::Name;
use crate::format::SECRET_MAX_BYTES;
use crate::secret::Secret;
use crate::store::Entry;
use crate::store::keeper::Keeper;
use crate::sys::fs;
use crate::sys::path::programs;
use crate::sys::process;
use crate::sys::process::Variable;
use crate::sys::ram::RamFolder;
use crate::sys::signal::Held;
use crate::sys::unlocks;

/// The file's name in its folder; editors colour TOML.
const FILE: &str = "entry.toml";
/// Most bytes of the edited file.
const FILE_MAX_BYTES: u64 = (HEADER_MAX_BYTES + SECRET_MAX_BYTES) as u64;
/// What parts the metadata from the secret, as a whole line.
const FENCE: &[u8] = b"---\n";
/// Fields that are set by vault and not shown.
const FIXED: [&str; 6] = ["format", "name", "rev", "created", "modified", "sig"];
/// Editors that would keep what was edited, or deleted while editing, in files of their own, and take the words that forbid
/// it. `vim.basic` and its like are what `vi` is on many machines.
const VIMS: [&str; 4] = ["vim", "nvim", "gvim", "rvim"];
const VIM_NO_TRACES: &str = " -n -i NONE -c 'set nobackup nowritebackup noundofile'";

/// Arguments of `edit`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The editor is $VISUAL, $EDITOR or vi. It gets a private file in RAM: the metadata, a line \"---\", and the secret. The name, the
revision and the times are not in it: rename with `vault mv`. Comments are not kept.

Everything after the line \"---\" is the secret. Most editors end a file with a line feed: if the secret had none, that one is
left off. Nothing is written if nothing was changed, if the editor fails, or if the metadata cannot be read; on a terminal
the file can then be opened again. Keep your editor from writing backups elsewhere; vim and neovim are told so.

Examples:
  vault edit github/ci
  EDITOR='code --wait' vault edit work:github/ci")]
pub(crate) struct Args {
    /// The entry: NAME, or STORE:NAME
    #[arg(add = complete::names())]
    name: String,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let target = Target::parse(&self.name)?;
        let opened = cx.open(target.store.as_deref())?;
        if !opened.store.has(&target.name)? {
            let failure = Context::no_entry(&opened.store, &target.name);
            return Err(failure.hint(format!("make it with: vault add {}", target.name)));
        }
        let keys = cx.unlock(&opened)?;
        let entry = opened.store.entry(&keys, &target.name)?;
        check_text(&entry)?;
        let shown = to_text(&entry);
        let mut editing = Editing {
            cx,
            opened: &opened,
            keys: &keys,
            name: &target.name,
            base: entry,
        };
        text(cx, FILE, &shown, |text| editing.save(text))?;
        Ok(0)
    }
}

/// Lets a person edit a text, under a file's name, until something can be made of it or the person gives up.
pub(super) fn text<T>(
    cx: &Context,
    name: &str,
    shown: &Secret,
    mut make: impl FnMut(&Secret) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let io = |error| Failure::failed(format!("cannot make a private file: {error}"));
    // Held before the folder is there until it is gone, however this ends.
    let _held = Held::new().map_err(io)?;
    let runtime = cx.env.var_os("XDG_RUNTIME_DIR").map(std::path::Path::new);
    let folder = RamFolder::create(runtime).map_err(io)?.ok_or_else(no_ram)?;
    let file = folder.write(name, shown).map_err(io)?;
    loop {
        let tried = editor(cx, &file).and_then(|()| {
            let text = folder.read(name, FILE_MAX_BYTES);
            make(&text.map_err(|error| {
                Failure::failed(format!("cannot read the edited file: {error}"))
            })?)
        });
        match tried {
            Ok(made) => return Ok(made),
            Err(failure) => again(cx, failure)?,
        }
    }
}

/// What is being edited, and the entry as it was shown.
struct Editing<'e> {
    cx: &'e Context,
    opened: &'e Opened,
    keys: &'e dyn Keeper,
    name: &'e Name,
    base: Entry,
}

impl Editing<'_> {
    /// Writes what was edited, if it differs and the entry is still what was shown.
    fn save(&mut self, text: &Secret) -> Result<(), Failure> {
        let (header, secret) = from_text(text, &self.base)?;
        if header.env != self.base.header.env
            && let Some(env) = &header.env
        {
            check_variable(env).map_err(|failure| failure.with_code(FAILED))?;
        }
        let mut writer = self.cx.writer(&self.opened.store, self.keys)?;
        let now = self.opened.store.entry(self.keys, self.name)?;
        if now.header != self.base.header || now.secret != self.base.secret {
            self.base = now;
            let text = format!("\"{}\" was changed by another process meanwhile", self.name);
            return Err(Failure::failed(text));
        }
        if header.same_as(&self.base.header) && secret == self.base.secret {
            self.cx.ui.say(&format!("\"{}\" is unchanged", self.name));
            return Ok(());
        }
        writer.put(self.name, header, &secret)?;
        writer.commit(&format!("edit {}", self.name))?;
        self.cx.ui.say(&format!("edited \"{}\"", self.name));
        Ok(())
    }
}

/// Offers to open the file again; otherwise says that what was edited is gone.
fn again(cx: &Context, failure: Failure) -> Result<(), Failure> {
    let discarded =
        |failure: Failure| failure.hint("the entry is as it was; what was edited is discarded");
    if cx.terminal().is_none() {
        return Err(discarded(failure));
    }
    let _ = cx.ui.fail(&failure);
    match cx.confirm("Nothing is saved yet. Open the editor again?") {
        Ok(Some(true)) => Ok(()),
        Ok(_) => Err(discarded(Failure::failed("nothing is changed"))),
        Err(failure) => Err(discarded(failure)),
    }
}

/// Opens the file in the user's editor and waits.
fn editor(cx: &Context, file: &std::path::Path) -> Result<(), Failure> {
    let chosen = cx.env.var_os("VISUAL").or(cx.env.var_os("EDITOR"));
    let path = cx.env.var_os("PATH").unwrap_or_default();
    let editor = without_traces(chosen.unwrap_or(OsStr::new("vi")), path);
    let kept = cx.env.vars.iter().filter(|(key, _)| !unlocks(key));
    let vars: Vec<Variable<'_>> = kept
        .map(|(key, value)| (key.as_os_str(), value.as_os_str()))
        .collect();
    let status = process::edit_file(&editor, file, &vars)
        .map_err(|error| Failure::failed(format!("cannot run the editor: {error}")))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::failed(format!(
        "the editor {} ended with {status}",
        editor.display()
    ))
    .hint("choose another with VISUAL or EDITOR"))
}

/// An editor that is known to keep histories and backups is told not to, by whatever name it is called.
fn without_traces(editor: &OsStr, path: &OsStr) -> OsString {
    let mut line = editor.to_owned();
    let program = editor
        .to_str()
        .and_then(|line| line.split_whitespace().next());
    let real = program.and_then(|program| {
        let found = if program.contains('/') {
            Some(program.into())
        } else {
            programs(program, path).into_iter().next()
        };
        fs::canonical(&found?)
    });
    let is_vim = |name: &str| VIMS.contains(&name) || name.starts_with("vim.");
    let named = program.and_then(|program| program.rsplit('/').next());
    let real = real.as_deref().and_then(|real| real.file_name()?.to_str());
    if named.is_some_and(is_vim) || real.is_some_and(is_vim) {
        line.push(VIM_NO_TRACES);
    }
    line
}

fn no_ram() -> Failure {
    Failure::failed("there is no folder in RAM for the file to edit, and a disk would keep it")
        .hint("change metadata with: vault tag NAME; the secret with: vault add -f NAME")
}

/// Refuses what an editor would spoil.
fn check_text(entry: &Entry) -> Result<(), Failure> {
    let secret = entry.secret.expose();
    if std::str::from_utf8(secret).is_ok() && !secret.contains(&0) {
        return Ok(());
    }
    let name = &entry.header.name;
    Err(
        Failure::failed(format!("the secret of \"{name}\" is not text"))
            .hint(format!(
                "replace it with: vault add -f --from-file FILE {name}"
            ))
            .hint(format!("change its metadata with: vault tag {name}")),
    )
}

/// The file that is edited.
fn to_text(entry: &Entry) -> Secret {
    let lines = entry.header.lines().into_iter();
    let lines = lines.filter(|(key, _)| !FIXED.contains(key));
    let mut header = String::new();
    for (key, value) in lines {
        header.extend([key, " = ", &value, "\n"]);
    }
    for line in &entry.header.unknown {
        header.push_str(line);
        header.push('\n');
    }
    let secret = entry.secret.expose();
    let mut text = Vec::with_capacity(header.len() + FENCE.len() + secret.len());
    text.extend_from_slice(header.as_bytes());
    text.extend_from_slice(FENCE);
    text.extend_from_slice(secret);
    Secret::new(text)
}

/// Header and secret of an edited file; what is not in the file comes from the entry as it was.
fn from_text(text: &Secret, base: &Entry) -> Result<(Header, Secret), Failure> {
    let (header, secret) = split(text.expose()).ok_or_else(|| {
        Failure::failed("the line \"---\" between metadata and secret is missing")
    })?;
    let header =
        std::str::from_utf8(header).map_err(|_| Failure::failed("the metadata is not UTF-8"))?;
    check_fixed(header)?;
    let Header {
        name, rev, created, ..
    } = &base.header;
    // The fields that vault sets come first: a table in the text would swallow what stands after it.
    let fixed = Header {
        name: name.clone(),
        rev: *rev,
        ..Header::default()
    };
    let whole = Zeroizing::new(format!("{}{header}", fixed.to_text()));
    let parsed = Header::parse(&whole).map_err(|refusal| Failure::failed(refusal.reason))?;
    let header = Header {
        created: *created,
        modified: base.header.modified,
        ..parsed
    };
    let ends_with_line_feed = base.secret.expose().ends_with(b"\n");
    let secret = match secret.strip_suffix(b"\n") {
        Some(shorter) if !ends_with_line_feed => shorter,
        _ => secret,
    };
    Ok((header, Secret::copy_of(secret)))
}

/// The parts before and after the first line `---`, whose line feed may be missing at the end of the file.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut start = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let end = start + line.len();
        if line == FENCE || line == b"---" || line == b"---\r\n" {
            return Some((text.get(..start)?, text.get(end..)?));
        }
        start = end;
    }
    None
}

/// Refuses metadata that is no TOML, telling its line in the file, and fields that are not for editing.
fn check_fixed(header: &str) -> Result<(), Failure> {
    let table: toml::Table = header.parse().map_err(|error: toml::de::Error| {
        let before = header.get(..error.span().map_or(0, |span| span.start));
        let line = 1 + before.unwrap_or_default().matches('\n').count();
        let why = error.message().lines().next().unwrap_or_default();
        Failure::failed(format!("line {line} of the metadata is wrong: {why}"))
    })?;
    match FIXED.iter().find(|key| table.contains_key(**key)) {
        Some(key) => Err(Failure::failed(format!(
            "the field \"{key}\" is set by vault and cannot be edited"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(secret: &[u8]) -> Entry {
        let header = Header {
            name: "a".into(),
            rev: 3,
            provider: Some("github".into()),
            created: "2027-01-01T00:00:00Z".parse().ok(),
            modified: "2027-01-02T00:00:00Z".parse().ok(),
            unknown: vec!["x = 1".into()],
            ..Header::default()
        };
        Entry {
            header,
            secret: Secret::copy_of(secret),
        }
    }

    fn edited(old: &[u8], text: &[u8]) -> Result<(Header, Vec<u8>), String> {
        from_text(&Secret::copy_of(text), &entry(old))
            .map(|(header, secret)| (header, secret.expose().to_vec()))
            .map_err(|failure| failure.message)
    }

    #[test]
    fn a_file_that_was_not_edited_says_the_same() {
        for secret in [&b"tok"[..], b"", b"tok\n", b"a\n---\nb", b"\n", b"\n\n"] {
            let base = entry(secret);
            let (header, same) = from_text(&to_text(&base), &base).unwrap();
            assert_eq!((header, same.expose()), (base.header, secret));
        }
        assert_eq!(
            to_text(&entry(b"tok")).expose(),
            b"provider = \"github\"\nx = 1\n---\ntok"
        );
    }

    #[test]
    fn the_line_feed_that_an_editor_adds_is_left_off() {
        let secret = |old: &[u8], new: &[u8]| edited(old, &[b"---\n", new].concat()).unwrap().1;
        assert_eq!(secret(b"tok", b"tok\n"), b"tok");
        assert_eq!(secret(b"tok", b"new\n"), b"new");
        assert_eq!(secret(b"tok", b"new\n\n"), b"new\n");
        assert_eq!(secret(b"tok\n", b"new\n"), b"new\n");
        assert_eq!(secret(b"tok\n", b"new"), b"new");
        assert_eq!(secret(b"", b"\n"), b"");
        assert_eq!(edited(b"", b"---").unwrap().1, b"");
    }

    #[test]
    fn what_cannot_be_saved_is_told() {
        for (text, word) in [
            (&b"provider = \"x\"\n"[..], "---"),
            (b"provider = x\n---\n", "line 1"),
            (b"\nprovider = \"x\"\nscopes = [\n---\n", "line"),
            (b"provider = 1\n---\n", "provider must be a string"),
            (b"rev = 9\n---\n", "\"rev\""),
            (b"[a]\nname = \"b\"\n---\n", ""),
            (b"name = \"b\"\n---\n", "\"name\""),
            (b"\xff\n---\n", "UTF-8"),
        ] {
            match edited(b"tok", text) {
                Err(message) => assert!(message.contains(word), "{message}"),
                // A table is a field that this version does not know.
                Ok((header, _)) => assert!(header.unknown[0].starts_with("a = ")),
            }
        }
    }

    #[test]
    fn only_known_editors_get_more_words() {
        let folder = tempfile::tempdir().unwrap();
        let (real, vi) = (folder.path().join("vim.basic"), folder.path().join("vi"));
        fs::make_private(folder.path())
            .unwrap()
            .replace(std::path::Path::new("vim.basic"), b"")
            .unwrap();
        fs::Dir::open(folder.path())
            .unwrap()
            .set_mode(std::path::Path::new("vim.basic"), 0o700)
            .unwrap();
        std::os::unix::fs::symlink(&real, &vi).unwrap();
        let told = |line: &str| {
            let line = without_traces(OsStr::new(line), folder.path().as_os_str());
            line.to_str().unwrap().contains("-i NONE")
        };
        assert!(!told("nano") && !told("code --wait") && !told("my-vim"));
        assert!(told("/usr/bin/vim") && told("vim -y") && told("vi") && told("vi -u x"));
        assert!(told(vi.to_str().unwrap()));
    }
}
