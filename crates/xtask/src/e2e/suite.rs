//! The suites.

use clap::ValueEnum;

/// The engines. Each suite has a project of each engine.
pub(super) const ENGINES: [&str; 3] = ["simplified", "original", "legacy"];

/// A suite of end-to-end tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// mixpanel-browser, the newest and an old version, in Chromium
    Browser,
    /// The server's web page, in Chromium
    Page,
    /// The web page with the SDK from the README, in Chromium
    Readme,
    /// The Node SDK
    Node,
    /// The SDKs of Segment and RudderStack, in Chromium and in Node
    Cdp,
    /// Segment's destination, with the code that runs in Segment's cloud
    Segment,
    /// The Python SDK and mixpanel-utils
    Python,
    /// Requests that schemathesis generates from /openapi.json
    Api,
    /// The package of Python: installs it and runs its tests, which compare it with the command
    Wheel,
    /// `idmerge.spark` of that package, on two executors of Spark and on Sail
    Spark,
}

impl Suite {
    /// The name, which the tokens of its projects start with.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Page => "page",
            Self::Readme => "readme",
            Self::Node => "node",
            Self::Cdp => "cdp",
            Self::Segment => "segment",
            Self::Python => "python",
            Self::Api => "api",
            Self::Wheel => "wheel",
            Self::Spark => "spark",
        }
    }
}
