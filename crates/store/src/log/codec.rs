//! The bytes of entries, in the form of `docs/store.md`.

use std::fmt::Write as _;

use idmerge_core::{Claim, ClaimKind, DistinctId, Id, IdForm, Outcome, Rejection, UuidText};
use idmerge_disk::varint::{self, VarintError};

use crate::log::entry::sequences::Sequences;
use crate::log::entry::{Cause, Entry, What};

/// Why bytes are not an entry.
pub(crate) type Wrong = &'static str;

/// The kinds of claims, in the order of their codes.
const KINDS: [ClaimKind; 4] = [
    ClaimKind::Link,
    ClaimKind::Identify,
    ClaimKind::Alias,
    ClaimKind::Merge,
];
/// Added to the kind of a claim whose IDs were erased.
const ERASED: u8 = 8;
/// Several entries were withdrawn, or those that name an ID.
const RETRACTED_MANY: u8 = 13;
/// One entry was withdrawn.
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

/// The answers to claims, in the order of their codes.
const ANSWERS: [&str; 8] = [
    "merged",
    "already merged",
    "ignored",
    "errSameIDs",
    "errAnonDistinctIdNonGUIDForm",
    "errAnonDistinctIdAssignedAlready",
    "errAliasAlreadyExists",
    "errManyIDs",
];

const KIND_BITS: u32 = 4;
const KIND_MASK: u8 = (1 << KIND_BITS) - 1;

const HAS_INSERT_ID: u8 = 1;
const HAS_TIME: u8 = 1 << 1;
const HAS_SOURCE: u8 = 1 << 2;
/// The source is that of the previous entry.
const SAME_SOURCE: u8 = 1 << 3;

/// The ID of a detachment: none, an ID with or without the prefix of a device.
const NO_ID: u64 = 0;
const PLAIN_ID: u64 = 1;
const DEVICE: u64 = 2;

const LOWER_CASE_UUID: u64 = 0;
const UPPER_CASE_UUID: u64 = 1;
/// Texts that are not UUIDs begin with this number plus their length.
const EMPTY_TEXT: u64 = 2;

/// The code of a kind of claim; `None` if the format does not have the kind.
pub(crate) fn kind_code(kind: ClaimKind) -> Option<u8> {
    (0..)
        .zip(KINDS)
        .find(|(_, known)| *known == kind)
        .map(|(code, _)| code)
}

/// Writes consecutive entries. A time is written as the difference to the previous one, and a source
/// only if it changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Encoder {
    pub(crate) bytes: Vec<u8>,
    before: Before<String>,
}

/// The values of the previous entry, which the next one refers to.
#[derive(Clone, Debug, Default)]
struct Before<S> {
    time_ms: i64,
    source: Option<S>,
}

impl Encoder {
    /// An encoder that continues after these bytes.
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

    /// Writes a claim. Returns `None` if the format does not have its kind or its outcome.
    pub(crate) fn claim(
        &mut self,
        claim: Claim<'_>,
        outcome: Outcome<'_>,
        cause: Cause<'_>,
    ) -> Option<()> {
        let head = outcome_code(outcome)? << KIND_BITS | kind_code(claim.kind())?;
        self.head(head, cause);
        for id in claim.ids() {
            put_id(&mut self.bytes, id.id());
        }
        // The other IDs of a rejection are those of the claim.
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

    /// Writes any entry. Returns `None` as [`claim`](Self::claim) does.
    pub(crate) fn entry(&mut self, entry: Entry<'_>) -> Option<()> {
        match entry.what {
            What::Claim { claim, outcome } => self.claim(claim, outcome, entry.cause)?,
            What::Erased { kind, answer } => self.erased(kind, answer)?,
            What::Replaced => self.replaced(entry.cause),
            What::Retracted {
                retracted,
                detached,
                who,
                why,
            } => self.retracted(retracted, detached, [who, why], entry.cause),
        }
        Some(())
    }

    /// Writes what is left of a claim that named an erased ID. Returns `None` as [`claim`](Self::claim) does.
    pub(crate) fn erased(&mut self, kind: ClaimKind, answer: &str) -> Option<()> {
        let code = (0..).zip(ANSWERS).find(|(_, known)| *known == answer)?.0;
        let head: u8 = code << KIND_BITS | ERASED | kind_code(kind)?;
        self.head(head, Cause::default());
        Some(())
    }

    /// Writes that the state was replaced.
    pub(crate) fn replaced(&mut self, cause: Cause<'_>) {
        self.head(REPLACED, cause);
    }

    /// Writes that entries are withdrawn.
    pub(crate) fn retracted(
        &mut self,
        retracted: Sequences<'_>,
        detached: Option<DistinctId<'_>>,
        [who, why]: [&str; 2],
        cause: Cause<'_>,
    ) {
        if detached.is_none() && retracted.iter().count() == 1 {
            self.head(RETRACTED, cause);
            varint::put(&mut self.bytes, retracted.first());
        } else {
            self.head(RETRACTED_MANY, cause);
            put_detached(&mut self.bytes, detached);
            varint::put(&mut self.bytes, retracted.bytes.len() as u64);
            self.bytes.extend(retracted.bytes);
        }
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

/// The kind of claim with this code.
fn kind_of(code: u8) -> Result<ClaimKind, Wrong> {
    let kind = KINDS.get(usize::from(code));
    kind.copied().ok_or("an entry of an unknown kind")
}

/// The code of an outcome: the part of it that must never change for a logged claim. The wording of a rejection may.
/// `None` if the format does not have the outcome.
pub(crate) fn outcome_code(outcome: Outcome<'_>) -> Option<u8> {
    let rejection = match outcome {
        Outcome::Merged => return Some(MERGED),
        Outcome::AlreadyMerged => return Some(ALREADY_MERGED),
        Outcome::Ignored => return Some(IGNORED),
        Outcome::Rejected(rejection) => rejection,
        _ => return None,
    };
    match rejection {
        Rejection::SameIds { .. } => Some(SAME_IDS),
        Rejection::AnonDistinctIdNonGuidForm { .. } => Some(NON_GUID_FORM),
        Rejection::AnonDistinctIdAssignedAlready { .. } => Some(ASSIGNED_ALREADY),
        Rejection::AliasAlreadyExists { .. } => Some(ALIAS_ALREADY_EXISTS),
        Rejection::ManyIds { .. } => Some(MANY_IDS),
        _ => None,
    }
}

/// Writes an ID. No two IDs have the same bytes, and none is the beginning of another.
pub(crate) fn put_id(bytes: &mut Vec<u8>, id: Id<'_>) {
    match id.form() {
        IdForm::Uuid(uuid) => put_uuid(bytes, uuid),
        IdForm::Text(text) => put_plain(bytes, text),
    }
}

/// Writes the ID of a detachment, if there is one.
fn put_detached(bytes: &mut Vec<u8>, detached: Option<DistinctId<'_>>) {
    match detached {
        None => varint::put(bytes, NO_ID),
        Some(id) => {
            varint::put(bytes, if id.is_device() { DEVICE } else { PLAIN_ID });
            put_id(bytes, id.id());
        }
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

/// Writes a text that is not a UUID.
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
    /// The text of an `insert_id` that is stored as a UUID: an entry borrows its texts.
    insert_id: String,
}

impl<'b> Decoder<'b> {
    /// A decoder of these bytes, whose first entry has this number.
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
            self.before.source = Some(self.plain_text()?);
        }
        if flags & (HAS_SOURCE | SAME_SOURCE) != 0 {
            cause.source = self.before.source;
        }
        let what = self.what(head)?;
        let sequence = self.sequence;
        self.sequence += 1;
        if let Some(uuid) = uuid {
            self.insert_id.clear();
            // A string takes all of it.
            let _written = write!(self.insert_id, "{uuid}");
            cause.insert_id = Some(&self.insert_id);
        }
        Ok(Some(Entry {
            sequence,
            what,
            cause,
        }))
    }

    fn what(&mut self, head: u8) -> Result<What<'b>, Wrong> {
        let (kind, outcome) = (head & KIND_MASK, head >> KIND_BITS);
        match kind {
            REPLACED => Ok(What::Replaced),
            RETRACTED | RETRACTED_MANY => {
                let detached = if kind == RETRACTED {
                    None
                } else {
                    self.detached()?
                };
                Ok(What::Retracted {
                    retracted: self.sequences(kind == RETRACTED)?,
                    detached,
                    who: self.plain_text()?,
                    why: self.plain_text()?,
                })
            }
            kind if (ERASED..ERASED + 4).contains(&kind) => Ok(What::Erased {
                kind: kind_of(kind - ERASED)?,
                answer: ANSWERS
                    .get(usize::from(outcome))
                    .ok_or("an unknown outcome")?,
            }),
            kind => {
                let kind = kind_of(kind)?;
                let ids = [self.id()?, self.id()?];
                Ok(What::Claim {
                    claim: Claim::new(kind, ids),
                    outcome: self.outcome(outcome, kind, ids)?,
                })
            }
        }
    }

    fn detached(&mut self) -> Result<Option<DistinctId<'b>>, Wrong> {
        match self.number()? {
            NO_ID => Ok(None),
            PLAIN_ID => Ok(Some(DistinctId::plain(self.id()?))),
            DEVICE => Ok(Some(DistinctId::device(self.id()?))),
            _ => Err("a detached ID that is not valid"),
        }
    }

    /// Reads the numbers of withdrawn entries: one number, or several after their length.
    fn sequences(&mut self, is_one: bool) -> Result<Sequences<'b>, Wrong> {
        let bytes = if is_one {
            let from = self.rest;
            self.number()?;
            &from[..from.len() - self.rest.len()]
        } else {
            let length = usize::try_from(self.number()?).map_err(|_| ENDS_EARLY)?;
            let (bytes, rest) = self.rest.split_at_checked(length).ok_or(ENDS_EARLY)?;
            self.rest = rest;
            bytes
        };
        Sequences::decode(bytes).ok_or("the numbers of withdrawn entries are not valid")
    }

    /// Reads an outcome. The IDs of a rejection are those of the claim, except the holder.
    fn outcome(
        &mut self,
        code: u8,
        kind: ClaimKind,
        [first, second]: [Id<'b>; 2],
    ) -> Result<Outcome<'b>, Wrong> {
        let anon = if kind == ClaimKind::Link {
            first
        } else {
            second
        };
        let rejection = match code {
            MERGED => return Ok(Outcome::Merged),
            ALREADY_MERGED => return Ok(Outcome::AlreadyMerged),
            IGNORED => return Ok(Outcome::Ignored),
            SAME_IDS => Rejection::SameIds { id: first },
            NON_GUID_FORM => Rejection::AnonDistinctIdNonGuidForm { anon },
            ASSIGNED_ALREADY => Rejection::AnonDistinctIdAssignedAlready {
                anon,
                holder: self.id()?,
            },
            ALIAS_ALREADY_EXISTS => Rejection::AliasAlreadyExists { alias: second },
            MANY_IDS => Rejection::ManyIds {
                cluster_ids: self.number()?,
                max_cluster_ids: self.number()?,
            },
            _ => return Err("an unknown outcome"),
        };
        Ok(Outcome::Rejected(rejection))
    }

    fn id(&mut self) -> Result<Id<'b>, Wrong> {
        match self.text()? {
            Text::Uuid(uuid) => Ok(Id::from(uuid)),
            Text::Plain(text) => Id::new(text).map_err(|_| "an ID that is not valid"),
        }
    }

    fn text(&mut self) -> Result<Text<'b>, Wrong> {
        let form = self.number()?;
        if form >= EMPTY_TEXT {
            return Ok(Text::Plain(self.plain(form - EMPTY_TEXT)?));
        }
        let words = [*self.take::<8>()?, *self.take::<8>()?].map(u64::from_be_bytes);
        let uuid = UuidText::from_words(words, form == UPPER_CASE_UUID);
        uuid.map(Text::Uuid).ok_or("a UUID that is not valid")
    }

    fn plain(&mut self, bytes: u64) -> Result<&'b str, Wrong> {
        varint::take_str(&mut self.rest, bytes).map_err(VarintError::as_str)
    }

    fn plain_text(&mut self) -> Result<&'b str, Wrong> {
        varint::take_text(&mut self.rest).map_err(VarintError::as_str)
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
