//! Reads the fields of a record.

pub(crate) mod cell;
pub(crate) mod fields;
pub(crate) mod ids;
pub(crate) mod member;
pub(crate) mod names;
pub(crate) mod plan;
pub(crate) mod record;
pub(crate) mod rest;
pub(crate) mod time;
pub(crate) mod value;
