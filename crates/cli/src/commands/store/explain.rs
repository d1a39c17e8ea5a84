//! `idmerge store explain`: why two IDs are one person or two.

use idmerge_core::Resolve;
use idmerge_store::{Explanation, LogEntry};
use serde_json::json;

use crate::args::identities::{read_id, say_did_you_mean};
use crate::args::store::ExplainArgs;
use crate::commands::store::open::open_for_reading;
use crate::output::destination::Output;
use crate::output::json::write_line;

pub(super) fn run(args: &ExplainArgs, output: &mut Output) -> anyhow::Result<()> {
    let store = open_for_reading(&args.store.folder)?;
    let engine = &store.engine;
    let id = read_id(&store.settings, &args.id)?;
    say_did_you_mean(&store.settings, engine, id);
    let Some(other) = &args.other else {
        let story = store.history.story(engine, id)?;
        let members = engine.cluster(id).map(|cluster| cluster.members);
        let head = json!({
            "id": id,
            "distinct_id": engine.resolve(id),
            "members": members.unwrap_or_default(),
        });
        write_line(&head, output)?;
        return write_entries(&story, output);
    };
    let other = read_id(&store.settings, other)?;
    say_did_you_mean(&store.settings, engine, other);
    let explanation = store.history.explain(engine, id, other)?;
    let (kind, why) = in_words(&explanation);
    let is_one_person = matches!(
        explanation,
        Explanation::Joined(_) | Explanation::JoinedElsewhere
    );
    let ids = [id, other].map(|id| json!({ "id": id, "distinct_id": engine.resolve(id) }));
    write_line(
        &json!({ "explanation": kind, "one_person": is_one_person, "why": why, "ids": ids }),
        output,
    )?;
    match explanation {
        Explanation::Joined(entries)
        | Explanation::Apart(entries)
        | Explanation::ApartThroughOthers(entries) => write_entries(&entries, output),
        Explanation::JoinedElsewhere => Ok(()),
    }
}

/// The kind of an explanation, and what the entries below it are.
fn in_words(explanation: &Explanation) -> (&'static str, &'static str) {
    match explanation {
        Explanation::Joined(entries) if entries.is_empty() => ("joined", "this is one ID"),
        Explanation::Joined(_) => ("joined", "these claims joined them"),
        Explanation::JoinedElsewhere => (
            "joined by a state that came from elsewhere",
            "the claims that joined them are not in this log",
        ),
        Explanation::Apart(entries) if entries.is_empty() => {
            ("apart", "no claim ever connected them")
        }
        Explanation::Apart(_) => (
            "apart",
            "each of these claims would have joined them, and was rejected",
        ),
        Explanation::ApartThroughOthers(_) => (
            "apart",
            "these claims together would have joined them, through other people, and were rejected",
        ),
    }
}

fn write_entries(entries: &[LogEntry], output: &mut Output) -> anyhow::Result<()> {
    entries
        .iter()
        .try_for_each(|entry| write_line(entry, output))
}
