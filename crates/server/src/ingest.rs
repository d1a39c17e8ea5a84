//! The endpoints that take records: `/track`, `/import`, `/engage` and `/groups`, and the calls of Segment
//! and RudderStack.
//!
//! A request passes through these steps: `request` reads it, `records` splits it into records and
//! finds the project of each (`calls` also converts calls to events), `submit` queues them at their
//! projects, and `report` waits until they are durable and writes the response.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use idmerge_wire::{Endpoint, Problem};
use jiff::Timestamp;

use crate::app::App;
use crate::clock::now_ms;
use crate::http::body::{BodyShare, ReadBody};
use crate::http::peers::Peer;

mod calls;
pub(crate) mod decoding;
mod records;
mod report;
mod request;
mod response;
pub(crate) mod sdk_settings;
pub(crate) mod stubs;
mod submit;
pub(crate) mod unknown_tokens;

use decoding::{Cost, Turn};
use response::IngestError;
use unknown_tokens::RequestOrigin;

pub(crate) async fn track(State(app): State<Arc<App>>, request: Request) -> Response {
    handle(&app, Endpoint::Track, request).await
}

pub(crate) async fn import(State(app): State<Arc<App>>, request: Request) -> Response {
    handle(&app, Endpoint::Import, request).await
}

pub(crate) async fn engage(State(app): State<Arc<App>>, request: Request) -> Response {
    handle(&app, Endpoint::Engage, request).await
}

pub(crate) async fn groups(State(app): State<Arc<App>>, request: Request) -> Response {
    handle(&app, Endpoint::Groups, request).await
}

/// A call of Segment or RudderStack, of the type that the path names, or a batch of them.
pub(crate) async fn calls(
    kind: Option<&'static str>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Response {
    handle(&app, Endpoint::Calls(kind), request).await
}

/// A call in the query of a URL, for pages and mails that can only show an image.
pub(crate) async fn pixel(
    kind: &'static str,
    State(app): State<Arc<App>>,
    request: Request,
) -> Response {
    let mut response = handle(&app, Endpoint::Pixel(kind), request).await;
    // An image that a client has kept is not asked for again, and then nothing is counted.
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

/// A call in the query of a URL, as the pixel API of RudderStack takes it: as that of Segment, and the call has besides
/// what RudderStack's own server adds to it, which shows that it is of RudderStack.
pub(crate) async fn rudderstack_pixel(
    kind: &'static str,
    app: State<Arc<App>>,
    mut request: Request,
) -> Response {
    let uri = request.uri();
    let query = rudderstack_query(uri.query().unwrap_or_default(), now_ms());
    let with_query = format!("{}?{query}", uri.path()).parse();
    // One that is too long is answered as if it had no data.
    if let Ok(uri) = with_query.or_else(|_| uri.path().parse()) {
        *request.uri_mut() = uri;
    }
    pixel(kind, app, request).await
}

/// The query with what RudderStack's server adds, where the sender does not say it: of a name that occurs twice the last
/// value counts. Its server also takes the quotation marks off an `anonymousId`, which AMP pages send.
fn rudderstack_query(sent: &str, now_ms: i64) -> String {
    let now = Timestamp::from_millisecond(now_ms).unwrap_or_default();
    let mut query = format!("channel=web&originalTimestamp={now}&sentAt={now}");
    for parameter in sent.split('&') {
        query.push('&');
        let quoted = parameter.strip_prefix("anonymousId=");
        match quoted.and_then(without_quotation_marks) {
            Some(id) => query.extend(["anonymousId=", id]),
            None => query.push_str(parameter),
        }
    }
    query
}

fn without_quotation_marks(encoded: &str) -> Option<&str> {
    let mut marks = ["%22", "\""].into_iter();
    marks.find_map(|mark| encoded.strip_prefix(mark)?.strip_suffix(mark))
}

async fn handle(app: &App, endpoint: Endpoint, request: Request) -> Response {
    let started = Instant::now();
    let request = without_data_of_head(request);
    let peer = request.extensions().get::<Peer>().copied();
    let result = ingest(app, endpoint, request).await;
    // A pixel is answered with 200 whatever happens, so the metrics say what happened.
    let hidden_status = match (endpoint, &result) {
        (Endpoint::Pixel(_), Err(error)) => error.status(),
        _ => None,
    };
    let response = match result {
        Ok(answer) => response::response(answer),
        Err(error) => {
            if matches!(error, IngestError::WrongSecret(..)) {
                app.on_wrong_secret(peer).await;
            }
            error.into_response()
        }
    };
    let status = hidden_status.unwrap_or(response.status());
    app.metrics
        .count_request(endpoint, status, started.elapsed());
    response
}

/// A HEAD request stores nothing: programs that check the links of a mail send them. So it is answered as if it had no
/// data.
fn without_data_of_head(mut request: Request) -> Request {
    if request.method() == Method::HEAD
        && let Ok(path) = request.uri().path().parse()
    {
        *request.uri_mut() = path;
    }
    request
}

async fn ingest(
    app: &App,
    endpoint: Endpoint,
    request: Request,
) -> Result<idmerge_wire::Response, IngestError> {
    let (parts, body) = request.into_parts();
    let head = request::head(endpoint, &parts);
    // The share is kept until the response: the batches have the text of the body until then.
    let ReadBody { bytes, share } = request::body(app, &head, &parts, body).await?;
    let busy = || IngestError::Problem(head.dialect(), Problem::RateLimited);
    let limits = &app.bounds.limits;
    let origin = RequestOrigin::new(&parts.headers, parts.extensions.get::<Peer>().copied());
    let sent_bytes = bytes.len();
    let submit = |message, counted_bytes: usize| {
        let has_room = |bytes: usize| share.take(bytes.saturating_sub(counted_bytes));
        submit::submit(app, endpoint, &head, origin, message, &has_room)
    };
    let (submission, _text_permit) = match Cost::of(bytes) {
        Cost::Short {
            body,
            is_decompressed,
        } => {
            let added_bytes = body.len().saturating_sub(sent_bytes);
            if !share.take(added_bytes) {
                return Err(busy());
            }
            let counted_bytes = sent_bytes.max(body.len());
            let message = match is_decompressed {
                true => head.decode_decompressed(body, limits),
                false => head.decode(body, limits),
            };
            (submit(message, counted_bytes)?, None)
        }
        Cost::Long {
            body,
            is_compressed,
        } => {
            let turn = turn(app, &share, is_compressed).await;
            let turn = turn.ok_or_else(|| match app.decoding.is_closed() {
                true => IngestError::Problem(head.dialect(), Problem::Unavailable),
                false => busy(),
            })?;
            // The text of a compressed body has memory of its own, for the longest one.
            let counted_bytes = if is_compressed {
                usize::MAX
            } else {
                sent_bytes
            };
            // Off the workers, so that other requests are not held up. The turns bound the threads.
            let decode_and_submit = || submit(head.decode(body, limits), counted_bytes);
            let submission = tokio::task::block_in_place(decode_and_submit)?;
            let permit = turn.keep(submission.text_bytes);
            (submission, permit)
        }
    };
    report::when_durable(app, endpoint, submission).await
}

/// Waits until a long body may be decoded. `None` if that takes too long, or if the body must make room
/// for others.
async fn turn<'a>(app: &'a App, share: &BodyShare, is_compressed: bool) -> Option<Turn<'a>> {
    // The memory that is kept for small bodies is not for a few bytes with a long text.
    if !share.make_large() || !share.wait() {
        return None;
    }
    let turn = tokio::select! {
        turn = app.decoding.turn(is_compressed) => turn?,
        () = share.gives_way() => return None,
    };
    share.process().then_some(turn)
}
