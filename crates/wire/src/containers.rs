//! How large and how deep the value of a property is.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::{Fault, Limits};

/// The fault of an object or an array that has too much in it.
pub(crate) fn fault(json: &str, limits: &Limits) -> Option<Fault> {
    let mut fault = None;
    let container = Container {
        depth_left: limits.depth_max,
        limits,
        fault: &mut fault,
    };
    // It is JSON, so the only error is the one that is noted.
    let _is_noted = container.deserialize(&mut serde_json::Deserializer::from_str(json));
    fault
}

/// Reads a value, and goes no deeper than may be.
struct Container<'a> {
    depth_left: usize,
    limits: &'a Limits,
    fault: &'a mut Option<Fault>,
}

impl Container<'_> {
    fn inner(&mut self) -> Option<Container<'_>> {
        Some(Container {
            depth_left: self.depth_left.checked_sub(1)?,
            limits: self.limits,
            fault: self.fault,
        })
    }

    fn note<E: Error>(&mut self, fault: Fault) -> E {
        *self.fault = Some(fault);
        E::custom("a limit")
    }

    fn too_deep<E: Error>(&mut self) -> E {
        let depth_max = self.limits.depth_max;
        self.note(Fault::TooDeep { depth_max })
    }

    fn too_many<E: Error>(&mut self) -> E {
        let members_max = self.limits.members_max;
        self.note(Fault::TooManyMembers { members_max })
    }
}

impl<'de> DeserializeSeed<'de> for Container<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Container<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut array: A) -> Result<(), A::Error> {
        for count in 0.. {
            let Some(inner) = self.inner() else {
                return Err(self.too_deep());
            };
            if array.next_element_seed(inner)?.is_none() {
                break;
            }
            if count == self.limits.members_max {
                return Err(self.too_many());
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<(), A::Error> {
        let mut count = 0;
        while object.next_key::<IgnoredAny>()?.is_some() {
            if count == self.limits.members_max {
                return Err(self.too_many());
            }
            count += 1;
            let Some(inner) = self.inner() else {
                return Err(self.too_deep());
            };
            object.next_value_seed(inner)?;
        }
        if self.depth_left == 0 {
            return Err(self.too_deep());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        members_max: 2,
        depth_max: 3,
        ..Limits::DOCUMENTED
    };

    #[test]
    fn limits_hold_on_both_sides() {
        let too_deep = Some(Fault::TooDeep { depth_max: 3 });
        let too_many = Some(Fault::TooManyMembers { members_max: 2 });
        for (json, wanted) in [
            ("[[[]]]", None),
            ("[[[1]]]", None),
            ("[[[[]]]]", too_deep.clone()),
            (r#"{"a":{"a":{"a":"x"}}}"#, None),
            (r#"{"a":{"a":{"a":{}}}}"#, too_deep.clone()),
            (r#"{"a":[{"a":[]}]}"#, too_deep),
            ("[1.5,null]", None),
            ("[true,-1,[]]", too_many.clone()),
            (r#"{"a":1,"b":2}"#, None),
            (r#"{"a":1,"b":2,"c":3}"#, too_many.clone()),
            (r#"{"a":[[],[1,2,3]]}"#, too_many),
        ] {
            assert_eq!(fault(json, &LIMITS), wanted, "{json}");
        }
    }
}
