//! Until when: reading what a person types, and telling how long is left.

use jiff::SignedDuration;
use jiff::Span;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::format::header::whole_seconds;

/// What a person may type for a date, in words for an error.
pub const ACCEPTED: &str =
    "a date (2027-02-20), a time from now (90d, 12h, 1y), a time in RFC 3339, or never";

/// Reads `2027-02-20`, `90d`, RFC 3339 or `never`; the error is a clause.
pub fn parse(text: &str, now: Timestamp) -> Result<Option<Timestamp>, String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("never") {
        return Ok(None);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(Some(whole_seconds(time)));
    }
    if text.len() == 10
        && let Ok(date) = text.parse::<Date>()
        && let Ok(start) = date.to_zoned(TimeZone::UTC)
    {
        return Ok(Some(start.timestamp()));
    }
    after(text, now).map(Some)
}

/// The instant a span such as `90d` after `now`.
pub fn after(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let wrong = || format!("\"{}\" is not {ACCEPTED}", text.escape_debug());
    let begins_as_number = text.starts_with(|c: char| c.is_ascii_digit());
    let span: Span = text
        .parse()
        .ok()
        .filter(|_| begins_as_number)
        .ok_or_else(wrong)?;
    let later = now
        .to_zoned(TimeZone::UTC)
        .checked_add(span)
        .map_err(|_| wrong())?;
    Ok(whole_seconds(later.timestamp()))
}

/// How long is left or ago, in the largest unit that says enough: "in 89 days", "2 hours ago".
pub fn distance(time: Timestamp, now: Timestamp) -> String {
    let apart: SignedDuration = time.duration_since(now);
    let seconds = apart.as_secs().unsigned_abs();
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        // To the nearest day: "90d" is 90 days a moment later, too.
        _ => ((seconds + 43_200) / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    if apart.is_negative() {
        format!("{count} {unit}{plural} ago")
    } else {
        format!("in {count} {unit}{plural}")
    }
}

/// The date of an instant in UTC, with the time of day only where it is not midnight.
pub fn show(time: Timestamp) -> String {
    let text = time.to_string();
    text.strip_suffix("T00:00:00Z")
        .map_or_else(|| text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let now: Timestamp = "2026-11-22T19:12:00.5Z".parse().unwrap();
        let time = parse(text, now)
            .ok()
            .map(|time| time.map_or("never".into(), |time| time.to_string()));
        assert_eq!(time.as_deref(), expected, "{text}");
    }

    #[test]
    fn dates_as_people_type_them() {
        check("never", Some("never"));
        check("2027-02-20", Some("2027-02-20T00:00:00Z"));
        check("2027-02-20T10:00:00+02:00", Some("2027-02-20T08:00:00Z"));
        check("90d", Some("2027-02-20T19:12:00Z"));
        check("12h", Some("2026-11-23T07:12:00Z"));
        check("2w", Some("2026-12-06T19:12:00Z"));
        check("1y", Some("2027-11-22T19:12:00Z"));
        for bad in [
            "",
            "soon",
            "-3d",
            "90",
            "2027-02-30",
            "2027-02-20T10:00:00",
            "99999y",
            "d",
            "P1D",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn distances_say_which_side() {
        let now: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        let at = |text: &str| distance(text.parse().unwrap(), now);
        assert_eq!(at("2027-02-20T00:00:00Z"), "in 90 days");
        assert_eq!(at("2026-11-21T23:59:59Z"), "1 second ago");
        assert_eq!(at("2026-11-23T00:00:00Z"), "in 24 hours");
    }
}
