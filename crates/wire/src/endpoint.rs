//! The endpoints that take records.

/// An endpoint that takes records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/track`: events from browsers and apps, without a credential.
    Track,
    /// `/import`: events from servers, with a credential.
    Import,
    /// `/engage`: updates of user profiles.
    Engage,
    /// `/groups`: updates of group profiles.
    Groups,
    /// `/v1/track`, `/v1/batch` and so on: calls in the HTTP API of Segment and RudderStack. The type of
    /// the call, such as `track`, if the path says it.
    Calls(Option<&'static str>),
    /// `/v1/pixel/track` and so on: a call of this type in the query of a URL, as the pixel APIs of Segment and
    /// RudderStack take it.
    Pixel(&'static str),
}

impl Endpoint {
    /// The path, such as `/track`. All calls have one, and all pixels.
    pub fn path(self) -> &'static str {
        match self {
            Self::Track => "/track",
            Self::Import => "/import",
            Self::Engage => "/engage",
            Self::Groups => "/groups",
            Self::Calls(_) => "/v1/batch",
            Self::Pixel(_) => "/v1/pixel",
        }
    }

    /// The path without its slash, such as `track`.
    pub fn name(self) -> &'static str {
        &self.path()[1..]
    }
}
