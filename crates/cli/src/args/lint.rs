//! The arguments of `lint` and `order`.

#![allow(
    clippy::doc_markdown,
    reason = "doc comments are help text, and a terminal shows backticks as they are"
)]

use clap::ValueEnum;
use idmerge_lint::Severity;

use crate::args::identities::IdentityArgs;
use crate::args::input::OutputArgs;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge lint events.ndjson --engine simplified
  idmerge lint exports/*.gz --engine original --json > findings.json
  idmerge lint --store people
  idmerge lint calls/ --from auto --engine simplified --fail-on warning

Finds mistakes in tracking code by what the events say about IDs: the worst first, each with the IDs that \
show it, what it costs, and what to change. A finding is an error if it joins strangers or loses logins \
wherever the code runs, a warning if some events belong to the wrong person, and a note if no figure is \
wrong yet. Only events that the model reads can be wrong in it.

With --store the claims in the log are read, with the $insert_id and time of their events. The other events \
are not in the log: events per ID, refused events and events without an ID cannot be found there.

Memory grows with the number of IDs, not with that of events. docs/lint.md lists the findings and the \
reason for each threshold.

Exit code: 0 whatever is found, or 1 if a finding is at least as bad as --fail-on says.")]
pub(crate) struct LintArgs {
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,

    /// Write the findings as one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Show N of the IDs with a finding, those with the most events [default: 1, with --json 10]
    #[arg(long, value_name = "N")]
    pub(crate) examples: Option<usize>,

    /// Exit with code 1 if there is a finding of this severity or a worse one
    #[arg(long, value_name = "SEVERITY", value_enum)]
    pub(crate) fail_on: Option<SeverityArg>,
}

/// The least severity that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SeverityArg {
    /// Strangers are joined, or logins and events are lost
    Error,
    /// Some events belong to the wrong person
    Warning,
    /// No figure is wrong yet
    Note,
}

impl SeverityArg {
    pub(crate) fn severity(self) -> Severity {
        match self {
            Self::Error => Severity::Error,
            Self::Warning => Severity::Warning,
            Self::Note => Severity::Note,
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge order events.ndjson --engine simplified
  idmerge order day-*.gz --engine original --json > order.json
  idmerge order --store people

The rules weigh claims in the order in which events arrive, which is partly chance: a phone that was offline \
delivers late. This command says which answers would be others in another order. Claims that are connected by \
their IDs are replayed in all orders if they are at most 7, and in some otherwise, which is said: then there \
may be more answers than those found. A pair decides if the later event, arriving before the earlier one, \
would change an answer.

In simplified the order of the claims of a device decides who owns it. In original it also decides which ID \
of a person is the canonical one: the people are then the same, and only their name differs.

With --store the claims in the log are read; how many events an ID has is then not known (null in JSON).

To weigh events by their time instead, use --order-by time.")]
pub(crate) struct OrderArgs {
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,

    /// Write the answer as one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Show N of the dependent groups of IDs, those with the most events [default: 5, with --json 100]
    #[arg(long, value_name = "N")]
    pub(crate) examples: Option<usize>,
}
