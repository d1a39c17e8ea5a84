//! The web page. Its files are part of the program, so that the page loads nothing from other servers.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

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
        /// The modules below `/page/VERSION/`, in order, with their contents.
        const MODULES: &[(&str, &str)] = &[$(($path, include_str!(concat!("../page/", $path)))),*];
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

const STYLE_PATH: &str = "style.css";

/// The style sheets, as one file: the browser paints nothing before it has all of them.
const STYLE: &str = concat!(
    include_str!("../page/style/base.css"),
    include_str!("../page/style/views.css"),
    include_str!("../page/style/person.css"),
);

const HTML: &str = include_str!("../page/index.html");

/// A part of the address of each file. It changes with any of them, so a browser may keep them for ever, and never has
/// modules of two versions.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    (MODULES, STYLE).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
});

/// The document, which names the files of this version.
static DOCUMENT: LazyLock<Asset> = LazyLock::new(|| {
    let html = HTML.replace("\"/page/", &format!("\"/page/{}/", *VERSION));
    Asset::new("text/html; charset=utf-8", html)
});

static FILES: LazyLock<HashMap<&str, Asset>> = LazyLock::new(|| {
    let modules = MODULES
        .iter()
        .map(|(path, text)| (*path, Asset::new("text/javascript; charset=utf-8", *text)));
    let style = (STYLE_PATH, Asset::new("text/css; charset=utf-8", STYLE));
    modules.chain([style]).collect()
});

/// The routes of the page. Its files are compressed for browsers that accept it.
///
/// The answers to queries are not: they hold what nobody else may know, next to text that others chose, such as the
/// IDs of events. The length of such an answer, once compressed, tells what it holds (BREACH). The page sends its
/// credential in a header, which no other page can have a browser send, but a browser that was given the credential
/// in its own window sends it with every request.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let router = Router::new().route("/page/{version}/{*path}", get(file));
    VIEWS
        .iter()
        .fold(router, |router, view| router.route(view, get(html)))
}

async fn html(headers: HeaderMap) -> Response {
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
    const CACHE: (HeaderName, HeaderValue) =
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    ([POLICY, REFERRER, CACHE], DOCUMENT.to(&headers)).into_response()
}

async fn file(Path((version, path)): Path<(String, String)>, headers: HeaderMap) -> Response {
    const FOR_EVER: (HeaderName, HeaderValue) = (
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    match FILES.get(&*path) {
        Some(file) if version == *VERSION => ([FOR_EVER], file.to(&headers)).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A text that never changes, so it is compressed once.
struct Asset {
    content_type: HeaderValue,
    plain: Bytes,
    gzip: Option<Bytes>,
}

impl Asset {
    fn new(content_type: &'static str, text: impl Into<Bytes>) -> Self {
        let plain = text.into();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let written = encoder.write_all(&plain);
        Self {
            content_type: HeaderValue::from_static(content_type),
            gzip: written
                .and_then(|()| encoder.finish())
                .ok()
                .map(Bytes::from),
            plain,
        }
    }

    /// The text for whoever sent these headers. A cache must not give the compressed one to somebody else.
    fn to(&self, headers: &HeaderMap) -> Response {
        const VARY: (HeaderName, HeaderValue) =
            (header::VARY, HeaderValue::from_static("accept-encoding"));
        const GZIP: (HeaderName, HeaderValue) =
            (header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        let kind = (header::CONTENT_TYPE, self.content_type.clone());
        match &self.gzip {
            Some(gzip) if accepts_gzip(headers) => {
                ([kind, VARY, GZIP], gzip.clone()).into_response()
            }
            _ => ([kind, VARY], self.plain.clone()).into_response(),
        }
    }
}

/// Whether the sender names gzip, and not with the quality zero (RFC 9110, section 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::ACCEPT_ENCODING).into_iter();
    let codings = lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','));
    codings.into_iter().any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let quality = weight.trim().strip_prefix("q=").unwrap_or("1");
        name.trim().eq_ignore_ascii_case("gzip") && !quality.trim_matches(['0', '.']).is_empty()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
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

    /// What a module imports before it runs, as paths.
    fn imported(path: &str) -> Vec<String> {
        let (_, text) = MODULES.iter().find(|(found, _)| *found == path).unwrap();
        let named = text.lines().filter(|line| line.starts_with("import "));
        let named = named.map(|line| line.split('"').nth(1).unwrap());
        named
            .map(|named| {
                let folder = Path::new(path).parent().unwrap();
                match named.strip_prefix("../") {
                    Some(rest) => rest.to_owned(),
                    None => folder.join(&named[2..]).to_str().unwrap().to_owned(),
                }
            })
            .collect()
    }

    /// Otherwise the browser asks for a module when it has read the one that imports it. What only some views need is
    /// not asked for before the first paint.
    #[test]
    fn what_every_view_needs_is_asked_for_at_once() {
        let mut needed = BTreeSet::new();
        let mut left = vec!["main.js".to_owned()];
        while let Some(path) = left.pop() {
            left.extend(imported(&path));
            needed.insert(path);
        }
        needed.remove("main.js");
        let asked = HTML.lines().filter_map(|line| {
            let path = line.strip_prefix("<link rel=\"modulepreload\" href=\"/page/")?;
            path.strip_suffix("\">")
        });
        let needed: Vec<_> = needed.iter().map(String::as_str).collect();
        assert_eq!(asked.collect::<Vec<_>>(), needed);
    }

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        let mut found = Vec::new();
        files_below(&folder, "", &mut found);
        let (styles, mut modules): (Vec<_>, Vec<_>) = found
            .into_iter()
            .filter(|path| path != "index.html")
            .partition(|path| path.ends_with(".css"));
        modules.sort();
        let served: Vec<_> = MODULES.iter().map(|(path, _)| *path).collect();
        assert_eq!(served, modules);
        let bytes = |path: &String| fs::read_to_string(folder.join(path)).unwrap().len();
        assert_eq!(STYLE.len(), styles.iter().map(bytes).sum::<usize>());
    }
}
