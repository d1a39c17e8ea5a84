//! Writes the lines of the raw export.

use idmerge_events::{RawJson, Time, TimeRange, visit_members};

/// Properties that the export sets. Those of the event with the same names are left out.
const OWN: [&[u8]; 7] = [
    b"time",
    b"$idmerge_time_ms",
    b"$idmerge_unweighed",
    b"$import",
    b"$mp_api_endpoint",
    b"$mp_api_timestamp_ms",
    b"mp_processing_time_ms",
];

/// An event to export.
#[derive(Clone, Copy, Debug)]
pub struct ExportLine<'e> {
    /// The JSON text of the event, with its canonical distinct_id.
    pub json: &'e str,
    /// The time of the event, in milliseconds since 1970.
    pub time_ms: i64,
    /// When the server received it, in milliseconds since 1970.
    pub received_ms: i64,
    /// The endpoint that received it, such as `/import`.
    pub source: &'e str,
    /// Whether `time` is written in milliseconds. Else it is in whole seconds, rounded down.
    pub is_time_in_ms: bool,
    /// The number of the event in its project.
    pub number: u64,
    /// Whether a reader must not weigh the claim of the event (AR-4).
    pub is_unweighed: bool,
}

impl ExportLine<'_> {
    /// Appends the event to `lines` as one line with `event` and `properties`. Other members of the
    /// event are left out.
    ///
    /// So that an import finds duplicates, the line always has an `$insert_id`: that of the event, or the
    /// ID that SDKs of phones send instead, or one made of the number of the event. If `time` does
    /// not say the time to the millisecond, `$idmerge_time_ms` does (AR-4).
    ///
    /// Returns `false`, and appends nothing, if [`json`](Self::json) is not an event.
    ///
    /// ```
    /// let mut lines = String::new();
    /// let is_event = idmerge_wire::ExportLine {
    ///     json: r#"{"event":"A","properties":{"distinct_id":"U1","time":1700000000.5}}"#,
    ///     time_ms: 1_700_000_000_500,
    ///     received_ms: 1_700_000_001_000,
    ///     source: "/track",
    ///     is_time_in_ms: false,
    ///     number: 7,
    ///     is_unweighed: false,
    /// }
    /// .write(&mut lines);
    /// assert!(is_event);
    /// assert_eq!(lines, concat!(
    ///     r#"{"event":"A","properties":{"time":1700000000,"distinct_id":"U1","#,
    ///     r#""$insert_id":"idmerge-18bcfe56be8-7","$idmerge_time_ms":1700000000500,"#,
    ///     r#""$mp_api_endpoint":"/track","$mp_api_timestamp_ms":1700000001000,"#,
    ///     r#""mp_processing_time_ms":1700000001000}}"#, "\n",
    /// ));
    /// ```
    pub fn write(&self, lines: &mut String) -> bool {
        let start = lines.len();
        let [mut name, mut properties] = ["", ""];
        let mut phone_id = None;
        let is_object = visit_members(self.json, |key, value| match key {
            b"event" => name = value.as_str(),
            b"properties" => properties = value.as_str(),
            b"$mp_metadata" => phone_id = mp_event_id(value),
            _ => {}
        });
        let time = self.time();
        *lines += r#"{"event":"#;
        *lines += name;
        *lines += r#","properties":{"time":"#;
        *lines += &time.to_string();
        let mut has_insert_id = false;
        let is_event = visit_members(properties, |key, value| {
            match key {
                b"$mp_metadata" => phone_id = mp_event_id(value),
                // IN-2
                b"$insert_id" => has_insert_id = is_insert_id(value),
                _ => {}
            }
            if !OWN.contains(&key)
                && (key != b"$insert_id" || has_insert_id)
                && let Ok(key) = str::from_utf8(key)
                && let Ok(key) = serde_json::to_string(key)
            {
                lines.push(',');
                *lines += &key;
                lines.push(':');
                *lines += value.as_str();
            }
        });
        if is_object.is_none() || is_event.is_none() || name.is_empty() {
            lines.truncate(start);
            return false;
        }
        if !has_insert_id {
            *lines += r#","$insert_id":"#;
            *lines += &phone_id.unwrap_or_else(|| self.made_insert_id());
        }
        self.write_own(time, lines);
        // Line breaks in JSON can only be white space between tokens, so replacing them is safe.
        if lines[start..].contains(['\n', '\r']) {
            let line = lines.split_off(start).replace(['\n', '\r'], " ");
            *lines += &line;
        }
        lines.push('\n');
        true
    }

    fn time(&self) -> i64 {
        if self.is_time_in_ms {
            self.time_ms
        } else {
            self.time_ms.div_euclid(1_000)
        }
    }

    /// An ID of an event without one, as JSON. Two exports of a project have the same. Those of two
    /// projects have different ones, since the time of arrival is in it.
    fn made_insert_id(&self) -> String {
        format!(r#""idmerge-{:x}-{}""#, self.received_ms, self.number)
    }

    /// Appends the properties that the export sets, other than `time`, and closes the object.
    fn write_own(&self, time: i64, lines: &mut String) {
        let Self {
            source,
            received_ms,
            time_ms,
            ..
        } = self;
        #[expect(
            clippy::cast_precision_loss,
            reason = "a time out of range is not read"
        )]
        let read_back = Time::of_number(time as f64, TimeRange::Year9999);
        if read_back != Time::Ms(*time_ms) {
            *lines += &format!(r#","$idmerge_time_ms":{time_ms}"#);
        }
        if self.is_unweighed {
            *lines += r#","$idmerge_unweighed":true"#;
        }
        if *source == "/import" {
            *lines += r#","$import":true"#;
        }
        *lines += &format!(
            r#","$mp_api_endpoint":"{source}","$mp_api_timestamp_ms":{received_ms},"mp_processing_time_ms":{received_ms}}}}}"#
        );
    }
}

/// Whether a value of `$insert_id` is one, as the endpoints read it.
fn is_insert_id(json: RawJson<'_>) -> bool {
    !matches!(json.as_str(), "null" | "\"\"")
}

/// The `$mp_event_id` in the value of `$mp_metadata`, as JSON text of a string.
fn mp_event_id(metadata: RawJson<'_>) -> Option<String> {
    let mut event_id = None;
    metadata.visit_members(|key, value| {
        if key == b"$mp_event_id" {
            event_id = value.string_or_number();
        }
    })?;
    serde_json::to_string(&event_id?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(json: &str) -> Option<String> {
        let mut lines = String::new();
        let line = ExportLine {
            json,
            time_ms: -1,
            received_ms: 5,
            source: "/import",
            is_time_in_ms: true,
            number: 7,
            is_unweighed: false,
        };
        line.write(&mut lines).then_some(lines)
    }

    #[test]
    fn an_event_is_one_line() {
        let wanted = concat!(
            r#"{"event":"a\n","properties":{"time":-1,"k\"\n": [ 1,  2 ],"#,
            r#""$insert_id":"idmerge-5-7","$idmerge_time_ms":-1,"$import":true,"$mp_api_endpoint":"/import","$mp_api_timestamp_ms":5,"mp_processing_time_ms":5}}"#,
            "\n"
        );
        let json = "{\"x\":1,\"event\":\"a\\n\",\"properties\":{\"k\\u0022\\n\": [ 1,\n 2 ],\"$import\":7,\"t\\u0069me\":3}}";
        let found = line(json).unwrap();
        assert_eq!(found.replace(":[", ": ["), wanted.replace(":[", ": ["));
        assert_eq!(found.lines().count(), 1);
    }

    /// The properties of the line of an event that arrived at `/track`.
    fn properties(json: &str, time_ms: i64, is_time_in_ms: bool) -> serde_json::Value {
        let mut lines = String::new();
        let line = ExportLine {
            json,
            time_ms,
            received_ms: 0x10,
            source: "/track",
            is_time_in_ms,
            number: 9,
            is_unweighed: false,
        };
        assert!(line.write(&mut lines));
        let mut event: serde_json::Value = serde_json::from_str(&lines).unwrap();
        event["properties"].take()
    }

    #[test]
    fn ar_4_every_line_has_an_insert_id() {
        for (json, insert_id) in [
            (r#""$insert_id":"i""#, "i"),
            // IN-2
            (r#""$insert_id":null,"$insert_id":"i""#, "i"),
            (r#""$insert_id":"i","$insert_id":"""#, "idmerge-10-9"),
            (r#""$insert_id":null"#, "idmerge-10-9"),
            (r#""$mp_metadata":{"$mp_event_id":"m"}"#, "m"),
            (r#""$mp_metadata":{"$mp_event_id":7}"#, "7"),
            (
                r#""$mp_metadata":{"$mp_event_id":"m"},"$insert_id":"i""#,
                "i",
            ),
            (r#""$mp_metadata":{"$mp_event_id":""}"#, "idmerge-10-9"),
            (r#""$mp_metadata":[]"#, "idmerge-10-9"),
        ] {
            let json = format!(r#"{{"event":"A","properties":{{{json}}}}}"#);
            assert_eq!(
                properties(&json, 0, false)["$insert_id"],
                insert_id,
                "{json}"
            );
        }
        for (json, insert_id) in [
            (
                r#"{"$mp_metadata":{"$mp_event_id":"m"},"event":"A","properties":{}}"#,
                "m",
            ),
            (
                r#"{"event":"A","properties":{"a":1},"$mp_metadata":{"$mp_event_id":"m"}}"#,
                "m",
            ),
            (
                r#"{"event":"A","properties":{"$mp_metadata":{"$mp_event_id":"n"}},"$mp_metadata":{"$mp_event_id":"m"}}"#,
                "n",
            ),
            (
                r#"{"event":"A","properties":{"$mp_metadata":{}},"$mp_metadata":{"$mp_event_id":"m"}}"#,
                "idmerge-10-9",
            ),
        ] {
            assert_eq!(
                properties(json, 0, false)["$insert_id"],
                insert_id,
                "{json}"
            );
        }
    }

    #[test]
    fn ar_4_a_line_says_the_time_to_the_millisecond() {
        let json = r#"{"event":"A","properties":{"time":1,"$idmerge_time_ms":2}}"#;
        for (time_ms, is_time_in_ms, time, exact) in [
            (1_700_000_000_000, false, 1_700_000_000_i64, None),
            (
                1_700_000_000_500,
                false,
                1_700_000_000,
                Some(1_700_000_000_500_i64),
            ),
            (1_700_000_000_500, true, 1_700_000_000_500, None),
            (-1, false, -1, Some(-1)),
            // Read back, this is another time: a number is seconds or milliseconds by its size.
            (5, true, 5, Some(5)),
            (
                253_402_300_799_000,
                false,
                253_402_300_799,
                Some(253_402_300_799_000),
            ),
        ] {
            let properties = properties(json, time_ms, is_time_in_ms);
            assert_eq!(properties["time"], time);
            let found = properties.get("$idmerge_time_ms");
            assert_eq!(found.and_then(serde_json::Value::as_i64), exact);
            let line = format!(r#"{{"event":"A","properties":{properties}}}"#);
            let read = idmerge_events::Envelope::parse_text(&line).unwrap();
            assert_eq!(read.time(TimeRange::Year9999), Time::Ms(time_ms));
            assert!(read.is_exported());
        }
    }

    #[test]
    fn ar_4_only_the_export_says_that_an_event_is_unweighed() {
        let json = r#"{"event":"A","properties":{"$idmerge_unweighed":false}}"#;
        for is_unweighed in [true, false] {
            let mut lines = String::new();
            let line = ExportLine {
                json,
                time_ms: 0,
                received_ms: 0,
                source: "/track",
                is_time_in_ms: false,
                number: 1,
                is_unweighed,
            };
            assert!(line.write(&mut lines));
            assert_eq!(lines.contains("unweighed"), is_unweighed);
            assert_eq!(lines.contains(r#""$idmerge_unweighed":true"#), is_unweighed);
        }
    }

    #[test]
    fn a_text_that_is_not_an_event_gives_no_line() {
        for json in [
            "",
            "[]",
            "{}",
            r#"{"event":"A"}"#,
            r#"{"event":"A","properties":[]}"#,
        ] {
            assert_eq!(line(json), None, "{json}");
        }
    }
}
