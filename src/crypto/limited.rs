//! A plugin's time: it may be silent for a while, and not for ever.
//!
//! The age crate waits for a plugin without limit. So that work goes on a thread that is abandoned when the plugin has
//! been silent for too long; its process is ended. While a person is being asked, the time stands still.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use super::{Error, Result};
use crate::secret::Secret;
use crate::sys::clock::{Machine, Ticks as _};
use crate::sys::process;

use super::Prompt;

/// How often it is looked whether the time is over.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// When a plugin was last heard of.
pub(super) struct Watch(Mutex<Heard>);

struct Heard {
    last: Duration,
    /// How many questions a person is being asked.
    questions: usize,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Heard {
            last: Machine.awake(),
            questions: 0,
        }))
    }

    /// Does something that the plugin wants, while its time stands still.
    fn during<T>(&self, ask: impl FnOnce() -> T) -> T {
        self.note(1);
        let answer = ask();
        self.note(-1);
        answer
    }

    fn note(&self, change: isize) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.questions = heard.questions.saturating_add_signed(change);
        heard.last = Machine.awake();
    }

    fn silence(&self) -> Duration {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.questions > 0 {
            Duration::ZERO
        } else {
            Machine.awake().saturating_sub(heard.last)
        }
    }
}

/// Does a plugin's work; an error if the plugin is silent for longer than `patience`.
pub(super) fn within<T: Send + 'static>(
    watch: &Arc<Watch>,
    patience: Duration,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    watch.note(0);
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        // Nobody listens any more if it came too late.
        let _ = sender.send(work());
    });
    loop {
        match receiver.recv_timeout(LOOK_EVERY) {
            Ok(done) => return done,
            Err(RecvTimeoutError::Timeout) if watch.silence() < patience => {}
            Err(_) => {
                process::end_children();
                return Err(Error::PluginSilent {
                    seconds: patience.as_secs(),
                });
            }
        }
    }
}

/// A prompt that says which plugin asks, and notes that it was heard.
pub(super) struct Named {
    pub(super) prompt: Arc<dyn Prompt>,
    pub(super) watch: Arc<Watch>,
    pub(super) plugin: String,
}

impl Named {
    fn text(&self, text: &str) -> String {
        format!("age-plugin-{}: {text}", self.plugin)
    }
}

impl Prompt for Named {
    fn passphrase(&self, what: &str) -> Option<Secret> {
        self.watch
            .during(|| self.prompt.passphrase(&self.text(what)))
    }

    fn message(&self, text: &str) {
        self.watch.during(|| self.prompt.message(&self.text(text)));
    }

    fn confirm(&self, question: &str) -> Option<bool> {
        self.watch
            .during(|| self.prompt.confirm(&self.text(question)))
    }

    fn line(&self, what: &str) -> Option<String> {
        self.watch.during(|| self.prompt.line(&self.text(what)))
    }
}
