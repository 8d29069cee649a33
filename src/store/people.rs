//! The members of a store: adding one, and the two files that say who they are (sections 5 and 6).
//!
//! Lives here: making key files and the member list, and what may be done with the list. Never here: taking a member out, which
//! makes a new epoch (`turn`).

use std::fmt;

use crate::crypto::file;
use crate::format::HEADER_MAX_BYTES;
use crate::format::KEYS_MAX_BYTES;
use crate::format::document::Domain;
use crate::format::keys::KeyFile;
use crate::format::layout;
use crate::format::members::Member;
use crate::format::members::Members;
use crate::format::members::Role;
use crate::secret::Secret;
use crate::store::Error;
use crate::store::Writer;
use crate::store::keeper::Keeper;

/// A change of the members that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// There is a member of this name.
    Exists(String),
    /// There is a member with this recipient already: its name.
    Known(String),
    /// There is no member of this name; these there are.
    Unknown(String, Vec<String>),
    /// Nobody would be left who may write.
    LastWriter(String),
    /// The member list, or what a key file tells of earlier epochs, has grown too large.
    TooLarge,
    /// There can be no further epoch.
    LastEpoch,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(name) => write!(f, "there is a member \"{name}\" already"),
            Self::Known(name) => write!(f, "this key is the member \"{name}\" already"),
            Self::Unknown(name, _) => {
                write!(f, "there is no member \"{}\"", name.escape_debug())
            }
            Self::LastWriter(name) => write!(
                f,
                "\"{name}\" is the last member who may write: nobody could change the store any more"
            ),
            Self::LastEpoch => write!(f, "the store is in the last epoch there can be"),
            Self::TooLarge => write!(f, "the list of members is larger than the format allows"),
        }
    }
}

impl Members {
    /// Adds a member. Neither its name nor its recipient may be there.
    pub fn admit(&mut self, member: Member) -> Result<(), Unfit> {
        for other in &self.list {
            if other.name == member.name {
                return Err(Unfit::Exists(member.name));
            }
            if other.recipient == member.recipient {
                return Err(Unfit::Known(other.name.clone()));
            }
        }
        self.list.push(member);
        Ok(())
    }

    /// Takes a member out. One who may write must be left.
    pub(super) fn expel(&mut self, name: &str) -> Result<Member, Unfit> {
        let names = || self.list.iter().map(|member| member.name.clone()).collect();
        let at = self.list.iter().position(|member| member.name == name);
        let at = at.ok_or_else(|| Unfit::Unknown(name.to_owned(), names()))?;
        let is_writer = |member: &Member| member.role == Role::Writer;
        let is_left = |(nth, member): (usize, &Member)| nth != at && is_writer(member);
        if !self.list.iter().enumerate().any(is_left) {
            return Err(Unfit::LastWriter(name.to_owned()));
        }
        Ok(self.list.remove(at))
    }
}

impl Writer<'_> {
    /// Adds a member: its key file and the list, whatever the size of the store.
    pub fn put_member(&mut self, keys: &KeyFile, member: Member) -> Result<(), Error> {
        let mut members = self.store.members(keys)?;
        let file = key_file(keys, &member)?;
        let path = layout::key_path(&member.name);
        members.admit(member)?;
        members.rev = self.rev_above(layout::MEMBERS, members.rev)?;
        self.put_own(path, Some(file));
        self.put_own(layout::MEMBERS.to_owned(), Some(list_file(keys, &members)?));
        self.saw(layout::MEMBERS, members.rev);
        Ok(())
    }
}

/// The encrypted key file of a member; a reader's is without the writer key.
pub fn key_file(keys: &KeyFile, member: &Member) -> Result<Vec<u8>, Error> {
    let read_only = member.role == Role::Reader;
    let (head, body) = keys
        .plaintext_for(&member.name, read_only)
        .ok_or(Error::ReadOnly)?;
    if head.len() > HEADER_MAX_BYTES {
        return Err(Unfit::TooLarge.into());
    }
    Ok(file::encrypt(
        &[head.as_bytes(), body.expose()],
        std::slice::from_ref(&member.recipient),
    )?)
}

/// The encrypted and signed member list.
pub fn list_file(keeper: &dyn Keeper, members: &Members) -> Result<Vec<u8>, Error> {
    let (header, body) = members.to_texts();
    let file = keeper.make(&header, &Secret::new(body.into_bytes()), Domain::Members)?;
    if file.len() as u64 > KEYS_MAX_BYTES {
        return Err(Unfit::TooLarge.into());
    }
    Ok(file)
}

impl From<Unfit> for Error {
    fn from(unfit: Unfit) -> Self {
        Self::Unfit(unfit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::identity::StoreKey;

    fn member(name: &str, role: Role) -> Member {
        let recipient = StoreKey::generate().recipient();
        let name = name.to_owned();
        Member {
            name,
            recipient,
            role,
            added: None,
        }
    }

    fn members(of: &[(&str, Role)]) -> Members {
        let list = of.iter().map(|(name, role)| member(name, *role)).collect();
        Members { rev: 1, list }
    }

    #[test]
    fn a_name_and_a_key_are_there_once() {
        let mut members = members(&[("laptop", Role::Writer)]);
        let again = member("laptop", Role::Reader);
        assert_eq!(members.admit(again), Err(Unfit::Exists("laptop".into())));
        let same = Member {
            recipient: members.list[0].recipient.clone(),
            ..member("phone", Role::Writer)
        };
        assert_eq!(members.admit(same), Err(Unfit::Known("laptop".into())));
        assert_eq!(members.admit(member("phone", Role::Writer)), Ok(()));
    }

    #[test]
    fn somebody_who_may_write_is_left() {
        let mut members = members(&[("laptop", Role::Writer), ("ci", Role::Reader)]);
        let last = Unfit::LastWriter("laptop".into());
        assert_eq!(members.expel("laptop").err(), Some(last));
        let names = vec!["laptop".to_owned(), "ci".to_owned()];
        let unknown = Unfit::Unknown("phone".into(), names);
        assert_eq!(members.expel("phone").err(), Some(unknown));
        assert_eq!(members.expel("ci").unwrap().name, "ci");
        assert_eq!(members.list.len(), 1);
    }
}
