//! Which entry answers a place that asks for a secret; and why the others do not. Pure, and the one way for every helper.
//!
//! Asked twice: of the index, for candidates, and of verified headers, to decide. An entry is for the place of its `url`; without
//! one a token is for its provider's hosts. An entry that is for no place answers none.

use std::cmp::Ordering;

use jiff::SignedDuration;
use jiff::Timestamp;

use crate::format::Header;
use crate::format::Name;
use crate::format::header::DEFAULT_KIND;
use crate::policy::place::Place;
use crate::policy::scope::Provider;
use crate::store::offers::Refused;

/// For how long an entry is passed over that a host has refused.
pub const PASSED_OVER: SignedDuration = SignedDuration::from_mins(10);
/// What begins the protocol of an index that is fetched file by file, as cargo writes it.
pub const SPARSE: &str = "sparse+";
/// Kinds of entries that are nobody's password.
const NO_PASSWORD: [&str; 3] = ["note", "file", "dotfile"];

/// What a program asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where it is wanted. Its path counts only if it is known.
    pub place: Place,
    /// Whether the program says which path: git does with `credential.useHttpPath` only.
    pub knows_path: bool,
    /// Whether it is an index of a registry, which says itself where its token is sent: then an entry answers for this very place
    /// only, since anybody may have an index somewhere on a host.
    pub is_index: bool,
    /// The user that it wants.
    pub username: Option<String>,
}

/// What tells one request's answers apart from another's.
#[derive(Clone, Copy)]
pub struct Circumstances<'c> {
    /// When it is asked.
    pub now: Timestamp,
    /// What hosts have refused.
    pub refused: &'c [Refused],
}

/// How well an entry fits: compared from the first field on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fit {
    /// It is not for one part of the host alone of which nobody knows whether it is meant.
    pub is_certain: bool,
    /// How many components of the path they have in common.
    pub path: usize,
    /// It names the user that is wanted.
    pub is_users: bool,
    /// It names the place itself, and is not only its provider's.
    pub is_own: bool,
}

/// Why an entry does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// It is a losing side of a merge.
    Conflict,
    /// It is a note or a file.
    Kind,
    /// It says of no place that it is for it.
    NoPlace,
    /// Its `url` is no address.
    BadUrl,
    /// It is for other hosts.
    Host(Vec<String>),
    /// It is for another protocol.
    Protocol(String),
    /// It is for another path.
    Path(String),
    /// It is for more than the one index that asks.
    Index,
    /// It is another user's.
    Username(String),
    /// It is expired.
    Expired(Timestamp),
    /// The host has just refused it.
    Refused(Timestamp),
}

/// What answers a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The entry at this place among the headers.
    Entry(usize),
    /// Nothing fits.
    Nothing,
    /// Something would fit, and is expired or has just been refused.
    Unfit(Vec<usize>),
    /// Several fit equally.
    Ambiguous(Vec<usize>),
}

impl Request {
    /// Whether an entry answers, and how well.
    pub fn judge(&self, header: &Header, with: Circumstances<'_>) -> Result<Fit, Misfit> {
        if !Name::parse(&header.name).is_ok_and(|name| !name.is_conflict()) {
            return Err(Misfit::Conflict);
        }
        if NO_PASSWORD.contains(&header.kind()) {
            return Err(Misfit::Kind);
        }
        let fit = self.fit(header)?;
        if let Some(since) = header.expires.filter(|_| header.is_expired(with.now)) {
            return Err(Misfit::Expired(since));
        }
        match self.refusal(header, with) {
            Some(at) if with.now.duration_since(at) < PASSED_OVER => Err(Misfit::Refused(at)),
            _ => Ok(fit),
        }
    }

    /// Whether an entry would answer, if need be at another time: what the index is asked.
    pub fn is_near(&self, header: &Header, with: Circumstances<'_>) -> bool {
        let is_near = || {
            let judged = self.judge(header, with);
            matches!(judged, Ok(_) | Err(Misfit::Expired(_) | Misfit::Refused(_)))
        };
        self.may_be_at(header) && is_near()
    }

    /// Whether an entry's address has the letters of the host in it, if it has one. Most have not, and need not be read.
    fn may_be_at(&self, header: &Header) -> bool {
        let host = self.place.host.as_bytes();
        let has_host = |url: &String| {
            let mut parts = url.as_bytes().windows(host.len().max(1));
            host.is_empty() || parts.any(|part| part.eq_ignore_ascii_case(host))
        };
        header.url.as_ref().is_none_or(has_host)
    }

    /// When the host has refused an entry as it is now, if it has.
    pub fn refusal(&self, header: &Header, with: Circumstances<'_>) -> Option<Timestamp> {
        let host = self.place.authority();
        let is_it = |one: &&Refused| one.is_of(header) && one.host == host && one.at <= with.now;
        with.refused.iter().filter(is_it).map(|one| one.at).max()
    }

    /// The one that answers among some headers, and what was found of each.
    pub fn choose(
        &self,
        headers: &[Header],
        with: Circumstances<'_>,
    ) -> (Choice, Vec<Result<Fit, Misfit>>) {
        let judged: Vec<_> = headers
            .iter()
            .map(|header| self.judge(header, with))
            .collect();
        let fits = |at: &usize| judged.get(*at).and_then(|one| one.as_ref().ok().copied());
        let all = 0..judged.len();
        let best = all.clone().filter_map(|at| fits(&at)).max();
        let chosen: Vec<usize> = match best {
            Some(best) => all.filter(|at| fits(at) == Some(best)).collect(),
            None => Vec::new(),
        };
        let choice = match chosen.as_slice() {
            [] => {
                let near = |one: &Result<Fit, Misfit>| {
                    matches!(one, Err(Misfit::Expired(_) | Misfit::Refused(_)))
                };
                let near: Vec<usize> = (0..judged.len())
                    .filter(|at| judged.get(*at).is_some_and(near))
                    .collect();
                if near.is_empty() {
                    Choice::Nothing
                } else {
                    Choice::Unfit(near)
                }
            }
            [at] => Choice::Entry(*at),
            _ => Choice::Ambiguous(chosen),
        };
        (choice, judged)
    }

    /// Who the answer is for: the entry's user, the one of its address, the one that is asked for, or whom the provider takes
    /// where nobody is named.
    pub fn username(&self, header: &Header) -> Option<String> {
        let of_url = || Place::parse(header.url.as_ref()?).ok()?.1;
        let of_provider = || {
            let provider = Provider::known(header.provider.as_ref()?)?;
            provider.username.clone()
        };
        let own = header.username.clone().or_else(of_url);
        own.or_else(|| self.username.clone()).or_else(of_provider)
    }

    /// Whether place and user fit, whatever the time.
    fn fit(&self, header: &Header) -> Result<Fit, Misfit> {
        let (places, is_own) = places(header)?;
        let mut best: Result<(bool, usize), Misfit> = Err(Misfit::NoPlace);
        for (place, _) in &places {
            let found = self.within(place);
            best = match (best, found) {
                (Ok(one), Ok(other)) => Ok(one.max(other)),
                (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
                (Err(one), Err(other)) => Err(nearer(one, other)),
            };
        }
        let (is_certain, path) = best?;
        if self.is_index && !is_own {
            return Err(Misfit::Index);
        }
        let user = header.username.as_ref();
        let user = user.or_else(|| places.iter().find_map(|(_, user)| user.as_ref()));
        let is_users = match (&self.username, user) {
            (Some(wanted), Some(user)) if wanted != user => {
                return Err(Misfit::Username(user.clone()));
            }
            (Some(_), Some(_)) => true,
            _ => false,
        };
        Ok(Fit {
            is_certain,
            path,
            is_users,
            is_own,
        })
    }

    /// Whether what is asked for lies within a place: with certainty, and how deep.
    fn within(&self, place: &Place) -> Result<(bool, usize), Misfit> {
        if (&place.host, place.port) != (&self.place.host, self.place.port) {
            return Err(Misfit::Host(vec![place.authority()]));
        }
        let protocol = place.protocol.as_str();
        let plain = protocol.strip_prefix(SPARSE).filter(|_| self.is_index);
        if plain.unwrap_or(protocol) != self.place.protocol {
            return Err(Misfit::Protocol(place.protocol.clone()));
        }
        if self.is_index && place.path != self.place.path {
            return Err(Misfit::Index);
        }
        if !self.knows_path {
            return Ok((place.path.is_empty(), 0));
        }
        match place.leads_to(&self.place.path) {
            Some(depth) => Ok((true, depth)),
            None => Err(Misfit::Path(place.path.join("/"))),
        }
    }
}

/// Places, each with the user that its address names.
type Places = Vec<(Place, Option<String>)>;

/// The places an entry is for; and whether it says so itself.
fn places(header: &Header) -> Result<(Places, bool), Misfit> {
    if let Some(url) = &header.url {
        let place = Place::parse(url).map_err(|_| Misfit::BadUrl)?;
        return Ok((vec![place], true));
    }
    let provider = header
        .provider
        .as_ref()
        .filter(|_| header.kind() == DEFAULT_KIND);
    let provider = provider.and_then(|name| Provider::known(name));
    let hosts = provider.map(|one| one.hosts.as_slice()).unwrap_or_default();
    let places: Vec<_> = hosts
        .iter()
        .filter_map(|host| Place::parse(host).ok())
        .collect();
    if places.is_empty() {
        Err(Misfit::NoPlace)
    } else {
        Ok((places, false))
    }
}

/// The reason that says more; of other hosts, all.
fn nearer(one: Misfit, other: Misfit) -> Misfit {
    let rank = |misfit: &Misfit| match misfit {
        Misfit::Path(_) | Misfit::Index => 3,
        Misfit::Protocol(_) => 2,
        Misfit::Host(_) => 1,
        _ => 0,
    };
    match (rank(&one).cmp(&rank(&other)), one, other) {
        (_, Misfit::Host(mut hosts), Misfit::Host(more)) => {
            hosts.extend(more);
            Misfit::Host(hosts)
        }
        (Ordering::Less, _, other) => other,
        (_, one, _) => one,
    }
}

#[cfg(test)]
mod tests;
