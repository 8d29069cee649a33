//! The member list: who may open the store (section 6).

use jiff::Timestamp;
use toml::Value;

use crate::crypto::recipient::Recipient;
use crate::format::Document;
use crate::format::Refusal;
use crate::format::Stage;
use crate::format::VERSION;
use crate::format::header::check_version;
use crate::format::layout::is_member_name;
use crate::format::text::Fields;
use crate::format::text::quote;

/// The list, at one revision.
#[derive(Debug)]
pub struct Members {
    /// The revision, from 1 upward.
    pub rev: u64,
    /// The members, in the order in which they were added.
    pub list: Vec<Member>,
}

/// A person or machine that may open the store.
#[derive(Debug)]
pub struct Member {
    /// Also the name of its key file.
    pub name: String,
    /// What its key file is encrypted to.
    pub recipient: Recipient,
    /// Whether it may write.
    pub role: Role,
    /// When it was added.
    pub added: Option<Timestamp>,
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads and writes.
    Writer,
    /// Reads only: its key file has no writer key.
    Reader,
}

impl Role {
    /// The word of the specification.
    pub fn word(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Reader => "reader",
        }
    }
}

impl Members {
    /// Reads a verified list (F-040). Whether `rev` is fresh is the store's question.
    pub fn of_document(document: &Document) -> Result<Self, Refusal> {
        let wrong =
            |why: String| Refusal::new(Stage::Header, format!("its content is wrong: {why}"));
        let mut header = Fields::parse(&document.header).map_err(wrong)?;
        check_version(&mut header)?;
        let rev = header
            .integer("rev")
            .and_then(|rev| Fields::required("rev", rev))
            .map_err(wrong)?;
        let rev = u64::try_from(rev).ok().filter(|rev| *rev > 0);
        let rev = rev.ok_or_else(|| wrong("rev must be at least 1".to_owned()))?;
        let body = std::str::from_utf8(document.body.expose());
        let body = body.map_err(|_| wrong("it is not UTF-8".to_owned()))?;
        let list = Fields::parse(body).and_then(take_members).map_err(wrong)?;
        Ok(Self { rev, list })
    }

    /// The header and body of the list as they are signed.
    pub fn to_texts(&self) -> (String, String) {
        let header = format!("format = {VERSION}\nrev = {}\n", self.rev);
        let mut body = String::new();
        for member in &self.list {
            body.push_str(&format!(
                "[[member]]\nname = {}\nrecipient = {}\nrole = {}\n",
                quote(&member.name),
                quote(&member.recipient.to_string()),
                quote(member.role.word())
            ));
            if let Some(added) = member.added {
                body.push_str(&format!("added = {added}\n"));
            }
        }
        (header, body)
    }
}

fn take_members(mut fields: Fields) -> Result<Vec<Member>, String> {
    let list = match fields.0.remove("member") {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err("member must be an array of tables".to_owned()),
    };
    let mut members: Vec<Member> = Vec::with_capacity(list.len());
    for value in list {
        let Value::Table(table) = value else {
            return Err("member must hold tables".to_owned());
        };
        let member = take_member(Fields(table))?;
        if members.iter().any(|other| other.name == member.name) {
            return Err(format!("the member \"{}\" is there twice", member.name));
        }
        members.push(member);
    }
    Ok(members)
}

fn take_member(mut fields: Fields) -> Result<Member, String> {
    let name = Fields::required("name", fields.string("name")?)?;
    if !is_member_name(&name) {
        return Err(format!(
            "\"{}\" is not a member's name",
            name.escape_debug()
        ));
    }
    let recipient = Fields::required("recipient", fields.string("recipient")?)?;
    let recipient = Recipient::parse(&recipient);
    let recipient =
        recipient.map_err(|error| format!("the recipient of \"{name}\" is wrong: {error}"))?;
    let role = match Fields::required("role", fields.string("role")?)?.as_str() {
        "writer" => Role::Writer,
        "reader" => Role::Reader,
        _ => return Err(format!("the role of \"{name}\" must be writer or reader")),
    };
    Ok(Member {
        name,
        recipient,
        role,
        added: fields.time("added")?,
    })
}
