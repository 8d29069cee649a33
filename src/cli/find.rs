//! `vault find`: entries by words in their names and metadata, and by what they are like. Works while the store is locked.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::Value;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::failure::Failure;
use crate::cli::failure::NO_ENTRY;
use crate::cli::ui::Style;
use crate::cli::view;
use crate::format::Header;
use crate::format::Name;
use crate::format::expiry;
use crate::policy::select::Filter;
use crate::store::offers::Offers;
use crate::store::offers::Refused;

/// Arguments of `find`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Every word must be somewhere in the name, description, tags, url or scopes; case does not count. Best first: a whole part of the
name, its beginning, elsewhere in the name, then the other fields in that order. Filters narrow; with one, words are optional.

It works while the store is locked, from what this device has read. Entries that it has not read yet are found by their names
alone, and a line says how many there are.

Examples:
  vault find github
  vault find release --scope repo
  vault find --expiring 30d
  vault find --expired --json")]
pub(crate) struct Args {
    /// What to look for: all of these words
    #[arg(required_unless_present = "filters")]
    words: Vec<String>,
    #[command(flatten)]
    filters: Filters,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What entries are to be like.
#[derive(clap::Args, Debug)]
#[group(id = "filters", multiple = true)]
#[command(next_help_heading = "Filters")]
struct Filters {
    /// Of this provider
    #[arg(long)]
    provider: Option<String>,
    /// With this scope; with several, all of them
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// With this tag; with several, all of them
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// For this environment variable
    #[arg(long, value_name = "VAR")]
    env: Option<String>,
    /// In this profile; with several, in one of them
    #[arg(long = "profile", value_name = "PROFILE")]
    profiles: Vec<String>,
    /// Expiring before this, expired ones included, and those that a host has refused: 30d, 2027-02-20
    #[arg(long, value_name = "WHEN")]
    expiring: Option<String>,
    /// Expired
    #[arg(long)]
    expired: bool,
}

/// An entry that was found.
pub(super) struct Hit {
    /// Lower is better.
    rank: u32,
    pub(super) name: String,
    /// What is known of it; nothing of an entry that was not read.
    pub(super) header: Option<Header>,
    /// What hosts have refused.
    pub(super) refused: Vec<Refused>,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let filter = self.filters.filter(cx.env.now)?;
        let words: Vec<String> = self.words.iter().map(|word| word.to_lowercase()).collect();
        let opened = cx.open(None)?;
        let mut hits = hits(cx, &opened, &filter, &words)?;
        hits.sort_unstable_by(|a, b| (a.rank, &a.name).cmp(&(b.rank, &b.name)));
        if self.json {
            print_json(cx, &hits);
        } else {
            for hit in &hits {
                print(cx, hit);
            }
        }
        if hits.is_empty() {
            cx.ui.finish()?;
            return Err(nothing(&self.words));
        }
        Ok(0)
    }
}

/// What expires before an instant, expired or refused ones included.
pub(super) fn expiring(cx: &mut Context, before: Timestamp) -> Result<Vec<Hit>, Failure> {
    let filter = Filter {
        expiring_before: Some(before),
        ..Filter::default()
    };
    let opened = cx.open(None)?;
    hits(cx, &opened, &filter, &[])
}

/// What fits, from the index; refreshed first where nobody needs to be asked for that.
fn hits(
    cx: &Context,
    opened: &Opened,
    filter: &Filter,
    words: &[String],
) -> Result<Vec<Hit>, Failure> {
    // A hint of this device; where it cannot be read there is none.
    let offers = Offers::load(opened.store.state.path());
    let refused = offers.map(|offers| offers.refused()).unwrap_or_default();
    let of = |header: &Header| -> Vec<Refused> {
        let own = refused.iter().filter(|one| one.is_of(header));
        own.cloned().collect()
    };
    // A refused token must be replaced as soon as one that expires.
    let whenever = Filter {
        expiring_before: None,
        ..filter.clone()
    };
    let is_due = |header: &Header| {
        filter.expiring_before.is_some() && !of(header).is_empty() && whenever.accepts(header)
    };
    let fits = |header: &Header| {
        rank(header, words).is_some() && (filter.accepts(header) || is_due(header))
    };
    let mut catalogue = opened.store.catalogue_of(fits)?;
    if !catalogue.unread.is_empty()
        && let Some(keys) = cx.unlock_silently(opened)
    {
        for (_, error) in opened.store.refresh(&keys, &mut catalogue)? {
            cx.ui.warn(&Failure::from(error).message);
        }
        catalogue.known.retain(fits);
    }
    let mut hits = Vec::with_capacity(catalogue.known.len());
    for header in catalogue.known {
        if let Some(rank) = rank(&header, words) {
            hits.push(Hit {
                rank,
                name: header.name.clone(),
                refused: of(&header),
                header: Some(header),
            });
        }
    }
    let unread = catalogue.unread;
    if !unread.is_empty() {
        let what = match unread.len() {
            1 => "1 entry is".to_owned(),
            count => format!("{count} entries are"),
        };
        cx.ui.say(&format!(
            "{what} not read yet and known by name only; unlocking reads them"
        ));
    }
    // Of an entry that was not read nothing fits a filter.
    if *filter == Filter::default() {
        hits.extend(unread.iter().filter_map(|name| of_name(name, words)));
    }
    Ok(hits)
}

impl Filters {
    fn filter(&self, now: Timestamp) -> Result<Filter, Failure> {
        let expiring_before = match &self.expiring {
            Some(text) => expiry::parse(text, now).map_err(Failure::usage)?,
            None => None,
        };
        if self.expiring.is_some() && expiring_before.is_none() {
            return Err(Failure::usage("--expiring takes a time, such as 30d"));
        }
        Ok(Filter {
            profiles: self.profiles.clone(),
            under: None,
            scopes: self.scopes.clone(),
            tags: self.tags.clone(),
            provider: self.provider.clone(),
            env: self.env.clone(),
            expiring_before,
            expired_at: self.expired.then_some(now),
        })
    }
}

/// How well a field fits, from best to worst.
const COMPONENT: u32 = 0;
const PREFIX: u32 = 1;
const IN_NAME: u32 = 2;
const DESCRIPTION: u32 = 3;
const TAG: u32 = 4;
const URL: u32 = 5;
const SCOPE: u32 = 6;

/// How well an entry fits all the words, given in lower case: the sum over them, lower is better; nothing if one is nowhere.
fn rank(header: &Header, words: &[String]) -> Option<u32> {
    if words.is_empty() {
        return Some(0);
    }
    let name = lower(&header.name);
    let one = |word: &String| rank_name(&name, word).or_else(|| rank_fields(header, word));
    words.iter().map(one).sum()
}

fn of_name(name: &Name, words: &[String]) -> Option<Hit> {
    let lowered = lower(name.as_str());
    let rank = words.iter().map(|word| rank_name(&lowered, word)).sum();
    Option::<u32>::map(rank, |rank| Hit {
        rank,
        name: name.to_string(),
        header: None,
        refused: Vec::new(),
    })
}

fn rank_name(name: &str, word: &str) -> Option<u32> {
    if !name.contains(word) {
        return None;
    }
    let whole = word.trim_matches('/');
    let starts_at_part = |at: usize| at == 0 || name.as_bytes().get(at - 1) == Some(&b'/');
    let ends_at_part = |at: usize| matches!(name.as_bytes().get(at), None | Some(b'/'));
    let mut rank = IN_NAME;
    for (at, _) in name
        .match_indices(whole)
        .filter(|(at, _)| starts_at_part(*at))
    {
        if ends_at_part(at + whole.len()) {
            return Some(COMPONENT);
        }
        rank = PREFIX;
    }
    Some(rank)
}

fn rank_fields(header: &Header, word: &str) -> Option<u32> {
    let has = |text: &String| lower(text).contains(word);
    if header.description.as_ref().is_some_and(has) {
        Some(DESCRIPTION)
    } else if header.tags.iter().any(has) {
        Some(TAG)
    } else if header.url.as_ref().is_some_and(has) {
        Some(URL)
    } else if header.scopes.iter().any(has) {
        Some(SCOPE)
    } else {
        None
    }
}

/// The text in lower case; what is so already is not copied.
fn lower(text: &str) -> Cow<'_, str> {
    let is_lower = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
    if text.bytes().all(is_lower) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.to_lowercase())
    }
}

fn print(cx: &mut Context, hit: &Hit) {
    let name = cx.ui.paint(&hit.name, Style::Plain).into_owned();
    if !cx.ui.is_terminal() {
        cx.ui.line(&name);
        return;
    }
    let mut line = name;
    match &hit.header {
        Some(header) => {
            let about = about(header);
            if !about.is_empty() {
                line = format!("{line}  {}", cx.ui.paint(&about, Style::Dim));
            }
            if let Some(expires) = header.expires {
                let verb = if header.is_expired(cx.env.now) {
                    "expired"
                } else {
                    "expires"
                };
                let when = format!("{verb} {}", expiry::distance(expires, cx.env.now));
                let style = view::expiry_style(header.expires, cx.env.now);
                line = format!("{line}  {}", cx.ui.paint(&when, style));
            }
            for refusal in view::refusals(&hit.refused, header, cx.env.now) {
                let text = format!("refused {refusal}");
                line = format!("{line}  {}", cx.ui.paint(&text, Style::Red));
            }
        }
        None => line = format!("{line}  {}", cx.ui.paint("not read yet", Style::Dim)),
    }
    cx.ui.line(&line);
}

/// What is known of an entry, in a few words.
pub(super) fn about(header: &Header) -> String {
    let scopes = header.scopes.join(" ");
    let parts = [
        header.provider.as_deref(),
        Some(scopes.as_str()).filter(|scopes| !scopes.is_empty()),
        header.description.as_deref(),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

pub(super) fn print_json(cx: &mut Context, hits: &[Hit]) {
    let now = cx.env.now;
    let one = |hit: &Hit| match &hit.header {
        Some(header) => {
            let mut object = view::json(header, now);
            view::add_refusals(&mut object, &hit.refused, header);
            Value::Object(object)
        }
        None => serde_json::json!({ "name": hit.name, "unread": true }),
    };
    let list = Value::Array(hits.iter().map(one).collect());
    view::print_json(&mut cx.ui, &list);
}

fn nothing(words: &[String]) -> Failure {
    let text = if words.is_empty() {
        "no entry is like that".to_owned()
    } else {
        format!(
            "nothing is found for \"{}\"",
            words.join(" ").escape_debug()
        )
    };
    Failure::new(NO_ENTRY, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            name: "github/Release-bot/ci".into(),
            description: Some("the nightly job".into()),
            tags: vec!["Work".into()],
            url: Some("https://example.org".into()),
            scopes: vec!["read:org".into()],
            ..Header::default()
        }
    }

    fn check(words: &[&str], expected: Option<u32>) {
        let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
        assert_eq!(rank(&header(), &words), expected, "{words:?}");
    }

    #[test]
    fn better_places_come_first() {
        check(&["github"], Some(COMPONENT));
        check(&["CI"], Some(COMPONENT));
        check(&["release-bot/ci"], Some(COMPONENT));
        check(&["github/"], Some(COMPONENT));
        check(&["rel"], Some(PREFIX));
        check(&["hub"], Some(IN_NAME));
        check(&["nightly"], Some(DESCRIPTION));
        check(&["work"], Some(TAG));
        check(&["https"], Some(URL));
        check(&["org"], Some(URL));
        check(&["read:"], Some(SCOPE));
        check(&["nowhere"], None);
    }

    #[test]
    fn every_word_counts() {
        check(&["github", "nightly"], Some(COMPONENT + DESCRIPTION));
        check(&["github", "nowhere"], None);
        check(&[], Some(0));
    }

    #[test]
    fn a_name_alone_is_ranked_alike() {
        let name = Name::parse("github/Release-bot/ci").unwrap();
        let rank = |word: &str| of_name(&name, &[word.to_owned()]).map(|hit| hit.rank);
        assert_eq!(rank("ci"), Some(COMPONENT));
        assert_eq!(rank("rel"), Some(PREFIX));
        assert_eq!(rank("work"), None);
    }
}
