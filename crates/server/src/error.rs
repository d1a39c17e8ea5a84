//! Errors of a configuration, and of starting a server.

use std::io;
use std::path::PathBuf;

use idmerge_engines::{BlockedIdsError, SettingsError};
use thiserror::Error;

use crate::config::listen::Listen;
use crate::config::secret_file::SecretFileError;

/// An error in a configuration. The message says what to change.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is not TOML, or has an unknown key or a value of the wrong type.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// The configuration has no project.
    #[error("the configuration has no project; add a [[project]] with a token and an engine")]
    NoProject,
    /// A token is empty or too long, or has a character that is not allowed.
    #[error("the token {token:?} is not valid; a token has 1 to 64 letters, digits, - and _")]
    Token {
        /// The token.
        token: String,
    },
    /// Two projects have the same token, except perhaps for upper and lower case.
    #[error(
        "two projects have the token {token:?}; tokens must differ in more than upper and lower case"
    )]
    TokenTwice {
        /// The token.
        token: String,
    },
    /// Two projects have the same secret.
    #[error("project {token:?} has the secret of another project; each project needs its own")]
    SecretTwice {
        /// The token of the second of the two.
        token: String,
    },
    /// A secret is shorter than 8 bytes, or equal to the token, which is public.
    #[error(
        "each secret of project {token:?} must have at least 8 bytes and differ from its token"
    )]
    WeakSecret {
        /// The token of the project.
        token: String,
    },
    /// The secret of a project has a colon.
    #[error(
        "the secret of project {token:?} has a colon, so no request could have it: Basic authentication carries it as \
         the user name, and ends that at the first colon. Choose another secret, or give this one to a service account, \
         whose secret is the password"
    )]
    SecretWithColon {
        /// The token of the project.
        token: String,
    },
    /// A project or a service account has `secret` and `secret_file`.
    #[error("{holder} has both secret and secret_file; leave out one of them")]
    TwoSecrets {
        /// What has them, in words.
        holder: String,
    },
    /// A service account has neither `secret` nor `secret_file`.
    #[error("{holder} has no secret; add secret or secret_file")]
    NoSecret {
        /// The account, in words.
        holder: String,
    },
    /// The file with the secret of a project or of a service account cannot be used.
    #[error("{holder}: secret_file: {error}")]
    SecretFile {
        /// What has the secret, in words.
        holder: String,
        /// What is wrong with the file.
        error: SecretFileError,
    },
    /// The user name of a service account is empty, or has a character that Basic authentication
    /// cannot carry.
    #[error(
        "project {token:?}: the service account {user:?} needs another user name: one that is not \
         empty and has no colon and no control character, since Basic authentication cannot send these"
    )]
    AccountUser {
        /// The token of the project.
        token: String,
        /// The user name.
        user: String,
    },
    /// Two service accounts of a project have the same user name.
    #[error(
        "project {token:?} has two service accounts for the user {user:?}; give each account a user \
         name of its own"
    )]
    AccountTwice {
        /// The token of the project.
        token: String,
        /// The user name.
        user: String,
    },
    /// There is no way to merge profiles with this name.
    #[error("project {token:?}: profile_merge is {name:?}; give \"vendor\" or \"fill\"")]
    ProfileMerge {
        /// The token of the project.
        token: String,
        /// The name.
        name: String,
    },
    /// The list of blocked IDs of a project cannot be used.
    #[error("project {token:?}: {error}")]
    BlockedIds {
        /// The token of the project.
        token: String,
        /// What is wrong with the list.
        error: BlockedIdsError,
    },
    /// A project has a setting that its engine does not have, or that cannot be used.
    #[error("project {token:?}: {error}")]
    Settings {
        /// The token of the project.
        token: String,
        /// The error of the setting.
        error: SettingsError,
    },
}

/// Why a server did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The configuration has an error.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A project could not be opened.
    #[error("cannot open project {token:?}, whose store is {}", file.display())]
    Open {
        /// The token of the project.
        token: String,
        /// The file of its store.
        file: PathBuf,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The configuration of a project has another engine or other settings than its data. They
    /// cannot change once there is data, because identities depend on them.
    #[error(
        "project {token:?} has data, so its engine and settings cannot change: {difference}. \
         Restore the old settings, or configure the new ones under a new token and import the \
         events into that project"
    )]
    Changed {
        /// The token of the project.
        token: String,
        /// How the settings differ.
        difference: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server cannot listen on its address.
    #[error("cannot listen on {listen}; choose another address with --listen")]
    Listen {
        /// The address.
        listen: Listen,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The caller could not prepare the data folder: see [`run`](crate::run).
    #[error(transparent)]
    Prepare(Box<dyn std::error::Error + Send + Sync>),
    /// The server has stopped while a project could not write. What was acknowledged is on the disk; the
    /// other batches were refused.
    #[error(
        "project {token:?} could not write when the server stopped; every acknowledged event is stored"
    )]
    Close {
        /// The token of the first such project.
        token: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The operating system did not start a thread or install a signal handler.
    #[error("the operating system did not start a thread or install a signal handler")]
    System(#[source] io::Error),
}
