//! Where results go: stdout, or a file that appears whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::NamedTempFile;

use crate::interrupt::HalfWritten;

const BUFFER_BYTES: usize = 1024 * 1024;

/// A place for results. What is not [finished](Output::finish) leaves no file behind.
#[derive(Debug)]
pub(crate) struct Output {
    name: String,
    writer: BufWriter<Sink>,
}

#[derive(Debug)]
enum Sink {
    Stdout(io::Stdout),
    /// Not a regular file, such as a device or a pipe: it cannot be replaced.
    Device(File),
    /// A temporary file beside the place that it is for.
    New {
        file: NamedTempFile,
        place: PathBuf,
        half_written: HalfWritten,
    },
}

impl Output {
    /// The file, or stdout where there is none.
    pub(crate) fn create(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else {
            return Ok(Self::new("stdout".to_owned(), Sink::Stdout(io::stdout())));
        };
        let name = path.display().to_string();
        let sink = Sink::create(path).with_context(|| format!("cannot write {name}"))?;
        Ok(Self::new(name, sink))
    }

    fn new(name: String, sink: Sink) -> Self {
        Self {
            name,
            writer: BufWriter::with_capacity(BUFFER_BYTES, sink),
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
                    half_written,
                } => half_written
                    .put_in_place(|| file.persist(place))
                    .map(|_file| ())
                    .map_err(|error| error.error),
            }
        };
        put().with_context(|| format!("cannot write {name}"))
    }
}

impl Sink {
    fn create(path: &Path) -> io::Result<Self> {
        // Through a link, so that the link stays one.
        let existing = fs::canonicalize(path).ok();
        let metadata = existing.as_deref().map(fs::metadata).transpose()?;
        if metadata.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if metadata
            .as_ref()
            .is_some_and(|metadata| !metadata.is_file())
        {
            return Ok(Self::Device(File::options().write(true).open(path)?));
        }
        let place = existing.unwrap_or_else(|| path.to_owned());
        let folder = match place.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let file = temporary_file_in(folder)?;
        if let Some(metadata) = metadata {
            file.as_file().set_permissions(metadata.permissions())?;
        }
        Ok(Self::New {
            half_written: HalfWritten::new(file.path()),
            file,
            place,
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
            Self::New { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::Device(device) => device.flush(),
            Self::New { file, .. } => file.flush(),
        }
    }
}
