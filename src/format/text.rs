//! TOML on single lines: reading a table field by field, and writing values back.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use toml::Table;
use toml::Value;

/// Takes fields out of a parsed table; what is left over is unknown. The error is a clause that names the field.
pub(super) struct Fields(pub(super) Table);

impl Fields {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        // The parser would pass over it, and every other program would have to.
        if text.starts_with('\u{feff}') {
            return Err("it begins with a byte order mark".to_owned());
        }
        let table: Result<Table, _> = text.parse();
        table.map(Self).map_err(|error| {
            let line = error
                .span()
                .map_or(1, |span| 1 + newlines(text, span.start));
            format!(
                "its line {line} is not TOML: {}",
                first_line(error.message())
            )
        })
    }

    pub(super) fn string(&mut self, key: &str) -> Result<Option<String>, String> {
        match self.0.remove(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("{key} must be a string")),
        }
    }

    pub(super) fn integer(&mut self, key: &str) -> Result<Option<i64>, String> {
        match self.0.remove(key) {
            None => Ok(None),
            Some(Value::Integer(number)) => Ok(Some(number)),
            Some(_) => Err(format!("{key} must be an integer")),
        }
    }

    pub(super) fn boolean(&mut self, key: &str) -> Result<Option<bool>, String> {
        match self.0.remove(key) {
            None => Ok(None),
            Some(Value::Boolean(flag)) => Ok(Some(flag)),
            Some(_) => Err(format!("{key} must be true or false")),
        }
    }

    pub(super) fn strings(&mut self, key: &str) -> Result<Vec<String>, String> {
        let wrong = || format!("{key} must be an array of strings");
        let list = match self.0.remove(key) {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(wrong()),
        };
        let text = |value| match value {
            Value::String(text) => Ok(text),
            _ => Err(wrong()),
        };
        list.into_iter().map(text).collect()
    }

    pub(super) fn time(&mut self, key: &str) -> Result<Option<Timestamp>, String> {
        match self.0.remove(key) {
            None => Ok(None),
            Some(Value::Datetime(time)) => instant(&time)
                .map(Some)
                .map_err(|why| format!("{key} {why}")),
            Some(_) => Err(format!("{key} must be a date, such as 2027-02-20")),
        }
    }

    /// The same, of a field that must be there.
    pub(super) fn required<T>(key: &str, value: Option<T>) -> Result<T, String> {
        value.ok_or_else(|| format!("{key} is missing"))
    }
}

/// A TOML date or date-time as an instant; a date alone is 00:00 UTC, a local time is refused (section 7).
fn instant(time: &toml::value::Datetime) -> Result<Timestamp, String> {
    let text = time.to_string();
    match (time.date, time.time, time.offset) {
        (Some(_), None, None) => {
            let date: Date = text.parse().map_err(|_| "is not a date".to_owned())?;
            let start = date
                .to_zoned(TimeZone::UTC)
                .map_err(|_| "is out of range".to_owned())?;
            Ok(start.timestamp())
        }
        (Some(_), Some(_), Some(_)) => text.parse().map_err(|_| "is out of range".to_owned()),
        _ => Err("needs a date and an offset, such as 2027-02-20T12:00:00Z".to_owned()),
    }
}

/// A TOML value on one line.
pub(super) fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Array(items) => format!("[{}]", join(items.iter().map(inline))),
        Value::Table(table) => {
            let pairs = table
                .iter()
                .map(|(key, value)| format!("{} = {}", quote(key), inline(value)));
            format!("{{ {} }}", join(pairs))
        }
        other => other.to_string(),
    }
}

/// A TOML basic string.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A TOML array of strings.
pub(super) fn quote_all(texts: &[String]) -> String {
    format!("[{}]", join(texts.iter().map(|text| quote(text))))
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn newlines(text: &str, end: usize) -> usize {
    text.bytes().take(end).filter(|byte| *byte == b'\n').count()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or(text)
}
