//! Requests that no endpoint takes: their heads break the rules of HTTP, or there is nothing at the path
//! or for the method.

use axum::Json;
use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::http::api_error::ApiError;

/// An error in the shape that the vendor's endpoints for records answer with.
#[derive(Serialize)]
struct Refusal<'a> {
    code: u16,
    error: &'a str,
    status: &'static str,
}

/// A response with an error, in the shape that clients of this path know.
pub(crate) fn refuse(path: &str, code: StatusCode, error: &str) -> Response {
    if path.starts_with("/v1") || path.starts_with("/api") {
        return ApiError::new(code, error).into_response();
    }
    let refusal = Refusal {
        code: code.as_u16(),
        error,
        status: code.canonical_reason().unwrap_or("Error"),
    };
    (code, Json(refusal)).into_response()
}

/// As [`refuse`], and then the connection is closed: the server cannot tell where the next request
/// begins.
pub(crate) fn refuse_and_close(path: &str, code: StatusCode, error: &str) -> Response {
    let mut response = refuse(path, code, error);
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

pub(crate) async fn not_found(uri: Uri) -> Response {
    let error = "there is nothing at this path; /openapi.json describes the queries";
    refuse(uri.path(), StatusCode::NOT_FOUND, error)
}

/// The header `Allow` is added by the router, which knows the methods of the path, and then by [`add_options`].
pub(crate) async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let error = "this path does not take this method; the header Allow lists those that it takes";
    refuse(uri.path(), StatusCode::METHOD_NOT_ALLOWED, error)
}

/// Adds OPTIONS to the methods that a path takes. The router lists those that have a handler, and
/// [`method_not_allowed`] or the layer for CORS answers OPTIONS at every path.
pub(crate) fn add_options(headers: &mut HeaderMap) {
    let Some(allow) = headers.get_mut(header::ALLOW) else {
        return;
    };
    let methods = allow.to_str().unwrap_or_default();
    if !methods.ends_with("OPTIONS") {
        let comma = if methods.is_empty() { "" } else { "," };
        if let Ok(all) = HeaderValue::try_from(format!("{methods}{comma}OPTIONS")) {
            *allow = all;
        }
    }
}

/// Refuses what hyper lets through. A proxy and a server that read different hosts from one request can
/// be played off against each other.
pub(crate) async fn check_head(request: Request, next: Next) -> Response {
    if request.uri().path() == "*" && request.method() == Method::OPTIONS {
        let allow = [(header::ALLOW, "GET,HEAD,POST,OPTIONS")];
        return (StatusCode::NO_CONTENT, allow).into_response();
    }
    match host_error(&request) {
        None => next.run(request).await,
        Some(error) => refuse_and_close(request.uri().path(), StatusCode::BAD_REQUEST, error),
    }
}

/// What is wrong with the header `Host` (RFC 9112, section 3.2).
fn host_error(request: &Request) -> Option<&'static str> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() < Version::HTTP_11 => None,
        (None, _) => Some("the request has no header Host; HTTP/1.1 needs one"),
        (Some(host), None) if is_host(host) => None,
        (Some(_), None) => Some("the header Host is not a host name with an optional port"),
        (Some(_), Some(_)) => Some("the request has more than one header Host; send one"),
    }
}

fn is_host(host: &HeaderValue) -> bool {
    // It is empty if the target has no host.
    host.is_empty()
        || !host.as_bytes().contains(&b'@') && Authority::try_from(host.as_bytes()).is_ok()
}
