//! The configuration of a server: its projects and its limits.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use idmerge_core::RuleBook;
use idmerge_original::AnonIdFormat;
use idmerge_wire::Limits;
use serde::Deserialize;

use crate::error::ConfigError;

/// The configuration of a server.
///
/// ```
/// use idmerge_server::Config;
///
/// let config = Config::read("data".into(), r#"
///     listen = "127.0.0.1:8080"
///
///     [[project]]
///     token = "shop"
///     engine = "original"
///     secret = "a long secret"
///     anon_id_format = "sdk"
///
///     [[project.service_account]]
///     user = "warehouse"
///     secret = "another long secret"
/// "#)?;
/// assert_eq!(config.projects[0].token, "shop");
/// # Ok::<(), idmerge_server::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of all data. Each project has a folder in it, named by its token.
    pub data: PathBuf,
    /// The address to listen on. Port 0 lets the system choose; see
    /// [`Server::address`](crate::Server::address).
    pub listen: SocketAddr,
    /// The projects, at least one.
    pub projects: Vec<ProjectConfig>,
    /// Limits on requests, connections and memory.
    pub bounds: Bounds,
}

/// Limits that keep any client from exhausting the memory or the connections of a server.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Limits on a request and its records.
    pub limits: Limits,
    /// The most open connections. More wait in the queue of the system until one closes. The limit
    /// of open files can lower this number.
    pub max_connections: usize,
    /// The most bytes that request bodies may occupy in memory together. A request beyond that gets
    /// status 429.
    pub max_body_bytes_in_memory: usize,
    /// How long the head of a request may take, and how long a connection may be idle before it.
    pub head_timeout: Duration,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// How long a stopping server waits for open requests.
    pub drain_timeout: Duration,
}

impl Bounds {
    /// Limits for a machine with a few gigabytes of memory.
    pub const STANDARD: Self = Self {
        limits: Limits::DOCUMENTED,
        max_connections: 16_384,
        max_body_bytes_in_memory: 256 * 1024 * 1024,
        head_timeout: Duration::from_secs(60),
        body_timeout: Duration::from_secs(60),
        drain_timeout: Duration::from_secs(20),
    };
}

/// The configuration of one project.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectConfig {
    /// Names the project in the events of SDKs, and is the name of its folder: 1 to 64 letters,
    /// digits, `-` and `_`. It is not secret: every visitor of a page with the SDK can read it.
    pub token: String,
    /// The project ID that servers send along with a service account, as the parameter
    /// `project_id`. It is needed only if an account belongs to several projects.
    pub project_id: Option<String>,
    /// The engine of the project. It cannot change once the project has data.
    pub engine: EngineName,
    /// The secret that lets servers import and read. At least 8 bytes.
    pub secret: Option<String>,
    /// More credentials that may import and read.
    #[serde(default, rename = "service_account")]
    pub service_accounts: Vec<ServiceAccount>,
    /// Whether the token alone may import, as some data platforms do; `true` by default. A token is
    /// not secret, so switch this off if no sender needs it.
    #[serde(default = "yes")]
    pub token_may_import: bool,
    /// The most IDs of a cluster. Only the engine `original` has this setting.
    pub max_cluster_ids: Option<u32>,
    /// The form of anonymous IDs that `$identify` accepts. Only the engine `original` has this
    /// setting.
    #[serde(default, deserialize_with = "anon_id_format")]
    pub anon_id_format: Option<AnonIdFormat>,
}

fn yes() -> bool {
    true
}

/// A user name and a secret that may import and read, sent by Basic authentication.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceAccount {
    /// The user name.
    pub user: String,
    /// The secret. At least 8 bytes.
    pub secret: String,
}

/// The name of an engine in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineName {
    /// Simplified ID Merge.
    Simplified,
    /// Original ID Merge.
    Original,
}

impl EngineName {
    /// The rule book of the engine.
    pub fn rule_book(self) -> RuleBook {
        match self {
            Self::Simplified => RuleBook::Simplified,
            Self::Original => RuleBook::Original,
        }
    }
}

fn anon_id_format<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<AnonIdFormat>, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.parse().map(Some).map_err(serde::de::Error::custom)
}

/// Leaves out the secrets, so that no log has them.
impl std::fmt::Debug for ProjectConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProjectConfig")
            .field("token", &self.token)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

/// The configuration file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "local")]
    listen: SocketAddr,
    #[serde(default)]
    project: Vec<ProjectConfig>,
    connections_max: Option<usize>,
    body_bytes_in_memory_max: Option<usize>,
}

fn local() -> SocketAddr {
    Config::LOCAL
}

impl Config {
    /// The default address to listen on. Only this machine can reach it.
    pub const LOCAL: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8_080);

    /// Parses the text of a configuration file, and checks it. `data` is the folder of all data.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Toml`] if the text is not TOML or has an unknown key, and the errors of
    /// [`check`](Self::check).
    pub fn read(data: PathBuf, text: &str) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text)?;
        let mut bounds = Bounds::STANDARD;
        if let Some(connections_max) = file.connections_max {
            bounds.max_connections = connections_max.max(1);
        }
        if let Some(bytes) = file.body_bytes_in_memory_max {
            bounds.max_body_bytes_in_memory = bytes.max(bounds.limits.body_bytes_max);
        }
        let config = Self {
            data,
            listen: file.listen,
            projects: file.project,
            bounds,
        };
        config.check()?;
        Ok(config)
    }

    /// Checks that there is a project, that tokens and secrets are valid and unique, and that each
    /// project has only settings of its engine. [`Server::bind`](crate::Server::bind) calls this.
    ///
    /// # Errors
    ///
    /// The first error found, as a [`ConfigError`].
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.projects.is_empty() {
            return Err(ConfigError::NoProject);
        }
        for (index, project) in self.projects.iter().enumerate() {
            project.check()?;
            let token = || project.token.clone();
            for other in &self.projects[..index] {
                // Tokens name folders, and some file systems ignore case.
                if other.token.eq_ignore_ascii_case(&project.token) {
                    return Err(ConfigError::TokenTwice { token: token() });
                }
                if other.secret.is_some() && other.secret == project.secret {
                    return Err(ConfigError::SecretTwice { token: token() });
                }
            }
        }
        Ok(())
    }
}

impl ProjectConfig {
    /// A project with this token and engine, and defaults for the rest. It has no secret yet, so
    /// nothing can be read from it.
    pub fn new(token: impl Into<String>, engine: EngineName) -> Self {
        Self {
            token: token.into(),
            project_id: None,
            engine,
            secret: None,
            service_accounts: Vec::new(),
            token_may_import: true,
            max_cluster_ids: None,
            anon_id_format: None,
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let token = || self.token.clone();
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !(1..=64).contains(&self.token.len()) || !self.token.bytes().all(is_allowed) {
            return Err(ConfigError::Token { token: token() });
        }
        let secrets = self.service_accounts.iter().map(|account| &account.secret);
        for secret in self.secret.iter().chain(secrets) {
            if secret.len() < 8 || *secret == self.token {
                return Err(ConfigError::WeakSecret { token: token() });
            }
        }
        if self.engine == EngineName::Simplified {
            let setting = match (self.max_cluster_ids, self.anon_id_format) {
                (Some(_), _) => "max_cluster_ids",
                (None, Some(_)) => "anon_id_format",
                (None, None) => return Ok(()),
            };
            return Err(ConfigError::ForeignSetting {
                token: token(),
                setting,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Config::read("d".into(), text).unwrap_err().to_string()
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let project = |rest: &str| format!("[[project]]\ntoken = \"T\"\n{rest}\n");
        for (text, wanted) in [
            (String::new(), "no project"),
            ("listen = 1".to_owned(), "listen"),
            ("x = 1".to_owned(), "unknown field `x`"),
            (project(""), "missing field `engine`"),
            (project("engine = \"Original\""), "unknown variant"),
            (
                project("engine = \"original\"\nsecret = \"short\""),
                "8 bytes",
            ),
            (
                project("engine = \"simplified\"\nmax_cluster_ids = 9"),
                "max_cluster_ids",
            ),
            (
                project("engine = \"original\"\nanon_id_format = \"x\""),
                "anon_id_format",
            ),
            (project("engine = \"original\"").repeat(2), "two projects"),
            (
                project("engine = \"original\"").replace("\"T\"", "\"../x\""),
                "letters",
            ),
            (
                project("engine = \"original\"").replace("\"T\"", "\"\""),
                "letters",
            ),
        ] {
            let found = error(&text);
            assert!(found.contains(wanted), "{text}: {found}");
        }
    }

    #[test]
    fn debug_output_has_no_secret() {
        let mut project = ProjectConfig::new("T", EngineName::Original);
        project.secret = Some("hushhush".to_owned());
        assert!(!format!("{project:?}").contains("hush"));
    }
}
