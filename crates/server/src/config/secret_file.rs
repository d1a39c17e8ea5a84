//! [`SecretFile`]: a file that has a secret and nothing else.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use thiserror::Error;

/// No secret is longer. Without a limit, a device such as /dev/zero would fill the memory.
const MAX_BYTES: u64 = 4_096;

/// How long a pipe may take. A password manager that writes into one may have to ask its user first.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file that has a secret and nothing else.
pub struct SecretFile {
    /// The text of the file, without a byte order mark at its start and a line break at its end.
    pub secret: String,
    /// Whether every user of the machine can read the file.
    pub is_open_to_others: bool,
}

/// Why a file gives no secret.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SecretFileError {
    /// The file cannot be read.
    #[error("cannot read the secret from {file}: {error}")]
    Read {
        /// The name of the file.
        file: String,
        /// The cause.
        error: io::Error,
    },
    /// The file is a pipe without a writer, or its writer does not close it.
    #[error(
        "cannot read the secret from {file}: it has not ended after {} seconds; if it is a pipe, its writer \
         must close it",
        after.as_secs()
    )]
    Endless {
        /// The name of the file.
        file: String,
        /// How long it was read.
        after: Duration,
    },
    /// The file is too long for a secret.
    #[error("{file} has more than {MAX_BYTES} bytes, so it is not a secret")]
    TooLong {
        /// The name of the file.
        file: String,
    },
    /// The file is not text.
    #[error("the secret in {file} is not UTF-8; save the file in that encoding")]
    NotUtf8 {
        /// The name of the file.
        file: String,
    },
    /// The file is empty, or has an empty line only.
    #[error("{file} is empty; put the secret in it")]
    Empty {
        /// The name of the file.
        file: String,
    },
    /// The file has more than the secret.
    #[error("{file} has several lines; put the secret, and nothing else, on its first line")]
    SeveralLines {
        /// The name of the file.
        file: String,
    },
    /// The secret has a character that no client can send.
    #[error(
        "the secret in {file} has a control character, which no request can carry; use printable text, and \
         save it as UTF-8"
    )]
    Control {
        /// The name of the file.
        file: String,
    },
}

impl SecretFile {
    /// Reads a file, which may be a pipe. Waits at most a minute for it.
    ///
    /// # Errors
    ///
    /// [`SecretFileError`] says what is wrong with the file.
    pub fn read(path: &Path) -> Result<Self, SecretFileError> {
        Self::read_within(path, PATIENCE)
    }

    fn read_within(path: &Path, patience: Duration) -> Result<Self, SecretFileError> {
        let file = path.display().to_string();
        let (bytes, is_open_to_others) = match read_aside(path, patience) {
            Some(Ok(read)) => read,
            Some(Err(error)) => return Err(SecretFileError::Read { file, error }),
            None => {
                let after = patience;
                return Err(SecretFileError::Endless { file, after });
            }
        };
        if bytes.len() as u64 > MAX_BYTES {
            return Err(SecretFileError::TooLong { file });
        }
        let Ok(text) = String::from_utf8(bytes) else {
            return Err(SecretFileError::NotUtf8 { file });
        };
        // Editors of Windows write it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let line = text.strip_suffix('\n');
        let line = line.map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        if line.is_empty() {
            return Err(SecretFileError::Empty { file });
        }
        // UTF-16 without a mark, for example.
        if line.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\r')) {
            return Err(SecretFileError::Control { file });
        }
        if line.contains(['\n', '\r']) {
            return Err(SecretFileError::SeveralLines { file });
        }
        Ok(Self {
            secret: line.to_owned(),
            is_open_to_others,
        })
    }
}

/// Leaves out the secret, so that no log has it.
impl std::fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretFile").finish_non_exhaustive()
    }
}

/// The bytes of a file, and whether every user of the machine can read it.
type Content = (Vec<u8>, bool);

/// Reads a file on a thread of its own, since opening or reading a pipe can take for ever. `None` if it
/// takes longer than `patience`; the thread then stays behind, and the caller gives up.
fn read_aside(path: &Path, patience: Duration) -> Option<io::Result<Content>> {
    let (sender, receiver) = mpsc::channel();
    let path = path.to_owned();
    let reader = move || {
        let _is_awaited = sender.send(read(&path));
    };
    match thread::Builder::new().spawn(reader) {
        Ok(_reader) => receiver.recv_timeout(patience).ok(),
        Err(error) => Some(Err(error)),
    }
}

/// The file up to the limit.
fn read(path: &Path) -> io::Result<Content> {
    let file = File::open(path)?;
    let is_open = is_open_to_others(&file.metadata()?);
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok((bytes, is_open))
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

#[cfg(all(test, unix))]
mod tests {
    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    #[test]
    fn a_pipe_may_have_the_secret_but_must_end() {
        let folder = tempfile::tempdir().unwrap();
        // One for each case, since a reader that is given up stays at its pipe.
        let pipe = |name: &str| {
            let path = folder.path().join(name);
            mkfifoat(CWD, &path, Mode::from_bits_truncate(0o666)).unwrap();
            path
        };
        let soon = Duration::from_millis(20);
        let error = SecretFile::read_within(&pipe("unopened"), soon).unwrap_err();
        assert!(error.to_string().contains("it has not ended"), "{error}");

        let open = pipe("open");
        let writer = File::options().read(true).write(true).open(&open).unwrap();
        let error = SecretFile::read_within(&open, soon).unwrap_err();
        assert!(matches!(error, SecretFileError::Endless { .. }), "{error}");
        drop(writer);

        let written = pipe("written");
        thread::scope(|scope| {
            scope.spawn(|| std::fs::write(&written, "a secret of a pipe\n").unwrap());
            let file = SecretFile::read(&written).unwrap();
            assert_eq!(file.secret, "a secret of a pipe");
            assert!(!file.is_open_to_others);
            assert!(!format!("{file:?}").contains("pipe"));
        });
    }
}
