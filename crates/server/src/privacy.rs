//! Requests of people about their data: the vendor's API for the GDPR and the CCPA, and what carries deletions
//! out (E-6).

mod answers;
pub(crate) mod deletions;
mod request;
pub(crate) mod retrievals;
pub(crate) mod runner;
