//! `vault explain`: which entry would answer a program that asks for a place, and why the others would not.

use serde_json::Value;
use serde_json::json;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::answer;
use crate::cli::answer::words;
use crate::cli::asking;
use crate::cli::context::Context;
use crate::cli::failure::EXPIRED;
use crate::cli::failure::Failure;
use crate::cli::failure::NO_ENTRY;
use crate::cli::ui::Style;
use crate::cli::view;
use crate::format::Header;
use crate::format::Name;
use crate::format::expiry;
use crate::git::user::UserGit;
use crate::policy::answer::Choice;
use crate::policy::answer::Circumstances;
use crate::policy::answer::Fit;
use crate::policy::answer::Misfit;
use crate::policy::answer::Request;
use crate::policy::answer::SPARSE;
use crate::policy::place::Place;
use crate::store::offers::Offers;

/// Arguments of `explain`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
It decides as `vault git-credential` does, asks nobody and hands nothing out. git tells the path only where credential.useHttpPath
is set; so it counts here only then, or with --path. Entries for other hosts are counted, and listed with --all.

While the store is locked the answer comes from this device's index, and a line says that it was not verified.

Exit codes: 0 an entry answers; 1 several fit equally, or the one was just refused; 3 none fits; 6 what fits is expired.

Examples:
  vault explain https://github.com
  vault explain --path https://github.com/me/repo
  vault explain sparse+https://registry.example/index/
  vault explain --json https://octocat@github.com")]
pub(crate) struct Args {
    /// The place that a program asks for: its address
    url: String,
    /// The program tells the path, too
    #[arg(long)]
    path: bool,
    /// List every entry, those for other hosts too
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One entry, and what was found of it.
type Row<'h> = (&'h Header, Result<Fit, Misfit>);

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        cx.learn_providers()?;
        let request = self.request(cx)?;
        let opened = cx.open(None)?;
        let refused = Offers::load(opened.store.state.path())?.refused();
        let now = cx.env.now;
        let with = Circumstances {
            now,
            refused: &refused,
        };
        let mut headers = asking::known(cx, &opened)?.known;
        let near = headers
            .iter()
            .filter(|header| request.is_near(header, with));
        let names: Vec<Name> = near
            .filter_map(|header| Name::parse(&header.name).ok())
            .collect();
        let keys = cx.unlock_silently(&opened);
        if let Some(keys) = &keys {
            let verified = answer::verified(&opened, keys, &names)?;
            headers.retain(|header| !names.iter().any(|name| name.as_str() == header.name));
            headers.extend(verified);
            headers.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        }
        let (choice, judged) = request.choose(&headers, with);
        let rows: Vec<Row<'_>> = headers.iter().zip(judged).collect();
        if self.json {
            let is_verified = keys.is_some();
            print_json(cx, &request, &choice, &rows, is_verified);
        } else {
            self.print(cx, &request, &choice, &rows);
        }
        if keys.is_none() && !self.json {
            cx.ui
                .warn("not verified: the store is locked, this is what this device remembers");
        }
        cx.ui.finish()?;
        outcome(&request, &choice, &rows)
    }
}

impl Args {
    fn request(&self, cx: &Context) -> Result<Request, Failure> {
        let text = &self.url;
        let is_ssh = text.starts_with("ssh://")
            || !text.contains("://") && text.contains('@') && text.contains(':');
        if is_ssh {
            let failure = Failure::usage("over ssh no password is asked for, and no entry answers");
            return Err(failure.hint("to use tokens over HTTPS instead: vault plugins git-https"));
        }
        let index = text.strip_prefix(SPARSE);
        let (place, username) = Place::parse(index.unwrap_or(text)).map_err(|wrong| {
            // It may hold a password.
            Failure::usage(format!("this is no address: {wrong}"))
        })?;
        let is_told = || {
            let git = UserGit::new(&cx.env.cwd, &cx.env.vars);
            let args = ["--type=bool", "--get-urlmatch", "credential.useHttpPath"];
            let place = place.to_string();
            let set = git.config(&[args.as_slice(), &[&place]].concat());
            set.is_ok_and(|set| set.is_some_and(|set| set.trim() == "true"))
        };
        let knows_path = self.path || index.is_some() || !place.path.is_empty() && is_told();
        if !knows_path && !place.path.is_empty() && !self.json {
            cx.ui
                .say("git does not tell the path, so it does not count; --path counts it");
        }
        Ok(Request {
            place,
            knows_path,
            is_index: index.is_some(),
            username,
        })
    }

    fn print(&self, cx: &mut Context, request: &Request, choice: &Choice, rows: &[Row<'_>]) {
        let now = cx.env.now;
        let chosen: Vec<usize> = match choice {
            Choice::Entry(at) => vec![*at],
            Choice::Ambiguous(all) => all.clone(),
            Choice::Nothing | Choice::Unfit(_) => Vec::new(),
        };
        let (mut others, mut nowhere) = (0, 0);
        for (at, (header, judged)) in rows.iter().enumerate() {
            let text = match judged {
                Ok(fit) if chosen.contains(&at) => {
                    let why = reasons(request, header, *fit);
                    let expires = header.expires.map(|expires| expiry::distance(expires, now));
                    let expires = expires.map(|when| format!(", expires {when}"));
                    let verb = if chosen.len() == 1 {
                        "answers"
                    } else {
                        "fits as well as another"
                    };
                    format!("{verb}: {why}{}", expires.unwrap_or_default())
                }
                Ok(_) => "fits less closely than another".to_owned(),
                Err(Misfit::Host(_)) if !self.all => {
                    others += 1;
                    continue;
                }
                Err(Misfit::NoPlace | Misfit::Kind) if !self.all => {
                    nowhere += 1;
                    continue;
                }
                Err(misfit) => words(misfit, request, now).into_owned(),
            };
            let style = if chosen.contains(&at) {
                Style::Bold
            } else {
                Style::Plain
            };
            let name = cx.ui.paint(&header.name, style).into_owned();
            let text = cx.ui.paint(&text, Style::Plain).into_owned();
            cx.ui.line(&format!("{name}: {text}"));
        }
        let count = |count: usize, what: &str| match count {
            0 => None,
            1 => Some(format!("1 entry {what}").replace("are", "is")),
            count => Some(format!("{count} entries {what}")),
        };
        let rest = [
            count(others, "are for other hosts"),
            count(nowhere, "are for no host"),
        ];
        let rest: Vec<String> = rest.into_iter().flatten().collect();
        if !rest.is_empty() {
            let line = format!("({}; --all lists them)", rest.join(", "));
            let line = cx.ui.paint(&line, Style::Dim).into_owned();
            cx.ui.line(&line);
        }
    }
}

/// Why an entry fits, in words.
fn reasons(request: &Request, header: &Header, fit: Fit) -> String {
    let place = match (&header.url, &header.provider) {
        (Some(url), _) if fit.is_own => format!("its url is {url}"),
        (_, Some(provider)) => format!("{} is a host of {provider}", request.place.authority()),
        _ => String::new(),
    };
    match request.username(header) {
        Some(user) => format!("{place}, as {user}"),
        None => format!("{place}, and it names no user"),
    }
}

fn print_json(
    cx: &mut Context,
    request: &Request,
    choice: &Choice,
    rows: &[Row<'_>],
    is_verified: bool,
) {
    let now = cx.env.now;
    let answer = match choice {
        Choice::Entry(at) => rows.get(*at).map(|(header, _)| *header),
        _ => None,
    };
    let entry = |(header, judged): &Row<'_>| {
        let why = match judged {
            Ok(fit) => reasons(request, header, *fit),
            Err(misfit) => words(misfit, request, now).into_owned(),
        };
        json!({ "name": header.name, "fits": judged.is_ok(), "why": why })
    };
    let object = json!({
        "place": request.place.to_string(),
        "path_counts": request.knows_path,
        "answer": answer.map(|header| &header.name),
        "username": answer.and_then(|header| request.username(header)),
        "ambiguous": matches!(choice, Choice::Ambiguous(_)),
        "verified": is_verified,
        "entries": rows.iter().map(entry).collect::<Vec<Value>>(),
    });
    view::print_json(&mut cx.ui, &object);
}

/// The exit code, and what to do where nothing answers.
fn outcome(request: &Request, choice: &Choice, rows: &[Row<'_>]) -> Outcome {
    let host = request.place.authority();
    match choice {
        Choice::Entry(_) => Ok(0),
        Choice::Nothing => {
            let failure = Failure::new(NO_ENTRY, format!("no entry answers for {host}"));
            if request.is_index {
                let place = &request.place;
                return Err(failure.hint(format!(
                    "put one in with: vault add NAME --url {SPARSE}{place}"
                )));
            }
            Err(failure.hint(format!(
                "put one in with: vault add NAME --url {}://{host} --username USER",
                request.place.protocol
            )))
        }
        Choice::Unfit(at) => {
            let first = at.first().and_then(|at| rows.get(*at));
            let is_expired =
                first.is_some_and(|(_, judged)| matches!(judged, Err(Misfit::Expired(_))));
            let text = format!("nothing is given to {host} now");
            let failure = Failure::failed(text).with_code(if is_expired { EXPIRED } else { 1 });
            let name = first
                .map(|(header, _)| header.name.as_str())
                .unwrap_or_default();
            Err(failure.hint(format!("replace it with: vault add -f {name}")))
        }
        Choice::Ambiguous(at) => {
            let headers: Vec<&Header> = at
                .iter()
                .filter_map(|at| rows.get(*at))
                .map(|(header, _)| *header)
                .collect();
            let failure = Failure::failed(format!("several fit {host} equally, and none is given"));
            Err(failure.hint(answer::settle(request, &headers)))
        }
    }
}
