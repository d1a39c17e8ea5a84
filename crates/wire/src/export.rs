//! Writes the lines of the raw export.

use idmerge_events::visit_members;

/// Properties that the export sets. Those of the event with the same names are left out.
const OWN: [&[u8]; 5] = [
    b"time",
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
}

impl ExportLine<'_> {
    /// Appends the event to `lines` as one line with `event` and `properties`. Other members of the
    /// event are left out.
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
    /// }
    /// .write(&mut lines);
    /// assert!(is_event);
    /// assert_eq!(lines, concat!(
    ///     r#"{"event":"A","properties":{"time":1700000000,"distinct_id":"U1","#,
    ///     r#""$mp_api_endpoint":"/track","$mp_api_timestamp_ms":1700000001000,"#,
    ///     r#""mp_processing_time_ms":1700000001000}}"#, "\n",
    /// ));
    /// ```
    pub fn write(&self, lines: &mut String) -> bool {
        let start = lines.len();
        let [mut name, mut properties] = ["", ""];
        let is_object = visit_members(self.json, |key, value| match key {
            b"event" => name = value.as_str(),
            b"properties" => properties = value.as_str(),
            _ => {}
        });
        let time = if self.is_time_in_ms {
            self.time_ms
        } else {
            self.time_ms.div_euclid(1_000)
        };
        *lines += r#"{"event":"#;
        *lines += name;
        *lines += r#","properties":{"time":"#;
        *lines += &time.to_string();
        let is_event = visit_members(properties, |key, value| {
            if !OWN.contains(&key)
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
        if self.source == "/import" {
            *lines += r#","$import":true"#;
        }
        let Self {
            source,
            received_ms,
            ..
        } = self;
        *lines += &format!(
            r#","$mp_api_endpoint":"{source}","$mp_api_timestamp_ms":{received_ms},"mp_processing_time_ms":{received_ms}}}}}"#
        );
        // Line breaks in JSON can only be white space between tokens, so replacing them is safe.
        if lines[start..].contains(['\n', '\r']) {
            let line = lines.split_off(start).replace(['\n', '\r'], " ");
            *lines += &line;
        }
        lines.push('\n');
        true
    }
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
        };
        line.write(&mut lines).then_some(lines)
    }

    #[test]
    fn an_event_is_one_line() {
        let wanted = concat!(
            r#"{"event":"a\n","properties":{"time":-1,"k\"\n": [ 1,  2 ],"#,
            r#""$import":true,"$mp_api_endpoint":"/import","$mp_api_timestamp_ms":5,"mp_processing_time_ms":5}}"#,
            "\n"
        );
        let json = "{\"x\":1,\"event\":\"a\\n\",\"properties\":{\"k\\u0022\\n\": [ 1,\n 2 ],\"$import\":7,\"t\\u0069me\":3}}";
        let found = line(json).unwrap();
        assert_eq!(found.replace(":[", ": ["), wanted.replace(":[", ": ["));
        assert_eq!(found.lines().count(), 1);
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
