//! Variable by variable: what a program is to get, or the first reason why it does not start. Pure.

use std::ffi::OsStr;
use std::fmt;

use jiff::Timestamp;

use crate::exec::reference::Field;
use crate::format::Header;
use crate::policy::release;
use crate::policy::release::Denied;
use crate::policy::variable;
use crate::secret::Secret;

/// The highest number of an open file that is handed over: no more can be open at once in many a place.
pub const NUMBER_MAX: i32 = 255;

/// An entry that was asked for, with the variable it was asked for as.
pub struct Wanted {
    /// The variable, where the request names one; else the entry's own.
    pub variable: Option<String>,
    /// The verified header.
    pub header: Header,
    /// The secret.
    pub secret: Secret,
    /// How the program gets it.
    pub way: Way,
    /// What of the entry is meant.
    pub field: Field,
    /// Why it was chosen, in words.
    pub why: String,
}

/// A variable that no entry is behind.
pub struct Plain {
    /// The variable.
    pub variable: String,
    /// Its value.
    pub value: Secret,
    /// Where it comes from, in words.
    pub origin: String,
}

/// How a program gets a secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// In a variable.
    #[default]
    Variable,
    /// In a private file whose path is in a variable.
    File,
    /// As what it reads from an open file with this number; 0 is its standard input.
    Stream(i32),
}

impl Wanted {
    /// The same with its store before its name, where it was named with one: two stores may have entries of one name.
    #[must_use]
    pub fn of_store(mut self, store: Option<&str>) -> Self {
        self.header.name = in_store(store, self.header.name);
        self
    }
}

/// An entry's name, with its store before it where it was named with one.
pub fn in_store(store: Option<&str>, name: String) -> String {
    match store {
        Some(store) => format!("{store}:{name}"),
        None => name,
    }
}

/// What to do with an expired entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    /// Refuse to start.
    Refuse,
    /// Leave it out and say so.
    Skip,
    /// Hand it out and say so.
    Allow,
}

/// One variable of the plan.
#[derive(Debug)]
pub struct Assignment {
    /// The variable.
    pub variable: String,
    /// The entry that it comes from; of a plain value the file.
    pub name: String,
    /// Its value.
    pub secret: Secret,
    /// Whether the entry is expired and was let through.
    pub is_expired: bool,
    /// Whether the value is an entry's secret, and not a plain value or a field such as a user name.
    pub is_secret: bool,
    /// Whether there is an entry behind it.
    pub is_entry: bool,
    /// Why it was chosen, in words.
    pub why: String,
}

/// One open file of the plan.
#[derive(Debug)]
pub struct Handed {
    /// Its number; 0 is standard input.
    pub number: i32,
    /// The entry that it comes from.
    pub name: String,
    /// What is read from it.
    pub secret: Secret,
    /// Whether the entry is expired and was let through.
    pub is_expired: bool,
    /// Whether that is the entry's secret, and not a field such as a user name.
    pub is_secret: bool,
    /// Why it was chosen, in words.
    pub why: String,
}

/// The plan: what is set, and what was left out.
#[derive(Debug, Default)]
pub struct Plan {
    /// The variables, sorted.
    pub assignments: Vec<Assignment>,
    /// The variables that hold the path of a private file with the secret, sorted.
    pub files: Vec<Assignment>,
    /// The open files, sorted by their number.
    pub streams: Vec<Handed>,
    /// Whether the secrets are to be blanked out of what the program prints.
    pub mask: bool,
    /// Names of expired entries that were left out.
    pub skipped: Vec<String>,
    /// Inherited variables that the program does not get: an entry names them, and was not chosen.
    pub removed: Vec<String>,
    /// What else was decided, in words.
    pub notes: Vec<String>,
}

/// Why nothing is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No entry was selected.
    Nothing,
    /// An entry has no variable, and the request names none.
    NoVariable(String),
    /// The text is no variable's name.
    BadVariable {
        /// The entry.
        name: String,
        /// The text.
        variable: String,
    },
    /// The variable can take over a process.
    Dangerous {
        /// The entry.
        name: String,
        /// The variable.
        variable: String,
    },
    /// The number is no open file's that can be handed over.
    BadNumber(i32),
    /// Two entries for one open file.
    Twice {
        /// The number.
        number: i32,
        /// One entry.
        first: String,
        /// The other.
        second: String,
    },
    /// Two entries for one variable.
    Ambiguous {
        /// The variable.
        variable: String,
        /// One entry.
        first: String,
        /// The other.
        second: String,
    },
    /// The value has a NUL byte, which no variable can hold.
    Nul(String),
    /// The entry has nothing in the field that is meant.
    NoField {
        /// The entry.
        name: String,
        /// The field.
        field: &'static str,
    },
    /// The entry may not be handed out.
    Denied(Denied),
}

impl Plan {
    /// Whether the plan sets a variable.
    pub fn sets(&self, variable: &OsStr) -> bool {
        let mut all = self.assignments.iter().chain(&self.files);
        all.any(|one| variable == one.variable.as_str())
    }

    /// Every secret that the program gets; plain values and user names are none.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, &Secret)> {
        let set = self
            .assignments
            .iter()
            .chain(&self.files)
            .filter(|one| one.is_secret)
            .map(|one| (one.name.as_str(), &one.secret));
        set.chain(
            self.streams
                .iter()
                .filter(|one| one.is_secret)
                .map(|one| (one.name.as_str(), &one.secret)),
        )
    }

    /// The entries that are expired and were let through.
    pub fn expired(&self) -> impl Iterator<Item = &str> {
        let set = self
            .assignments
            .iter()
            .chain(&self.files)
            .map(|one| (&one.name, one.is_expired));
        let all = set.chain(self.streams.iter().map(|one| (&one.name, one.is_expired)));
        all.filter(|(_, is_expired)| *is_expired)
            .map(|(name, _)| name.as_str())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => write!(f, "no entry is selected"),
            Self::NoVariable(name) => write!(f, "\"{name}\" names no environment variable"),
            Self::BadVariable { name, variable } => {
                write!(
                    f,
                    "\"{}\" (of \"{name}\") is not a variable's name",
                    variable.escape_debug()
                )
            }
            Self::Dangerous { name, variable } => {
                write!(
                    f,
                    "the variable {variable} (of \"{name}\") can take over a program and is never set"
                )
            }
            Self::Ambiguous {
                variable,
                first,
                second,
            } => {
                write!(
                    f,
                    "both \"{first}\" and \"{second}\" are for the variable {variable}"
                )
            }
            Self::BadNumber(number) => {
                write!(
                    f,
                    "{number} cannot be handed over: it must be from 3 to {NUMBER_MAX}"
                )
            }
            Self::Twice {
                number: 0,
                first,
                second,
            } => {
                write!(
                    f,
                    "both \"{first}\" and \"{second}\" are for standard input"
                )
            }
            Self::Twice {
                number,
                first,
                second,
            } => {
                write!(
                    f,
                    "both \"{first}\" and \"{second}\" are for the descriptor {number}"
                )
            }
            Self::Nul(name) => write!(f, "\"{name}\" holds a NUL byte, which no variable can hold"),
            Self::NoField { name, field } => write!(f, "\"{name}\" has no {field}"),
            Self::Denied(denied) => denied.fmt(f),
        }
    }
}

impl std::error::Error for Refused {}

/// Decides what is set. Every entry is checked before anything is given out.
pub fn plan(
    wanted: Vec<Wanted>,
    plain: Vec<Plain>,
    now: Timestamp,
    expired: Expired,
) -> Result<Plan, Refused> {
    let mut plan = Plan::default();
    for one in wanted {
        let is_expired = one.header.is_expired(now);
        if is_expired && expired == Expired::Skip {
            plan.skipped.push(one.header.name);
            continue;
        }
        release::check(&one.header, now, expired == Expired::Allow).map_err(Refused::Denied)?;
        match one.way {
            Way::Variable => plan.assignments.push(assign(one, is_expired)?),
            Way::File => plan.files.push(assign(one, is_expired)?),
            Way::Stream(number) => plan.streams.push(hand(one, number, is_expired)?),
        }
    }
    for one in plain {
        plan.assignments.push(assign_plain(one)?);
    }
    settle(&mut plan.assignments);
    settle(&mut plan.files);
    settle_streams(&mut plan.streams)?;
    let mut all: Vec<&Assignment> = plan.assignments.iter().chain(&plan.files).collect();
    all.sort_by_key(|one| &one.variable);
    let pairs = all.iter().zip(all.iter().skip(1));
    if let Some((a, b)) = pairs.into_iter().find(|(a, b)| a.variable == b.variable) {
        let (variable, first, second) = (a.variable.clone(), a.name.clone(), b.name.clone());
        return Err(Refused::Ambiguous {
            variable,
            first,
            second,
        });
    }
    if all.is_empty() && plan.streams.is_empty() {
        Err(Refused::Nothing)
    } else {
        Ok(plan)
    }
}

/// In order, the same entry for the same variable once.
fn settle(assignments: &mut Vec<Assignment>) {
    assignments.sort_by(|a, b| (&a.variable, &a.name).cmp(&(&b.variable, &b.name)));
    assignments.dedup_by(|a, b| {
        a.is_entry && (&a.variable, &a.name, &a.secret) == (&b.variable, &b.name, &b.secret)
    });
}

/// The same for open files.
fn settle_streams(streams: &mut Vec<Handed>) -> Result<(), Refused> {
    streams.sort_by(|a, b| (a.number, &a.name).cmp(&(b.number, &b.name)));
    streams.dedup_by(|a, b| (a.number, &a.name, &a.secret) == (b.number, &b.name, &b.secret));
    let mut pairs = streams.iter().zip(streams.iter().skip(1));
    match pairs.find(|(a, b)| a.number == b.number) {
        None => Ok(()),
        Some((a, b)) => Err(Refused::Twice {
            number: a.number,
            first: a.name.clone(),
            second: b.name.clone(),
        }),
    }
}

fn hand(one: Wanted, number: i32, is_expired: bool) -> Result<Handed, Refused> {
    if number != 0 && !(3..=NUMBER_MAX).contains(&number) {
        return Err(Refused::BadNumber(number));
    }
    let no_field = Refused::NoField {
        name: one.header.name.clone(),
        field: one.field.word(),
    };
    Ok(Handed {
        number,
        secret: one.field.of(&one.header, one.secret).ok_or(no_field)?,
        name: one.header.name,
        is_expired,
        is_secret: one.field == Field::Secret,
        why: one.why,
    })
}

fn assign(one: Wanted, is_expired: bool) -> Result<Assignment, Refused> {
    let (name, field) = (one.header.name.clone(), one.field);
    let variable = one
        .variable
        .or_else(|| one.header.env.clone())
        .ok_or_else(|| Refused::NoVariable(name.clone()))?;
    let word = field.word();
    let no_field = Refused::NoField {
        name: name.clone(),
        field: word,
    };
    let secret = field.of(&one.header, one.secret).ok_or(no_field)?;
    check(&variable, &name)?;
    if one.way == Way::Variable && secret.as_line().contains(&0) {
        return Err(Refused::Nul(name));
    }
    Ok(Assignment {
        variable,
        name,
        secret,
        is_expired,
        is_secret: field == Field::Secret,
        is_entry: true,
        why: one.why,
    })
}

fn assign_plain(one: Plain) -> Result<Assignment, Refused> {
    check(&one.variable, &one.origin)?;
    if one.value.as_line().contains(&0) {
        return Err(Refused::Nul(one.variable));
    }
    Ok(Assignment {
        variable: one.variable,
        name: one.origin.clone(),
        secret: one.value,
        is_expired: false,
        is_secret: false,
        is_entry: false,
        why: "a plain value".to_owned(),
    })
}

fn check(variable: &str, name: &str) -> Result<(), Refused> {
    let (name, variable) = (name.to_owned(), variable.to_owned());
    if !variable::is_name(&variable) {
        Err(Refused::BadVariable { name, variable })
    } else if variable::is_dangerous(&variable) {
        Err(Refused::Dangerous { name, variable })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str, variable: Option<&str>, env: Option<&str>, secret: &[u8]) -> Wanted {
        let header = Header {
            name: name.into(),
            env: env.map(str::to_owned),
            ..Header::default()
        };
        Wanted {
            variable: variable.map(str::to_owned),
            header,
            secret: Secret::copy_of(secret),
            way: Way::Variable,
            field: Field::default(),
            why: String::new(),
        }
    }

    fn check(wanted: Vec<Wanted>, expected: Result<&[(&str, &str)], &str>) {
        let outcome = plan(wanted, Vec::new(), Timestamp::UNIX_EPOCH, Expired::Refuse);
        match (&outcome, expected) {
            (Ok(plan), Ok(pairs)) => {
                let got: Vec<_> = plan
                    .assignments
                    .iter()
                    .map(|a| (a.variable.as_str(), a.name.as_str()))
                    .collect();
                assert_eq!(got, pairs);
            }
            (Err(refused), Err(word)) => assert!(refused.to_string().contains(word), "{refused}"),
            _ => panic!("{outcome:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_request_names_the_variable_or_the_entry_does() {
        let two = vec![
            wanted("b", None, Some("B"), b"1"),
            wanted("a", Some("A"), Some("X"), b"2\n"),
        ];
        check(two, Ok(&[("A", "a"), ("B", "b")]));
        check(
            vec![wanted("a", None, None, b"")],
            Err("names no environment variable"),
        );
        check(vec![], Err("no entry is selected"));
    }

    #[test]
    fn what_must_not_start_is_refused() {
        check(
            vec![
                wanted("a", Some("T"), None, b""),
                wanted("b", None, Some("T"), b""),
            ],
            Err("both"),
        );
        check(
            vec![
                wanted("a", Some("T"), None, b""),
                wanted("a", None, Some("T"), b""),
            ],
            Ok(&[("T", "a")]),
        );
        check(
            vec![wanted("a", Some("LD_PRELOAD"), None, b"")],
            Err("take over"),
        );
        check(
            vec![wanted("a", Some("A B"), None, b"")],
            Err("not a variable"),
        );
        check(vec![wanted("a", Some("A"), None, b"x\0y")], Err("NUL"));
    }

    #[test]
    fn an_expired_entry_is_refused_skipped_or_allowed() {
        let made = || {
            let mut one = wanted("a", Some("A"), None, b"");
            one.header.expires = Some(Timestamp::UNIX_EPOCH);
            vec![one, wanted("b", Some("B"), None, b"")]
        };
        let run = |expired| plan(made(), Vec::new(), Timestamp::UNIX_EPOCH, expired);
        assert!(matches!(run(Expired::Refuse), Err(Refused::Denied(_))));
        assert_eq!(run(Expired::Skip).unwrap().skipped, ["a"]);
        assert!(run(Expired::Allow).unwrap().assignments[0].is_expired);
    }

    #[test]
    fn a_file_a_field_and_a_plain_value() {
        let file = Wanted {
            way: Way::File,
            ..wanted("a", Some("F"), None, b"x\0y")
        };
        let mut user = wanted("a", Some("U"), None, b"secret");
        user.field = Field::Username;
        user.header.username = Some("octocat".into());
        let plain = |variable: &str| Plain {
            variable: variable.into(),
            value: Secret::copy_of(b"info"),
            origin: "file".into(),
        };
        let run = |wanted, plain| plan(wanted, plain, Timestamp::UNIX_EPOCH, Expired::Refuse);
        let plan = run(vec![file, user], vec![plain("LOG")]).unwrap();
        assert!(plan.sets(OsStr::new("F")) && !plan.sets(OsStr::new("X")));
        assert_eq!((plan.files.len(), plan.assignments.len()), (1, 2));
        assert_eq!(plan.assignments[1].secret.expose(), b"octocat");
        assert!(plan.files[0].is_secret && !plan.assignments[1].is_secret);
        let mut none = wanted("a", Some("U"), None, b"");
        none.field = Field::Url;
        let says = |outcome: Result<Plan, Refused>| outcome.unwrap_err().to_string();
        assert_eq!(says(run(vec![none], vec![])), "\"a\" has no url");
        assert!(says(run(vec![], vec![plain("PATH")])).contains("take over"));
        let clash = run(
            vec![wanted("a", Some("LOG"), None, b"")],
            vec![plain("LOG")],
        );
        assert!(says(clash).contains("both"));
    }
}
