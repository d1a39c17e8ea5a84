//! Plays a vector to an engine and reports the differences.

use idmerge_core::{Attribution, IdentityResolver, IdentityResolverExt, Outcome};
use idmerge_events::JsonEvent;

use super::{Case, OwnedClaim, Step, outcome_text};
use crate::check::{Differences, as_expected, clusters_of, written};

/// An accepted event, and the reason if its claim was rejected.
struct Played<'c> {
    number: usize,
    event: JsonEvent<'c>,
    rejection: Option<(String, String)>,
    written: Option<&'c str>,
}

/// Plays a case to an engine with the settings of the case and no state.
pub(crate) fn play(case: &Case, engine: &mut dyn IdentityResolver) -> Result<(), String> {
    let at_arrival = engine.attribution() == Attribution::AtArrival;
    let mut differences = Differences::default();
    // Events that are written after all steps.
    let mut played = Vec::new();
    for (number, step) in case.steps.iter().enumerate() {
        match (&step.event, &step.claim) {
            (Some(json), _) => {
                let event = play_event(number, step, json, engine, &mut differences);
                match event {
                    Some(event) if at_arrival => check_written(&event, engine, &mut differences),
                    event => played.extend(event),
                }
            }
            (None, Some(claim)) => play_claim(number, step, claim, engine, &mut differences),
            (None, None) => {}
        }
    }

    for (text, want) in &case.resolved {
        let got = match engine.read_id(text) {
            Ok(id) => engine.resolve(id).to_string(),
            Err(refused) => refused.to_string(),
        };
        differences.expect(&format!("{text:?} resolves to"), want, &got);
    }
    differences.expect("the clusters", &case.clusters, &clusters_of(engine));
    for cluster in &case.clusters {
        for member in &cluster.members {
            let got = engine
                .read_id(member)
                .ok()
                .and_then(|id| engine.cluster(id))
                .map(|found| as_expected(&found));
            let of = format!("the cluster of {member:?}");
            differences.expect(&of, &Some(cluster.clone()), &got);
        }
    }
    for played in &played {
        check_written(played, engine, &mut differences);
    }
    differences.into_result()
}

fn play_event<'c>(
    number: usize,
    step: &'c Step,
    json: &'c str,
    engine: &mut dyn IdentityResolver,
    differences: &mut Differences,
) -> Option<Played<'c>> {
    let of = |what: &str| format!("step {number}, {what} of {json}");
    let event = match JsonEvent::parse(json.as_bytes()) {
        Ok(event) => event,
        Err(error) => {
            let got = Some(error.rule().to_owned());
            differences.expect(&of("refusal"), &step.refused, &got);
            return None;
        }
    };
    let own = match engine.read(&event.event()) {
        Ok(reading) => reading.distinct_id.map(|id| id.to_string()),
        Err(refused) => {
            let got = Some(format!("{} {}", refused.rule(), refused.property()));
            differences.expect(&of("refusal"), &step.refused, &got);
            return None;
        }
    };
    differences.expect(&of("refusal"), &step.refused, &None);
    let want = step.own.clone().unwrap_or_default();
    differences.expect(&of("own distinct_id"), &want, &own.unwrap_or_default());
    let rejection = match engine.apply_event(&event.event()) {
        Ok((_, outcome)) => check_outcome(&of("outcome"), step, outcome.as_ref(), differences),
        Err(error) => {
            differences.expect(&of("error"), &String::new(), &error.to_string());
            None
        }
    };
    Some(Played {
        number,
        event,
        rejection,
        written: step.written.as_deref(),
    })
}

fn play_claim(
    number: usize,
    step: &Step,
    claim: &OwnedClaim,
    engine: &mut dyn IdentityResolver,
    differences: &mut Differences,
) {
    let of = |what: &str| format!("step {number}, {what} of {}", claim.to_toml());
    match engine.apply(claim.as_claim()) {
        Ok(outcome) => {
            check_outcome(&of("outcome"), step, Some(&outcome), differences);
        }
        Err(error) => differences.expect(&of("error"), &String::new(), &error.to_string()),
    }
}

/// Checks an outcome. Returns the code and the description of a rejection.
fn check_outcome(
    of: &str,
    step: &Step,
    outcome: Option<&Outcome<'_>>,
    differences: &mut Differences,
) -> Option<(String, String)> {
    differences.expect(of, &step.outcome, &outcome.map(outcome_text));
    let Some(Outcome::Rejected(rejection)) = outcome else {
        return None;
    };
    let description = rejection.to_string();
    for word in &step.says {
        if !description.contains(word.as_str()) {
            differences.expect(of, &format!("a text that contains {word:?}"), &description);
        }
    }
    Some((rejection.code().to_owned(), description))
}

fn check_written(
    played: &Played<'_>,
    engine: &dyn IdentityResolver,
    differences: &mut Differences,
) {
    let Some(want) = played.written else {
        return;
    };
    let got = written(engine, &played.event, played.rejection.as_ref());
    let got = got.unwrap_or_else(|error| error);
    let of = format!("step {}, the written event", played.number);
    differences.expect(&of, &want.to_owned(), &got);
}
