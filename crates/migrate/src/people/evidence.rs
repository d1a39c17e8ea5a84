//! What the lines say about pairs of IDs. It is kept in a file, because each line can add to it, and it is
//! read again only to settle conflicts and to name evidence.

use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use tempfile::SpooledTempFile;

use crate::options::Place;
use crate::people::ids::Number;

/// More than this goes to a temporary file.
const IN_MEMORY_BYTES: usize = 1024 * 1024;

/// The most bytes of a name or an insert ID that are kept.
const TEXT_BYTES_MAX: usize = 255;

/// What a line says about two IDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// `first` is the `$user_id` and `second` the `$device_id` (M-6, rank 0).
    Both,
    /// `first` is the anonymous distinct_id and `second` another `$device_id` (M-13, row 5).
    Beside,
    /// A claim that counts (M-5).
    Identify,
    Alias,
    Merge,
    /// A row of the mapping file.
    Mapping,
    /// A claim that does not count, because the cluster would be too large.
    OverCap,
    /// A claim that does not count, because the anonymous ID is not a UUID.
    NonUuid,
    /// A claim that does not count, because the anonymous ID belongs to another user.
    Assigned,
    /// A claim that does not count, because the alias is in use.
    AliasUsed,
    /// An alias or a merge that names one ID twice.
    Same,
    /// `first` is both a user and a device.
    Clash,
    /// The profile of `first` was left out for that of `second` (M-16).
    Profile,
    /// An earlier migration linked the device `first` to `second` (M-22).
    Changed,
}

impl Kind {
    const ALL: [Self; 14] = [
        Self::Both,
        Self::Beside,
        Self::Identify,
        Self::Alias,
        Self::Merge,
        Self::Mapping,
        Self::OverCap,
        Self::NonUuid,
        Self::Assigned,
        Self::AliasUsed,
        Self::Same,
        Self::Clash,
        Self::Profile,
        Self::Changed,
    ];

    /// The rank of M-6. The smaller one is the better evidence.
    pub(crate) fn rank(self) -> Option<u8> {
        match self {
            Self::Both => Some(0),
            Self::Identify | Self::Alias | Self::Merge => Some(1),
            Self::Mapping => Some(2),
            _ => None,
        }
    }
}

/// A line that names two IDs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Evidence {
    pub(crate) kind: Kind,
    pub(crate) first: Number,
    pub(crate) second: Number,
    pub(crate) place: Place,
    /// The name of the event.
    pub(crate) event: String,
    pub(crate) insert_id: String,
}

/// All evidence, in the order of the lines.
#[derive(Debug)]
pub(crate) struct EvidenceLog {
    file: BufWriter<SpooledTempFile>,
    entries: u64,
}

impl Default for EvidenceLog {
    fn default() -> Self {
        Self {
            file: BufWriter::new(SpooledTempFile::new(IN_MEMORY_BYTES)),
            entries: 0,
        }
    }
}

impl EvidenceLog {
    pub(crate) fn add(
        &mut self,
        kind: Kind,
        ids: [Number; 2],
        place: Place,
        event: &str,
        insert_id: &str,
    ) -> io::Result<()> {
        let (event, insert_id) = (shortened(event), shortened(insert_id));
        let mut head = [0; 23];
        head[0] = kind as u8;
        head[1..5].copy_from_slice(&ids[0].to_le_bytes());
        head[5..9].copy_from_slice(&ids[1].to_le_bytes());
        head[9..13].copy_from_slice(&place.file.to_le_bytes());
        head[13..21].copy_from_slice(&place.line.to_le_bytes());
        head[21] = length(event);
        head[22] = length(insert_id);
        self.file.write_all(&head)?;
        self.file.write_all(event.as_bytes())?;
        self.file.write_all(insert_id.as_bytes())?;
        self.entries += 1;
        Ok(())
    }

    /// Reads all of it from the start.
    pub(crate) fn for_each(&mut self, mut visit: impl FnMut(Evidence)) -> io::Result<()> {
        self.file.flush()?;
        let file = self.file.get_mut();
        file.rewind()?;
        let mut reader = BufReader::new(file);
        for _ in 0..self.entries {
            visit(read(&mut reader)?);
        }
        self.file.get_mut().seek(io::SeekFrom::End(0))?;
        Ok(())
    }
}

fn read(reader: &mut impl Read) -> io::Result<Evidence> {
    let mut head = [0; 23];
    reader.read_exact(&mut head)?;
    let number =
        |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let kind = Kind::ALL.into_iter().find(|kind| *kind as u8 == head[0]);
    let kind = kind.ok_or(io::ErrorKind::InvalidData)?;
    let mut line = [0; 8];
    line.copy_from_slice(&head[13..21]);
    let mut text = |bytes: u8| {
        let mut text = vec![0; usize::from(bytes)];
        reader.read_exact(&mut text)?;
        String::from_utf8(text).map_err(io::Error::other)
    };
    Ok(Evidence {
        kind,
        first: number(1),
        second: number(5),
        place: Place {
            file: number(9),
            line: u64::from_le_bytes(line),
        },
        event: text(head[21])?,
        insert_id: text(head[22])?,
    })
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

fn length(shortened: &str) -> u8 {
    u8::try_from(shortened.len()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_comes_back_in_order_and_more_can_follow() {
        let mut log = EvidenceLog::default();
        let place = |line| Place { file: 1, line };
        let long = "ü".repeat(200);
        log.add(Kind::Both, [1, 2], place(7), &long, "i").unwrap();
        let read = |log: &mut EvidenceLog| {
            let mut all = Vec::new();
            log.for_each(|evidence| {
                all.push((evidence.kind, evidence.place.line, evidence.event.len()));
            })
            .unwrap();
            all
        };
        assert_eq!(read(&mut log), [(Kind::Both, 7, 254)]);
        log.add(Kind::Changed, [1, 2], place(8), "", "").unwrap();
        let all = [(Kind::Both, 7, 254), (Kind::Changed, 8, 0)];
        assert_eq!(read(&mut log), all);
        assert_eq!(read(&mut log), all);
    }
}
