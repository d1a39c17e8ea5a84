//! Compares what is stored with what was acknowledged.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use serde::Deserialize;

use crate::Result;
use crate::client::Client;
use crate::good::Sender;

/// What an export has of the events that were acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Found {
    stored: u64,
    acknowledged: u64,
    lost: u64,
    doubled: u64,
    forged: u64,
}

impl Found {
    pub(crate) fn failure(&self) -> Option<String> {
        let is_good = self.lost + self.doubled + self.forged == 0 && self.acknowledged > 0;
        (!is_good).then(|| format!("events are wrong: {self}"))
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} events stored, {} acknowledged, {} lost, {} doubled, {} forged in place of imported ones",
            self.stored, self.acknowledged, self.lost, self.doubled, self.forged
        )
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    properties: Properties<'a>,
}

#[derive(Deserialize)]
struct Properties<'a> {
    #[serde(rename = "$insert_id", borrow)]
    insert_id: std::borrow::Cow<'a, str>,
    price: Option<i64>,
}

/// Exports a project to a file, and looks for each acknowledged event.
pub(crate) fn check(client: &Client, senders: &[&Sender], file: &Path) -> Result<Found> {
    let export = "/api/2.0/export?from_date=2000-01-01&to_date=2099-12-31";
    let mut lines = BufReader::new(client.stream(export)?);
    let mut copy = BufWriter::new(File::create(file)?);
    let mut seen: Vec<Vec<u8>> = senders
        .iter()
        .map(|sender| vec![0; usize::try_from(sender.acknowledged()).unwrap_or(0)])
        .collect();
    let mut found = Found::default();
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        copy.write_all(&line)?;
        found.stored += 1;
        let event: Line<'_> = serde_json::from_slice(&line)?;
        let insert_id = &event.properties.insert_id;
        for (sender, seen) in senders.iter().zip(&mut seen) {
            let own = insert_id.strip_prefix(sender.name);
            let number = own.and_then(|rest| rest.strip_prefix('-')?.parse::<usize>().ok());
            let Some(times) = number.and_then(|number| seen.get_mut(number)) else {
                continue;
            };
            *times = times.saturating_add(1);
            let is_true = event.properties.price.map(usize::try_from) == number.map(Ok);
            found.forged += u64::from(!is_true);
        }
        line.clear();
    }
    copy.flush()?;
    for times in seen.iter().flatten() {
        found.acknowledged += 1;
        found.lost += u64::from(*times == 0);
        found.doubled += u64::from(*times > 1);
    }
    Ok(found)
}
