//! What a person has said when asked for consent: remembered for the command that asked, so that a command which opens
//! several versions of an entry asks once.
//!
//! Lives here: whose answer counts for what, and how long. Never here: asking.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use crate::sys::process::Program;

/// How long an answer counts; a process that lives on asks again.
const COUNTS: Duration = Duration::from_secs(300);
/// Most answers that are remembered.
const ANSWERS_MAX: usize = 64;

/// What starts only with all that was chosen: after one no nothing more is asked.
const WHOLE: [&str; 2] = ["exec", "shell"];

/// A yes, or why there is none, as the end of a sentence.
pub type Consent = Result<(), String>;

/// What was asked: by which process, of which store, about which entry, what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matter {
    /// The process, by its id and when it began.
    process: (i32, u64),
    store: String,
    entry: String,
    purpose: String,
}

impl Matter {
    /// `None` where the system does not tell one process from a later one of the same id.
    pub fn of(program: &Program, store: &str, entry: &str, purpose: &str) -> Option<Self> {
        Some(Self {
            process: (program.pid, program.began?),
            store: store.to_owned(),
            entry: entry.to_owned(),
            purpose: purpose.to_owned(),
        })
    }
}

/// The answers that count, oldest first.
#[derive(Debug, Default)]
pub struct Answers(Mutex<Vec<(Matter, Duration, Consent)>>);

impl Answers {
    /// What was said, if it still counts.
    pub fn known(&self, matter: &Matter, now: Duration) -> Option<Consent> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, since, _)| now.saturating_sub(*since) < COUNTS);
        let found = all.iter().find(|(other, ..)| other == matter);
        if let Some((.., consent)) = found {
            return Some(consent.clone());
        }
        let is_beside = |other: &Matter| {
            let entry = matter.entry.clone();
            *matter
                == Matter {
                    entry,
                    ..other.clone()
                }
        };
        let mut refused = all.iter().filter(|(.., consent)| consent.is_err());
        refused.find(|(other, ..)| is_beside(other))?;
        none_beside(&matter.purpose)
    }

    /// Remembers what was said.
    pub fn note(&self, matter: Matter, now: Duration, consent: Consent) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= ANSWERS_MAX {
            drop(all.remove(0));
        }
        all.push((matter, now, consent));
    }

    /// Forgets everything.
    pub fn forget(&self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.clear();
    }
}

/// What a no for one entry says of others that the same command wants, if anything.
pub fn none_beside(purpose: &str) -> Option<Consent> {
    let why = "it asks for consent, and there is none for another entry";
    WHOLE.contains(&purpose).then(|| Err(why.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_for_one_process_and_matter_and_not_for_ever() {
        let program = |pid, began| Program {
            pid,
            began,
            name: "vault".to_owned(),
            parent: "sh".to_owned(),
        };
        let matter = |began, entry, purpose| {
            Matter::of(&program(7, Some(began)), "s", entry, purpose).unwrap()
        };
        let (answers, now) = (Answers::default(), Duration::from_secs(1000));
        answers.note(matter(1, "a", "log"), now, Ok(()));
        answers.note(matter(1, "b", "log"), now, Err("no".to_owned()));
        assert_eq!(answers.known(&matter(1, "a", "log"), now), Some(Ok(())));
        assert_eq!(
            answers.known(&matter(1, "b", "log"), now),
            Some(Err("no".to_owned()))
        );
        for other in [
            matter(2, "a", "log"),
            matter(1, "a", "get"),
            matter(1, "c", "log"),
        ] {
            assert_eq!(answers.known(&other, now), None);
        }
        answers.note(matter(1, "a", "exec"), now, Err("no".to_owned()));
        let beside = answers.known(&matter(1, "b", "exec"), now);
        assert!(matches!(beside, Some(Err(why)) if why.contains("another entry")));
        assert_eq!(answers.known(&matter(2, "b", "exec"), now), None);
        assert_eq!(answers.known(&matter(1, "a", "log"), now + COUNTS), None);
        assert_eq!(Matter::of(&program(7, None), "s", "a", "log"), None);
        for _ in 0..2 * ANSWERS_MAX {
            answers.note(matter(3, "a", "log"), now, Ok(()));
        }
        assert_eq!(answers.0.lock().unwrap().len(), ANSWERS_MAX);
    }
}
