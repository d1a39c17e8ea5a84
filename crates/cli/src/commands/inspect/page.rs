//! The page that `inspect` prints.

use std::fmt;

use idmerge_engines::Model;

use crate::commands::inspect::model::Figures;
use crate::commands::inspect::report::Report;
use crate::output::text::{count, human, wrapped};

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
            self.write_ids(f)?;
            self.write_models(f)?;
            self.write_current_model(f)?;
        }
        match self.engine {
            None => write!(
                f,
                "{}",
                wrapped("", &format!("No model fits: {}.", self.reason))
            ),
            Some(model) => {
                let line = format!("Use --engine {model}: {}.", self.reason);
                write!(f, "{}", wrapped("", &line))?;
                self.write_lost(f)
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
            ("  with $identified_id", e.identify_identified_id),
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
            ("$is_reshuffled (an export)", e.is_reshuffled),
            ("$failure_reason (an export)", e.failure_reason),
            (
                "$identity_failure_reason (an export)",
                e.identity_failure_reason,
            ),
        ] {
            if number > 0 {
                line(f, name, number)?;
            }
        }
        writeln!(f)
    }

    fn write_ids(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e = &self.evidence;
        writeln!(f, "{:<46}{:>14}", "Of the IDs there are", "IDs")?;
        let forms = e.anonymous_ids;
        line(f, "anonymous IDs of UUIDv4 form", forms.uuid_v4)?;
        line(f, "  of another form of SDKs", forms.other_sdk_form)?;
        line(f, "  of any other form", forms.other_form)?;
        line(f, "devices with a user", e.devices)?;
        let several = format!(
            "  {:<44}{:>14}",
            "  with several users",
            human(e.devices_with_several_users)
        );
        match e.devices_with_several_users_share {
            Some(share) => writeln!(f, "{several}  ({:.1} %)", share * 100.0)?,
            None => writeln!(f, "{several}")?,
        }
        let original = &self.original_without_limit;
        let name = format!("clusters of more than {} IDs in Original", original.limit);
        line(f, &name, original.clusters_over_limit)?;
        line(
            f,
            "  the largest without that limit",
            original.largest_cluster,
        )?;
        let missing = &e.missing_resets;
        if missing.calls > 0 {
            let calls = count(missing.calls, "call", "calls");
            let are = if missing.calls == 1 { "is" } else { "are" };
            let devices = count(missing.devices, "device", "devices");
            let events = count(missing.events, "event", "events");
            let text = format!(
                "{calls} of reset() {are} missing, on {devices}: events show the device with one user, \
                 then with another. {events} show a device with another user than its first."
            );
            write!(f, "{}", wrapped("  ", &text))?;
        }
        writeln!(f)
    }

    fn write_models(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let models = self.models.all();
        let names = models.map(|it| format!("{:>14}", it.model.name())).concat();
        writeln!(f, "{:<38}{names}", "Each model gives")?;
        let mut row = |name: &str, figure: &dyn Fn(&Figures) -> String| {
            let figures = models.map(|it| format!("{:>14}", figure(it))).concat();
            writeln!(f, "  {name:<36}{figures}")
        };
        row("events of a user", &|it| human(it.attributed()))?;
        row("events without an ID", &|it| human(it.without_id))?;
        row("events that it refuses", &|it| {
            human(it.refused.values().sum())
        })?;
        row("users before", &|it| human(it.users_before))?;
        row("users after", &|it| human(it.users))?;
        row("events that join another ID", &|it| human(it.joined_events))?;
        row("anonymous first, then a user", &|it| {
            human(it.funnel.converted)
        })?;
        row("  without merging", &|it| human(it.funnel.converted_before))?;
        row("  gain", &|it| match it.funnel.gain {
            gain @ ..0 => format!("-{}", human(gain.unsigned_abs())),
            gain => format!("+{}", human(gain.unsigned_abs())),
        })?;
        row("IDs of the largest cluster", &|it| {
            human(it.largest_cluster)
        })?;
        row("merges", &|it| human(it.outcomes.merges))?;
        row("rejected claims", &|it| {
            human(it.outcomes.rejections.values().sum())
        })?;
        let codes = models.iter().flat_map(|it| it.outcomes.rejections.keys());
        let mut codes: Vec<_> = codes.collect();
        codes.sort_unstable();
        codes.dedup();
        for code in codes {
            row(&format!("  {code}"), &|it| {
                human(it.outcomes.rejections.get(code).copied().unwrap_or(0))
            })?;
        }
        writeln!(f)
    }

    fn write_current_model(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = &self.current_model;
        writeln!(f, "The model of this project: {}.", current.verdict())?;
        for sign in &current.signs {
            write!(f, "{}", wrapped("  - ", &sign.text()))?;
        }
        if let Some(note) = current.note {
            write!(f, "{}", wrapped("  ", note))?;
        }
        writeln!(f)
    }

    fn write_lost(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (model, lost) in &self.lost {
            if lost.is_empty() {
                writeln!(f, "Under {model} nothing would be lost.")?;
            } else {
                writeln!(f, "\nUnder {model}:")?;
            }
            for lost in lost {
                write!(f, "{}", wrapped("  - ", lost))?;
            }
            if *model == Model::Legacy {
                write!(f, "{}", wrapped("  ", NOT_LEGACY))?;
            }
        }
        Ok(())
    }
}

/// Why Legacy is never recommended.
const NOT_LEGACY: &str = "Legacy is for projects that have it: no event moves that came before an alias, \
                          a second device of a user is never joined, and new projects do not get it.";

fn line(f: &mut fmt::Formatter<'_>, name: &str, number: u64) -> fmt::Result {
    writeln!(f, "  {name:<44}{:>14}", human(number))
}
