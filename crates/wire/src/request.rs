//! Decodes a request: compression, forms, parameters, credentials and base64.

use std::borrow::Cow;

use base64::Engine;

use crate::endpoint::Endpoint;
use crate::limits::Limits;
use crate::message::Message;
use crate::problem::Problem;
use crate::response::Dialect;

pub(crate) mod credentials;
mod inflate;
mod pairs;
mod parameters;

use credentials::{BASE64, Credentials};
use inflate::inflated;
use pairs::decoded;
use parameters::Parameters;

/// The parts of an HTTP request that arrive before its body.
#[derive(Clone, Copy, Debug)]
pub struct RequestParts<'r> {
    /// The endpoint that the request is for.
    pub endpoint: Endpoint,
    /// The query of the URL, without the question mark and still percent-encoded.
    pub query: &'r str,
    /// The header `Content-Type`, if there is one.
    pub content_type: Option<&'r str>,
    /// The header `Content-Encoding`, if there is one.
    pub content_encoding: Option<&'r str>,
    /// The header `Authorization`, if there is one. Pass the empty text for a header that is not
    /// text: an unreadable credential is not the same as none.
    pub authorization: Option<&'r str>,
}

/// The head of a request, decoded. It decodes the body.
#[derive(Clone, Debug)]
pub struct Head {
    endpoint: Endpoint,
    parameters: Parameters,
    credentials: Credentials,
    content_encoding: Option<String>,
    is_form: bool,
    is_ndjson: bool,
    /// The `data` of the query, still encoded.
    data: Option<Vec<u8>>,
}

impl Head {
    /// Decodes the head of a request. This never fails: a parameter that cannot be used counts as
    /// not sent.
    pub fn read(parts: RequestParts<'_>) -> Self {
        let mut parameters = Parameters::default();
        let data = parameters.set_all(parts.query.as_bytes());
        let media_type = parts.content_type.unwrap_or("");
        let media_type = media_type.split(';').next().unwrap_or("").trim();
        let is = |wanted: &str| media_type.eq_ignore_ascii_case(wanted);
        Self {
            endpoint: parts.endpoint,
            credentials: match parts.authorization {
                Some(authorization) => Credentials::read(authorization),
                None => Credentials::None,
            },
            content_encoding: parts.content_encoding.map(str::to_owned),
            is_form: data.is_some() || is("application/x-www-form-urlencoded"),
            is_ndjson: is("application/x-ndjson"),
            data: data.map(<[u8]>::to_vec),
            parameters,
        }
    }

    /// How to respond while the body is unknown. A form in the body can name another dialect; see
    /// [`Message::dialect`].
    pub fn dialect(&self) -> Dialect {
        self.parameters.dialect(self.endpoint, self.is_form)
    }

    /// Decodes the body. It may be compressed with gzip; it is JSON, or a form whose `data` is JSON
    /// or base64 of JSON. If the body has no `data`, that of the query is used.
    ///
    /// The records are not parsed yet: see [`Message::events`] and [`Message::updates`].
    ///
    /// # Errors
    ///
    /// [`Problem::TooLarge`] if the body exceeds `limits`, before or after decompression;
    /// [`Problem::NoData`], [`Problem::NotGzip`], [`Problem::UnknownEncoding`],
    /// [`Problem::NotUtf8`] or [`Problem::NotJson`] if it cannot be decoded.
    pub fn decode<'b>(
        &self,
        body: impl Into<Cow<'b, [u8]>>,
        limits: &Limits,
    ) -> Result<Message<'b>, Problem> {
        let encoding = self.content_encoding.as_deref();
        let body = inflated(body.into(), encoding, limits.max_body_bytes)?;
        let mut parameters = self.parameters.clone();
        let start = first_byte(&body);
        let (text, is_form) = if let Some(b'{' | b'[') = start {
            (as_text(body)?, false)
        } else {
            let data = match parameters.set_all(&body) {
                Some(data) => Some(data),
                None => self.data.as_deref(),
            };
            let Some(data) = data else {
                return Err(match start {
                    None => Problem::NoData,
                    Some(_) => Problem::NotJson {
                        reason: "it starts with neither { nor [, and is not a form with data="
                            .to_owned(),
                    },
                });
            };
            (Cow::Owned(data_text(data)?), true)
        };
        let dialect = parameters.dialect(self.endpoint, is_form);
        Ok(Message {
            text,
            is_ndjson: self.is_ndjson,
            is_strict: match parameters.is_strict {
                Some(is_strict) => is_strict,
                // The response to a form does not report single records, and such senders often
                // leave out $insert_id.
                None => dialect.is_modern(),
            },
            credentials: match (&self.credentials, parameters.api_key) {
                (Credentials::None, Some(api_key)) => Credentials::ApiKey(api_key),
                (credentials, _) => credentials.clone(),
            },
            project_id: parameters.project_id,
            endpoint: self.endpoint,
            dialect,
        })
    }
}

fn first_byte(text: &[u8]) -> Option<u8> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    text.trim_ascii_start().first().copied()
}

fn as_text(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, str>, Problem> {
    match bytes {
        Cow::Borrowed(bytes) => str::from_utf8(bytes).map(Cow::Borrowed).ok(),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).ok(),
    }
    .ok_or(Problem::NotUtf8)
}

/// The text of a value of `data`: JSON, or base64 of JSON. Some senders do not percent-encode the
/// base64, so its `+` arrives as a space and is put back.
fn data_text(encoded: &[u8]) -> Result<String, Problem> {
    let data = decoded(encoded);
    let text = match first_byte(&data) {
        None => return Err(Problem::NoData),
        Some(b'{' | b'[') => data.into_owned(),
        Some(_) => {
            let joined: Vec<u8> = data
                .trim_ascii()
                .iter()
                .filter(|byte| !matches!(byte, b'\r' | b'\n'))
                .map(|&byte| if byte == b' ' { b'+' } else { byte })
                .collect();
            BASE64.decode(joined).map_err(|_| Problem::NotJson {
                reason: "it is not base64 either".to_owned(),
            })?
        }
    };
    String::from_utf8(text).map_err(|_| Problem::NotUtf8)
}
