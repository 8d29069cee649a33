//! `vault config`: the settings of this user on this device.

use serde_json::Map;
use serde_json::Value;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::store::check_name;
use crate::cli::ui::Style;
use crate::cli::view;
use crate::config;
use crate::config::Config;
use crate::config::SETTINGS;
use crate::config::Setting;

/// Arguments of `config`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Nothing in the configuration is a secret. `vault config list` shows the settings that are made and, dimmed, those that are not.

Examples:
  vault config list
  vault config set clipboard-seconds 20
  vault config get clipboard-seconds
  vault config unset clipboard-seconds")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Print a setting
    Get {
        /// The setting
        #[arg(add = complete::settings())]
        key: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a setting
    Set {
        /// The setting
        #[arg(add = complete::settings())]
        key: String,
        /// What it is to be
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Go back to what it is when nobody sets it
    Unset {
        /// The setting
        #[arg(add = complete::settings())]
        key: String,
    },
    /// List the settings
    List {
        /// Print JSON: those that are made
        #[arg(long)]
        json: bool,
    },
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        match self.action {
            Action::Get { key, json } => get(cx, &key, json),
            Action::Set { key, value } => set(cx, key, value),
            Action::Unset { key } => unset(cx, key),
            Action::List { json: true } => json_list(cx),
            Action::List { json: false } => list(cx),
        }
    }
}

fn get(cx: &mut Context, key: &str, json: bool) -> Outcome {
    let setting = config::setting(key)?;
    let made = config::list(&cx.env)?;
    let value = made.into_iter().find(|(made, _)| made == key);
    let Some((_, value)) = value else {
        let text = format!("{key} is not set");
        return Err(Failure::failed(text).hint(format!("the default is: {}", setting.default)));
    };
    if json {
        view::print_json(&mut cx.ui, &typed(setting, value));
    } else {
        let line = cx.ui.paint(&value, Style::Plain).into_owned();
        cx.ui.line(&line);
    }
    Ok(0)
}

fn set(cx: &mut Context, key: String, value: String) -> Outcome {
    config::setting(&key)?;
    if let ["stores", name, _] = key.split('.').collect::<Vec<_>>().as_slice() {
        check_name(name)?;
    }
    let known = Config::load(&cx.env)?.stores;
    if key == "default-store" && !known.contains_key(&value) {
        let text = format!("there is no store named \"{}\"", value.escape_debug());
        return Err(
            Failure::failed(text).hint(format!("name it with: vault store add {value} PATH"))
        );
    }
    config::change(&cx.env, &[(key, Some(value))])?;
    Ok(0)
}

fn unset(cx: &mut Context, key: String) -> Outcome {
    config::setting(&key)?;
    config::change(&cx.env, &[(key, None)])?;
    Ok(0)
}

fn list(cx: &mut Context) -> Outcome {
    let made = config::list(&cx.env)?;
    for (key, value) in &made {
        let line = format!("{key} = {value}");
        let line = cx.ui.paint(&line, Style::Plain).into_owned();
        cx.ui.line(&line);
    }
    let is_open = |setting: &&Setting| !made.iter().any(|(key, _)| key == setting.key);
    for setting in SETTINGS.iter().filter(is_open) {
        let line = format!("# {}: {} ({})", setting.key, setting.help, setting.default);
        let line = cx.ui.paint(&line, Style::Dim).into_owned();
        cx.ui.line(&line);
    }
    Ok(0)
}

fn json_list(cx: &mut Context) -> Outcome {
    let made = config::list(&cx.env)?.into_iter();
    let typed = |(key, value): (String, String)| {
        let setting = config::setting(&key).ok()?;
        Some((key, typed(setting, value)))
    };
    let all: Map<String, Value> = made.filter_map(typed).collect();
    view::print_json(&mut cx.ui, &Value::Object(all));
    Ok(0)
}

/// A value as JSON has it.
fn typed(setting: &Setting, value: String) -> Value {
    match (setting.values, value.parse::<i64>()) {
        (config::Values::Number(..), Ok(number)) => Value::from(number),
        _ => Value::from(value),
    }
}
