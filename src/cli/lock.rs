//! `vault lock`: forget every key.

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::session::lasting;

/// Arguments of `lock`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
All stores are locked: the agent ends, and with it the memory in which their keys were. Where nothing was unlocked, nothing is
done, and that is no error.

Examples:
  vault lock")]
pub(crate) struct Args {}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        match lasting::lock(&cx.env) {
            Ok(true) => cx.ui.say("locked"),
            Ok(false) => cx.ui.say("nothing was unlocked"),
            Err(error) => {
                return Err(Failure::failed(format!("the agent does not end: {error}"))
                    .hint("its process id is in: vault status"));
            }
        }
        Ok(0)
    }
}
