//! stub
use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::context::Context;
/// Arguments of `accept`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {}
impl Run for Args {
    fn run(self, _cx: &mut Context) -> Outcome {
        Ok(0)
    }
}
