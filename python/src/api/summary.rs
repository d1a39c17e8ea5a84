//! The figures of a run.

use idmerge_columns::{Outcomes, Read, Refused};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::answers::Users;

/// The figures of a run, with the names that ``idmerge resolve --summary json`` gives them.
///
/// >>> summary = idmerge.resolve(events, engine="simplified").summary
/// >>> summary.users_before, summary.users_after
/// (2, 1)
/// >>> summary
/// Summary(events=3, events_without_id=0, users_before=2, users_after=1, merges=1, rejections=0, refused=0)
#[pyclass(module = "idmerge", frozen, eq, get_all)]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    /// How many events could be used.
    events: u64,
    /// How many of them belong to no user, because they have no ID (S-4).
    events_without_id: u64,
    /// How many users there are without ID merge: different own IDs. ``None`` if the run resolved no events.
    users_before: Option<u64>,
    /// How many users there are with it: different canonical IDs. ``None`` if the run resolved no events.
    users_after: Option<u64>,
    /// How many claims joined two IDs.
    merges: u64,
    /// How many claims a guardrail turned down.
    rejections: u64,
    /// The same for each reason.
    rejections_by_code: std::collections::BTreeMap<&'static str, u64>,
    /// How many rows are no valid events.
    refused: u64,
    /// The first of them: its row, counted from 0, and why it is invalid.
    first_refused: Option<String>,
}

impl Summary {
    pub(crate) fn of_claims(claims: u64, outcomes: Outcomes) -> Self {
        Self {
            events: claims,
            ..Self::new(&[], outcomes, None)
        }
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    pub(crate) fn new(read: &[Read], outcomes: Outcomes, users: Option<Users>) -> Self {
        let sum = |count: fn(&Read) -> usize| read.iter().map(count).sum::<usize>() as u64;
        let refused = sum(|read| read.refused.len());
        let without = sum(|read| arrow_array::Array::null_count(&read.own));
        Self {
            events: sum(|read| arrow_array::Array::len(&read.own)) - refused,
            events_without_id: without - refused,
            users_before: users.map(|users| users.before),
            users_after: users.map(|users| users.after),
            merges: outcomes.merges,
            rejections: outcomes.rejections.values().sum(),
            rejections_by_code: outcomes.rejections,
            refused,
            first_refused: refused_rows(read)
                .next()
                .map(|(row, refused)| said(row, refused)),
        }
    }
}

/// The refused rows, with their numbers in the table.
pub(crate) fn refused_rows(read: &[Read]) -> impl Iterator<Item = (usize, &Refused)> {
    let mut next = 0;
    read.iter().flat_map(move |read| {
        let first = next;
        next += arrow_array::Array::len(&read.own);
        read.refused
            .iter()
            .map(move |refused| (first + refused.row, refused))
    })
}

pub(crate) fn said(row: usize, refused: &Refused) -> String {
    format!("row {row}: {}", refused.error)
}

#[pymethods]
impl Summary {
    /// The figures as a dict, for example for a log.
    fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let figures = PyDict::new(py);
        figures.set_item("events", self.events)?;
        figures.set_item("events_without_id", self.events_without_id)?;
        figures.set_item("users_before", self.users_before)?;
        figures.set_item("users_after", self.users_after)?;
        figures.set_item("merges", self.merges)?;
        figures.set_item("rejections", self.rejections)?;
        figures.set_item("rejections_by_code", self.rejections_by_code.clone())?;
        figures.set_item("refused", self.refused)?;
        figures.set_item("first_refused", &self.first_refused)?;
        Ok(figures)
    }

    fn __repr__(&self) -> String {
        let users = match (self.users_before, self.users_after) {
            (Some(before), Some(after)) => format!("users_before={before}, users_after={after}, "),
            _ => String::new(),
        };
        let first = match &self.first_refused {
            Some(first) => format!(", first_refused={first:?}"),
            None => String::new(),
        };
        format!(
            "Summary(events={}, events_without_id={}, {users}merges={}, rejections={}, refused={}{first})",
            self.events, self.events_without_id, self.merges, self.rejections, self.refused
        )
    }
}
