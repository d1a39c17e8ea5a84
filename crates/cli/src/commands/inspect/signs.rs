//! Which model the project of the events has: a likelihood, and the signs that it rests on.

use idmerge_engines::Model;
use serde::Serialize;

use crate::commands::inspect::evidence::Evidence;
use crate::commands::inspect::model::Figures;
use crate::output::text::{count, human};

/// The model that the project most likely has.
#[derive(Clone, Debug, Serialize)]
pub(super) struct CurrentModel {
    /// `None` if the signs do not prefer one model.
    pub(super) model: Option<Model>,
    pub(super) likelihood: Likelihood,
    pub(super) signs: Vec<Sign>,
    /// What the signs cannot say, or how to get better ones.
    pub(super) note: Option<&'static str>,
}

/// How much the signs say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Likelihood {
    /// A strong sign points to the model, and none to another.
    High,
    /// Strong signs point to the model, and fewer to others.
    Medium,
    /// Weak signs point to the model.
    Low,
    /// No model has more signs than the others.
    None,
}

/// Something in the events that one model explains better than another.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Sign {
    pub(super) points_to: Vec<Model>,
    pub(super) strength: Strength,
    /// How many events or IDs have it.
    pub(super) number: u64,
    pub(super) evidence: String,
    pub(super) why: &'static str,
}

/// Whether only the models that the sign points to are known to leave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Strength {
    Strong,
    Weak,
}

const AS_SENT: &str = "These are events as they were sent, and SDKs send the same to every project. The \
                       raw export of a project shows what the project did with them.";
const OF_ANOTHER_PRODUCT: &str =
    "These are records of another product, which say nothing about a project.";

impl CurrentModel {
    pub(super) fn new(
        evidence: &Evidence,
        moves: u64,
        models: [&Figures; 3],
        is_of_another_product: bool,
    ) -> Self {
        let signs = match is_of_another_product {
            true => Vec::new(),
            false => signs(evidence, moves, models),
        };
        let (model, likelihood) = most_likely(&signs);
        Self {
            model,
            likelihood,
            signs,
            note: if is_of_another_product {
                Some(OF_ANOTHER_PRODUCT)
            } else {
                (!evidence.is_export()).then_some(AS_SENT)
            },
        }
    }

    /// The verdict, in words.
    pub(super) fn verdict(&self) -> String {
        let words = match self.likelihood {
            Likelihood::High => "very likely",
            Likelihood::Medium => "probably",
            Likelihood::Low => "perhaps",
            Likelihood::None => "cannot be told",
        };
        match self.model {
            Some(model) => format!("{words} {model}"),
            None => words.to_owned(),
        }
    }
}

impl Sign {
    /// The sign as a line: the models that it points to, what it is, and why.
    pub(super) fn text(&self) -> String {
        let models: Vec<_> = self.points_to.iter().map(|model| model.name()).collect();
        let strength = match self.strength {
            Strength::Strong => "",
            Strength::Weak => " (weak)",
        };
        let (models, evidence) = (models.join(" or "), &self.evidence);
        format!("{models}{strength}: {evidence}; {}", self.why)
    }
}

/// The model with the most strong signs; of those with as many, the one with the most weak signs.
fn most_likely(signs: &[Sign]) -> (Option<Model>, Likelihood) {
    let number = |model: Model, strength| {
        let of_model = |sign: &&Sign| sign.points_to.contains(&model) && sign.strength == strength;
        signs.iter().filter(of_model).count()
    };
    let mut scores = Model::ALL.map(|model| {
        let [strong, weak] = [Strength::Strong, Strength::Weak].map(|it| number(model, it));
        (strong, weak, model)
    });
    scores.sort_by_key(|(strong, weak, _)| std::cmp::Reverse((*strong, *weak)));
    let [first, second, third] = scores;
    if (first.0, first.1) == (second.0, second.1) {
        return (None, Likelihood::None);
    }
    let likelihood = match (first.0, second.0 + third.0) {
        (0, _) => Likelihood::Low,
        (_, 0) => Likelihood::High,
        _ => Likelihood::Medium,
    };
    (Some(first.2), likelihood)
}

/// A sign that events leave.
struct Rule {
    points_to: &'static [Model],
    strength: Strength,
    /// How many events have it.
    events: fn(&Evidence) -> u64,
    with: &'static str,
    why: &'static str,
}

/// The signs, strong ones first.
const RULES: [Rule; 10] = [
    Rule {
        points_to: &[Model::Simplified],
        strength: Strength::Strong,
        events: |it| it.identity_failure_reason,
        with: "$identity_failure_reason",
        why: "Simplified writes it on events of a second user of a device",
    },
    Rule {
        points_to: &[Model::Original],
        strength: Strength::Strong,
        events: |it| it.failure_reason,
        with: "$failure_reason",
        why: "Original writes it on identity events that it rejects",
    },
    Rule {
        points_to: &[Model::Original],
        strength: Strength::Strong,
        events: |it| it.moved_to_a_device,
        with: "$is_reshuffled and the ID of a device as distinct_id",
        why: "Simplified moves events to users only, and Legacy moves none",
    },
    Rule {
        points_to: &[Model::Original],
        strength: Strength::Strong,
        events: |it| it.merge,
        with: "the name $merge",
        why: "it joins IDs in Original only",
    },
    Rule {
        points_to: &[Model::Simplified, Model::Original],
        strength: Strength::Weak,
        events: |it| it.is_reshuffled,
        with: "$is_reshuffled",
        why: "a merge moved them, and Legacy moves no events",
    },
    Rule {
        points_to: &[Model::Original],
        strength: Strength::Weak,
        events: |it| it.identify_identified_id,
        with: "$identified_id",
        why: "servers and connectors send it, SDKs do not, and Simplified ignores it",
    },
    Rule {
        points_to: &[Model::Simplified],
        strength: Strength::Weak,
        events: |it| match it.identity_events() {
            0 => it.device_and_user_id,
            _ => 0,
        },
        with: "$device_id and $user_id, and no identity event",
        why: "these join IDs in Simplified only",
    },
    Rule {
        points_to: &[Model::Legacy],
        strength: Strength::Weak,
        events: |it| match is_unmoved_export(it) {
            true => it.create_alias,
            false => 0,
        },
        with: "the name $create_alias, and none that was moved",
        why: "Original would have moved events, and Simplified ignores aliases",
    },
    Rule {
        points_to: &[Model::Original, Model::Legacy],
        strength: Strength::Weak,
        events: |it| match is_unmoved_export(it) {
            true => 0,
            false => it.create_alias,
        },
        with: "the name $create_alias",
        why: "it joins nothing in Simplified",
    },
    Rule {
        points_to: &[Model::Simplified, Model::Original],
        strength: Strength::Weak,
        events: |it| it.device_prefix,
        with: "a distinct_id with $device:",
        why: "SDKs since 2023 send it, and projects without ID Merge are mostly older",
    },
];

/// Whether the events are from an export that moved none.
fn is_unmoved_export(evidence: &Evidence) -> bool {
    evidence.is_export() && evidence.is_reshuffled == 0
}

/// The signs in the events, strong ones first.
fn signs(evidence: &Evidence, moves: u64, models: [&Figures; 3]) -> Vec<Sign> {
    let signs = RULES.iter().filter_map(|rule| {
        let number = (rule.events)(evidence);
        (number > 0).then(|| Sign {
            points_to: rule.points_to.to_vec(),
            strength: rule.strength,
            number,
            evidence: format!("{} with {}", count(number, "event", "events"), rule.with),
            why: rule.why,
        })
    });
    let mut signs: Vec<_> = signs.chain(moves_explained(moves, models)).collect();
    signs.sort_by_key(|sign| sign.strength == Strength::Weak);
    signs
}

/// The models whose clusters explain most of the IDs that an export has moved. The sign is strong if one
/// model explains at least half of them, and each other model less than half of what that one explains.
fn moves_explained(moves: u64, models: [&Figures; 3]) -> Option<Sign> {
    let best = models.iter().map(|it| it.explained_moves).max()?;
    if best == 0 || best * 2 < moves {
        return None;
    }
    let with_at_least = |percent: u64| {
        let models = models.iter();
        let models = models.filter(move |it| it.explained_moves * 100 >= best * percent);
        models.map(|it| it.model).collect::<Vec<_>>()
    };
    // Both models explain what both would do, so a difference of a few IDs says little.
    let points_to = with_at_least(95);
    if points_to.len() == models.len() {
        return None;
    }
    Some(Sign {
        strength: match with_at_least(50).len() {
            1 => Strength::Strong,
            _ => Strength::Weak,
        },
        points_to,
        number: best,
        evidence: format!(
            "{} of {} that the export moved",
            human(best),
            count(moves, "ID", "IDs"),
        ),
        why: "the claims in the events move them in this model",
    })
}
