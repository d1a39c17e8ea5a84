//! Figures with bars, as text, as a picture and as a page.

pub(crate) mod answer;
mod html;
mod svg;
mod text;

use idmerge_analysis::{FunnelQuery, share};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A longer label is cut in a table and in a picture.
const LABEL_COLUMNS_MAX: usize = 48;

/// More lines are left out in a table and in a picture. A funnel can have this many steps.
const ROWS_MAX: usize = FunnelQuery::MAX_STEPS;

/// A table whose lines have bars.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    columns: Vec<String>,
    rows: Vec<Row>,
    /// How many lines were left out.
    left_out: usize,
}

#[derive(Clone, Debug)]
struct Row {
    bar: Bar,
    cells: Vec<Cell>,
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    /// It is a figure without ID merge.
    is_without: bool,
}

/// The users of a line, as shares of the most users of any line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bar {
    /// With ID merge, from 0 to 1.
    with: f64,
    /// Without ID merge.
    without: f64,
}

impl Bar {
    pub(crate) fn new(with: u64, without: u64, most: u64) -> Self {
        Self {
            with: share(with, most),
            without: share(without, most),
        }
    }
}

impl Cell {
    /// A name. What a terminal or XML would not show as it is, is replaced.
    pub(crate) fn label(text: impl AsRef<str>) -> Self {
        Self {
            text: cut(&shown(text.as_ref()), LABEL_COLUMNS_MAX),
            is_without: false,
        }
    }

    pub(crate) fn figure(text: String) -> Self {
        Self {
            text,
            is_without: false,
        }
    }

    /// A figure without ID merge.
    pub(crate) fn without(text: String) -> Self {
        Self {
            text,
            is_without: true,
        }
    }
}

impl Chart {
    /// A table with these columns. The first column has the labels.
    pub(crate) fn new(columns: &[&str]) -> Self {
        Self {
            columns: columns
                .iter()
                .map(|name| cut(&shown(name), LABEL_COLUMNS_MAX))
                .collect(),
            rows: Vec::new(),
            left_out: 0,
        }
    }

    pub(crate) fn add(&mut self, bar: Bar, cells: Vec<Cell>) {
        if self.rows.len() < ROWS_MAX {
            self.rows.push(Row { bar, cells });
        } else {
            self.left_out += 1;
        }
    }

    /// The width of each column, in columns of a terminal.
    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<_> = self.columns.iter().map(|name| name.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(&row.cells) {
                *width = (*width).max(cell.text.width());
            }
        }
        widths
    }

    /// Says how many lines were left out.
    fn note(&self) -> Option<String> {
        (self.left_out > 0).then(|| {
            format!(
                "{} more lines are left out; --csv and --json write all",
                self.left_out
            )
        })
    }
}

/// A text without characters that control a terminal, or that XML does not allow.
pub(crate) fn shown(text: &str) -> String {
    let is_bad = |c: char| {
        c.is_control()
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}')
    };
    let show = |c| if is_bad(c) { '\u{fffd}' } else { c };
    text.chars().map(show).collect()
}

/// The beginning of a text that is too long.
pub(crate) fn cut(text: &str, columns_max: usize) -> String {
    if text.width() <= columns_max {
        return text.to_owned();
    }
    let mut columns = 1;
    let fits = |c: &char| {
        columns += c.width().unwrap_or(0);
        columns <= columns_max
    };
    let mut start: String = text.chars().take_while(fits).collect();
    start.push('…');
    start
}

/// A share as a percentage.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A difference, with its sign.
pub(crate) fn signed(difference: i64) -> String {
    match difference {
        0 => "0".to_owned(),
        difference => format!("{difference:+}"),
    }
}

/// A time to read, with its two largest units.
pub(crate) fn time_text(ms: i64) -> String {
    const UNITS: [(&str, i64); 4] = [
        ("d", 24 * 60 * 60 * 1_000),
        ("h", 60 * 60 * 1_000),
        ("min", 60 * 1_000),
        ("s", 1_000),
    ];
    let large = UNITS.iter().position(|(_, unit_ms)| ms >= *unit_ms);
    match large.map(|at| (UNITS[at], UNITS.get(at + 1))) {
        None => format!("{ms} ms"),
        Some((_, None)) => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        Some(((unit, unit_ms), Some((small, small_ms)))) => {
            format!(
                "{} {unit} {} {small}",
                ms / unit_ms,
                ms % unit_ms / small_ms
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_its_two_largest_units() {
        for (ms, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_500, "1.5 s"),
            (59_999, "59.9 s"),
            (60_000, "1 min 0 s"),
            (3_725_000, "1 h 2 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(time_text(ms), text);
        }
    }

    #[test]
    fn a_label_controls_no_terminal_and_is_cut() {
        assert_eq!(Cell::label("a\u{1b}[31mb\n").text, "a\u{fffd}[31mb\u{fffd}");
        let long = Cell::label("🍎".repeat(100)).text;
        assert!(
            long.width() <= LABEL_COLUMNS_MAX && long.ends_with('…'),
            "{long}"
        );
    }
}
