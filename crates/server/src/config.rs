//! What a server is told: its projects, and how much it takes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use idmerge_core::RuleBook;
use idmerge_original::AnonIdFormat;
use idmerge_wire::Limits;
use serde::Deserialize;

use crate::error::ConfigError;

/// What a server is told.
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
    /// Where everything is kept: a folder for each project.
    pub data: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its projects.
    pub projects: Vec<ProjectConfig>,
    /// How much it takes.
    pub bounds: Bounds,
}

/// How much a server takes at once, so that no sender can take its memory or its time.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// What a request and its records may have.
    pub limits: Limits,
    /// The most connections at a time; more wait to be accepted.
    pub connections_max: usize,
    /// The most bytes of bodies in memory at a time; what would be more is answered with 429.
    pub body_bytes_in_memory_max: usize,
    /// How long a connection may take for the head of a request, or be idle before it.
    pub head_timeout: Duration,
    /// How long a body may take.
    pub body_timeout: Duration,
    /// How long a server that was told to stop waits for open requests.
    pub drain_timeout: Duration,
}

impl Bounds {
    /// What fits a machine of a few gigabytes.
    pub const STANDARD: Self = Self {
        limits: Limits::DOCUMENTED,
        connections_max: 16_384,
        body_bytes_in_memory_max: 256 * 1024 * 1024,
        head_timeout: Duration::from_secs(60),
        body_timeout: Duration::from_secs(60),
        drain_timeout: Duration::from_secs(20),
    };
}

/// One project.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectConfig {
    /// What its SDKs send along, and the name of its folder: letters, digits, `-` and `_`. No
    /// secret: every visitor of its pages can read it.
    pub token: String,
    /// The number that service accounts say, where senders say one.
    pub project_id: Option<String>,
    /// Its rule book. It cannot change once there is data.
    pub engine: EngineName,
    /// What its servers show to write and to read.
    pub secret: Option<String>,
    /// Others who may write and read.
    #[serde(default, rename = "service_account")]
    pub service_accounts: Vec<ServiceAccount>,
    /// Whether its token alone may import, as some data platforms do. A token is no secret, so who
    /// can do without says no.
    #[serde(default = "yes")]
    pub token_may_import: bool,
    /// How many IDs a cluster may have, in Original.
    pub max_cluster_ids: Option<u32>,
    /// Which anonymous IDs `$identify` takes, in Original.
    #[serde(default, deserialize_with = "anon_id_format")]
    pub anon_id_format: Option<AnonIdFormat>,
}

fn yes() -> bool {
    true
}

/// A name and its secret.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceAccount {
    /// The name.
    pub user: String,
    /// The secret.
    pub secret: String,
}

/// A rule book, as a configuration names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineName {
    /// Simplified ID Merge.
    Simplified,
    /// Original ID Merge.
    Original,
}

impl EngineName {
    /// The rule book of this name.
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

/// Without its secrets.
impl std::fmt::Debug for ProjectConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProjectConfig")
            .field("token", &self.token)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

/// The file, as it is written.
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
    /// Where a server listens that is not told otherwise: nobody but this machine reaches it.
    pub const LOCAL: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8_080);

    /// Reads the text of a configuration file.
    ///
    /// # Errors
    ///
    /// The text is not TOML, has a key that means nothing, or projects that cannot be told apart.
    pub fn read(data: PathBuf, text: &str) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text)?;
        let mut bounds = Bounds::STANDARD;
        if let Some(connections_max) = file.connections_max {
            bounds.connections_max = connections_max.max(1);
        }
        if let Some(bytes) = file.body_bytes_in_memory_max {
            bounds.body_bytes_in_memory_max = bytes.max(bounds.limits.body_bytes_max);
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

    /// Whether its projects can be told apart, and each has settings of its own engine.
    ///
    /// # Errors
    ///
    /// What is wrong, and with which project.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.projects.is_empty() {
            return Err(ConfigError::NoProject);
        }
        for (at, project) in self.projects.iter().enumerate() {
            project.check()?;
            let token = || project.token.clone();
            for other in &self.projects[..at] {
                // Folders are named by tokens, and some systems do not tell cases apart.
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
    /// A project of this token with nothing else said.
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
    fn what_is_wrong_is_said() {
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
            (project("engine = \"original\"").repeat(2), "twice"),
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
    fn no_secret_is_shown() {
        let mut project = ProjectConfig::new("T", EngineName::Original);
        project.secret = Some("hushhush".to_owned());
        assert!(!format!("{project:?}").contains("hush"));
    }
}
