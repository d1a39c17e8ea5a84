//! Guide: an engine for a model of your own, from start to end.
//!
//! The example implements a model like that of `PostHog`: `$identify` merges the anonymous ID into the identified
//! one, unless the anonymous ID has been identified already. The whole file below is a test program
//! that passes the suite. It needs `idmerge-core`, `idmerge-conformance` and `idmerge-state`; the
//! last one only because its snapshots are checksummed and take few lines. You may write your own.
//!
//! 1. **Name the model** with [`RuleBook::Custom`](idmerge_core::RuleBook::Custom): lower case,
//!    without spaces.
//! 2. **Read.** [`read`](idmerge_core::IdentityResolver::read) takes the identity properties of an
//!    event, and returns the ID that the event is attributed to and the
//!    [`Claim`](idmerge_core::Claim) that it makes, if any. Choose the kind of claim that says what
//!    your event says. [`IdRules`](idmerge_core::IdRules) refuses values such as `"null"`, by rules
//!    ID-2 to ID-5.
//! 3. **Apply.** [`apply`](idmerge_core::IdentityResolver::apply) answers
//!    [`Merged`](idmerge_core::Outcome::Merged) if the claim joins two IDs,
//!    [`AlreadyMerged`](idmerge_core::Outcome::AlreadyMerged) if they were joined before,
//!    [`Rejected`](idmerge_core::Outcome::Rejected) if a rule turns the claim down, and
//!    [`Ignored`](idmerge_core::Outcome::Ignored) for a kind of claim that the model does not have.
//!    The suite applies claims of every kind.
//! 4. **Resolve.** [`resolve`](idmerge_core::Resolve::resolve),
//!    [`cluster`](idmerge_core::Resolve::cluster) and [`clusters`](idmerge_core::Resolve::clusters)
//!    show the state. Choose an order for clusters and for their members, and keep to it.
//! 5. **Write and read snapshots.** Equal states give equal bytes. A damaged snapshot is an error.
//! 6. **Bring vectors.** They state what your rules give, in the [syntax of vectors](crate::vectors).
//!    `rules` is optional here: number your rules as you like. The order of clusters and members is
//!    that of your engine.
//!
//! ```standalone_crate
//! use idmerge_conformance::Suite;
//! use idmerge_core::{
//!     Claim, Cluster, DistinctId, DistinctIdBuf, EngineError, Event, IdProperty, IdRules,
//!     IdentityResolver, InvalidEvent, Outcome, Reading, Rejection, Resolve, RuleBook,
//!     SnapshotError,
//! };
//! use idmerge_state::{SnapshotReader, SnapshotWriter};
//! use std::io;
//!
//! const POSTHOG: RuleBook = RuleBook::Custom("posthog");
//!
//! /// The persons, each with the IDs in order of arrival. The first ID is the identified one.
//! #[derive(Debug, Default)]
//! struct PostHog {
//!     id_rules: IdRules,
//!     persons: Vec<Vec<DistinctIdBuf>>,
//! }
//!
//! impl PostHog {
//!     /// The number of the person with this ID. A real engine looks it up in a map.
//!     fn person(&self, id: DistinctId<'_>) -> Option<usize> {
//!         self.persons.iter().position(|ids| ids.iter().any(|it| it.as_id() == id))
//!     }
//! }
//!
//! fn cluster_of(ids: &[DistinctIdBuf]) -> Cluster<'_> {
//!     let members: Vec<_> = ids.iter().map(DistinctIdBuf::as_id).collect();
//!     Cluster { canonical: members[0], members }
//! }
//!
//! impl Resolve for PostHog {
//!     fn rule_book(&self) -> RuleBook {
//!         POSTHOG
//!     }
//!
//!     fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a> {
//!         // An ID without a person is its own canonical ID.
//!         self.person(id).map_or(id, |person| self.persons[person][0].as_id())
//!     }
//!
//!     fn cluster<'a>(&'a self, id: DistinctId<'a>) -> Option<Cluster<'a>> {
//!         self.person(id).map(|person| cluster_of(&self.persons[person]))
//!     }
//!
//!     fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
//!         Box::new(self.persons.iter().map(|ids| cluster_of(ids)))
//!     }
//! }
//!
//! impl IdentityResolver for PostHog {
//!     fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
//!         let id = |property, value| match self.id_rules.text(property, value)? {
//!             Some(text) => self.id_rules.id(property, text).map(Some),
//!             None => Ok(None),
//!         };
//!         let own = id(IdProperty::DistinctId, event.distinct_id)?;
//!         let mut claim = None;
//!         if event.name == Event::IDENTIFY {
//!             let anon = id(IdProperty::AnonDistinctId, event.anon_distinct_id)?;
//!             claim = own.zip(anon).map(|(identified, anon)| Claim::Identify { identified, anon });
//!         }
//!         Ok(Reading { distinct_id: own.map(DistinctId::plain), claim })
//!     }
//!
//!     fn apply<'a>(&'a mut self, claim: Claim<'a>) -> Result<Outcome<'a>, EngineError> {
//!         let Claim::Identify { identified, anon } = claim else {
//!             return Ok(Outcome::Ignored);
//!         };
//!         if identified == anon {
//!             return Ok(Outcome::Rejected(Rejection::SameIds { id: anon }));
//!         }
//!         let ids = [identified, anon].map(DistinctId::plain);
//!         match ids.map(|id| self.person(id)) {
//!             [Some(one), Some(other)] if one == other => return Ok(Outcome::AlreadyMerged),
//!             // Only `$identify` makes persons, so an ID with a person has been identified.
//!             [_, Some(person)] => {
//!                 let holder = self.persons[person][0].as_id().id();
//!                 return Ok(Outcome::Rejected(Rejection::AnonDistinctIdAssignedAlready { anon, holder }));
//!             }
//!             [Some(person), None] => self.persons[person].push(ids[1].to_buf()),
//!             [None, None] => self.persons.push(ids.map(|id| id.to_buf()).into()),
//!         }
//!         Ok(Outcome::Merged)
//!     }
//!
//!     fn write_snapshot(&self, sink: &mut dyn io::Write) -> io::Result<()> {
//!         let mut writer = SnapshotWriter::begin(sink, POSTHOG, 1)?;
//!         writer.number(self.persons.len() as u64)?;
//!         for ids in &self.persons {
//!             writer.number(ids.len() as u64)?;
//!             for id in ids {
//!                 writer.id(id.as_id().id())?;
//!             }
//!         }
//!         writer.end()
//!     }
//!
//!     fn read_snapshot(&mut self, source: &mut dyn io::Read) -> Result<(), SnapshotError> {
//!         let mut reader = SnapshotReader::begin(source, POSTHOG, 1)?;
//!         let mut persons = Vec::new();
//!         for _ in 0..reader.number()? {
//!             let mut ids = Vec::new();
//!             for _ in 0..reader.number()? {
//!                 ids.push(DistinctId::plain(reader.id()?).to_buf());
//!             }
//!             persons.push(ids);
//!         }
//!         // Replace the state only if everything could be read and the checksum is right.
//!         reader.end()?;
//!         self.persons = persons;
//!         Ok(())
//!     }
//! }
//!
//! // In a package of your own: `include_str!("posthog.toml")`.
//! const VECTORS: &str = r#"
//! [[case]]
//! name = "a-login-merges-the-anonymous-id"
//! why = "the events from before the login belong to the user"
//! rule_book = "posthog"
//! steps = [
//!   { event = '{"event":"View","properties":{"distinct_id":"A"}}', own = "A" },
//!   { event = '{"event":"$identify","properties":{"distinct_id":"U1","$anon_distinct_id":"A"}}', own = "U1", outcome = "merged" },
//! ]
//! resolved = { "A" = "U1" }
//! clusters = [{ canonical = "U1", members = ["U1", "A"] }]
//!
//! [[case]]
//! name = "an-identified-id-is-not-merged-into-another-user"
//! why = "two users of one browser stay two users"
//! rule_book = "posthog"
//! steps = [
//!   { event = '{"event":"$identify","properties":{"distinct_id":"U1","$anon_distinct_id":"A"}}', own = "U1", outcome = "merged" },
//!   { event = '{"event":"$identify","properties":{"distinct_id":"U2","$anon_distinct_id":"A"}}', own = "U2", outcome = "rejected errAnonDistinctIdAssignedAlready", says = ["A", "U1"] },
//! ]
//! resolved = { "A" = "U1", "U2" = "U2" }
//! clusters = [{ canonical = "U1", members = ["U1", "A"] }]
//! "#;
//!
//! fn main() -> std::process::ExitCode {
//!     let suite = Suite::new(|settings| {
//!         Box::new(PostHog { id_rules: settings.id_rules(), ..PostHog::default() })
//!     });
//!     suite.vectors(VECTORS).main()
//! }
//! ```
//!
//! `cargo test --test conformance` prints, among others:
//!
//! ```text
//! test law::3-monotone                                   ... ok
//! test vector::own::a-login-merges-the-anonymous-id      ... ok
//! test [left out, this compares Simplified and Original ID Merge] law::8-agreement ... ignored
//! ```
