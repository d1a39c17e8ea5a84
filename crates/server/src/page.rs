//! The web page. Its files are part of the program, so that the page loads nothing from other servers.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};

pub(crate) async fn html() -> Response {
    const POLICY: (HeaderName, HeaderValue) = (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; \
             base-uri 'none'; form-action 'none'",
        ),
    );
    ([POLICY], Html(include_str!("../page/index.html"))).into_response()
}

pub(crate) async fn style() -> Response {
    const TYPE: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
    (
        [(header::CONTENT_TYPE, TYPE)],
        include_str!("../page/page.css"),
    )
        .into_response()
}

pub(crate) async fn script() -> Response {
    const TYPE: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
    (
        [(header::CONTENT_TYPE, TYPE)],
        include_str!("../page/page.js"),
    )
        .into_response()
}
