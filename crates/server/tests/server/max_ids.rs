//! A project takes a limited number of IDs, so that the token alone cannot fill the memory.

use crate::support::{Running, SECRET, project};
use idmerge_engines::Model;

const JSON: &str = "application/json";

fn link(device: &str, user: &str) -> String {
    format!(
        r#"{{"event":"Login","properties":{{"token":"TOK","distinct_id":"{user}","$device_id":"{device}","$user_id":"{user}"}}}}"#
    )
}

fn alias(a: &str, b: &str) -> String {
    format!(
        r#"{{"event":"$create_alias","properties":{{"token":"TOK","distinct_id":"{a}","alias":"{b}"}}}}"#
    )
}

fn metric(server: &Running, name: &str) -> usize {
    server.metric(&format!("idmerge_{name}{{project=\"TOK\"}}"))
}

#[test]
fn new_ids_are_refused_above_the_limit_and_known_ones_go_on() {
    for (model, claim, new) in [
        (
            Model::Simplified,
            link as fn(&str, &str) -> String,
            link("d3", "u1"),
        ),
        (Model::Original, alias, alias("d1", "d3")),
    ] {
        let mut config = project("TOK", model);
        config.max_ids = 4;
        let mut server = Running::with(vec![config.clone()], |_| {});
        let track = |server: &Running, event: &str| {
            let answer = server.post("/track?verbose=1", JSON, event);
            (answer.status, answer.body)
        };
        for (a, b) in [("d1", "u1"), ("d2", "u2")] {
            assert_eq!(track(&server, &claim(a, b)).0, 200);
        }
        assert_eq!(metric(&server, "ids_max"), 4);
        assert_eq!(metric(&server, "ids"), 4);
        // Nothing of the request is taken, so that its sender can send it again.
        let known = r#"{"event":"A","properties":{"token":"TOK","distinct_id":"d1"}}"#;
        let both = format!("[{known},{new}]");
        let (status, body) = track(&server, &both);
        assert_eq!(status, 429);
        assert!(
            body.contains("the setting max_ids allows 4"),
            "{model:?}: {body}"
        );
        assert_eq!(metric(&server, "events_kept"), 2);
        // Known IDs, events without a claim, and profiles go on.
        assert_eq!(track(&server, &claim("d1", "u1")).0, 200);
        assert_eq!(track(&server, known).0, 200);
        let other = r#"{"event":"A","properties":{"token":"TOK","distinct_id":"v"}}"#;
        assert_eq!(track(&server, other).0, 200);
        let update = r#"{"$token":"TOK","$distinct_id":"v","$set":{"a":1}}"#;
        assert_eq!(server.post("/engage", JSON, update).status, 200);
        assert_eq!(server.identity("TOK", "u1").1.len(), 2);
        let secret = format!("Bearer {SECRET} of TOK");
        let kept = server.get("/v1/ids/d3", &[("authorization", &secret)]);
        assert_eq!(kept.json()["members"].as_array().unwrap().len(), 1);

        // The operator raises the limit.
        server.stop();
        config.max_ids = 5;
        let folder = server.folder.take().unwrap();
        let server = Running::in_folder(folder, vec![config], |_| {});
        assert_eq!(metric(&server, "ids"), 4);
        assert_eq!(track(&server, &both).0, 200);
        assert_eq!(metric(&server, "ids"), 5);
    }
}
