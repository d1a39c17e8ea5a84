//! Finds the end of a JSON value in bytes that arrive piece by piece.
//!
//! It checks the whole grammar, so that only a text that breaks it ends an array (IN-6). Bytes that
//! are not UTF-8 pass within a string: they make an element unusable, but do not hide its end (IN-7).

/// A scan that stops wherever the bytes stop, and goes on with the next ones.
#[derive(Debug)]
pub(super) struct ValueScanner {
    expects: Expects,
    /// Which containers are open. An object is a set bit.
    open: Bits,
    max_depth: u64,
}

/// What a scan found in a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scanned {
    /// The value goes on after the piece.
    All,
    /// The value ends after this many bytes.
    Ended(usize),
    /// The byte at this offset cannot be part of the value.
    Broken(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expects {
    Value,
    /// A value, or the bracket of an empty array.
    FirstElement,
    Key,
    /// A key, or the brace of an empty object.
    FirstKey,
    Colon,
    /// A comma, or the end of the container.
    Comma,
    InString(Role),
    Escaped(Role),
    /// This many more hexadecimal digits.
    Hex(Role, u8),
    Number(Number),
    /// The rest of `true`, `false` or `null`.
    Word(&'static [u8]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Key,
    Value,
}

/// The part of a number that was passed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Digits,
    Point,
    Fraction,
    E,
    Sign,
    Exponent,
}

impl ValueScanner {
    /// A value that is nested deeper is taken for broken, so that brackets cost no memory.
    pub(super) fn new(max_depth: u64) -> Self {
        Self {
            expects: Expects::Value,
            open: Bits::default(),
            max_depth,
        }
    }

    /// Starts the next value.
    pub(super) fn restart(&mut self) {
        self.expects = Expects::Value;
        self.open.clear();
    }

    pub(super) fn scan(&mut self, piece: &[u8]) -> Scanned {
        let mut at = 0;
        while let Some(&byte) = piece.get(at) {
            if let Expects::InString(role) = self.expects {
                let is_plain = |byte: &u8| *byte >= b' ' && *byte != b'"' && *byte != b'\\';
                at += piece[at..].iter().take_while(|byte| is_plain(byte)).count();
                match piece.get(at) {
                    None => return Scanned::All,
                    Some(b'\\') => self.expects = Expects::Escaped(role),
                    Some(b'"') => self.expects = self.after_string(role),
                    Some(_) => return Scanned::Broken(at),
                }
            } else if let Expects::Number(number) = self.expects
                && !matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')
            {
                if !number.may_end() {
                    return Scanned::Broken(at);
                }
                self.expects = Expects::Comma;
                if self.open.len == 0 {
                    return Scanned::Ended(at);
                }
                continue;
            } else {
                match self.step(byte) {
                    Some(next) => self.expects = next,
                    None => return Scanned::Broken(at),
                }
            }
            at += 1;
            if self.open.len == 0 && self.expects == Expects::Comma {
                return Scanned::Ended(at);
            }
        }
        Scanned::All
    }

    /// What is expected after this byte. `None` if it cannot be there.
    fn step(&mut self, byte: u8) -> Option<Expects> {
        use Expects::{Colon, Comma, Escaped, FirstElement, FirstKey, Hex, InString, Key, Value};
        use Expects::{Number as InNumber, Word};
        Some(match (self.expects, byte) {
            (InNumber(number), _) => InNumber(number.after(byte)?),
            (Word(rest), _) if rest.first() == Some(&byte) => match &rest[1..] {
                [] => Comma,
                rest => Word(rest),
            },
            (Escaped(role), b'u') => Hex(role, 4),
            (Escaped(role), b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                InString(role)
            }
            (Hex(role, 1), _) if byte.is_ascii_hexdigit() => InString(role),
            (Hex(role, digits), _) if byte.is_ascii_hexdigit() => Hex(role, digits - 1),
            (Word(_) | Escaped(_) | Hex(..) | InString(_), _) => return None,
            (same, b' ' | b'\t' | b'\n' | b'\r') => same,
            (Key | FirstKey, b'"') => InString(Role::Key),
            (Colon, b':') => Value,
            (Comma, b',') if self.open.last() => Key,
            (Comma, b',') => Value,
            (Comma | FirstKey, b'}') if self.open.last() => self.close(),
            (Comma | FirstElement, b']') if !self.open.last() => self.close(),
            (Value | FirstElement, _) => return self.value(byte),
            _ => return None,
        })
    }

    fn value(&mut self, first: u8) -> Option<Expects> {
        Some(match first {
            b'{' | b'[' if self.open.len >= self.max_depth => return None,
            b'{' => {
                self.open.push(true);
                Expects::FirstKey
            }
            b'[' => {
                self.open.push(false);
                Expects::FirstElement
            }
            b'"' => Expects::InString(Role::Value),
            b'-' => Expects::Number(Number::Minus),
            b'0' => Expects::Number(Number::Zero),
            b'1'..=b'9' => Expects::Number(Number::Digits),
            b't' => Expects::Word(b"rue"),
            b'f' => Expects::Word(b"alse"),
            b'n' => Expects::Word(b"ull"),
            _ => return None,
        })
    }

    fn close(&mut self) -> Expects {
        self.open.pop();
        Expects::Comma
    }

    fn after_string(&self, role: Role) -> Expects {
        match role {
            Role::Key => Expects::Colon,
            Role::Value => Expects::Comma,
        }
    }

    /// Whether the value is complete if the input ends here. Only a number can be: its end is not
    /// marked.
    pub(super) fn may_end(&self) -> bool {
        matches!(self.expects, Expects::Number(number) if self.open.len == 0 && number.may_end())
    }
}

impl Number {
    fn after(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus | Self::Digits, b'0'..=b'9') => Self::Digits,
            (Self::Zero | Self::Digits, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Digits | Self::Fraction, b'e' | b'E') => Self::E,
            (Self::E, b'+' | b'-') => Self::Sign,
            (Self::E | Self::Sign | Self::Exponent, b'0'..=b'9') => Self::Exponent,
            _ => return None,
        })
    }

    fn may_end(self) -> bool {
        matches!(
            self,
            Self::Zero | Self::Digits | Self::Fraction | Self::Exponent
        )
    }
}

/// A stack of bits.
#[derive(Debug, Default)]
struct Bits {
    words: Vec<u64>,
    len: u64,
}

impl Bits {
    fn push(&mut self, bit: bool) {
        let at = self.len % 64;
        if at == 0 {
            self.words.push(0);
        }
        if let Some(word) = self.words.last_mut() {
            *word |= u64::from(bit) << at;
        }
        self.len += 1;
    }

    fn pop(&mut self) {
        self.len -= 1;
        let at = self.len % 64;
        if at == 0 {
            self.words.pop();
        } else if let Some(word) = self.words.last_mut() {
            *word &= !(1 << at);
        }
    }

    /// The bit pushed last; `false` if there is none.
    fn last(&self) -> bool {
        let Some(last) = self.len.checked_sub(1) else {
            return false;
        };
        self.words
            .last()
            .is_some_and(|word| word >> (last % 64) & 1 == 1)
    }

    fn clear(&mut self) {
        self.words.clear();
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    /// Scans a text in pieces of this many bytes.
    fn scan(text: &str, piece_bytes: usize) -> Scanned {
        let mut scanner = ValueScanner::new(1_000);
        let mut before = 0;
        for piece in text.as_bytes().chunks(piece_bytes) {
            match scanner.scan(piece) {
                Scanned::All => before += piece.len(),
                Scanned::Ended(at) => return Scanned::Ended(before + at),
                Scanned::Broken(at) => return Scanned::Broken(before + at),
            }
        }
        match scanner.may_end() {
            true => Scanned::Ended(before),
            false => Scanned::All,
        }
    }

    /// Where `serde_json` finds the end of the first value.
    fn end_by_serde(text: &str) -> Option<usize> {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
        values.next()?.ok()?;
        Some(values.byte_offset())
    }

    #[test]
    fn in_6_a_value_ends_where_serde_json_ends_it_in_pieces_of_any_size() {
        let pieces = [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"a\"",
            "\"\\u00e9\\n\"",
            "1",
            "-",
            "0.5",
            "1e+9",
            "true",
            "null",
            " ",
            "\n",
            "x",
            "\"",
        ];
        // A number of a fixed generator picks the pieces.
        let mut state = 1_u64;
        let mut ended = 0;
        for _ in 0..60_000 {
            let mut text = String::new();
            for _ in 0..8 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                text += pieces[(state >> 40) as usize % pieces.len()];
            }
            let expected = end_by_serde(&text);
            for piece_bytes in [1, 3, 100] {
                match (scan(&text, piece_bytes), expected) {
                    (Scanned::Ended(end), Some(expected)) => assert_eq!(end, expected, "{text}"),
                    (Scanned::Ended(end), None) => {
                        // Numbers and words that run into the next value: `1true`.
                        assert!(
                            !text[..end].trim_start().starts_with(['{', '[', '"']),
                            "{text}"
                        );
                    }
                    (_, expected) => assert_eq!(expected, None, "{text}"),
                }
            }
            ended += u32::from(expected.is_some());
        }
        assert!(ended > 3_000, "{ended}");
    }

    #[test]
    fn in_6_containers_of_any_depth_end_where_they_should() {
        for depth in [1, 63, 64, 65, 200] {
            let text = "[{\"a\":".repeat(depth) + "1" + &"}]".repeat(depth);
            assert_eq!(scan(&text, 7), Scanned::Ended(text.len()));
            assert_eq!(scan(&text[..text.len() - 1], 7), Scanned::All);
            let wrong = text.replacen("}]", "]}", 1);
            assert!(matches!(scan(&wrong, 7), Scanned::Broken(_)));
        }
        assert_eq!(scan(&"[".repeat(2_000), 64), Scanned::Broken(1_000));
    }
}
