//! Splits and decodes forms and queries.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// The pairs of name and value of a form or a query, in order and still encoded.
pub(crate) fn pairs(form: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    form.split(|&byte| byte == b'&').map(|pair| {
        let name_bytes = pair.iter().position(|&byte| byte == b'=');
        match name_bytes {
            Some(bytes) => (&pair[..bytes], &pair[bytes + 1..]),
            None => (pair, &[][..]),
        }
    })
}

/// Rule IN-9: the `data` of a form that may be JSON as it is, up to the end of the form, and the pairs
/// before it. The caller checks that it is JSON.
///
/// `None` also if JSON reads the same with and without percent-decoding, so that nothing needs to be
/// checked.
pub(crate) fn unescaped_json(form: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut start = 0;
    for pair in form.split(|&byte| byte == b'&') {
        if let Some(value) = pair.strip_prefix(b"data=") {
            let (before, json) = form.split_at(start + pair.len() - value.len());
            let is_object_or_array = matches!(value.trim_ascii_start(), [b'{' | b'[', ..]);
            let is_ambiguous = json.iter().any(|byte| matches!(byte, b'&' | b'%' | b'+'));
            return (is_object_or_array && is_ambiguous).then(|| (&before[..start], json));
        }
        start += pair.len() + 1;
    }
    None
}

/// Decodes a name or a value: `+` is a space, and `%` with two hexadecimal digits is a byte.
pub(crate) fn decoded(encoded: &[u8]) -> Cow<'_, [u8]> {
    if encoded.contains(&b'+') {
        let spaced: Vec<u8> = encoded
            .iter()
            .map(|&byte| if byte == b'+' { b' ' } else { byte })
            .collect();
        return Cow::Owned(percent_decode(&spaced).collect());
    }
    percent_decode(encoded).into()
}

/// Decodes a value as text. `None` if it is not UTF-8.
pub(crate) fn text(encoded: &[u8]) -> Option<String> {
    String::from_utf8(decoded(encoded).into_owned()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_split_and_decoded() {
        let found: Vec<_> = pairs(b"a=1&b=%22x+y%22&c&=d&e=f=g")
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect();
        let wanted: [(&[u8], &[u8]); 5] = [
            (b"a", b"1"),
            (b"b", b"\"x y\""),
            (b"c", b""),
            (b"", b"d"),
            (b"e", b"f=g"),
        ];
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(wanted) {
            assert_eq!((&*found.0, &*found.1), wanted);
        }
    }

    #[test]
    fn only_json_that_decoding_would_change_is_unescaped() {
        let found = unescaped_json(b"a=1&data={\"b\":\"c+d&data=\"}");
        let wanted = (&b"a=1&"[..], &b"{\"b\":\"c+d&data=\"}"[..]);
        assert_eq!(found, Some(wanted));
        assert_eq!(unescaped_json(b"data={}&"), Some((&b""[..], &b"{}&"[..])));
        // Base64, JSON that decoding does not change, and forms without data.
        for form in [&b"data=e30+"[..], b"data={}", b"data=", b"a={+}"] {
            assert_eq!(unescaped_json(form), None);
        }
    }

    #[test]
    fn an_invalid_escape_is_kept() {
        assert_eq!(&*decoded(b"100%"), b"100%");
        assert_eq!(&*decoded(b"%zz%2"), b"%zz%2");
        assert_eq!(text(b"%ff"), None);
    }
}
