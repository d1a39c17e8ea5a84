//! The web page. Its files are part of the program, so that the page loads nothing from other servers.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use tower_http::compression::CompressionLayer;

/// The addresses of the page's views. The page reads from the address which view it shows.
const VIEWS: [&str; 7] = [
    "/",
    "/users",
    "/users/{id}",
    "/users/{id}/{tab}",
    "/live",
    "/funnel",
    "/health",
];

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        /// The files below `/page/`, in order, with their contents.
        const FILES: &[(&str, &str)] = &[$(($path, include_str!(concat!("../page/", $path)))),*];
    };
}

files![
    "identity/drawing.js",
    "identity/identity.js",
    "identity/ids.js",
    "identity/known.js",
    "identity/moments.js",
    "identity/rows.js",
    "identity/story.js",
    "identity/withdraw.js",
    "lib/api.js",
    "lib/dom.js",
    "lib/people.js",
    "lib/words.js",
    "main.js",
    "style/base.css",
    "style/person.css",
    "style/views.css",
    "views/events.js",
    "views/funnel.js",
    "views/health.js",
    "views/live.js",
    "views/person.js",
    "views/properties.js",
    "views/signin.js",
    "views/telling.js",
    "views/user.js",
    "views/users.js",
];

/// The routes of the page. Its files are compressed for browsers that accept it.
///
/// The answers to queries are not: they hold what nobody else may know, next to text that others chose, such as the
/// IDs of events. The length of such an answer, once compressed, tells what it holds (BREACH). The page sends its
/// credential in a header, which no other page can have a browser send, but a browser that was given the credential
/// in its own window sends it with every request.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let router = Router::new().route("/page/{*path}", get(file));
    VIEWS
        .iter()
        .fold(router, |router, view| router.route(view, get(html)))
        .route_layer(CompressionLayer::new())
}

async fn html() -> Response {
    const POLICY: (HeaderName, HeaderValue) = (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; \
             base-uri 'none'; form-action 'none'",
        ),
    );
    // An address of the page can hold an ID, which is nobody's business elsewhere.
    const REFERRER: (HeaderName, HeaderValue) = (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    let html = Html(include_str!("../page/index.html"));
    ([POLICY, REFERRER], html).into_response()
}

async fn file(Path(path): Path<String>) -> Response {
    const CSS: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
    const JAVASCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
    let found = FILES.binary_search_by_key(&path.as_str(), |(path, _)| path);
    let Some((path, text)) = found.ok().and_then(|at| FILES.get(at)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let content_type = match path.ends_with(".css") {
        true => CSS,
        false => JAVASCRIPT,
    };
    ([(header::CONTENT_TYPE, content_type)], *text).into_response()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn files_below(folder: &Path, prefix: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
            match entry.path().is_dir() {
                true => files_below(&entry.path(), &format!("{name}/"), found),
                false => found.push(name),
            }
        }
    }

    /// Otherwise the browser asks for a module when it has read the one that imports it, five levels deep.
    #[test]
    fn every_module_is_asked_for_at_once() {
        let html = include_str!("../page/index.html");
        let asked = html.lines().filter_map(|line| {
            let path = line.strip_prefix("<link rel=\"modulepreload\" href=\"/page/")?;
            path.strip_suffix("\">")
        });
        let modules = FILES.iter().map(|(path, _)| *path);
        let modules = modules.filter(|path| path.ends_with(".js") && *path != "main.js");
        assert_eq!(asked.collect::<Vec<_>>(), modules.collect::<Vec<_>>());
    }

    #[test]
    fn every_file_of_the_page_is_served() {
        let mut found = Vec::new();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        files_below(&folder, "", &mut found);
        found.retain(|path| path != "index.html");
        found.sort();
        let served: Vec<_> = FILES.iter().map(|(path, _)| *path).collect();
        assert_eq!(served, found);
    }
}
