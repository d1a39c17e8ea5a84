//! Describes the queries in the `OpenAPI` format. The description is generated from the code.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;
use bytes::Bytes;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, PathItem, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::{export, find, funnel, health, identity, live, mappings, people, profiles, users};
use crate::privacy::{deletions, retrievals};
use crate::store::{backup, questions, retract};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "idmerge",
        description = "Queries about the users of a project: identities, claims, changes, events, profiles and funnels. /track, /import, /engage and /groups, which SDKs send data to, follow the vendor's API and are not described here."
    ),
    paths(
        identity::identity,
        identity::changes,
        mappings::mappings,
        backup::backup,
        questions::digest,
        questions::info,
        questions::project,
        questions::log,
        questions::simulate,
        retract::retract,
        find::event_names,
        find::search,
        live::live,
        people::users,
        people::user,
        people::ids,
        users::events,
        users::profile,
        users::hidden_profiles,
        funnel::funnel,
        export::export,
        health::health,
        profiles::by_query,
        profiles::by_form,
        deletions::create,
        deletions::list,
        deletions::status,
        deletions::cancel,
        retrievals::create,
        retrievals::status,
        retrievals::cancel,
        retrievals::archive,
    ),
    components(schemas(live::UnknownToken)),
    security(("basic" = []), ("bearer" = [])),
    modifiers(&Credentials, &Unavailable),
)]
struct Description;

/// The ways to authenticate. Basic: a service account, or a project secret as the user name with an
/// empty password. Bearer: a project secret.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let components = description.components.get_or_insert_default();
        let scheme = |scheme| SecurityScheme::Http(Http::new(scheme));
        components.add_security_scheme("basic", scheme(HttpAuthScheme::Basic));
        components.add_security_scheme("bearer", scheme(HttpAuthScheme::Bearer));
    }
}

/// Every operation can be answered with status 503, so the document says it once for all.
struct Unavailable;

impl Modify for Unavailable {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let error = Content::new(Some(Ref::from_schema_name("ApiError")));
        let unavailable = ResponseBuilder::new()
            .description(
                "The project cannot answer now: people are being erased from it, or its disk is full or faulty; or the \
                 server has as many connections as it may have. Try again after Retry-After",
            )
            .content("application/json", error)
            .build();
        let operations = (description.paths.paths.values_mut()).flat_map(|path| {
            let PathItem {
                get, post, delete, ..
            } = path;
            [get, post, delete].into_iter().flatten()
        });
        for operation in operations {
            let responses = &mut operation.responses.responses;
            responses
                .entry("503".into())
                .or_insert_with(|| unavailable.clone().into());
        }
    }
}

pub(crate) async fn describe() -> impl IntoResponse {
    // Anybody may ask for it, so it is made once.
    static JSON: LazyLock<Bytes> = LazyLock::new(|| {
        let json = Description::openapi().to_json();
        // It has no maps but those with strings as keys, so this cannot fail.
        json.unwrap_or_default().into()
    });
    ([(header::CONTENT_TYPE, "application/json")], JSON.clone())
}
