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
}

impl Endpoint {
    /// The path, such as `/track`.
    pub fn path(self) -> &'static str {
        match self {
            Self::Track => "/track",
            Self::Import => "/import",
            Self::Engage => "/engage",
            Self::Groups => "/groups",
        }
    }

    /// The path without its slash, such as `track`.
    pub fn name(self) -> &'static str {
        &self.path()[1..]
    }
}
