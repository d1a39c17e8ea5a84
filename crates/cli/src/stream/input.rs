//! Input files and stdin, read once or twice.

mod ahead;
mod copy;
mod decompress;
pub(crate) mod sorted;
pub(crate) mod table;
mod unchanged;

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use idmerge_ingest::{Known, KnownInputs};

use crate::report::wrong_usage;
use crate::stream::input::ahead::Ahead;
use crate::stream::input::copy::{Tee, not_copied};
pub(crate) use crate::stream::input::decompress::Helpers;
use crate::stream::input::decompress::decompressed;
use crate::stream::input::sorted::Origins;
use crate::stream::input::table::TableForm;
pub(crate) use crate::stream::input::unchanged::InputChanged;
use crate::stream::input::unchanged::{Change, Exact, Reading, Stamp, Unchanged};
use crate::stream::progress::Progress;

/// One input.
#[derive(Debug)]
pub(crate) struct Input {
    /// As the user named it.
    pub(crate) name: String,
    contents: Contents,
    /// What the rows are if the input is a table.
    form: TableForm,
    /// The threads that read it.
    helpers: Helpers,
}

#[derive(Debug)]
enum Contents {
    /// A file: can be read again, if it does not change.
    File(InputFile),
    /// A pipe: can be read once, and again only from a copy.
    Stream {
        origin: Origin,
        copy: Option<File>,
        ahead: Option<Ahead>,
    },
    /// Records of other inputs, in another order: can be read again.
    Sorted {
        records: File,
        origins: Arc<Origins>,
    },
}

#[derive(Debug)]
struct InputFile {
    origin: Origin,
    /// As it was before anything was read.
    before: Stamp,
    /// Where reading starts: redirected stdin may have been read in part.
    start: u64,
    /// The hash of the text that the first pass of two has read.
    hash: Option<u64>,
}

/// What to open. An input is opened only when it is read: there may be more inputs than a process
/// may hold open, and opening a named pipe waits for its writer.
#[derive(Debug)]
enum Origin {
    Path(PathBuf),
    Stdin,
}

/// Whether the input will be read another time after this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reread {
    Yes,
    No,
}

/// Finds all inputs before any is read. No path means stdin, unless stdin is the terminal.
///
/// # Errors
///
/// An input is missing or may not be read, or stdin is named twice.
pub(crate) fn find_all(paths: &[PathBuf]) -> anyhow::Result<Vec<Input>> {
    if paths.is_empty() {
        if io::IsTerminal::is_terminal(&io::stdin()) {
            return Err(wrong_usage(format_args!(
                "there is no INPUT: name a file, or pipe events to stdin"
            )));
        }
        return Ok(vec![Input::find(Path::new("-"))?]);
    }
    if paths.iter().filter(|path| is_dash(path)).count() > 1 {
        return Err(wrong_usage(format_args!(
            "stdin can be read only once, but - is given twice"
        )));
    }
    paths.iter().map(|path| Input::find(path)).collect()
}

/// The size of all inputs together, if all are files.
pub(crate) fn total_bytes(inputs: &[Input]) -> Option<u64> {
    inputs.iter().map(Input::bytes).sum()
}

/// Checks that no input has changed since it was read the first time, before the second time gives
/// any output.
///
/// # Errors
///
/// [`InputChanged`], or a file can no longer be read.
pub(crate) fn check_unchanged(inputs: &mut [Input]) -> anyhow::Result<()> {
    inputs.iter_mut().try_for_each(Input::check_unchanged)
}

fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

impl Input {
    fn find(path: &Path) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let contents = Contents::find(path).with_context(|| format!("cannot open {name}"))?;
        Ok(Self {
            name,
            contents,
            form: TableForm::RECORDS,
            helpers: Helpers::new(1),
        })
    }

    /// Says what the rows are if the input is a table.
    pub(crate) fn read_table_as(&mut self, form: &TableForm) {
        self.form = form.clone();
    }

    /// Says which threads can help to decompress it, while they wait for it.
    pub(crate) fn read_with(&mut self, helpers: &Helpers) {
        self.helpers = helpers.clone();
    }

    /// The records of other inputs, in the order of a field.
    pub(crate) fn sorted(field: &str, records: File, origins: Origins) -> Self {
        Self {
            name: format!("the records in the order of {field}"),
            contents: Contents::Sorted {
                records,
                origins: Arc::new(origins),
            },
            form: TableForm::RECORDS,
            helpers: Helpers::new(1),
        }
    }

    /// Where each record was before it was sorted, if the records were.
    pub(crate) fn origins(&self) -> Option<Arc<Origins>> {
        match &self.contents {
            Contents::Sorted { origins, .. } => Some(Arc::clone(origins)),
            _ => None,
        }
    }

    /// The format that the name of an empty file says. A compressed file is never empty (IN-6).
    fn cut_off(&self) -> Option<&'static str> {
        let formats = [(".gz", "gzip"), (".zst", "zstd")];
        let is_empty = self.bytes() == Some(0);
        let format = formats.iter().find(|(end, _)| self.name.ends_with(end))?;
        is_empty.then_some(format.1)
    }

    fn bytes(&self) -> Option<u64> {
        match &self.contents {
            Contents::File(file) => Some(file.bytes()),
            Contents::Stream { .. } => None,
            Contents::Sorted { records, .. } => records.metadata().ok().map(|of| of.len()),
        }
    }

    /// The first bytes of a file of text, decompressed. `None` for other inputs, and if they cannot be read: that is
    /// found again when the input is read.
    pub(crate) fn head(&mut self, bytes: usize) -> Option<Vec<u8>> {
        if !matches!(self.contents, Contents::File(_)) || self.is_table() {
            return None;
        }
        let (mut head, progress) = (Vec::new(), Progress::of_bytes(None, true));
        let text = self.read(Reread::No, &progress).ok()?;
        text.take(bytes as u64).read_to_end(&mut head).ok()?;
        Some(head)
    }

    /// Whether this is a file with a table of Parquet. `false` also if it cannot be read: that is found again when the
    /// input is read.
    pub(crate) fn is_table(&self) -> bool {
        let Contents::File(file) = &self.contents else {
            return false;
        };
        let mut open = file.origin.open();
        let is_table = open.as_mut().map(table::is_table);
        is_table.is_ok_and(|is_table| is_table.unwrap_or(false))
    }

    /// The file, if it is a table that can be read anywhere and again.
    #[cfg(feature = "tables")]
    pub(crate) fn open_table(&self) -> anyhow::Result<Option<File>> {
        let Contents::File(file) = &self.contents else {
            return Ok(None);
        };
        let open = || {
            let mut open = file.origin.open()?;
            let is_table = file.start == 0 && table::is_table(&mut open)?;
            Ok(is_table.then_some(open))
        };
        open().map_err(|error: io::Error| {
            anyhow::Error::new(error).context(format!("cannot read {}", self.name))
        })
    }

    /// Opens the file of [`open_table`](Self::open_table) again.
    ///
    /// # Errors
    ///
    /// [`InputChanged`], or it cannot be opened.
    #[cfg(feature = "tables")]
    pub(crate) fn reopen_table(&self) -> anyhow::Result<File> {
        let Contents::File(file) = &self.contents else {
            bail!("{} is not a file", self.name);
        };
        let failed = || format!("cannot read {}", self.name);
        let changed = |change| InputChanged::new(&self.name, change);
        let open = file.origin.open().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => anyhow::Error::new(changed(Change::Removed)),
            _ => anyhow::Error::new(error).context(failed()),
        })?;
        let now = Stamp::of(&open.metadata().with_context(failed)?);
        match file.before.change(&now, Reading::First) {
            Some(change) => Err(changed(change).into()),
            None => Ok(open),
        }
    }

    /// Whether this is the file at a path, under whatever name.
    pub(crate) fn is_file_at(&self, path: &Path) -> bool {
        match &self.contents {
            Contents::File(file) => file.is_at(path),
            Contents::Stream { .. } | Contents::Sorted { .. } => false,
        }
    }

    /// The longest known input that this one begins with. What is read of a stream for that is held,
    /// and read again.
    pub(crate) fn find_known(&mut self, known: &KnownInputs) -> anyhow::Result<Option<Known>> {
        if known.is_empty() {
            return Ok(None);
        }
        let (origin, ahead) = match &mut self.contents {
            Contents::File(_) | Contents::Sorted { .. } => {
                let progress = Progress::of_bytes(None, true);
                return Ok(known.find(&mut *self.read(Reread::No, &progress)?));
            }
            Contents::Stream { origin, ahead, .. } => (origin, ahead),
        };
        let failed =
            |error| anyhow::Error::new(error).context(format!("cannot read {}", self.name));
        let ahead = ahead.insert(Ahead::new(origin.open().map_err(failed)?));
        // An error of the data is found again when the input is read.
        let silent = Progress::of_bytes(None, true);
        let found = match decompressed(
            &mut *ahead,
            &self.name,
            &mut self.form,
            &self.helpers,
            &silent,
        ) {
            Ok(mut stream) => known.find(&mut *stream),
            Err(_) => None,
        };
        match ahead.failed.take() {
            Some(error) => Err(failed(not_copied(error))),
            None => Ok(found),
        }
    }

    /// Reads the input from its start, decompressed. A stream that will be read again is copied to a
    /// temporary file on the way. A file that changes is an error, at the latest at its end.
    pub(crate) fn read<'i>(
        &'i mut self,
        reread: Reread,
        progress: &'i Progress,
    ) -> anyhow::Result<Box<dyn Read + Send + 'i>> {
        if let Some(format) = self.cut_off() {
            let name = &self.name;
            bail!(
                "cannot read {name}: it has 0 bytes, but {format} data is never empty: it was cut off"
            );
        }
        let (name, form, helpers) = (&*self.name, &mut self.form, &self.helpers);
        let stream: io::Result<Box<dyn Read + Send + 'i>> = match &mut self.contents {
            Contents::File(file) => {
                let text = file.read(name, reread, form, helpers, progress);
                return text.map_err(|error| unreadable(name, error));
            }
            Contents::Stream {
                ahead: Some(ahead), ..
            } => ahead.start_over().map(|stream| Box::new(stream) as _),
            Contents::Stream { origin, copy, .. } => read_stream(origin, copy, reread),
            Contents::Sorted { records, .. } => records.rewind().map(|()| Box::new(records) as _),
        };
        stream
            .and_then(|stream| decompressed(progress.watch(stream), name, form, helpers, progress))
            .map_err(|error| unreadable(name, error))
    }

    fn check_unchanged(&mut self) -> anyhow::Result<()> {
        let may_have_changed = match &self.contents {
            Contents::Stream { .. } | Contents::Sorted { .. } => false,
            Contents::File(file) => file.may_have_changed(),
        };
        if may_have_changed {
            let progress = Progress::of_bytes(None, true);
            let mut text = self.read(Reread::No, &progress)?;
            io::copy(&mut text, &mut io::sink())?;
        }
        Ok(())
    }
}

impl Contents {
    fn find(path: &Path) -> io::Result<Self> {
        let origin = match is_dash(path) {
            true => Origin::Stdin,
            false => Origin::Path(path.to_owned()),
        };
        let metadata = origin.metadata()?;
        if metadata.is_dir() {
            let advice = format!(
                "is a directory; name the files in it, as in {}",
                path.join("*").display()
            );
            return Err(io::Error::new(
                io::ErrorKind::IsADirectory,
                match is_dash(path) {
                    true => "is a directory".to_owned(),
                    false => advice,
                },
            ));
        }
        if !metadata.is_file() {
            return Ok(Self::Stream {
                origin,
                copy: None,
                ahead: None,
            });
        }
        // Opening it here reports a missing permission before anything is read.
        let start = origin.open()?.stream_position()?;
        Ok(Self::File(InputFile {
            origin,
            before: Stamp::of(&metadata),
            start,
            hash: None,
        }))
    }
}

impl InputFile {
    fn bytes(&self) -> u64 {
        self.before.bytes().saturating_sub(self.start)
    }

    fn read<'i>(
        &'i mut self,
        name: &'i str,
        reread: Reread,
        form: &mut TableForm,
        helpers: &Helpers,
        progress: &Progress,
    ) -> io::Result<Box<dyn Read + Send + 'i>> {
        let reading = match (self.hash, reread) {
            (Some(hash), _) => Reading::Again { hash },
            (None, Reread::Yes) => Reading::First,
            (None, Reread::No) => Reading::Once,
        };
        let changed = |change| InputChanged::new(name, change);
        let now = self.origin.metadata().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => changed(Change::Removed).into(),
            _ => error,
        })?;
        if let Some(change) = self.before.change(&Stamp::of(&now), reading) {
            return Err(changed(change).into());
        }
        let mut file = self.origin.open()?;
        file.seek(SeekFrom::Start(self.start))?;
        let open = file.try_clone()?;
        let text = match self.start == 0 && table::is_table(&mut file)? {
            true => table::text(file, name, form, progress)?,
            false => {
                file.seek(SeekFrom::Start(self.start))?;
                let bytes = Exact::new(file, self.bytes());
                decompressed(progress.watch(bytes), name, form, helpers, progress)?
            }
        };
        let now = move || Ok(Stamp::of(&open.metadata()?));
        let Self { before, hash, .. } = self;
        let text = Unchanged::new(text, name, reading, before, now, hash);
        Ok(Box::new(text))
    }

    fn is_at(&self, path: &Path) -> bool {
        let Ok(metadata) = fs::metadata(path) else {
            return false;
        };
        match &self.origin {
            // The identity of a file is not known here.
            Origin::Path(own) if cfg!(not(unix)) => {
                fs::canonicalize(own).ok() == fs::canonicalize(path).ok()
            }
            Origin::Stdin if cfg!(not(unix)) => false,
            _ => self.before.is_same_file(&Stamp::of(&metadata)),
        }
    }

    /// Whether the file must be read to know that it has not changed.
    fn may_have_changed(&self) -> bool {
        self.origin.metadata().map_or(true, |metadata| {
            let now = Stamp::of(&metadata);
            let change = self.before.change(&now, Reading::First);
            change.is_some() || self.before.may_hide_a_change(&now)
        })
    }
}

/// Why an input cannot be read.
fn unreadable(name: &str, error: io::Error) -> anyhow::Error {
    match InputChanged::of(&error) {
        Some(changed) => changed.clone().into(),
        None => anyhow::Error::new(error).context(format!("cannot read {name}")),
    }
}

fn read_stream<'i>(
    origin: &Origin,
    copy: &'i mut Option<File>,
    reread: Reread,
) -> io::Result<Box<dyn Read + Send + 'i>> {
    Ok(match (copy, reread) {
        (Some(copy), _) => {
            copy.rewind()?;
            Box::new(copy)
        }
        (copy, Reread::Yes) => Box::new(Tee {
            stream: origin.open()?,
            copy: copy.insert(tempfile::tempfile().map_err(not_copied)?),
        }),
        (_, Reread::No) => Box::new(origin.open()?),
    })
}

impl Origin {
    fn open(&self) -> io::Result<File> {
        match self {
            Self::Path(path) => File::open(path),
            Self::Stdin => duplicate_stdin(),
        }
    }

    fn metadata(&self) -> io::Result<Metadata> {
        match self {
            Self::Path(path) => fs::metadata(path),
            Self::Stdin => duplicate_stdin()?.metadata(),
        }
    }
}

#[cfg(unix)]
fn duplicate_stdin() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

#[cfg(windows)]
fn duplicate_stdin() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(File::from(io::stdin().as_handle().try_clone_to_owned()?))
}
