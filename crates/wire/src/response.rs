//! The responses that SDKs take for success or failure.

use std::borrow::Cow;

use serde::Serialize;

use crate::problem::Problem;
use crate::records::fault::Fault;

/// A GIF with one transparent pixel.
const PIXEL: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// The format of a response. SDKs decide by it whether to send the batch again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `1` or `0`, and nothing else: some SDKs compare the whole body.
    Plain,
    /// `{"error":null,"status":1}`, or the error and the status 0.
    Verbose,
    /// A transparent pixel, for pages that send with an `<img>` element. It cannot report errors.
    Pixel,
    /// A script that calls a function of the page (JSONP).
    Callback {
        /// The name of the function: identifiers joined by dots.
        function: String,
        /// Whether its argument is the body of [`Verbose`](Self::Verbose); else it is that of
        /// [`Plain`](Self::Plain).
        is_verbose: bool,
    },
    /// `{"code":200,"num_records_imported":1,"status":"OK"}`, or an error with every record that
    /// failed.
    Modern,
    /// `{"success":true}`, or an error with its code: what the HTTP API of Segment answers. Clients of
    /// RudderStack look at the status alone.
    Calls,
    /// A transparent pixel with the status 200, whatever happens: what the pixel API of Segment answers.
    CallPixel,
}

/// An HTTP response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: Cow<'static, [u8]>,
}

/// The results of the records of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many records were taken.
    pub taken: usize,
    /// The records that were not taken.
    pub failed: Vec<FailedRecord>,
    /// Whether to report failed records. If not, [`Dialect::Modern`] reports success.
    pub is_strict: bool,
}

/// A record that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRecord {
    /// The index of the record in the request, from 0.
    pub index: usize,
    /// Its `$insert_id`, if it has one.
    pub insert_id: Option<String>,
    /// Why it was not taken.
    pub fault: Fault,
}

/// The key of `insert_id` has two spellings, for old and new clients.
#[derive(Serialize)]
struct FailedRecordJson<'a> {
    index: usize,
    insert_id: &'a str,
    #[serde(rename = "$insert_id")]
    dollar_insert_id: &'a str,
    field: &'a str,
    message: String,
}

#[derive(Serialize)]
struct ImportedJson {
    code: u16,
    num_records_imported: usize,
    status: &'static str,
}

#[derive(Serialize)]
struct FailedJson<'a, R> {
    code: u16,
    error: &'a str,
    status: &'static str,
    num_records_imported: usize,
    failed_records: Vec<R>,
}

#[derive(Serialize)]
struct RefusedJson<'a> {
    code: u16,
    error: &'a str,
    status: &'static str,
}

#[derive(Serialize)]
struct CallsJson<'a> {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

#[derive(Serialize)]
struct VerboseJson<'a> {
    error: Option<&'a str>,
    status: u8,
}

impl Dialect {
    /// Whether this dialect reports single records.
    pub fn is_modern(&self) -> bool {
        matches!(self, Self::Modern)
    }

    /// The response for the results of a request.
    ///
    /// In [`Dialect::Modern`], the status is 400 if records failed and the request is strict. In
    /// [`Dialect::Calls`] it is 400 if every record failed: these clients do not retry it. In all
    /// other dialects the status is always 200, because mobile SDKs retry a batch forever on any
    /// other; and the response is a success if any record was taken, because the client cannot
    /// correct the others.
    ///
    /// ```
    /// use idmerge_wire::{Dialect, Report};
    ///
    /// let response = Dialect::Modern.report(&Report { taken: 2, ..Report::default() });
    /// assert_eq!(
    ///     &*response.body,
    ///     br#"{"code":200,"num_records_imported":2,"status":"OK"}"#.as_slice(),
    /// );
    /// ```
    pub fn report(&self, report: &Report) -> Response {
        if self.is_modern() {
            return modern(report);
        }
        let error = match report.failed.first() {
            Some(failed) if report.taken == 0 => Some(failed.fault.legacy_text()),
            _ => None,
        };
        if *self == Self::Calls {
            return match error {
                None => calls(200, None),
                Some(error) => calls(400, Some(&error)),
            };
        }
        self.short(200, error.as_deref())
    }

    /// The response if the whole request failed.
    ///
    /// In all dialects but [`Dialect::Modern`] and [`Dialect::Calls`], the status is 200 if
    /// [the data is wrong](Problem::is_about_data), for the reason given at
    /// [`report`](Self::report). In [`Dialect::CallPixel`] it is always 200.
    pub fn refuse(&self, problem: &Problem) -> Response {
        let error = problem.to_string();
        let code = problem.status();
        match self {
            Self::Calls => return calls(code, Some(&error)),
            Self::CallPixel => return self.short(200, Some(&error)),
            _ => {}
        }
        if self.is_modern() {
            return match problem {
                // The vendor sends a string here instead of an object.
                Problem::IdentityEvents => failed(&error, 0, vec![error.as_str()]),
                _ if problem.is_about_data() => {
                    failed(&error, 0, Vec::<FailedRecordJson<'_>>::new())
                }
                _ => refused(code, &error),
            };
        }
        match problem {
            Problem::Unauthorized(_) | Problem::TooLarge { .. } => refused(code, &error),
            _ if problem.is_about_data() => self.short(200, Some(&error)),
            _ => Self::Verbose.short(code, Some(&error)),
        }
    }

    /// Success or an error, in any dialect but `Modern`.
    fn short(&self, status: u16, error: Option<&str>) -> Response {
        let digit = if error.is_none() { "1" } else { "0" };
        let verbose = || {
            json(&VerboseJson {
                error,
                status: u8::from(error.is_none()),
            })
        };
        let (content_type, body) = match self {
            Self::Plain => (PLAIN, Cow::Borrowed(digit.as_bytes())),
            Self::Verbose | Self::Modern | Self::Calls => (JSON, Cow::Owned(verbose())),
            Self::Pixel | Self::CallPixel => ("image/gif", Cow::Borrowed(PIXEL)),
            Self::Callback {
                function,
                is_verbose,
            } => {
                let argument = if *is_verbose {
                    verbose()
                } else {
                    digit.as_bytes().to_vec()
                };
                // The comment keeps the name, which the client chooses, from being the first bytes
                // of the response: a browser could take those for another file type.
                let call = [b"/**/", function.as_bytes(), b"(", &argument, b");"].concat();
                ("text/javascript; charset=utf-8", Cow::Owned(call))
            }
        };
        Response {
            status,
            content_type,
            body,
        }
    }
}

fn calls(status: u16, error: Option<&str>) -> Response {
    Response {
        status,
        content_type: JSON,
        body: Cow::Owned(json(&CallsJson {
            success: error.is_none(),
            code: error.map(|_| match status {
                400 => "invalid_request",
                401 => "unauthorized",
                413 => "payload_too_large",
                429 => "too_many_requests",
                _ => "unavailable",
            }),
            message: error,
        })),
    }
}

fn modern(report: &Report) -> Response {
    if report.failed.is_empty() || !report.is_strict {
        return Response {
            status: 200,
            content_type: JSON,
            body: Cow::Owned(json(&ImportedJson {
                code: 200,
                num_records_imported: report.taken,
                status: "OK",
            })),
        };
    }
    let records = report.failed.iter().map(|record| {
        let insert_id = record.insert_id.as_deref().unwrap_or("");
        FailedRecordJson {
            index: record.index,
            insert_id,
            dollar_insert_id: insert_id,
            field: record.fault.field(),
            message: record.fault.to_string(),
        }
    });
    failed(
        "some data points in the request failed validation",
        report.taken,
        records.collect(),
    )
}

fn failed<R: Serialize>(error: &str, taken: usize, failed_records: Vec<R>) -> Response {
    Response {
        status: 400,
        content_type: JSON,
        body: Cow::Owned(json(&FailedJson {
            code: 400,
            error,
            status: "Bad Request",
            num_records_imported: taken,
            failed_records,
        })),
    }
}

fn refused(code: u16, error: &str) -> Response {
    Response {
        status: code,
        content_type: JSON,
        body: Cow::Owned(json(&RefusedJson {
            code,
            error,
            status: match code {
                401 => "Unauthorized",
                413 => "Request Entity Too Large",
                429 => "Too Many Requests",
                _ => "Service Unavailable",
            },
        })),
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // This cannot fail: every map has string keys.
    serde_json::to_vec(value).unwrap_or_default()
}
