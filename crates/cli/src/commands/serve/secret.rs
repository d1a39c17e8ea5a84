//! The secret that the arguments or the environment give.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};

use crate::args::serve::ServeArgs;
use crate::environment;
use crate::report::say;

/// The variable of the environment that can have the secret.
pub(super) const VARIABLE: &str = "IDMERGE_SECRET";

/// The argument that is the secret itself. Every user of the machine can see it in the list of
/// processes.
pub(super) const ARGUMENT: &str = "--secret";

/// No secret is longer. Without a limit, a device such as /dev/zero would fill the memory.
const MAX_BYTES: u64 = 4_096;

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

/// The text of a file, without the line break at its end.
fn of_file(path: &Path) -> anyhow::Result<String> {
    let name = path.display();
    let read = || -> std::io::Result<(Vec<u8>, bool)> {
        let file = File::open(path)?;
        let is_open = is_open_to_others(&file.metadata()?);
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        Ok((bytes, is_open))
    };
    let (bytes, is_open) = read().with_context(|| format!("cannot read the secret from {name}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        bail!("{name} has more than {MAX_BYTES} bytes, so it is not a secret");
    }
    let Ok(mut secret) = String::from_utf8(bytes) else {
        bail!("the secret in {name} is not UTF-8");
    };
    if secret.ends_with('\n') {
        secret.pop();
        if secret.ends_with('\r') {
            secret.pop();
        }
    }
    if secret.is_empty() {
        bail!("{name} is empty; put the secret in it");
    }
    if secret.contains(['\n', '\r']) {
        bail!("{name} has several lines; put the secret, and nothing else, on its first line");
    }
    if is_open {
        say(format_args!(
            "warning: every user of this machine can read the secret in {name}: chmod 600 {name}"
        ));
    }
    Ok(secret)
}

/// Whether every user of the machine can read a file. A pipe has no other reader.
#[cfg(unix)]
fn is_open_to_others(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.is_file() && metadata.permissions().mode() & 0o004 != 0
}

#[cfg(not(unix))]
fn is_open_to_others(_: &std::fs::Metadata) -> bool {
    false
}
