//! The report of a program, in Markdown: targets first, then tables.

use std::fmt::{self, Write as _};

/// The head of the table of targets. `cargo xtask bench` finds the table by this line.
pub const TARGETS_HEAD: &str = "| target | wanted | measured | |";

/// A report under construction.
#[derive(Debug, Default)]
pub struct Report {
    targets: Vec<String>,
    details: String,
}

impl Report {
    /// Adds a target: the figure must be at least `wanted`.
    pub fn at_least(&mut self, target: &str, wanted: f64, measured: f64, unit: &str) {
        let met = measured >= wanted;
        self.target(
            target,
            &format!("at least {wanted}{unit}"),
            measured,
            unit,
            met,
        );
    }

    /// Adds a target: the figure must be at most `wanted`.
    pub fn at_most(&mut self, target: &str, wanted: f64, measured: f64, unit: &str) {
        let met = measured <= wanted;
        self.target(
            target,
            &format!("at most {wanted}{unit}"),
            measured,
            unit,
            met,
        );
    }

    /// Adds a figure without a target.
    pub fn stated(&mut self, target: &str, measured: f64, unit: &str) {
        self.targets
            .push(format!("| {target} | stated | {measured:.2}{unit} | |"));
    }

    /// Adds a target without a figure, and the reason.
    pub fn unknown(&mut self, target: &str, why: &str) {
        self.targets.push(format!(
            "| {target} | | not measured: {why} | **unknown** |"
        ));
    }

    fn target(&mut self, target: &str, wanted: &str, measured: f64, unit: &str, met: bool) {
        let verdict = if met { "met" } else { "**missed**" };
        self.targets.push(format!(
            "| {target} | {wanted} | {measured:.2}{unit} | {verdict} |"
        ));
    }

    /// Adds a paragraph.
    pub fn text(&mut self, text: impl fmt::Display) {
        self.write(format_args!("{text}\n\n"));
    }

    /// Adds a table with a heading. The first column is text, the others are figures.
    pub fn table(&mut self, heading: &str, head: &[&str], rows: &[Vec<String>]) {
        self.write(format_args!("### {heading}\n\n| {} |\n|", head.join(" | ")));
        for column in 0..head.len() {
            self.write(format_args!(
                "{}|",
                if column == 0 { "---" } else { "---:" }
            ));
        }
        self.details.push('\n');
        for row in rows {
            self.write(format_args!("| {} |\n", row.join(" | ")));
        }
        self.details.push('\n');
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        if self.details.write_fmt(text).is_err() {
            unreachable!("writing to a string does not fail");
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.targets.is_empty() {
            writeln!(f, "{TARGETS_HEAD}\n|---|---|---:|---|")?;
            for target in &self.targets {
                writeln!(f, "{target}")?;
            }
            writeln!(f)?;
        }
        f.write_str(&self.details)
    }
}

/// A number in groups of three digits: `1 600 000`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_come_first_and_say_whether_they_are_met() {
        let mut report = Report::default();
        report.table("Times", &["row", "ns"], &[vec!["map".into(), "2".into()]]);
        report.at_least("speed", 3.0, 2.994, " ×");
        report.at_most("size", 48.0, 48.0, " B");
        report.stated("distance", 1.5, " ×");
        report.unknown("duckdb", "no python3");
        assert_eq!(
            report.to_string(),
            "\
| target | wanted | measured | |
|---|---|---:|---|
| speed | at least 3 × | 2.99 × | **missed** |
| size | at most 48 B | 48.00 B | met |
| distance | stated | 1.50 × | |
| duckdb | | not measured: no python3 | **unknown** |

### Times

| row | ns |
|---|---:|
| map | 2 |

"
        );
    }

    #[test]
    fn digits_are_grouped_in_threes() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_600_000), "1 600 000");
        assert_eq!(grouped(100), "100");
    }
}
