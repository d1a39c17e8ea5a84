//! Charts as a picture.

use std::fmt::Write;

use super::{Chart, Row};

const FONT_PX: usize = 13;

/// The width of a column of a terminal, in this font.
const COLUMN_PX: usize = 8;

/// The same in the font of the title.
const TITLE_COLUMN_PX: usize = 9;

const ROW_PX: usize = 34;

const BAR_PX: usize = 240;

const MARGIN_PX: usize = 20;

/// The space between two columns.
const GAP_PX: usize = 18;

const WITH: &str = "#2f6fde";
const WITHOUT: &str = "#b8c0cc";

/// The charts one below the other, with a title.
pub(super) fn picture(title: &str, charts: &[Chart]) -> String {
    let mut body = String::new();
    let (mut width, mut y) = (0, MARGIN_PX + 2 * FONT_PX);
    for chart in charts {
        let layout = Layout::new(chart);
        width = width.max(layout.width);
        layout.add(chart, &mut y, &mut body);
        y += ROW_PX / 2;
    }
    add_legend(&mut y, &mut body);
    let height = y + MARGIN_PX / 2;
    let title = super::shown(title);
    // The title of a page may be long, and a picture ends at its edge.
    let columns = width.saturating_sub(2 * MARGIN_PX) / TITLE_COLUMN_PX;
    let short_title = escaped(&super::cut(&title, columns));
    let title = escaped(&title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"system-ui, sans-serif\" \
         font-size=\"{FONT_PX}\" fill=\"#1c2430\">\n\
         <title>{title}</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"{MARGIN_PX}\" y=\"{}\" font-size=\"15\" font-weight=\"600\">{short_title}</text>\n\
         {body}</svg>\n",
        MARGIN_PX + FONT_PX / 2
    )
}

/// Where the columns of a chart are.
struct Layout {
    /// The right edge of each column.
    right: Vec<usize>,
    bar: usize,
    width: usize,
}

impl Layout {
    fn new(chart: &Chart) -> Self {
        let widths = chart.widths();
        let px = |columns: usize| columns * COLUMN_PX;
        let label = MARGIN_PX + px(widths.first().copied().unwrap_or(0));
        let bar = label + GAP_PX;
        let (mut right, mut x) = (vec![label], bar + BAR_PX);
        for width in widths.iter().skip(1) {
            x += GAP_PX + px(*width);
            right.push(x);
        }
        Self {
            right,
            bar,
            width: x + MARGIN_PX,
        }
    }

    fn add(&self, chart: &Chart, y: &mut usize, body: &mut String) {
        *y += FONT_PX;
        for (at, name) in chart.columns.iter().enumerate() {
            self.add_text(at, *y, "#5b6675", name, body);
        }
        *y += FONT_PX / 2;
        for row in &chart.rows {
            self.add_row(row, *y, body);
            *y += ROW_PX;
        }
        if let Some(note) = chart.note() {
            *y += FONT_PX;
            // Writing to a string does not fail.
            let _written = writeln!(
                body,
                "<text x=\"{MARGIN_PX}\" y=\"{y}\" fill=\"#5b6675\">{note}</text>"
            );
        }
    }

    fn add_row(&self, row: &Row, y: usize, body: &mut String) {
        let text_y = y + ROW_PX / 2 + FONT_PX / 3;
        for (at, cell) in row.cells.iter().enumerate() {
            let fill = match cell.is_without {
                true => "#7a8594",
                false => "#1c2430",
            };
            self.add_text(at, text_y, fill, &cell.text, body);
        }
        for (share, top, height, fill) in [
            (row.bar.with, 5, 15, WITH),
            (row.bar.without, 21, 7, WITHOUT),
        ] {
            let _written = writeln!(
                body,
                "<rect x=\"{}\" y=\"{}\" width=\"{:.1}\" height=\"{height}\" rx=\"2\" fill=\"{fill}\"/>",
                self.bar,
                y + top,
                share * BAR_PX as f64
            );
        }
    }

    /// The label begins at the left, and figures end at the right edge of their column.
    fn add_text(&self, at: usize, y: usize, fill: &str, text: &str, body: &mut String) {
        let (x, anchor) = match at {
            0 => (MARGIN_PX, "start"),
            at => (self.right.get(at).copied().unwrap_or(self.width), "end"),
        };
        let text = escaped(text);
        let _written = writeln!(
            body,
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" fill=\"{fill}\">{text}</text>"
        );
    }
}

fn add_legend(y: &mut usize, body: &mut String) {
    for (x, fill, text) in [
        (MARGIN_PX, WITH, "with ID merge"),
        (
            MARGIN_PX + 140,
            WITHOUT,
            "without: each distinct_id is a user of its own",
        ),
    ] {
        let _written = writeln!(
            body,
            "<rect x=\"{x}\" y=\"{}\" width=\"11\" height=\"11\" rx=\"2\" fill=\"{fill}\"/>\
             <text x=\"{}\" y=\"{}\" fill=\"#5b6675\">{text}</text>",
            *y,
            x + 18,
            *y + 10
        );
    }
    *y += ROW_PX / 2;
}

/// A text in XML or HTML.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
