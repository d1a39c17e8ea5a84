//! Entries as bytes: the form in `docs/store.md`.

use idmerge_core::{Claim, Id, IdForm, Outcome, Rejection, UuidText};

use idmerge_disk::varint::{self, VarintError};

use crate::log::entry::{Cause, Entry, What};

/// Bytes that are no entry.
pub(crate) type Wrong = &'static str;

const LINK: u8 = 0;
const IDENTIFY: u8 = 1;
const ALIAS: u8 = 2;
const MERGE: u8 = 3;
const RETRACTED: u8 = 14;
const REPLACED: u8 = 15;

const MERGED: u8 = 0;
const ALREADY_MERGED: u8 = 1;
const IGNORED: u8 = 2;
const SAME_IDS: u8 = 3;
const NON_GUID_FORM: u8 = 4;
const ASSIGNED_ALREADY: u8 = 5;
const ALIAS_ALREADY_EXISTS: u8 = 6;
const MANY_IDS: u8 = 7;

const KIND_BITS: u32 = 4;
const KIND_MASK: u8 = (1 << KIND_BITS) - 1;

const HAS_INSERT_ID: u8 = 1;
const HAS_TIME: u8 = 1 << 1;
const HAS_SOURCE: u8 = 1 << 2;
/// The source is that of the entry before.
const SAME_SOURCE: u8 = 1 << 3;

const LOWER_CASE_UUID: u64 = 0;
const UPPER_CASE_UUID: u64 = 1;
/// A text of no bytes.
const EMPTY_TEXT: u64 = 2;

/// The kind of a claim and the two ids that it names, or `None` for a kind that came later.
pub(crate) fn parts(claim: Claim<'_>) -> Option<(u8, [Id<'_>; 2])> {
    match claim {
        Claim::Link { device, user } => Some((LINK, [device, user])),
        Claim::Identify { identified, anon } => Some((IDENTIFY, [identified, anon])),
        Claim::Alias { distinct_id, alias } => Some((ALIAS, [distinct_id, alias])),
        Claim::Merge { first, second } => Some((MERGE, [first, second])),
        _ => None,
    }
}

/// Entries that follow each other, as bytes. Times are written as differences, and a source that
/// does not change is not written again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Encoder {
    pub(crate) bytes: Vec<u8>,
    before: Before<String>,
}

/// What an entry leaves out because the one before it had it.
#[derive(Clone, Debug, Default)]
struct Before<S> {
    time_ms: i64,
    source: Option<S>,
}

impl Encoder {
    /// An encoder that goes on after these bytes, which are good.
    pub(crate) fn after(bytes: &[u8]) -> Result<Self, Wrong> {
        let mut decoder = Decoder::new(bytes, 0);
        while decoder.next()?.is_some() {}
        Ok(Self {
            bytes: bytes.to_vec(),
            before: Before {
                time_ms: decoder.before.time_ms,
                source: decoder.before.source.map(str::to_owned),
            },
        })
    }

    /// Writes a claim. `None`: its kind or its outcome came later than this code.
    pub(crate) fn claim(
        &mut self,
        claim: Claim<'_>,
        outcome: Outcome<'_>,
        cause: Cause<'_>,
    ) -> Option<()> {
        let (kind, ids) = parts(claim)?;
        let code = match outcome {
            Outcome::Merged => MERGED,
            Outcome::AlreadyMerged => ALREADY_MERGED,
            Outcome::Ignored => IGNORED,
            Outcome::Rejected(rejection) => match rejection {
                Rejection::SameIds { .. } => SAME_IDS,
                Rejection::AnonDistinctIdNonGuidForm { .. } => NON_GUID_FORM,
                Rejection::AnonDistinctIdAssignedAlready { .. } => ASSIGNED_ALREADY,
                Rejection::AliasAlreadyExists { .. } => ALIAS_ALREADY_EXISTS,
                Rejection::ManyIds { .. } => MANY_IDS,
                _ => return None,
            },
            _ => return None,
        };
        self.head(code << KIND_BITS | kind, cause);
        for id in ids {
            put_id(&mut self.bytes, id);
        }
        // The id that a rejection is about is one of the claim's.
        match outcome {
            Outcome::Rejected(Rejection::AnonDistinctIdAssignedAlready { holder, .. }) => {
                put_id(&mut self.bytes, holder);
            }
            Outcome::Rejected(Rejection::ManyIds {
                cluster_ids,
                max_cluster_ids,
            }) => {
                varint::put(&mut self.bytes, cluster_ids);
                varint::put(&mut self.bytes, max_cluster_ids);
            }
            _ => {}
        }
        Some(())
    }

    /// Writes an entry that was read. `None` as for a claim.
    pub(crate) fn entry(&mut self, entry: Entry<'_>) -> Option<()> {
        match entry.what {
            What::Claim { claim, outcome } => self.claim(claim, outcome, entry.cause)?,
            What::Replaced => self.replaced(entry.cause),
            What::Retracted {
                retracted,
                who,
                why,
            } => self.retracted(retracted, who, why, entry.cause),
        }
        Some(())
    }

    /// Writes that the state was replaced.
    pub(crate) fn replaced(&mut self, cause: Cause<'_>) {
        self.head(REPLACED, cause);
    }

    /// Writes that an entry is withdrawn.
    pub(crate) fn retracted(&mut self, retracted: u64, who: &str, why: &str, cause: Cause<'_>) {
        self.head(RETRACTED, cause);
        varint::put(&mut self.bytes, retracted);
        varint::put_text(&mut self.bytes, who);
        varint::put_text(&mut self.bytes, why);
    }

    fn head(&mut self, head: u8, cause: Cause<'_>) {
        let same_source = cause.source.is_some() && cause.source == self.before.source.as_deref();
        let mut flags = 0;
        for (is_set, flag) in [
            (cause.insert_id.is_some(), HAS_INSERT_ID),
            (cause.time_ms.is_some(), HAS_TIME),
            (cause.source.is_some() && !same_source, HAS_SOURCE),
            (same_source, SAME_SOURCE),
        ] {
            if is_set {
                flags |= flag;
            }
        }
        self.bytes.extend([head, flags]);
        if let Some(insert_id) = cause.insert_id {
            put_text(&mut self.bytes, insert_id);
        }
        if let Some(time_ms) = cause.time_ms {
            let difference = time_ms.wrapping_sub(self.before.time_ms);
            varint::put_signed(&mut self.bytes, difference);
            self.before.time_ms = time_ms;
        }
        if let Some(source) = cause.source
            && !same_source
        {
            varint::put_text(&mut self.bytes, source);
            let before = self.before.source.get_or_insert_default();
            before.clear();
            before.push_str(source);
        }
    }
}

/// Writes an id, so that no two ids are written alike and none begins like another.
pub(crate) fn put_id(bytes: &mut Vec<u8>, id: Id<'_>) {
    match id.form() {
        IdForm::Uuid(uuid) => put_uuid(bytes, uuid),
        IdForm::Text(text) => put_plain(bytes, text),
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    match UuidText::new(text) {
        Some(uuid) => put_uuid(bytes, uuid),
        None => put_plain(bytes, text),
    }
}

fn put_uuid(bytes: &mut Vec<u8>, uuid: UuidText) {
    varint::put(
        bytes,
        if uuid.is_upper_case() {
            UPPER_CASE_UUID
        } else {
            LOWER_CASE_UUID
        },
    );
    for word in uuid.words() {
        bytes.extend(word.to_be_bytes());
    }
}

/// Writes a text that is no UUID.
fn put_plain(bytes: &mut Vec<u8>, text: &str) {
    varint::put(bytes, EMPTY_TEXT + text.len() as u64);
    bytes.extend(text.as_bytes());
}

/// Reads entries back.
#[derive(Debug)]
pub(crate) struct Decoder<'b> {
    rest: &'b [u8],
    sequence: u64,
    before: Before<&'b str>,
    /// Texts of UUIDs are not in the bytes. One entry has at most two that are no id.
    insert_id: String,
}

impl<'b> Decoder<'b> {
    /// A decoder of these bytes, the first entry of which has this sequence number.
    pub(crate) fn new(bytes: &'b [u8], sequence: u64) -> Self {
        Self {
            rest: bytes,
            sequence,
            before: Before::default(),
            insert_id: String::new(),
        }
    }

    /// The next entry, or `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Entry<'_>>, Wrong> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let [head, flags] = *self.take::<2>()?;
        let mut cause = Cause::default();
        let mut uuid = None;
        if flags & HAS_INSERT_ID != 0 {
            match self.text()? {
                Text::Plain(text) => cause.insert_id = Some(text),
                Text::Uuid(text) => uuid = Some(text),
            }
        }
        if flags & HAS_TIME != 0 {
            let difference = varint::take_signed(&mut self.rest).map_err(VarintError::as_str)?;
            self.before.time_ms = self.before.time_ms.wrapping_add(difference);
            cause.time_ms = Some(self.before.time_ms);
        }
        if flags & HAS_SOURCE != 0 {
            let bytes = self.number()?;
            self.before.source = Some(self.plain(bytes)?);
        }
        if flags & (HAS_SOURCE | SAME_SOURCE) != 0 {
            cause.source = self.before.source;
        }
        let what = self.what(head)?;
        let sequence = self.sequence;
        self.sequence += 1;
        if let Some(uuid) = uuid {
            self.insert_id = uuid.to_string();
            cause.insert_id = Some(&self.insert_id);
        }
        Ok(Some(Entry {
            sequence,
            what,
            cause,
        }))
    }

    fn what(&mut self, head: u8) -> Result<What<'b>, Wrong> {
        let (kind, code) = (head & KIND_MASK, head >> KIND_BITS);
        if kind == REPLACED {
            return Ok(What::Replaced);
        }
        if kind == RETRACTED {
            let retracted = self.number()?;
            let mut text = || {
                let bytes = self.number()?;
                self.plain(bytes)
            };
            let (who, why) = (text()?, text()?);
            return Ok(What::Retracted {
                retracted,
                who,
                why,
            });
        }
        let [first, second] = [self.id()?, self.id()?];
        let (claim, anon) = match kind {
            LINK => (
                Claim::Link {
                    device: first,
                    user: second,
                },
                first,
            ),
            IDENTIFY => (
                Claim::Identify {
                    identified: first,
                    anon: second,
                },
                second,
            ),
            ALIAS => (
                Claim::Alias {
                    distinct_id: first,
                    alias: second,
                },
                second,
            ),
            MERGE => (Claim::Merge { first, second }, second),
            _ => return Err("an entry of a kind that is not known"),
        };
        let rejection = match code {
            MERGED | ALREADY_MERGED | IGNORED => None,
            SAME_IDS => Some(Rejection::SameIds { id: first }),
            NON_GUID_FORM => Some(Rejection::AnonDistinctIdNonGuidForm { anon }),
            ASSIGNED_ALREADY => Some(Rejection::AnonDistinctIdAssignedAlready {
                anon,
                holder: self.id()?,
            }),
            ALIAS_ALREADY_EXISTS => Some(Rejection::AliasAlreadyExists { alias: second }),
            MANY_IDS => Some(Rejection::ManyIds {
                cluster_ids: self.number()?,
                max_cluster_ids: self.number()?,
            }),
            _ => return Err("an outcome that is not known"),
        };
        let outcome = match rejection {
            Some(rejection) => Outcome::Rejected(rejection),
            None if code == MERGED => Outcome::Merged,
            None if code == ALREADY_MERGED => Outcome::AlreadyMerged,
            None => Outcome::Ignored,
        };
        Ok(What::Claim { claim, outcome })
    }

    fn id(&mut self) -> Result<Id<'b>, Wrong> {
        match self.text()? {
            Text::Uuid(uuid) => Ok(Id::from(uuid)),
            Text::Plain(text) => Id::new(text).map_err(|_| "an id that is none"),
        }
    }

    fn text(&mut self) -> Result<Text<'b>, Wrong> {
        let form = self.number()?;
        if form >= EMPTY_TEXT {
            return Ok(Text::Plain(self.plain(form - EMPTY_TEXT)?));
        }
        let words = [*self.take::<8>()?, *self.take::<8>()?].map(u64::from_be_bytes);
        let uuid = UuidText::from_words(words, form == UPPER_CASE_UUID);
        uuid.map(Text::Uuid).ok_or("a UUID that is none")
    }

    fn plain(&mut self, bytes: u64) -> Result<&'b str, Wrong> {
        varint::take_str(&mut self.rest, bytes).map_err(VarintError::as_str)
    }

    fn number(&mut self) -> Result<u64, Wrong> {
        varint::take(&mut self.rest).map_err(VarintError::as_str)
    }

    fn take<const N: usize>(&mut self) -> Result<&'b [u8; N], Wrong> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(ENDS_EARLY)?;
        self.rest = rest;
        Ok(taken)
    }
}

const ENDS_EARLY: Wrong = VarintError::EndsEarly.as_str();

enum Text<'b> {
    Plain(&'b str),
    Uuid(UuidText),
}

#[cfg(test)]
mod tests;
