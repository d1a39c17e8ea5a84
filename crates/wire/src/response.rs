//! The answers that SDKs take for success, and those that they take for failure.

use std::borrow::Cow;

use serde::Serialize;

use crate::event::Fault;
use crate::problem::Problem;

/// The smallest picture there is: one transparent pixel.
const PIXEL: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// How a sender wants to be answered. They judge by it whether to send again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `1` or `0`, and nothing else: one SDK compares the whole body.
    Plain,
    /// `{"error":null,"status":1}`
    Verbose,
    /// A picture, for pages that cannot send otherwise. It says nothing.
    Pixel,
    /// A script that calls a function of the page.
    Callback {
        /// The function: names with dots between them, and nothing else.
        function: String,
        /// Whether it is called with what [`Verbose`](Self::Verbose) says.
        is_verbose: bool,
    },
    /// `{"code":200,"num_records_imported":1,"status":"OK"}`, with every record that failed.
    Modern,
}

/// An answer over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// Its body.
    pub body: Cow<'static, [u8]>,
}

/// What became of the records of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many were taken.
    pub taken: usize,
    /// The others.
    pub failed: Vec<FailedRecord>,
    /// Whether the sender wants to hear of them.
    pub is_strict: bool,
}

/// A record that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRecord {
    /// Which one, counted from 0.
    pub index: usize,
    /// Its `$insert_id`, where it has one.
    pub insert_id: Option<String>,
    /// Why.
    pub fault: Fault,
}

/// Old senders and new ones spell the same key in two ways.
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
struct VerboseJson<'a> {
    error: Option<&'a str>,
    status: u8,
}

impl Dialect {
    /// Whether single records are reported in it.
    pub fn is_modern(&self) -> bool {
        matches!(self, Self::Modern)
    }

    /// Says what became of the records. In all but the modern dialect one record that was taken
    /// makes a success, since the sender can do nothing about the others; and the status is 200
    /// always, since SDKs of phones send a batch that is answered otherwise for ever.
    ///
    /// ```
    /// use idmerge_wire::{Dialect, Report};
    ///
    /// let answer = Dialect::Modern.report(&Report { taken: 2, ..Report::default() });
    /// assert_eq!(
    ///     &*answer.body,
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
        self.short(200, error.as_deref())
    }

    /// Says that nothing was taken, and why. What is wrong with the data is status 200 in all but
    /// the modern dialect, as in [`report`](Self::report).
    pub fn refuse(&self, problem: &Problem) -> Response {
        let error = problem.to_string();
        let code = problem.status();
        if self.is_modern() {
            return match problem {
                // Seen as texts and not as objects.
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

    /// Success, or an error, in the few words of the older dialects.
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
            Self::Verbose | Self::Modern => (JSON, Cow::Owned(verbose())),
            Self::Pixel => ("image/gif", Cow::Borrowed(PIXEL)),
            Self::Callback {
                function,
                is_verbose,
            } => {
                let argument = if *is_verbose {
                    verbose()
                } else {
                    digit.as_bytes().to_vec()
                };
                // The comment keeps the function's name from being the first bytes of a file.
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
    // Nothing here can fail to be written: no map has keys that are no text.
    serde_json::to_vec(value).unwrap_or_default()
}
