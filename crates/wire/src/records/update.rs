//! Reads the parts of a profile update that the server needs.

use std::borrow::Cow;

use idmerge_events::RawJson;

use crate::records::fault::Fault;
use crate::request::utf8::DecodedText;

/// One update of a user's or a group's profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateRecord<'t> {
    /// The JSON text of the whole record.
    pub text: &'t str,
    /// The token of its project.
    pub token: Cow<'t, str>,
}

impl<'t> UpdateRecord<'t> {
    /// Reads one record.
    pub(crate) fn read(
        json: RawJson<'t>,
        whole: &DecodedText<'_>,
        is_group: bool,
    ) -> Result<Self, Fault> {
        let mut token = None;
        let mut distinct_id = None;
        let mut group_key = None;
        let mut group_id = None;
        json.visit_members(|key, value| {
            let member = match key {
                b"$token" => &mut token,
                b"$distinct_id" => &mut distinct_id,
                b"$group_key" => &mut group_key,
                b"$group_id" => &mut group_id,
                _ => return,
            };
            *member = Some(value);
        })
        .ok_or(Fault::NotAnObject)?;

        let present = |value: Option<RawJson<'t>>| value.and_then(RawJson::string_or_number);
        let wanted: &[(&'static str, Option<RawJson<'t>>)] = if is_group {
            &[("$group_key", group_key), ("$group_id", group_id)]
        } else {
            &[("$distinct_id", distinct_id)]
        };
        let token = present(token).ok_or(Fault::Missing { field: "$token" })?;
        for &(field, value) in wanted {
            if present(value).is_none() {
                return Err(Fault::Missing { field });
            }
            // ID-3
            if value.is_some_and(|value| whole.has_lost(value.as_str())) {
                return Err(Fault::NotUtf8 {
                    field: field.to_owned(),
                });
            }
        }
        if is_group && present(distinct_id).is_some() {
            return Err(Fault::UserOfGroups);
        }
        Ok(Self {
            text: json.as_str(),
            token,
        })
    }
}

#[cfg(test)]
mod tests {
    use idmerge_events::Values;

    use super::*;

    fn read(text: &str) -> Result<&str, String> {
        let json = Values::in_row(text).next_value().unwrap().unwrap();
        let whole = DecodedText::decode(text.as_bytes().into(), true, usize::MAX).unwrap();
        let record = UpdateRecord::read(json, &whole, text.contains("group"));
        match record {
            Ok(record) => Ok(if record.token == "T" { "T" } else { "?" }),
            Err(fault) => Err(fault.legacy_text()),
        }
    }

    #[test]
    fn an_update_needs_a_token_and_a_profile() {
        assert_eq!(
            read(r#"{"$token":"T","$distinct_id":"U1","$set":{}}"#),
            Ok("T")
        );
        assert_eq!(read(r#"{"$distinct_id":42,"\u0024token":"T"}"#), Ok("T"));
        assert_eq!(
            read(r#"{"$token":"T","$group_key":"c","$group_id":1}"#),
            Ok("T")
        );
        let fails = |text, wanted: &str| assert_eq!(read(text), Err(wanted.to_owned()), "{text}");
        fails(r#"{"$distinct_id":"U1"}"#, "$token, missing or empty");
        fails(r#"{"$token":"T"}"#, "$distinct_id, missing or empty");
        fails(
            r#"{"$token":"T","$distinct_id":""}"#,
            "$distinct_id, missing or empty",
        );
        fails(
            r#"{"$token":"T","$distinct_id":null}"#,
            "$distinct_id, missing or empty",
        );
        fails(
            r#"{"$token":"T","$group_key":"c"}"#,
            "$group_id, missing or empty",
        );
        fails("[]", "data, not a JSON object");
        fails(
            r#"{"$token":"T","$group_key":"c","$group_id":"d","$distinct_id":"U1"}"#,
            "$distinct_id, not taken by groups",
        );
    }
}
