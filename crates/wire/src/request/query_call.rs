//! A call whose members are the parameters of a query, as the pixel API of Segment takes it:
//! `?userId=U1&properties.plan=pro`.

use std::collections::BTreeMap;

use super::pairs::{decoded, pairs};

/// How deep a name with dots can reach. The rest of a longer name is the name of the last member.
const DEPTH_MAX: usize = 8;

/// A JSON object. Names and texts are bytes, because they may be no UTF-8 (IN-8).
type Object = BTreeMap<Vec<u8>, Member>;

enum Member {
    Text(Vec<u8>),
    Object(Object),
}

/// The parameters of a query as a JSON object. A query has no types, so every value is text. If a name occurs twice,
/// the last value counts. `None` if there are no parameters.
pub(super) fn query_call(query: &[u8]) -> Option<Vec<u8>> {
    let mut call = Object::new();
    for (name, value) in pairs(query) {
        if !name.is_empty() {
            set(&mut call, &decoded(name), decoded(value).into_owned());
        }
    }
    if call.is_empty() {
        return None;
    }
    let mut json = Vec::new();
    write_object(&call, &mut json);
    Some(json)
}

fn set(call: &mut Object, name: &[u8], value: Vec<u8>) {
    let mut names: Vec<_> = name.splitn(DEPTH_MAX, |&byte| byte == b'.').collect();
    let last = names.pop().unwrap_or_default();
    let mut object = call;
    for name in names {
        let member = object.entry(name.to_vec());
        let member = member.or_insert_with(|| Member::Object(Object::new()));
        if matches!(member, Member::Text(_)) {
            *member = Member::Object(Object::new());
        }
        let Member::Object(inner) = member else {
            return;
        };
        object = inner;
    }
    object.insert(last.to_vec(), Member::Text(value));
}

fn write_object(object: &Object, json: &mut Vec<u8>) {
    json.push(b'{');
    for (index, (name, member)) in object.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        write_text(name, json);
        json.push(b':');
        match member {
            Member::Text(text) => write_text(text, json),
            Member::Object(object) => write_object(object, json),
        }
    }
    json.push(b'}');
}

/// Writes a JSON string. Bytes that are not UTF-8 stay, so that the text is decoded as that of a body.
fn write_text(text: &[u8], json: &mut Vec<u8>) {
    json.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => json.extend([b'\\', byte]),
            0..0x20 => json.extend(format!("\\u{byte:04x}").bytes()),
            _ => json.push(byte),
        }
    }
    json.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(query: &str) -> serde_json::Value {
        serde_json::from_slice(&query_call(query.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn dots_in_names_are_objects() {
        let found = call("userId=U1&event=Email%20Opened&properties.a=1&properties.b.c=x+y&_=7");
        let wanted = serde_json::json!({
            "userId": "U1", "event": "Email Opened", "properties": {"a": "1", "b": {"c": "x y"}}, "_": "7",
        });
        assert_eq!(found, wanted);
    }

    #[test]
    fn any_query_is_json() {
        let quoted = call("a=%22%5c%0a%00%c3%bc&a.b=1&&=2&c.d=1&c=2");
        assert_eq!(quoted, serde_json::json!({"a": {"b": "1"}, "c": "2"}));
        let control = call("%0a=%22%5c%0a%00%c3%bc");
        assert_eq!(control, serde_json::json!({"\n": "\"\\\n\0ü"}));
        let deep = call(&format!("{}=1", ".".repeat(100_000)));
        assert_eq!(deep.to_string().matches('{').count(), DEPTH_MAX);
        for empty in ["", "&", "=1&=2"] {
            assert_eq!(query_call(empty.as_bytes()), None, "{empty}");
        }
    }
}
