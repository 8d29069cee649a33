//! `vault expiring`: what must be replaced soon, as a timeline. Works while the store is locked.

use jiff::Timestamp;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::find;
use crate::cli::find::Hit;
use crate::cli::ui::Style;
use crate::cli::view;
use crate::format::expiry;

/// Arguments of `expiring`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
What has expired comes first, then what expires, soonest first, with a bar as long as what is left of the time looked ahead; and
what a host has refused, as this device remembers it. Nothing is printed where there is nothing to replace.

It works while the store is locked, from what this device has read, so that cron can remind of it:
  0 9 * * 1  vault expiring --within 14d

Or a timer of systemd, ~/.config/systemd/user/vault-expiring.timer, with a service of the same name that runs
`vault expiring --within 14d --exit-code` and counts as failed when there is something:
  [Timer]
  OnCalendar=Mon 09:00
  Persistent=true
  [Install]
  WantedBy=timers.target

Examples:
  vault expiring
  vault expiring --within 2027-02-20 --json
  vault expiring --within 7d --exit-code || echo 'tokens to replace'")]
pub(crate) struct Args {
    /// How far to look ahead: 30d, 2027-02-20
    #[arg(long, value_name = "WHEN", default_value = "30d")]
    within: String,
    /// End with 1 if there is something
    #[arg(long)]
    exit_code: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How long a bar is at most, in characters.
const BAR: u8 = 24;

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let end = expiry::parse(&self.within, cx.env.now).map_err(Failure::usage)?;
        let end =
            end.ok_or_else(|| Failure::usage("--within takes a time, such as 30d or 2027-02-20"))?;
        let mut hits = find::expiring(cx, end)?;
        hits.sort_by_key(|hit| hit.header.as_ref().and_then(|header| header.expires));
        if self.json {
            find::print_json(cx, &hits);
        } else {
            print(cx, &hits, end);
        }
        if hits.is_empty() && cx.ui.talks_to_terminal() {
            cx.ui
                .say(&format!("nothing to replace before {}", expiry::show(end)));
        }
        Ok(u8::from(self.exit_code && !hits.is_empty()))
    }
}

/// A line each: when, the bar, the name, what else is known.
fn print(cx: &mut Context, hits: &[Hit], end: Timestamp) {
    let now = cx.env.now;
    let rows: Vec<(String, String, &Hit)> = hits
        .iter()
        .map(|hit| {
            let expires = hit.header.as_ref().and_then(|header| header.expires);
            let when = expires.map_or_else(|| "refused".to_owned(), |time| when(time, now));
            let bar = expires.map_or_else(String::new, |time| bar(time, (now, end)));
            (when, bar, hit)
        })
        .collect();
    let width = rows.iter().map(|(when, ..)| when.len()).max().unwrap_or(0);
    for (when, bar, hit) in rows {
        let Some(header) = &hit.header else { continue };
        let style = match header.expires {
            Some(_) => view::expiry_style(header.expires, now),
            None => Style::Red,
        };
        let ahead = format!("{when:width$}  {bar:<bars$}", bars = usize::from(BAR));
        let mut line = format!(
            "{}  {}",
            cx.ui.paint(&ahead, style),
            cx.ui.paint(&hit.name, Style::Plain)
        );
        let about = find::about(header);
        if !about.is_empty() {
            line = format!("{line}  {}", cx.ui.paint(&about, Style::Dim));
        }
        for refusal in view::refusals(&hit.refused, header, now) {
            let text = format!("refused {refusal}");
            line = format!("{line}  {}", cx.ui.paint(&text, Style::Red));
        }
        cx.ui.line(&line);
    }
}

/// `expired 2026-11-13, 12 days ago` or `2026-11-28, in 3 days`.
fn when(time: Timestamp, now: Timestamp) -> String {
    let text = format!("{}, {}", expiry::show(time), expiry::distance(time, now));
    if time <= now {
        format!("expired {text}")
    } else {
        text
    }
}

/// What is left until an instant, as a part of the time looked ahead; at least one piece of what is left at all.
fn bar(time: Timestamp, (now, end): (Timestamp, Timestamp)) -> String {
    let whole = end.duration_since(now).as_secs().max(1);
    let left = time.duration_since(now).as_secs().clamp(0, whole);
    let pieces = (left * i64::from(BAR)).div_euclid(whole);
    let pieces = usize::try_from(pieces).unwrap_or(0);
    "─".repeat(pieces.max(usize::from(time > now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_the_part_of_the_time_that_is_left() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let range = (at("2026-01-01T00:00:00Z"), at("2026-01-25T00:00:00Z"));
        let length = |text| bar(at(text), range).chars().count();
        assert_eq!(length("2025-06-01T00:00:00Z"), 0);
        assert_eq!(length("2026-01-01T00:00:00Z"), 0);
        assert_eq!(length("2026-01-01T00:01:00Z"), 1);
        assert_eq!(length("2026-01-13T00:00:00Z"), 12);
        assert_eq!(length("2026-01-25T00:00:00Z"), 24);
        assert_eq!(length("2027-01-25T00:00:00Z"), 24);
    }
}
