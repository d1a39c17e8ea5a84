//! The configuration of a server: its projects and its limits.

use std::path::{Path, PathBuf};
use std::time::Duration;

use idmerge_adapters::Output;
use idmerge_engines::Settings;
use idmerge_project::ProfileMerge;
use idmerge_wire::Limits;

use crate::error::ConfigError;

mod file;
pub(crate) mod listen;
pub(crate) mod secret_file;

use file::{File, ProjectTable};
pub use listen::{Listen, ListenError};
pub use secret_file::{SecretFile, SecretFileError};

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
    /// The address to listen on. If it is a host name with several addresses, the server listens on
    /// all of them. Port 0 lets the system choose; see [`Server::address`](crate::Server::address).
    pub listen: Listen,
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
    /// The most open connections of one address (of IPv6, of one /64 network). One beyond that gets
    /// status 503 and is closed. By default three quarters of `max_connections`, so that no address can
    /// keep all others out, and a proxy in front of the server can still use most of them.
    pub max_connections_per_address: Option<usize>,
    /// The most queries that run at a time. Each one may occupy a thread and the disk. If there are
    /// several projects, each may have half of them. A query beyond that gets status 429.
    pub max_queries: usize,
    /// The most exports and other long responses at a time. If there are several projects, each may have
    /// a quarter of them.
    pub max_streams: usize,
    /// The most bytes that request bodies may occupy in memory together. An eighth of it is for bodies of
    /// at most 64 KiB. A request beyond that gets status 429, unless others give way.
    pub max_body_bytes_in_memory: usize,
    /// The most bytes that heads of more than 8 KiB may occupy in memory together. A head beyond that
    /// closes its connection, or that of a slow one.
    pub max_head_bytes_in_memory: usize,
    /// The most bytes of the databases that all projects keep in memory together, in equal parts; each project
    /// has 256 KiB at least. `None`: 256 MiB together, and at most 64 MiB for each.
    pub max_page_cache_bytes: Option<usize>,
    /// How long the head of a request may take, and how long a connection may be idle before it.
    pub head_timeout: Duration,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// A body that has not arrived after this time gives way if the memory for bodies is used up: the
    /// one that occupies the most memory for the longest time gets status 429. A body that has grown by less
    /// than 64 KiB in the last second gives way whatever its age. If the memory for heads is used up, a request
    /// with a large head gives way after this time: its connection is closed.
    pub slow_body_after: Duration,
    /// How long a client may leave a response unread. If it does not read all that waits for it, or
    /// 64 KiB, within this time, the connection is closed.
    pub write_timeout: Duration,
    /// How long a stopping server waits for open requests. Then it closes their connections.
    pub drain_timeout: Duration,
    /// How long [`run`](crate::run) takes to stop after a signal, at most. It then returns even if a commit
    /// or a query still runs. Everything that was acknowledged is on the disk.
    pub stop_timeout: Duration,
    /// How long a deletion of people waits before it is carried out. It can be cancelled meanwhile, and those that wait
    /// are carried out together.
    pub erasure_delay: Duration,
    /// How long a deletion waits after it could not be carried out, such as for lack of room on the disk. It doubles with
    /// each failure, up to an hour.
    pub erasure_retry: Duration,
    /// How old the answer of `/metrics` may be. Everybody may ask for it, so it is not made for each request.
    pub metrics_age: Duration,
    /// How often the log may have a warning about clients that do something wrong, such as sending wrong
    /// secrets. One warning counts all cases since the last one.
    pub warning_interval: Duration,
}

impl Bounds {
    /// Limits for a machine with a few gigabytes of memory.
    pub const STANDARD: Self = Self {
        limits: Limits::DOCUMENTED,
        max_connections: 16_384,
        max_connections_per_address: None,
        max_queries: 32,
        max_streams: 64,
        max_body_bytes_in_memory: 256 * 1024 * 1024,
        max_head_bytes_in_memory: 64 * 1024 * 1024,
        max_page_cache_bytes: None,
        head_timeout: Duration::from_secs(60),
        body_timeout: Duration::from_secs(60),
        slow_body_after: Duration::from_secs(5),
        write_timeout: Duration::from_secs(60),
        // The projects are closed in the rest of the time to stop.
        drain_timeout: Duration::from_secs(5),
        // systemd and Docker wait at least ten seconds before they kill a process.
        stop_timeout: Duration::from_secs(9),
        erasure_delay: Duration::from_secs(60),
        erasure_retry: Duration::from_secs(60),
        metrics_age: Duration::from_secs(1),
        warning_interval: Duration::from_secs(60),
    };
}

/// The configuration of one project.
#[derive(Clone)]
pub struct ProjectConfig {
    /// Names the project in the events of SDKs, and is the name of its folder: 1 to 64 letters,
    /// digits, `-` and `_`. It is not secret: every visitor of a page with the SDK can read it.
    pub token: String,
    /// The project ID that servers send along with a service account, as the parameter
    /// `project_id`. It is needed only if an account belongs to several projects.
    pub project_id: Option<String>,
    /// The model of ID Merge and its settings. They cannot change once the project has data.
    pub settings: Settings,
    /// The secret that lets servers import and read. At least 8 bytes, and no colon.
    pub secret: Option<String>,
    /// More credentials that may import and read.
    pub service_accounts: Vec<ServiceAccount>,
    /// Whether the token alone may import, as some data platforms do; `true` by default. A token is
    /// not secret, so switch this off if no sender needs it.
    pub token_may_import: bool,
    /// Whether a `$merge` that is imported with the token alone counts, as RudderStack needs for
    /// Original; `false` by default. Anyone who knows the token can then join any two users, and a
    /// token is not secret. Otherwise such a `$merge` is stored and makes no claim (AR-4).
    pub token_may_merge: bool,
    /// Whether a `$create_alias` without a credential counts, in Original and Legacy; `true` by default,
    /// because SDKs send it. Anyone who knows the token and two IDs can then join them. Otherwise such a
    /// `$create_alias` is stored and makes no claim (AR-4), whatever endpoint it came through.
    pub token_may_alias: bool,
    /// What the calls of Segment and RudderStack become: events that say what the calls say (the default),
    /// or those that the product's own destination for Mixpanel would have sent (A-4).
    pub calls_as: Output,
    /// The most IDs that the users of the project have together, since they take memory; 50 million by
    /// default. A request whose events would connect more gets status 429.
    pub max_ids: usize,
    /// How a merge combines the profiles of two users. Unlike the settings, this can
    /// change: later merges follow it.
    pub profile_merge: ProfileMerge,
}

/// The most IDs of a project by default.
const MAX_IDS: usize = 50_000_000;

/// A user name and a secret that may import and read, sent by Basic authentication.
#[derive(Clone)]
pub struct ServiceAccount {
    /// The user name.
    pub user: String,
    /// The secret. At least 8 bytes.
    pub secret: String,
}

/// Leaves out the secrets, so that no log has them.
impl std::fmt::Debug for ProjectConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProjectConfig")
            .field("token", &self.token)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Parses the text of a configuration file, and checks it. `data` is the folder of all data.
    ///
    /// A relative path in the text, such as that of `secret_file` or `blocked_ids`, starts from the current folder;
    /// [`read_in`](Self::read_in) names another.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Toml`] if the text is not TOML or has an unknown key,
    /// [`ConfigError::Settings`] if an engine does not have a setting of its project,
    /// [`ConfigError::BlockedIds`] if a list of blocked IDs cannot be used, [`ConfigError::SecretFile`] if a
    /// file has no secret, [`ConfigError::TwoSecrets`] if a table has a secret as well as a file, and the
    /// errors of [`check`](Self::check).
    pub fn read(data: PathBuf, text: &str) -> Result<Self, ConfigError> {
        Self::read_in(data, text, Path::new(""))
    }

    /// As [`read`](Self::read), for a file in `folder`: relative paths in the text start from there.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    pub fn read_in(data: PathBuf, text: &str, folder: &Path) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text)?;
        let mut bounds = Bounds::STANDARD;
        if let Some(connections_max) = file.connections_max {
            bounds.max_connections = connections_max.max(1);
        }
        if let Some(connections_max) = file.connections_per_address_max {
            bounds.max_connections_per_address = Some(connections_max.max(1));
        }
        if let Some(bytes) = file.body_bytes_in_memory_max {
            bounds.max_body_bytes_in_memory = bytes.max(bounds.limits.max_body_bytes);
        }
        bounds.max_page_cache_bytes = file
            .page_cache_mib_max
            .map(|mib| mib.get().saturating_mul(1 << 20));
        if let Some(seconds) = file.erasure_delay_s {
            bounds.erasure_delay = Duration::from_secs(seconds.into());
        }
        let into_config = |table: ProjectTable| table.into_config(folder);
        let projects = file.project.into_iter().map(into_config);
        let config = Self {
            data,
            listen: file.listen,
            projects: projects.collect::<Result<_, _>>()?,
            bounds,
        };
        config.check()?;
        Ok(config)
    }

    /// Checks that there is a project, and that tokens and secrets are valid and unique.
    /// [`Server::bind`](crate::Server::bind) calls this.
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
    /// A project with this token and these settings, and defaults for the rest. It has no secret
    /// yet, so nothing can be read from it.
    pub fn new(token: impl Into<String>, settings: impl Into<Settings>) -> Self {
        Self {
            token: token.into(),
            project_id: None,
            settings: settings.into(),
            secret: None,
            service_accounts: Vec::new(),
            token_may_import: true,
            token_may_merge: false,
            token_may_alias: true,
            calls_as: Output::Direct,
            max_ids: MAX_IDS,
            profile_merge: ProfileMerge::default(),
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
        // Basic authentication has it as the user name, and ends that at the first colon. The secret of an account is the
        // password, which can have colons.
        if self
            .secret
            .as_ref()
            .is_some_and(|secret| secret.contains(':'))
        {
            return Err(ConfigError::SecretWithColon { token: token() });
        }
        for (index, account) in self.service_accounts.iter().enumerate() {
            let user = || account.user.clone();
            // Basic authentication ends the user name at the first colon.
            let is_control = |c: char| c.is_ascii_control();
            if account.user.is_empty()
                || account.user.contains(':')
                || account.user.contains(is_control)
            {
                return Err(ConfigError::AccountUser {
                    token: token(),
                    user: user(),
                });
            }
            let mut others = self.service_accounts[..index].iter();
            if others.any(|other| other.user == account.user) {
                return Err(ConfigError::AccountTwice {
                    token: token(),
                    user: user(),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use idmerge_engines::Model;

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
                project("engine = \"original\"\nsecret = \"long: secret\""),
                "the secret of project \"T\" has a colon",
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
            (
                project("engine = \"original\"\nprofile_merge = \"Fill\""),
                "project \"T\": profile_merge is \"Fill\"; give \"vendor\" or \"fill\"",
            ),
            (
                project("engine = \"original\"\nmax_id_bytes = 0"),
                "project \"T\": max_id_bytes must be at least 1",
            ),
            (
                project("engine = \"original\"\nmax_id_bytes = 65536"),
                "max_id_bytes",
            ),
            (
                project("engine = \"original\"\nblocked_ids = \"nowhere\""),
                "project \"T\": cannot read the blocked IDs from nowhere: ",
            ),
        ] {
            let found = error(&text);
            assert!(found.contains(wanted), "{text}: {found}");
        }
    }

    #[test]
    fn a_service_account_has_a_user_name_of_its_own_without_a_colon() {
        let accounts = |users: &[&str]| {
            let account = |user| {
                format!("[[project.service_account]]\nuser = {user:?}\nsecret = \"long: enough\"\n")
            };
            let accounts: String = users.iter().map(account).collect();
            let project = "[[project]]\ntoken = \"T\"\nengine = \"original\"\n";
            Config::read("d".into(), &format!("{project}{accounts}"))
        };
        assert!(accounts(&["a", "b", "A", "Zoë Ω"]).is_ok());
        for user in ["a:b", ":", "", "a\tb", "a\n"] {
            let error = accounts(&["ok", user]).unwrap_err().to_string();
            let wanted = format!("project \"T\": the service account {user:?} needs");
            assert!(error.starts_with(&wanted), "{error}");
        }
        let error = accounts(&["a", "b", "a"]).unwrap_err().to_string();
        let wanted = "project \"T\" has two service accounts for the user \"a\"";
        assert!(error.starts_with(wanted), "{error}");
    }

    #[test]
    fn id_4_the_list_of_blocked_ids_is_read_from_the_folder_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("list"), "# ours\r\nTest\r\n").unwrap();
        let read = |option: &str| {
            let text = format!(
                "[[project]]\ntoken = \"T\"\nengine = \"original\"\nblocked_ids = {option:?}\n\
                 max_id_bytes = 9"
            );
            Config::read_in("d".into(), &text, folder.path())
        };
        for (option, null_is_blocked) in [("list", false), ("+list", true)] {
            let config = read(option).unwrap();
            let settings = &config.projects[0].settings;
            assert_eq!(settings.read_id("test").unwrap_err().rule(), "ID-4");
            assert_eq!(settings.read_id("null").is_err(), null_is_blocked);
            assert_eq!(settings.read_id("ten-bytes!").unwrap_err().rule(), "ID-2");
        }
        std::fs::write(folder.path().join("list"), b"Test\n\xff").unwrap();
        let error = read("list").unwrap_err().to_string();
        let wanted = "project \"T\": list, line 2: not UTF-8";
        assert!(error.starts_with(wanted), "{error}");
    }

    #[test]
    fn debug_output_has_no_secret() {
        let mut project = ProjectConfig::new("T", Settings::of(Model::Original));
        project.secret = Some("hushhush".to_owned());
        assert!(!format!("{project:?}").contains("hush"));
    }
}
