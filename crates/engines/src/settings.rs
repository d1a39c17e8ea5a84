//! [`Settings`]: a model of ID Merge and its settings.

use idmerge_core::{
    Attribution, Claim, DistinctId, Event, IdBuffer, IdProperty, IdRules, IdentityResolver,
    InvalidEvent, Reading, Rejection, Resolve, RuleBook,
};
use idmerge_legacy::Legacy;
use idmerge_original::Original;
use idmerge_simplified::Simplified;

use crate::{Model, Overrides, SettingsError};

/// An engine that is chosen at run time.
pub type Engine = Box<dyn IdentityResolver>;

/// A cluster with this percentage of the IDs that it may have is nearly full: time to find out why it grows.
pub const NEAR_CAP_PERCENT: u64 = 90;

/// A model of ID Merge and its settings. Engines with equal settings give equal answers.
///
/// `Display` writes the canonical text; `FromStr` reads it back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settings {
    /// Simplified ID Merge.
    Simplified(idmerge_simplified::Settings),
    /// Original ID Merge.
    Original(idmerge_original::Settings),
    /// The rules before ID Merge.
    Legacy(idmerge_legacy::Settings),
}

impl Settings {
    /// The settings of a model: its defaults, with these overrides.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] if the model does not have one of the settings.
    pub fn new(model: Model, overrides: &Overrides) -> Result<Self, SettingsError> {
        overrides.check(model)?;
        let mut settings = Self::of(model);
        if let Self::Original(original) = &mut settings {
            if let Some(max_cluster_ids) = overrides.max_cluster_ids {
                original.max_cluster_ids = max_cluster_ids;
            }
            if let Some(anon_id_format) = overrides.anon_id_format {
                original.anon_id_format = anon_id_format;
            }
        }
        Ok(settings.with_id_rules(overrides.id_rules()))
    }

    /// The documented settings of a model.
    pub fn of(model: Model) -> Self {
        match model {
            Model::Simplified => Self::Simplified(idmerge_simplified::Settings::default()),
            Model::Original => Self::Original(idmerge_original::Settings::default()),
            Model::Legacy => Self::Legacy(idmerge_legacy::Settings::default()),
        }
    }

    /// The same settings with other rules for valid IDs (rules ID-2 and ID-4).
    #[must_use]
    pub fn with_id_rules(mut self, rules: IdRules) -> Self {
        *match &mut self {
            Self::Simplified(settings) => &mut settings.id_rules,
            Self::Original(settings) => &mut settings.id_rules,
            Self::Legacy(settings) => &mut settings.id_rules,
        } = rules;
        self
    }

    /// The model.
    pub fn model(&self) -> Model {
        match self {
            Self::Simplified(_) => Model::Simplified,
            Self::Original(_) => Model::Original,
            Self::Legacy(_) => Model::Legacy,
        }
    }

    /// The rules of the model.
    pub fn rule_book(&self) -> RuleBook {
        self.model().rule_book()
    }

    /// Whether a merge also moves past events.
    pub fn attribution(&self) -> Attribution {
        match self {
            Self::Simplified(_) | Self::Original(_) => Attribution::Retroactive,
            Self::Legacy(_) => Attribution::AtArrival,
        }
    }

    /// What a comparison with the users of other settings cannot show, if it has claims and no events: one
    /// of the two models attributes events at their arrival, so that their users are not those of the
    /// clusters.
    pub fn simulation_note(&self, other: &Self) -> Option<&'static str> {
        let is_at_arrival = |settings: &Self| settings.attribution() == Attribution::AtArrival;
        (is_at_arrival(self) || is_at_arrival(other)).then_some(
            "these are the differences of the clusters alone: legacy attributes each event at its \
             arrival (L-3), so which events change their user can only be said with the events, which a \
             log does not have; give them to `idmerge resolve` with each --engine",
        )
    }

    /// The rules for valid IDs (rules ID-2 and ID-4).
    pub fn id_rules(&self) -> &IdRules {
        match self {
            Self::Simplified(settings) => &settings.id_rules,
            Self::Original(settings) => &settings.id_rules,
            Self::Legacy(settings) => &settings.id_rules,
        }
    }

    /// The most IDs that a cluster may have, or `None` if the model has no limit.
    pub fn max_cluster_ids(&self) -> Option<u32> {
        match self {
            Self::Simplified(_) | Self::Legacy(_) => None,
            Self::Original(settings) => Some(settings.max_cluster_ids),
        }
    }

    /// Whether identity events have a meaning of their own: `$identify`, `$create_alias` and `$merge` in
    /// Original; `$create_alias` in Legacy, where the other two name a user (rule L-11).
    pub fn has_identity_events(&self) -> bool {
        match self {
            Self::Simplified(_) => false,
            Self::Original(_) | Self::Legacy(_) => true,
        }
    }

    /// Whether `$user_id` and `$device_id` say which user an event belongs to, so that it needs no
    /// `distinct_id`.
    pub fn has_reserved_ids(&self) -> bool {
        match self {
            Self::Simplified(_) => true,
            Self::Original(_) | Self::Legacy(_) => false,
        }
    }

    /// Reads which user an event belongs to, and what it claims. Needs no engine.
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`] as [`IdentityResolver::read`].
    #[inline]
    pub fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        match self {
            Self::Simplified(settings) => settings.read(event),
            Self::Original(settings) => settings.read(event),
            Self::Legacy(settings) => settings.read(event),
        }
    }

    /// Reads a distinct_id that a person or another system wrote: the own distinct_id of an event
    /// that carries nothing else.
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`] if the text is not an ID. Empty text is not an ID.
    pub fn read_id<'e>(&self, text: &'e str) -> Result<DistinctId<'e>, InvalidEvent> {
        self.read(&Event::with_distinct_id(text))?
            .require_distinct_id()
    }

    /// Whether an event can make this claim: an event with an ID that is too long (ID-2) or blocked
    /// (ID-4) is refused. A log of claims may be of other settings.
    pub fn accepts(&self, claim: Claim<'_>) -> bool {
        claim.ids().iter().all(|id| {
            let mut buffer = IdBuffer::new();
            let text = id.id().text_in(&mut buffer);
            self.id_rules().id(IdProperty::DistinctId, text).is_ok()
        })
    }

    /// Why an engine that has weighed this claim before rejects it, if the state alone tells: in Simplified a device
    /// stays with its first user for ever, so each link to another user is rejected, whenever it comes (S-7). The other
    /// models give `None`: there the answer depends on what was known when the claim came.
    pub fn rejection_by_state<'c>(
        &self,
        engine: &'c dyn Resolve,
        claim: Claim<'c>,
    ) -> Option<Rejection<'c>> {
        let Claim::Link { device, user } = claim else {
            return None;
        };
        let holder = engine.resolve(DistinctId::device(device));
        let is_free = holder.is_device() || holder == DistinctId::plain(user);
        (!is_free).then(|| Rejection::AnonDistinctIdAssignedAlready {
            anon: device,
            holder: holder.id(),
        })
    }

    /// A new engine with these settings and no state.
    pub fn engine(&self) -> Engine {
        match self {
            Self::Simplified(settings) => Box::new(Simplified::new(settings.clone())),
            Self::Original(settings) => Box::new(Original::new(settings.clone())),
            Self::Legacy(settings) => Box::new(Legacy::new(settings.clone())),
        }
    }
}

impl From<idmerge_simplified::Settings> for Settings {
    fn from(settings: idmerge_simplified::Settings) -> Self {
        Self::Simplified(settings)
    }
}

impl From<idmerge_original::Settings> for Settings {
    fn from(settings: idmerge_original::Settings) -> Self {
        Self::Original(settings)
    }
}

impl From<idmerge_legacy::Settings> for Settings {
    fn from(settings: idmerge_legacy::Settings) -> Self {
        Self::Legacy(settings)
    }
}

#[cfg(test)]
mod tests {
    use idmerge_core::Resolve;
    use idmerge_original::AnonIdFormat;

    use super::*;
    use crate::BlockedIds;

    #[test]
    fn settings_and_their_engine_agree() {
        for model in Model::ALL {
            let settings = Settings::of(model);
            let engine = settings.engine();
            assert_eq!(engine.rule_book(), settings.rule_book());
            assert_eq!(engine.attribution(), settings.attribution());
            let event = Event {
                device_id: "$device:D1".into(),
                user_id: "U1".into(),
                ..Event::named("$identify")
            };
            assert_eq!(engine.read(&event), settings.read(&event));
            assert_eq!(settings.read_id("U1").unwrap(), "U1");
            assert_eq!(settings.read_id("null").unwrap_err().rule(), "ID-4");
            assert_eq!(settings.read_id("").unwrap_err().rule(), "ID-2");
        }
    }

    #[test]
    fn overrides_replace_defaults() {
        let overrides = Overrides {
            max_cluster_ids: Some(7),
            anon_id_format: Some(AnonIdFormat::Guid),
            ..Overrides::default()
        };
        let settings = Settings::new(Model::Original, &overrides).unwrap();
        assert_eq!(settings.max_cluster_ids(), Some(7));
        let expected = idmerge_original::Settings {
            max_cluster_ids: 7,
            anon_id_format: AnonIdFormat::Guid,
            ..idmerge_original::Settings::default()
        };
        assert_eq!(settings, expected.into());
        let none = Overrides::default();
        for model in Model::ALL {
            let settings = Settings::new(model, &none).unwrap();
            assert_eq!(settings, Settings::of(model));
        }
    }

    #[test]
    fn a_setting_that_the_model_does_not_have_is_an_error() {
        let overrides = Overrides {
            anon_id_format: Some(AnonIdFormat::Guid),
            ..Overrides::default()
        };
        let error = Settings::new(Model::Simplified, &overrides).unwrap_err();
        assert_eq!(error.setting(), "anon_id_format");
        assert_eq!(
            error.to_string(),
            "anon_id_format is a setting of engine original; leave it out with engine simplified"
        );
        let zero = Overrides {
            max_cluster_ids: Some(0),
            ..Overrides::default()
        };
        let error = Settings::new(Model::Original, &zero).unwrap_err();
        assert_eq!(error, SettingsError::NoClusterIds);
        let zero = Overrides {
            max_id_bytes: Some(0),
            ..Overrides::default()
        };
        let error = Settings::new(Model::Simplified, &zero).unwrap_err();
        assert_eq!(error, SettingsError::NoIdBytes);
    }

    #[test]
    fn id_2_and_id_4_are_overrides_of_every_model() {
        for model in Model::ALL {
            let overrides = |blocked_ids| Overrides {
                max_id_bytes: Some(4),
                blocked_ids,
                ..Overrides::default()
            };
            let refused = |blocked_ids, text| {
                let settings = Settings::new(model, &overrides(blocked_ids)).unwrap();
                settings.read_id(text).err().map(|error| error.rule())
            };
            let only = || Some(BlockedIds::only(["Test"]));
            let besides = || Some(BlockedIds::besides_default(["Test"]));
            for (blocked_ids, text, rule) in [
                (None, "tests", Some("ID-2")),
                (None, "test", None),
                (None, "null", Some("ID-4")),
                (only(), "tEST", Some("ID-4")),
                (only(), "null", None),
                (besides(), "test", Some("ID-4")),
                (besides(), "null", Some("ID-4")),
                (besides(), "tes", None),
            ] {
                assert_eq!(
                    refused(blocked_ids.clone(), text),
                    rule,
                    "{blocked_ids:?} {text}"
                );
            }
        }
    }

    #[test]
    fn a_claim_is_accepted_if_an_event_could_make_it() {
        let id = |text| idmerge_core::Id::new(text).unwrap();
        let uuid = "00000000-0000-4000-8000-000000000000";
        let settings = |max: u16, blocked: &[&str]| {
            Settings::of(Model::Simplified).with_id_rules(IdRules::new(max, blocked))
        };
        let claim = Claim::Link {
            device: id(uuid),
            user: id("U1"),
        };
        assert!(settings(36, &["U2"]).accepts(claim));
        assert!(!settings(35, &[]).accepts(claim));
        assert!(!settings(36, &["u1"]).accepts(claim));
        assert!(!settings(36, &[uuid]).accepts(claim));
    }

    #[test]
    fn id_rules_are_a_setting_of_every_model() {
        for model in Model::ALL {
            let settings = Settings::of(model).with_id_rules(IdRules::new(3, ["x"]));
            assert_eq!(settings.id_rules().max_id_bytes(), 3);
            assert_eq!(settings.read_id("abcd").unwrap_err().rule(), "ID-2");
            assert!(settings.read_id("0").is_ok());
        }
    }
}
