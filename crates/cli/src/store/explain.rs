//! `idmerge store explain`: why two IDs are one person, or are not.

use idmerge_core::IdentityResolver;
use idmerge_store::{Explanation, Step};
use serde_json::{Value, json};

use super::args::ExplainArgs;
use super::open::{Store, open_for_reading};
use super::{lines, read_id};
use crate::output::Output;

pub(super) fn run(args: &ExplainArgs, output: &mut Output) -> anyhow::Result<()> {
    let store = open_for_reading(&args.store.folder)?;
    let engine = &store.engine;
    let id = read_id(engine, &args.id);
    let Some(other) = &args.other else {
        let story = store.history.story(engine, id)?;
        let members = engine.cluster(id).map(|cluster| cluster.members);
        let head = json!({
            "id": id,
            "distinct_id": engine.resolve(id),
            "members": members.unwrap_or_default(),
        });
        lines::write(&head, output)?;
        return steps(&store, &story, output);
    };
    let other = read_id(engine, other);
    let explanation = store.history.explain(engine, id, other)?;
    let (kind, chain) = match &explanation {
        Explanation::Joined(_) => ("joined", true),
        Explanation::JoinedElsewhere => ("joined by a state that came from elsewhere", true),
        Explanation::Apart(_) => ("apart", false),
    };
    let ids = [id, other].map(|id| json!({ "id": id, "distinct_id": engine.resolve(id) }));
    lines::write(
        &json!({ "explanation": kind, "one_person": chain, "ids": ids }),
        output,
    )?;
    match explanation {
        Explanation::Joined(chain) => chain
            .iter()
            .try_for_each(|&sequence| lines::write(&entry(&store, sequence)?, output)),
        Explanation::JoinedElsewhere => Ok(()),
        Explanation::Apart(rejected) => steps(&store, &rejected, output),
    }
}

fn entry(store: &Store, sequence: u64) -> anyhow::Result<Value> {
    let mut line = Value::Null;
    store.each(sequence, &mut |entry| {
        line = lines::entry(&entry);
        Ok(false)
    })?;
    Ok(line)
}

/// Each with the answer of now, which may be another than that of when it came.
fn steps(store: &Store, steps: &[Step], output: &mut Output) -> anyhow::Result<()> {
    for step in steps {
        let mut line = entry(store, step.sequence)?;
        if step.is_withdrawn {
            line["withdrawn"] = true.into();
        } else {
            line["answer"] = step.answer.into();
            if !step.description.is_empty() {
                line["description"] = step.description.as_str().into();
                line["rule"] = step.rule.into();
            }
        }
        lines::write(&line, output)?;
    }
    Ok(())
}
