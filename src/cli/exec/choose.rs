//! Which entries a program gets: what is wanted, opened and verified, and the plan made of it.

use std::cell::OnceCell;
use std::collections::HashSet;

use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::exec::selection::Selection;
use crate::cli::exec::source::Absent;
use crate::cli::exec::source::Ask;
use crate::cli::exec::source::Request;
use crate::cli::exec::source::What;
use crate::cli::exec::source::default_of;
use crate::cli::failure::Failure;
use crate::exec::plan;
use crate::exec::plan::Expired;
use crate::exec::plan::Plan;
use crate::exec::plan::Refused;
use crate::exec::plan::Wanted;
use crate::exec::plan::Way;
use crate::exec::reference::Field;
use crate::format::Header;
use crate::format::Name;
use crate::policy::need::Need;
use crate::policy::need::Unmet;
use crate::policy::release;
use crate::policy::scope::Provider;
use crate::policy::select::Filter;
use crate::policy::variable;
use crate::policy::variable::Sieve;
use crate::secret::Secret;
use crate::store;
use crate::store::Entry;
use crate::store::keeper::Keeper;
use crate::sys::fs;

/// From this many entries on, opening them is shared among the cores.
const PARALLEL_FROM: usize = 4;

/// Everything that can refuse, before anything starts.
pub(super) fn plan(
    selection: &Selection,
    cx: &Context,
    streams: Vec<Ask>,
) -> Result<Plan, Failure> {
    cx.learn_providers()?;
    let meant = OnceCell::new();
    let own = || match meant.get() {
        Some(opened) => Ok(opened),
        None => cx.open(None).map(|opened| meant.get_or_init(|| opened)),
    };
    let mut request = Request::of(selection, cx, streams, own)?;
    let mut stores: Vec<Option<String>> =
        request.asks.iter().map(|ask| ask.store.clone()).collect();
    stores.extend(request.filter.as_ref().map(|_| None));
    stores.sort();
    stores.dedup();
    let mut found = Found::default();
    let mut named = Vec::new();
    for store in stores {
        let (here, others): (Vec<Ask>, Vec<Ask>) =
            request.asks.into_iter().partition(|ask| ask.store == store);
        request.asks = others;
        let opened = match &store {
            None => own()?,
            Some(name) => {
                named.push(cx.open(Some(name))?);
                let Some(opened) = named.last() else { continue };
                opened
            }
        };
        let keys = cx.unlock(opened)?;
        let search = Search {
            cx,
            opened,
            label: store.as_deref(),
            keys: &keys,
            filter: request.filter.as_ref().filter(|_| store.is_none()),
            within: &request.within,
            sieve: selection.sieve(),
            expired: selection.expired(),
        };
        search.collect(here, &mut found)?;
    }
    request.plain.append(&mut found.plain);
    let sieve = selection.sieve();
    request.plain.retain(|one| sieve.passes(&one.variable));
    let mut plan = plan::plan(found.wanted, request.plain, cx.env.now, selection.expired())?;
    plan.mask = request.mask;
    plan.skipped.append(&mut found.skipped);
    plan.notes = request.notes;
    plan.notes.append(&mut found.notes);
    if !selection.pristine {
        // The store that is meant counts, too, where only others were named; there may be none.
        let opened = named.iter().chain(own().ok());
        plan.removed = removed(selection, cx, &plan, opened)?;
    }
    Ok(plan)
}

/// What has been found so far.
#[derive(Default)]
struct Found {
    wanted: Vec<Wanted>,
    plain: Vec<plan::Plain>,
    skipped: Vec<String>,
    notes: Vec<String>,
}

/// What has become of one thing that is wanted.
enum Outcome {
    /// It is this.
    Entry(Box<Entry>),
    /// There is none.
    Absent(Failure),
    /// These are expired, and expired ones are left out.
    Skipped(Vec<String>),
}

/// What is looked for in one store.
struct Search<'c> {
    cx: &'c Context,
    opened: &'c Opened,
    /// The store's name, where it was named.
    label: Option<&'c str>,
    keys: &'c dyn Keeper,
    filter: Option<&'c (Filter, String)>,
    within: &'c Filter,
    sieve: Sieve,
    expired: Expired,
}

impl Search<'_> {
    /// Opens what is asked for by name, what may meet a need, and what the filter accepts. The index finds candidates; the
    /// verified headers decide.
    fn collect(&self, asks: Vec<Ask>, found: &mut Found) -> Result<(), Failure> {
        let has_needs = asks.iter().any(|ask| matches!(ask.what, What::Need(_)));
        let known = match (self.filter, has_needs) {
            (None, false) => Vec::new(),
            (filter, _) => self.known(filter.map_or(self.within, |(filter, _)| filter))?,
        };
        let passes = |ask: &Ask| {
            let variable = ask.variable.as_ref();
            variable.is_none_or(|variable| self.sieve.passes(variable))
        };
        let asks: Vec<Ask> = asks.into_iter().filter(passes).collect();
        let outcomes = fs::parallel(&asks, PARALLEL_FROM, |ask| self.find(ask, &known));
        for (ask, outcome) in asks.into_iter().zip(outcomes) {
            match outcome? {
                Outcome::Entry(entry) => self.take(*entry, ask, found),
                Outcome::Absent(failure) => absent(ask, failure, found)?,
                Outcome::Skipped(names) => found.skipped.extend(names),
            }
        }
        self.accepted(&known, found)
    }

    /// The verified entry that is wanted.
    fn find(&self, ask: &Ask, known: &[Header]) -> Result<Outcome, Failure> {
        let store = &self.opened.store;
        match &ask.what {
            What::Entry(name, _) if !store.has(name)? => {
                Ok(Outcome::Absent(Context::no_entry(store, name)))
            }
            What::Entry(name, need) => self.opened(name, ask.field, need.as_ref()),
            What::Need(need) => match self.narrowest(need, known)? {
                Ok(name) => self.opened(&name, ask.field, Some(need)),
                Err(unmet @ Unmet::None(_)) => Ok(Outcome::Absent(unmet.into())),
                Err(Unmet::Expired(_, names)) if self.expired == Expired::Skip => {
                    Ok(Outcome::Skipped(names))
                }
                Err(unmet) => Err(unmet.into()),
            },
        }
    }

    /// An entry, if it suffices. Its secret is opened only where it is handed out: that may ask a person for consent.
    fn opened(&self, name: &Name, field: Field, need: Option<&Need>) -> Result<Outcome, Failure> {
        let store = &self.opened.store;
        let unfit = |header: &Header| need.filter(|need| !need.is_met_by(header));
        let refused = |need: &Need| Failure::from(Unmet::Unfit(need.clone(), name.to_string()));
        let is_opened = field == Field::Secret;
        if need.is_some() || !is_opened {
            let (header, _) = store.look(self.keys, name)?;
            if let Some(need) = unfit(&header) {
                return Err(refused(need));
            }
            if !is_opened {
                let secret = Secret::new(Vec::new());
                return Ok(Outcome::Entry(Box::new(Entry { header, secret })));
            }
        }
        let entry = match self.released(name)? {
            Ok(entry) => entry,
            Err(header) => return Ok(Outcome::Skipped(vec![header.name])),
        };
        match unfit(&entry.header) {
            Some(need) => Err(refused(need)),
            None => Ok(Outcome::Entry(Box::new(entry))),
        }
    }

    /// An entry with its secret; of one that is expired, where such are left out, the header. Where they are refused, nobody is
    /// asked for consent first.
    fn released(&self, name: &Name) -> Result<Result<Entry, Header>, Failure> {
        let (store, now) = (&self.opened.store, self.cx.env.now);
        if self.expired == Expired::Allow {
            return Ok(Ok(store.entry(self.keys, name)?));
        }
        let released = store.entry_unexpired(self.keys, name, now)?;
        let released = released.map_err(|mut header| {
            header.name = plan::in_store(self.label, header.name);
            header
        });
        match released {
            Err(header) if self.expired == Expired::Refuse => {
                Err(Refused::Denied(release::denied(&header, now)).into())
            }
            other => Ok(other),
        }
    }

    /// The narrowest token that meets a need, by the verified headers of all that the index has for it.
    fn narrowest(&self, need: &Need, known: &[Header]) -> Result<Result<Name, Unmet>, Failure> {
        let store = &self.opened.store;
        let fits = |header: &Header| need.is_met_by(header) && self.within.accepts(header);
        let names = names_of(known.iter().filter(|header| fits(header)));
        let headers = fs::parallel(&names, PARALLEL_FROM, |name| store.look(self.keys, name));
        let headers: Vec<(Header, usize)> = headers.into_iter().collect::<Result<_, _>>()?;
        let (names, headers): (Vec<Name>, Vec<&Header>) = names
            .into_iter()
            .zip(headers.iter().map(|(header, _)| header))
            .filter(|(_, header)| fits(header))
            .unzip();
        let allow_expired = self.expired == Expired::Allow;
        let chosen = need.narrowest(&headers, self.cx.env.now, allow_expired);
        Ok(chosen.and_then(|at| {
            let name = names.into_iter().nth(at);
            name.ok_or_else(|| Unmet::None(need.clone()))
        }))
    }

    /// What the filter accepts.
    fn accepted(&self, known: &[Header], found: &mut Found) -> Result<(), Failure> {
        let Some((filter, why)) = self.filter else {
            return Ok(());
        };
        let fits = |header: &Header| {
            let passes = |env: &String| self.sieve.passes(env);
            is_meant(filter, header) && header.env.as_ref().is_none_or(passes)
        };
        let is_skipped =
            |header: &Header| self.expired == Expired::Skip && header.is_expired(self.cx.env.now);
        let (skipped, meant): (Vec<&Header>, Vec<&Header>) = known
            .iter()
            .filter(|header| fits(header))
            .partition(|header| is_skipped(header));
        found
            .skipped
            .extend(skipped.iter().map(|header| header.name.clone()));
        for entry in self.open(meant.into_iter())? {
            let Entry { header, secret } = match entry {
                Ok(entry) => entry,
                Err(header) => {
                    found.skipped.push(header.name);
                    continue;
                }
            };
            if fits(&header) {
                found.wanted.push(Wanted {
                    variable: None,
                    header,
                    secret,
                    field: Field::Secret,
                    why: why.clone(),
                    way: Way::Variable,
                });
            }
        }
        Ok(())
    }

    fn open<'h>(
        &self,
        headers: impl Iterator<Item = &'h Header>,
    ) -> Result<Vec<Result<Entry, Header>>, Failure> {
        let names = names_of(headers);
        let entries = fs::parallel(&names, PARALLEL_FROM, |name| self.released(name));
        entries.into_iter().collect()
    }

    fn take(&self, entry: Entry, ask: Ask, found: &mut Found) {
        let own = || match &ask.what {
            // The variable in which programs expect such a token, where the entry names none.
            What::Need(need) => Provider::named(&need.provider).variables.into_iter().next(),
            What::Entry(..) => None,
        };
        let variable = ask
            .variable
            .or_else(|| entry.header.env.clone())
            .or_else(own);
        let is_stream = matches!(ask.way, Way::Stream(_));
        let passes = |variable: &String| is_stream || self.sieve.passes(variable);
        if !variable.as_ref().is_none_or(passes) {
            return;
        }
        let wanted = Wanted {
            variable,
            header: entry.header,
            secret: entry.secret,
            field: ask.field,
            why: ask.why,
            way: ask.way,
        };
        found.wanted.push(wanted.of_store(ask.store.as_deref()));
    }

    /// The headers that the index, brought up to date, has; those in the folder that is meant must all be readable.
    fn known(&self, filter: &Filter) -> Result<Vec<Header>, Failure> {
        let store = &self.opened.store;
        let mut catalogue = store.catalogue()?;
        let is_in_folder = |name: &Name| {
            let under = filter.under.as_ref();
            under.is_none_or(|under| name.is_under(under))
        };
        let hint = "to leave it out, choose entries by name: -e NAME";
        for (name, error) in store.refresh(self.keys, &mut catalogue)? {
            // Whether it is one of those that are meant, a refused entry cannot say. One that is gone by now is none.
            if is_in_folder(&name) && !matches!(error, store::Error::NoEntry(_)) {
                return Err(Failure::from(error).hint(hint));
            }
        }
        if let Some(name) = store.gone()?.iter().find(|name| is_in_folder(name)) {
            return Err(Context::no_entry(store, name).hint(hint));
        }
        Ok(catalogue.known)
    }
}

/// What becomes of a variable without its entry.
fn absent(ask: Ask, failure: Failure, found: &mut Found) -> Result<(), Failure> {
    let variable = ask.variable.unwrap_or_default();
    match ask.absent {
        Absent::Refuse => return Err(failure),
        Absent::LeaveOut => {
            let note = format!("{variable} is left out: {}", failure.message);
            found.notes.push(note);
        }
        Absent::Default(text) => found.plain.push(default_of(variable, text)),
    }
    Ok(())
}

/// The inherited variables that an entry names although it was not chosen: a stale token is not handed on by chance.
fn removed<'o>(
    selection: &Selection,
    cx: &Context,
    plan: &Plan,
    opened: impl Iterator<Item = &'o Opened>,
) -> Result<Vec<String>, Failure> {
    let inherited: HashSet<&str> = cx
        .env
        .vars
        .iter()
        .filter_map(|(key, _)| key.to_str())
        .filter(|key| !plan.sets(key.as_ref()) && !selection.keep.iter().any(|kept| kept == key))
        .collect();
    let mut removed = Vec::new();
    for opened in opened {
        removed.extend(opened.store.variables(|name| inherited.contains(name))?);
    }
    removed.sort_unstable();
    removed.dedup();
    removed.retain(|name| !variable::is_dangerous(name));
    Ok(removed)
}

fn names_of<'h>(headers: impl Iterator<Item = &'h Header>) -> Vec<Name> {
    headers
        .filter_map(|header| Name::parse(&header.name).ok())
        .collect()
}

/// Whether a filter means an entry; the losing side of a merge is never meant.
fn is_meant(filter: &Filter, header: &Header) -> bool {
    filter.accepts(header) && Name::parse(&header.name).is_ok_and(|name| !name.is_conflict())
}
