//! What `idmerge` must reach beside the other programs.

use idmerge_benches::report::Report;

use crate::formats::FORMATS;
use crate::rows::{
    CAT, CAT_IDENTIFY, CHDB, CHDB_CSV, CHDB_GZIP, CHDB_IDENTIFY, CSV, DUCKDB, DUCKDB_CSV,
    DUCKDB_FUNNEL, DUCKDB_GZIP, DUCKDB_IDENTIFY, FUNNEL, GZIP, GZIP_MEMBERS, IDENTIFY,
    IDENTIFY_ORIGINAL, IDMERGE, LIMIT, LIMIT_CSV, LIMIT_GZIP, LIMIT_IDENTIFY, ORIGINAL, ZSTD,
};
use crate::run::{Contender, Figures};

/// A run of `idmerge resolve`, and the programs that do the same: the limit program, `DuckDB` and `ClickHouse`.
const COMPARED: [(&str, &str, &str, [&str; 2]); 6] = [
    ("web-login", IDMERGE, LIMIT, [DUCKDB, CHDB]),
    ("web-login, original", ORIGINAL, LIMIT, [DUCKDB, CHDB]),
    (
        "web-login, gzip",
        GZIP,
        LIMIT_GZIP,
        [DUCKDB_GZIP, CHDB_GZIP],
    ),
    (
        "identify",
        IDENTIFY,
        LIMIT_IDENTIFY,
        [DUCKDB_IDENTIFY, CHDB_IDENTIFY],
    ),
    (
        "identify, original",
        IDENTIFY_ORIGINAL,
        LIMIT_IDENTIFY,
        [DUCKDB_IDENTIFY, CHDB_IDENTIFY],
    ),
    ("csv", CSV, LIMIT_CSV, [DUCKDB_CSV, CHDB_CSV]),
];

/// The rows with their figures.
pub(crate) struct Measured<'m> {
    pub(crate) contenders: &'m [Contender],
    pub(crate) figures: &'m [Figures],
}

impl Measured<'_> {
    fn of(&self, name: &str) -> Option<&Figures> {
        let mut names = self.contenders.iter().map(|contender| contender.name);
        self.figures.get(names.position(|row| row == name)?)
    }

    /// The median wall time of a row. NaN if it was left out.
    pub(crate) fn wall(&self, name: &str) -> f64 {
        self.of(name)
            .map_or(f64::NAN, |figures| figures.wall_seconds.median())
    }

    /// Reports all targets. A peer that was left out is reported where it was found missing.
    pub(crate) fn targets(&self, report: &mut Report) {
        for (title, ours, limit, peers) in COMPARED {
            let own = self.wall(ours);
            let target = format!("{title}: times the limit program");
            report.at_most(&target, 1.6, own / self.wall(limit), " ×");
            for (peer, name) in peers.into_iter().zip(["DuckDB", "ClickHouse (chdb)"]) {
                if self.of(peer).is_some() {
                    let target = format!("{title}: times {name}");
                    report.at_least(&target, 3.0, self.wall(peer) / own, " ×");
                }
            }
            let peak = self
                .of(ours)
                .map_or(f64::NAN, |figures| figures.peak_megabytes.median());
            report.at_most(&format!("{title}: peak memory"), 150.0, peak, " MB");
        }
        for (title, ours, limit, cat) in [
            ("web-login", IDMERGE, LIMIT, CAT),
            ("identify", IDENTIFY, LIMIT_IDENTIFY, CAT_IDENTIFY),
        ] {
            let cat = self.wall(cat);
            report.stated(
                &format!("{title}: times the time of cat"),
                self.wall(ours) / cat,
                " ×",
            );
            let target = format!("{title}: the limit program, times the time of cat");
            report.stated(&target, self.wall(limit) / cat, " ×");
        }
        if self.of(DUCKDB_FUNNEL).is_some() {
            let ratio = self.wall(DUCKDB_FUNNEL) / self.wall(FUNNEL);
            report.at_least("web-login: funnel, times DuckDB", 1.0, ratio, " ×");
        }
        let ratio = self.wall(IDENTIFY_ORIGINAL) / self.wall(IDENTIFY);
        report.at_most("identify: original, times its simplified", 1.3, ratio, " ×");
        let plain = self.wall(IDMERGE);
        report.at_most(
            "gzip: times plain input",
            2.0,
            self.wall(GZIP) / plain,
            " ×",
        );
        report.at_most(
            "zstd: times plain input",
            2.0,
            self.wall(ZSTD) / plain,
            " ×",
        );
        let ratio = self.wall(GZIP_MEMBERS) / self.wall(GZIP);
        report.stated("gzip of 16 members: times gzip of one", ratio, " ×");
        for names in FORMATS {
            let (format, records) = (names.format, self.wall(names.records));
            for (row, events) in [("", names.events), (", with --dedup", names.deduplicated)] {
                let row =
                    format!("--from {format}: times the same events, adapted beforehand{row}");
                report.at_most(&row, 1.6, records / self.wall(events), " ×");
            }
        }
    }
}
