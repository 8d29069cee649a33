//! Which entries a program gets: what the flags say, opened and verified, and the plan made of it.

use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::exec::Args;
use crate::cli::exec::asked::Asked;
use crate::cli::failure::Failure;
use crate::exec::plan;
use crate::exec::plan::Expired;
use crate::exec::plan::Plan;
use crate::exec::plan::Wanted;
use crate::format::Header;
use crate::format::Name;
use crate::format::keys::KeyFile;
use crate::policy::select::DEFAULT_PROFILE;
use crate::policy::select::Filter;
use crate::store;
use crate::store::Entry;
use crate::sys::fs;

/// From this many entries on, opening them is shared among the cores.
const PARALLEL_FROM: usize = 4;

impl Args {
    /// Everything that can refuse, before anything starts.
    pub(super) fn plan(&self, cx: &Context) -> Result<Plan, Failure> {
        let asked = self.asked()?;
        let mut wanted = Vec::new();
        let mut stores: Vec<Option<String>> = vec![None];
        stores.extend(asked.iter().map(|one| one.target.store.clone()));
        stores.sort();
        stores.dedup();
        for store in stores {
            let here: Vec<&Asked> = asked
                .iter()
                .filter(|one| one.target.store == store)
                .collect();
            let filter = self.filter().filter(|_| store.is_none());
            if here.is_empty() && filter.is_none() {
                continue;
            }
            let opened = cx.open(store.as_deref())?;
            let keys = cx.unlock(&opened)?;
            let found = collect(&opened, &keys, &here, filter.as_ref())?;
            wanted.extend(found.into_iter().map(|one| one.of_store(store.as_deref())));
        }
        let expired = match (self.skip_expired, self.allow_expired) {
            (true, _) => Expired::Skip,
            (_, true) => Expired::Allow,
            _ => Expired::Refuse,
        };
        Ok(plan::plan(wanted, cx.env.now, expired)?)
    }

    /// What is chosen beside the entries that flags name; nothing, if there are only those.
    fn filter(&self) -> Option<Filter> {
        let is_narrowed =
            !self.profiles.is_empty() || self.under.is_some() || !self.scopes.is_empty();
        if !is_narrowed && self.names_any() {
            return None;
        }
        let profiles = if is_narrowed {
            self.profiles.clone()
        } else {
            vec![DEFAULT_PROFILE.to_owned()]
        };
        Some(Filter {
            profiles,
            under: self.under.clone(),
            scopes: self.scopes.clone(),
            env: Some(String::new()),
            ..Filter::default()
        })
    }
}

/// Opens what is asked for by name, and what the filter accepts. The index finds candidates; the verified headers decide.
fn collect(
    opened: &Opened,
    keys: &KeyFile,
    asked: &[&Asked],
    filter: Option<&Filter>,
) -> Result<Vec<Wanted>, Failure> {
    let candidates = match filter {
        Some(filter) => candidates(opened, keys, filter)?,
        None => Vec::new(),
    };
    for one in asked {
        if !opened.store.has(&one.target.name)? {
            return Err(Context::no_entry(&opened.store, &one.target.name));
        }
    }
    let names: Vec<&Name> = asked
        .iter()
        .map(|one| &one.target.name)
        .chain(&candidates)
        .collect();
    let entries = fs::parallel(&names, PARALLEL_FROM, |name| opened.store.entry(keys, name));
    let mut wanted = Vec::with_capacity(names.len());
    for (number, entry) in entries.into_iter().enumerate() {
        let Entry { header, secret } = entry?;
        let by_name = asked.get(number);
        if by_name.is_none() && !filter.is_some_and(|filter| is_meant(filter, &header)) {
            continue;
        }
        let variable = by_name.and_then(|one| one.variable.clone());
        wanted.push(Wanted {
            variable,
            header,
            secret,
            way: by_name.map(|one| one.way).unwrap_or_default(),
        });
    }
    Ok(wanted)
}

/// The names that the index, brought up to date, has for a filter.
fn candidates(opened: &Opened, keys: &KeyFile, filter: &Filter) -> Result<Vec<Name>, Failure> {
    let mut catalogue = opened.store.catalogue()?;
    let is_in_folder = |name: &Name| {
        filter
            .under
            .as_ref()
            .is_none_or(|under| name.is_under(under))
    };
    for (name, error) in opened.store.refresh(keys, &mut catalogue)? {
        // Whether it is one of those that are meant, a refused entry cannot say. One that is gone by now is none.
        if is_in_folder(&name) && !matches!(error, store::Error::NoEntry(_)) {
            return Err(
                Failure::from(error).hint("to leave it out, choose entries by name: -e NAME")
            );
        }
    }
    if let Some(name) = opened.store.gone()?.iter().find(|name| is_in_folder(name)) {
        return Err(Context::no_entry(&opened.store, name)
            .hint("to leave it out, choose entries by name: -e NAME"));
    }
    let meant = catalogue
        .known
        .iter()
        .filter(|header| is_meant(filter, header));
    Ok(meant
        .filter_map(|header| Name::parse(&header.name).ok())
        .collect())
}

/// Whether a filter means an entry; the losing side of a merge is never meant.
fn is_meant(filter: &Filter, header: &Header) -> bool {
    filter.accepts(header) && Name::parse(&header.name).is_ok_and(|name| !name.is_conflict())
}
