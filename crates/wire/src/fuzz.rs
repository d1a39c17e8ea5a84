//! The body of the fuzz target: checks that hold for any request.

use crate::{Credentials, Endpoint, Fault, Head, Limits, Report, RequestParts, Requirements};

const ENDPOINTS: [Endpoint; 6] = [
    Endpoint::Track,
    Endpoint::Import,
    Endpoint::Engage,
    Endpoint::Groups,
    Endpoint::Calls(None),
    Endpoint::Pixel("track"),
];

const LIMITS: Limits = Limits {
    max_body_bytes: 4_096,
    max_records: 20,
    max_record_bytes: 1_024,
    ..Limits::DOCUMENTED
};

/// Decodes any bytes as a request to each endpoint. The first line is the query, the second the
/// content type, the third the credentials, and the rest the body.
///
/// # Panics
///
/// Panics if a record is not a part of the body, a limit does not hold, or a response is not valid in
/// its dialect.
pub fn request(bytes: &[u8]) {
    let mut parts = bytes.splitn(4, |&byte| byte == b'\n');
    let mut line = || str::from_utf8(parts.next().unwrap_or_default()).ok();
    let (query, content_type, authorization) = (line(), line(), line());
    let body = parts.next().unwrap_or_default();
    for endpoint in ENDPOINTS {
        let head = Head::read(RequestParts {
            endpoint,
            query: query.unwrap_or(""),
            content_type,
            content_encoding: None,
            authorization,
        });
        read(&head, body);
    }
}

fn read(head: &Head, body: &[u8]) {
    let message = match head.decode(body, &LIMITS) {
        Ok(message) => message,
        Err(problem) => {
            let response = head.dialect().refuse(&problem);
            assert!(!response.body.is_empty() && response.status < 500);
            return;
        }
    };
    assert!(!format!("{:?}", message.credentials).is_empty());
    assert!(message.credentials != Credentials::ApiKey(String::new()));
    let (events, updates) = (message.events(&LIMITS), message.updates(&LIMITS));
    let (Ok(events), Ok(updates)) = (events, updates) else {
        assert!(message.events(&LIMITS).is_err() && message.updates(&LIMITS).is_err());
        return;
    };
    assert_eq!(events.len(), updates.len());
    assert!(events.len() <= LIMITS.max_records);
    let requirements = Requirements {
        is_strict: true,
        waives_distinct_id: true,
        now_ms: 1_700_000_000_000,
    };
    for event in events.iter().flatten() {
        assert!(event.text.len() <= LIMITS.max_record_bytes);
        let json: serde_json::Result<serde::de::IgnoredAny> = serde_json::from_str(event.text);
        assert!(json.is_ok() && !event.name.is_empty());
        assert_eq!(message.range(event.text).len(), event.text.len());
        assert!(event.check_ids(|_| Ok(())).is_ok());
        if let Err(fault) = event.check(&requirements, &LIMITS) {
            // The key of a member can be empty.
            let is_named = !fault.field().is_empty() || matches!(fault, Fault::NotUtf8 { .. });
            assert!(is_named && !fault.to_string().is_empty());
        }
    }
    let response = message.dialect.report(&Report {
        taken: events.len(),
        ..Report::default()
    });
    assert!(response.status == 200 && !response.body.is_empty());
}
