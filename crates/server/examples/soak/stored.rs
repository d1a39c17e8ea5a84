//! What the projects of a server have stored, and the memory that takes.

use std::time::Duration;

use ureq::Agent;

use crate::Result;

/// The most memory of a stored event, in bytes (`docs/server.md`, "Memory of events").
const EVENT_BYTES: u64 = 4;
/// The most memory of an ID in an engine, by counted allocations (`benches/counts.toml`), in bytes.
const ID_BYTES: u64 = 96;
/// The most memory of a distinct claim in a store (`docs/store.md`, "What that costs"), in bytes.
const CLAIM_BYTES: u64 = 150;

/// The sums of all projects.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stored {
    pub(crate) events: u64,
    pub(crate) ids: u64,
    /// Distinct claims.
    pub(crate) claims: u64,
}

impl Stored {
    /// Asks the server.
    pub(crate) fn read(address: &str) -> Result<Self> {
        let timeout = Some(Duration::from_secs(2));
        let agent: Agent = Agent::config_builder()
            .timeout_global(timeout)
            .build()
            .into();
        let mut answer = agent.get(format!("http://{address}/metrics")).call()?;
        let text = answer.body_mut().read_to_string()?;
        let sum = |name: &str| {
            let of_projects = text.lines().filter_map(|line| {
                let value = line.strip_prefix(name)?.strip_prefix("{project=")?;
                value.rsplit(' ').next()?.parse::<u64>().ok()
            });
            of_projects.sum()
        };
        Ok(Self {
            events: sum("idmerge_events_kept"),
            ids: sum("idmerge_ids"),
            claims: sum("idmerge_claims_logged"),
        })
    }

    pub(crate) fn memory_kib(self) -> u64 {
        (self.events * EVENT_BYTES + self.ids * ID_BYTES + self.claims * CLAIM_BYTES) >> 10
    }
}
