//! `vault plugins`: lets other programs get tokens from here, and takes that back.

mod cargo;
mod docker;
mod https;
mod link;
mod registration;

use std::path::Path;

use serde_json::Value;
use serde_json::json;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::view;
use registration::Registration;
use registration::Scope;

/// Arguments of `plugins`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
`install git` writes a file of settings of its own and has git's configuration include it: the user's (--global, the usual), or the
repository's (--local). What it writes is shown. Without --host vault is asked for every host, after the helpers that are set already, and
answers for those alone that an entry is for; with --host it is the only helper for that host.

`install askpass` makes the link vault-askpass, for GIT_ASKPASS, SSH_ASKPASS and SUDO_ASKPASS. `install docker` makes docker-credential-vault
and puts each --host into docker's config.json; podman and skopeo read that, too. `install cargo` makes cargo-credential-vault and adds it to
the providers in cargo's config.toml. The links are made in ~/.local/bin.

`git-https` turns the ssh remotes of the repository in this folder into https ones, for which tokens are used; --back undoes that. With
--rewrite HOST the remotes stay, and git is told to use https in place of ssh for that host. It shows what it would do, and asks.

Examples:
  vault plugins install git
  vault plugins install git --host github.com
  vault plugins git-https --dry-run
  vault plugins git-https --rewrite github.com --global --yes
  vault plugins list
  vault plugins remove git")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

/// What to do.
#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Let a program get tokens from here
    Install {
        /// Which one
        #[arg(value_enum)]
        plugin: Plugin,
        /// For this host only; repeat for more
        #[arg(long = "host", value_name = "HOST")]
        hosts: Vec<String>,
        #[command(flatten)]
        scope: ScopeArgs,
        /// Have git tell the path too, where entries are for a part of a host
        #[arg(long)]
        paths: bool,
        /// Show what would be done, and do nothing
        #[arg(short = 'n', long)]
        dry_run: bool,
    },
    /// List what is installed
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take it all back
    Remove {
        /// Which one
        #[arg(value_enum)]
        plugin: Plugin,
        #[command(flatten)]
        scope: ScopeArgs,
    },
    /// Use https in place of ssh for a repository's remotes
    GitHttps(https::Args),
}

/// A program that can be told to ask here.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Plugin {
    /// git's credential helper
    Git,
    /// the link vault-askpass
    Askpass,
    /// docker, podman and skopeo
    Docker,
    /// cargo
    Cargo,
}

impl Plugin {
    /// The name on the path by which it calls this program, where it needs one.
    const fn link(self) -> Option<&'static str> {
        match self {
            Self::Git => None,
            Self::Askpass => Some("vault-askpass"),
            Self::Docker => Some("docker-credential-vault"),
            Self::Cargo => Some("cargo-credential-vault"),
        }
    }
}

/// Whose configuration is meant.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(in crate::cli::plugins) struct ScopeArgs {
    /// In the user's own configuration of git, for every repository
    #[arg(long)]
    global: bool,
    /// In the configuration of the repository in this folder
    #[arg(long, conflicts_with = "global")]
    local: bool,
}

impl ScopeArgs {
    /// What is meant, or the usual where nothing is said.
    fn or(self, usual: Scope) -> Scope {
        match (self.global, self.local) {
            (true, _) => Scope::Global,
            (_, true) => Scope::Local,
            _ => usual,
        }
    }
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        match self.action {
            Action::Install {
                plugin,
                hosts,
                scope,
                paths,
                dry_run,
            } => {
                if plugin == Plugin::Docker {
                    docker::check(&hosts)?;
                }
                let link = plugin.link().map(|name| link::install(cx, name, dry_run));
                let link = link.transpose()?;
                match (plugin, link) {
                    (Plugin::Askpass, Some(path)) => name_askpass(cx, &path)?,
                    (Plugin::Docker, _) => docker::install(cx, &hosts, dry_run)?,
                    (Plugin::Cargo, _) => cargo::install(cx, dry_run)?,
                    _ => registration::install(
                        cx,
                        scope.or(Scope::Global),
                        &hosts,
                        (paths, dry_run),
                    )?,
                }
            }
            Action::List { json } => list(cx, json)?,
            Action::Remove { plugin, scope } => {
                match plugin {
                    Plugin::Git => registration::remove(cx, scope.or(Scope::Global))?,
                    Plugin::Docker => docker::remove(cx)?,
                    Plugin::Cargo => cargo::remove(cx)?,
                    Plugin::Askpass => {}
                }
                if let Some(name) = plugin.link() {
                    link::remove(cx, name)?;
                }
            }
            Action::GitHttps(args) => https::run(cx, &args)?,
        }
        Ok(0)
    }
}

/// Says how programs are told to use the link.
fn name_askpass(cx: &mut Context, path: &Path) -> Result<(), Failure> {
    cx.ui.finish()?;
    cx.ui.say(&format!(
        "now name it: export GIT_ASKPASS={0} SSH_ASKPASS={0} SUDO_ASKPASS={0}",
        path.display()
    ));
    Ok(())
}

/// What is installed: each with where and for what.
fn list(cx: &mut Context, as_json: bool) -> Result<(), Failure> {
    let mut rows: Vec<(&str, &str, String, String)> = Vec::new();
    for scope in [Scope::Global, Scope::Local] {
        let Ok(registration) = Registration::of(cx, scope) else {
            continue;
        };
        if registration.is_included()? {
            let hosts = registration.hosts();
            let hosts = if hosts.is_empty() {
                "every host".to_owned()
            } else {
                hosts.join(" ")
            };
            rows.push((
                "git",
                scope.word(),
                hosts,
                registration.file.display().to_string(),
            ));
        }
    }
    let others = [
        (Plugin::Askpass, "askpass", "prompts".to_owned()),
        (Plugin::Docker, "docker", docker::hosts(cx)?.join(" ")),
        (Plugin::Cargo, "cargo", "every registry".to_owned()),
    ];
    for (plugin, name, what) in others {
        if let Some(path) = plugin.link().and_then(|link| link::found(cx, link)) {
            rows.push((name, "global", what, path.display().to_string()));
        }
    }
    if as_json {
        let row = |(plugin, scope, what, path): &(&str, &str, String, String)| json!({ "plugin": plugin, "scope": scope, "for": what, "path": path });
        let list = Value::Array(rows.iter().map(row).collect());
        view::print_json(&mut cx.ui, &list);
        return Ok(());
    }
    for (plugin, scope, what, path) in &rows {
        cx.ui.line(&format!("{plugin}\t{scope}\t{what}\t{path}"));
    }
    if rows.is_empty() {
        cx.ui
            .say("nothing is installed; vault plugins install git lets git ask here");
    }
    Ok(())
}
