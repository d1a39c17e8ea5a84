//! What destinations for Mixpanel make of the `context` of a call.

use crate::read::fields::{find, members};
use crate::read::value::Value;

/// A property that a destination derives from a field of a section of the context, such as `os` and `name`.
pub(super) struct Derived {
    pub(super) property: &'static str,
    /// Empty for a field of the context itself.
    pub(super) section: &'static str,
    pub(super) field: &'static str,
}

/// A property of this name, derived from this field.
pub(super) const fn from(
    section: &'static str,
    field: &'static str,
    property: &'static str,
) -> Derived {
    Derived {
        property,
        section,
        field,
    }
}

/// The derived properties that the context has a value for. Of several fields for one property the first counts.
pub(super) fn derive<'r>(context: Value<'r>, table: &[Derived]) -> Vec<(&'static str, Value<'r>)> {
    let context = members(context);
    let mut derived: Vec<(&str, Value<'r>)> = Vec::new();
    // The table has the fields of a section one after another.
    for fields in table.chunk_by(|one, other| one.section == other.section) {
        let section = fields[0].section;
        let inner = match section {
            "" => None,
            section => Some(members(find(&context, section))),
        };
        let inner = inner.as_ref().unwrap_or(&context);
        if inner.is_empty() {
            continue;
        }
        for Derived {
            property, field, ..
        } in fields
        {
            let value = find(inner, field);
            if !value.is_absent() && derived.iter().all(|(name, _)| name != property) {
                derived.push((property, value));
            }
        }
    }
    derived
}
