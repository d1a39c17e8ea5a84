//! Why a server does not start, or ends.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

/// What is wrong with a configuration.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is not a configuration.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// There is no project.
    #[error("the configuration has no project; add a [[project]] with a token and an engine")]
    NoProject,
    /// A token cannot be one.
    #[error("the token {token:?} has to be 1 to 64 letters, digits, - and _")]
    Token {
        /// The token.
        token: String,
    },
    /// Two projects have one token.
    #[error("the token {token:?} stands twice; each project needs its own, also without case")]
    TokenTwice {
        /// The token.
        token: String,
    },
    /// Two projects have one secret.
    #[error("the project {token:?} has the secret of another; each project needs its own")]
    SecretTwice {
        /// The token of one of them.
        token: String,
    },
    /// A secret is none.
    #[error("a secret of the project {token:?} is its token, or has less than 8 bytes")]
    WeakSecret {
        /// The token of the project.
        token: String,
    },
    /// A setting is of the other rule book.
    #[error(
        "{setting} of the project {token:?} is a setting of Original ID Merge; Simplified has none like it"
    )]
    ForeignSetting {
        /// The token of the project.
        token: String,
        /// The setting.
        setting: &'static str,
    },
}

/// Why a server does not start, or ends.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A project does not open.
    #[error("the project {token:?} does not open")]
    Open {
        /// Its token.
        token: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The data of a project was made with another engine, or with other settings. They decide who
    /// is who, so they stay as long as the data does.
    #[error(
        "the project {token:?} holds data, and its engine and settings cannot change any more: \
         {source}. Put them back; or give the new ones a new token, and import the events there"
    )]
    Changed {
        /// Its token.
        token: String,
        /// What is different.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nobody can be listened to.
    #[error("cannot listen on {listen}; choose another address with --listen")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The system gives no threads or no signals.
    #[error("the system does not let the server run")]
    System(#[source] io::Error),
}
