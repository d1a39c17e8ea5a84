//! The route table: every path of the server and its handler.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use idmerge_project::{Project, ProjectError};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::app::App;
use crate::http::body::Bodies;
use crate::http::listen::pace::Pace;
use crate::http::refusals;
use crate::http::unread_bodies::read_rest;
use crate::ingest::{self, sdk_settings, stubs};
use crate::page;
use crate::privacy::{deletions, retrievals};
use crate::projects::OpenProject;
use crate::read::{
    export, find, funnel, health, identity, live, mappings, openapi, people, profiles, users,
};
use crate::store::{backup, questions, retract};

pub(crate) fn routes(app: Arc<App>) -> Router {
    let bodies = Bodies::from_ref(&app);
    let routes = Router::new()
        .merge(sdk_routes())
        .merge(query_routes())
        .merge(privacy_routes())
        .merge(page::routes())
        .route("/openapi.json", get(openapi::describe))
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(refusals::method_not_allowed)
        .with_state(app);
    // A layer of a router runs after it has chosen a route, so the paths are changed by a layer of
    // a router around it.
    Router::new()
        .fallback_service(routes)
        .layer(middleware::map_request(without_slashes))
        .layer(middleware::from_fn(refusals::check_head))
        .layer(middleware::from_fn_with_state(bodies, read_rest))
        .layer(middleware::map_response(add_headers))
}

/// The paths of Segment and RudderStack, and the type of their calls. analytics-next has paths of one letter,
/// and RudderStack a path for what browsers send while the user leaves a page.
const CALLS: [(&str, Option<&str>); 16] = [
    ("/v1/track", Some("track")),
    ("/v1/t", Some("track")),
    ("/v1/identify", Some("identify")),
    ("/v1/i", Some("identify")),
    ("/v1/page", Some("page")),
    ("/v1/p", Some("page")),
    ("/v1/screen", Some("screen")),
    ("/v1/s", Some("screen")),
    ("/v1/group", Some("group")),
    ("/v1/g", Some("group")),
    ("/v1/alias", Some("alias")),
    ("/v1/a", Some("alias")),
    ("/v1/batch", None),
    ("/v1/b", None),
    ("/v1/import", None),
    ("/beacon/v1/batch", None),
];

/// The paths of the pixel API of Segment, and the type of their calls.
const PIXELS: [(&str, &str); 6] = [
    ("/v1/pixel/track", "track"),
    ("/v1/pixel/identify", "identify"),
    ("/v1/pixel/page", "page"),
    ("/v1/pixel/screen", "screen"),
    ("/v1/pixel/group", "group"),
    ("/v1/pixel/alias", "alias"),
];

/// The paths of the pixel API of RudderStack, and the type of their calls.
const RUDDERSTACK_PIXELS: [(&str, &str); 2] =
    [("/pixel/v1/track", "track"), ("/pixel/v1/page", "page")];

/// The endpoints of SDKs. Pages of any origin may call them, because they only take data: none of
/// their responses contains stored data. Nor does the response for a path that does not exist. It has
/// the CORS headers, so that a page sees that its path is wrong and does not see a network error.
fn sdk_routes() -> Router<Arc<App>> {
    let mut routes = Router::new()
        .fallback(refusals::not_found)
        .route("/track", get(ingest::track).post(ingest::track))
        .route("/import", get(ingest::import).post(ingest::import))
        .route("/engage", get(ingest::engage).post(ingest::engage))
        .route("/groups", get(ingest::groups).post(ingest::groups))
        .route(
            "/v1/projects/{write_key}/settings",
            get(sdk_settings::segment),
        )
        .route("/sourceConfig", get(sdk_settings::rudderstack))
        .route("/v1/m", post(stubs::metrics))
        .route("/record", post(stubs::record))
        .route("/flags", any(stubs::flags))
        .route("/settings", any(stubs::settings))
        .route("/decide", any(stubs::decide));
    for (path, kind) in CALLS {
        let handler = move |app, request| ingest::calls(kind, app, request);
        routes = routes.route(path, post(handler));
    }
    for (path, kind) in PIXELS {
        let handler = move |app, request| ingest::pixel(kind, app, request);
        routes = routes.route(path, get(handler));
    }
    for (path, kind) in RUDDERSTACK_PIXELS {
        let handler = move |app, request| ingest::rudderstack_pixel(kind, app, request);
        routes = routes.route(path, get(handler));
    }
    // Before the layer, so that it answers the preflight requests of browsers.
    let routes = routes.method_not_allowed_fallback(refusals::method_not_allowed);
    // Browsers send cookies along, and then accept only the exact origin: `*` would be rejected.
    routes.layer(
        CorsLayer::new()
            .allow_origin(AllowOrigin::mirror_request())
            .allow_credentials(true)
            .allow_methods([Method::GET, Method::POST])
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers([header::RETRY_AFTER]),
    )
}

/// The queries. Each handler takes a `Reader`, which exists only for an authorized request.
fn query_routes() -> Router<Arc<App>> {
    let profiles = get(profiles::by_query).post(profiles::by_form);
    Router::new()
        .route("/v1/ids/{id}", get(identity::identity))
        .route("/v1/changes", get(identity::changes))
        .route("/v1/mappings", get(mappings::mappings))
        .route("/v1/event-names", get(find::event_names))
        .route("/v1/live", get(live::live))
        .route("/v1/search", get(find::search))
        .route("/v1/users", get(people::users))
        .route("/v1/users/{id}", get(people::user))
        .route("/v1/users/{id}/ids", get(people::ids))
        .route("/v1/users/{id}/events", get(users::events))
        .route("/v1/users/{id}/profile", get(users::profile))
        .route(
            "/v1/users/{id}/hidden-profiles",
            get(users::hidden_profiles),
        )
        .route("/v1/backup", get(backup::backup))
        .route("/v1/digest", get(questions::digest))
        .route("/v1/info", get(questions::info))
        .route("/v1/project", get(questions::project))
        .route("/v1/health", get(health::health))
        .route("/v1/log", get(questions::log))
        .route("/v1/retract", post(retract::retract))
        .route("/v1/simulate", get(questions::simulate))
        .route("/v1/funnel", get(funnel::funnel))
        .route("/api/2.0/export", get(export::export))
        .route("/api/query/engage", profiles.clone())
        // The path that mixpanel-utils uses for the same query.
        .route("/api/2.0/engage", profiles)
}

/// The requests of people about their data. Each handler takes a `Requester`, which exists only for an authorized
/// request, but for the archive, whose link is the credential.
fn privacy_routes() -> Router<Arc<App>> {
    Router::new()
        .route(
            "/api/app/data-deletions/v3.0",
            post(deletions::create).get(deletions::list),
        )
        .route(
            "/api/app/data-deletions/v3.0/{tracking_id}",
            get(deletions::status).delete(deletions::cancel),
        )
        .route("/api/app/data-retrievals/v3.0", post(retrievals::create))
        .route(
            "/api/app/data-retrievals/v3.0/{tracking_id}",
            get(retrievals::status).delete(retrievals::cancel),
        )
        .route(
            "/api/app/data-retrievals/v3.0/{tracking_id}/archive",
            get(retrievals::archive),
        )
}

async fn healthy() -> &'static str {
    "ok\n"
}

async fn ready(State(app): State<Arc<App>>) -> Response {
    let unavailable = |reason: String| (StatusCode::SERVICE_UNAVAILABLE, reason).into_response();
    if app.is_stopping() {
        unavailable("stopping\n".to_owned())
    } else {
        // It asks the file system.
        let failures = tokio::task::spawn_blocking(move || {
            app.projects.iter().filter_map(failure).collect::<String>()
        });
        match failures.await {
            Ok(failures) if failures.is_empty() => "ready\n".into_response(),
            Ok(failures) => unavailable(failures),
            Err(error) => {
                tracing::error!(%error, "it is not known whether the projects can write");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// Why a project is not ready. Without its file, what it still writes is lost when the server stops: the system keeps a
/// file that was removed as long as it is open.
fn failure(open: &OpenProject) -> Option<String> {
    let token = &open.config.token;
    if has_failed(&open.project) {
        return Some(format!("project {token} cannot write\n"));
    }
    let has_file = idmerge_store::exists(&open.folder);
    matches!(has_file, Ok(false))
        .then(|| format!("project {token} has lost the file of its store\n"))
}

/// Whether a project cannot write because something is wrong. While people are being erased from one project, the
/// others are served.
fn has_failed(project: &Project) -> bool {
    !matches!(project.check(), Ok(()) | Err(ProjectError::Erasing))
}

/// Replaces several slashes in a row by one, since SDKs join a configured address that ends with a slash and a path that
/// begins with one; and leaves out the slash at the end, which the vendor's API allows and its clients send.
async fn without_slashes(mut request: Request) -> Request {
    let path = request.uri().path();
    if path == "/" || !path.contains("//") && !path.ends_with('/') {
        return request;
    }
    let mut joined = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !joined.ends_with('/') {
            joined.push(character);
        }
    }
    if joined.len() > 1 && joined.ends_with('/') {
        joined.pop();
    }
    if let Some(query) = request.uri().query() {
        joined.push('?');
        joined.push_str(query);
    }
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(joined).ok().or(parts.path_and_query);
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}

async fn metrics(State(app): State<Arc<App>>, request: Request) -> Response {
    const TYPE: HeaderValue =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    if let Some(pace) = request.extensions().get::<Pace>().cloned() {
        pace.wait().await;
    }
    let max_age = app.bounds.metrics_age;
    let text = match app.metrics.recent_text(max_age) {
        Some(text) => text,
        None => {
            let make = move || app.metrics.text(max_age);
            match tokio::task::spawn_blocking(make).await {
                Ok(text) => text,
                Err(error) => {
                    tracing::error!(%error, "the metrics cannot be made");
                    return StatusCode::INTERNAL_SERVER_ERROR.into_response();
                }
            }
        }
    };
    ([(header::CONTENT_TYPE, TYPE)], text).into_response()
}

/// Adds the headers that responses of all paths need.
async fn add_headers(mut response: Response) -> Response {
    let is_unauthorized = response.status() == StatusCode::UNAUTHORIZED;
    let headers = response.headers_mut();
    // Browsers must not guess another content type than the one that the response declares.
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    refusals::add_options(headers);
    if is_unauthorized {
        for challenge in [
            "Basic realm=\"idmerge\", charset=\"UTF-8\"",
            "Bearer realm=\"idmerge\"",
        ] {
            headers.append(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
    }
    response
}
