//! Who says to be the sender.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Base64 with or without its padding, since senders differ.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What a request has to show for itself. Nothing here says that it is right.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Credentials {
    /// There are none.
    #[default]
    None,
    /// `Authorization: Basic`: a service account and its secret, or a project's secret or token as
    /// the user and nothing as the password.
    Basic {
        /// The part before the colon.
        user: String,
        /// The part after it.
        password: String,
    },
    /// `Authorization: Bearer`.
    Bearer(String),
    /// The parameter `api_key`, as old server SDKs send it.
    ApiKey(String),
    /// There is a header of which nothing can be made.
    Unreadable,
}

impl Credentials {
    /// Reads the header `Authorization`. The payload of `Basic` may stand there un-encoded.
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
        // No base64 has a colon.
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

/// Which kind it is and nothing more, so that no log has a secret.
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
    fn what_cannot_be_read_is_not_none() {
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
    fn a_payload_without_a_colon_is_a_user() {
        let user = Credentials::Basic {
            user: "TOK".to_owned(),
            password: String::new(),
        };
        assert!(Credentials::read("Basic VE9L") == user);
        assert!(Credentials::read("Basic VE9LOg") == user);
    }

    #[test]
    fn no_secret_is_shown() {
        for header in ["Basic hush:hush", "Bearer hush"] {
            assert!(!format!("{:?}", Credentials::read(header)).contains("hush"));
        }
    }
}
