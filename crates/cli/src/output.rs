//! Where results go: stdout, or a file that appears whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::NamedTempFile;

use crate::interrupt::HalfWritten;

/// What is longer is not copied into the buffer, but written at once.
const BUFFER_BYTES: usize = 128 * 1024;

/// Where an output is to go.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Stdout,
    /// Cannot be replaced: a device, a pipe, or a file that this process was given open.
    Device(PathBuf),
    /// A regular file, which is there or not. Through links, so that a link stays one.
    File(PathBuf),
}

/// An output, open. What is not [finished](Output::finish) leaves no file behind.
#[derive(Debug)]
pub(crate) struct Output {
    name: String,
    writer: BufWriter<Sink>,
}

#[derive(Debug)]
enum Sink {
    Stdout(io::Stdout),
    Device(File),
    /// A temporary file beside the place that it is for.
    New {
        file: NamedTempFile,
        place: PathBuf,
        /// Whether a file stands there that goes away.
        replaces: bool,
        half_written: HalfWritten,
    },
}

impl Place {
    /// The place that an argument names. None means stdout, and so does `-`.
    pub(crate) fn of(path: Option<&Path>) -> anyhow::Result<Self> {
        match path {
            None => Ok(Self::Stdout),
            Some(path) if path.as_os_str() == "-" => Ok(Self::Stdout),
            Some(path) => {
                Self::find(path).with_context(|| format!("cannot write {}", path.display()))
            }
        }
    }

    fn find(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(metadata) if !metadata.is_file() || is_given_open(path) => {
                Ok(Self::Device(path.to_owned()))
            }
            Ok(_) => fs::canonicalize(path).map(Self::File),
            Err(error) if error.kind() == io::ErrorKind::NotFound => new_file(path).map(Self::File),
            Err(error) => Err(error),
        }
    }

    /// Whether what goes to both would be lost or mixed.
    pub(crate) fn clashes_with(&self, other: &Self) -> bool {
        self == other && !matches!(self, Self::Device(_))
    }

    /// Whether it is this file, which is then replaced.
    pub(crate) fn replaces(&self, path: &Path) -> bool {
        fs::canonicalize(path).is_ok_and(|path| *self == Self::File(path))
    }
}

/// Whether this is the name of a file that this process was given open, such as `/dev/stdout`.
fn is_given_open(path: &Path) -> bool {
    ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc/self/fd"]
        .iter()
        .any(|given| path.starts_with(given))
}

/// Where a file will be that is not there yet.
fn new_file(path: &Path) -> io::Result<PathBuf> {
    let mut place = path.to_owned();
    // It may be that links lead there. They have an end: a circle gives another error.
    while let Ok(target) = fs::read_link(&place) {
        place = folder_of(&place).join(target);
    }
    let ends_with_slash = place.as_os_str().as_encoded_bytes().ends_with(b"/");
    match place.file_name() {
        Some(name) if !ends_with_slash => Ok(fs::canonicalize(folder_of(&place))?.join(name)),
        _ => Err(io::ErrorKind::NotADirectory.into()),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

impl Output {
    pub(crate) fn create(place: Place) -> anyhow::Result<Self> {
        let name = match &place {
            Place::Stdout => "stdout".to_owned(),
            Place::Device(path) | Place::File(path) => path.display().to_string(),
        };
        let sink = Sink::create(place).with_context(|| format!("cannot write {name}"))?;
        Ok(Self {
            name,
            writer: BufWriter::with_capacity(BUFFER_BYTES, sink),
        })
    }

    /// Whether somebody watches.
    pub(crate) fn is_terminal(&self) -> bool {
        match self.writer.get_ref() {
            Sink::Stdout(stdout) => stdout.is_terminal(),
            Sink::Device(device) => device.is_terminal(),
            Sink::New { .. } => false,
        }
    }

    /// Writes some bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.writer
            .write_all(bytes)
            .with_context(|| format!("cannot write {}", self.name))
    }

    /// Writes what `write` writes.
    pub(crate) fn write_with<T>(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<T>,
    ) -> anyhow::Result<T> {
        write(&mut self.writer).with_context(|| format!("cannot write {}", self.name))
    }

    /// All is written: the file appears.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        let Self { name, writer } = self;
        let put = || -> io::Result<()> {
            match writer
                .into_inner()
                .map_err(io::IntoInnerError::into_error)?
            {
                Sink::Stdout(mut stdout) => stdout.flush(),
                Sink::Device(mut device) => device.flush(),
                Sink::New {
                    file,
                    place,
                    replaces,
                    half_written,
                } => {
                    // Where the machine stops soon after, the old file should not be lost and the
                    // new one empty. A file where none was is no worse than none, so it is not
                    // waited for, no more than `cp` does.
                    if replaces {
                        file.as_file().sync_all()?;
                    }
                    half_written
                        .put_in_place(|| file.persist(place))
                        .map(|_file| ())
                        .map_err(|error| error.error)
                }
            }
        };
        put().with_context(|| format!("cannot write {name}"))
    }
}

impl Sink {
    fn create(place: Place) -> io::Result<Self> {
        let place = match place {
            Place::Stdout => return Ok(Self::Stdout(io::stdout())),
            Place::Device(path) => {
                return Ok(Self::Device(File::options().append(true).open(path)?));
            }
            Place::File(path) => path,
        };
        // A file that may not be written may not be replaced either.
        let permissions = match File::options().write(true).open(&place) {
            Ok(existing) => Some(existing.metadata()?.permissions()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let replaces = permissions.is_some();
        let (file, half_written) = HalfWritten::make(|| temporary_file_in(folder_of(&place)))?;
        if let Some(permissions) = permissions {
            file.as_file().set_permissions(permissions)?;
        }
        Ok(Self::New {
            file,
            place,
            replaces,
            half_written,
        })
    }
}

#[cfg(unix)]
fn temporary_file_in(folder: &Path) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .prefix(".idmerge-")
        // As any new file: the umask takes away what it does.
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)
}

#[cfg(not(unix))]
fn temporary_file_in(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".idmerge-")
        .tempfile_in(folder)
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::Device(device) => device.write(bytes),
            // Not through the temporary file's own `write`, whose errors name its passing path.
            Self::New { file, .. } => file.as_file_mut().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::Device(device) => device.flush(),
            Self::New { file, .. } => file.as_file_mut().flush(),
        }
    }
}
