//! From the parts of a request to the text of its records.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine;

use crate::credentials::BASE64;
use crate::event::EventRecord;
use crate::inflate::inflated;
use crate::pairs::{decoded, pairs, text};
use crate::split::{Layout, split};
use crate::{Credentials, Dialect, Fault, Limits, Problem, UpdateRecord};

/// Where SDKs send things to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/track`: events of devices, which nobody vouches for.
    Track,
    /// `/import`: events of servers, with a credential.
    Import,
    /// `/engage`: updates of user profiles.
    Engage,
    /// `/groups`: updates of group profiles.
    Groups,
}

impl Endpoint {
    /// The path, such as `/track`.
    pub fn path(self) -> &'static str {
        match self {
            Self::Track => "/track",
            Self::Import => "/import",
            Self::Engage => "/engage",
            Self::Groups => "/groups",
        }
    }

    /// The name, such as `track`.
    pub fn name(self) -> &'static str {
        &self.path()[1..]
    }
}

/// What is known of a request before its body.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'r> {
    /// Where it was sent to.
    pub endpoint: Endpoint,
    /// What stands after the question mark of its address, as it came.
    pub query: &'r str,
    /// The header `Content-Type`.
    pub content_type: Option<&'r str>,
    /// The header `Content-Encoding`.
    pub content_encoding: Option<&'r str>,
    /// The header `Authorization`.
    pub authorization: Option<&'r str>,
}

/// A request without its body, as far as it can be read without it.
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

/// What may be said in a query or in a form.
#[derive(Clone, Debug, Default)]
struct Parameters {
    is_verbose: bool,
    is_strict: Option<bool>,
    is_pixel: bool,
    callback: Option<String>,
    api_key: Option<String>,
    project_id: Option<String>,
}

impl Parameters {
    /// Takes one pair, whichever it is; the last of a name counts.
    fn take(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"verbose" => self.is_verbose = is_on(value),
            b"strict" => self.is_strict = Some(is_on(value)),
            b"img" => self.is_pixel = is_on(value),
            b"callback" => self.callback = text(value).filter(|name| is_function(name)),
            b"api_key" => self.api_key = text(value).filter(|key| !key.is_empty()),
            b"project_id" => self.project_id = text(value).filter(|id| !id.is_empty()),
            _ => {}
        }
    }

    /// Takes every pair of a form, and answers with its `data`, still encoded.
    fn take_all<'f>(&mut self, form: &'f [u8]) -> Option<&'f [u8]> {
        let mut data = None;
        for (name, value) in pairs(form) {
            if name == b"data" {
                data.get_or_insert(value);
            } else {
                self.take(name, value);
            }
        }
        data
    }
}

/// Whether a parameter is switched on: RudderStack says 2 where others say 1.
fn is_on(value: &[u8]) -> bool {
    !matches!(value, b"" | b"0" | b"false")
}

/// Whether a text can be called in a script and do nothing else there.
fn is_function(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.starts_with(|first: char| first.is_ascii_digit())
            && !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$'))
    };
    name.len() <= 128 && name.split('.').all(is_part)
}

impl Head {
    /// Reads what there is before the body. Nothing in it is an error here: what cannot be used is
    /// as good as not sent.
    pub fn read(parts: Parts<'_>) -> Self {
        let mut parameters = Parameters::default();
        let data = parameters.take_all(parts.query.as_bytes());
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

    /// How to answer while the body is not known.
    pub fn dialect(&self) -> Dialect {
        dialect(self.endpoint, self.is_form, &self.parameters)
    }

    /// Reads the body: gzip or not; a form with `data`, or the data itself; base64 of JSON, or JSON.
    ///
    /// # Errors
    ///
    /// A [`Problem`] says why there are no records in it.
    pub fn decode<'b>(
        &self,
        body: impl Into<Cow<'b, [u8]>>,
        limits: &Limits,
    ) -> Result<Message<'b>, Problem> {
        let encoding = self.content_encoding.as_deref();
        let body = inflated(body.into(), encoding, limits.body_bytes_max)?;
        let mut parameters = self.parameters.clone();
        let start = first_byte(&body);
        let (text, is_form) = if let Some(b'{' | b'[') = start {
            (as_text(body)?, false)
        } else {
            let data = match parameters.take_all(&body) {
                Some(data) => Some(data),
                None => self.data.as_deref(),
            };
            let Some(data) = data else {
                return Err(match start {
                    None => Problem::NoData,
                    Some(_) => Problem::NotJson {
                        reason: "it begins with neither { nor [, and has no data=".to_owned(),
                    },
                });
            };
            (Cow::Owned(data_text(data)?), true)
        };
        let dialect = dialect(self.endpoint, is_form, &parameters);
        Ok(Message {
            text,
            is_ndjson: self.is_ndjson,
            is_strict: match parameters.is_strict {
                Some(is_strict) => is_strict,
                // A form's sender hears nothing of single records, and often sends no $insert_id.
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

fn dialect(endpoint: Endpoint, is_form: bool, parameters: &Parameters) -> Dialect {
    let is_modern = match endpoint {
        Endpoint::Import => !is_form,
        Endpoint::Engage | Endpoint::Groups => parameters.is_strict == Some(true) && !is_form,
        Endpoint::Track => false,
    };
    if is_modern {
        Dialect::Modern
    } else if parameters.is_pixel {
        Dialect::Pixel
    } else if let Some(callback) = &parameters.callback {
        Dialect::Callback {
            function: callback.clone(),
            is_verbose: parameters.is_verbose,
        }
    } else if parameters.is_verbose {
        Dialect::Verbose
    } else {
        Dialect::Plain
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

/// The text of a value of `data`: JSON, or base64 of it, which some senders do not escape, so that
/// its `+` was read as a space.
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
                reason: "it is no base64 either".to_owned(),
            })?
        }
    };
    String::from_utf8(text).map_err(|_| Problem::NotUtf8)
}

/// A request whose encoding is off: a text with records.
#[derive(Clone, Debug)]
pub struct Message<'b> {
    text: Cow<'b, str>,
    is_ndjson: bool,
    /// Where it was sent to.
    pub endpoint: Endpoint,
    /// How to answer it.
    pub dialect: Dialect,
    /// Whether its sender wants to hear of every record that fails.
    pub is_strict: bool,
    /// What it has to show for itself.
    pub credentials: Credentials,
    /// The project that a service account speaks of.
    pub project_id: Option<String>,
}

impl Message<'_> {
    /// The records as events, in the order they came. One that is none is a fault in its place.
    ///
    /// # Errors
    ///
    /// The text is not JSON, or has too many records.
    pub fn events(&self, limits: &Limits) -> Result<Vec<Result<EventRecord<'_>, Fault>>, Problem> {
        let records = split(&self.text, self.layout(), limits)?;
        let event = |record: Result<_, _>| record.and_then(|text| EventRecord::read(text, limits));
        Ok(records.into_iter().map(event).collect())
    }

    /// The records as updates of profiles, in the order they came.
    ///
    /// # Errors
    ///
    /// As [`events`](Self::events).
    pub fn updates(
        &self,
        limits: &Limits,
    ) -> Result<Vec<Result<UpdateRecord<'_>, Fault>>, Problem> {
        let records = split(&self.text, self.layout(), limits)?;
        let is_group = self.endpoint == Endpoint::Groups;
        let update =
            |record: Result<_, _>| record.and_then(|text| UpdateRecord::read(text, is_group));
        Ok(records.into_iter().map(update).collect())
    }

    /// Where the text of a record of this message stands in [`into_text`](Self::into_text); the
    /// empty range where it is of another.
    pub fn range(&self, record: &str) -> Range<usize> {
        let start = record
            .as_ptr()
            .addr()
            .wrapping_sub(self.text.as_ptr().addr());
        let end = start.wrapping_add(record.len());
        if self.text.get(start..end) == Some(record) {
            start..end
        } else {
            0..0
        }
    }

    /// The text with all records, for who keeps them as they came.
    pub fn into_text(self) -> String {
        self.text.into_owned()
    }

    fn layout(&self) -> Layout {
        if self.is_ndjson {
            Layout::Lines
        } else {
            Layout::Json
        }
    }
}
