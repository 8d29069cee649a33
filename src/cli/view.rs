//! How an entry's metadata looks: as lines for a person, as JSON for a script.

use std::fmt::Write;

use jiff::Timestamp;
use serde_json::Map;
use serde_json::Value;

use crate::cli::ui::Style;
use crate::cli::ui::Ui;
use crate::format::Header;
use crate::format::expiry;
use crate::store::offers::Refused;
use crate::sys::tty;

/// From how many days before its end on an expiry stands out.
const SOON_DAYS: i64 = 30;

/// The fields that are set, with their values in words.
pub(super) fn rows(header: &Header, now: Timestamp) -> Vec<(&'static str, String)> {
    let list = |list: &[String]| (!list.is_empty()).then(|| list.join(", "));
    let time = |time: Option<Timestamp>| {
        time.map(|time| format!("{} ({})", expiry::show(time), expiry::distance(time, now)))
    };
    let all = [
        ("kind", Some(header.kind().to_owned())),
        ("provider", header.provider.clone()),
        ("scopes", list(&header.scopes)),
        (
            "expires",
            Some(time(header.expires).unwrap_or_else(|| "never".to_owned())),
        ),
        ("env", header.env.clone()),
        ("profiles", list(&header.profiles)),
        ("username", header.username.clone()),
        ("url", header.url.clone()),
        ("tags", list(&header.tags)),
        ("description", header.description.clone()),
        ("target", header.target.clone()),
        ("mode", header.mode.clone()),
        (
            "link",
            header.link.then(|| "it is a symbolic link".to_owned()),
        ),
        (
            "template",
            header.template.then(|| "it holds references".to_owned()),
        ),
        ("hosts", list(&header.hosts)),
        ("systems", list(&header.systems)),
        ("consumers", list(&header.consumers)),
        (
            "confirm",
            header.confirm.then(|| "asked before each use".to_owned()),
        ),
        ("created", time(header.created)),
        ("modified", time(header.modified)),
        ("revision", (header.rev > 0).then(|| header.rev.to_string())),
    ];
    all.into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
}

/// The metadata as a JSON object: the header's field names, lists as arrays, times in RFC 3339.
pub(super) fn json(header: &Header, now: Timestamp) -> Map<String, Value> {
    let text = |text: &Option<String>| text.clone().map(Value::from);
    let list = |list: &[String]| Some(Value::from(list.to_vec()));
    let some = |list: &[String]| (!list.is_empty()).then(|| Value::from(list.to_vec()));
    let time = |time: Option<Timestamp>| time.map(|time| Value::from(time.to_string()));
    let all = [
        ("name", Some(Value::from(header.name.clone()))),
        ("rev", Some(Value::from(header.rev))),
        ("kind", Some(Value::from(header.kind()))),
        ("provider", text(&header.provider)),
        ("scopes", list(&header.scopes)),
        ("expires", time(header.expires)),
        ("expired", Some(Value::from(header.is_expired(now)))),
        ("env", text(&header.env)),
        ("profiles", list(&header.profiles)),
        ("username", text(&header.username)),
        ("url", text(&header.url)),
        ("tags", list(&header.tags)),
        ("description", text(&header.description)),
        ("created", time(header.created)),
        ("modified", time(header.modified)),
        ("confirm", header.confirm.then(|| Value::from(true))),
        ("target", text(&header.target)),
        ("mode", text(&header.mode)),
        ("consumers", some(&header.consumers)),
        ("link", header.link.then(|| Value::from(true))),
        ("template", header.template.then(|| Value::from(true))),
        ("hosts", some(&header.hosts)),
        ("systems", some(&header.systems)),
    ];
    all.into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect()
}

/// That hosts have refused an entry as it is now, as this device remembers it: in words.
pub(super) fn refusals(refused: &[Refused], header: &Header, now: Timestamp) -> Vec<String> {
    let own = refused.iter().filter(|one| one.is_of(header));
    own.map(|one| format!("by {} {}", one.host, expiry::distance(one.at, now)))
        .collect()
}

/// The same for a script; nothing where there is none.
pub(super) fn add_refusals(object: &mut Map<String, Value>, refused: &[Refused], header: &Header) {
    let own = refused.iter().filter(|one| one.is_of(header));
    let list: Vec<Value> = own
        .map(|one| serde_json::json!({ "host": one.host, "at": one.at.to_string() }))
        .collect();
    if !list.is_empty() {
        object.insert("refused".to_owned(), Value::Array(list));
    }
}

/// JSON as it is printed: indented, with a fixed order of keys. What a terminal would obey is written as `\u` and four digits, by which a
/// reader of JSON gets the same text.
pub(super) fn print_json(ui: &mut Ui, value: &Value) {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter == '\n' || !tty::is_harmful(letter) {
            safe.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            // Writing into a string does not fail.
            let _ = write!(safe, "\\u{unit:04x}");
        }
    }
    ui.line(&safe);
}

/// How an expiry date looks: red when past, yellow when near.
pub(super) fn expiry_style(expires: Option<Timestamp>, now: Timestamp) -> Style {
    let Some(expires) = expires else {
        return Style::Plain;
    };
    match expires.duration_since(now).as_hours() {
        hours if hours < 0 || expires <= now => Style::Red,
        hours if hours < SOON_DAYS * 24 => Style::Yellow,
        _ => Style::Green,
    }
}
