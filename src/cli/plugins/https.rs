//! `vault plugins git-https`: https in place of ssh, for a repository's remotes or for a host; and back.

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::plugins::ScopeArgs;
use crate::cli::plugins::registration::Scope;
use crate::cli::ui::Style;
use crate::git::address::shown;
use crate::git::user::UserGit;
use crate::policy::place::Place;
use crate::store;

/// Where the old address of a remote is kept, in the repository's configuration.
const KEPT: &str = "vaultSsh";
/// The usual user of git's hosts over ssh.
const USER: &str = "git";
/// Hosts that exist for ssh alone, and those they stand for.
const STANDS_FOR: [(&str, &str); 3] = [
    ("ssh.github.com", "github.com"),
    ("altssh.gitlab.com", "gitlab.com"),
    ("altssh.bitbucket.org", "bitbucket.org"),
];

/// Arguments of `plugins git-https`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// This remote only; repeat for more
    #[arg(long = "remote", value_name = "NAME", conflicts_with = "rewrite")]
    remotes: Vec<String>,
    /// Leave the remotes, and have git use https for this host; repeat for more
    #[arg(long, value_name = "HOST")]
    rewrite: Vec<String>,
    /// Undo it
    #[arg(long)]
    back: bool,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Show what would be done, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do it without asking
    #[arg(short, long)]
    yes: bool,
}

/// One change of a setting.
struct Change {
    /// What a person reads.
    shown: String,
    /// The arguments of `git config`, one call after the other.
    calls: Vec<Vec<String>>,
}

/// Shows what it would do, asks, and does it.
pub(super) fn run(cx: &mut Context, args: &Args) -> Result<(), Failure> {
    let git = UserGit::new(&cx.env.cwd, &cx.env.vars);
    let changes = if args.rewrite.is_empty() {
        if args.scope.global {
            return Err(Failure::usage("--global goes with --rewrite HOST"));
        }
        remotes(cx, &git, args)?
    } else {
        rewrites(&git, args)?
    };
    if changes.is_empty() {
        cx.ui.say("there is nothing to change");
        return Ok(());
    }
    for change in &changes {
        // Names and addresses are the repository's, and so a stranger's text.
        let line = cx.ui.paint(&change.shown, Style::Plain).into_owned();
        cx.ui.line(&line);
    }
    if args.dry_run {
        return Ok(());
    }
    cx.ui.finish()?;
    if !args.yes {
        match cx.confirm("Do that?")? {
            Some(true) => {}
            Some(false) => return Err(Failure::failed("nothing is changed")),
            None => {
                let failure = Failure::failed("nobody can be asked, nothing is changed");
                return Err(failure.hint("with --yes it is done"));
            }
        }
    }
    for call in changes.iter().flat_map(|change| &change.calls) {
        let call: Vec<&str> = call.iter().map(String::as_str).collect();
        git.config(&call).map_err(store::Error::from)?;
    }
    Ok(())
}

/// The changes of a repository's remotes.
fn remotes(cx: &Context, git: &UserGit, args: &Args) -> Result<Vec<Change>, Failure> {
    if git.run(&["rev-parse", "--git-dir"]).is_err() {
        return Err(Failure::failed("there is no repository here"));
    }
    let list = [
        "--local",
        "--null",
        "--get-regexp",
        r"^remote\..*\.(url|pushurl)$",
    ];
    let list = git
        .config(&list)
        .map_err(store::Error::from)?
        .unwrap_or_default();
    let settings: Vec<(&str, &str)> = list
        .split('\0')
        .filter_map(|setting| setting.split_once('\n'))
        .collect();
    let mut changes = Vec::new();
    for (key, url) in &settings {
        let Some((name, kind)) = key
            .strip_prefix("remote.")
            .and_then(|key| key.rsplit_once('.'))
        else {
            continue;
        };
        if !args.remotes.is_empty() && !args.remotes.iter().any(|one| one == name) {
            continue;
        }
        if settings.iter().filter(|(other, _)| other == key).count() > 1 {
            cx.ui
                .say(&format!("{name} has several addresses and stays as it is"));
            continue;
        }
        let kept = format!(
            "remote.{name}.{KEPT}{}",
            if kind == "pushurl" { "Push" } else { "" }
        );
        let known = git
            .config(&["--local", "--get", &kept])
            .map_err(store::Error::from)?;
        let known = known.map(|known| known.trim_end_matches('\n').to_owned());
        let new = if args.back {
            known.clone().or_else(|| to_ssh(url))
        } else {
            match to_https(url) {
                Ok(new) => new,
                Err(why) => {
                    cx.ui.say(&format!("{name} stays as it is: {why}"));
                    None
                }
            }
        };
        let Some(new) = new else { continue };
        let mut calls = vec![words(&["--local", key, &new])];
        if !args.back {
            calls.insert(0, words(&["--local", &kept, url]));
        } else if known.is_some() {
            calls.push(words(&["--local", "--unset", &kept]));
        }
        let shown = format!("{name}: {} -> {}", shown(url), shown(&new));
        changes.push(Change { shown, calls });
    }
    Ok(changes)
}

/// The changes that make git use https for a host, or ssh again.
fn rewrites(git: &UserGit, args: &Args) -> Result<Vec<Change>, Failure> {
    let scope = args.scope.or(Scope::Global).flag();
    let mut changes = Vec::new();
    for host in &args.rewrite {
        let place = Place::parse(host).ok();
        let place = place.filter(|(place, user)| user.is_none() && place.path.is_empty());
        let (place, _) = place
            .ok_or_else(|| Failure::usage(format!("\"{}\" is not a host", host.escape_debug())))?;
        let key = format!("url.https://{}/.insteadOf", place.authority());
        let set = git
            .config(&[scope, "--get-all", &key])
            .map_err(store::Error::from)?;
        let set = set.unwrap_or_default();
        for from in [
            format!("{USER}@{}:", place.host),
            format!("ssh://{USER}@{}/", place.host),
        ] {
            let is_set = set.lines().any(|line| line == from);
            let call = match (args.back, is_set) {
                (false, false) => words(&[scope, "--add", &key, &from]),
                (true, true) => words(&[scope, "--fixed-value", "--unset", &key, &from]),
                _ => continue,
            };
            let shown = format!("git config {}", call.join(" "));
            changes.push(Change {
                shown,
                calls: vec![call],
            });
        }
    }
    Ok(changes)
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

/// The https address of an ssh one; nothing if it is none, and why if it cannot be told.
fn to_https(url: &str) -> Result<Option<String>, &'static str> {
    let Some((host, path)) = ssh_parts(url) else {
        return Ok(None);
    };
    // A name of ssh's own configuration is known to ssh alone.
    if !host.contains('.') && host != "localhost" {
        return Err("its host is a name of ssh's own configuration");
    }
    let host = STANDS_FOR
        .iter()
        .find(|(ssh, _)| *ssh == host)
        .map_or(host, |(_, web)| *web);
    Ok(Some(format!(
        "https://{host}/{}",
        path.trim_start_matches('/')
    )))
}

/// Host and path of an ssh address: `git@host:path` or `ssh://git@host:port/path`.
fn ssh_parts(url: &str) -> Option<(&str, &str)> {
    let whole = url
        .strip_prefix("ssh://")
        .or_else(|| url.strip_prefix("git+ssh://"));
    let (authority, path) = match whole {
        Some(rest) => rest.split_once('/')?,
        None if url.contains("://") => return None,
        None => url
            .split_once(':')
            .filter(|(host, _)| !host.contains('/') && host.len() > 1)?,
    };
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = if whole.is_some() {
        host.split_once(':').map_or(host, |(host, _)| host)
    } else {
        host
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    (!host.is_empty() && host.chars().all(is_plain) && !path.is_empty()).then_some((host, path))
}

/// The usual ssh address of an https one.
fn to_ssh(url: &str) -> Option<String> {
    let (place, _) = Place::parse(Some(url).filter(|url| url.starts_with("https://"))?).ok()?;
    (!place.path.is_empty() && place.port.is_none())
        .then(|| format!("{USER}@{}:{}", place.host, place.path.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_addresses_become_https_ones() {
        for (ssh, https) in [
            (
                "git@github.com:me/repo.git",
                Some("https://github.com/me/repo.git"),
            ),
            ("github.com:me/repo", Some("https://github.com/me/repo")),
            (
                "ssh://git@git.example.org:2222/me/repo.git",
                Some("https://git.example.org/me/repo.git"),
            ),
            (
                "ssh://git@ssh.github.com:443/me/repo.git",
                Some("https://github.com/me/repo.git"),
            ),
            ("https://github.com/me/repo", None),
            ("/srv/git/repo.git", None),
            ("./a:b", None),
            ("file:///srv/git", None),
            ("-oProxyCommand=x:y", None),
        ] {
            assert_eq!(to_https(ssh).unwrap().as_deref(), https, "{ssh}");
        }
        assert!(to_https("git@work:me/repo").is_err());
    }

    #[test]
    fn https_addresses_become_ssh_ones() {
        assert_eq!(
            to_ssh("https://github.com/me/repo.git").as_deref(),
            Some("git@github.com:me/repo.git")
        );
        assert_eq!(to_ssh("git@github.com:me/repo.git"), None);
        assert_eq!(to_ssh("https://localhost:8443/x"), None);
    }
}
