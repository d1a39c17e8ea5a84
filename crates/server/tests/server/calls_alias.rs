//! An `alias` call of Segment's API in a project with `token_may_alias = false` (AR-4).

use crate::support::{Running, SECRET, basic, project};
use idmerge_engines::Model;
use serde_json::json;

#[test]
fn ar_4_an_alias_in_a_batch_counts_if_the_key_may_alias() {
    let call = |number: u32, mut call: serde_json::Value| {
        call["messageId"] = json!(format!("m-{number}"));
        call["timestamp"] = json!("2024-05-01T12:00:00Z");
        call
    };
    let batch = json!({"batch": [
        call(1, json!({"type": "alias", "previousId": "u", "userId": "v"})),
        call(2, json!({"type": "track", "event": "View", "userId": "v"})),
    ]});
    let secret = format!("{SECRET} of TOK");
    for (token_may_alias, key, path, counts) in [
        (true, "TOK", "/v1/batch", true),
        (false, "TOK", "/v1/batch", false),
        (false, "TOK", "/v1/import", false),
        (false, &*secret, "/v1/batch", true),
    ] {
        let mut own = project("TOK", Model::Original);
        own.token_may_alias = token_may_alias;
        let server = Running::with(vec![own], |_| {});
        let authorization = basic(key);
        let headers = [
            ("authorization", &*authorization),
            ("content-type", "application/json"),
        ];
        let answer = server.send("POST", path, &headers, batch.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        let (_, mut members) = server.identity("TOK", "v");
        members.sort();
        let wanted: &[&str] = if counts { &["u", "v"] } else { &["v"] };
        assert_eq!(members, wanted, "{token_may_alias} {key} {path}");
        if !counts {
            let labels = "{project=\"TOK\",endpoint=\"v1/batch\",result=\"unweighed\"}";
            assert_eq!(server.metric(&format!("idmerge_records_total{labels}")), 1);
        }
    }
}
