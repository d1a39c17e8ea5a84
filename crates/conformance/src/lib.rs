//! What every engine is held to: [`oracle`] has the rule book a second time, by brute force.

pub mod oracle;
