//! The description of what can be asked, made from the code.

use axum::Json;
use axum::response::IntoResponse;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{export, funnel, identity, profiles, users};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "idmerge",
        description = "Whose an ID is, what they did, and what changed. What SDKs send to /track, /import, /engage and /groups is the vendor's own API."
    ),
    paths(
        identity::identity,
        identity::changes,
        users::events,
        users::profile,
        funnel::funnel,
        export::export,
        profiles::by_query,
        profiles::by_form,
    ),
    security(("basic" = []), ("bearer" = [])),
    modifiers(&Credentials),
)]
struct Description;

/// A secret or a service account, by Basic; a secret, by Bearer.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let components = description.components.get_or_insert_default();
        let scheme = |scheme| SecurityScheme::Http(Http::new(scheme));
        components.add_security_scheme("basic", scheme(HttpAuthScheme::Basic));
        components.add_security_scheme("bearer", scheme(HttpAuthScheme::Bearer));
    }
}

pub(crate) async fn describe() -> impl IntoResponse {
    Json(Description::openapi())
}
