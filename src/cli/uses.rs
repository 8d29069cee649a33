//! What `vault log --use` shows: who used which entry when, on this device.

use serde_json::Value;
use serde_json::json;

use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::ui::Style;
use crate::cli::view;
use crate::format::Name;
use crate::store::uses;
use crate::store::uses::Use;

/// Prints the uses of an entry, or of those in a folder, or of all; newest first.
pub(super) fn print(cx: &mut Context, opened: &Opened, name: Option<&Name>, json: bool) -> Outcome {
    let all = uses::read(opened.store.state.path()).map_err(crate::store::Error::from)?;
    let is_meant = |one: &&Use| match name {
        None => true,
        Some(name) => {
            one.entry == name.as_str()
                || Name::parse(&one.entry).is_ok_and(|entry| entry.is_under(name.as_str()))
        }
    };
    let meant = all.iter().rev().filter(is_meant);
    if json {
        let list: Vec<Value> = meant.map(to_json).collect();
        view::print_json(&mut cx.ui, &Value::Array(list));
        return Ok(0);
    }
    for one in meant {
        let time = cx.ui.paint(&one.at.to_string(), Style::Dim).into_owned();
        let entry = cx.ui.paint(&one.entry, Style::Bold).into_owned();
        let who = format!(
            "{} by {} (process {}), started by {}",
            one.purpose, one.program, one.pid, one.parent
        );
        let who = cx.ui.paint(&who, Style::Plain).into_owned();
        cx.ui.line(&format!("{time}  {entry}  {who}"));
    }
    Ok(0)
}

fn to_json(one: &Use) -> Value {
    json!({
        "at": one.at.to_string(),
        "entry": one.entry,
        "purpose": one.purpose,
        "pid": one.pid,
        "program": one.program,
        "parent": one.parent,
    })
}
