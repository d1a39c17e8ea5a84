//! Rules ID-6 and O-8: the anonymous IDs that `$identify` accepts.

use idmerge_core::{Id, IdForm};
use uuid::{Uuid, Variant};

/// The form that the anonymous ID of `$identify` must have (rule O-8). Each value accepts all IDs
/// that the one before it accepts.
///
/// ```
/// use idmerge_original::AnonIdFormat;
///
/// let format = AnonIdFormat::UuidV4;
/// assert!(format.accepts("5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e"));
/// assert!(format.accepts("5C7F0E7C-6A52-4B26-9FB8-6C5A9F0F4C1E")); // iOS
/// assert!(!format.accepts("5c7f0e7c6a524b269fb86c5a9f0f4c1e"));
/// assert_eq!("sdk".parse(), Ok(AnonIdFormat::Sdk));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum AnonIdFormat {
    /// `uuid_v4`: a UUID of version 4 with hyphens (rule ID-6).
    #[default]
    #[cfg_attr(feature = "serde", serde(rename = "uuid_v4"))]
    UuidV4,
    /// `guid`: a UUID with hyphens, of any version and variant.
    Guid,
    /// `sdk`: a `guid`, or the five groups of hex digits that browser SDKs made before 2025.
    Sdk,
}

/// The length of a UUID with hyphens. UUIDs in braces, with `urn:uuid:` or without hyphens have
/// another length.
const HYPHENATED_BYTES: usize = 36;

impl AnonIdFormat {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::UuidV4, Self::Guid, Self::Sdk];

    /// The name of this value in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UuidV4 => "uuid_v4",
            Self::Guid => "guid",
            Self::Sdk => "sdk",
        }
    }

    /// Whether an anonymous ID has this form.
    pub fn accepts(self, id: &str) -> bool {
        match self {
            Self::UuidV4 => hyphenated(id).is_some_and(|uuid| {
                // ID-6: version digit 4, variant digit 8, 9, a or b.
                uuid.get_version_num() == 4 && uuid.get_variant() == Variant::RFC4122
            }),
            Self::Guid => hyphenated(id).is_some(),
            Self::Sdk => hyphenated(id).is_some() || is_five_groups(id),
        }
    }
}

impl AnonIdFormat {
    /// Whether an anonymous ID has this form. Needs no text for a UUID.
    pub(crate) fn accepts_id(self, id: Id<'_>) -> bool {
        match id.form() {
            IdForm::Text(text) => self.accepts(text),
            IdForm::Uuid(uuid) => self != Self::UuidV4 || uuid.version() == 4,
        }
    }
}

impl std::fmt::Display for AnonIdFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is not the name of a format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a format of anonymous IDs; choose uuid_v4, guid or sdk")]
pub struct UnknownAnonIdFormat(String);

impl std::str::FromStr for AnonIdFormat {
    type Err = UnknownAnonIdFormat;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| UnknownAnonIdFormat(name.to_owned()))
    }
}

fn hyphenated(id: &str) -> Option<Uuid> {
    if id.len() == HYPHENATED_BYTES {
        Uuid::try_parse(id).ok()
    } else {
        None
    }
}

/// Five groups of lower-case hex digits between hyphens: time, random number, hash of the user
/// agent, screen size, time. The hash is a signed number, so a minus sign may come before it.
fn is_five_groups(id: &str) -> bool {
    let mut groups = id.split('-');
    let mut hex_group = || groups.next().is_some_and(is_lower_hex);
    if !(hex_group() && hex_group()) {
        return false;
    }
    let third = match groups.next() {
        Some("") => groups.next(),
        other => other,
    };
    third.is_some_and(is_lower_hex)
        && groups.next().is_some_and(is_lower_hex)
        && groups.next().is_some_and(is_lower_hex)
        && groups.next().is_none()
}

fn is_lower_hex(group: &str) -> bool {
    !group.is_empty()
        && group
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted_by(text: &str) -> Vec<&'static str> {
        let accepts = |format: &AnonIdFormat| {
            let accepts = format.accepts(text);
            if let Ok(id) = Id::new(text) {
                assert_eq!(format.accepts_id(id), accepts, "{text}");
            }
            accepts
        };
        let accepting = AnonIdFormat::ALL.into_iter().filter(accepts);
        accepting.map(AnonIdFormat::name).collect()
    }

    #[test]
    fn id_6_a_uuid_v4_has_hyphens_a_version_and_a_variant() {
        let all = ["uuid_v4", "guid", "sdk"];
        for id in [
            "5c7f0e7c-6a52-4b26-8fb8-6c5a9f0f4c1e",
            "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
            "5c7f0e7c-6a52-4b26-afb8-6c5a9f0f4c1e",
            "5C7F0E7C-6A52-4B26-BFB8-6C5A9F0F4C1E",
            "5C7f0e7c-6A52-4b26-bFb8-6c5a9f0F4c1e",
        ] {
            assert_eq!(accepted_by(id), all, "{id}");
        }
        for id in [
            "{5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e}",
            "urn:uuid:5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
            "5c7f0e7c6a524b269fb86c5a9f0f4c1e",
            "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e ",
            "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1g",
            "5c7f0e7c_6a52_4b26_9fb8_6c5a9f0f4c1e",
            "U1",
            "",
        ] {
            assert_eq!(accepted_by(id), [""; 0], "{id}");
        }
    }

    #[test]
    fn o_8_guid_accepts_any_version_and_variant() {
        for id in [
            "5c7f0e7c-6a52-1b26-9fb8-6c5a9f0f4c1e",
            "5c7f0e7c-6a52-5b26-9fb8-6c5a9f0f4c1e",
            "5c7f0e7c-6a52-4b26-7fb8-6c5a9f0f4c1e",
            "5c7f0e7c-6a52-4b26-cfb8-6c5a9f0f4c1e",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
        ] {
            assert_eq!(accepted_by(id), ["guid", "sdk"], "{id}");
        }
    }

    #[test]
    fn id_6_hyphens_must_be_in_the_right_positions() {
        // Five groups, but not those of a UUID.
        for id in [
            "5c7f0e7c-6a52-4b26-9fb86-c5a9f0f4c1e",
            "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1",
        ] {
            assert_eq!(accepted_by(id), ["sdk"], "{id}");
        }
    }

    #[test]
    fn o_8_sdk_accepts_the_five_groups_of_old_browsers() {
        for id in [
            "1a208d979df0-05585c45d5bb8f-17462c6f-1fa400-1a208d979e0368",
            "1a208d979df0-05585c45d5bb8f--17462c6f-1fa400-1a208d979e0368",
            "18f0a-0b1c-1d2e-1fa400-18f0b",
        ] {
            assert_eq!(accepted_by(id), ["sdk"], "{id}");
        }
        for id in [
            "18F0A-0b1c-1d2e-1fa400-18f0b",
            "18f0a--0b1c-1d2e-1fa400-18f0b",
            "18f0a-0b1c---1d2e-1fa400-18f0b",
            "18f0a-0b1c-1d2e--1fa400-18f0b",
            "18f0a-0b1c-1d2e-1fa400--18f0b",
            "18f0a-0b1c-1d2e-1fa400",
            "18f0a-0b1c-1d2e-1fa400-",
            "-0b1c-1d2e-1fa400-18f0b",
            "18f0a-0b1c-1d2e-1fa400-18f0b-1",
            "18f0a-0b1c-1d2e-1fa400-18f0b-",
            "18f0a-0b1c-1d2e-1fa400-18g0b",
            "18f0a-0b1c--",
        ] {
            assert_eq!(accepted_by(id), [""; 0], "{id}");
        }
    }

    #[test]
    fn each_format_is_found_by_its_name() {
        for format in AnonIdFormat::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        let unknown = "uuid".parse::<AnonIdFormat>().unwrap_err();
        assert!(unknown.to_string().contains("\"uuid\""), "{unknown}");
        assert_eq!(AnonIdFormat::default(), AnonIdFormat::UuidV4);
    }
}
