//! `vault trust`: this device takes the new keys that another one has made, once a person has compared their fingerprint.

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::failure::REFUSED;
use crate::cli::sync::check_named;
use crate::crypto::sign::parse_fingerprint;
use crate::session;
use crate::session::Source;
use crate::store::Store;
use crate::sync;
use crate::sync::Fetched;
use crate::sync::Remote;
use crate::sync::trust;
use crate::sync::trust::Followed;
use crate::sync::trust::Following;
use crate::sync::trust::Offer;

/// Arguments of `trust`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
When a member was removed, or the keys were replaced, the store is in a new epoch with other keys. A device takes them only when a
person says that they are the right ones: the words are those that `vault status` shows on the device that began the epoch. An
old key, which a member who is gone still has, is not enough.

The new epoch is looked for in the store itself, then at its remote. Everything in it is verified first: that it was made from
the keys that this device knows, each new commit, every entry. What this device had committed and not pushed is encrypted
anew and committed on top.

Examples:
  vault trust
  vault trust correct-horse-battery-staple-able-baby-cable-daily")]
pub(crate) struct Args {
    /// The eight words of the new epoch's fingerprint [default: they are shown, and asked about]
    words: Vec<String>,
    /// Follow it without the commits that this device has taken in from elsewhere and the new epoch was begun without: the
    /// newest of them, as shown
    #[arg(long, value_name = "COMMIT")]
    without: Option<String>,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let site = cx.site(None)?;
        let words = (!self.words.is_empty()).then(|| self.words.join("-"));
        if let Some(hex) = self.without.as_deref() {
            check_named(hex)?;
        }
        if let Some(words) = &words {
            parse_fingerprint(words).map_err(|error| Failure::usage(error.to_string()))?;
        }
        let fetch = |store: &Store| fetch(cx, store);
        let found = trust::find(&site.path, &cx.env.places.state, fetch);
        cx.ui.progress("");
        let Some(offer) = found? else {
            return nothing_new(cx, words.as_deref());
        };
        offer.check(words.as_deref())?;
        if words.is_none() {
            compare(cx, &offer)?;
        }
        let identity = site.identity.or_else(|| offer.store.state.identity());
        let source = Source::choose(&cx.env, identity.as_deref());
        let files = offer.key_files()?;
        let keys = session::open_one_of(&cx.env, &source, &offer.epoch, &files);
        let keys = keys.map_err(|error| match error {
            error @ session::Error::NoKeyFits { .. } => Failure::from(error)
                .hint("or this member was removed: ask the one who began the epoch"),
            error => error.into(),
        })?;
        let number = offer.epoch.number;
        let is_pushed = offer.store.repo.is_some();
        let progress = |done: usize, all: usize| cx.ui.progress_of("verified", done, all);
        let how = Following {
            now: cx.env.now,
            who: cx.author(&offer.store).at(cx.env.now),
            progress: &progress,
            without: self.without.as_deref(),
        };
        let followed = offer.follow(&keys, &how);
        cx.ui.progress("");
        tell(cx, number, &followed?, is_pushed);
        Ok(0)
    }
}

/// What the remote has, if the store has one.
fn fetch(cx: &Context, store: &Store) -> Result<Option<Fetched>, sync::Error> {
    if Remote::all(store)?.is_empty() {
        return Ok(None);
    }
    let remote = Remote::choose(store, None)?;
    let on_wait = || {
        cx.ui
            .say("waiting for another vault to finish talking to the remote");
    };
    let git = cx.git(store.path());
    sync::fetch(
        store,
        &git,
        &remote,
        &mut |text| cx.ui.progress(text),
        on_wait,
    )
    .map(Some)
}

/// There is no other epoch than the one that this device knows.
fn nothing_new(cx: &Context, words: Option<&str>) -> Outcome {
    let store = cx.open(None)?.store;
    let known = store.epoch.fingerprint();
    let given = words.map(parse_fingerprint);
    if given.is_none_or(|given| given.ok().as_ref() == Some(&known)) {
        cx.ui.say(&format!(
            "there is no new epoch: this device knows the store in epoch {}",
            store.epoch.number
        ));
        return Ok(0);
    }
    let text = format!(
        "there is no epoch with these words: this device knows the store in epoch {}",
        store.epoch.number
    );
    Err(Failure::new(REFUSED, text)
        .hint("fetch what others have pushed first, or compare the words once more: vault status"))
}

/// Shows the words; a person compares them.
fn compare(cx: &Context, offer: &Offer) -> Result<(), Failure> {
    let words = offer.epoch.fingerprint();
    let number = offer.epoch.number;
    cx.ui
        .say(&format!("epoch {number} has begun, with new keys: {words}"));
    let question = "Does vault status show these words on the device that began it?";
    match cx.confirm(question)? {
        Some(true) => Ok(()),
        Some(false) => Err(
            Failure::failed("the new keys are not trusted, nothing is changed")
                .hint("somebody else may have made them: ask the other members"),
        ),
        None => Err(
            Failure::new(REFUSED, "nobody has compared the words, nothing is changed").hint(
                "compare them with those on the device that began it, then: vault trust WORDS",
            ),
        ),
    }
}

fn tell(cx: &Context, number: u32, followed: &Followed, has_git: bool) {
    let count = followed.entries;
    cx.ui.say(&format!(
        "this device follows epoch {number} now; everything in it verifies: {count} entries"
    ));
    let carried = &followed.carried;
    for name in &carried.changed {
        cx.ui.say(&format!("carried over: {name}"));
    }
    for name in &carried.removed {
        cx.ui.say(&format!("carried over: {name}, removed"));
    }
    for name in &carried.left_out {
        cx.ui.warn(&format!(
            "{name}: changed from elsewhere in the old epoch, not carried over"
        ));
    }
    for (name, beside) in &carried.beside {
        cx.ui.warn(&format!(
            "{name}: changed from elsewhere in the old epoch and then here; what it was is kept as {beside}: do not use it before you know who made it"
        ));
    }
    for name in &carried.members {
        cx.ui.warn(&format!(
            "the member {name} was added in the old epoch and is not carried over; if that was you: vault members add {name} RECIPIENT"
        ));
    }
    if has_git && !carried.is_empty() {
        cx.ui.say("push it with: vault sync");
    }
    if !followed.left.is_empty() {
        let paths = followed.left.join(", ");
        cx.ui.warn(&format!(
            "{paths}: neither the committed file nor the one before, left as it is (see: vault doctor)"
        ));
    }
}
