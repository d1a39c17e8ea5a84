//! What all requests share, and which address leads where.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get, post};
use tokio::sync::Semaphore;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::body::Room;
use crate::config::{Bounds, ProjectConfig};
use crate::metrics::Metrics;
use crate::projects::OpenProject;
use crate::{ingest, openapi, quiet, read};

/// What all requests share.
pub(crate) struct App {
    pub(crate) projects: Vec<OpenProject>,
    places: HashMap<String, usize>,
    pub(crate) bounds: Bounds,
    pub(crate) room: Room,
    pub(crate) metrics: Metrics,
    /// Room for questions.
    pub(crate) questions: Arc<Semaphore>,
    is_stopping: AtomicBool,
}

impl App {
    pub(crate) fn new(projects: Vec<OpenProject>, bounds: Bounds) -> Self {
        let places = projects.iter().enumerate();
        let room = Room::new(
            bounds.body_bytes_in_memory_max,
            bounds.limits.body_bytes_max,
            bounds.body_timeout,
        );
        Self {
            places: places
                .map(|(place, project)| (project.config.token.clone(), place))
                .collect(),
            metrics: Metrics::new(&projects, room.clone()),
            room,
            questions: read::questions(),
            is_stopping: AtomicBool::new(false),
            projects,
            bounds,
        }
    }

    /// The place of the project with this token.
    pub(crate) fn by_token(&self, token: &str) -> Option<usize> {
        self.places.get(token).copied()
    }

    pub(crate) fn configs(&self) -> Vec<&ProjectConfig> {
        self.projects
            .iter()
            .map(|project| &project.config)
            .collect()
    }

    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }
}

/// Which address leads where.
pub(crate) fn routes(app: Arc<App>) -> Router {
    Router::new()
        .merge(sdk_routes())
        .merge(read::routes())
        .route("/", get(page))
        .route("/page.css", get(page_style))
        .route("/page.js", get(page_script))
        .route("/openapi.json", get(openapi::describe))
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .layer(middleware::from_fn(with_safe_headers))
        .with_state(app)
}

/// What SDKs talk to, from the pages of any site: these take, and give nothing away.
fn sdk_routes() -> Router<Arc<App>> {
    let mut routes = Router::new();
    for slash in ["", "/"] {
        let at = |path: &str| format!("{path}{slash}");
        routes = routes
            .route(&at("/track"), get(ingest::track).post(ingest::track))
            .route(&at("/import"), get(ingest::import).post(ingest::import))
            .route(&at("/engage"), get(ingest::engage).post(ingest::engage))
            .route(&at("/groups"), get(ingest::groups).post(ingest::groups))
            .route(&at("/record"), post(quiet::record))
            .route(&at("/flags"), any(quiet::flags))
            .route(&at("/settings"), any(quiet::settings))
            .route(&at("/decide"), any(quiet::decide));
    }
    // The exact origin, since browsers send cookies along and take no star with them.
    routes.layer(
        CorsLayer::new()
            .allow_origin(AllowOrigin::mirror_request())
            .allow_credentials(true)
            .allow_methods([Method::GET, Method::POST])
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers([header::RETRY_AFTER]),
    )
}

/// The page and its parts are in the program, so that it needs nothing from elsewhere.
async fn page() -> Response {
    const POLICY: (HeaderName, HeaderValue) = (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; \
             base-uri 'none'; form-action 'none'",
        ),
    );
    ([POLICY], Html(include_str!("../page/index.html"))).into_response()
}

async fn page_style() -> Response {
    const TYPE: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
    (
        [(header::CONTENT_TYPE, TYPE)],
        include_str!("../page/page.css"),
    )
        .into_response()
}

async fn page_script() -> Response {
    const TYPE: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
    (
        [(header::CONTENT_TYPE, TYPE)],
        include_str!("../page/page.js"),
    )
        .into_response()
}

async fn healthy() -> &'static str {
    "ok\n"
}

async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.is_stopping.load(Ordering::Relaxed) {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response()
    } else {
        "ready\n".into_response()
    }
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    const TYPE: HeaderValue =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(header::CONTENT_TYPE, TYPE)], app.metrics.text()).into_response()
}

/// No answer is taken for something else than it says it is.
async fn with_safe_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let nosniff = HeaderValue::from_static("nosniff");
    response
        .headers_mut()
        .insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}
