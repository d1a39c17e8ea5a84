//! [`BlockedIds`]: a list of values that are not IDs (rule ID-4), as a file has it.

use std::io;
use std::path::Path;

use idmerge_core::{DEVICE_PREFIX, IdRules};
use thiserror::Error;

/// Values that are not IDs, in place of the default ones or besides them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedIds {
    ids: Vec<String>,
    replaces_default: bool,
}

/// A list of blocked IDs that cannot be used. The message names the file and the line.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BlockedIdsError {
    /// The file cannot be read.
    #[error("cannot read the blocked IDs from {file}: {error}")]
    Read {
        /// The file.
        file: String,
        /// Why it cannot be read.
        error: io::Error,
    },
    /// A line is not text in UTF-8.
    #[error("{file}, line {line}: not UTF-8; save the list as text in UTF-8, one ID a line")]
    NotUtf8 {
        /// The file.
        file: String,
        /// The number of the line, counted from 1.
        line: usize,
    },
    /// A line is longer than any ID.
    #[error(
        "{file}, line {line}: the line has {bytes} bytes, and no ID has more than 65535 (ID-2); \
         the list has one ID a line"
    )]
    TooLong {
        /// The file.
        file: String,
        /// The number of the line, counted from 1.
        line: usize,
        /// The length of the line.
        bytes: usize,
    },
    /// A line begins with the prefix of a device, with which no ID would ever equal it.
    #[error(
        "{file}, line {line}: leave out the prefix $device:, which is not part of the ID (ID-5); \
         the ID without it is blocked with and without the prefix"
    )]
    Prefixed {
        /// The file.
        file: String,
        /// The number of the line, counted from 1.
        line: usize,
    },
}

impl BlockedIds {
    /// Reads a list as options and configuration files name it: `FILE` replaces the default list,
    /// and `+FILE` adds to it. `read` reads the file with this path. (A file whose name begins with a
    /// plus sign can be written as `./+FILE`.)
    ///
    /// # Errors
    ///
    /// [`BlockedIdsError::Read`] if `read` fails, and the errors of [`parse`](Self::parse).
    ///
    /// ```
    /// use idmerge_engines::BlockedIds;
    ///
    /// let read = |_: &std::path::Path| Ok(b"# our test users\ntest\n\\#1\n".to_vec());
    /// let blocked = BlockedIds::of_option("+blocked.txt", read)?;
    /// let rules = blocked.id_rules(255);
    /// assert!(rules.blocked_values().any(|value| value == "#1"));
    /// assert!(rules.blocked_values().any(|value| value == "undefined"));
    /// # Ok::<(), idmerge_engines::BlockedIdsError>(())
    /// ```
    pub fn of_option(
        option: &str,
        read: impl FnOnce(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<Self, BlockedIdsError> {
        let (file, replaces_default) = match option.strip_prefix('+') {
            Some(file) => (file, false),
            None => (option, true),
        };
        let text = read(Path::new(file)).map_err(|error| BlockedIdsError::Read {
            file: file.to_owned(),
            error,
        })?;
        Ok(Self {
            ids: Self::parse(file, &text)?,
            replaces_default,
        })
    }

    /// The IDs of a list. Each line is one ID, and nothing of it is trimmed (ID-1). Blank lines, byte
    /// order marks and the carriage returns of Windows are passed over. A line that begins with `#`
    /// is a comment; for an ID that begins with `#`, write `\#`. `file` is for errors.
    ///
    /// # Errors
    ///
    /// [`BlockedIdsError`] if a line is not UTF-8, is longer than an ID, or begins with `$device:`.
    pub fn parse(file: &str, list: &[u8]) -> Result<Vec<String>, BlockedIdsError> {
        let mut ids = Vec::new();
        for (line, mut bytes) in (1..).zip(list.split(|byte| *byte == b'\n')) {
            let file = || file.to_owned();
            bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            let text = str::from_utf8(bytes)
                .map_err(|_| BlockedIdsError::NotUtf8 { file: file(), line })?;
            if text.trim_ascii().is_empty() || text.starts_with('#') {
                continue;
            }
            if text.len() > usize::from(u16::MAX) {
                let bytes = text.len();
                let file = file();
                return Err(BlockedIdsError::TooLong { file, line, bytes });
            }
            if text.starts_with(DEVICE_PREFIX) {
                return Err(BlockedIdsError::Prefixed { file: file(), line });
            }
            // `\\#` means `\#`.
            let is_escaped =
                text.starts_with('\\') && text.trim_start_matches('\\').starts_with('#');
            ids.push(text[usize::from(is_escaped)..].to_owned());
        }
        Ok(ids)
    }

    /// These IDs in place of the default list.
    pub fn only<I: Into<String>>(ids: impl IntoIterator<Item = I>) -> Self {
        Self {
            ids: ids.into_iter().map(Into::into).collect(),
            replaces_default: true,
        }
    }

    /// These IDs besides the default list.
    pub fn besides_default<I: Into<String>>(ids: impl IntoIterator<Item = I>) -> Self {
        Self {
            replaces_default: false,
            ..Self::only(ids)
        }
    }

    /// The rules with these blocked values and this limit (ID-2).
    pub fn id_rules(&self, max_id_bytes: u16) -> IdRules {
        let default: &[_] = match self.replaces_default {
            true => &[],
            false => &IdRules::DEFAULT_BLOCKED_VALUES,
        };
        let ids = self.ids.iter().map(String::as_str);
        IdRules::new(max_id_bytes, ids.chain(default.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(list: impl AsRef<[u8]>) -> Result<Vec<String>, String> {
        BlockedIds::parse("list", list.as_ref()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_has_one_id_a_line() {
        for (list, wanted) in [
            ("", &[][..]),
            ("a", &["a"]),
            ("a\nb\n", &["a", "b"]),
            ("\u{feff}a\r\n\r\n \t\nb\r\n\u{feff}c", &["a", "b", "c"]),
            (
                "# a\n#\n#b\n\\#c\n\\\\#d\n\\e\nf # g",
                &["#c", "\\#d", "\\e", "f # g"],
            ),
            (" a\na ", &[" a", "a "]),
            ("Zoë\nnull\nnull", &["Zoë", "null", "null"]),
            ("\\\\server\\x", &["\\\\server\\x"]),
        ] {
            assert_eq!(parse(list).unwrap(), wanted, "{list:?}");
        }
    }

    #[test]
    fn an_error_names_the_file_and_the_line() {
        for (list, wanted) in [
            (&b"a\n\n\xff\n"[..], "list, line 3: not UTF-8; "),
            (b"a\x00\n\xff\xfe", "list, line 2: not UTF-8; "),
            (
                b"# c\n$device:D1\n",
                "list, line 2: leave out the prefix $device:",
            ),
        ] {
            let error = parse(list).unwrap_err();
            assert!(error.starts_with(wanted), "{error}");
        }
        let longest = "x".repeat(65_535);
        assert_eq!(parse(&longest).unwrap(), [&*longest]);
        let error = parse(format!("a\n{longest}x")).unwrap_err();
        assert!(
            error.starts_with("list, line 2: the line has 65536 bytes"),
            "{error}"
        );
    }

    #[test]
    fn a_plus_sign_adds_to_the_default_list() {
        let read = |wanted: &'static str| {
            move |path: &Path| {
                assert_eq!(path, Path::new(wanted));
                Ok(b"Test\n".to_vec())
            }
        };
        let only = BlockedIds::of_option("list", read("list")).unwrap();
        assert_eq!(only, BlockedIds::only(["Test"]));
        assert_eq!(only.id_rules(9), IdRules::new(9, ["test"]));
        let also = BlockedIds::of_option("+list", read("list")).unwrap();
        assert_eq!(also, BlockedIds::besides_default(["Test"]));
        let default = IdRules::DEFAULT_BLOCKED_VALUES;
        let all = IdRules::new(255, default.into_iter().chain(["test"]));
        assert_eq!(also.id_rules(255), all);
        let named = BlockedIds::of_option("./+list", read("./+list")).unwrap();
        assert_eq!(named, only);
        let missing = |_: &Path| Err(io::ErrorKind::NotFound.into());
        let error = BlockedIds::of_option("+list", missing).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read the blocked IDs from list: entity not found"
        );
    }
}
