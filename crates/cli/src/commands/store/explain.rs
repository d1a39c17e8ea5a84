//! `idmerge store explain`: why two IDs are one person or two.

use idmerge_core::Resolve;
use idmerge_store::LogEntry;
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
    let ids = [id, other].map(|id| json!({ "id": id, "distinct_id": engine.resolve(id) }));
    let head = json!({
        "explanation": explanation.kind(),
        "one_person": explanation.is_one_user(),
        "why": explanation.why(),
        "ids": ids,
    });
    write_line(&head, output)?;
    write_entries(explanation.claims(), output)
}

fn write_entries(entries: &[LogEntry], output: &mut Output) -> anyhow::Result<()> {
    entries
        .iter()
        .try_for_each(|entry| write_line(entry, output))
}
