//! Taking files from their places: all below a folder, and a template taken back from what was made of it.

use std::path::Path;
use std::path::PathBuf;

use crate::dotfiles::Content;
use crate::dotfiles::Dotfiles;
use crate::dotfiles::Filling;
use crate::dotfiles::Item;
use crate::dotfiles::Problem;
use crate::dotfiles::content::value_of;
use crate::dotfiles::place::earlier;
use crate::dotfiles::target::Target;
use crate::dotfiles::template;
use crate::dotfiles::template::TakenBack;
use crate::format::SECRET_MAX_BYTES;
use crate::secret::Secret;
use crate::sys::fs;
use crate::sys::fs::Kind;
use crate::sys::fs::Stat;
use crate::sys::fs::beneath::Unfit;

/// A file as it is in its place.
pub struct Taken {
    /// Its place.
    pub target: Target,
    /// Its bytes, or what the link says.
    pub bytes: Secret,
    /// Its state.
    pub stat: Stat,
}

/// The template that a file was made of, with the values it was filled in with.
pub struct Base {
    /// Its text, or the file as it was put in place where it is no template.
    pub text: Secret,
    /// The values of its references; none of a file that is no template.
    values: Option<Vec<Secret>>,
}

impl Base {
    /// The template of a changed file.
    pub fn take_back(&self, changed: &Secret) -> Result<TakenBack, Problem> {
        let Some(values) = &self.values else {
            return Ok(TakenBack {
                text: Secret::copy_of(changed.expose()),
                lost: Vec::new(),
            });
        };
        let pieces = template::parse(self.text.expose()).map_err(Problem::Template)?;
        Ok(template::take_back(
            self.text.expose(),
            &pieces,
            values,
            changed.expose(),
        ))
    }
}

impl Dotfiles<'_> {
    /// What is in a place.
    pub fn take(&self, target: &Target) -> Result<Option<Taken>, Problem> {
        let real = self.root.look(target.as_path())?.real;
        let whole = self.root.path().join(real);
        if self.own.iter().any(|own| whole.starts_with(own)) {
            return Err(Problem::Own);
        }
        let read = self.root.read(target.as_path(), SECRET_MAX_BYTES as u64)?;
        Ok(read.map(|(bytes, stat)| Taken {
            target: target.clone(),
            bytes,
            stat,
        }))
    }

    /// The places of all files and links in a folder below the root, or the one place if it is no folder. What is neither, and what
    /// has a name that is no text, is told apart; the program's own files and those of git are passed over.
    pub fn places(&self, below: &Path) -> Result<(Vec<Target>, Vec<PathBuf>), Problem> {
        let target = |path: &Path| Target::parse(path.to_str()?).ok();
        match self.root.look(below) {
            Err(Unfit::Kind(Kind::Folder)) => {}
            Err(unfit) => return Err(unfit.into()),
            Ok(_) => {
                let one = target(below).ok_or_else(|| {
                    Problem::Header("its name cannot be written down: it is no text".to_owned())
                })?;
                return Ok((vec![one], Vec::new()));
            }
        }
        let whole = self.root.path().join(below);
        let is_own = |path: &Path| self.own.iter().any(|own| path.starts_with(own));
        if is_own(&whole) {
            return Err(Problem::Own);
        }
        let found = fs::walk(&whole, &[]);
        let found = found.map_err(|error| Problem::Place(Unfit::Io(error.source)))?;
        let (mut targets, mut odd) = (Vec::new(), Vec::new());
        for one in found {
            let path = below.join(&one.path);
            let is_git = path.components().any(|part| part.as_os_str() == ".git");
            match (one.kind, target(&path)) {
                (Kind::Folder, _) => {}
                _ if is_git || is_own(&self.root.path().join(&path)) => {}
                (Kind::File | Kind::Link, Some(target)) => targets.push(target),
                _ => odd.push(path),
            }
        }
        targets.sort_unstable();
        Ok((targets, odd))
    }

    /// What a dotfile was made of when it was put in place; where that cannot be told, what it would be made of now.
    pub fn base(
        &self,
        item: &Item,
        content: &Content,
        filling: &mut Filling<'_>,
    ) -> Result<Base, Problem> {
        let now = Secret::copy_of(content.source.expose());
        let applied = self.applied_of(&item.name);
        let is_now = |blob: &str| self.blob_of(&item.name) == Some(blob);
        let (text, is_template) = match applied {
            Some(applied) if !is_now(&applied.blob) => {
                match earlier(self.store, filling.keeper(), (&item.name, &applied.blob)) {
                    Some(entry) => (entry.secret, entry.header.template && !entry.header.link),
                    None => (now, content.header.template),
                }
            }
            _ => (now, content.header.template && !content.header.link),
        };
        if !is_template {
            return Ok(Base { text, values: None });
        }
        let pieces = template::parse(text.expose()).map_err(Problem::Template)?;
        let mut values = Vec::new();
        for hole in template::holes(&pieces) {
            let name = &hole.reference.name;
            let needs = applied
                .map(|applied| applied.needs.as_slice())
                .unwrap_or_default();
            let need = needs.iter().find(|(known, _)| known == name.as_str());
            let then = need.and_then(|(_, cipher)| {
                let blob = &cipher.as_ref()?.blob;
                let entry = earlier(self.store, filling.keeper(), (name, blob))?;
                value_of(&entry, hole.reference.field)
            });
            let default = || {
                let is_missing = need.is_some_and(|(_, cipher)| cipher.is_none());
                let default = hole.default.as_ref().filter(|_| is_missing)?;
                Some(Secret::copy_of(default.as_bytes()))
            };
            values.push(match then.or_else(default) {
                Some(value) => value,
                None => filling.value(hole)?,
            });
        }
        Ok(Base {
            text,
            values: Some(values),
        })
    }
}
