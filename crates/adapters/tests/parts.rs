//! The parts of an event that an adapter notes are those that a scan finds.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use idmerge_adapters::{Adapted, Adapter, Format, Options, Target};
use idmerge_events::{Envelope, EventParts, JsonEvent, TimeRange};

/// How many of the events of a record have parts. Checks that they are those of a scan.
fn with_parts(format: Format, target: Target, record: &str) -> (usize, usize) {
    let adapter = Adapter::new(format, Options::new(target)).unwrap();
    let mut adapted = Adapted::default();
    // The parts count from the start of the line, and not of the text.
    adapter.adapt(
        1,
        r#"{"type":"track","event":"before","userId":"U","event_type":"b"}"#,
        &mut adapted,
    );
    adapter.adapt(2, record, &mut adapted);
    let (mut start, mut events, mut with_parts) = (0, 0, 0);
    for line in adapted.lines() {
        let text = str::from_utf8(&adapted.text()[start..line.end]).unwrap();
        start = line.end;
        if line.record != 2 {
            continue;
        }
        let scanned = JsonEvent::parse_text(text.trim_end()).unwrap();
        events += 1;
        if let Some(parts) = &line.parts {
            with_parts += 1;
            let text = text.trim_end();
            assert_eq!(JsonEvent::of_parts(text, parts), Some(scanned), "{text}");
            check_envelope(text, parts);
        }
    }
    (events, with_parts)
}

/// The parts give the envelope that a scan gives, or leave it to a scan.
fn check_envelope(text: &str, parts: &EventParts) {
    let scanned = Envelope::parse_text(text).unwrap();
    let has_more = scanned.token().is_some() || scanned.ignore().is_some();
    let written = Envelope::of_parts(text, parts);
    assert_eq!(written.is_none(), has_more, "{text}");
    if let Some(written) = written {
        assert_eq!(written.json_event(), scanned.json_event(), "{text}");
        assert_eq!(
            written.time(TimeRange::Exact),
            scanned.time(TimeRange::Exact),
            "{text}"
        );
        assert_eq!(written.insert_id(), scanned.insert_id(), "{text}");
    }
}

#[test]
fn a_2_usual_events_have_parts_and_unusual_ones_are_left_to_a_scan() {
    let usual = [
        r#"{"type":"track","event":"Ünu \"}","userId":"U1","anonymousId":"D1","messageId":"m"}"#
            .replace("\\\"", "'"),
        r#"{"type":"track","event":"E","userId":7}"#.to_owned(),
        r#"{"type":"track","event":"E","anonymousId":"$device:D"}"#.to_owned(),
        r#"{"type":"track","event":"E"}"#.to_owned(),
        r#"{"type":"track","event":"E","userId":"U","messageId":"ajs-next-1","timestamp":"2024-05-01T12:00:00Z"}"#.to_owned(),
        r#"{"type":"track","event":"E","userId":"U","token":"T","properties":{"$ignore":true}}"#.to_owned(),
        r#"{"type":"identify","userId":"U1","anonymousId":"D1","traits":{"failure_reason":"x"}}"#.to_owned(),
        r#"{"type":"alias","userId":"U1","previousId":"D1"}"#.to_owned(),
        r#"{"type":"track","event":"E","userId":"U","properties":{"distinct_id":"x","alias":"y","event":"z","properties":{}}}"#.to_owned(),
    ];
    for record in &usual {
        let (events, with) = with_parts(Format::Segment, Target::Original, record);
        assert_eq!((events, with), (1, 1), "{record}");
    }
    let unusual = [
        r#"{"type":"track","event":"a\nb","userId":"U1"}"#,
        r#"{"type":"track","event":"E","userId":"U\"1"}"#,
        r#"{"type":"track","event":"E","anonymousId":"D\\"}"#,
        r#"{"type":"track","event":"E","userId":"U","properties":{"$failure_reason":"x"}}"#,
        r#"{"type":"track","event":"E","userId":"U","properties":{"$\u0069s_reshuffled":true}}"#,
        r#"{"type":"track","event":"E","userId":"U","$preshuffle_distinct_id":"x"}"#,
        r#"{"type":"track","event":"E","userId":"U","properties":{"$identity_failure_reason":"x"}}"#,
        r#"{"type":"track","event":"E","userId":"U","properties":{"$failure_description":"x"}}"#,
    ];
    for record in unusual {
        let (events, with) = with_parts(Format::Segment, Target::Simplified, record);
        assert_eq!((events, with), (1, 0), "{record}");
    }
    let merge =
        r#"{"event":"$merge_dangerously","distinct_id":"a","uuid":"u","properties":{"alias":"b"}}"#;
    assert_eq!(with_parts(Format::PostHog, Target::Original, merge), (1, 0));
}
