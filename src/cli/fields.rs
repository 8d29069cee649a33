//! The metadata flags that `add`, `tag`, `generate` and others share, and what they do to a header.

use jiff::Timestamp;

use crate::cli::complete;
use crate::cli::failure::Failure;
use crate::format::Header;
use crate::format::expiry;
use crate::policy::select::DEFAULT_PROFILE;
use crate::policy::variable;

/// What is known about a secret, as flags.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Metadata")]
pub(super) struct Fields {
    /// Whose token it is, such as github
    #[arg(long, add = complete::providers())]
    pub provider: Option<String>,
    /// What it may do, such as repo or read:org; repeat for more
    #[arg(long = "scope", value_name = "SCOPE", add = complete::scopes())]
    pub scopes: Vec<String>,
    /// When it expires: 2027-02-20, 90d, an RFC 3339 time, or never
    #[arg(long, value_name = "WHEN")]
    pub expires: Option<String>,
    /// The environment variable that `vault exec` puts it into
    #[arg(long, value_name = "VAR", add = complete::variables())]
    pub env: Option<String>,
    /// A profile that `vault exec` chooses by; repeat for more [default: default, where --env is given]
    #[arg(long = "profile", value_name = "PROFILE", add = complete::profiles())]
    pub profiles: Vec<String>,
    /// Who uses it
    #[arg(long)]
    pub username: Option<String>,
    /// Where it is used
    #[arg(long)]
    pub url: Option<String>,
    /// A line for people
    #[arg(long)]
    pub description: Option<String>,
    /// A free word; repeat for more
    #[arg(long = "tag", value_name = "TAG", add = complete::tags())]
    pub tags: Vec<String>,
    /// token, password, note, or another word
    #[arg(long)]
    pub kind: Option<String>,
    /// Ask for consent before each use
    #[arg(long)]
    pub confirm: bool,
}

impl Fields {
    /// Whether no flag was given.
    pub(super) fn is_empty(&self) -> bool {
        let lists = [&self.scopes, &self.profiles, &self.tags];
        let texts = [
            &self.provider,
            &self.expires,
            &self.env,
            &self.username,
            &self.url,
            &self.description,
            &self.kind,
        ];
        !self.confirm
            && lists.iter().all(|list| list.is_empty())
            && texts.iter().all(|text| text.is_none())
    }

    /// Puts what was given into a header; a list replaces the list that was there.
    pub(super) fn apply(&self, header: &mut Header, now: Timestamp) -> Result<(), Failure> {
        if let Some(env) = &self.env {
            check_variable(env)?;
        }
        if let Some(text) = &self.expires {
            header.expires = expiry::parse(text, now).map_err(Failure::usage)?;
        }
        let texts = [
            (&self.provider, &mut header.provider),
            (&self.env, &mut header.env),
            (&self.username, &mut header.username),
            (&self.url, &mut header.url),
            (&self.description, &mut header.description),
            (&self.kind, &mut header.kind),
        ];
        for (given, field) in texts {
            if given.is_some() {
                field.clone_from(given);
            }
        }
        let words = [
            (&self.scopes, "--scope"),
            (&self.profiles, "--profile"),
            (&self.tags, "--tag"),
        ];
        if let Some((_, flag)) = words
            .iter()
            .find(|(list, _)| list.iter().any(String::is_empty))
        {
            return Err(
                Failure::usage(format!("{flag} takes a word, and an empty one is given"))
                    .hint("clear a list with --unset, such as: vault tag NAME --unset scopes"),
            );
        }
        let lists = [
            (&self.scopes, &mut header.scopes),
            (&self.profiles, &mut header.profiles),
            (&self.tags, &mut header.tags),
        ];
        for (given, field) in lists {
            if !given.is_empty() {
                *field = unique(given);
            }
        }
        header.confirm |= self.confirm;
        if self.env.is_some() && header.profiles.is_empty() {
            header.profiles = vec![DEFAULT_PROFILE.to_owned()];
        }
        Ok(())
    }
}

/// Refuses what is no variable, or one that no entry may ever set.
pub(super) fn check_variable(name: &str) -> Result<(), Failure> {
    if !variable::is_name(name) {
        return Err(Failure::usage(format!(
            "\"{}\" is not a variable's name",
            name.escape_debug()
        )));
    }
    if variable::is_dangerous(name) {
        let text = format!("the variable {name} can take over a program and is never set");
        return Err(Failure::usage(text));
    }
    Ok(())
}

/// The texts without repetitions, in their order.
fn unique(texts: &[String]) -> Vec<String> {
    let mut seen: Vec<String> = Vec::with_capacity(texts.len());
    for text in texts {
        if !seen.contains(text) {
            seen.push(text.clone());
        }
    }
    seen
}

/// A field that can be cleared.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clearable {
    /// --provider
    Provider,
    /// --scope
    Scopes,
    /// --expires
    Expires,
    /// --env
    Env,
    /// --profile
    Profiles,
    /// --username
    Username,
    /// --url
    Url,
    /// --description
    Description,
    /// --tag
    Tags,
    /// --kind
    Kind,
    /// --confirm
    Confirm,
}

impl Clearable {
    /// Clears it.
    pub(super) fn clear(self, header: &mut Header) {
        match self {
            Self::Provider => header.provider = None,
            Self::Scopes => header.scopes.clear(),
            Self::Expires => header.expires = None,
            Self::Env => header.env = None,
            Self::Profiles => header.profiles.clear(),
            Self::Username => header.username = None,
            Self::Url => header.url = None,
            Self::Description => header.description = None,
            Self::Tags => header.tags.clear(),
            Self::Kind => header.kind = None,
            Self::Confirm => header.confirm = false,
        }
    }
}
