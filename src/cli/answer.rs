//! The secret that answers a program's request for a place: the one way for every helper. The index finds candidates, the verified
//! headers decide, and the entry is opened, with a person's consent where it wants that, only then.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::failure::EXPIRED;
use crate::cli::failure::Failure;
use crate::format::Header;
use crate::format::Name;
use crate::format::expiry;
use crate::policy::answer::Choice;
use crate::policy::answer::Circumstances;
use crate::policy::answer::Fit;
use crate::policy::answer::Misfit;
use crate::policy::answer::PASSED_OVER;
use crate::policy::answer::Request;
use crate::policy::place::Place;
use crate::policy::release;
use crate::store;
use crate::store::Entry;
use crate::store::keeper::Keeper;
use crate::store::offers::Offers;
use crate::sys::fs;

/// From this many entries on, opening them is shared among the cores.
const PARALLEL_FROM: usize = 4;

/// An entry that is handed out.
pub(super) struct Given {
    /// The entry.
    pub entry: Entry,
    /// Who it is for.
    pub username: Option<String>,
}

/// The entry that answers, not opened yet.
pub(super) struct Decided {
    /// What is known of it, verified.
    pub header: Header,
    opened: Opened,
    keys: Box<dyn Keeper>,
    offers: Offers,
}

/// How the store is unlocked where there is a candidate.
pub(super) type Unlock = fn(&mut Context, &Opened) -> Result<Box<dyn Keeper>, Failure>;

/// The entry that answers a request, opened; nothing if none does.
pub(super) fn answer(
    cx: &mut Context,
    request: &Request,
    unlock: Unlock,
) -> Result<Option<Given>, Failure> {
    match decide(cx, request, unlock)? {
        Some(decided) => decided.open(cx, request).map(Some),
        None => Ok(None),
    }
}

/// The entry that answers; nothing if none does.
pub(super) fn decide(
    cx: &mut Context,
    request: &Request,
    unlock: Unlock,
) -> Result<Option<Decided>, Failure> {
    cx.learn_providers()?;
    let opened = cx.open(None)?;
    let offers = Offers::load(opened.store.state.path())?;
    let refused = offers.refused();
    let now = cx.env.now;
    let with = Circumstances {
        now,
        refused: &refused,
    };
    let near = |header: &Header| request.is_near(header, with);
    let mut catalogue = opened.store.catalogue_of(near)?;
    if catalogue.known.is_empty() && catalogue.unread.is_empty() {
        return Ok(None);
    }
    let keys = unlock(cx, &opened)?;
    for (_, error) in opened.store.refresh(&keys, &mut catalogue)? {
        cx.ui.warn(&Failure::from(error).message);
    }
    let names = catalogue.known.iter().filter(|header| near(header));
    let names: Vec<Name> = names
        .filter_map(|header| Name::parse(&header.name).ok())
        .collect();
    let mut headers = verified(&opened, &keys, &names)?;
    let (choice, judged) = request.choose(&headers, with);
    match choice {
        Choice::Nothing => Ok(None),
        Choice::Unfit(at) => Err(unfit(request, &headers, &judged, &at, now)),
        Choice::Ambiguous(at) => Err(ambiguous(request, &picked(&headers, &at))),
        Choice::Entry(at) => Ok(Some(Decided {
            header: headers.swap_remove(at),
            opened,
            keys,
            offers,
        })),
    }
}

impl Decided {
    /// Opens it, and notes to whom it is given.
    pub(super) fn open(mut self, cx: &Context, request: &Request) -> Result<Given, Failure> {
        let name = Name::parse(&self.header.name)?;
        let entry = self.opened.store.entry(&self.keys, &name)?;
        let now = cx.env.now;
        let refused = self.offers.refused();
        let with = Circumstances {
            now,
            refused: &refused,
        };
        if request.judge(&entry.header, with).is_err() {
            let text = format!("\"{name}\" was changed by another process meanwhile");
            return Err(Failure::failed(text).hint("run the same again"));
        }
        release::check(&entry.header, now, false)?;
        let host = request.place.authority();
        if let Some(at) = request.refusal(&entry.header, with) {
            let when = expiry::distance(at, now);
            cx.ui.say(&format!(
                "{host} refused \"{name}\" {when}, it is tried again"
            ));
        }
        // A device that can remember nothing hands it out all the same.
        let secret = entry.secret.as_line();
        let _ = self.offers.give(now, &host, &entry.header, secret);
        let username = request.username(&entry.header);
        Ok(Given { entry, username })
    }
}

/// The headers that entries have, as far as they are still there.
pub(super) fn verified(
    opened: &Opened,
    keys: &dyn Keeper,
    names: &[Name],
) -> Result<Vec<Header>, Failure> {
    let looked = fs::parallel(names, PARALLEL_FROM, |name| opened.store.look(keys, name));
    let there = looked.into_iter().filter_map(|looked| match looked {
        Ok((header, _)) => Some(Ok(header)),
        Err(store::Error::NoEntry(_)) => None,
        Err(error) => Some(Err(error.into())),
    });
    there.collect()
}

fn picked<'h>(headers: &'h [Header], at: &[usize]) -> Vec<&'h Header> {
    at.iter().filter_map(|at| headers.get(*at)).collect()
}

/// The failure where what fits is expired, or was refused a moment ago.
fn unfit(
    request: &Request,
    headers: &[Header],
    judged: &[Result<Fit, Misfit>],
    at: &[usize],
    now: Timestamp,
) -> Failure {
    let one = |at: &usize| {
        let header = headers.get(*at)?;
        Some((header, judged.get(*at)?.as_ref().err()?))
    };
    let all: Vec<(&Header, &Misfit)> = at.iter().filter_map(one).collect();
    let why: Vec<String> = all
        .iter()
        .map(|(header, misfit)| format!("\"{}\" {}", header.name, words(misfit, request, now)))
        .collect();
    let is_refused = all
        .iter()
        .any(|(_, misfit)| matches!(misfit, Misfit::Refused(_)));
    let text = why.join(", ");
    let failure = if is_refused {
        Failure::failed(text)
    } else {
        Failure::new(EXPIRED, text)
    };
    match all.first() {
        Some((header, _)) => failure.hint(format!("replace it with: vault add -f {}", header.name)),
        None => failure,
    }
}

/// The failure where several fit equally, and how to settle it.
fn ambiguous(request: &Request, headers: &[&Header]) -> Failure {
    let names: Vec<_> = headers
        .iter()
        .map(|header| format!("\"{}\"", header.name))
        .collect();
    let host = request.place.authority();
    let text = format!(
        "{} fit {host} equally, and none is given",
        names.join(" and ")
    );
    Failure::failed(text).hint(settle(request, headers))
}

/// How to settle which one of several is meant.
pub(super) fn settle(request: &Request, headers: &[&Header]) -> String {
    let (protocol, host) = (&request.place.protocol, request.place.authority());
    let mut users: Vec<&String> = headers
        .iter()
        .filter_map(|one| one.username.as_ref())
        .collect();
    let named = users.len();
    users.sort_unstable();
    users.dedup();
    let has_path = |header: &&Header| {
        let place = header.url.as_ref();
        let place = place.and_then(|url| Place::parse(url).ok());
        place.is_some_and(|(place, _)| !place.path.is_empty())
    };
    match (users.as_slice(), headers) {
        (_, headers) if !request.knows_path && headers.iter().any(has_path) => format!(
            "let git tell the path too: git config --global credential.{protocol}://{host}.useHttpPath true"
        ),
        ([user, ..], _) if request.username.is_none() && users.len() == named => {
            format!("say which user is meant, in the address: {protocol}://{user}@{host}")
        }
        (_, [first, ..]) => match headers.iter().find(|header| header.url.is_none()) {
            Some(one) => format!(
                "give the one that is meant an address of its own: vault tag {} --url {}",
                one.name, request.place
            ),
            None => format!(
                "tell them apart by their users: vault tag {} --username USER",
                first.name
            ),
        },
        (_, []) => format!("see: vault explain {}", request.place),
    }
}

/// Why an entry does not answer, as the end of a sentence that begins with its name.
pub(super) fn words<'t>(misfit: &Misfit, request: &Request, now: Timestamp) -> Cow<'t, str> {
    match misfit {
        Misfit::Conflict => "is the losing side of a merge".into(),
        Misfit::Kind => "is a note or a file".into(),
        Misfit::NoPlace => "names no url, nor a provider whose hosts are known".into(),
        Misfit::BadUrl => "has a url that is no address".into(),
        Misfit::Host(hosts) => format!("is for {}", hosts.join(", ")).into(),
        Misfit::Protocol(protocol) => format!("is for {protocol}").into(),
        Misfit::Path(path) => format!("is for the path {path}").into(),
        Misfit::Index => {
            "is not for this index alone, which says itself where its token is sent".into()
        }
        Misfit::Username(user) => format!("is for the user {user}").into(),
        Misfit::Expired(since) => {
            let distance = expiry::distance(*since, now);
            format!("expired {distance} (on {})", expiry::show(*since)).into()
        }
        Misfit::Refused(at) => format!(
            "was refused by {} {} and is passed over for {} minutes",
            request.place.authority(),
            expiry::distance(*at, now),
            PASSED_OVER.as_mins()
        )
        .into(),
    }
}
