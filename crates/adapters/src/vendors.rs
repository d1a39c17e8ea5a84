//! One file for each product; Segment and RudderStack share `calls`.

pub(crate) mod amplitude;
pub(crate) mod calls;
pub(crate) mod columns;
pub(crate) mod ga4;
pub(crate) mod mparticle;
pub(crate) mod posthog;
pub(crate) mod snowplow;
