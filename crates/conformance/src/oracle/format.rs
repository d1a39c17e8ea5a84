//! The form of an anonymous ID: rule ID-6, and the setting of rule O-8.

use crate::settings::AnonIdFormat;

impl AnonIdFormat {
    /// Whether an anonymous ID has this form.
    pub(super) fn allows(self, anon: &str) -> bool {
        match self {
            Self::UuidV4 => is_uuid_v4(anon),
            Self::Guid => is_guid(anon),
            Self::Sdk => is_guid(anon) || is_five_groups(anon),
        }
    }
}

/// ID-6 with any version and variant digit: 36 characters, hyphens at 8, 13, 18 and 23, hex
/// digits elsewhere in either case.
fn is_guid(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    characters.len() == 36
        && characters.iter().enumerate().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => *c == '-',
            _ => c.is_ascii_hexdigit(),
        })
}

/// ID-6: in addition, the version digit (the first of the third group) is `4`, and the variant digit
/// (the first of the fourth) is `8`, `9`, `a` or `b`, in either case like every hex digit.
fn is_uuid_v4(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    is_guid(text)
        && characters[14] == '4'
        && ['8', '9', 'a', 'b', 'A', 'B'].contains(&characters[19])
}

/// O-8, `sdk`: five lower-case hex groups, joined by hyphens; the third may have a second hyphen
/// before it.
fn is_five_groups(text: &str) -> bool {
    let mut groups: Vec<&str> = text.split('-').collect();
    // A second hyphen makes an empty group between the second and the third.
    if groups.len() == 6 && groups[2].is_empty() {
        groups.remove(2);
    }
    groups.len() == 5
        && groups.iter().all(|group| {
            !group.is_empty() && group.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
        })
}

#[cfg(test)]
mod tests {
    use crate::settings::AnonIdFormat::{Guid, Sdk, UuidV4};

    const V4: &str = "8c14f0f8-2a2d-4b6e-9b1c-0123456789ab";
    const GROUPS: &str = "1a208d979df0-05585c45d5bb8f-17462c6f-1fa400-1a208d979e0368";

    #[test]
    fn id_6_a_uuid_v4_in_either_case_has_the_form() {
        assert!(UuidV4.allows(V4));
        assert!(UuidV4.allows(&V4.to_ascii_uppercase()));
        assert!(UuidV4.allows("8C14f0f8-2a2D-4b6e-9B1c-0123456789Ab"));
        for variant in ["8", "9", "a", "b", "A", "B"] {
            assert!(UuidV4.allows(&format!("8c14f0f8-2a2d-4b6e-{variant}b1c-0123456789ab")));
        }
    }

    #[test]
    fn id_6_other_versions_variants_and_spellings_do_not() {
        for version in "012356789abcdef".chars() {
            let text = format!("8c14f0f8-2a2d-{version}b6e-9b1c-0123456789ab");
            assert!(!UuidV4.allows(&text), "{text}");
        }
        for variant in "01234567cdefCDEF".chars() {
            let text = format!("8c14f0f8-2a2d-4b6e-{variant}b1c-0123456789ab");
            assert!(!UuidV4.allows(&text), "{text}");
        }
        for text in [
            "",
            "8c14f0f82a2d4b6e9b1c0123456789ab",
            "{8c14f0f8-2a2d-4b6e-9b1c-0123456789ab}",
            "urn:uuid:8c14f0f8-2a2d-4b6e-9b1c-0123456789ab",
            "8C14f0f8-2a2d-4b6e-9b1c-0123456789a",
            "8C14f0f8-2a2d-4b6e-9b1c-0123456789abc",
            " 8c14f0f8-2a2d-4b6e-9b1c-0123456789a",
            "8C14f0f-82a2d-4b6e-9b1c-0123456789ab",
            "8c14f0f8-2a2d-4b6e-9b1c-0123456789ag",
            "8c14f0f8-2a2d-4b6e-9b1c-0123456789a-",
            "8c14f0f8-2a2d-4b6e-9b1c-0123456789\u{e9}",
            "8c14f0f8-2a2d-4b6e-9b1c-0123456789\u{661}b",
        ] {
            for format in [UuidV4, Guid, Sdk] {
                assert!(!format.allows(text), "{format:?} {text:?}");
            }
        }
    }

    #[test]
    fn o_8_guid_accepts_any_version_and_variant_digit() {
        for text in [
            V4,
            "8c14f0f8-2a2d-1b6e-1b1c-0123456789ab",
            "8C14F0F8-2A2D-FB6E-CB1C-0123456789AB",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
        ] {
            assert!(Guid.allows(text), "{text}");
            assert!(Sdk.allows(text), "{text}");
        }
        assert!(!Guid.allows(GROUPS));
    }

    #[test]
    fn o_8_sdk_accepts_the_five_groups_too() {
        for text in [
            GROUPS,
            "1a-05-17-1f-1a",
            "1a-05--17-1f-1a",
            "a-b-c-d-e",
            // The rule has no lengths, so a UUID without its last digit has the form too.
            "8c14f0f8-2a2d-4b6e-9b1c-0123456789a",
        ] {
            assert!(Sdk.allows(text), "{text}");
            assert!(!UuidV4.allows(text) && !Guid.allows(text), "{text}");
        }
        for text in [
            "1A-05-17-1F-1A",
            "1a-05-17-1f",
            "1a-05-17-1f-1a-1a",
            "1a-05---17-1f-1a",
            "1a--05-17-1f-1a",
            "-1a-05-17-1f-1a",
            "1a-05-17--1f-1a",
            "1a-05-17-1f--1a",
            "1a-05-17-1f-1a-",
            "1a-05-17-1f-",
            "1a-05-1g-1f-1a",
            "----",
            "-----",
            "U1",
        ] {
            assert!(!Sdk.allows(text), "{text}");
        }
    }
}
