//! The secret that the arguments or the environment give.

use std::path::Path;

use idmerge_server::SecretFile;

use crate::args::serve::ServeArgs;
use crate::environment;
use crate::report::say;

/// The variable of the environment that can have the secret.
pub(super) const VARIABLE: &str = "IDMERGE_SECRET";

/// The argument that is the secret itself. Every user of the machine can see it in the list of
/// processes.
pub(super) const ARGUMENT: &str = "--secret";

/// A secret, and the argument or the variable that gives it.
pub(super) struct GivenSecret {
    pub(super) text: String,
    pub(super) from: &'static str,
}

/// The secret of `--secret` or `--secret-file`, or else that of the environment.
pub(super) fn given(args: &ServeArgs) -> anyhow::Result<Option<GivenSecret>> {
    let (text, from) = match (&args.secret, &args.secret_file) {
        (Some(secret), _) => (secret.clone(), ARGUMENT),
        (None, Some(path)) => (of_file(path)?, "--secret-file"),
        (None, None) => match environment::text(VARIABLE)? {
            Some(secret) => (secret, VARIABLE),
            None => return Ok(None),
        },
    };
    Ok(Some(GivenSecret { text, from }))
}

/// The secret in a file. Warns if every user can read it.
fn of_file(path: &Path) -> anyhow::Result<String> {
    let file = SecretFile::read(path)?;
    if file.is_open_to_others {
        let name = path.display();
        say(format_args!(
            "warning: every user of this machine can read the secret in {name}: chmod 600 {name}"
        ));
    }
    Ok(file.secret)
}
