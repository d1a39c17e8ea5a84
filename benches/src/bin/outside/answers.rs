//! Checks that two programs gave the same answer for each event.

use std::borrow::Cow;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Result, bail, ensure};
use idmerge_benches::measure::bytes_and_lines;
use serde::Deserialize;

#[derive(Deserialize, Hash, PartialEq)]
struct Event<'e> {
    #[serde(borrow)]
    event: Cow<'e, str>,
    #[serde(borrow)]
    properties: Properties<'e>,
}

#[derive(Deserialize, Hash, PartialEq)]
struct Properties<'e> {
    #[serde(borrow)]
    distinct_id: Cow<'e, str>,
    /// The identity of the event.
    #[serde(borrow, rename = "$insert_id")]
    insert_id: Cow<'e, str>,
}

/// Compares two files of resolved events, line by line: they must have the same events with the same
/// distinct_ids. The spelling of the JSON may differ.
pub(crate) fn ensure_equal(ours: &Path, theirs: &Path) -> Result<()> {
    let open = |path| Ok::<_, std::io::Error>(BufReader::new(File::open(path)?));
    let (mut ours, mut theirs) = (open(ours)?, open(theirs)?);
    let (mut our_line, mut their_line) = (Vec::new(), Vec::new());
    for number in 1_u64.. {
        our_line.clear();
        their_line.clear();
        ours.read_until(b'\n', &mut our_line)?;
        theirs.read_until(b'\n', &mut their_line)?;
        if our_line.is_empty() || their_line.is_empty() {
            ensure!(our_line == their_line, "one file ends at line {number}");
            ensure!(number > 1, "the files have no events");
            return Ok(());
        }
        let our_event: Event<'_> = serde_json::from_slice(&our_line)?;
        let their_event: Event<'_> = serde_json::from_slice(&their_line)?;
        if our_event != their_event {
            bail!(
                "line {number}:\n{}{}",
                String::from_utf8_lossy(&our_line),
                String::from_utf8_lossy(&their_line)
            );
        }
    }
    Ok(())
}

/// The same for files in any order. It compares the sums of all hashes, so it holds no event in memory.
pub(crate) fn ensure_equal_in_any_order(ours: &Path, theirs: &Path) -> Result<()> {
    let sum = |path| -> Result<(u64, u64)> {
        let mut file = BufReader::new(File::open(path)?);
        let (mut events, mut sum, mut line) = (0, 0_u64, Vec::new());
        while file.read_until(b'\n', &mut line)? > 0 {
            let event: Event<'_> = serde_json::from_slice(&line)?;
            let mut hasher = DefaultHasher::new();
            event.hash(&mut hasher);
            sum = sum.wrapping_add(hasher.finish());
            events += 1;
            line.clear();
        }
        Ok((events, sum))
    };
    let (ours, theirs) = (sum(ours)?, sum(theirs)?);
    ensure!(ours.0 > 0, "the files have no events");
    ensure!(
        ours == theirs,
        "the number of events or the sum of hashes differs: {ours:?} and {theirs:?}"
    );
    Ok(())
}

/// Checks that two files have the same bytes, and some. It holds only a piece of each file in memory.
pub(crate) fn ensure_same(one: &Path, other: &Path) -> Result<()> {
    let open = |path| Ok::<_, std::io::Error>(BufReader::with_capacity(1 << 16, File::open(path)?));
    let (mut one, mut other) = (open(one)?, open(other)?);
    let mut bytes = 0;
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let both = left.len().min(right.len());
        ensure!(
            left[..both] == right[..both],
            "the files differ after {bytes} bytes"
        );
        if both == 0 {
            ensure!(
                left.is_empty() && right.is_empty(),
                "one file ends after {bytes} bytes"
            );
            ensure!(bytes > 0, "the files are empty");
            return Ok(());
        }
        bytes += both;
        one.consume(both);
        other.consume(both);
    }
}

/// Checks that the lengths of two files differ by at most a hundredth, and that they have equally many lines, but for
/// the header of a table.
pub(crate) fn ensure_as_long(ours: &Path, theirs: &Path) -> Result<()> {
    let ours = bytes_and_lines(File::open(ours)?)?;
    let theirs = bytes_and_lines(File::open(theirs)?)?;
    ensure!(
        ours.1.abs_diff(theirs.1) <= 1 && ours.0.abs_diff(theirs.0) <= ours.0 / 100,
        "bytes and lines differ: {ours:?} and {theirs:?}"
    );
    Ok(())
}

#[derive(Debug, Deserialize, PartialEq)]
struct Funnel {
    steps: Vec<FunnelStep>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct FunnelStep {
    event: String,
    users: u64,
    users_without_merge: u64,
}

/// Compares the users of two funnels. Some user must take each step, and ID Merge must count.
pub(crate) fn ensure_same_funnel(ours: &Path, theirs: &Path) -> Result<()> {
    let read = |path| -> Result<Funnel> { Ok(serde_json::from_reader(File::open(path)?)?) };
    let (ours, theirs) = (read(ours)?, read(theirs)?);
    let counts = |step: &FunnelStep| step.users > 0 && step.users != step.users_without_merge;
    ensure!(
        ours == theirs && !ours.steps.is_empty() && ours.steps.iter().all(counts),
        "{ours:?} and {theirs:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn events_are_compared_and_not_their_spelling() {
        let ours = r#"{"event":"A","properties":{"distinct_id":"Ü","$insert_id":"1"}}"#;
        let spelled =
            r#"{"properties":{"$insert_id":"1","x":null, "distinct_id":"\u00dc"},"event":"A"}"#;
        let two = format!("{ours}\n{ours}\n");
        let equal = |theirs: &str| ensure_equal(file(&two).path(), file(theirs).path()).is_ok();
        assert!(equal(&format!("{spelled}\n{ours}\n")));
        assert!(!equal(&format!("{ours}\n{}\n", ours.replace('Ü', "U"))));
        assert!(!equal(&format!("{ours}\n{}\n", ours.replace('1', "2"))));
        assert!(!equal(&format!("{ours}\n")));
        assert!(!equal(&format!("{two}{ours}\n")));
        assert!(ensure_equal(file("").path(), file("").path()).is_err());
    }

    #[test]
    fn files_are_the_same_byte_by_byte() {
        let long = "0123456789".repeat(20_000);
        let same = |one: &str, other: &str| ensure_same(file(one).path(), file(other).path());
        same(&long, &long).unwrap();
        for (one, other) in [
            (&*long, &long[1..]),
            (&long, &long[..long.len() - 1]),
            (&long[..150_000], &long),
            ("a", "b"),
            ("", "a"),
            ("", ""),
        ] {
            assert!(same(one, other).is_err());
            assert!(same(other, one).is_err());
        }
    }

    #[test]
    fn lengths_may_differ_a_little_and_lines_may_not() {
        let as_long =
            |one: &str, other: &str| ensure_as_long(file(one).path(), file(other).path()).is_ok();
        let line = "0123456789".repeat(20);
        let two = format!("{line}\n{line}\n");
        assert!(as_long(&two, &format!("{line}--\n{line}\n")));
        assert!(!as_long(&two, &format!("{line}----\n{line}-\n")));
        assert!(as_long(&two, &format!("{line}\n{line}-")));
        assert!(!as_long(&two, &format!("{line}-{line}-")));
    }

    #[test]
    fn the_order_may_be_left_out() {
        let [one, two] = ["1", "2"].map(|id| {
            format!("{{\"event\":\"A\",\"properties\":{{\"distinct_id\":\"U{id}\",\"$insert_id\":\"{id}\"}}}}\n")
        });
        let equal = |ours: &str, theirs: &str| {
            ensure_equal_in_any_order(file(ours).path(), file(theirs).path()).is_ok()
        };
        let ours = format!("{one}{two}");
        assert!(equal(&ours, &format!("{two}{one}")));
        assert!(!equal(&ours, &format!("{one}{one}")));
        assert!(!equal(&ours, &one));
        assert!(!equal(&ours, &ours.replace("U1", "U2")));
        assert!(!equal("", ""));
    }
}
