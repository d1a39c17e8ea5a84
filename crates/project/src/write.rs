//! The path of a batch: it reserves room in the queue ([`queue`]), is parsed on the caller's thread
//! ([`prepare`]), and is applied and committed ([`commit`]) by the single writer thread ([`writer`]).

pub(crate) mod alone;
pub(crate) mod batch;
pub(crate) mod carry_out;
pub(crate) mod claims;
pub(crate) mod commit;
pub(crate) mod maintenance;
pub(crate) mod near_cap;
pub(crate) mod new_ids;
pub(crate) mod prepare;
pub(crate) mod profiles;
pub(crate) mod queue;
pub(crate) mod repeated;
mod submit_alone;
pub(crate) mod withdrawal;
pub(crate) mod writer;
