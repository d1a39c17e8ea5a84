//! Charts as text for a terminal.

use std::fmt::Write;
use std::ops::Range;

use unicode_width::UnicodeWidthStr;

use super::{Bar, Chart};

const BAR_COLUMNS: usize = 20;

/// The space between two columns.
const GAP: usize = 2;

const LEGEND: &str = "█ users   ▒ of them only with ID merge   ░ counted twice without it";

/// The charts one below the other. A chart that is wider than the terminal is in several parts.
pub(super) fn page(charts: &[Chart], notes: &[String], columns_max: usize) -> String {
    let mut page = String::new();
    for chart in charts {
        add(chart, columns_max, &mut page);
        page.push('\n');
    }
    // Without users there is no bar.
    if page.contains(['█', '▒', '░']) {
        page.push_str(LEGEND);
        page.push('\n');
    }
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

fn add(chart: &Chart, columns_max: usize, page: &mut String) {
    let widths = chart.widths();
    let header: Vec<_> = chart.columns.iter().map(String::as_str).collect();
    for figures in parts(&widths, columns_max) {
        // The bars are in the first part.
        let is_first = figures.start == 1;
        if !is_first {
            page.push('\n');
        }
        let no_bar = is_first.then(|| " ".repeat(BAR_COLUMNS));
        add_line(&header, &widths, no_bar, figures.clone(), page);
        for row in &chart.rows {
            let cells: Vec<_> = row.cells.iter().map(|cell| cell.text.as_str()).collect();
            let bar = is_first.then(|| bar(row.bar));
            add_line(&cells, &widths, bar, figures.clone(), page);
        }
    }
}

/// The numbers of the figures in each part of a table. Each part has the labels, and the first one the bars.
fn parts(widths: &[usize], columns_max: usize) -> Vec<Range<usize>> {
    let label = widths.first().copied().unwrap_or(0);
    let (mut parts, mut figures, mut columns) = (Vec::new(), 1..1, label + GAP + BAR_COLUMNS);
    for (at, width) in widths.iter().enumerate().skip(1) {
        columns += GAP + width;
        if columns > columns_max && !figures.is_empty() {
            parts.push(figures);
            (figures, columns) = (at..at, label + GAP + width);
        }
        figures.end = at + 1;
    }
    parts.push(figures);
    parts
}

/// A line: the label, the bar, and some of the figures.
fn add_line(
    cells: &[&str],
    widths: &[usize],
    bar: Option<String>,
    figures: Range<usize>,
    page: &mut String,
) {
    let start = page.len();
    let pad = |at: usize| " ".repeat(widths[at].saturating_sub(cells[at].width()));
    // Writing to a string does not fail.
    let _written = write!(page, "{}{}", cells[0], pad(0));
    if let Some(bar) = bar {
        let _written = write!(page, "{:GAP$}{bar}", "");
    }
    for at in figures {
        let _written = write!(page, "{:GAP$}{}{}", "", pad(at), cells[at]);
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
        // A small share is visible too.
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
    use super::super::Cell;
    use super::*;

    #[test]
    fn a_table_that_is_too_wide_is_in_parts() {
        let mut chart = Chart::new(&["step", "users", "of first", "difference"]);
        let cells = ["100 %", "-1"].map(|text| Cell::figure(text.to_owned()));
        let label = [Cell::label("1 View"), Cell::figure("7".to_owned())];
        chart.add(Bar::new(7, 7, 7), label.into_iter().chain(cells).collect());
        let table = |columns_max| {
            let mut page = String::new();
            add(&chart, columns_max, &mut page);
            page
        };
        let bar = "█".repeat(BAR_COLUMNS);
        let one = format!(
            "step                          users  of first  difference\n\
             1 View  {bar}      7     100 %          -1\n"
        );
        assert_eq!(table(57), one);
        assert_eq!(table(usize::MAX), one);
        let two = format!(
            "step                          users  of first\n\
             1 View  {bar}      7     100 %\n\n\
             step    difference\n\
             1 View          -1\n"
        );
        assert_eq!(table(56), two);
        // A figure is in some part, however narrow the terminal is.
        assert_eq!(parts(&[6, 5, 8], 1), [1..2, 2..3]);
    }

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
