//! `vault inject`: a file's references filled in, to another file or to stdout.

use std::path::Path;
use std::path::PathBuf;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::add::from_stdin;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::failure::Failure;
use crate::dotfiles::Filling;
use crate::dotfiles::Problem;
use crate::dotfiles::memory::Facts;
use crate::dotfiles::mode_of;
use crate::dotfiles::template;
use crate::format::SECRET_MAX_BYTES;
use crate::secret::Secret;
use crate::store::keeper::Keeper;
use crate::sys::fs;
use crate::sys::fs::Kind;
use crate::sys::fs::beneath::Root;
use crate::sys::fs::beneath::Unfit;
use crate::sys::fs::beneath::What;
use crate::sys::fs::beneath::Writing;

/// Arguments of `inject`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
A reference is agevault://NAME, or agevault://STORE:NAME, with #FIELD behind it for username, url, description, provider, expires or scopes. In
braces it may have a default and stand for any name: {{agevault://NAME#FIELD:-DEFAULT}}. One final line feed of a secret is left off.

The file is made with mode 600, in one step; where something goes wrong nothing is written. Which entries were filled in is told.

Examples:
  vault inject -i app.conf.in -o app.conf
  vault inject -f --mode 640 -i app.conf.in -o app.conf
  printf 'token=agevault://github/ci' | vault inject")]
pub(crate) struct Args {
    /// The file with the references [default: stdin]
    #[arg(short, long = "in-file", value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    in_file: Option<PathBuf>,
    /// Where the filled-in file goes [default: stdout]
    #[arg(short, long = "out-file", value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    out_file: Option<PathBuf>,
    /// The permission bits of the file that is made
    #[arg(long, value_name = "MODE", requires = "out_file")]
    mode: Option<String>,
    /// Replace a file without asking
    #[arg(short, long)]
    force: bool,
    /// Fill expired entries in, too
    #[arg(long)]
    allow_expired: bool,
    /// Tell which entries would be filled in, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let mode = self.mode.clone();
        let mode = mode_of(&Facts {
            mode,
            ..Facts::default()
        });
        let mode = mode.map_err(|problem| {
            Failure::usage(problem.to_string()).hint("three octal digits, such as 600")
        })?;
        let text = match &self.in_file {
            Some(path) => fs::read_secret(&cx.env.absolute(path), SECRET_MAX_BYTES as u64)?,
            None if cx.env.terminal.stdin => {
                return Err(Failure::usage("there is nothing to fill in")
                    .hint("name a file with -i, or hand the text in on stdin"));
            }
            None => from_stdin()?,
        };
        let (filled, names) = self.filled(cx, &text)?;
        if self.dry_run {
            for name in names {
                let name = cx
                    .ui
                    .paint(&name, crate::cli::ui::Style::Plain)
                    .into_owned();
                cx.ui.line(&name);
            }
            return Ok(0);
        }
        let Some(path) = &self.out_file else {
            cx.ui.secret(&filled)?;
            return Ok(0);
        };
        self.write(cx, &cx.env.absolute(path), (&filled, mode))?;
        let what = match names.as_slice() {
            [] => "no reference".to_owned(),
            names => names.join(", "),
        };
        cx.ui
            .say(&format!("wrote {}: filled in {what}", path.display()));
        Ok(0)
    }
}

impl Args {
    /// The text filled in, and the entries that it took.
    fn filled(&self, cx: &Context, text: &Secret) -> Result<(Secret, Vec<String>), Failure> {
        let of_input = |failure: Failure| {
            let input = self.in_file.as_ref().map(|path| path.display().to_string());
            Failure {
                message: format!(
                    "{}: {}",
                    input.unwrap_or("stdin".to_owned()),
                    failure.message
                ),
                ..failure
            }
        };
        let pieces = template::parse(text.expose());
        let pieces = pieces.map_err(|fault| of_input(Problem::Template(fault).into()))?;
        let mut stores: Vec<(Option<String>, Opened)> = Vec::new();
        let mut names: Vec<String> = Vec::new();
        for hole in template::holes(&pieces) {
            let store = &hole.reference.store;
            if !stores.iter().any(|(known, _)| known == store) {
                stores.push((store.clone(), cx.open(store.as_deref())?));
            }
            let name = hole.reference.to_string();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let mut keys: Vec<Box<dyn Keeper>> = Vec::new();
        for (_, opened) in &stores {
            keys.push(cx.unlock(opened)?);
        }
        let mut fillings: Vec<Filling<'_>> = stores
            .iter()
            .zip(&keys)
            .map(|((_, opened), keys)| {
                Filling::new(&opened.store, keys, cx.env.now, self.allow_expired)
            })
            .collect();
        let mut values = Vec::new();
        for hole in template::holes(&pieces) {
            let all = stores.iter().zip(&mut fillings);
            let mut own = all.filter(|((known, _), _)| *known == hole.reference.store);
            if let Some((_, filling)) = own.next() {
                let value = filling.value(hole);
                values.push(value.map_err(|problem| of_input(problem.into()))?);
            }
        }
        Ok((template::fill(text.expose(), &pieces, &values), names))
    }

    /// Writes the file in one step, over a regular file of this user or nothing.
    fn write(
        &self,
        cx: &Context,
        path: &Path,
        (bytes, mode): (&Secret, u32),
    ) -> Result<(), Failure> {
        let fail = |unfit: Unfit| Failure::failed(format!("{}: {unfit}", path.display()));
        let folder = path.parent().unwrap_or(Path::new("/"));
        let name = path.file_name();
        let name = name.ok_or_else(|| Failure::usage(format!("{} is no file", path.display())))?;
        let root = Root::open(folder)?;
        let seen = root.look(Path::new(name)).map_err(fail)?.stat;
        if seen.is_some_and(|seen| seen.kind == Kind::Link) {
            return Err(Failure::failed(format!(
                "{} is a symbolic link",
                path.display()
            )));
        }
        if seen.is_some() && !self.force {
            let there = format!("{} is there already", path.display());
            match cx.confirm(&format!("{there}. Replace it?"))? {
                Some(true) => {}
                Some(false) => return Err(Failure::failed("nothing is changed")),
                None => return Err(Failure::failed(there).hint("replace it with -f")),
            }
        }
        let what = What::File(bytes, mode);
        let writing = Writing::new(Path::new(name), what, seen);
        let writing = writing.map_err(|error| fail(Unfit::Io(error)))?;
        for done in root.write(&[writing]) {
            done.map_err(fail)?;
        }
        Ok(())
    }
}
