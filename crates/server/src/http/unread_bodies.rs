//! What is left of the body of a request when its response is ready.
//!
//! hyper closes the connection of a body that was not read to its end, and its response does not say so. A
//! client that keeps the connection would send its next request into a closed one.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Error;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;

use crate::http::body::Bodies;

/// Reads what the handler left of the body, or tells the client that the connection closes.
pub(crate) async fn read_rest(
    State(bodies): State<Bodies>,
    request: Request,
    next: Next,
) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    // Such a client sends the body once it is asked to, and a response in place of that tells it not to.
    let waits_to_send = request.headers().contains_key(header::EXPECT);
    let rest = Arc::new(Mutex::new(Rest::Lent));
    let request = request.map(|body| {
        let rest = Arc::clone(&rest);
        let is_begun = false;
        Body::new(Lent {
            body,
            is_begun,
            rest,
        })
    });
    let mut response = next.run(request).await;
    if closes(response.headers()) {
        return response;
    }
    let left = std::mem::replace(&mut *rest.lock(), Rest::Lent);
    let is_at_end = match left {
        Rest::Read => true,
        Rest::Unasked(_) if waits_to_send => false,
        Rest::Unasked(body) | Rest::Left(body) => bodies.read_rest(body).await,
        Rest::Lent => false,
    };
    if !is_at_end {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

fn closes(headers: &HeaderMap) -> bool {
    let connection = headers.get(header::CONNECTION);
    connection.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}

/// Where the body of a request is.
#[derive(Debug)]
enum Rest {
    /// The handler has it.
    Lent,
    /// The handler has dropped it without reading any of it.
    Unasked(Body),
    /// The handler has dropped it before its end.
    Left(Body),
    /// It was read to its end, or its connection failed.
    Read,
}

/// A body that is given back when it is dropped.
#[derive(Debug)]
struct Lent {
    body: Body,
    /// Whether the handler has read from it: the server then asks a client that waits to send it.
    is_begun: bool,
    rest: Arc<Mutex<Rest>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.is_begun = true;
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            *self.rest.lock() = Rest::Read;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut rest = self.rest.lock();
        if matches!(*rest, Rest::Lent) {
            let body = std::mem::replace(&mut self.body, Body::empty());
            *rest = match (body.is_end_stream(), self.is_begun) {
                (true, _) => Rest::Read,
                (false, true) => Rest::Left(body),
                (false, false) => Rest::Unasked(body),
            };
        }
    }
}
