//! The destination of output: stdout, or a file that is replaced only on success.

mod table;

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::{NamedTempFile, SpooledTempFile};

use crate::output::compress::{Compression, Compressor, ending_of_other_form};
pub(crate) use crate::output::destination::table::Layout;
use crate::output::destination::table::{Form, TableLines};
use crate::output::interrupt::UnfinishedFile;
use crate::report::wrong_usage;
use crate::startup;
use crate::stream::input::Input;

/// Writes that are longer bypass the buffer.
const BUFFER_BYTES: usize = 128 * 1024;

/// More output than this is held in a temporary file.
const HELD_BYTES_IN_MEMORY: usize = 1024 * 1024;

/// The destination of an output.
#[derive(Debug)]
pub(crate) struct Destination {
    place: Place,
    compression: Compression,
    /// If the lines become the rows of a table.
    table: Option<(Layout, Form)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Stdout,
    /// A device, a pipe, or an open file that this process inherited. It cannot be replaced, so the
    /// output is written into it.
    Device(PathBuf),
    /// A regular file, existing or new. Symbolic links are resolved, so that a link stays a link.
    File(PathBuf),
}

/// An open output. If it is not [finished](Output::finish), it leaves no file behind.
#[derive(Debug)]
pub(crate) struct Output {
    name: String,
    writer: BufWriter<Encoder>,
    /// Output that may not be written yet.
    held: Option<SpooledTempFile>,
}

/// Turns lines into the bytes of the output.
#[derive(Debug)]
enum Encoder {
    Lines(Box<Compressor<Target>>),
    Table(Box<TableLines<Compressor<Target>>>),
}

#[derive(Debug)]
enum Target {
    Stdout(io::Stdout),
    Device(File),
    /// A temporary file in the folder of `path`, renamed to it at the end.
    New {
        file: NamedTempFile,
        path: PathBuf,
        replaces_file: bool,
        unfinished: UnfinishedFile,
    },
}

impl Destination {
    pub(crate) const STDOUT: Self = Self {
        place: Place::Stdout,
        compression: Compression::None,
        table: None,
    };

    /// The destination that an argument names. `None` and `-` mean stdout. A name that ends with
    /// `.gz` or `.zst` means that the output is compressed.
    ///
    /// # Errors
    ///
    /// No file can be at this path, or its name promises a form that is not written.
    pub(crate) fn of(path: Option<&Path>) -> anyhow::Result<Self> {
        check_ending(path, "")?;
        let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
            return Ok(Self::STDOUT);
        };
        let place = Place::find(path);
        Ok(Self {
            place: place.with_context(|| format!("cannot write {}", path.display()))?,
            compression: Compression::of(path),
            table: None,
        })
    }

    /// The destination of lines with this layout. A name that ends with `.csv` or `.parquet` means that they
    /// become the rows of a table.
    ///
    /// # Errors
    ///
    /// As for [`Self::of`].
    pub(crate) fn of_table(path: Option<&Path>, layout: Layout) -> anyhow::Result<Self> {
        check_ending(
            path,
            "; or a table, if the name ends with .csv, .csv.gz, .csv.zst or .parquet",
        )?;
        let form = path.and_then(Form::of);
        let mut destination = Self::of(path)?;
        destination.table = form.map(|form| (layout, form));
        Ok(destination)
    }

    /// Whether the lines become the rows of a Parquet file.
    #[cfg(feature = "tables")]
    pub(crate) fn is_parquet(&self) -> bool {
        matches!(self.table, Some((_, Form::Parquet)))
    }

    /// The same destination, for bytes that are the content of the file.
    #[cfg(feature = "tables")]
    pub(crate) fn of_bytes(self) -> Self {
        Self {
            table: None,
            ..self
        }
    }

    /// The destination of an option that may be left out.
    ///
    /// # Errors
    ///
    /// As for [`Self::of`].
    pub(crate) fn of_option(path: Option<&Path>) -> anyhow::Result<Option<Self>> {
        path.map(|path| Self::of(Some(path))).transpose()
    }

    /// Whether writing to both would lose or mix output.
    pub(crate) fn clashes_with(&self, other: &Self) -> bool {
        self.place == other.place && !matches!(self.place, Place::Device(_))
    }

    /// # Errors
    ///
    /// Writing would replace an input, also one under another name; `option` names the destination.
    pub(crate) fn must_keep<'i>(
        &self,
        inputs: impl IntoIterator<Item = &'i Input>,
        option: &str,
    ) -> anyhow::Result<()> {
        let Place::File(path) = &self.place else {
            return Ok(());
        };
        match inputs.into_iter().find(|input| input.is_file_at(path)) {
            None => Ok(()),
            Some(input) => Err(wrong_usage(format_args!(
                "{option} names the INPUT {}, which it would replace; name another file",
                input.name
            ))),
        }
    }
}

impl Place {
    fn find(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(metadata) if !metadata.is_file() || is_inherited(path) => {
                Ok(Self::Device(path.to_owned()))
            }
            Ok(_) => fs::canonicalize(path).map(Self::File),
            Err(error) if error.kind() == io::ErrorKind::NotFound => new_file(path).map(Self::File),
            Err(error) => Err(error),
        }
    }
}

/// Whether this is the name of an open file that this process inherited, such as `/dev/stdout`.
fn is_inherited(path: &Path) -> bool {
    ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc/self/fd"]
        .iter()
        .any(|inherited| path.starts_with(inherited))
}

/// The resolved path of a file that does not exist yet.
fn new_file(path: &Path) -> io::Result<PathBuf> {
    let mut file = path.to_owned();
    // A symbolic link may lead to a file that does not exist. This ends: `fs::metadata` has already
    // failed for a circle of links.
    while let Ok(target) = fs::read_link(&file) {
        file = folder_of(&file).join(target);
    }
    let ends_with_slash = file.as_os_str().as_encoded_bytes().ends_with(b"/");
    match file.file_name() {
        Some(name) if !ends_with_slash => Ok(fs::canonicalize(folder_of(&file))?.join(name)),
        _ => Err(io::ErrorKind::NotADirectory.into()),
    }
}

/// Whether the name of a file says that it is Parquet.
pub(crate) fn is_parquet(path: &Path) -> bool {
    Form::of(path) == Some(Form::Parquet)
}

/// Checks that the name of an output does not promise a form that is not written. `tables` says which other forms there
/// are than lines.
fn check_ending(path: Option<&Path>, tables: &str) -> anyhow::Result<()> {
    let Some((path, ending)) = path.and_then(|path| Some((path, ending_of_other_form(path)?)))
    else {
        return Ok(());
    };
    Err(wrong_usage(format_args!(
        "cannot write {}: .{ending} is not written. What can be written is text, compressed if the name ends with .gz \
         or .zst{tables}",
        path.display()
    )))
}

/// The folder that a file is in, or would be in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

impl Output {
    pub(crate) fn create(destination: Destination) -> anyhow::Result<Self> {
        let Destination {
            place,
            compression,
            table,
        } = destination;
        let name = match &place {
            Place::Stdout => "stdout".to_owned(),
            Place::Device(path) | Place::File(path) => path.display().to_string(),
        };
        let target = Target::create(place).and_then(|target| compression.start(target));
        let encoder = target.and_then(|target| match table {
            None => Ok(Encoder::Lines(Box::new(target))),
            Some((layout, form)) => {
                TableLines::new(layout, form, target).map(|rows| Encoder::Table(Box::new(rows)))
            }
        });
        let encoder = encoder.with_context(|| format!("cannot write {name}"))?;
        Ok(Self {
            name,
            writer: BufWriter::with_capacity(BUFFER_BYTES, encoder),
            held: None,
        })
    }

    pub(crate) fn is_terminal(&self) -> bool {
        match self.writer.get_ref().inner() {
            Target::Stdout(stdout) => stdout.is_terminal(),
            Target::Device(device) => device.is_terminal(),
            Target::New { .. } => false,
        }
    }

    /// Holds the output from now on, until it is [released](Self::release) or the output is
    /// finished. A file needs no holding: it appears only at the end.
    pub(crate) fn hold(&mut self) {
        if !matches!(self.writer.get_ref().inner(), Target::New { .. }) {
            self.held
                .get_or_insert_with(|| SpooledTempFile::new(HELD_BYTES_IN_MEMORY));
        }
    }

    /// Writes the held output.
    pub(crate) fn release(&mut self) -> anyhow::Result<()> {
        let Some(mut held) = self.held.take() else {
            return Ok(());
        };
        held.rewind().context("cannot read a temporary file")?;
        let copied = io::copy(&mut held, &mut self.writer);
        copied
            .map(|_bytes| ())
            .with_context(|| format!("cannot write {}", self.name))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        if let Some(held) = &mut self.held {
            return held
                .write_all(bytes)
                .context("cannot write a temporary file");
        }
        self.writer
            .write_all(bytes)
            .with_context(|| format!("cannot write {}", self.name))
    }

    /// Passes the writer to `write`, and names the output in an error.
    pub(crate) fn write_with<T>(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<T>,
    ) -> anyhow::Result<T> {
        self.release()?;
        write(&mut self.writer).with_context(|| format!("cannot write {}", self.name))
    }

    /// Flushes the output; a file appears at its path.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        self.release()?;
        let Self { name, writer, .. } = self;
        writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .and_then(Encoder::finish)
            .and_then(Target::finish)
            .with_context(|| format!("cannot write {name}"))
    }
}

#[cfg(feature = "tables")]
impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Encoder {
    fn inner(&self) -> &Target {
        match self {
            Self::Lines(lines) => lines.inner(),
            Self::Table(rows) => rows.inner().inner(),
        }
    }

    fn finish(self) -> io::Result<Target> {
        match self {
            Self::Lines(lines) => lines.finish(),
            Self::Table(rows) => rows.finish().and_then(Compressor::finish),
        }
    }
}

impl Write for Encoder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Lines(lines) => lines.write(bytes),
            Self::Table(rows) => rows.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Lines(lines) => lines.flush(),
            Self::Table(rows) => rows.flush(),
        }
    }
}

impl Target {
    fn create(place: Place) -> io::Result<Self> {
        let path = match place {
            Place::Stdout if startup::stdout_was_closed() => {
                return Err(io::Error::other("it is closed"));
            }
            Place::Stdout => return Ok(Self::Stdout(io::stdout())),
            Place::Device(path) => {
                return Ok(Self::Device(File::options().append(true).open(path)?));
            }
            Place::File(path) => path,
        };
        // A file that may not be written may not be replaced either.
        let permissions = match File::options().write(true).open(&path) {
            Ok(existing) => Some(existing.metadata()?.permissions()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let replaces_file = permissions.is_some();
        let (file, unfinished) = UnfinishedFile::create(|| temporary_file_in(folder_of(&path)))?;
        if let Some(permissions) = permissions {
            file.as_file().set_permissions(permissions)?;
        }
        Ok(Self::New {
            file,
            path,
            replaces_file,
            unfinished,
        })
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Stdout(mut stdout) => stdout.flush(),
            Self::Device(mut device) => device.flush(),
            Self::New {
                file,
                path,
                replaces_file,
                unfinished,
            } => {
                // Without a sync, a machine that stops soon after could lose the old file and leave
                // the new one empty. If no file is replaced, nothing can be lost, so do not wait for
                // the disk; `cp` does not either.
                if replaces_file {
                    file.as_file().sync_all()?;
                }
                unfinished
                    .finish(|| file.persist(path))
                    .map(|_file| ())
                    .map_err(|error| error.error)
            }
        }
    }
}

#[cfg(unix)]
fn temporary_file_in(folder: &Path) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .prefix(".idmerge-")
        // The mode of an ordinary new file; the umask applies.
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)
}

#[cfg(not(unix))]
fn temporary_file_in(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".idmerge-")
        .tempfile_in(folder)
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::Device(device) => device.write(bytes),
            // `NamedTempFile::write` would name the temporary path in its errors.
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
