//! [`Rows`]: rows of a table of one's own become events without a record of JSON between.

use std::borrow::Cow;

use crate::adapted::Adapted;
use crate::adapter::Adapter;
use crate::format::Format;
use crate::options::{EventName, Options};
use crate::read::cell::Cell;
use crate::read::ids::{Side, is_id};
use crate::read::time::time_of_any_text;
use crate::vendors::columns::{PARTS, columns_of};
use crate::write::draft::CarriedColumn;
use crate::write::event::Parts;

/// How the rows of a table of one's own become events. What depends on the columns alone is found out once for all
/// rows.
#[derive(Debug)]
pub struct Rows<'a> {
    options: &'a Options,
    /// The column of each part that has one.
    parts: [Option<usize>; PARTS],
    receipt: Option<usize>,
    carried: Vec<(usize, CarriedColumn)>,
}

impl Adapter {
    /// How the rows of a table with these columns become events. `None` if only [records](Self::adapt) do: those of
    /// other products, and those of a table in which a column that is read is there twice.
    pub fn rows<'n>(&self, columns: impl Iterator<Item = &'n str>) -> Option<Rows<'_>> {
        let names: Vec<_> = columns.collect();
        (self.format() == Format::Csv).then(|| Rows::of(self.options(), &names))?
    }
}

impl<'a> Rows<'a> {
    fn of(options: &'a Options, names: &[&str]) -> Option<Self> {
        let map = &options.columns;
        let named = columns_of(map);
        let all = named.into_iter().chain([map.receipt.as_deref()]);
        for column in all.flatten() {
            if names.iter().filter(|name| **name == column).count() > 1 {
                return None;
            }
        }
        let place = |column: &str| names.iter().position(|name| *name == column);
        let parts = named.map(|column| column.and_then(place));
        let others = names.iter().enumerate();
        let others = others.filter(|(index, _)| !parts.contains(&Some(*index)));
        Some(Self {
            options,
            parts,
            receipt: map.receipt.as_deref().and_then(place),
            carried: others
                .map(|(index, name)| (index, CarriedColumn::new(name)))
                .collect(),
        })
    }

    /// Turns a row, which has a cell for each column, into the event that its [record](Adapter::adapt) becomes.
    ///
    /// `false` if it is not known to become one: nothing is done then, and the record is to be adapted.
    #[must_use]
    pub fn adapt(&self, number: u64, cells: &[Cell<'_>], to: &mut Adapted) -> bool {
        let Some((parts, name, is_blocked, receipt)) = self.parts(cells) else {
            return false;
        };
        to.start_record(number);
        let [is_user_blocked, is_device_blocked] = is_blocked;
        to.counts.blocked_user_ids += u64::from(is_user_blocked);
        to.counts.blocked_device_ids += u64::from(is_device_blocked);
        to.received(receipt);
        let is_there = |place: Option<usize>| {
            let cell = place.and_then(|place| cells.get(place));
            cell.is_some_and(|cell| !cell.is_empty())
        };
        for (part, place) in self.parts.iter().chain([&self.receipt]).enumerate() {
            to.counts.found |= u8::from(is_there(*place)) << part;
        }
        let mut draft = parts.start(name, to);
        for (index, column) in &self.carried {
            if let Some(cell) = cells.get(*index)
                && !cell.is_empty()
            {
                draft.carry_cell(column, *cell);
            }
        }
        draft.end();
        true
    }

    /// The parts and the name of an event, whether the IDs of the user and of the device are blocked values, and the
    /// time of receipt. `None` if its record may be refused, or if a part is not in the file as it is.
    #[inline(always)]
    fn parts<'c>(&'c self, cells: &[Cell<'c>]) -> Option<PartsOfRow<'c>> {
        let text = |part: Option<usize>| text_of(cells, part);
        let [user, device, event, time, message_id] = &self.parts;
        let name = match &self.options.columns.event {
            EventName::Always(name) => name,
            EventName::Column(_) => text(*event)??,
        };
        let time_ms = match text(*time)? {
            Some(time) => Some(time_of_any_text(time)?),
            None => None,
        };
        let receipt = text(self.receipt)?.and_then(time_of_any_text);
        let read = |side, text: Option<&'c str>| {
            let Some(text) = text else {
                return Some((None, false));
            };
            let is_usable = is_id(&self.options.ids, side, text).ok()?;
            Some((is_usable.then_some(Cow::Borrowed(text)), !is_usable))
        };
        let (user, is_user_blocked) = read(Side::User, text(*user)?)?;
        let (device, is_device_blocked) = read(Side::Device, text(*device)?)?;
        let parts = Parts {
            format: Format::Csv,
            user,
            device,
            distinct_id: None,
            time_ms,
            message_id: text(*message_id)?.map(Cow::Borrowed),
        };
        Some((parts, name, [is_user_blocked, is_device_blocked], receipt))
    }
}

type PartsOfRow<'c> = (Parts<'c>, &'c str, [bool; 2], Option<i64>);

/// The text of the cell at this place, if it is not empty. `None` if the file does not have it as it is.
#[inline(always)]
fn text_of<'c>(cells: &[Cell<'c>], index: Option<usize>) -> Option<Option<&'c str>> {
    match index.and_then(|index| cells.get(index)) {
        Some(cell) if !cell.is_empty() => cell.text().map(Some),
        _ => Some(None),
    }
}
