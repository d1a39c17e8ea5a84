//! The names that Mixpanel's profiles have for traits of CDPs.

use crate::read::rest::Rest;
use crate::write::draft::has;
use crate::write::object::Members;

/// (trait, property of a profile). `name` may also be made of two traits.
const NAMES: [(&str, &str); 8] = [
    ("\"created\"", "$created"),
    ("\"createdAt\"", "$created"),
    ("\"created_at\"", "$created"),
    ("\"email\"", "$email"),
    ("\"firstName\"", "$first_name"),
    ("\"lastName\"", "$last_name"),
    ("\"username\"", "$username"),
    ("\"phone\"", "$phone"),
];

/// Writes traits under the names that profiles have for them.
pub(crate) fn renamed(traits: &Rest<'_>, to: &mut Members<'_>) {
    let mut has_created = false;
    for member in traits.iter() {
        let (name, value) = (member.name(), member.value());
        let known = NAMES.iter().find(|(from, _)| *from == name.as_str());
        match known {
            Some((_, "$created")) if has_created => {}
            Some((_, key)) => {
                has_created |= *key == "$created";
                to.value(key, value);
            }
            None if name.as_str() == "\"name\"" => to.value("$name", value),
            None => to.verbatim(&member),
        }
    }
    let text = |name: &str| {
        let found = traits.iter().find(|member| member.name().as_str() == name);
        found.and_then(|member| member.value().text())
    };
    if !has(traits, "\"name\"")
        && let (Some(first), Some(last)) = (text("\"firstName\""), text("\"lastName\""))
    {
        to.text("$name", &format!("{first} {last}"));
    }
}
