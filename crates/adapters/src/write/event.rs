//! Writes events that say what a record says.

use std::borrow::Cow;

use idmerge_core::IdProperty;

use crate::adapted::Adapted;
use crate::conflict::UserConflict;
use crate::format::Format;
use crate::options::{Options, Target};
use crate::read::ids::{Side, read_id};
use crate::read::rest::Rest;
use crate::read::value::Value;
use crate::refusal::Refusal;
use crate::write::draft::{Draft, Head, Names, valid_insert_id};
use crate::write::object::write_texts;

/// The parts of an event, before it is known which model it is for.
pub(crate) struct Parts<'p> {
    pub(crate) format: Format,
    pub(crate) user: Option<Cow<'p, str>>,
    pub(crate) device: Option<Cow<'p, str>>,
    /// The ID of an event that has neither of the two.
    pub(crate) distinct_id: Option<Cow<'p, str>>,
    pub(crate) time_ms: Option<i64>,
    pub(crate) message_id: Option<Cow<'p, str>>,
}

/// What an event carries. A property goes before a field of the record with the same name.
#[derive(Clone, Copy, Default)]
pub(crate) struct Carried<'c, 'r> {
    /// Fields of the record, under names that this crate chooses.
    pub(crate) named: &'c [(&'static str, Value<'r>)],
    /// Traits of the user, each as `traits_<name>`.
    pub(crate) traits: Option<&'c Rest<'r>>,
    /// Other fields of the record.
    pub(crate) rest: Option<&'c Rest<'r>>,
    /// Other fields of the batch that has the record.
    pub(crate) shared: Option<&'c Rest<'r>>,
    pub(crate) properties: Option<&'c Rest<'r>>,
}

/// The text of an ID, if there is one.
type OptionalId<'r> = Option<Cow<'r, str>>;

/// The IDs of a record: of the user and of the device.
///
/// # Errors
///
/// A value is neither absent nor an ID.
pub(crate) fn ids<'r>(
    options: &Options,
    user: (&str, Value<'r>),
    device: (&str, Value<'r>),
    to: &mut Adapted,
) -> Result<(OptionalId<'r>, OptionalId<'r>), Refusal> {
    let mut read = |side, (name, value)| read_id(&options.ids, side, name, value, &mut to.counts);
    Ok((read(Side::User, user)?, read(Side::Device, device)?))
}

impl Parts<'_> {
    /// Two users whom an event of this name says are one person, the earlier one first.
    pub(crate) fn conflict(&self, event: &str, users: [&str; 2]) -> UserConflict {
        let message_id = self.message_id.as_deref();
        UserConflict {
            line: 0,
            users: users.map(str::to_owned),
            event: event.to_owned(),
            insert_id: message_id.map(|id| valid_insert_id(id).into_owned()),
        }
    }

    /// Writes an event with the IDs that there are.
    pub(crate) fn event(&self, name: &str, carried: Carried<'_, '_>, to: &mut Adapted) {
        self.with_ids(|ids, own| self.write(name, ids, own, carried, to));
    }

    /// Begins an event with the IDs that there are.
    pub(crate) fn start<'a>(&self, name: &str, to: &'a mut Adapted) -> Draft<'a> {
        self.with_ids(|ids, own| Draft::start(to, &self.head(name, ids, own)))
    }

    /// Gives the IDs that there are, and the one that the event is attributed to.
    #[inline]
    fn with_ids<R>(&self, then: impl FnOnce(&[(IdProperty, &str)], Option<&str>) -> R) -> R {
        let own_id = self.user.as_deref().or(self.device.as_deref());
        let own = own_id.or(self.distinct_id.as_deref());
        let device = self.device.as_deref().unwrap_or_default();
        let user = self.user.as_deref().unwrap_or_default();
        let ids = [(IdProperty::DeviceId, device), (IdProperty::UserId, user)];
        let ids = match (&self.device, &self.user) {
            (Some(_), Some(_)) => &ids[..],
            (Some(_), None) => &ids[..1],
            (None, Some(_)) => &ids[1..],
            (None, None) => match own {
                Some(id) => &[(IdProperty::DistinctId, id)][..],
                None => &[][..],
            },
        };
        then(ids, own)
    }

    fn head<'h>(
        &'h self,
        name: &'h str,
        ids: &'h [(IdProperty, &'h str)],
        own: Option<&'h str>,
    ) -> Head<'h> {
        Head {
            name,
            ids,
            own,
            time_ms: self.time_ms,
            message_id: self.message_id.as_deref(),
            source: self.format.name(),
        }
    }

    /// Writes that the device belongs to the user: in an ordinary event for a model that links by both IDs,
    /// and as `$identify` for one that needs identity events. Without one of the two there is only the event.
    pub(crate) fn identify(
        &self,
        target: Target,
        name: &str,
        carried: Carried<'_, '_>,
        to: &mut Adapted,
    ) {
        let both = self.user.as_deref().zip(self.device.as_deref());
        if target.has_links() || both.is_none() {
            self.event(name, carried, to);
        }
        if let Some((user, device)) = both
            && target.has_identity_events()
        {
            let ids = [
                (IdProperty::IdentifiedId, user),
                (IdProperty::AnonId, device),
            ];
            self.write("$identify", &ids, Some(user), carried, to);
        }
    }

    /// Writes a `$create_alias`.
    pub(crate) fn create_alias(
        &self,
        distinct_id: &str,
        alias: &str,
        carried: Carried<'_, '_>,
        to: &mut Adapted,
    ) {
        let ids = [
            (IdProperty::DistinctId, distinct_id),
            (IdProperty::Alias, alias),
        ];
        self.write("$create_alias", &ids, Some(distinct_id), carried, to);
    }

    /// Writes a `$merge` of two IDs.
    pub(crate) fn merge(&self, ids: [&str; 2], carried: Carried<'_, '_>, to: &mut Adapted) {
        let mut pair = Vec::new();
        write_texts(&ids, &mut pair);
        let pair = String::from_utf8(pair).unwrap_or_default();
        self.write_all(
            "$merge",
            &[],
            Some((IdProperty::DistinctIds, &pair)),
            Some(ids[0]),
            carried,
            to,
        );
    }

    /// Writes an event with these IDs.
    pub(crate) fn write(
        &self,
        name: &str,
        ids: &[(IdProperty, &str)],
        own: Option<&str>,
        carried: Carried<'_, '_>,
        to: &mut Adapted,
    ) {
        self.write_all(name, ids, None, own, carried, to);
    }

    fn write_all(
        &self,
        name: &str,
        ids: &[(IdProperty, &str)],
        json: Option<(IdProperty, &str)>,
        own: Option<&str>,
        carried: Carried<'_, '_>,
        to: &mut Adapted,
    ) {
        let mut draft = Draft::start(to, &self.head(name, ids, own));
        if let Some((key, json)) = json {
            draft.json(key, json);
        }
        let names = Names::of(carried.properties);
        for (name, value) in carried.named {
            if !value.is_missing() && !names.has_plain(name) {
                draft.value(name, *value);
            }
        }
        if let Some(traits) = carried.traits {
            draft.carry("traits_", traits);
        }
        for rest in [carried.rest, carried.shared].into_iter().flatten() {
            match carried.properties {
                Some(properties) => draft.carry_unless_in(rest, properties, &names),
                None => draft.carry("", rest),
            }
        }
        if let Some(properties) = carried.properties {
            draft.carry("", properties);
        }
        draft.end();
    }
}
