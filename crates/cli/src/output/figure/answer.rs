//! [`Answer`]: figures in all forms.

use serde_json::Value;
use terminal_size::Width;

use super::{Chart, html, svg, text};
use crate::output::destination::Output;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerForm {
    Text,
    Json,
    Csv,
    Svg,
    Html,
}

/// The figures of a command.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) title: String,
    /// All figures, as the text of one JSON object. A [`Value`] does not hold each number that an event can have.
    pub(crate) json: String,
    /// The fields of the records.
    pub(crate) header: &'static [&'static str],
    /// The lines of the CSV, as objects.
    pub(crate) records: Vec<Value>,
    pub(crate) charts: Vec<Chart>,
    pub(crate) notes: Vec<String>,
}

impl Answer {
    pub(crate) fn write(&self, form: AnswerForm, output: &mut Output) -> anyhow::Result<()> {
        match form {
            AnswerForm::Text => {
                let terminal = output.is_terminal().then(terminal_size::terminal_size);
                let width = terminal.flatten().map(|(Width(columns), _)| columns.into());
                let page = text::page(&self.charts, &self.notes, width.unwrap_or(usize::MAX));
                output.write(page.as_bytes())
            }
            AnswerForm::Json => output.write(format!("{}\n", self.json).as_bytes()),
            AnswerForm::Csv => {
                let field = |record: &Value, name: &&str| match &record[*name] {
                    Value::String(text) => text.clone(),
                    Value::Null => String::new(),
                    value => value.to_string(),
                };
                let rows = self.records.iter().map(|record| {
                    let fields = self.header.iter().map(|name| field(record, name));
                    fields.collect()
                });
                output.write(&records(self.header, rows)?)
            }
            AnswerForm::Svg => output.write(svg::picture(&self.title, &self.charts).as_bytes()),
            AnswerForm::Html => {
                let page = html::page(&self.title, &self.charts, &self.notes);
                output.write(page.as_bytes())
            }
        }
    }
}

/// CSV with a header.
pub(crate) fn records(
    header: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header)?;
    for row in rows {
        writer.write_record(row)?;
    }
    Ok(writer.into_inner()?)
}

/// What the figures leave out.
pub(crate) fn notes(events_without_time: u64, events_without_id: u64) -> Vec<String> {
    let without = [
        (
            events_without_time,
            "no usable time, and were passed over (F-3)",
        ),
        (events_without_id, "no ID, and belong to no user (F-1)"),
    ];
    let without = without.iter().filter(|(count, _)| *count > 0);
    without
        .map(|(count, why)| format!("events that have {why}: {count}"))
        .collect()
}
