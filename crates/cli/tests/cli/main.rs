//! Runs the program as users do: with arguments and files, and checks its output and exit code.
//!
//! Expected output is worked out by hand from `docs/rules.md`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test fails by panicking, and these run the program on files"
)]

mod adapt;
#[cfg(feature = "store")]
mod adapted_once;
#[cfg(feature = "store")]
mod again;
mod arrays;
#[cfg(all(unix, feature = "serve", feature = "store"))]
mod backup;
mod blocks;
#[cfg(unix)]
mod changes;
mod choosing;
mod choosing_doc;
mod clusters;
mod conflicts;
#[cfg(feature = "store")]
mod copies;
#[cfg(all(unix, feature = "serve"))]
mod deduplicated;
mod demo;
#[cfg(all(unix, feature = "serve"))]
mod deploy;
#[cfg(feature = "store")]
mod erasure;
#[cfg(all(unix, feature = "serve"))]
mod first_start;
mod flows;
mod forms;
#[cfg(all(unix, feature = "serve"))]
mod full_disk;
#[cfg(unix)]
mod funnel;
mod generate;
mod hostile;
mod id_rules;
mod input;
mod inspect;
#[cfg(target_os = "linux")]
mod interrupt;
#[cfg(all(unix, feature = "serve", feature = "store"))]
mod killed;
#[cfg(all(unix, feature = "serve", feature = "store"))]
mod killed_erasing;
#[cfg(all(unix, feature = "serve", feature = "store"))]
mod killed_erasure;
#[cfg(all(unix, feature = "store"))]
mod killed_ingest;
#[cfg(all(target_os = "linux", target_env = "gnu", feature = "serve"))]
mod large_answers;
mod legacy;
mod lint;
mod manual;
mod mapped_columns;
mod mappings;
#[cfg(feature = "store")]
mod max_refused;
mod migrate;
mod migrate_auto;
#[cfg(all(unix, feature = "serve", feature = "store"))]
mod migrate_https;
#[cfg(all(unix, feature = "serve", feature = "store"))]
mod migrate_import;
mod migrate_sources;
mod order;
mod output;
#[cfg(all(unix, feature = "serve"))]
mod permissions;
mod plain;
mod refused;
mod resolve;
mod resolve_mapping;
#[cfg(feature = "store")]
mod round_trip;
mod run;
mod sdk;
#[cfg(feature = "store")]
mod second_key;
#[cfg(all(unix, feature = "serve"))]
mod secret_file;
#[cfg(all(unix, feature = "serve"))]
mod serve;
#[cfg(all(unix, feature = "serve", feature = "store"))]
mod server_store;
mod sorting;
#[cfg(feature = "store")]
mod sorting_everywhere;
#[cfg(all(unix, feature = "serve"))]
mod stopping;
#[cfg(feature = "store")]
mod store;
mod summary;
mod tables;
mod unusable;
mod usage;
#[cfg(feature = "store")]
mod withdrawal;
