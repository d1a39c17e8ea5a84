//! Decodes a request: compression, forms, parameters, credentials and base64.

use std::borrow::Cow;

use base64::Engine;
use idmerge_events::Values;

use crate::endpoint::Endpoint;
use crate::limits::Limits;
use crate::message::Message;
use crate::problem::Problem;
use crate::response::Dialect;

pub(crate) mod credentials;
pub(crate) mod inflate;
mod pairs;
mod parameters;
mod query_call;
pub(crate) mod utf8;

use credentials::{BASE64, Credentials};
use inflate::inflated;
use pairs::{decoded, unescaped_json};
use parameters::Parameters;
use query_call::query_call;
use utf8::DecodedText;

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
    data: Option<QueryData>,
}

/// The data of a query.
#[derive(Clone, Debug)]
enum QueryData {
    /// Its `data`, still encoded.
    Encoded(Vec<u8>),
    /// The JSON that its parameters are.
    Json(Vec<u8>),
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
            data: match (data, parts.endpoint) {
                (Some(data), _) => Some(QueryData::Encoded(data.to_vec())),
                (None, Endpoint::Pixel(_)) => {
                    query_call(parts.query.as_bytes()).map(QueryData::Json)
                }
                (None, _) => None,
            },
            parameters,
        }
    }

    /// How to respond while the body is unknown. A form in the body can name another dialect; see
    /// [`Message::dialect`].
    pub fn dialect(&self) -> Dialect {
        self.parameters.dialect(self.endpoint, self.is_form)
    }

    /// Decodes the body. It may be compressed with gzip; it is JSON, or a form whose `data` is JSON
    /// or base64 of JSON. If the body has no `data`, that of the query is used; the query of a pixel may also have
    /// the members of a call as its parameters. Bytes that are not UTF-8 are decoded by rule IN-8. The JSON of a
    /// form may also be sent without escapes (IN-9).
    ///
    /// The records are not parsed yet: see [`Message::events`] and [`Message::updates`].
    ///
    /// # Errors
    ///
    /// [`Problem::TooLarge`] if the body exceeds `limits`, before or after decompression;
    /// [`Problem::NoData`], [`Problem::DataTwice`], [`Problem::NotGzip`], [`Problem::UnknownEncoding`] or
    /// [`Problem::NotJson`] if it cannot be decoded.
    pub fn decode<'b>(
        &self,
        body: impl Into<Cow<'b, [u8]>>,
        limits: &Limits,
    ) -> Result<Message<'b>, Problem> {
        let encoding = self.content_encoding.as_deref();
        self.decode_text(
            inflated(body.into(), encoding, limits.max_body_bytes)?,
            limits,
        )
    }

    /// As [`decode`](Self::decode), for a body that the caller has
    /// [decompressed](crate::decompressed_within).
    ///
    /// # Errors
    ///
    /// Those of [`decode`](Self::decode).
    pub fn decode_decompressed(
        &self,
        body: Vec<u8>,
        limits: &Limits,
    ) -> Result<Message<'static>, Problem> {
        let max_body_bytes = limits.max_body_bytes;
        match body.len() > max_body_bytes {
            true => Err(Problem::TooLarge { max_body_bytes }),
            false => self.decode_text(body.into(), limits),
        }
    }

    fn decode_text<'b>(
        &self,
        body: Cow<'b, [u8]>,
        limits: &Limits,
    ) -> Result<Message<'b>, Problem> {
        let mut parameters = self.parameters.clone();
        let max_body_bytes = limits.max_body_bytes;
        let is_json = matches!(first_byte(&body), Some(b'{' | b'['));
        let text = if is_json {
            self.text(body, max_body_bytes)?
        } else {
            self.form_text(&body, &mut parameters, max_body_bytes)?
        };
        let is_form = !is_json;
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
            write_key: parameters.write_key,
            endpoint: self.endpoint,
            dialect,
        })
    }

    /// The JSON of a form.
    fn form_text(
        &self,
        form: &[u8],
        parameters: &mut Parameters,
        max_body_bytes: usize,
    ) -> Result<DecodedText<'static>, Problem> {
        if let Some((before, json)) = unescaped_json(form) {
            let text = self.text(json.to_vec().into(), max_body_bytes)?;
            if is_json(text.as_str()) {
                parameters.set_all(before);
                return Ok(text);
            }
        }
        let data = parameters.set_all(form);
        // One of them would be lost without a word.
        if parameters.repeats_data {
            return Err(Problem::DataTwice);
        }
        let data = match (data, &self.data) {
            (Some(data), _) => data_bytes(data)?,
            (None, Some(QueryData::Encoded(data))) => data_bytes(data)?,
            (None, Some(QueryData::Json(json))) if json.len() > max_body_bytes => {
                return Err(Problem::TooLarge { max_body_bytes });
            }
            (None, Some(QueryData::Json(json))) => json.clone(),
            (None, None) => return Err(no_data(form)),
        };
        self.text(data.into(), max_body_bytes)
    }

    /// Only `/import` tells its sender which records are not UTF-8 (IN-7). Other senders would send
    /// such a record again and again, or lose it.
    fn text<'b>(
        &self,
        bytes: Cow<'b, [u8]>,
        max_body_bytes: usize,
    ) -> Result<DecodedText<'b>, Problem> {
        let joins_halves = self.endpoint != Endpoint::Import;
        DecodedText::decode(bytes, joins_halves, max_body_bytes)
    }
}

fn first_byte(text: &[u8]) -> Option<u8> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    text.trim_ascii_start().first().copied()
}

fn no_data(body: &[u8]) -> Problem {
    match first_byte(body) {
        None => Problem::NoData,
        Some(_) => Problem::NotJson {
            reason: "it starts with neither { nor [, and is not a form with data=".to_owned(),
        },
    }
}

/// Whether a text is JSON values and nothing else.
fn is_json(text: &str) -> bool {
    let mut values = Values::in_row(text);
    loop {
        match values.next_value() {
            Ok(Some(_)) => {}
            end => return end.is_ok(),
        }
    }
}

/// The bytes of a value of `data`: JSON, or base64 of JSON, also in the alphabet for URLs. Some senders do not
/// percent-encode the base64, so its `+` arrives as a space and is put back.
fn data_bytes(encoded: &[u8]) -> Result<Vec<u8>, Problem> {
    let data = decoded(encoded);
    match first_byte(&data) {
        None => Err(Problem::NoData),
        Some(b'{' | b'[') => Ok(data.into_owned()),
        Some(_) => {
            let joined: Vec<u8> = data
                .trim_ascii()
                .iter()
                .filter(|byte| !matches!(byte, b'\r' | b'\n'))
                .map(|&byte| match byte {
                    b' ' | b'-' => b'+',
                    b'_' => b'/',
                    byte => byte,
                })
                .collect();
            BASE64.decode(joined).map_err(|_| Problem::NotJson {
                reason: "it is not base64 either".to_owned(),
            })
        }
    }
}
