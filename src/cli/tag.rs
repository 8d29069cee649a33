//! `vault tag`: metadata changes, the secret stays as it is.

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::add::tell_expiry;
use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::failure::Failure;
use crate::cli::fields::Clearable;
use crate::cli::fields::Fields;
use crate::cli::several;
use crate::format::Header;
use crate::format::Name;

/// Arguments of `tag`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
A list that is given replaces the list that was there. --unset is applied first. Entries that are so already are not written
again; the others of one store are one commit.

Examples:
  vault tag github/ci --expires 90d --scope repo --scope read:org
  vault tag github/ci npm/publish --tag work
  vault tag github/ci --unset expires --unset description")]
pub(crate) struct Args {
    /// The entries: NAME, or STORE:NAME
    #[arg(required = true, add = complete::names())]
    names: Vec<String>,
    /// Clear a field; repeat for more
    #[arg(long, value_name = "FIELD")]
    unset: Vec<Clearable>,
    #[command(flatten)]
    fields: Fields,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        if self.fields.is_empty() && self.unset.is_empty() {
            return Err(Failure::usage("nothing to change is given")
                .hint("name a field, such as --expires 90d, or clear one with --unset FIELD"));
        }
        let groups = several::by_store(&self.names)?;
        let mut stores = Vec::with_capacity(groups.len());
        for (store, names) in groups {
            let opened = cx.open(store.as_deref())?;
            several::check_there(&opened, &names)?;
            stores.push((opened, names));
        }
        for (opened, names) in &stores {
            self.change(cx, opened, names)?;
        }
        Ok(0)
    }
}

impl Args {
    /// Changes the entries of one store, in one commit.
    fn change(&self, cx: &Context, opened: &Opened, names: &[Name]) -> Result<(), Failure> {
        let keys = cx.unlock(opened)?;
        let mut writer = cx.writer(&opened.store, &keys)?;
        let mut changed = Vec::with_capacity(names.len());
        let mut same = Vec::new();
        for name in names {
            let entry = opened.store.entry(&keys, name)?;
            let header = self.applied(cx, &entry.header)?;
            if header.same_as(&entry.header) {
                same.push(name);
                continue;
            }
            if header.expires != entry.header.expires {
                tell_expiry(cx, &header);
            }
            writer.put(name, header, &entry.secret)?;
            changed.push(name.clone());
        }
        if !changed.is_empty() {
            writer.commit(&several::message("tag", &changed))?;
        }
        for name in changed {
            cx.ui.say(&format!("tagged \"{name}\""));
        }
        for name in same {
            cx.ui.say(&format!("\"{name}\" is unchanged"));
        }
        Ok(())
    }

    fn applied(&self, cx: &Context, header: &Header) -> Result<Header, Failure> {
        let mut header = header.clone();
        for field in &self.unset {
            field.clear(&mut header);
        }
        self.fields.apply(&mut header, cx.env.now)?;
        // `--env` alone puts an entry in the default profile, unless to be in none is what was asked for.
        if self.unset.contains(&Clearable::Profiles) && self.fields.profiles.is_empty() {
            header.profiles.clear();
        }
        Ok(header)
    }
}
