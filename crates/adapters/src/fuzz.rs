//! The body of the fuzz targets: checks that hold for any record.

use idmerge_events::JsonEvent;

use crate::{Adapted, Adapter, Format, LineKind, Options, Output, Target};

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
            if let Ok(adapter) = Adapter::new(format, options) {
                check(&adapter, text);
            }
        }
    }
}

fn check(adapter: &Adapter, text: &str) {
    let adapt = || {
        let mut adapted = Adapted::default();
        // A line of a file has no line breaks.
        for (number, line) in (1..).zip(text.lines()) {
            adapter.adapt(number, line, &mut adapted);
        }
        adapted
    };
    let adapted = adapt();
    let mut start = 0;
    for line in adapted.lines() {
        let bytes = &adapted.text()[start..line.end];
        start = line.end;
        match &line.kind {
            LineKind::Event(_) => {
                let event = JsonEvent::parse(bytes.trim_ascii_end());
                assert!(event.is_ok(), "{}", String::from_utf8_lossy(bytes));
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
