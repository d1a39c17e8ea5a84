//! The pixel APIs of Segment and RudderStack: a call in the query of an image.

use crate::support::{Answer, Running, SECRET, basic, project};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use idmerge_engines::Model;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

const KINDS: [&str; 6] = ["track", "identify", "page", "screen", "group", "alias"];

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn pixel(server: &Running, kind: &str, query: &str) -> Answer {
    image(server, &format!("/v1/pixel/{kind}"), query)
}

fn image(server: &Running, path: &str, query: &str) -> Answer {
    let answer = server.get(&format!("{path}?{query}"), &[]);
    assert_eq!(answer.status, 200, "{path} {query}");
    assert_eq!(answer.header("content-type"), Some("image/gif"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.body.starts_with("GIF89a\u{1}\0\u{1}\0"), "{query}");
    answer
}

/// The events of a project, without what depends on the time of arrival or on the name of the project.
fn events(server: &Running, token: &str) -> Vec<Value> {
    let secret = format!("Bearer {SECRET} of {token}");
    let path = "/api/2.0/export?from_date=2020-01-01&to_date=2100-01-01";
    let answer = server.get(path, &[("authorization", &secret)]);
    assert_eq!(answer.status, 200, "{answer:?}");
    let lines = answer.body.lines();
    lines
        .map(|line| {
            let mut event: Value = serde_json::from_str(line).unwrap();
            let properties = event["properties"].as_object_mut().unwrap();
            properties.retain(|key, _| !key.starts_with("$mp_") && !key.starts_with("mp_"));
            event
        })
        .collect()
}

fn call(kind: &str) -> Value {
    let mut call = json!({
        "userId": "user_123", "anonymousId": "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
        "messageId": format!("m-{kind}"), "timestamp": "2024-05-01T12:00:00Z",
        "properties": {"subject": "The Electric Daily ~ ü ?>"}, "traits": {"plan": "pro"},
    });
    let more = match kind {
        "track" => json!({"event": "Email Opened"}),
        "page" | "screen" => json!({"name": "Home"}),
        "group" => json!({"groupId": "acme"}),
        "alias" => json!({"previousId": "old"}),
        _ => json!({}),
    };
    let more = more.as_object().unwrap().clone();
    call.as_object_mut().unwrap().extend(more);
    call
}

#[test]
fn a_5_a_pixel_says_what_the_same_call_in_a_body_says() {
    for model in [Model::Simplified, Model::Original] {
        let projects = vec![project("POSTED", model), project("SHOWN", model)];
        let server = Running::with(projects, |_| {});
        for kind in KINDS {
            let body = call(kind).to_string();
            let key = basic("POSTED");
            let headers = [
                ("authorization", key.as_str()),
                ("content-type", "application/json"),
            ];
            server.send("POST", &format!("/v1/{kind}"), &headers, body.as_bytes());
            let mut call = call(kind);
            call["writeKey"] = json!("SHOWN");
            let data = escaped(&STANDARD.encode(call.to_string()));
            pixel(&server, kind, &format!("data={data}"));
        }
        let shown = events(&server, "SHOWN");
        assert_eq!(shown, events(&server, "POSTED"), "{model}");
        // In Simplified, an alias of two users is refused.
        let wanted = if model == Model::Simplified { 5 } else { 6 };
        assert_eq!(shown.len(), wanted);
    }
}

/// The example of Segment's documentation, in each of its forms. The payload is that of the documentation.
#[test]
fn a_2_the_forms_of_the_data() {
    let documented = "eyJ3cml0ZUtleSI6ICJZT1VSX1dSSVRFX0tFWSIsICJ1c2VySWQiOiAiMDI1cGlrYWNodTAyNSIsICJldmVudCI6ICJFbWFpbCBPcGVuZWQiLCAicHJvcGVydGllcyI6IHsgICAic3ViamVjdCI6ICJUaGUgRWxlY3RyaWMgRGFpbHkiLCAgICJlbWFpbCI6ICJwZWVrQXRNZUBlbWFpbC5wb2tlIiB9fQ";
    let json = r#"{"writeKey":"YOUR_WRITE_KEY","userId":"025pikachu025","event":"Email Opened","properties":{"subject":"The Electric Daily","email":"peekAtMe@email.poke"}}"#;
    let without_key = json.replace(r#""writeKey":"YOUR_WRITE_KEY","#, "");
    let queries = [
        format!("data={documented}"),
        format!("data={}", STANDARD.encode(json)),
        format!("data={}", escaped(&STANDARD.encode(json))),
        format!("data={}&_=17", URL_SAFE_NO_PAD.encode(json)),
        format!("data={}", escaped(json)),
        format!("writeKey=YOUR_WRITE_KEY&data={}", escaped(&without_key)),
        "userId=025pikachu025&event=Email%20Opened&properties.subject=The+Electric+Daily\
         &properties.email=peekAtMe@email.poke&writeKey=YOUR_WRITE_KEY"
            .to_owned(),
    ];
    for query in queries {
        let server = Running::with(vec![project("YOUR_WRITE_KEY", Model::Simplified)], |_| {});
        pixel(&server, "track", &query);
        let events = events(&server, "YOUR_WRITE_KEY");
        let [event] = &events[..] else {
            panic!("{query}: {events:?}")
        };
        assert_eq!(event["event"], "Email Opened");
        let properties = &event["properties"];
        assert_eq!(properties["distinct_id"], "025pikachu025");
        assert_eq!(properties["subject"], "The Electric Daily");
        assert_eq!(properties["email"], "peekAtMe@email.poke");
        assert_eq!(properties["$source"], "segment");
        // The write key names the project, and says nothing about the user.
        assert!(!event.to_string().contains("YOUR_WRITE_KEY"), "{event}");
    }
}

#[test]
fn a_head_request_stores_nothing() {
    let server = Running::of(Model::Simplified);
    let data = escaped(&STANDARD.encode(call("track").to_string()));
    let event = json!({"event": "A", "properties": {"token": "TOK", "distinct_id": "u"}});
    let event = escaped(&event.to_string());
    let pixel = format!("/v1/pixel/track?writeKey=TOK&data={data}");
    let track = format!("/track?data={event}");
    for path in [&pixel, &track] {
        let _answer = server.send("HEAD", path, &[], b"");
    }
    assert_eq!(server.send("HEAD", &pixel, &[], b"").status, 200);
    assert_eq!(events(&server, "TOK"), Vec::<Value>::new());
    for path in [&pixel, &track] {
        assert_eq!(server.get(path, &[]).status, 200);
    }
    assert_eq!(events(&server, "TOK").len(), 2);
}

#[test]
fn ar_2_each_view_counts_unless_it_has_a_message_id() {
    let server = Running::of(Model::Simplified);
    let with_id = |id: &str| {
        let call = json!({"writeKey": "TOK", "userId": "U1", "event": "Open", "timestamp": "2024-05-01T12:00:00Z",
            "messageId": id});
        format!("data={}", URL_SAFE_NO_PAD.encode(call.to_string()))
    };
    for _ in 0..2 {
        pixel(&server, "track", &with_id(""));
        pixel(&server, "track", &with_id("m1"));
    }
    assert_eq!(events(&server, "TOK").len(), 3);
}

#[test]
fn in_8_an_id_that_is_not_utf_8_is_refused_and_a_property_is_not() {
    let server = Running::of(Model::Simplified);
    pixel(
        &server,
        "track",
        "writeKey=TOK&event=A&userId=U1&properties.a=%ff",
    );
    pixel(&server, "track", "writeKey=TOK&event=B&userId=U%ff");
    let events = events(&server, "TOK");
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["properties"]["a"], "\u{fffd}");
}

/// The calls of RudderStack's documentation. Its server adds `channel` and the time of arrival, and takes the quotation
/// marks off an `anonymousId` (rudder-server f2655fbbe, `gateway/handle_http_pixel.go`).
#[test]
fn a_8_rudderstacks_pixel_is_a_call_of_rudderstack() {
    let server = Running::of(Model::Simplified);
    let page = "writeKey=TOK&context.library.name=Rudderstack%20AMP%20SDK&context.platform=AMP&anonymousId=%22amp-1%22\
                &context.page.path=/find&context.screen.width=1280&properties.title=Find&name=Home";
    image(&server, "/pixel/v1/page", page);
    let track =
        "writeKey=TOK&anonymousId=amp-1&userId=U1&event=Email%20Opened&properties.subject=May";
    image(&server, "/pixel/v1/track/", track);
    let sent =
        "writeKey=TOK&event=A&userId=%22U1%22&channel=mail&originalTimestamp=2024-05-01T12:00:00Z";
    image(&server, "/pixel/v1/track", sent);
    let events = events(&server, "TOK");
    let [page, track, sent] = &events[..] else {
        panic!("{events:?}")
    };
    let of = |event: &Value, key: &str| event["properties"][key].clone();
    assert_eq!(page["event"], "Page");
    assert_eq!(of(page, "$source"), "rudderstack");
    // The link comes later, and counts for this event too.
    assert_eq!(
        [of(page, "$device_id"), of(page, "distinct_id")],
        ["amp-1", "U1"]
    );
    assert_eq!([of(page, "name"), of(page, "title")], ["Home", "Find"]);
    assert_eq!(of(page, "channel"), "web");
    let context = json!({
        "library": {"name": "Rudderstack AMP SDK"}, "platform": "AMP", "page": {"path": "/find"},
        "screen": {"width": "1280"},
    });
    assert_eq!(of(page, "context"), context);
    let time = of(page, "originalTimestamp");
    assert!(
        time.as_str().unwrap().starts_with("20") && time == of(page, "sentAt"),
        "{time}"
    );
    assert_eq!(track["event"], "Email Opened");
    assert_eq!(
        [of(track, "$device_id"), of(track, "$user_id")],
        ["amp-1", "U1"]
    );
    assert_eq!(
        [of(track, "subject"), of(track, "$source")],
        ["May", "rudderstack"]
    );
    assert_eq!(
        [of(sent, "channel"), of(sent, "$user_id")],
        ["mail", "\"U1\""]
    );
    assert_eq!(of(sent, "originalTimestamp"), "2024-05-01T12:00:00Z");
    assert_eq!(of(sent, "time"), 1_714_564_800);

    for query in ["", "event=A&userId=U1", "writeKey=TOK&userId=U1&event="] {
        image(&server, "/pixel/v1/track", query);
    }
    let long = format!("writeKey=TOK&userId=U1&event={}", "x".repeat(65_450));
    image(&server, "/pixel/v1/track", &long);
    let path = format!(
        "/pixel/v1/track?{track}",
        track = "writeKey=TOK&userId=U1&event=Head"
    );
    assert_eq!(server.send("HEAD", &path, &[], b"").status, 200);
    assert_eq!(self::events(&server, "TOK").len(), 3);
    assert_eq!(
        server.get("/pixel/v1/identify?writeKey=TOK", &[]).status,
        404
    );
}

/// An image cannot tell an error. The metrics do.
#[test]
fn whatever_happens_the_answer_is_a_pixel_and_the_metrics_say_why() {
    let server = Running::of(Model::Original);
    for query in [
        "",
        "data=",
        "data=%7B",
        "data=~~~",
        "data=W10",
        "event=A&userId=U1",
        "writeKey=NO&event=A&userId=U1",
        "writeKey=TOK&userId=U1",
        "writeKey=TOK&event=A",
    ] {
        pixel(&server, "track", query);
    }
    // The rest of a name that is too deep stays one name.
    let deep = format!(
        "writeKey=TOK&event=A&userId=U1&properties.{}=1",
        ".".repeat(9_000)
    );
    pixel(&server, "track", &deep);
    // An event without an ID is stored, as it is from a body.
    assert_eq!(events(&server, "TOK").len(), 2);
    let requests = |status: u16| {
        let labels = format!("{{endpoint=\"v1/pixel\",status=\"{status}\"}}");
        server.metric(&format!("idmerge_requests_total{labels}"))
    };
    assert_eq!([requests(400), requests(401)], [3, 4]);
    let answer = server.post("/v1/pixel/track", "application/json", "{}");
    assert_eq!(answer.status, 405);
    let answer = server.get("/v1/pixel/batch?data=e30", &[]);
    assert_eq!(answer.status, 404);
}
