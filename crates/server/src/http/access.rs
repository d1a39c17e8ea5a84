//! Access control: finds the project that credentials give access to.

use idmerge_wire::{Credentials, Problem};
use subtle::{Choice, ConstantTimeEq};

use crate::config::ProjectConfig;

/// The permission that a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Importing events. Whether a `$merge` among them counts also depends on the sender.
    Import,
    /// Reading any data of the project.
    Read,
}

const BAD_SECRET: Problem = Problem::Unauthorized("Unauthorized, invalid project secret.");
const BAD_ACCOUNT: Problem = Problem::Unauthorized("Not a valid service account username");
const NO_MEMBER: Problem = Problem::Unauthorized("not a project member");

const WRONG_WRITE_KEY: Problem = Problem::Unauthorized(
    "Invalid write key. It is the token of a project: the user name of Basic authentication, or writeKey",
);

/// Who sends calls in the HTTP API of Segment or RudderStack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) project_index: usize,
    /// Whether the credential is secret. A write key is a token, which is not.
    pub(crate) is_secret: bool,
}

/// The project that calls are for: by the write key, or by a secret in its place.
pub(crate) fn caller(
    projects: &[&ProjectConfig],
    credentials: &Credentials,
    project_id: Option<&str>,
    index_by_token: impl Fn(&str) -> Option<usize>,
    write_key: impl FnOnce() -> Option<String>,
) -> Result<Caller, Problem> {
    let token = match credentials {
        Credentials::None => write_key(),
        Credentials::Basic { user, password } if password.is_empty() => Some(user.clone()),
        _ => None,
    };
    if let Some(project_index) = token.and_then(|token| index_by_token(&token)) {
        return Ok(Caller {
            project_index,
            is_secret: false,
        });
    }
    match authorize(projects, credentials, project_id, Permission::Read) {
        Ok(project_index) => Ok(Caller {
            project_index,
            is_secret: true,
        }),
        Err(NO_MEMBER) => Err(NO_MEMBER),
        Err(_) => Err(WRONG_WRITE_KEY),
    }
}

/// The index of the project that these credentials give access to.
///
/// Every project is compared, and each comparison takes constant time, so that timing reveals
/// nothing about secrets.
pub(crate) fn authorize(
    projects: &[&ProjectConfig],
    credentials: &Credentials,
    project_id: Option<&str>,
    permission: Permission,
) -> Result<usize, Problem> {
    let mut found = projects
        .iter()
        .enumerate()
        .map(|(index, project)| (index, is_permitted(project, credentials, permission)))
        .fold(Vec::new(), |mut found, (index, is_permitted)| {
            if bool::from(is_permitted) {
                found.push(index);
            }
            found
        });
    let is_known = !found.is_empty();
    if let Some(project_id) = project_id {
        found.retain(|&index| {
            let project = projects[index];
            project
                .project_id
                .as_deref()
                .is_none_or(|id| id == project_id)
                || project.token == project_id
        });
    }
    match (&found[..], credentials) {
        (&[index], _) => Ok(index),
        // The account belongs to several projects, and `project_id` does not select exactly one.
        _ if is_known => Err(NO_MEMBER),
        (_, Credentials::Basic { password, .. }) if !password.is_empty() => Err(BAD_ACCOUNT),
        (_, Credentials::Basic { .. }) => Err(BAD_SECRET),
        _ => Err(Problem::INVALID_CREDENTIALS),
    }
}

/// Whether a problem is that the secret of the request is wrong. A request without a secret has none
/// that could be wrong.
pub(crate) fn is_wrong_secret(credentials: &Credentials, problem: &Problem) -> bool {
    matches!(problem, Problem::Unauthorized(_))
        && *problem != NO_MEMBER
        && *credentials != Credentials::None
}

/// Whether these credentials are secret. The token is not.
pub(crate) fn is_secret(project: &ProjectConfig, credentials: &Credentials) -> bool {
    // The token never permits reading.
    is_permitted(project, credentials, Permission::Read).into()
}

fn is_permitted(
    project: &ProjectConfig,
    credentials: &Credentials,
    permission: Permission,
) -> Choice {
    let token = if permission == Permission::Import && project.token_may_import {
        Some(project.token.as_str())
    } else {
        None
    };
    match credentials {
        Credentials::Basic { user, password } => {
            let mut is_permitted = Choice::from(0);
            for account in &project.service_accounts {
                is_permitted |= equal(user, &account.user) & equal(password, &account.secret);
            }
            // A secret is sent as the user name, with an empty password.
            let is_bare = equal(password, "");
            for secret in project.secret.as_deref().into_iter().chain(token) {
                is_permitted |= is_bare & equal(user, secret);
            }
            is_permitted
        }
        Credentials::Bearer(key) | Credentials::ApiKey(key) => match &project.secret {
            Some(secret) => equal(key, secret),
            None => Choice::from(0),
        },
        _ => Choice::from(0),
    }
}

fn equal(given: &str, wanted: &str) -> Choice {
    given.as_bytes().ct_eq(wanted.as_bytes())
}

#[cfg(test)]
mod tests {
    use idmerge_engines::{Model, Settings};

    use super::*;
    use crate::config::ServiceAccount;

    fn basic(user: &str, password: &str) -> Credentials {
        Credentials::Basic {
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    fn two_projects() -> [ProjectConfig; 2] {
        let account = |user: &str, secret: &str| ServiceAccount {
            user: user.to_owned(),
            secret: secret.to_owned(),
        };
        let mut first = ProjectConfig::new("FIRST", Settings::of(Model::Original));
        first.secret = Some("first secret".to_owned());
        first.project_id = Some("1".to_owned());
        first.service_accounts = vec![account("both", "both's secret")];
        let mut second = ProjectConfig::new("SECOND", Settings::of(Model::Simplified));
        second.project_id = Some("2".to_owned());
        second.token_may_import = false;
        second.service_accounts = vec![
            account("both", "both's secret"),
            account("one", "one's secret"),
        ];
        [first, second]
    }

    #[test]
    fn a_credential_gives_access_to_its_project() {
        let projects = two_projects();
        let open = |credentials: &Credentials, id, permission| {
            authorize(&projects.each_ref(), credentials, id, permission)
        };
        let (first, one) = (basic("first secret", ""), basic("one", "one's secret"));
        for permission in [Permission::Import, Permission::Read] {
            assert_eq!(open(&first, None, permission), Ok(0));
            assert_eq!(open(&first, Some("1"), permission), Ok(0));
            assert_eq!(open(&first, Some("2"), permission), Err(NO_MEMBER));
            assert_eq!(
                open(
                    &Credentials::Bearer("first secret".into()),
                    None,
                    permission
                ),
                Ok(0)
            );
            assert_eq!(
                open(
                    &Credentials::ApiKey("first secret".into()),
                    None,
                    permission
                ),
                Ok(0)
            );
            assert_eq!(open(&one, None, permission), Ok(1));
            let both = basic("both", "both's secret");
            assert_eq!(open(&both, None, permission), Err(NO_MEMBER));
            assert_eq!(open(&both, Some("2"), permission), Ok(1));
            assert_eq!(open(&both, Some("FIRST"), permission), Ok(0));
        }
        // A token is not secret: it never reads, and imports only if the project allows that.
        let (token, other) = (basic("FIRST", ""), basic("SECOND", ""));
        assert_eq!(open(&token, None, Permission::Import), Ok(0));
        assert_eq!(open(&token, None, Permission::Read), Err(BAD_SECRET));
        assert_eq!(open(&other, None, Permission::Import), Err(BAD_SECRET));
    }

    #[test]
    fn missing_or_wrong_credentials_give_no_access() {
        let projects = two_projects();
        for (credentials, wanted) in [
            (Credentials::None, Problem::INVALID_CREDENTIALS),
            (Credentials::Unreadable, Problem::INVALID_CREDENTIALS),
            (
                Credentials::Bearer(String::new()),
                Problem::INVALID_CREDENTIALS,
            ),
            (
                Credentials::Bearer("FIRST".into()),
                Problem::INVALID_CREDENTIALS,
            ),
            (
                Credentials::ApiKey("SECOND".into()),
                Problem::INVALID_CREDENTIALS,
            ),
            (basic("", ""), BAD_SECRET),
            (basic("first secre", ""), BAD_SECRET),
            (basic("first secret", "x"), BAD_ACCOUNT),
            (basic("one", "both's secret"), BAD_ACCOUNT),
            (basic("", "one's secret"), BAD_ACCOUNT),
        ] {
            for permission in [Permission::Import, Permission::Read] {
                let found = authorize(&projects.each_ref(), &credentials, None, permission);
                assert_eq!(found, Err(wanted.clone()), "{credentials:?}");
            }
        }
    }
}
