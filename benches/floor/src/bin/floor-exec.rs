//! `floor-exec IDENTITY KEYFILE VAR=ENTRY... -- COMMAND ARGUMENTS...` becomes COMMAND with the secrets in
//! its environment.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

fn main() -> floor::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let split = args.iter().position(|arg| arg == "--").ok_or("no --")?;
    let ([_, identity, key_file, wanted @ ..], [_, program, rest @ ..]) = args.split_at(split)
    else {
        return Err("usage: floor-exec IDENTITY KEYFILE VAR=ENTRY... -- COMMAND".into());
    };
    let key = floor::store_key(identity, key_file)?;
    let mut command = Command::new(program);
    for pair in wanted {
        let (variable, entry) = pair.split_once('=').ok_or("no =")?;
        command.env(variable, OsString::from_vec(floor::secret(&key, entry)?));
    }
    Err(command.args(rest).exec().into())
}
