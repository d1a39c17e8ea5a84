//! `idmerge store explain`: why two IDs are one person or two.

use idmerge_core::Resolve;
use idmerge_store::{Explanation, Step};
use serde_json::{Value, json};

use crate::args::identities::read_id;
use crate::args::store::ExplainArgs;
use crate::commands::store::entry::entry_line;
use crate::commands::store::open::{OpenStore, open_for_reading};
use crate::output::destination::Output;
use crate::output::json::write_line;

pub(super) fn run(args: &ExplainArgs, output: &mut Output) -> anyhow::Result<()> {
    let store = open_for_reading(&args.store.folder)?;
    let engine = &store.engine;
    let id = read_id(engine, &args.id)?;
    let Some(other) = &args.other else {
        let story = store.history.story(engine, id)?;
        let members = engine.cluster(id).map(|cluster| cluster.members);
        let head = json!({
            "id": id,
            "distinct_id": engine.resolve(id),
            "members": members.unwrap_or_default(),
        });
        write_line(&head, output)?;
        return write_steps(&store, &story, output);
    };
    let other = read_id(engine, other)?;
    let explanation = store.history.explain(engine, id, other)?;
    let (kind, chain) = match &explanation {
        Explanation::Joined(_) => ("joined", true),
        Explanation::JoinedElsewhere => ("joined by a state that came from elsewhere", true),
        Explanation::Apart(_) => ("apart", false),
    };
    let ids = [id, other].map(|id| json!({ "id": id, "distinct_id": engine.resolve(id) }));
    write_line(
        &json!({ "explanation": kind, "one_person": chain, "ids": ids }),
        output,
    )?;
    match explanation {
        Explanation::Joined(chain) => chain
            .iter()
            .try_for_each(|&sequence| write_line(&read_entry(&store, sequence)?, output)),
        Explanation::JoinedElsewhere => Ok(()),
        Explanation::Apart(rejected) => write_steps(&store, &rejected, output),
    }
}

fn read_entry(store: &OpenStore, sequence: u64) -> anyhow::Result<Value> {
    let mut line = Value::Null;
    store.each_entry(sequence, &mut |entry| {
        line = entry_line(&entry);
        Ok(false)
    })?;
    Ok(line)
}

/// Writes claims with the answer they would get now, which may differ from the one they got.
fn write_steps(store: &OpenStore, steps: &[Step], output: &mut Output) -> anyhow::Result<()> {
    for step in steps {
        let mut line = read_entry(store, step.sequence)?;
        if step.is_withdrawn {
            line["withdrawn"] = true.into();
        } else {
            line["answer"] = step.answer.into();
            if !step.description.is_empty() {
                line["description"] = step.description.as_str().into();
                line["rule"] = step.rule.into();
            }
        }
        write_line(&line, output)?;
    }
    Ok(())
}
