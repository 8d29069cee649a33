//! `vault ls`: the entries, as a tree or one a line. Works while the store is locked.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::failure::Failure;
use crate::cli::failure::NO_ENTRY;
use crate::cli::ui::Style;
use crate::cli::view;
use crate::format::Name;

/// Arguments of `ls`.
#[derive(clap::Args, Debug, Default)]
#[command(after_help = "\
Examples:
  vault ls
  vault ls github
  vault ls --flat")]
pub(crate) struct Args {
    /// Only what is in this folder
    #[arg(add = complete::names())]
    folder: Option<String>,
    /// One name a line
    #[arg(long)]
    flat: bool,
    /// Print JSON, with what this device knows of each entry
    #[arg(long)]
    json: bool,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let (store, folder) = match self
            .folder
            .as_deref()
            .map(|text| text.split_once(':').ok_or(text))
        {
            None => (None, None),
            Some(Ok((store, folder))) => (
                Some(store),
                Some(folder).filter(|folder| !folder.is_empty()),
            ),
            Some(Err(folder)) => (None, Some(folder)),
        };
        let opened = cx.open(store)?;
        if self.json {
            return json(cx, &opened, folder);
        }
        let names = names(&opened, folder)?;
        if self.flat {
            for name in &names {
                let line = cx.ui.paint(name.as_str(), Style::Plain).into_owned();
                cx.ui.line(&line);
            }
        } else {
            tree(
                cx,
                folder.map(|folder| folder.trim_end_matches('/')),
                &names,
            );
        }
        Ok(0)
    }
}

/// The tree of one folder, for `vault FOLDER`.
pub(crate) fn folder(cx: &mut Context, opened: &Opened, folder: &str) -> Outcome {
    let names = names(opened, Some(folder))?;
    tree(cx, Some(folder), &names);
    Ok(0)
}

fn names(opened: &Opened, folder: Option<&str>) -> Result<Vec<Name>, Failure> {
    let mut names = opened.store.names()?;
    if let Some(folder) = folder {
        names.retain(|name| name.is_under(folder));
        if names.is_empty() {
            let text = format!("there is no entry or folder \"{}\"", folder.escape_debug());
            return Err(Failure::new(NO_ENTRY, text));
        }
    }
    Ok(names)
}

fn json(cx: &mut Context, opened: &Opened, folder: Option<&str>) -> Outcome {
    let catalogue = opened.store.catalogue()?;
    let under = |name: &str| {
        folder.is_none_or(|folder| Name::parse(name).is_ok_and(|name| name.is_under(folder)))
    };
    let now = cx.env.now;
    let known = catalogue.known.iter().filter(|header| under(&header.name));
    let mut list: Vec<Value> = known
        .map(|header| Value::Object(view::json(header, now)))
        .collect();
    let unread = catalogue.unread.iter().filter(|name| under(name.as_str()));
    list.extend(unread.map(|name| serde_json::json!({ "name": name.as_str(), "unread": true })));
    list.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    view::print_json(&mut cx.ui, &Value::Array(list));
    Ok(0)
}

/// A folder of the tree: what is in it, and whether an entry has the folder's own name.
#[derive(Default)]
struct Node {
    children: BTreeMap<String, Node>,
    is_entry: bool,
}

/// Prints names as a tree below a folder, or below the store.
pub(crate) fn tree(cx: &mut Context, folder: Option<&str>, names: &[Name]) {
    let mut root = Node::default();
    for name in names {
        let rest = folder
            .and_then(|folder| name.as_str().strip_prefix(folder))
            .unwrap_or(name.as_str());
        let components = rest.split('/').filter(|component| !component.is_empty());
        let node = components.fold(&mut root, |node, component| {
            node.children.entry(component.to_owned()).or_default()
        });
        node.is_entry = true;
    }
    if let Some(folder) = folder {
        let title = cx
            .ui
            .paint(
                folder,
                if root.is_entry {
                    Style::Bold
                } else {
                    Style::Blue
                },
            )
            .into_owned();
        cx.ui.line(&title);
    }
    branch(cx, &root, "");
}

fn branch(cx: &mut Context, node: &Node, indent: &str) {
    let count = node.children.len();
    for (number, (component, child)) in node.children.iter().enumerate() {
        let is_last = number + 1 == count;
        let style = if child.is_entry {
            Style::Plain
        } else {
            Style::Blue
        };
        let text = cx.ui.paint(component, style).into_owned();
        cx.ui.line(&format!(
            "{indent}{}{text}",
            if is_last { "└── " } else { "├── " }
        ));
        branch(
            cx,
            child,
            &format!("{indent}{}", if is_last { "    " } else { "│   " }),
        );
    }
}
