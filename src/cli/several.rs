//! Several entries named on one command line: which store each is in, what a folder stands for, and the message of their
//! commit. Called by the commands that change more than one entry.

use crate::cli::context::Context;
use crate::cli::context::Opened;
use crate::cli::context::Target;
use crate::cli::failure::Failure;
use crate::format::Name;

/// Up to this many names stand in a commit's message.
const NAMED_MAX: usize = 3;

/// The entries named in one store.
pub(crate) type Group = (Option<String>, Vec<Name>);

/// The names given, by store: each store once, in the order in which it was first named, and each name once.
pub(crate) fn by_store(names: &[String]) -> Result<Vec<Group>, Failure> {
    let mut groups: Vec<Group> = Vec::new();
    for text in names {
        let Target { store, name } = Target::parse(text)?;
        match groups.iter_mut().find(|(known, _)| *known == store) {
            Some((_, known)) if known.contains(&name) => {}
            Some((_, known)) => known.push(name),
            None => groups.push((store, vec![name])),
        }
    }
    Ok(groups)
}

/// The entries in a folder, sorted, without one that has the folder's own name.
pub(crate) fn in_folder(opened: &Opened, folder: &str) -> Result<Vec<Name>, Failure> {
    let mut names = opened.store.names()?;
    names.retain(|name| name.as_str() != folder && name.is_under(folder));
    Ok(names)
}

/// Refuses names of which one is not there.
pub(crate) fn check_there(opened: &Opened, names: &[Name]) -> Result<(), Failure> {
    for name in names {
        if !opened.store.has(name)? {
            return Err(Context::no_entry(&opened.store, name));
        }
    }
    Ok(())
}

/// The message of a commit: the verb, and the names as far as there are few.
pub(crate) fn message(verb: &str, names: &[Name]) -> String {
    let listed: Vec<&str> = names.iter().take(NAMED_MAX).map(Name::as_str).collect();
    let listed = listed.join(", ");
    match names.len().saturating_sub(NAMED_MAX) {
        0 => format!("{verb} {listed}"),
        more => format!("{verb} {listed} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_put_to_their_stores_once() {
        let texts = ["a", "w:b", "a", "c", "w:b"].map(str::to_owned);
        let shown: Vec<_> = by_store(&texts)
            .unwrap()
            .into_iter()
            .map(|(store, names)| (store, message("", &names)))
            .collect();
        assert_eq!(
            shown,
            [
                (None, " a, c".to_owned()),
                (Some("w".to_owned()), " b".to_owned())
            ]
        );
    }

    #[test]
    fn a_message_names_a_few() {
        let names: Vec<_> = ["a", "b", "c", "d", "e"]
            .iter()
            .map(|text| Name::parse(text).unwrap())
            .collect();
        assert_eq!(message("remove", &names), "remove a, b, c and 2 more");
        assert_eq!(message("tag", &names[..1]), "tag a");
    }
}
