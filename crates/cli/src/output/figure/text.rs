//! Charts as text for a terminal.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use super::{Bar, CellKind, Chart};

const BAR_COLUMNS: usize = 20;

const LEGEND: &str = "█ users   ▒ of them only with ID merge   ░ counted twice without it";

/// The charts one below the other.
pub(super) fn page(charts: &[Chart], notes: &[String]) -> String {
    let mut page = String::new();
    for chart in charts {
        add(chart, &mut page);
        page.push('\n');
    }
    page.push_str(LEGEND);
    page.push('\n');
    for note in charts
        .iter()
        .filter_map(Chart::note)
        .chain(notes.iter().cloned())
    {
        page.push_str(&note);
        page.push('\n');
    }
    page
}

fn add(chart: &Chart, page: &mut String) {
    let widths = chart.widths();
    let columns = chart.columns.iter().map(String::as_str);
    add_line(columns.zip(&widths), &" ".repeat(BAR_COLUMNS), page);
    for row in &chart.rows {
        let cells = row.cells.iter().map(|cell| {
            debug_assert!(cell.kind != CellKind::Label || !cell.text.contains('\n'));
            cell.text.as_str()
        });
        add_line(cells.zip(&widths), &bar(row.bar), page);
    }
}

/// A line: the label, the bar, and the figures.
fn add_line<'c>(
    mut cells: impl Iterator<Item = (&'c str, &'c usize)>,
    bar: &str,
    page: &mut String,
) {
    let start = page.len();
    let pad = |text: &str, width: usize| " ".repeat(width.saturating_sub(text.width()));
    if let Some((label, width)) = cells.next() {
        // Writing to a string does not fail.
        let _written = write!(page, "{label}{}  {bar}", pad(label, *width));
    }
    for (cell, width) in cells {
        let _written = write!(page, "  {}{cell}", pad(cell, *width));
    }
    let end = start + page[start..].trim_end().len();
    page.truncate(end);
    page.push('\n');
}

fn bar(bar: Bar) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share is from 0 to 1"
    )]
    let columns = |share: f64| match (share * BAR_COLUMNS as f64).round() as usize {
        // A few users are not nobody.
        0 if share > 0.0 => 1,
        columns => columns,
    };
    let (with, without) = (columns(bar.with), columns(bar.without));
    let mut text = "█".repeat(with.min(without));
    text.push_str(&"▒".repeat(with.saturating_sub(without)));
    text.push_str(&"░".repeat(without.saturating_sub(with)));
    text.push_str(&" ".repeat(BAR_COLUMNS - with.max(without)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_both_figures() {
        let text = |with, without| bar(Bar::new(with, without, 20)).trim_end().to_owned();
        assert_eq!(text(3, 5), "███░░");
        assert_eq!(text(5, 3), "███▒▒");
        assert_eq!(text(20, 20), "█".repeat(20));
        assert_eq!(text(0, 0), "");
        assert_eq!(bar(Bar::new(1, 0, 1_000)).trim_end(), "▒");
        assert_eq!(bar(Bar::new(0, 0, 0)).len(), BAR_COLUMNS);
    }
}
