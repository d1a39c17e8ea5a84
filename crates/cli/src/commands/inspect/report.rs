//! The answer of `inspect`: the figures, and the recommendation.

use idmerge_engines::Model;
use serde::{Serialize, Serializer};

use crate::commands::inspect::evidence::Evidence;
use crate::commands::inspect::model::{Figures, UnlimitedFigures};
use crate::commands::inspect::signs::CurrentModel;
use crate::output::text::{count, human};

/// Everything that `inspect` says.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) inputs: Vec<String>,
    pub(super) events: u64,
    pub(super) refused: u64,
    pub(super) evidence: Evidence,
    pub(super) models: Models,
    pub(super) original_without_limit: UnlimitedFigures,
    pub(super) current_model: CurrentModel,
    /// The model that fits. `None` if no event carries an ID that a model reads.
    pub(super) engine: Option<Model>,
    pub(super) reason: String,
    /// The losses under each other model, in sentences.
    #[serde(serialize_with = "as_map")]
    pub(super) lost: Vec<(Model, Vec<String>)>,
}

fn as_map<S: Serializer>(lost: &[(Model, Vec<String>)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(lost.iter().map(|(model, lost)| (model, lost)))
}

/// The figures of each model.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Models {
    pub(super) simplified: Figures,
    pub(super) original: Figures,
    pub(super) legacy: Figures,
}

impl Models {
    pub(super) fn all(&self) -> [&Figures; 3] {
        [&self.simplified, &self.original, &self.legacy]
    }
}

impl Report {
    pub(super) fn new(
        inputs: Vec<String>,
        refused: u64,
        evidence: Evidence,
        models: Models,
        original_without_limit: UnlimitedFigures,
        current_model: CurrentModel,
    ) -> Self {
        let mut report = Self {
            inputs,
            events: evidence.events(),
            refused,
            evidence,
            models,
            original_without_limit,
            current_model,
            engine: None,
            reason: String::new(),
            lost: Vec::new(),
        };
        report.recommend();
        report
    }

    /// Whether a model fits, or the input has no events at all.
    pub(super) fn is_answer(&self) -> bool {
        self.engine.is_some() || self.events == 0
    }

    /// Chooses between the models of ID Merge. Legacy is not offered to new projects, and is not better: no
    /// event moves that came before an alias, and the second device of a user is never joined.
    fn recommend(&mut self) {
        let Models {
            simplified,
            original,
            legacy,
        } = &self.models;
        if simplified.attributed() == 0 && original.attributed() == 0 {
            self.reason = match self.events {
                0 => "there is no event".to_owned(),
                _ => "no event carries an ID that a model reads: see $user_id, $device_id and \
                      distinct_id in `idmerge help rules`"
                    .to_owned(),
            };
            return;
        }
        let (losses_s, losses_o) = (losses(simplified, original), losses(original, simplified));
        let (fits, other) = match losses_s <= losses_o {
            true => (simplified, original),
            false => (original, simplified),
        };
        self.engine = Some(fits.model);
        self.reason = if losses_s == losses_o {
            let users = count(fits.users, "user", "users");
            let joins = match simplified.outcomes.merges + original.outcomes.merges {
                0 => "no event joins two IDs, so ",
                _ => "",
            };
            format!(
                "{joins}both models count {users}; Simplified needs no identity events, takes any \
                 text as a device ID, and has no limit of IDs for each user"
            )
        } else {
            self.why(fits, other)
        };
        let others = [other, legacy];
        self.lost = others
            .map(|other| (other.model, self.lost_under(other, fits)))
            .into();
    }

    /// Why a model fits better.
    fn why(&self, fits: &Figures, other: &Figures) -> String {
        let evidence = &self.evidence;
        let what = match fits.model {
            Model::Original => format!(
                "{} ($identify, $create_alias, $merge) join IDs in Original, and nothing in Simplified",
                count(
                    evidence.identity_events(),
                    "identity event",
                    "identity events"
                ),
            ),
            _ if form_or_limit(other) > form_or_limit(fits) => format!(
                "Original rejects {} because of its limit of IDs or the form of an anonymous ID; \
                 Simplified has neither rule",
                count(form_or_limit(other), "claim", "claims"),
            ),
            _ if fits.outcomes.merges > 0 => format!(
                "{} both $device_id and $user_id, which joins them in Simplified; Original joins \
                 only what $identify, $create_alias and $merge name",
                count(evidence.device_and_user_id, "event carries", "events carry"),
            ),
            _ => "Simplified reads more of its events".to_owned(),
        };
        let users = match fits.users == other.users {
            true => String::new(),
            false => format!(
                ": {} with --engine {}, and {} with {}",
                count(fits.users, "user", "users"),
                fits.model,
                human(other.users),
                other.model,
            ),
        };
        format!("{what}{users}")
    }

    /// The losses under a model.
    fn lost_under(&self, model: &Figures, fits: &Figures) -> Vec<String> {
        let mut lost = Vec::new();
        if model.users > fits.users {
            let more = model.users - fits.users;
            lost.push(format!(
                "{} would be counted",
                count(more, "more user", "more users")
            ));
        }
        if model.attributed() < fits.attributed() {
            let fewer = fits.attributed() - model.attributed();
            lost.push(format!(
                "{} would belong to no user",
                count(fewer, "event", "events")
            ));
        }
        if model.joined_events < fits.joined_events {
            let fewer = fits.joined_events - model.joined_events;
            lost.push(format!(
                "{} to the user who did {}",
                count(fewer, "event would not move", "events would not move"),
                if fewer == 1 { "it" } else { "them" },
            ));
        }
        if model.funnel.converted < fits.funnel.converted {
            let fewer = fits.funnel.converted - model.funnel.converted;
            lost.push(format!(
                "{} convert from an anonymous event to their first one as a user",
                count(fewer, "user would not", "users would not")
            ));
        }
        let identity = match (model.model, fits.model) {
            (Model::Simplified, Model::Original) => self.evidence.identity_events(),
            (Model::Legacy, Model::Original) => self.evidence.identify + self.evidence.merge,
            _ => 0,
        };
        if identity > 0 && fits.outcomes.merges > 0 {
            lost.push(format!(
                "{} would join nothing",
                count(identity, "identity event", "identity events")
            ));
        }
        for (code, rejected) in &model.outcomes.rejections {
            let here = fits.outcomes.rejections.get(code).copied().unwrap_or(0);
            if *rejected > here {
                let rejected = count(*rejected, "claim", "claims");
                lost.push(format!("{rejected} would be rejected with {code}"));
            }
        }
        lost
    }
}

/// The claims that a model rejects for the size of the cluster or the form of the anonymous ID.
fn form_or_limit(model: &Figures) -> u64 {
    let codes = ["errManyIDs", "errAnonDistinctIdNonGUIDForm"];
    let rejected = codes.map(|code| model.outcomes.rejections.get(code).copied());
    rejected.into_iter().flatten().sum()
}

/// The users that a model counts too many, and the events that only the other one can use.
fn losses(model: &Figures, other: &Figures) -> u64 {
    let users = model.users.saturating_sub(other.users);
    users + other.attributed().saturating_sub(model.attributed())
}
