//! Reads a request about people: whose it is, and what it asks for.

use std::fmt;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use idmerge_project::{PrivacyTask, TaskKind, TaskStatus};
use idmerge_wire::Credentials;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::app::App;
use crate::clock::now_ms;
use crate::http::access::{self, Permission};
use crate::http::api_error::ApiError;
use crate::http::parameters;
use crate::http::peers::Peer;
use crate::read::query::Reader;

/// The most IDs of a request, as in the vendor's API.
const IDS_MAX: usize = 2_000;

/// The most characters of an ID that an error repeats.
const QUOTED_CHARS_MAX: usize = 60;

/// Somebody who may ask for people of a project to be erased, or for what is stored about them.
pub(crate) struct Requester {
    pub(crate) reader: Reader,
    /// The user name of a service account, or which secret it was.
    pub(crate) name: String,
    /// The project ID of the configuration, or else the token.
    pub(crate) project_id: String,
    /// Whether a browser may have added the credential.
    is_basic: bool,
    pub(crate) app: Arc<App>,
}

#[derive(Deserialize)]
struct ProjectParameters {
    token: Option<String>,
    project_id: Option<String>,
}

impl FromRequestParts<Arc<App>> for Requester {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let credentials = match parts.headers.get(header::AUTHORIZATION) {
            Some(value) => Credentials::read(value.to_str().unwrap_or("")),
            None => Credentials::None,
        };
        let named: ProjectParameters = parameters::read(parts.uri.query().unwrap_or(""))?;
        let project = named.token.as_deref().or(named.project_id.as_deref());
        let authorized = access::authorize(&app.configs(), &credentials, project, Permission::Read);
        let index = match authorized {
            Ok(index) => index,
            Err(problem) => {
                if access::is_wrong_secret(&credentials, &problem) {
                    let peer = parts.extensions.get::<Peer>().copied();
                    app.on_wrong_secret(peer).await;
                } else if credentials != Credentials::None {
                    return Err(other_project());
                }
                return Err(ApiError::new(StatusCode::UNAUTHORIZED, problem.to_string()));
            }
        };
        let config = &app.projects[index].config;
        // Nobody is to be erased from another project than the one that was meant.
        if named.token.is_some_and(|token| token != config.token) {
            return Err(other_project());
        }
        Ok(Self {
            reader: Reader::of(app, index),
            name: match &credentials {
                Credentials::Basic { user, password } if !password.is_empty() => user.clone(),
                _ => "project secret".to_owned(),
            },
            project_id: config.project_id.as_ref().unwrap_or(&config.token).clone(),
            is_basic: matches!(credentials, Credentials::Basic { .. }),
            app: Arc::clone(app),
        })
    }
}

fn other_project() -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "the credential is not one of the project that token or project_id names",
    )
}

/// Whom a request is about.
#[derive(Deserialize, ToSchema)]
pub(crate) struct PrivacyRequest {
    /// Any IDs of the people: 1 to 2,000.
    #[schema(value_type = Vec<String>)]
    distinct_ids: GivenIds,
    /// `GDPR`, the default, or `CCPA`. An archive for the CCPA has the events of the last 365 days.
    compliance_type: Option<String>,
    /// Of a retrieval: only `Data`, the default, is supported.
    disclosure_type: Option<String>,
}

/// The IDs of a request, which are not read yet. An array with more is refused before it takes memory.
struct GivenIds(Vec<Box<RawValue>>);

impl<'de> Deserialize<'de> for GivenIds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(IdsVisitor)
    }
}

struct IdsVisitor;

impl<'de> Visitor<'de> for IdsVisitor {
    type Value = GivenIds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of IDs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<GivenIds, A::Error> {
        let mut ids = Vec::new();
        while let Some(id) = array.next_element()? {
            if ids.len() == IDS_MAX {
                return Err(A::Error::custom(format_args!(
                    "distinct_ids has more IDs; give 1 to {IDS_MAX}, and the others in another request"
                )));
            }
            ids.push(id);
        }
        Ok(GivenIds(ids))
    }
}

impl Requester {
    /// The task that a body asks for.
    pub(super) fn task(
        &self,
        kind: TaskKind,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<PrivacyTask, ApiError> {
        // A page of another origin can send other types with the credentials that a browser has kept.
        if self.is_basic && !is_json(headers) {
            let code = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            let error = "send JSON, with the header Content-Type: application/json";
            return Err(ApiError::new(code, error));
        }
        let request: PrivacyRequest = serde_json::from_slice(body).map_err(|error| {
            ApiError::bad_request(format!(
                "the body is not the JSON of a request, such as {{\"distinct_ids\":[\"ada@example.com\"],\
                 \"compliance_type\":\"GDPR\"}}: {error}"
            ))
        })?;
        let disclosure = request.disclosure_type.as_deref().unwrap_or("Data");
        if !disclosure.eq_ignore_ascii_case("data") {
            return Err(ApiError::bad_request(format!(
                "disclosure_type is {}; only Data is supported, which is everything",
                quoted(disclosure)
            )));
        }
        let law = request.compliance_type.as_deref().unwrap_or("GDPR");
        let law = law.to_ascii_uppercase();
        if !matches!(&*law, "GDPR" | "CCPA") {
            return Err(ApiError::bad_request(format!(
                "compliance_type is {}; give GDPR or CCPA",
                quoted(&law)
            )));
        }
        let ids = self.ids(&request.distinct_ids.0)?;
        Ok(PrivacyTask {
            id: unguessable()?,
            kind,
            status: TaskStatus::Pending,
            requested_ms: now_ms(),
            requested_by: self.name.clone(),
            compliance_type: law,
            ids_named: ids.len() as u64,
            distinct_ids: ids,
            error: None,
            receipt: None,
            key: None,
        })
    }

    fn ids(&self, given: &[Box<RawValue>]) -> Result<Vec<String>, ApiError> {
        if given.is_empty() {
            return Err(ApiError::bad_request(format!(
                "distinct_ids has no ID; give 1 to {IDS_MAX}"
            )));
        }
        let (_, settings, _) = self.reader.named();
        let ids = given.iter().enumerate().map(|(index, id)| {
            let json = id.get();
            let id = match json.as_bytes().first() {
                Some(b'"') => serde_json::from_str::<String>(json).ok(),
                // As some SDKs send it.
                Some(b'-' | b'0'..=b'9') => Some(json.to_owned()),
                _ => None,
            };
            let Some(id) = id else {
                return Err(ApiError::bad_request(format!(
                    "distinct_ids[{index}] is {}; give a string",
                    quoted(json)
                )));
            };
            match settings.read_id(&id) {
                Ok(_) => Ok(id),
                Err(error) => Err(ApiError::bad_request(format!(
                    "distinct_ids[{index}] is {}, which is not an ID of a person: {error}; nothing was requested, so \
                     send the others without it",
                    quoted(&id)
                ))),
            }
        });
        ids.collect()
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    content_type.is_some_and(|it| it.to_ascii_lowercase().starts_with("application/json"))
}

fn quoted(text: &str) -> String {
    let short: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    format!("{short:?}")
}

/// A text that nobody can guess.
pub(super) fn unguessable() -> Result<String, ApiError> {
    Ok(random()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn random() -> Result<[u8; 16], ApiError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the system has no random numbers");
        let code = StatusCode::INTERNAL_SERVER_ERROR;
        ApiError::new(code, "the system has no random numbers")
    })?;
    Ok(bytes)
}
