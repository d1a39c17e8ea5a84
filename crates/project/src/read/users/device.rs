//! What a device is called: by the properties of an event that it sent.

use std::borrow::Cow;

use idmerge_events::RawJson;

/// The most characters of a part of a label: the properties are whatever somebody sent.
const MAX_PART_CHARS: usize = 40;

/// The label of a device of which nothing is known.
pub(crate) const UNKNOWN_DEVICE: &str = "Unknown device";

/// A device of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its ID.
    pub distinct_id: String,
    /// What it is, such as `Safari on iPhone`.
    pub label: String,
    /// The kind of device.
    pub kind: DeviceKind,
}

/// A kind of device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceKind {
    /// A telephone.
    Phone,
    /// A tablet.
    Tablet,
    /// A laptop or another personal computer.
    Laptop,
    /// A program on a server.
    Server,
    /// Nothing says what it is.
    #[default]
    Unknown,
}

impl DeviceKind {
    /// The name in answers of the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Tablet => "tablet",
            Self::Laptop => "laptop",
            Self::Server => "server",
            Self::Unknown => "unknown",
        }
    }
}

/// The label and the kind of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) text: String,
    pub(crate) kind: DeviceKind,
}

impl Label {
    pub(crate) fn unknown() -> Self {
        Self {
            text: UNKNOWN_DEVICE.to_owned(),
            kind: DeviceKind::Unknown,
        }
    }
}

/// The properties of an event that say what its device is.
#[derive(Debug, Default)]
pub(crate) struct Traits<'e> {
    browser: Option<Cow<'e, str>>,
    os: Option<Cow<'e, str>>,
    model: Option<Cow<'e, str>>,
    brand: Option<Cow<'e, str>>,
    device: Option<Cow<'e, str>>,
    library: Option<Cow<'e, str>>,
}

impl<'e> Traits<'e> {
    /// Takes a property. Of a key that occurs twice the last one counts (IN-2).
    pub(crate) fn read(&mut self, key: &[u8], value: RawJson<'e>) {
        let place = match key {
            b"$browser" => &mut self.browser,
            b"$os" => &mut self.os,
            b"$model" => &mut self.model,
            b"$brand" => &mut self.brand,
            b"$device" => &mut self.device,
            b"mp_lib" => &mut self.library,
            _ => return,
        };
        *place = value.string().filter(|text| !text.trim().is_empty());
    }

    /// `None` if no property says anything about the device.
    pub(crate) fn label(&self) -> Option<Label> {
        let library = self.library.as_deref().unwrap_or_default();
        let hardware = self.hardware();
        if let Some(browser) = &self.browser {
            let browser = browser_name(browser);
            return Some(match hardware {
                Some((name, kind)) => labelled(format!("{browser} on {name}"), kind),
                None => labelled(browser.into_owned(), DeviceKind::Unknown),
            });
        }
        match library {
            "android" => {
                let kind = match hardware {
                    Some((_, DeviceKind::Tablet)) => DeviceKind::Tablet,
                    _ => DeviceKind::Phone,
                };
                Some(labelled("Android app".to_owned(), kind))
            }
            "iphone" | "swift" | "ios" => {
                let (name, kind) = self.apple();
                Some(labelled(format!("{name} app"), kind))
            }
            "python" | "node" | "ruby" | "go" | "java" | "php" | "dotnet" | "elixir" | "rust" => {
                Some(labelled(format!("Server ({library})"), DeviceKind::Server))
            }
            "react-native" | "flutter" | "unity" => {
                let (name, kind) = hardware?;
                Some(labelled(format!("{name} app"), kind))
            }
            _ => self.hardware_alone(hardware),
        }
    }

    fn hardware_alone(&self, hardware: Option<(Cow<'_, str>, DeviceKind)>) -> Option<Label> {
        let kind = hardware.as_ref().map(|(_, kind)| *kind).unwrap_or_default();
        let made = [&self.brand, &self.model].map(|part| part.as_deref().unwrap_or_default());
        let made = made.map(cut).join(" ");
        match (made.trim(), hardware) {
            ("", None) => None,
            ("", Some((name, kind))) => Some(labelled(name.into_owned(), kind)),
            (made, _) => Some(labelled(made.to_owned(), kind)),
        }
    }

    /// The hardware by its system, and its kind.
    fn hardware(&self) -> Option<(Cow<'_, str>, DeviceKind)> {
        let os = self.os.as_deref()?.trim();
        let lower = os.to_lowercase();
        Some(match &*lower {
            "ios" | "iphone os" | "ipados" => {
                let (name, kind) = self.apple();
                (name.into(), kind)
            }
            "android" if self.says("tab") || self.says("pad") => {
                ("Android tablet".into(), DeviceKind::Tablet)
            }
            "android" => ("Android".into(), DeviceKind::Phone),
            "mac os x" | "macos" | "mac os" => ("Mac".into(), DeviceKind::Laptop),
            "linux" | "chrome os" => (cut(os).into(), DeviceKind::Laptop),
            _ if lower.starts_with("windows phone") => ("Windows Phone".into(), DeviceKind::Phone),
            _ if lower.starts_with("windows") => ("Windows".into(), DeviceKind::Laptop),
            _ => (cut(os).into(), DeviceKind::Unknown),
        })
    }

    fn apple(&self) -> (&'static str, DeviceKind) {
        let is_ipad = self.says("ipad") || self.os.as_deref() == Some("iPadOS");
        match is_ipad {
            true => ("iPad", DeviceKind::Tablet),
            false => ("iPhone", DeviceKind::Phone),
        }
    }

    /// Whether the model or the device has this word in it, in lower case.
    fn says(&self, word: &str) -> bool {
        let texts = [&self.model, &self.device];
        let texts = texts.into_iter().flatten();
        texts
            .into_iter()
            .any(|text| text.to_lowercase().contains(word))
    }
}

fn labelled(text: String, kind: DeviceKind) -> Label {
    Label { text, kind }
}

/// The name that people know a browser by: SDKs tell the variants for telephones apart.
fn browser_name(name: &str) -> Cow<'_, str> {
    let name = name.trim();
    let short = name.strip_prefix("Mobile ").unwrap_or(name);
    let short = short.strip_suffix(" iOS").unwrap_or(short);
    let short = short.strip_suffix(" Mobile").unwrap_or(short);
    cut(match short {
        "Microsoft Edge" => "Edge",
        "Internet Explorer" => "Explorer",
        short => short,
    })
    .into()
}

fn cut(text: &str) -> &str {
    match text.char_indices().nth(MAX_PART_CHARS) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use idmerge_events::visit_members;

    use super::*;

    fn label(properties: &str) -> Option<(String, &'static str)> {
        let mut traits = Traits::default();
        visit_members(properties, |key, value| traits.read(key, value)).unwrap();
        let label = traits.label()?;
        Some((label.text, label.kind.name()))
    }

    /// The properties are those that SDKs send.
    #[test]
    fn a_device_is_called_what_its_owner_calls_it() {
        for (properties, wanted) in [
            (
                r#"{"$browser":"Chrome","$os":"Mac OS X","mp_lib":"web"}"#,
                ("Chrome on Mac", "laptop"),
            ),
            (
                r#"{"$browser":"Mobile Safari","$os":"iOS","$device":"iPhone"}"#,
                ("Safari on iPhone", "phone"),
            ),
            (
                r#"{"$browser":"Mobile Safari","$os":"iOS","$device":"iPad"}"#,
                ("Safari on iPad", "tablet"),
            ),
            (
                r#"{"$browser":"Chrome iOS","$os":"iOS"}"#,
                ("Chrome on iPhone", "phone"),
            ),
            (
                r#"{"$browser":"Microsoft Edge","$os":"Windows"}"#,
                ("Edge on Windows", "laptop"),
            ),
            (
                r#"{"$browser":"Chrome","$os":"Android"}"#,
                ("Chrome on Android", "phone"),
            ),
            (
                r#"{"$browser":"Firefox","$os":"Linux"}"#,
                ("Firefox on Linux", "laptop"),
            ),
            (r#"{"$browser":"Firefox"}"#, ("Firefox", "unknown")),
            (
                r#"{"mp_lib":"android","$os":"Android","$model":"Pixel 8"}"#,
                ("Android app", "phone"),
            ),
            (
                r#"{"mp_lib":"android","$model":"Galaxy Tab S9","$os":"Android"}"#,
                ("Android app", "tablet"),
            ),
            (
                r#"{"mp_lib":"swift","$os":"iOS","$model":"iPhone14,2"}"#,
                ("iPhone app", "phone"),
            ),
            (
                r#"{"mp_lib":"iphone","$model":"iPad13,1"}"#,
                ("iPad app", "tablet"),
            ),
            (
                r#"{"mp_lib":"flutter","$os":"Android"}"#,
                ("Android app", "phone"),
            ),
            (r#"{"mp_lib":"python"}"#, ("Server (python)", "server")),
            (
                r#"{"$brand":"Google","$model":"Pixel 8","$os":"Android"}"#,
                ("Google Pixel 8", "phone"),
            ),
            (r#"{"$os":"Windows"}"#, ("Windows", "laptop")),
            (r#"{"$os":"Plan 9"}"#, ("Plan 9", "unknown")),
        ] {
            let wanted = Some((wanted.0.to_owned(), wanted.1));
            assert_eq!(label(properties), wanted, "{properties}");
        }
        for nothing in [
            r#"{}"#,
            r#"{"mp_lib":"web"}"#,
            r#"{"$browser":" ","$os":7}"#,
        ] {
            assert_eq!(label(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_label_is_short_whatever_was_sent() {
        let long = "é".repeat(10_000);
        let properties = format!(r#"{{"$browser":"{long}","$os":"{long}","$model":"{long}"}}"#);
        assert!(label(&properties).unwrap().0.chars().count() < 100);
    }
}
