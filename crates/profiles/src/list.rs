//! [`List`]: a property that is a list, in a form that operations change without reading all of it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use serde_json::Value;
use serde_json::value::RawValue;

/// The JSON values of a list.
///
/// `$union` and `$remove` would be slow on a long list if they compared each value. So the first of them
/// makes an index of the values by their hash. A removed value is marked, and its text stays.
#[derive(Clone, Debug)]
pub(crate) struct List {
    /// The texts of all values one after the other. It only grows at the end.
    text: String,
    values: Vec<Place>,
    /// The number of values that are not removed.
    len: usize,
    /// The bytes of these values.
    bytes: usize,
    index: Option<Index>,
}

/// The place of a value in the text.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: u32,
    /// 0 if the value is removed: no value has an empty text.
    bytes: u32,
    /// An earlier value that is equal; [`NONE`] if there is none. Only the index sets it.
    earlier: u32,
}

const NONE: u32 = u32::MAX;

/// Of each distinct value, the number of the last one that equals it.
#[derive(Clone, Debug, Default)]
struct Index {
    last: HashTable<u32>,
    hasher: RandomState,
}

/// A value that was removed: its number and its length.
pub(crate) type RemovedValue = (u32, u32);

impl List {
    /// Reads a JSON list. `None` if the text is not one, or is longer than 4 GiB.
    pub(crate) fn read(json: &str) -> Option<Self> {
        u32::try_from(json.len()).ok()?;
        let texts: Vec<&RawValue> = serde_json::from_str(json).ok()?;
        let mut list = Self {
            text: String::with_capacity(json.len()),
            ..Self::new()
        };
        list.values.reserve_exact(texts.len());
        for text in texts {
            list.push(text.get());
        }
        Some(list)
    }

    /// A list without values.
    pub(crate) fn new() -> Self {
        Self {
            text: String::new(),
            values: Vec::new(),
            len: 0,
            bytes: 0,
            index: None,
        }
    }

    /// The length of the JSON text.
    pub(crate) fn json_bytes(&self) -> usize {
        // The brackets, and a comma between two values.
        2 + self.bytes + self.len.saturating_sub(1)
    }

    /// Adds the JSON text to `out`.
    pub(crate) fn write(&self, out: &mut String) {
        out.push('[');
        let mut separator = "";
        for place in self.values.iter().filter(|place| place.bytes > 0) {
            out.push_str(separator);
            out.push_str(text_at(&self.text, place));
            separator = ",";
        }
        out.push(']');
    }

    /// Adds a value, as JSON text.
    pub(crate) fn push(&mut self, json: &str) {
        let number = number(self.values.len());
        self.values.push(Place {
            start: number_of_bytes(self.text.len()),
            bytes: number_of_bytes(json.len()),
            earlier: NONE,
        });
        self.text.push_str(json);
        self.len += 1;
        self.bytes += json.len();
        if let Some(index) = &mut self.index {
            index.add(&self.text, &mut self.values, number);
        }
    }

    /// Adds a value, unless the list has it. Returns whether it did not.
    pub(crate) fn push_new(&mut self, json: &str) -> bool {
        let (text, values, index) = self.indexed();
        let is_new = index.last_of(text, values, json).is_none();
        if is_new {
            self.push(json);
        }
        is_new
    }

    /// Removes all values that equal this one. Returns them for [`restore`](Self::restore).
    pub(crate) fn remove(&mut self, json: &str) -> Vec<RemovedValue> {
        let (text, values, index) = self.indexed();
        let mut removed = Vec::new();
        let mut next = index.take_last_of(text, values, json).unwrap_or(NONE);
        while let Some(place) = self.values.get_mut(next as usize) {
            removed.push((next, place.bytes));
            self.len -= 1;
            self.bytes -= place.bytes as usize;
            place.bytes = 0;
            next = place.earlier;
        }
        removed
    }

    /// Undoes [`remove`](Self::remove), if everything since then is undone.
    pub(crate) fn restore(&mut self, removed: &[RemovedValue]) {
        for &(number, bytes) in removed {
            self.values[number as usize].bytes = bytes;
            self.len += 1;
            self.bytes += bytes as usize;
        }
        if let (Some(index), Some((last, _))) = (&mut self.index, removed.first()) {
            index.restore(&self.text, &self.values, *last);
        }
    }

    /// Undoes the last `count` calls of [`push`](Self::push), if everything since then is undone.
    pub(crate) fn pop(&mut self, count: usize) {
        for _ in 0..count {
            let Some(place) = self.values.last().copied() else {
                return;
            };
            let number = number(self.values.len() - 1);
            if let Some(index) = &mut self.index {
                index.forget(&self.text, &self.values, number);
            }
            self.values.pop();
            self.text.truncate(place.start as usize);
            self.len -= 1;
            self.bytes -= place.bytes as usize;
        }
    }

    /// The parts of the list, with an index.
    fn indexed(&mut self) -> (&str, &[Place], &mut Index) {
        let Self { text, values, .. } = self;
        let index = self.index.get_or_insert_with(|| {
            let mut index = Index::default();
            for value in 0..number(values.len()) {
                index.add(text, values, value);
            }
            index
        });
        (text, values, index)
    }
}

impl Index {
    fn hash(&self, json: &str) -> u64 {
        self.hasher.hash_one(&*comparable(json))
    }

    /// Adds the value with this number, which must be the last one.
    fn add(&mut self, text: &str, values: &mut [Place], number: u32) {
        let json = text_at(text, &values[number as usize]);
        let hash = self.hash(json);
        let equals = |other: &u32| is_equal(text_at(text, &values[*other as usize]), json);
        if let Some(last) = self.last.find_mut(hash, equals) {
            values[number as usize].earlier = std::mem::replace(last, number);
        } else {
            self.insert(text, values, hash, number);
        }
    }

    fn insert(&mut self, text: &str, values: &[Place], hash: u64, number: u32) {
        let Self { last, hasher } = self;
        last.insert_unique(hash, number, |other| {
            hasher.hash_one(&*comparable(text_at(text, &values[*other as usize])))
        });
    }

    fn last_of(&self, text: &str, values: &[Place], json: &str) -> Option<u32> {
        let equals = |other: &u32| is_equal(text_at(text, &values[*other as usize]), json);
        self.last.find(self.hash(json), equals).copied()
    }

    /// Forgets a value and all that equal it. Returns the last of them.
    fn take_last_of(&mut self, text: &str, values: &[Place], json: &str) -> Option<u32> {
        let equals = |other: &u32| is_equal(text_at(text, &values[*other as usize]), json);
        let entry = self.last.find_entry(self.hash(json), equals).ok()?;
        Some(entry.remove().0)
    }

    /// Undoes [`take_last_of`](Self::take_last_of). The values are in the list again.
    fn restore(&mut self, text: &str, values: &[Place], last: u32) {
        let hash = self.hash(text_at(text, &values[last as usize]));
        self.insert(text, values, hash, last);
    }

    /// Forgets the last value of the list, whose number this is.
    fn forget(&mut self, text: &str, values: &[Place], number: u32) {
        let place = &values[number as usize];
        let hash = self.hash(text_at(text, place));
        if let Ok(mut entry) = self.last.find_entry(hash, |other| *other == number) {
            if place.earlier == NONE {
                entry.remove();
            } else {
                *entry.get_mut() = place.earlier;
            }
        }
    }
}

fn text_at<'t>(text: &'t str, place: &Place) -> &'t str {
    let start = place.start as usize;
    &text[start..start + place.bytes as usize]
}

/// Whether two JSON texts are the same value.
pub(crate) fn is_equal(json: &str, other: &str) -> bool {
    json == other || comparable(json) == comparable(other)
}

/// A text that equal values have in common: the order of an object's members does not count, and -0 is 0.
fn comparable(json: &str) -> Cow<'_, str> {
    if json == "-0.0" {
        return Cow::Borrowed("0.0");
    }
    if !json.starts_with(['[', '{']) {
        return Cow::Borrowed(json);
    }
    let Ok(mut value) = serde_json::from_str::<Value>(json) else {
        return Cow::Borrowed(json);
    };
    value.sort_all_objects();
    let mut text = String::with_capacity(json.len());
    // Writing to a string does not fail.
    let _ok = write!(text, "{value}");
    Cow::Owned(text)
}

/// The number of a value. A list has fewer values than bytes.
fn number(len: usize) -> u32 {
    number_of_bytes(len)
}

/// Limits keep a list far below 4 GiB.
fn number_of_bytes(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(NONE)
}
