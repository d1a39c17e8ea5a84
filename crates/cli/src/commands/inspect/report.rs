//! The answer of `inspect`: the recommendation, and the page that shows it.

use std::fmt;

use idmerge_engines::Model;
use indicatif::HumanCount;
use serde::Serialize;

use crate::commands::inspect::evidence::Evidence;
use crate::commands::inspect::model::Figures;

/// Everything that `inspect` says.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    inputs: Vec<String>,
    events: u64,
    refused: u64,
    evidence: Evidence,
    models: Models,
    /// The model that fits. `None` if no event carries an ID that a model reads.
    engine: Option<Model>,
    reason: String,
    /// The losses under the other model, in sentences.
    lost: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Models {
    simplified: Figures,
    original: Figures,
}

impl Report {
    pub(super) fn new(
        inputs: Vec<String>,
        refused: u64,
        evidence: Evidence,
        simplified: Figures,
        original: Figures,
    ) -> Self {
        let mut report = Self {
            inputs,
            events: evidence.events(),
            refused,
            evidence,
            models: Models {
                simplified,
                original,
            },
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

    fn recommend(&mut self) {
        let Models {
            simplified,
            original,
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
        self.lost = self.lost_under(other, fits);
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
                users(fits.users),
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
        let identity = self.evidence.identity_events();
        if model.model == Model::Simplified && identity > 0 && fits.outcomes.merges > 0 {
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

fn human(number: u64) -> String {
    HumanCount(number).to_string()
}

fn users(number: u64) -> String {
    count(number, "user", "users")
}

/// A number and its noun.
fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", human(number), if number == 1 { one } else { many })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inputs = match &*self.inputs {
            [one] if one == "-" => "stdin".to_owned(),
            [one] => one.clone(),
            many => count(many.len() as u64, "input", "inputs"),
        };
        write!(f, "{inputs}: {}", count(self.events, "event", "events"))?;
        if self.refused > 0 {
            write!(f, ", {} refused", count(self.refused, "line", "lines"))?;
        }
        writeln!(f, "\n")?;
        if self.events > 0 {
            self.write_evidence(f)?;
            self.write_models(f)?;
        }
        match self.engine {
            None => writeln!(f, "Neither model fits: {}.", self.reason),
            Some(model) => {
                writeln!(f, "Use --engine {model}: {}.", self.reason)?;
                self.write_lost(f, model)
            }
        }
    }
}

impl Report {
    fn write_evidence(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e = &self.evidence;
        writeln!(f, "{:<46}{:>14}", "The events carry", "events")?;
        for (name, number) in [
            ("$device_id and $user_id", e.device_and_user_id),
            ("$user_id, no $device_id", e.user_id),
            ("$device_id, no $user_id", e.device_id),
            ("distinct_id alone", e.distinct_id_alone),
            ("no ID", e.no_id),
            ("$identify", e.identify),
            ("  with an anonymous ID of UUIDv4 form", e.identify_uuid_v4),
            ("  with another anonymous ID", e.identify_other_form),
            ("  without an anonymous ID", e.identify_without_anonymous_id),
            ("$create_alias", e.create_alias),
            ("$merge", e.merge),
        ] {
            if number > 0 || !name.starts_with(' ') {
                line(f, name, number)?;
            }
        }
        for (name, number) in [
            ("distinct_id with the prefix $device:", e.device_prefix),
            (
                "$distinct_id_before_identity (an export)",
                e.distinct_id_before_identity,
            ),
            ("mp_processing_time_ms (an export)", e.mp_processing_time_ms),
        ] {
            if number > 0 {
                line(f, name, number)?;
            }
        }
        line(f, "devices with a user", e.devices)?;
        line(f, "  with several users", e.devices_with_several_users)?;
        writeln!(f)
    }

    fn write_models(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Models {
            simplified,
            original,
        } = &self.models;
        writeln!(
            f,
            "{:<38}{:>14}{:>14}",
            "Each model gives", "simplified", "original"
        )?;
        let mut row = |name: &str, figure: &dyn Fn(&Figures) -> u64| {
            let [simplified, original] = [simplified, original].map(|it| human(figure(it)));
            writeln!(f, "  {name:<36}{simplified:>14}{original:>14}")
        };
        row("events of a user", &Figures::attributed)?;
        row("events without an ID", &|it| it.without_id)?;
        row("events that it refuses", &|it| it.refused.values().sum())?;
        row("users before", &|it| it.users_before)?;
        row("users after", &|it| it.users)?;
        row("events moved to another ID", &|it| it.joined_events)?;
        row("IDs of the largest cluster", &|it| it.largest_cluster)?;
        row("merges", &|it| it.outcomes.merges)?;
        row("rejected claims", &|it| {
            it.outcomes.rejections.values().sum()
        })?;
        let models = [simplified, original];
        let codes = models.iter().flat_map(|it| it.outcomes.rejections.keys());
        let mut codes: Vec<_> = codes.collect();
        codes.sort_unstable();
        codes.dedup();
        for code in codes {
            row(&format!("  {code}"), &|it| {
                it.outcomes.rejections.get(code).copied().unwrap_or(0)
            })?;
        }
        writeln!(f)
    }

    fn write_lost(&self, f: &mut fmt::Formatter<'_>, fits: Model) -> fmt::Result {
        let compared = [Model::Simplified, Model::Original];
        let others = compared.into_iter().filter(|model| *model != fits);
        for other in others {
            if self.lost.is_empty() {
                writeln!(f, "Under {other} nothing would be lost.")?;
                continue;
            }
            writeln!(f, "\nUnder {other}:")?;
            for lost in &self.lost {
                writeln!(f, "  - {lost}")?;
            }
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, number: u64) -> fmt::Result {
    writeln!(f, "  {name:<44}{:>14}", human(number))
}
