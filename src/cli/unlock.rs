//! `vault unlock`: open the store's keys once, and leave them with the agent.

use std::time::Duration;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::failure::LOCKED;
use crate::config::Config;
use crate::format::expiry;
use crate::session;
use crate::session::lasting;
use crate::session::lasting::Terms;

/// Arguments of `unlock`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The agent is a process of this user that keeps the keys of the store in locked memory, never the identity, and works with them for
other commands. It forgets them after 15 minutes without use, after 8 hours in any case, after the machine was suspended, and
on `vault lock`. With --for it keeps them for that time, used or not, within the limit of 8 hours. The limits are the settings
unlock-idle-minutes and unlock-max-hours. Commands start it themselves when a passphrase was typed or a key touched;
AGEVAULT_AGENT=off keeps it away.

Examples:
  vault unlock
  vault unlock --for 8h
  vault lock")]
pub(crate) struct Args {
    /// Keep the store unlocked for this long, used or not: 30m, 8h
    #[arg(long = "for", value_name = "TIME")]
    time: Option<String>,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let terms = self.terms(cx)?;
        if !lasting::is_possible(&cx.env) {
            return Err(Failure::failed("there is no agent: AGEVAULT_AGENT is off")
                .hint("unset AGEVAULT_AGENT, or let each command unlock for itself"));
        }
        let opened = cx.open(None)?;
        if self.time.is_none()
            && let Some(left) = lasting::left(&cx.env, &opened.store)
        {
            cx.ui
                .say(&format!("it is unlocked already, {}", left_words(left)));
            return Ok(0);
        }
        let keys = session::open_whole(&cx.env, &opened.store, &opened.source)?;
        match lasting::hold(&cx.env, &opened.store, &keys, &terms) {
            Ok(true) => {}
            Ok(false) => cx.ui.warn(session::NOT_LOCKED),
            Err(why) => {
                return Err(Failure::new(
                    LOCKED,
                    format!("it does not stay unlocked: {why}"),
                ));
            }
        }
        let member = &keys.keys.member;
        let words = match lasting::left(&cx.env, &opened.store) {
            Some(left) => left_words(left),
            None => return Err(Failure::new(LOCKED, "the agent did not keep the keys")),
        };
        cx.ui.say(&format!("unlocked as \"{member}\", {words}"));
        Ok(0)
    }
}

impl Args {
    fn terms(&self, cx: &Context) -> Result<Terms, Failure> {
        let terms = Terms::of(&Config::load(&cx.env)?);
        let Some(text) = &self.time else {
            return Ok(terms);
        };
        let end = expiry::after(text, cx.env.now)
            .map_err(|_| Failure::usage("--for takes a time such as 30m or 8h"))?;
        // Whole seconds were cut off the end.
        let time = end.duration_since(cx.env.now).as_secs() + 1;
        let time = Duration::from_secs(u64::try_from(time).unwrap_or_default());
        if time > terms.most + Duration::from_secs(1) {
            let most = span_words(terms.most.as_secs());
            let text = format!("it is not kept unlocked for more than {most}");
            return Err(Failure::usage(text)
                .hint("raise the limit with: vault config set unlock-max-hours HOURS"));
        }
        let time = time.min(terms.most);
        Ok(Terms {
            idle: time,
            most: time,
            ..terms
        })
    }
}

/// What is left, in words.
pub(super) fn left_words(left: lasting::Left) -> String {
    let (idle, most) = (span_words(left.idle), span_words(left.most));
    if left.idle >= left.most {
        format!("for {most}")
    } else {
        format!("for {idle} without use, {most} at most")
    }
}

/// A time in words, in the largest unit that says enough.
fn span_words(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        // To the nearest: what was given as 15 minutes is 15 minutes a moment later, too.
        60..7_170 => ((seconds + 30) / 60, "minute"),
        _ => ((seconds + 1_800) / 3_600, "hour"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}
