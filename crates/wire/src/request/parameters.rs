//! The parameters of a request: those of its query and those of its form.

use super::pairs::{pairs, text};
use crate::endpoint::Endpoint;
use crate::response::Dialect;

/// The parameters that a query and a form can have.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters {
    pub(super) is_verbose: bool,
    pub(super) is_strict: Option<bool>,
    pub(super) is_pixel: bool,
    pub(super) callback: Option<String>,
    pub(super) api_key: Option<String>,
    pub(super) project_id: Option<String>,
    pub(super) write_key: Option<String>,
    /// Whether there are several values of `data`.
    pub(super) repeats_data: bool,
}

impl Parameters {
    /// Sets a parameter. If a name occurs twice, the last value counts. Unknown names are ignored.
    fn set(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"verbose" => self.is_verbose = is_on(value),
            b"strict" => self.is_strict = Some(is_on(value)),
            b"img" => self.is_pixel = is_on(value),
            b"callback" => self.callback = text(value).filter(|name| is_function(name)),
            b"api_key" => self.api_key = text(value).filter(|key| !key.is_empty()),
            b"project_id" => self.project_id = text(value).filter(|id| !id.is_empty()),
            b"writeKey" => self.write_key = text(value).filter(|key| !key.is_empty()),
            _ => {}
        }
    }

    /// Sets every parameter of a form or a query, and returns its `data`, still encoded.
    pub(super) fn set_all<'f>(&mut self, form: &'f [u8]) -> Option<&'f [u8]> {
        let mut data = None;
        for (name, value) in pairs(form) {
            if name == b"data" {
                self.repeats_data |= data.is_some();
                data.get_or_insert(value);
            } else {
                self.set(name, value);
            }
        }
        data
    }

    /// How to respond to a request with these parameters.
    pub(super) fn dialect(&self, endpoint: Endpoint, is_form: bool) -> Dialect {
        let is_modern = match endpoint {
            Endpoint::Calls(_) => return Dialect::Calls,
            Endpoint::Pixel(_) => return Dialect::CallPixel,
            Endpoint::Import => !is_form,
            Endpoint::Engage | Endpoint::Groups => self.is_strict == Some(true) && !is_form,
            Endpoint::Track => false,
        };
        if is_modern {
            Dialect::Modern
        } else if self.is_pixel {
            Dialect::Pixel
        } else if let Some(callback) = &self.callback {
            Dialect::Callback {
                function: callback.clone(),
                is_verbose: self.is_verbose,
            }
        } else if self.is_verbose {
            Dialect::Verbose
        } else {
            Dialect::Plain
        }
    }
}

/// Whether a parameter is switched on. RudderStack sends 2; other senders send 1.
fn is_on(value: &[u8]) -> bool {
    !matches!(value, b"" | b"0" | b"false")
}

/// Whether a name is safe to call in a script: identifiers joined by dots, and nothing else.
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
