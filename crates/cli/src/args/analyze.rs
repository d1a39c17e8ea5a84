//! The arguments of `funnel`, `uniques` and `retention`.

#![allow(
    clippy::doc_markdown,
    reason = "doc comments are help text, and a terminal shows backticks as they are"
)]

pub(crate) mod value;

use clap::ValueEnum;

use crate::args::analyze::value::{between, count, date, grace, window};
use crate::args::identities::IdentityArgs;
use crate::args::input::OutputArgs;
use crate::output::figure::answer::AnswerForm;

/// The arguments of every command that answers with figures.
#[derive(Clone, Debug, clap::Args)]
#[group(multiple = false)]
pub(crate) struct FormArgs {
    /// Write the figures as one JSON object
    #[arg(long)]
    json: bool,

    /// Write the figures as CSV with a header
    #[arg(long)]
    csv: bool,

    /// Write a picture of the figures, as SVG
    #[arg(long)]
    svg: bool,

    /// Write a page with the picture and the figures, as one HTML file
    #[arg(long)]
    html: bool,
}

impl FormArgs {
    pub(crate) fn form(&self) -> AnswerForm {
        match self {
            Self { json: true, .. } => AnswerForm::Json,
            Self { csv: true, .. } => AnswerForm::Csv,
            Self { svg: true, .. } => AnswerForm::Svg,
            Self { html: true, .. } => AnswerForm::Html,
            _ => AnswerForm::Text,
        }
    }
}

/// The days that count.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RangeArgs {
    /// The first day, as in 2026-01-31, in UTC [default: no limit]
    #[arg(long, value_name = "DATE", value_parser = date)]
    from_date: Option<i64>,

    /// The last day, included [default: no limit]
    #[arg(long, value_name = "DATE", value_parser = date)]
    to_date: Option<i64>,
}

impl RangeArgs {
    /// The first millisecond of the range, and the first one after it.
    ///
    /// # Errors
    ///
    /// The range ends before it begins.
    pub(crate) fn range_ms(&self) -> anyhow::Result<(Option<i64>, Option<i64>)> {
        value::range_ms(self.from_date, self.to_date)
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge funnel events.ndjson --engine simplified --steps View 'Sign Up'
  idmerge funnel *.gz --engine original --steps View Buy --window 1d --json
  idmerge funnel in --store people --steps View Buy --svg -o funnel.svg
  idmerge funnel in --engine simplified --steps View Buy --by path
  idmerge funnel in --engine simplified --steps View Buy --who 1
  idmerge funnel in --engine legacy --steps 'View[path == \"/a\"]' 'Buy[sum > 9]'
  idmerge funnel in --engine simplified --steps A B C --exclude X --between 2,3

Counts the users who do the steps in order. Beside each figure is the same without ID merge, in which every \
distinct_id is a user of its own: the difference is how many users take the step only because of ID merge. \
INPUT comes before --steps, because every argument after --steps is a step.

A step is the name of an event, with or without conditions on its properties in brackets: property == \"text\", \
!=, <, <=, > or >= and a text, a number, true or false; property in [\"a\", \"b\"]; property exists. A comma \
means \"and\". An event without the property fails every condition but !=. If what is in the brackets is not a \
condition, it belongs to the name, as in 'Clicked [CTA]'.

The first event of the first step opens the entry of a user, and the window begins with it. Each later step is \
the next event with its name. Two steps at most --grace apart count in either order. Entries open in the range \
of days, and their later steps can be later. The times are the property time, and events without one are \
passed over. The rules are F-1 to F-8 (`idmerge help rules`).")]
pub(crate) struct FunnelArgs {
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,

    /// The events, in order: 'Name', or 'Name[property == \"x\", other != 2]'
    #[arg(long, value_name = "STEP", num_args = 1.., required = true)]
    pub(crate) steps: Vec<String>,

    /// The longest time from the first step to any other, as in 30m, 12h or 7d; at most 366d
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = window)]
    pub(crate) window: i64,

    /// Two steps at most this far apart count in either order; 0 for the order of their times
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = grace)]
    pub(crate) grace: i64,

    /// Which events of the first step open an entry
    #[arg(long, value_name = "first|optimized", value_enum, default_value_t = ReentryArg::First)]
    #[arg(hide_possible_values = true)]
    pub(crate) reentry: ReentryArg,

    /// Count users, or entries: the next first step after the end of an entry opens another
    #[arg(long, value_name = "uniques|totals", value_enum, default_value_t = CountArg::Uniques)]
    #[arg(hide_possible_values = true)]
    pub(crate) count: CountArg,

    /// Every step must have the value of this property that the first step has; up to 3 times
    #[arg(long, value_name = "PROPERTY")]
    pub(crate) hold: Vec<String>,

    /// An entry ends if this event happens before its next step; can have conditions, as a step
    #[arg(long, value_name = "STEP")]
    pub(crate) exclude: Vec<String>,

    /// The numbers of the two steps between which --exclude counts, as in 2,3; once, or once for each --exclude
    /// [default: the first and the last]
    #[arg(long, value_name = "FROM,TO", value_parser = between, requires = "exclude")]
    pub(crate) between: Vec<(usize, usize)>,

    /// Also count the users of each value of this property
    #[arg(long, value_name = "PROPERTY")]
    pub(crate) by: Option<String>,

    /// The step whose value of --by counts: the first that has the property, the last, or each event of the first
    /// step, so that a user counts once for each value
    #[arg(long, value_name = "first|last|each", value_enum, requires = "by")]
    #[arg(default_value_t = TouchArg::First, hide_possible_values = true)]
    pub(crate) touch: TouchArg,

    /// Write the canonical IDs of the users who took this step and not the next one: its number, or the step
    #[arg(long, value_name = "STEP")]
    pub(crate) who: Option<String>,

    #[command(flatten)]
    pub(crate) range: RangeArgs,

    #[command(flatten)]
    pub(crate) form: FormArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReentryArg {
    /// The first one
    First,
    /// Each one, and the entry that gets furthest counts
    Optimized,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CountArg {
    /// Users
    Uniques,
    /// Entries
    Totals,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TouchArg {
    /// The first step that has the property
    First,
    /// The last step that has the property
    Last,
    /// Each event of the first step
    Each,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge uniques events.ndjson --engine simplified --by event
  idmerge uniques events.ndjson --engine original --by day --csv
  idmerge uniques calls/*.gz --from segment --engine simplified --by event

Counts the users of each event, or of each day in UTC, with ID merge and without it, in which every \
distinct_id is a user of its own. If a busy event has nearly as many users as events after the merge, \
identity is lost: each event comes under an ID of its own. The rules are F-1, F-2 and F-10 \
(`idmerge help rules`).")]
pub(crate) struct UniquesArgs {
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,

    /// What has a line
    #[arg(
        long,
        value_name = "event|day",
        value_enum,
        hide_possible_values = true
    )]
    pub(crate) by: UniquesByArg,

    #[command(flatten)]
    pub(crate) range: RangeArgs,

    #[command(flatten)]
    pub(crate) form: FormArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UniquesByArg {
    /// Each name of an event
    Event,
    /// Each day, in UTC
    Day,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge retention events.ndjson --engine simplified
  idmerge retention events.ndjson --engine simplified --period week --periods 8
  idmerge retention in --store people --first 'Sign Up' --then Purchase --csv

Counts the users who come back, by the day or week in which they first came, with ID merge and without it. \
Days are those of UTC, and a week begins on Monday. A user comes back in each later period with an event. A \
period after the last event of the input has no figure. The rules are F-1, F-2, F-7 and F-11 \
(`idmerge help rules`).")]
pub(crate) struct RetentionArgs {
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,

    /// The event with which a user first comes, as a step of `funnel` [default: any event]
    #[arg(long, value_name = "STEP")]
    pub(crate) first: Option<String>,

    /// The event with which a user comes back [default: any event]
    #[arg(long, value_name = "STEP")]
    pub(crate) then: Option<String>,

    /// The length of a period
    #[arg(long, value_name = "day|week", value_enum, default_value_t = PeriodArg::Day)]
    #[arg(hide_possible_values = true)]
    pub(crate) period: PeriodArg,

    /// How many periods after the first one
    #[arg(long, value_name = "N", default_value_t = 7)]
    #[arg(value_parser = count)]
    pub(crate) periods: usize,

    #[command(flatten)]
    pub(crate) range: RangeArgs,

    #[command(flatten)]
    pub(crate) form: FormArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PeriodArg {
    /// A day
    Day,
    /// Monday to Sunday
    Week,
}
