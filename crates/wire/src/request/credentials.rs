//! The credentials that a request presents.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Base64 with or without padding. SDKs differ.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The credentials that a request presents. They are not verified yet.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Credentials {
    /// The request presents none.
    #[default]
    None,
    /// `Authorization: Basic`: a service account and its secret, or a project's secret or token as
    /// the user name with an empty password.
    Basic {
        /// The user name.
        user: String,
        /// The password.
        password: String,
    },
    /// `Authorization: Bearer` with this secret.
    Bearer(String),
    /// The parameter `api_key`, which old server SDKs send.
    ApiKey(String),
    /// The header is present and cannot be read. This must not count as [`None`](Self::None).
    Unreadable,
}

impl Credentials {
    /// Reads the header `Authorization`. The pair of `Basic` may also be sent without base64.
    ///
    /// ```
    /// use idmerge_wire::Credentials;
    ///
    /// let basic = |user: &str, password: &str| Credentials::Basic {
    ///     user: user.into(),
    ///     password: password.into(),
    /// };
    /// assert_eq!(Credentials::read("Basic dXNlcjpzZWNyZXQ="), basic("user", "secret"));
    /// assert_eq!(Credentials::read("basic secret:"), basic("secret", ""));
    /// assert_eq!(Credentials::read("Digest x"), Credentials::Unreadable);
    /// ```
    pub fn read(authorization: &str) -> Self {
        let authorization = authorization.trim();
        let (scheme, payload) = authorization.split_once(' ').unwrap_or((authorization, ""));
        let payload = payload.trim();
        if payload.is_empty() {
            Self::Unreadable
        } else if scheme.eq_ignore_ascii_case("bearer") {
            Self::Bearer(payload.to_owned())
        } else if scheme.eq_ignore_ascii_case("basic") {
            Self::basic(payload).unwrap_or(Self::Unreadable)
        } else {
            Self::Unreadable
        }
    }

    fn basic(payload: &str) -> Option<Self> {
        // Base64 never contains a colon, so this pair is not encoded.
        let pair = if payload.contains(':') {
            payload.to_owned()
        } else {
            String::from_utf8(BASE64.decode(payload).ok()?).ok()?
        };
        let (user, password) = pair.split_once(':').unwrap_or((&pair, ""));
        Some(Self::Basic {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }
}

/// Shows the kind alone, so that no log has a secret.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic(…)",
            Self::Bearer(_) => "Bearer(…)",
            Self::ApiKey(_) => "ApiKey(…)",
            Self::Unreadable => "Unreadable",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_header_is_not_none() {
        for header in [
            "",
            "Basic",
            "Basic ",
            "Basic ***",
            "Basic /w==",
            "Bearer ",
            "xyz",
        ] {
            assert!(
                Credentials::read(header) == Credentials::Unreadable,
                "{header}"
            );
        }
    }

    #[test]
    fn a_pair_without_a_colon_is_a_user() {
        let user = Credentials::Basic {
            user: "TOK".to_owned(),
            password: String::new(),
        };
        assert!(Credentials::read("Basic VE9L") == user);
        assert!(Credentials::read("Basic VE9LOg") == user);
    }

    #[test]
    fn debug_output_has_no_secret() {
        for header in ["Basic hush:hush", "Bearer hush"] {
            assert!(!format!("{:?}", Credentials::read(header)).contains("hush"));
        }
    }
}
