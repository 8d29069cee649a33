//! `--unsafe-export`: the plan as lines for a POSIX shell to evaluate. The secrets leave vault's hands in clear text, so it is
//! typed out each time, and never goes to a terminal.

use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::exec::Selection;
use crate::cli::failure::Failure;
use crate::exec::plan::Plan;
use crate::secret::Secret;

/// How a quote is written within single quotes.
const QUOTE: &[u8] = b"'\\''";

/// Prints the lines.
pub(super) fn print(cx: &mut Context, selection: &Selection) -> Outcome {
    if cx.ui.is_terminal() {
        let text = "secrets are not printed on a terminal";
        return Err(Failure::failed(text)
            .hint("run the program itself with: vault exec -- COMMAND")
            .hint("have a shell with the secrets with: vault shell"));
    }
    let plan = selection.plan(cx, Vec::new())?;
    if let Some(one) = plan.files.first() {
        let text = format!(
            "{} is to be a file, and there is no program for which to keep it",
            one.variable
        );
        return Err(Failure::failed(text).hint("leave it out with --except, or use: vault shell"));
    }
    selection.tell(cx, &plan);
    cx.ui.secret(&lines(&plan))?;
    Ok(0)
}

fn lines(plan: &Plan) -> Secret {
    let value = |secret: &Secret| secret.len() * QUOTE.len();
    let all = plan.assignments.iter();
    let size: usize = all
        .map(|one| one.variable.len() + value(&one.secret) + "export =''\n".len())
        .sum();
    let gone = plan.removed.iter().map(|name| name.len() + 7);
    // As large as it can get, so that no copy is left behind while it grows.
    let mut out = Vec::with_capacity(size + gone.sum::<usize>());
    for name in &plan.removed {
        out.extend_from_slice(format!("unset {name}\n").as_bytes());
    }
    for one in &plan.assignments {
        out.extend_from_slice(b"export ");
        out.extend_from_slice(one.variable.as_bytes());
        out.extend_from_slice(b"='");
        for byte in one.secret.as_line() {
            match byte {
                b'\'' => out.extend_from_slice(QUOTE),
                byte => out.push(*byte),
            }
        }
        out.extend_from_slice(b"'\n");
    }
    Secret::new(out)
}
