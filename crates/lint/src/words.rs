//! IDs that are code, or words that tests and examples use, and not the ID of anybody.

/// What an ID looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Look {
    #[default]
    Ordinary,
    /// A word that a person may have chosen as a user name, such as `test`.
    Suspicious,
    /// The name of a variable, a template that was not filled in, or what code prints for no value.
    Code,
}

/// The words of names of variables that hold an ID, before [`NOUNS`].
const ROLES: &[&str] = &[
    "account",
    "actual",
    "alias",
    "analytics",
    "anon",
    "anonymous",
    "auth",
    "client",
    "contact",
    "current",
    "customer",
    "device",
    "distinct",
    "enter",
    "external",
    "identified",
    "identity",
    "in",
    "insert",
    "internal",
    "logged",
    "login",
    "member",
    "mixpanel",
    "new",
    "old",
    "person",
    "player",
    "profile",
    "real",
    "replace",
    "segment",
    "session",
    "subscriber",
    "the",
    "undefined",
    "unique",
    "user",
    "visitor",
    "your",
];

/// What such a name ends with.
const NOUNS: &[&str] = &[
    "email",
    "guid",
    "id",
    "identifier",
    "key",
    "number",
    "uid",
    "uuid",
];

/// What an example adds to a name.
const AFTER: &[&str] = &["goes", "here", "placeholder", "string", "value"];

/// Names that are made otherwise.
const NAMES: &[&str] = &[
    "currentuser",
    "emailaddress",
    "identifier",
    "loggedinuser",
    "uuid",
];

/// What languages print for a value that is not there.
const NOTHING: &[&str] = &[
    "<nil>",
    "<null>",
    "(nil)",
    "(null)",
    "nan",
    "nil",
    "none",
    "null",
    "nullptr",
    "optional(nil)",
    "undefined",
];

/// Words of tests and examples.
const SUSPICIOUS: &[&str] = &[
    "123", "1234", "12345", "123456", "abc", "abc123", "admin", "default", "demo", "dummy",
    "email", "example", "fake", "foo", "guest", "id", "me", "name", "root", "sample", "system",
    "test", "test1", "test123", "tester", "testing", "testuser", "uid", "user", "user1", "user123",
    "username", "users", "xxx",
];

/// The objects whose members code names when it means an ID, in lower case.
const OBJECTS: &[&str] = &[
    "account",
    "auth",
    "context",
    "ctx",
    "currentuser",
    "customer",
    "data",
    "event",
    "me",
    "member",
    "my",
    "params",
    "profile",
    "props",
    "req",
    "request",
    "self",
    "session",
    "state",
    "this",
    "user",
    "window",
];

/// The members that hold an ID.
const MEMBERS: &[&str] = &[
    "email", "id", "key", "name", "uid", "user", "username", "sub",
];

impl Look {
    pub(crate) fn of(text: &str) -> Self {
        let text = text.trim();
        let lower = text.to_lowercase();
        if is_template(&lower) || is_nothing(&lower) || is_name(&lower) || is_path_or_call(&lower) {
            Self::Code
        } else if is_suspicious(&lower) {
            Self::Suspicious
        } else {
            Self::Ordinary
        }
    }
}

/// The text without what separates the words of a name.
fn joined(text: &str) -> String {
    let is_separator = |c: &char| matches!(c, '_' | '-' | '.' | ' ');
    text.chars().filter(|c| !is_separator(c)).collect()
}

/// Whether this is `{{user.id}}`, `${id}`, `<%= id %>`, `%s`, `<user_id>`, `:userId`, `[USER]` or the like.
fn is_template(text: &str) -> bool {
    let within = |open: &str, close: &str| {
        let inner = text.strip_prefix(open)?.strip_suffix(close)?;
        let is_plain = !inner.is_empty() && inner.chars().all(is_of_placeholder);
        is_plain.then_some(())
    };
    let is_filled_in = ["{{", "${", "#{", "<%", "%(", "@@"]
        .iter()
        .any(|open| text.contains(open));
    is_filled_in
        || matches!(text, "%s" | "%d" | "%@" | "%v" | "{}" | "{0}" | "$1" | "?")
        || within("<", ">").is_some()
        || within("[", "]").is_some()
        || within("[[", "]]").is_some()
        || within("{", "}").is_some()
        || within("%", "%").is_some()
        || within("__", "__").is_some()
        || [":", "$", "@"]
            .iter()
            .filter_map(|sign| text.strip_prefix(sign))
            .any(|name| is_name(name) || name == "user" || is_path_or_call(name))
}

fn is_of_placeholder(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '_' | '-' | ' ' | '.')
}

/// Whether this is what code prints for a value that is not there, or is not text.
fn is_nothing(text: &str) -> bool {
    let is_object = text.starts_with("[object ")
        || text.starts_with("<object ")
        || text.starts_with("function(")
        || text.starts_with("function (")
        || text.contains("=>");
    is_object || NOTHING.contains(&text) || text.starts_with("optional(")
}

/// Whether this is `user_id`, `currentUserId`, `YOUR_USER_ID`, `user_id_here` or the like.
fn is_name(text: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '-' | '.' | ' ');
    if !text.chars().all(is_of_name) {
        return false;
    }
    let joined = joined(text);
    let mut name = &*joined;
    while let Some(rest) = AFTER.iter().find_map(|word| name.strip_suffix(word)) {
        name = rest;
    }
    let of_roles = |noun: &&str| name.strip_suffix(*noun).is_some_and(is_of_roles);
    NAMES.contains(&name) || NOUNS.iter().any(of_roles)
}

/// Whether the text is one word of [`ROLES`] after the other, and at least one.
fn is_of_roles(text: &str) -> bool {
    let begins = |word: &&str| {
        let rest = text.strip_prefix(*word);
        rest.is_some_and(|rest| rest.is_empty() || is_of_roles(rest))
    };
    ROLES.iter().any(begins)
}

/// Whether this is `user.id`, `this.currentUser?.email`, `getUserId()`, `String(user.id)` or the like.
fn is_path_or_call(text: &str) -> bool {
    let path = text.replace("?.", ".").replace("->", ".");
    let path = path.replace("['", ".").replace("']", "");
    let is_of_code = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    if let Some((function, argument)) = path.strip_suffix(')').and_then(|it| it.split_once('(')) {
        let is_function = !function.is_empty() && function.chars().all(is_of_code);
        let is_argument = argument.is_empty() || is_name(argument) || is_path_or_call(argument);
        return is_function && is_argument;
    }
    let Some((object, member)) = path.rsplit_once('.') else {
        return false;
    };
    let first = object.split('.').next().unwrap_or_default();
    OBJECTS.contains(&&*joined(first)) && (MEMBERS.contains(&member) || is_name(member))
}

fn is_suspicious(text: &str) -> bool {
    let (name, domain) = text.split_once('@').unwrap_or((text, ""));
    let is_of_examples = matches!(
        domain,
        "" | "example.com" | "test.com" | "email.com" | "domain.com"
    );
    is_of_examples && (SUSPICIOUS.contains(&name) || is_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_no_id() {
        for text in [
            "user_id",
            "userId",
            "USER_ID",
            "user-id",
            "$user_id",
            ":userId",
            "distinct_id",
            "currentUser.id",
            "user?.email",
            "this.props.userId",
            "getUserId()",
            "user.getId()",
            "[object Object]",
            "[object Promise]",
            "{{user.id}}",
            "${userId}",
            "${",
            "<user_id>",
            "{user_id}",
            "%s",
            "%USER_ID%",
            "YOUR_USER_ID",
            "your email",
            "null",
            "undefined",
            "NaN",
            "Optional(nil)",
            "Optional(\"ada\")",
            "() => user.id",
            "[USER_ID]",
            "uuid",
            " user_id ",
        ] {
            assert_eq!(Look::of(text), Look::Code, "{text}");
        }
    }

    #[test]
    fn words_of_tests_may_be_the_name_of_somebody() {
        for text in [
            "test",
            "Admin",
            "user",
            "12345",
            "test@example.com",
            "id",
            "foo@test.com",
        ] {
            assert_eq!(Look::of(text), Look::Suspicious, "{text}");
        }
    }

    #[test]
    fn ids_of_people_and_devices_are_ordinary() {
        for text in [
            "ada",
            "ada@example.com",
            "user-000417",
            "1000417",
            "null@example.com",
            "Nullius",
            "Nan.P@x.org",
            "undefined-behaviour",
            "user_id_417",
            "ada.name",
            "o.key@x.org",
            "grace.id",
            "27183",
            "26683906-1f2e-4c1b-9d0a-0123456789ab",
            "李小龙",
            "😀",
            "test.pilot@nasa.gov",
            "rootless",
            "admin@acme.io",
            "id_417",
            "auth0|5f7c8ec7c33c6c004bbafe82",
            "google-oauth2|1076",
            "{4f}",
            "tagged.user@x.org",
            "userland",
            "customer",
            "K.Id",
            "$B2f9",
            "@ada",
            "[1]",
        ] {
            assert_eq!(Look::of(text), Look::Ordinary, "{text}");
        }
    }
}
