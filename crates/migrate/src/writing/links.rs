//! Rules M-12 and M-23: the events that link, and the mapping that the target will have.

use std::io::{self, Write};

use idmerge_core::{Cluster, DistinctId};
use idmerge_engines::{AnonIdFormat, Engine, Model};
use idmerge_events::{MappingFormat, MappingWriter};

use crate::people::electing::People;
use crate::people::ids::{Mark, NONE, Number};
use crate::writing::json::{push_id, push_key, push_member};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// The earliest time of a link: 1971-01-02.
const EARLIEST_LINK_MS: i64 = 366 * DAY_MS;

/// M-12: the time of the links, if the earliest event that was written has this time: midnight of the day
/// before.
pub fn link_time_ms(earliest_ms: Option<i64>) -> i64 {
    let time = earliest_ms.map(|ms| (ms.div_euclid(DAY_MS) - 1) * DAY_MS);
    time.unwrap_or(EARLIEST_LINK_MS).max(EARLIEST_LINK_MS)
}

impl People {
    /// Writes the lines that link, one for each device of a user that no event carries. Devices that the
    /// links of an earlier migration have are left out: those lines stay.
    ///
    /// # Errors
    ///
    /// Any error of `write`.
    pub fn write_links(
        &self,
        link_time_ms: i64,
        mut write: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<u64> {
        let mut line = Vec::new();
        let mut count = 0;
        for number in 0..self.ids.len() {
            line.clear();
            match self.options.target.model() {
                Model::Original => self.push_cluster_links(number, link_time_ms, &mut line),
                _ => self.push_link(number, link_time_ms, &mut line),
            }
            count += line.iter().filter(|&&byte| byte == b'\n').count() as u64;
            write(&line)?;
        }
        Ok(count)
    }

    fn push_link(&self, device: Number, time_ms: i64, line: &mut Vec<u8>) {
        let ids = &self.ids;
        let user = ids.row(device).person;
        let is_linked = ids.has(device, Mark::Carried) || ids.has(device, Mark::HasLink);
        if user == NONE || ids.is_user(device) || is_linked {
            return;
        }
        let evidence = if ids.has(device, Mark::Direct) {
            "direct"
        } else if ids.has(device, Mark::Claimed) {
            "claim"
        } else if ids.has(device, Mark::Mapped) {
            "mapping"
        } else {
            "closure"
        };
        let insert_id = self.link_insert_id([user, device]);
        start(&self.options.link_event, line);
        push_id("$device_id", ids.id(device), line);
        push_id("$user_id", ids.id(user), line);
        push_id("distinct_id", ids.id(user), line);
        finish(time_ms, &insert_id, evidence, line);
    }

    /// M-12: the first 32 hex digits of a hash of the two IDs.
    fn link_insert_id(&self, [first, second]: [Number; 2]) -> String {
        let mut hash = blake3::Hasher::new();
        hash.update(self.ids.id(first).text().as_bytes());
        hash.update(&[0]);
        hash.update(self.ids.id(second).text().as_bytes());
        hash.finalize().to_hex()[..32].to_owned()
    }

    /// M-23: one claim for each member other than the head. The claims of a cluster are written when its
    /// first member comes.
    fn push_cluster_links(&self, first: Number, time_ms: i64, line: &mut Vec<u8>) {
        let ids = &self.ids;
        if !ids.is_first(first) {
            return;
        }
        let head = self.head(first);
        let mut members: Vec<Number> = ids.ring(first).filter(|&it| it != head).collect();
        members.sort_unstable();
        for member in members {
            if ids.has(member, Mark::HasLink) {
                continue;
            }
            let id = ids.id(member);
            let insert_id = self.link_insert_id([head, member]);
            let may_be_anon = !ids.is_user(member) && !ids.has(member, Mark::HeadEarlier);
            if may_be_anon && AnonIdFormat::UuidV4.accepts(&id.text()) {
                start("$identify", line);
                push_id("$identified_id", ids.id(head), line);
                push_id("$anon_id", id, line);
            } else {
                start("$merge", line);
                push_key("$distinct_ids", line);
                let pair = [ids.id(head), id].map(|id| id.text().into_owned());
                let written = serde_json::to_writer(&mut *line, &pair);
                debug_assert!(written.is_ok(), "writing to memory cannot fail");
            }
            push_id("distinct_id", ids.id(head), line);
            finish(time_ms, &insert_id, "closure", line);
        }
    }

    /// The ID that a cluster is named after in Original: its canonical ID in the source if it is in
    /// there, or else its first user, or else its first member.
    pub(crate) fn head(&self, member: Number) -> Number {
        let ids = &self.ids;
        let Some(cluster) = ids.cluster(member) else {
            return member;
        };
        // Legacy can take an alias that Original turns down, so its root can be elsewhere.
        let canonical = Some(self.canonical(member)).filter(|&it| ids.same_cluster(it, member));
        match cluster.user {
            NONE => canonical.unwrap_or(cluster.first),
            user => canonical.filter(|&it| ids.is_user(it)).unwrap_or(user),
        }
    }

    /// M-17: which canonical ID each other ID has in the target.
    ///
    /// # Errors
    ///
    /// Any error of the writer below.
    pub fn write_mapping(&self, target: &Engine, to: &mut dyn Write) -> io::Result<()> {
        let mut rows = MappingWriter::new(MappingFormat::Csv, to)?;
        if self.options.target.model() == Model::Original {
            for cluster in target.clusters() {
                rows.write_cluster(&cluster)?;
            }
        } else {
            for number in 0..self.ids.len() {
                let user = self.ids.row(number).person;
                if user != NONE && !self.ids.is_user(number) {
                    rows.write_cluster(&Cluster {
                        canonical: DistinctId::plain(self.ids.id(user)),
                        members: vec![DistinctId::device(self.ids.id(number))],
                    })?;
                }
            }
        }
        rows.finish().map(|_to| ())
    }
}

fn start(event: &str, line: &mut Vec<u8>) {
    line.push(b'{');
    push_member("event", event, line);
    line.extend_from_slice(b",\"properties\":{");
}

fn finish(time_ms: i64, insert_id: &str, evidence: &str, line: &mut Vec<u8>) {
    push_key("time", line);
    line.extend_from_slice((time_ms.div_euclid(1_000)).to_string().as_bytes());
    push_member("$insert_id", insert_id, line);
    push_member("idmerge_evidence", evidence, line);
    line.extend_from_slice(b"}}\n");
}
