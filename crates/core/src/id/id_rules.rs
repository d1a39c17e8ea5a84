//! Rules ID-2 to ID-5: which values are IDs. The length limit and the blocked values are settings.

use crate::invalid_event::{InvalidEventReason, quote};
use crate::{DEVICE_PREFIX, DistinctId, Id, IdForm, IdProperty, InvalidEvent, UuidText, Value};

/// Which texts a project accepts as IDs: the length limit of rule ID-2 and the blocked values of
/// rule ID-4. All engines read every ID through these rules.
///
/// ```
/// use idmerge_core::{IdProperty, IdRules};
///
/// let rules = IdRules::default();
/// assert!(rules.id(IdProperty::UserId, "U1").is_ok());
///
/// let refused = rules.id(IdProperty::UserId, "Undefined").unwrap_err();
/// assert_eq!(refused.rule(), "ID-4");
/// assert_eq!(
///     refused.to_string(),
///     r#"$user_id "Undefined" is a blocked value, not an ID; leave the property out until there is an ID (ID-4)"#,
/// );
///
/// // In this product the user 0 is a person.
/// let rules = IdRules::new(IdRules::DEFAULT_MAX_ID_BYTES, ["null", "undefined"]);
/// assert!(rules.id(IdProperty::UserId, "0").is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(from = "crate::serde::IdRulesFields"))]
pub struct IdRules {
    max_id_bytes: u16,
    /// In lower case. A value is found by its length first, then by its text.
    blocked_values: Vec<Box<str>>,
    /// What tells most IDs apart from all blocked values.
    #[cfg_attr(feature = "serde", serde(skip))]
    summary: BlockedSummary,
}

/// What the blocked values have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BlockedSummary {
    /// A bit for the length of each. Lengths of 63 and more share one.
    lengths: u64,
    /// Whether one of them is a UUID. The documented ones are not.
    has_uuid: bool,
}

impl IdRules {
    /// The most bytes of an ID by default: 255 (rule ID-2).
    pub const DEFAULT_MAX_ID_BYTES: u16 = 255;

    /// The values that are blocked by default, in any ASCII case, because programs send them by
    /// mistake (rule ID-4).
    pub const DEFAULT_BLOCKED_VALUES: [&'static str; 17] = [
        "00000000-0000-0000-0000-000000000000",
        "anon",
        "anonymous",
        "nil",
        "none",
        "null",
        "n/a",
        "na",
        "undefined",
        "unknown",
        "<nil>",
        "0",
        "-1",
        "true",
        "false",
        "[]",
        "{}",
    ];

    /// Accepts IDs of at most `max_id_bytes` bytes, except `blocked_values` in any ASCII case.
    /// With a limit of 0 no text is an ID.
    pub fn new<V: AsRef<str>>(
        max_id_bytes: u16,
        blocked_values: impl IntoIterator<Item = V>,
    ) -> Self {
        let mut blocked_values: Vec<Box<str>> = blocked_values
            .into_iter()
            .map(|value| value.as_ref().to_ascii_lowercase().into())
            .collect();
        // Equal rules are then equal values, in whatever order and case they were given.
        blocked_values.sort_unstable_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
        blocked_values.dedup();
        Self {
            max_id_bytes,
            summary: BlockedSummary::of(&blocked_values),
            blocked_values,
        }
    }

    /// The most bytes that an ID may have.
    pub fn max_id_bytes(&self) -> u16 {
        self.max_id_bytes
    }

    /// The blocked values, in lower case, sorted by length and then by text. They match in any ASCII
    /// case.
    pub fn blocked_values(&self) -> impl Iterator<Item = &str> {
        self.blocked_values.iter().map(AsRef::as_ref)
    }

    /// Rule ID-3: the text of a property, or `None` if it is absent.
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`] (ID-3) if the value is a float, a boolean, an array or an object.
    pub fn text<'e>(
        &self,
        property: IdProperty,
        value: Value<'e>,
    ) -> Result<Option<&'e str>, InvalidEvent> {
        match value {
            Value::Absent | Value::Text("") => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            Value::NotAnId(json) => Err(InvalidEvent::new(
                property,
                InvalidEventReason::NotAnId { json: quote(json) },
            )),
        }
    }

    /// Rules ID-2 and ID-4: the ID with this text. The prefix `$device:` has no meaning here.
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`] (ID-2) if the text is empty or too long, (ID-4) if it is a blocked value.
    pub fn id<'e>(&self, property: IdProperty, text: &'e str) -> Result<Id<'e>, InvalidEvent> {
        let refused = |reason| Err(InvalidEvent::new(property, reason));
        if text.is_empty() {
            return refused(InvalidEventReason::Empty);
        }
        let Some(id) = Id::new(text)
            .ok()
            .filter(|_| text.len() <= usize::from(self.max_id_bytes))
        else {
            return refused(InvalidEventReason::Length {
                value: quote(text),
                id_bytes: text.len(),
                max_id_bytes: self.max_id_bytes,
            });
        };
        if self.is_blocked(&id, text) {
            return refused(InvalidEventReason::Blocked { value: quote(text) });
        }
        Ok(id)
    }

    /// Rule ID-4, for an ID with this text. The list may have many thousands of values.
    fn is_blocked(&self, id: &Id<'_>, text: &str) -> bool {
        if !self.summary.may_have(id, text) {
            return false;
        }
        let found = self.blocked_values.binary_search_by(|blocked| {
            let by_length = blocked.len().cmp(&text.len());
            by_length.then_with(|| {
                let in_lower_case = text.bytes().map(|byte| byte.to_ascii_lowercase());
                blocked.bytes().cmp(in_lower_case)
            })
        });
        found.is_ok()
    }

    /// Rule ID-5: the distinct_id with this text. One leading `$device:` is the prefix of a device;
    /// the rest must be an ID.
    ///
    /// # Errors
    ///
    /// As [`id`](Self::id), and [`InvalidEvent`] (ID-5) if nothing follows the prefix.
    pub fn distinct_id<'e>(
        &self,
        property: IdProperty,
        text: &'e str,
    ) -> Result<DistinctId<'e>, InvalidEvent> {
        match text.strip_prefix(DEVICE_PREFIX) {
            Some("") => Err(InvalidEvent::new(property, InvalidEventReason::OnlyPrefix)),
            Some(rest) => self.id(property, rest).map(DistinctId::device),
            None => self.id(property, text).map(DistinctId::plain),
        }
    }
}

impl BlockedSummary {
    fn of(values: &[Box<str>]) -> Self {
        Self {
            lengths: values
                .iter()
                .fold(0, |lengths, value| lengths | Self::length_bit(value)),
            has_uuid: values.iter().any(|value| UuidText::new(value).is_some()),
        }
    }

    fn length_bit(text: &str) -> u64 {
        1 << text.len().min(63)
    }

    /// Whether this ID, with this text, may be a blocked value.
    #[inline]
    fn may_have(self, id: &Id<'_>, text: &str) -> bool {
        match id.form() {
            // Its letters have one case, so that in lower case it is a UUID too.
            IdForm::Uuid(_) => self.has_uuid,
            IdForm::Text(_) => self.lengths & Self::length_bit(text) != 0,
        }
    }
}

/// The documented defaults.
impl Default for IdRules {
    fn default() -> Self {
        Self::new(Self::DEFAULT_MAX_ID_BYTES, Self::DEFAULT_BLOCKED_VALUES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROPERTY: IdProperty = IdProperty::DeviceId;

    fn rule_that_refuses(text: &str) -> Option<&'static str> {
        let rules = IdRules::default();
        let refused = rules.distinct_id(PROPERTY, text).err()?;
        assert_eq!(refused.property(), PROPERTY);
        Some(refused.rule())
    }

    #[test]
    fn id_1_nothing_is_trimmed_or_normalised() {
        for text in [" ", "\t", "U1 ", " null", "null ", "e\u{301}", "\0"] {
            let id = IdRules::default().id(PROPERTY, text).unwrap();
            assert_eq!(id, *text);
        }
    }

    #[test]
    fn id_2_an_id_has_1_to_255_bytes_and_is_never_cut() {
        assert_eq!(rule_that_refuses(&"a".repeat(255)), None);
        assert_eq!(rule_that_refuses(&"a".repeat(256)), Some("ID-2"));
        // Bytes, not characters: 128 two-byte letters are 256 bytes.
        assert_eq!(rule_that_refuses(&"ü".repeat(127)), None);
        assert_eq!(rule_that_refuses(&"ü".repeat(128)), Some("ID-2"));
        assert_eq!(
            IdRules::default().id(PROPERTY, "").unwrap_err().rule(),
            "ID-2"
        );
    }

    #[test]
    fn id_2_the_limit_is_a_setting() {
        let rules = IdRules::new(3, [""; 0]);
        assert_eq!(rules.max_id_bytes(), 3);
        assert!(rules.id(PROPERTY, "abc").is_ok());
        assert!(rules.id(PROPERTY, "abcd").is_err());
        assert!(IdRules::new(0, [""; 0]).id(PROPERTY, "a").is_err());
        let widest = IdRules::new(u16::MAX, [""; 0]);
        assert!(widest.id(PROPERTY, &"a".repeat(65_535)).is_ok());
        assert!(widest.id(PROPERTY, &"a".repeat(65_536)).is_err());
    }

    #[test]
    fn id_3_only_text_can_be_an_id() {
        let rules = IdRules::default();
        assert_eq!(rules.text(PROPERTY, Value::Absent), Ok(None));
        assert_eq!(rules.text(PROPERTY, Value::Text("")), Ok(None));
        assert_eq!(rules.text(PROPERTY, Value::Text("42")), Ok(Some("42")));
        for json in ["1.5", "true", "[1]", "{}"] {
            let refused = rules.text(PROPERTY, Value::NotAnId(json)).unwrap_err();
            assert_eq!(refused.rule(), "ID-3");
            assert!(refused.to_string().contains(json), "{refused}");
        }
    }

    #[test]
    fn id_4_blocked_values_are_refused_in_any_case() {
        for blocked in IdRules::DEFAULT_BLOCKED_VALUES {
            for text in [blocked.to_owned(), blocked.to_ascii_uppercase()] {
                assert_eq!(rule_that_refuses(&text), Some("ID-4"), "{text}");
            }
            // A blocked value must match the whole text.
            assert_eq!(rule_that_refuses(&format!("{blocked}x")), None);
            assert_eq!(rule_that_refuses(&format!("x{blocked}")), None);
        }
        for near in ["00", "-2", "1", "nul", "nulL0", "NaN", "ſ", "trüe"] {
            assert_eq!(rule_that_refuses(near), None, "{near}");
        }
    }

    #[test]
    fn id_4_the_list_is_a_setting() {
        let rules = IdRules::new(255, ["Test"]);
        assert_eq!(rules.blocked_values().collect::<Vec<_>>(), ["test"]);
        assert!(rules.id(PROPERTY, "null").is_ok());
        assert_eq!(rules.id(PROPERTY, "tEST").unwrap_err().rule(), "ID-4");
    }

    #[test]
    fn id_4_a_uuid_and_a_long_text_can_be_blocked() {
        let uuid = "5C7F0E7C-6A52-4B26-9FB8-6C5A9F0F4C1E";
        let long = "x".repeat(100);
        for blocked in [uuid, &uuid.to_ascii_lowercase()] {
            let rules = IdRules::new(255, [blocked, &long]);
            let mixed = uuid.replace('F', "f");
            for text in [
                uuid,
                &uuid.to_ascii_lowercase(),
                &mixed,
                &long,
                &long.to_uppercase(),
            ] {
                assert_eq!(
                    rules.id(PROPERTY, text).unwrap_err().rule(),
                    "ID-4",
                    "{text}"
                );
            }
            let other = uuid.replace("1E", "1F");
            for text in [other, long[1..].to_owned(), "x".repeat(63), "y".repeat(100)] {
                assert!(rules.id(PROPERTY, &text).is_ok(), "{text}");
            }
            // Of the length of a UUID.
            assert!(IdRules::new(255, [&long]).id(PROPERTY, uuid).is_ok());
        }
    }

    #[test]
    fn id_4_each_value_of_a_long_list_is_found_in_any_order() {
        let value = |n: u32| format!("Blocked-{}", n * 7);
        let rules = IdRules::new(255, (0..100_000).rev().map(value));
        for n in 0..100_000 {
            let refused = rules.id(PROPERTY, &value(n)).unwrap_err();
            assert_eq!(refused.rule(), "ID-4");
        }
        for text in ["blocked-1", "blocked-", "blocked-7x", "", "Blocked-700000"] {
            assert_ne!(
                rules.id(PROPERTY, text).err().map(|e| e.rule()),
                Some("ID-4")
            );
        }
        assert_eq!(rules, IdRules::new(255, (0..100_000).map(value)));
    }

    #[test]
    fn id_5_one_prefix_is_the_mark_and_the_rest_must_be_an_id() {
        let rules = IdRules::default();
        let marked = rules.distinct_id(PROPERTY, "$device:D1").unwrap();
        assert_eq!(marked, DistinctId::device(Id::new("D1").unwrap()));
        let plain = rules.distinct_id(PROPERTY, "$DEVICE:D1").unwrap();
        assert_eq!(plain, DistinctId::plain(Id::new("$DEVICE:D1").unwrap()));
        // Exactly one prefix.
        let twice = rules.distinct_id(PROPERTY, "$device:$device:D1").unwrap();
        assert_eq!(twice, DistinctId::device(Id::new("$device:D1").unwrap()));

        assert_eq!(rule_that_refuses("$device:"), Some("ID-5"));
        assert_eq!(rule_that_refuses("$device:NULL"), Some("ID-4"));
        // The limit applies to the text without the prefix.
        let longest = format!("$device:{}", "a".repeat(255));
        assert_eq!(rule_that_refuses(&longest), None);
        assert_eq!(rule_that_refuses(&(longest + "a")), Some("ID-2"));
    }
}
