//! `vault dotfiles list`: the dotfiles, their places, and what they are for.

use serde_json::Value;

use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::dotfiles::here;
use crate::cli::dotfiles::here::Which;
use crate::cli::dotfiles::status::json_of;
use crate::cli::ui::Style;
use crate::cli::view;
use crate::dotfiles::Standing;
use crate::dotfiles::memory::Facts;

/// Arguments of `dotfiles list`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  vault dotfiles list
  vault dotfiles list --tag work ~/.config")]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self, cx: &mut Context) -> Outcome {
        let opened = cx.open(None)?;
        if !self.json && !here::is_any(cx, &opened) {
            return Ok(0);
        }
        let mut dots = here::open(cx, &opened, &self.which.at)?;
        let mut items = here::survey(cx, &opened, &mut dots)?;
        items.retain(|item| !matches!(item.standing, Standing::Gone));
        self.which.filter(cx, &dots, &mut items)?;
        if self.json {
            let list = items.iter().map(|item| json_of(&dots, item)).collect();
            view::print_json(&mut cx.ui, &Value::Array(list));
            return Ok(0);
        }
        let place = |cx: &Context, target: &str| here::shown(cx, &dots, target);
        let places: Vec<String> = items.iter().map(|item| place(cx, item.target())).collect();
        let width = places
            .iter()
            .map(|place| place.chars().count())
            .max()
            .unwrap_or(0);
        let abouts: Vec<String> = items
            .iter()
            .map(|item| item.facts.as_ref().map(about).unwrap_or_default())
            .collect();
        let about_width = abouts.iter().map(String::len).max().unwrap_or(0);
        for ((item, place), about) in items.iter().zip(&places).zip(&abouts) {
            let padded = format!("{place:<width$}");
            let place = cx.ui.paint(&padded, Style::Plain).into_owned();
            let padded = format!("{about:<about_width$}");
            let about = cx.ui.paint(&padded, Style::Dim).into_owned();
            let name = cx.ui.paint(item.name.as_str(), Style::Dim).into_owned();
            let line = format!("{place}  {about}  {name}");
            cx.ui.line(line.trim_end());
        }
        Ok(0)
    }
}

/// Mode, kind, and what it is for.
fn about(facts: &Facts) -> String {
    let mut words = vec![match &facts.mode {
        _ if facts.link => "link".to_owned(),
        Some(mode) => mode.clone(),
        None => "600".to_owned(),
    }];
    if facts.template {
        words.push("template".to_owned());
    }
    let lists = [
        ("on", &facts.hosts),
        ("on", &facts.systems),
        ("tagged", &facts.tags),
    ];
    for (word, list) in lists {
        if !list.is_empty() {
            words.push(format!("{word} {}", list.join(", ")));
        }
    }
    words.join(", ")
}
