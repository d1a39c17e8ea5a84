//! Rules M-2 and M-5 to M-7: reads every line once, folds the claims, and remembers what the lines say
//! about IDs.

use std::io;

use idmerge_core::{
    Claim, EngineError, Event, Id, IdentityResolver, InvalidEvent, Outcome, Rejection,
};
use idmerge_engines::{AnonIdFormat, Engine, Model};
use idmerge_events::Envelope;
use idmerge_spill::Seen;

use crate::buckets::Buckets;
use crate::options::{AnonymousEvents, Options, Place, SourceRules};
use crate::people::arrivals::Arrivals;
use crate::people::evidence::{EvidenceLog, Kind};
use crate::people::ids::{Ids, Mark, NONE, Number, TooManyIds};
use crate::people::last_users::LastUsers;
use crate::reading::profile::Profile;
use crate::reading::{Facts, SourceEvent, bare_id};

/// How many fingerprints of identity events are in memory at a time: 4 MB with what writing them takes.
const WEIGHED_RECENT_MAX: usize = (1 << 17) / 8 * 7;

/// A line that could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// An ID is not valid; go on with the next one.
    #[error(transparent)]
    Invalid(#[from] InvalidEvent),
    /// There are too many IDs; stop.
    #[error(transparent)]
    TooManyIds(#[from] TooManyIds),
    /// The engine of the source failed; stop.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A temporary file cannot be written; stop.
    #[error("cannot write a temporary file")]
    TemporaryFile(#[from] io::Error),
}

/// What all lines say about the IDs in them.
///
/// Its memory is in proportion to the IDs, and not to the events.
#[derive(Debug)]
pub struct Gathering {
    pub(crate) options: Options,
    /// Folds the claims that count.
    pub(crate) engine: Engine,
    /// Where a source that attributes events at their arrival put them.
    pub(crate) arrivals: Option<Arrivals>,
    /// The users to whom a product gives the events of a device that name no user, if that is asked.
    pub(crate) last_users: Option<LastUsers>,
    pub(crate) ids: Ids,
    pub(crate) log: EvidenceLog,
    pub(crate) events: u64,
    pub(crate) counts: Counts,
    /// Fingerprints of all events that can have duplicates, with the number of the event and of its own
    /// ID (M-2).
    repeatable: Buckets<28>,
    /// Fingerprints of the identity events, whose duplicates must be known before their claims are weighed.
    weighed: Seen,
    scratch: Vec<u8>,
}

/// How many claims there were.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) accepted_claims: u64,
    pub(crate) rejected_claims: u64,
    /// Rejected by the source, and taken all the same (M-5).
    pub(crate) claims_beyond_limits: u64,
}

/// What became of a claim.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Accepted,
    OverCap,
    NonUuid,
    Assigned,
    AliasUsed,
    Same,
}

impl Verdict {
    fn of(outcome: Outcome<'_>) -> Self {
        match outcome {
            Outcome::Rejected(Rejection::ManyIds { .. }) => Self::OverCap,
            Outcome::Rejected(Rejection::AnonDistinctIdNonGuidForm { .. }) => Self::NonUuid,
            Outcome::Rejected(Rejection::AnonDistinctIdAssignedAlready { .. }) => Self::Assigned,
            Outcome::Rejected(Rejection::AliasAlreadyExists { .. }) => Self::AliasUsed,
            Outcome::Rejected(_) => Self::Same,
            _ => Self::Accepted,
        }
    }
}

/// A line, as evidence names it.
#[derive(Clone, Copy)]
struct Named<'l> {
    place: Place,
    event: &'l str,
    insert_id: &'l str,
}

impl Gathering {
    /// Nothing yet.
    pub fn new(options: Options) -> Self {
        Self {
            engine: options.claims.engine(),
            arrivals: Arrivals::of(&options),
            last_users: options.anonymous_events.map(LastUsers::new),
            options,
            ids: Ids::default(),
            log: EvidenceLog::default(),
            events: 0,
            counts: Counts::default(),
            repeatable: Buckets::default(),
            weighed: Seen::with_recent_max(WEIGHED_RECENT_MAX),
            scratch: Vec::new(),
        }
    }

    /// Sets to whom the source gives the events of a device that name no user, if that is known only from the first
    /// event. Call it before that one is added.
    pub fn set_anonymous_events(&mut self, anonymous_events: Option<AnonymousEvents>) {
        self.last_users = anonymous_events.map(LastUsers::new);
        self.options.anonymous_events = anonymous_events;
    }

    /// How many events the source accepted so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// What the migration is asked to do.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Takes the next event.
    ///
    /// # Errors
    ///
    /// After an error, stop.
    pub fn add(&mut self, event: &SourceEvent<'_>, place: Place) -> Result<(), GatherError> {
        let SourceEvent { envelope, facts } = event;
        let number = self.events;
        self.events += 1;
        let own = facts.own.map(|id| self.ids.enter(id)).transpose()?;
        let counted = own.filter(|_| !facts.is_identity_event);
        if let Some(own) = counted {
            let events = &mut self.ids.row_mut(own).events;
            *events = events.saturating_add(1);
        }
        let insert_id = envelope.dedup_id();
        let line = Named {
            place,
            event: envelope.name(),
            insert_id: insert_id.as_deref().unwrap_or_default(),
        };
        self.note_ids(facts, own, line)?;
        let is_double = self.is_double(envelope, facts, counted, number)?;
        if let Some(arrivals) = &mut self.arrivals {
            let root = facts
                .own
                .map(|own| self.ids.enter(arrivals.root(own, &self.engine)));
            arrivals.push(root.transpose()?)?;
            if let Some(claim) = facts.source_claim.filter(|_| !is_double) {
                arrivals.apply(claim)?;
            }
            if let Some(user) = facts.own.filter(|_| envelope.name() == Event::IDENTIFY) {
                // M-7: Legacy has no claim that identifies.
                self.mark(user, Mark::Identified, line)?;
            }
        }
        match facts.claim {
            Some(claim) if !is_double => self.weigh(claim, line),
            _ => Ok(()),
        }
    }

    /// M-2: remembers the event, and says whether it is a duplicate of an identity event, whose claim is
    /// not weighed again. Other duplicates are found at the end.
    fn is_double(
        &mut self,
        envelope: &Envelope<'_>,
        facts: &Facts<'_>,
        own: Option<Number>,
        number: u64,
    ) -> io::Result<bool> {
        let own_id = facts.own.map(idmerge_core::DistinctId::plain);
        let Some(event) = envelope.repeatable(own_id, &mut self.scratch) else {
            return Ok(false);
        };
        if facts.claim.or(facts.source_claim).is_some() {
            return Ok(!self.weighed.insert(event.fingerprint)?);
        }
        let mut record = [0; 28];
        record[..16].copy_from_slice(&event.fingerprint.to_be_bytes());
        record[16..24].copy_from_slice(&number.to_be_bytes());
        record[24..].copy_from_slice(&own.unwrap_or(NONE).to_be_bytes());
        self.repeatable.add(&record)?;
        Ok(false)
    }

    /// The roles in which a line names IDs (M-7), and the pairs that it names (M-6).
    fn note_ids(
        &mut self,
        facts: &Facts<'_>,
        own: Option<Number>,
        line: Named<'_>,
    ) -> Result<(), GatherError> {
        for device in facts.devices.into_iter().flatten() {
            self.mark(device, Mark::Device, line)?;
        }
        let user = facts.user.map(|id| self.mark(id, Mark::UserId, line));
        let user = user.transpose()?;
        let device = facts.device.map(|id| self.ids.enter(id)).transpose()?;
        if let Some(last_users) = &mut self.last_users {
            last_users.add(device, user)?;
        }
        match (user, device) {
            (Some(user), Some(device)) if user != device => {
                // A device has the same user on nearly all of its lines.
                let row = self.ids.row_mut(device);
                if row.first_user != user {
                    if row.first_user == NONE {
                        row.first_user = user;
                    }
                    self.note(Kind::Both, [user, device], line)?;
                }
            }
            (None, Some(device)) if !facts.is_identity_event => {
                if let Some(own) = own.filter(|&own| own != device) {
                    self.note(Kind::Beside, [own, device], line)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Marks an ID. An ID that is now both a user and a device is noted with this line.
    fn mark(&mut self, id: Id<'_>, mark: Mark, line: Named<'_>) -> Result<Number, GatherError> {
        let number = self.ids.enter(id)?;
        if self.ids.mark(number, mark) {
            let is_device = self.ids.has(number, Mark::Device);
            let pattern = self.options.users.pattern.as_ref();
            let may_be_user = self.ids.has(number, Mark::UserId)
                || self.ids.has(number, Mark::Identified)
                || pattern.is_some_and(|pattern| pattern.is_match(&id.text()));
            if is_device && may_be_user {
                self.note(Kind::Clash, [number, number], line)?;
            }
        }
        Ok(number)
    }

    /// M-5: folds a claim, and joins its IDs if it counts.
    fn weigh(&mut self, claim: Claim<'_>, line: Named<'_>) -> Result<(), GatherError> {
        let verdict = Verdict::of(self.engine.apply(claim)?);
        let [first, second] = claim.ids();
        let ids = [self.ids.enter(first.id())?, self.ids.enter(second.id())?];
        let is_beyond = matches!(verdict, Verdict::OverCap | Verdict::NonUuid)
            && self.options.source_rules == SourceRules::BeyondLimits;
        let kind = match (claim, verdict) {
            (Claim::Identify { .. }, Verdict::Same) => None,
            (_, Verdict::Same) => Some(Kind::Same),
            (_, Verdict::OverCap) if !is_beyond => Some(Kind::OverCap),
            (_, Verdict::NonUuid) if !is_beyond => Some(Kind::NonUuid),
            (_, Verdict::Assigned) => Some(Kind::Assigned),
            (_, Verdict::AliasUsed) => Some(Kind::AliasUsed),
            (Claim::Identify { .. }, _) => Some(Kind::Identify),
            (Claim::Alias { .. }, _) => Some(Kind::Alias),
            _ => Some(Kind::Merge),
        };
        let counts = verdict == Verdict::Accepted || is_beyond;
        self.counts.accepted_claims += u64::from(verdict == Verdict::Accepted);
        self.counts.rejected_claims += u64::from(!counts);
        self.counts.claims_beyond_limits += u64::from(is_beyond);
        if counts {
            for id in ids {
                self.ids.enter_clusters(id);
            }
            self.ids.join(ids[0], ids[1]);
            if matches!(claim, Claim::Identify { .. }) {
                self.mark(first.id(), Mark::Identified, line)?;
            }
            if matches!(claim, Claim::Alias { .. }) && self.options.source.model() == Model::Legacy
            {
                // M-7: an alias is what a user is called from the sign-up on.
                self.mark(second.id(), Mark::Identified, line)?;
            }
        }
        match kind {
            Some(kind) => self.note(kind, ids, line),
            None => Ok(()),
        }
    }

    fn note(&mut self, kind: Kind, ids: [Number; 2], line: Named<'_>) -> Result<(), GatherError> {
        let Named {
            place,
            event,
            insert_id,
        } = line;
        Ok(self.log.add(kind, ids, place, event, insert_id)?)
    }

    /// Takes a row of the mapping file: two IDs of one person (M-6, rank 2). Call it after all lines.
    ///
    /// # Errors
    ///
    /// [`GatherError::Invalid`] if one of them is not valid. After any other error, stop.
    pub fn add_mapping(&mut self, id: &str, head: &str, place: Place) -> Result<(), GatherError> {
        let line = Named {
            place,
            event: "",
            insert_id: "",
        };
        let mut numbers = [NONE; 2];
        for (number, text) in numbers.iter_mut().zip([id, head]) {
            let id = bare_id(self.options.source.id_rules(), text)?;
            *number = match text.starts_with(idmerge_core::DEVICE_PREFIX) {
                true => self.mark(id, Mark::Device, line)?,
                false => self.ids.enter(id)?,
            };
        }
        self.ids.join(numbers[0], numbers[1]);
        self.note(Kind::Mapping, numbers, line)
    }

    /// Takes a line of the profiles, to know which IDs have a profile of their own (M-16). Call it for all
    /// lines before any profile is written.
    ///
    /// # Errors
    ///
    /// There are too many IDs.
    pub fn add_profile(&mut self, line: &str) -> Result<(), GatherError> {
        if let Some(profile) = Profile::read(line)
            && let Ok(id) = bare_id(self.options.source.id_rules(), &profile.distinct_id)
        {
            let number = self.ids.enter(id)?;
            self.ids.mark(number, Mark::HasProfile);
            if profile.distinct_id.starts_with(idmerge_core::DEVICE_PREFIX) {
                self.ids.mark(number, Mark::Device);
            }
        }
        Ok(())
    }

    /// M-7: marks the users.
    pub(crate) fn find_users(&mut self) {
        let rules = &self.options.users;
        for number in 0..self.ids.len() {
            let has = |mark| self.ids.has(number, mark);
            let text = self.ids.id(number).text();
            let says_user = if rules.not_users.contains(&*text) {
                false
            } else if has(Mark::Identified) || has(Mark::UserId) {
                true
            } else {
                match &rules.pattern {
                    Some(pattern) => pattern.is_match(&text),
                    None => !has(Mark::Device) && !AnonIdFormat::Sdk.accepts(&text),
                }
            };
            // M-22: the target has it in a role already.
            let is_user = match (has(Mark::UserEarlier), has(Mark::DeviceEarlier)) {
                (true, _) => true,
                (_, true) => false,
                _ => says_user,
            };
            if is_user != says_user {
                self.ids.mark(number, Mark::Changed);
            }
            if is_user {
                self.ids.mark(number, Mark::User);
                if let Some(cluster) = self.ids.cluster_mut(number) {
                    cluster.users += 1;
                    cluster.user = cluster.user.min(number);
                }
            }
        }
    }

    /// M-2: the numbers of the events that are duplicates of earlier ones, as bits. They no longer count
    /// among the events of their IDs.
    pub(crate) fn take_doubles(&mut self) -> io::Result<Bits> {
        let mut doubles = Bits::default();
        let ids = &mut self.ids;
        let repeatable = std::mem::take(&mut self.repeatable);
        repeatable.for_each_sorted(|records| {
            for equal in records.chunk_by(|a, b| a[..16] == b[..16]) {
                for record in &equal[1..] {
                    let mut number = [0; 8];
                    number.copy_from_slice(&record[16..24]);
                    doubles.set(u64::from_be_bytes(number));
                    let mut own = [0; 4];
                    own.copy_from_slice(&record[24..]);
                    let own = u32::from_be_bytes(own);
                    if own != NONE {
                        let events = &mut ids.row_mut(own).events;
                        *events = events.saturating_sub(1);
                    }
                }
            }
            Ok(())
        })?;
        Ok(doubles)
    }
}

/// A set of numbers.
#[derive(Debug, Default)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub(crate) fn set(&mut self, number: u64) {
        let Ok(word) = usize::try_from(number / 64) else {
            return;
        };
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (number % 64);
    }

    pub(crate) fn has(&self, number: u64) -> bool {
        let word = usize::try_from(number / 64).ok();
        let word = word.and_then(|word| self.0.get(word));
        word.is_some_and(|word| word & 1 << (number % 64) != 0)
    }
}
