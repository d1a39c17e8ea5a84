//! The commands of `idmerge store`, for a project that is being served. Each needs a project secret or a
//! service account, or is asked from the folder of the project itself.

pub(crate) mod backup;
pub(crate) mod copy;
pub(crate) mod questions;
pub(crate) mod retract;
pub(crate) mod socket;
