//! Charts as a page, which loads nothing.

use std::fmt::Write;

use super::Chart;
use super::svg::{escaped, picture};

const STYLE: &str = "\
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2430; background: #fff; margin: 2rem; }
svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; margin: 1.5rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid #e3e7ec; }
th:first-child, td:first-child { text-align: left; }
th { font-weight: 600; color: #5b6675; }
.without { color: #7a8594; }
p { color: #5b6675; }";

/// The picture, and the tables of the charts.
pub(super) fn page(title: &str, charts: &[Chart], notes: &[String]) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{}</title>\n<style>\n{STYLE}\n</style>\n{}",
        escaped(&super::shown(title)),
        picture(title, charts)
    );
    for chart in charts {
        add_table(chart, &mut page);
    }
    for note in charts
        .iter()
        .filter_map(Chart::note)
        .chain(notes.iter().cloned())
    {
        // Writing to a string does not fail.
        let _written = writeln!(page, "<p>{}</p>", escaped(&note));
    }
    page.push_str("</html>\n");
    page
}

fn add_table(chart: &Chart, page: &mut String) {
    page.push_str("<table>\n<tr>");
    for name in &chart.columns {
        let _written = write!(page, "<th>{}</th>", escaped(name));
    }
    page.push_str("</tr>\n");
    for row in &chart.rows {
        page.push_str("<tr>");
        for cell in &row.cells {
            let class = match cell.is_without {
                true => " class=\"without\"",
                false => "",
            };
            let _written = write!(page, "<td{class}>{}</td>", escaped(&cell.text));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n");
}
