//! The choice of an engine and its settings, at run time.
//!
//! Everything above the engines (the command line, the store of a server, an embedding program)
//! chooses, reads and makes an engine through this crate. Code about one rule still asks for the
//! model. [`Settings`] does what every caller needs of a model: it reads events, creates the engine,
//! and can be written as text and read back. [`Outcomes`] counts what the engine answers.
//!
//! ```
//! use idmerge_core::{Event, IdentityResolverExt};
//! use idmerge_engines::{AnonIdFormat, Model, Overrides, Settings};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let overrides = Overrides {
//!     max_cluster_ids: Some(100),
//!     anon_id_format: Some(AnonIdFormat::Sdk),
//!     ..Overrides::default()
//! };
//! let settings = Settings::new(Model::Original, &overrides)?;
//!
//! // Reading needs no engine, so it can run on any thread.
//! let page_view = Event::with_distinct_id("D1");
//! assert_eq!(settings.read(&page_view)?.require_distinct_id()?, "D1");
//!
//! let mut engine = settings.engine();
//! engine.apply_event(&page_view)?;
//!
//! // A store keeps this text.
//! let text = settings.to_string();
//! assert_eq!(text.parse::<Settings>()?, settings);
//! # Ok(())
//! # }
//! ```
//!
//! Not here: engines. If you know the model when you compile, depend on `idmerge-simplified`,
//! `idmerge-original` or `idmerge-legacy` alone. A model of your own implements
//! [`IdentityResolver`](idmerge_core::IdentityResolver) and is not chosen through this crate.
//!
//! # Features
//!
//! `clap`: [`Model`] is a value of an argument, and [`Overrides`] are arguments.

mod blocked_ids;
mod difference;
mod model;
mod outcomes;
mod overrides;
mod settings;
mod shown;
mod spelling;
mod text;

pub use blocked_ids::{BlockedIds, BlockedIdsError};
pub use idmerge_original::AnonIdFormat;
pub use model::Model;
pub use outcomes::Outcomes;
pub use overrides::{Overrides, SettingsError};
pub use settings::{Engine, NEAR_CAP_PERCENT, Settings};
pub use text::SettingsTextError;
