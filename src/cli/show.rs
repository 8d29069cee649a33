//! `vault show`: what is known about an entry. Also `vault NAME`.

use clap::ArgMatches;
use clap::FromArgMatches;
use serde_json::Value;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::VERBS;
use crate::cli::clipboard;
use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::context::Target;
use crate::cli::context::closest;
use crate::cli::failure::Failure;
use crate::cli::failure::LOCKED;
use crate::cli::failure::NO_ENTRY;
use crate::cli::pick;
use crate::cli::ui::Style;
use crate::cli::view;
use crate::format::Header;
use crate::format::Name;
use crate::policy::release;
use crate::secret::Secret;
use crate::store::offers::Offers;

/// What stands for a secret that is not shown.
pub(crate) const MASK: &str = "********";

/// Arguments of `show`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
While the store is locked and nobody can be asked, the metadata comes from this device's index, and a line says that it was not verified.

Examples:
  vault show github/ci
  vault show --reveal github/ci
  vault show --json github/ci")]
pub(crate) struct Args {
    /// The entry: NAME, or STORE:NAME
    #[arg(add = complete::names())]
    name: Option<String>,
    /// Copy the secret to the clipboard, for 45 seconds
    #[arg(short, long)]
    copy: bool,
    /// Show the secret
    #[arg(long)]
    reveal: bool,
    /// Give the secret out even if it is expired
    #[arg(long)]
    allow_expired: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `vault NAME`: the words that are no command name an entry.
pub(crate) fn bare(word: &str, matches: &ArgMatches, cx: &mut Context) -> Outcome {
    let rest: Vec<_> = matches
        .get_many::<std::ffi::OsString>("")
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    let command =
        <Args as clap::Args>::augment_args(clap::Command::new("show").no_binary_name(true));
    let given = std::iter::once(word.into()).chain(rest);
    let matches = command
        .try_get_matches_from(given)
        .map_err(|error| guess(cx, word, &error.to_string()))?;
    let args =
        Args::from_arg_matches(&matches).map_err(|error| Failure::usage(error.to_string()))?;
    let Ok(target) = Target::parse(word) else {
        return Err(guess(cx, word, ""));
    };
    let opened = cx.open(target.store.as_deref())?;
    if !opened.store.has(&target.name)? {
        let names = opened.store.names()?;
        if names.iter().any(|name| name.is_under(target.name.as_str())) {
            return super::ls::folder(cx, &opened, target.name.as_str());
        }
        return Err(guess(cx, word, ""));
    }
    args.run(cx)
}

/// The failure for a word that is neither command nor entry, with what may have been meant.
fn guess(cx: &Context, word: &str, usage: &str) -> Failure {
    let text = format!(
        "\"{}\" is neither a command nor an entry",
        word.escape_debug()
    );
    let failure = Failure::new(NO_ENTRY, text);
    let verbs = VERBS
        .iter()
        .flat_map(|verb| std::iter::once(&verb.name).chain(verb.aliases))
        .copied();
    if let Some(verb) = closest(word, verbs) {
        return failure.hint(format!("did you mean: vault {verb}"));
    }
    let names = cx
        .open(None)
        .and_then(|opened| Ok(opened.store.names()?))
        .unwrap_or_default();
    match closest(word, names.iter().map(Name::as_str)) {
        Some(name) => failure.hint(format!("did you mean \"{name}\"?")),
        None if usage.is_empty() => failure.hint("all commands: vault --help"),
        None => failure,
    }
}

/// What is shown of the secret.
enum Shown<'s> {
    /// The secret itself.
    Clear(&'s Secret),
    /// How many bytes it has.
    Masked(usize),
    /// Nothing: the store is locked.
    Locked,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let target = match &self.name {
            Some(name) => Target::parse(name)?,
            None => pick::entry(cx)?,
        };
        let opened = cx.open(target.store.as_deref())?;
        if !opened.store.has(&target.name)? {
            return Err(Context::no_entry(&opened.store, &target.name));
        }
        let keys = match cx.unlock(&opened) {
            Ok(keys) => keys,
            Err(failure) if failure.code == LOCKED && !self.reveal && !self.copy => {
                return self.remembered(cx, &opened, &target.name, failure);
            }
            Err(failure) => return Err(failure),
        };
        if !self.reveal && !self.copy {
            let (header, size) = opened.store.look(&keys, &target.name)?;
            self.print(cx, &opened, &header, &Shown::Masked(size));
            return Ok(0);
        }
        let entry = opened.store.entry(&keys, &target.name)?;
        release::check(&entry.header, cx.env.now, self.allow_expired)?;
        if self.copy {
            return clipboard::copy_and_say(cx, &target.name, &entry.secret).map(|()| 0);
        }
        self.print(cx, &opened, &entry.header, &Shown::Clear(&entry.secret));
        Ok(0)
    }
}

impl Args {
    /// Locked: what the index remembers, marked as not verified.
    fn remembered(
        &self,
        cx: &mut Context,
        opened: &Opened,
        name: &Name,
        locked: Failure,
    ) -> Outcome {
        let catalogue = opened.store.catalogue()?;
        let Some(header) = catalogue
            .known
            .iter()
            .find(|header| header.name == name.as_str())
        else {
            return Err(locked);
        };
        self.print(cx, opened, header, &Shown::Locked);
        cx.ui
            .warn("not verified: the store is locked, this is what this device remembers");
        Ok(0)
    }

    fn print(&self, cx: &mut Context, opened: &Opened, header: &Header, secret: &Shown<'_>) {
        let now = cx.env.now;
        // A hint of this device; where it cannot be read there is none.
        let offers = Offers::load(opened.store.state.path());
        let refused = offers.map(|offers| offers.refused()).unwrap_or_default();
        if self.json {
            let mut object = view::json(header, now);
            object.insert(
                "verified".to_owned(),
                Value::from(!matches!(secret, Shown::Locked)),
            );
            view::add_refusals(&mut object, &refused, header);
            if let Shown::Clear(secret) = secret {
                object.insert("secret".to_owned(), json_secret(secret));
            }
            view::print_json(&mut cx.ui, &Value::Object(object));
            return;
        }
        let title = cx.ui.paint(&header.name, Style::Bold).into_owned();
        cx.ui.line(&title);
        let refusals = view::refusals(&refused, header, now).join(", ");
        let refusals = Some(("refused", refusals)).filter(|(_, text)| !text.is_empty());
        for (key, value) in view::rows(header, now).into_iter().chain(refusals) {
            let style = match key {
                "expires" => view::expiry_style(header.expires, now),
                "refused" => Style::Red,
                _ => Style::Plain,
            };
            let key = cx
                .ui
                .paint(&format!("  {key:<12}"), Style::Dim)
                .into_owned();
            let value = cx.ui.paint(&value, style).into_owned();
            cx.ui.line(&format!("{key} {value}"));
        }
        let text = match secret {
            Shown::Clear(secret) => String::from_utf8_lossy(secret.expose())
                .trim_end_matches('\n')
                .to_owned(),
            Shown::Masked(size) => format!("{MASK} ({size} bytes; --reveal shows it)"),
            Shown::Locked => format!("{MASK} (locked)"),
        };
        let key = cx.ui.paint("  secret      ", Style::Dim).into_owned();
        let text = cx.ui.paint(&text, Style::Plain).into_owned();
        cx.ui.line(&format!("{key} {text}"));
        if matches!(secret, Shown::Clear(_)) {
            cx.ui.say("the secret is shown in clear");
        }
    }
}

/// A secret in JSON: text where it is text, else base64 in an object that says so.
pub(crate) fn json_secret(secret: &Secret) -> Value {
    use base64::Engine;
    if let Ok(text) = std::str::from_utf8(secret.expose()) {
        Value::from(text)
    } else {
        let text = base64::engine::general_purpose::STANDARD.encode(secret.expose());
        serde_json::json!({ "base64": text })
    }
}
