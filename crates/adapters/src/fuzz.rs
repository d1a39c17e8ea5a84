//! The body of the fuzz targets: checks that hold for any record.

use idmerge_events::{Envelope, EventParts, JsonEvent, TimeRange};

use crate::{Adapted, Adapter, BodyLimits, Format, LineKind, Options, Output, Target, adapt_body};

/// Turns any bytes, as a record of this product, into events: for each model, and as the product's own
/// connector if it is known.
///
/// # Panics
///
/// Panics if a line is not an event, if a refusal names no rule, or if a second time gives something else.
pub fn record(format: Format, bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    for target in [Target::Simplified, Target::Original, Target::Both] {
        for output in [Output::Direct, Output::Mixpanel] {
            let mut options = Options::new(target);
            options.output = output;
            options.with_profiles = true;
            options.group_keys = vec!["company".to_owned()];
            options.columns.user = Some("userId".to_owned());
            options.columns.time = Some("timestamp".to_owned());
            if matches!(format, Format::Segment | Format::RudderStack) {
                check_bodies(&options, text);
            }
            if let Ok(adapter) = Adapter::new(format, options) {
                check(|adapted| {
                    // A line of a file has no line breaks.
                    for (number, line) in (1..).zip(text.lines()) {
                        adapter.adapt(number, line, adapted);
                    }
                });
                check_alone(&adapter, text);
            }
        }
    }
}

/// Each record gives what it gives alone, although those before it may have had its shape.
fn check_alone(adapter: &Adapter, text: &str) {
    let mut together = Adapted::default();
    // Twice, so that each shape is known.
    for line in text.lines().chain(text.lines()) {
        together.clear();
        let mut alone = Adapted::default();
        for adapted in [&mut together, &mut alone] {
            adapter.adapt(1, line, adapted);
        }
        let texts = |adapted: &Adapted| {
            let texts = [adapted.text(), adapted.profiles(), adapted.groups()];
            texts.map(|text| String::from_utf8_lossy(text).into_owned())
        };
        assert_eq!(texts(&together), texts(&alone), "{line}");
        assert_eq!(together.counts(), alone.counts(), "{line}");
        assert_eq!(together.lines(), alone.lines(), "{line}");
        assert_eq!(together.receipts(), alone.receipts(), "{line}");
        let conflicts = alone.take_conflicts();
        assert_eq!(together.take_conflicts(), conflicts, "{line}");
    }
}

/// Reads the text as the body of a request to the HTTP API.
fn check_bodies(options: &Options, text: &str) {
    let limits = BodyLimits {
        max_calls: 20,
        max_call_bytes: 1_000,
        max_adapted_bytes: 4_000,
    };
    for kind in [None, Some("track"), Some("identify"), Some("alias")] {
        check(|adapted| {
            let result = adapt_body(options, kind, text, limits, adapted);
            if let Err(error) = result {
                assert!(!error.to_string().is_empty());
            }
            assert!(adapted.lines().len() <= limits.max_calls);
            // The last call may exceed the limit: its members become longer, and are in an update too.
            let bytes = adapted.text().len() + adapted.profiles().len() + adapted.groups().len();
            assert!(bytes <= limits.max_adapted_bytes + 8 * limits.max_call_bytes);
        });
    }
}

/// The parts give the envelope that a scan gives, or leave it to a scan.
fn check_envelope(text: &str, parts: &EventParts) {
    let Some(envelope) = Envelope::of_parts(text, parts) else {
        return;
    };
    let read = |envelope: &Envelope<'_>| {
        let all = [
            envelope.token(),
            envelope.insert_id(),
            envelope.mp_event_id(),
            envelope.ignore(),
        ];
        let texts = all.map(|json| json.map(|json| json.as_str().to_owned()));
        let time = envelope.time(TimeRange::Exact);
        (texts, time, envelope.is_exported())
    };
    let scanned = Envelope::parse_text(text).ok();
    assert_eq!(scanned.as_ref().map(read), Some(read(&envelope)), "{text}");
}

fn check(adapt_to: impl Fn(&mut Adapted)) {
    let adapt = || {
        let mut adapted = Adapted::default();
        adapt_to(&mut adapted);
        adapted
    };
    let adapted = adapt();
    let mut start = 0;
    for line in adapted.lines() {
        let bytes = &adapted.text()[start..line.end];
        start = line.end;
        match &line.kind {
            LineKind::Event(_) => {
                let text = str::from_utf8(bytes).unwrap_or_default().trim_ascii_end();
                let event = JsonEvent::parse_text(text);
                assert!(event.is_ok(), "{text}");
                if let Some(parts) = &line.parts {
                    assert_eq!(JsonEvent::of_parts(text, parts), event.ok(), "{text}");
                    check_envelope(text, parts);
                }
            }
            LineKind::Refused(refusal) => {
                assert_eq!(bytes, b"\n");
                assert!(refusal.to_string().contains(refusal.rule()));
            }
        }
    }
    assert_eq!(start, adapted.text().len());
    for line in [adapted.profiles(), adapted.groups()]
        .into_iter()
        .flat_map(|text| text.split_inclusive(|byte| *byte == b'\n'))
    {
        let json: serde_json::Result<serde::de::IgnoredAny> = serde_json::from_slice(line);
        assert!(json.is_ok(), "{}", String::from_utf8_lossy(line));
    }
    assert!(adapt().text() == adapted.text());
}
