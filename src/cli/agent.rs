//! `vault agent`: the process that holds keys. Started by the first unlocking, never by a person.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::session::agent;
use crate::session::agent::End;
use crate::session::client;
use crate::session::client::Bound;
use crate::session::keyring::Keyring;
use crate::sys::clock::Machine;
use crate::sys::process;

/// Arguments of `agent`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The folder of the socket
    folder: PathBuf,
    /// Go on from an earlier image of this process
    #[arg(long)]
    renewed: bool,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let failed = |error| Failure::failed(format!("the agent cannot serve: {error}"));
        let keyring = Arc::new(Keyring::new(Arc::new(Machine)));
        let begun = if self.renewed {
            self.go_on(cx, &keyring).map(Some)
        } else {
            self.begin(cx)
        };
        let Some(bound) = begun.map_err(failed)? else {
            return Ok(0);
        };
        let is_in_place = || bound.is_in_place();
        let end = agent::serve(cx.env.clone(), &bound.listener, &keyring, &is_in_place);
        match end.map_err(failed)? {
            End::Over => Ok(0),
            End::Renew => Err(failed(self.renew(cx, &bound, &keyring))),
        }
    }
}

impl Args {
    /// Begins with nothing; whoever started it reads one line. `None` if there is an agent already.
    fn begin(&self, cx: &mut Context) -> io::Result<Option<Bound>> {
        process::become_daemon()?;
        let bound = client::bind(&self.folder);
        cx.ui.line(&match &bound {
            Ok(Some(_)) => "ready".to_owned(),
            Ok(None) => "taken".to_owned(),
            Err(error) => error.to_string(),
        });
        // Where nobody reads it any more, nobody brings keys either.
        let _ = cx.ui.finish();
        process::close_streams()?;
        bound
    }

    /// Goes on with what an earlier image of this process held.
    fn go_on(&self, cx: &Context, keyring: &Keyring) -> io::Result<Bound> {
        let (bound, keys) = Bound::inherited(&self.folder)?;
        agent::take_over(&cx.env, keyring, keys)?;
        Ok(bound)
    }

    /// Becomes a fresh image, in whose memory nothing is that was forgotten.
    fn renew(&self, cx: &Context, bound: &Bound, keyring: &Keyring) -> io::Error {
        let handed = UnixStream::pair().and_then(|(here, there)| {
            agent::hand_on(keyring, &here)?;
            Ok(there)
        });
        match handed {
            Ok(keys) => bound.renew(&cx.env, &self.folder, keys),
            Err(error) => error,
        }
    }
}
