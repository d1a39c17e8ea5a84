//! Rules M-6 and M-8 to M-11: joins the devices and users that lines name together, and gives each cluster
//! one user.

use std::cmp::Reverse;
use std::io;

use idmerge_core::{DistinctId, Resolve};
use idmerge_engines::{Engine, Model};

use crate::options::{OnConflict, Options, Place};
use crate::people::arrivals::{ArrivalLog, Arrivals};
use crate::people::evidence::{Evidence, EvidenceLog, Kind};
use crate::people::gathering::{Bits, Counts, Gathering};
use crate::people::ids::{Ids, Mark, NONE, Number};
use crate::people::last_users::LastUsers;

/// The person that each ID belongs to. Threads that write events share it.
#[derive(Debug)]
pub struct People {
    pub(crate) options: Options,
    pub(crate) ids: Ids,
    pub(crate) log: EvidenceLog,
    pub(crate) counts: Counts,
    /// The numbers of duplicate events (M-2).
    pub(crate) doubles: Bits,
    /// The canonical ID that the source gives each ID after all claims: the state before the migration.
    pub(crate) canonicals: Vec<Number>,
    /// Where a source that attributes events at their arrival put them.
    pub(crate) arrivals: Option<ArrivalLog>,
    /// The users to whom a product gives the events of a device that name no user, if that is asked.
    pub(crate) last_users: Option<LastUsers>,
}

/// The `file` of the place of evidence that is in the output of an earlier migration.
pub(crate) const EARLIER: u32 = u32::MAX;

/// The rank of a device that no evidence gave to a user.
const NO_RANK: u8 = u8::MAX;

impl Gathering {
    /// Elects the user of each person. Call it after all lines, mappings and earlier output.
    ///
    /// # Errors
    ///
    /// A temporary file cannot be read or written.
    pub fn elect(mut self) -> io::Result<People> {
        let doubles = self.take_doubles()?;
        self.find_users();
        let (engine, arrivals) = match self.arrivals.take().map(Arrivals::finish) {
            Some((engine, log)) => (engine.unwrap_or(self.engine), Some(log)),
            None => (self.engine, None),
        };
        let canonicals = canonicals(&self.ids, &engine);
        let mut people = People {
            options: self.options,
            ids: self.ids,
            log: self.log,
            counts: self.counts,
            doubles,
            canonicals,
            arrivals,
            last_users: self.last_users,
        };
        people.join_lines_with_both()?;
        people.elect_users();
        people.settle_conflicts()?;
        people.link_devices_beside()?;
        people.keep_earlier_links()?;
        people.note_evidence()?;
        Ok(people)
    }
}

/// The canonical ID of each ID in the source. Nothing else is asked of its engine, which takes far more
/// memory.
fn canonicals(ids: &Ids, engine: &Engine) -> Vec<Number> {
    let canonical = |number| {
        let own = DistinctId::plain(ids.id(number));
        ids.number(engine.resolve(own).id()).unwrap_or(number)
    };
    (0..ids.len()).map(canonical).collect()
}

impl People {
    /// The canonical ID of an ID in the source.
    pub(crate) fn canonical(&self, number: Number) -> Number {
        self.canonicals[number as usize]
    }

    /// Visits the evidence, in the order of the lines. The log is empty meanwhile.
    pub(crate) fn for_each_evidence(
        &mut self,
        mut visit: impl FnMut(&mut Self, Evidence),
    ) -> io::Result<()> {
        let mut log = std::mem::take(&mut self.log);
        let result = log.for_each(|evidence| visit(self, evidence));
        self.log = log;
        result
    }

    /// M-6, rank 0: a line with both IDs joins them if the device's cluster has no user.
    fn join_lines_with_both(&mut self) -> io::Result<()> {
        self.for_each_evidence(|people, evidence| {
            let (user, device) = (evidence.first, evidence.second);
            let ids = &mut people.ids;
            if evidence.kind == Kind::Both
                && ids.is_user(user)
                && !ids.is_user(device)
                && ids.cluster_users(device) == 0
            {
                ids.join(user, device);
            }
        })
    }

    /// M-8: the one user of a cluster is the user of all its devices.
    fn elect_users(&mut self) {
        for number in 0..self.ids.len() {
            let Some(cluster) = self.ids.cluster(number) else {
                continue;
            };
            let user = cluster.user;
            if cluster.users == 1 && user != number {
                self.ids.row_mut(number).person = user;
            }
        }
    }

    /// M-9
    fn settle_conflicts(&mut self) -> io::Result<()> {
        let on_conflict = self.options.on_conflict;
        if on_conflict == OnConflict::Report {
            return Ok(());
        }
        // The rank of the evidence by which each device got its user.
        let mut ranks = vec![NO_RANK; self.ids.len() as usize];
        self.for_each_evidence(|people, evidence| {
            let Some(rank) = evidence.kind.rank() else {
                return;
            };
            let (first, second) = (evidence.first, evidence.second);
            for (device, user) in [(first, second), (second, first)] {
                people.consider(device, user, rank, &mut ranks[device as usize]);
            }
        })?;
        if on_conflict.elects_one() {
            for number in 0..self.ids.len() {
                if self.ids.is_first(number) && self.ids.is_conflict(number) {
                    self.give_rest_to_one(number);
                }
            }
        }
        Ok(())
    }

    /// M-9 `direct`: the user with the evidence of the lowest rank gets the device. Of equal evidence the
    /// earlier one counts; rows of a mapping have no order, so the bytes of the user decide.
    /// `best` is the rank of the evidence so far.
    fn consider(&mut self, device: Number, user: Number, rank: u8, best: &mut u8) {
        let ids = &mut self.ids;
        if ids.is_user(device)
            || !ids.is_user(user)
            || !ids.same_cluster(device, user)
            || !ids.is_conflict(device)
        {
            return;
        }
        let holder = ids.row(device).person;
        let is_tie = rank == *best && Kind::Mapping.rank() == Some(rank);
        let is_better = rank < *best || is_tie && ids.id(user).text() < ids.id(holder).text();
        if is_better {
            *best = rank;
            ids.row_mut(device).person = user;
            ids.mark(device, Mark::Direct);
        }
    }

    /// M-9: one user of a conflict gets the devices that have no user yet, and by M-11 the events of the
    /// other users.
    fn give_rest_to_one(&mut self, member: Number) {
        let members: Vec<Number> = self.ids.ring(member).collect();
        let Some(chosen) = self.chosen(member) else {
            return;
        };
        let rewrites = self.options.rewrites_users;
        for member in members {
            let is_user = self.ids.is_user(member);
            let row = self.ids.row_mut(member);
            if rewrites || !is_user && row.person == NONE {
                row.person = if member == chosen { NONE } else { chosen };
            }
        }
    }

    /// The one user of a conflict, if the options elect one (M-9, O-14).
    pub(crate) fn chosen(&self, member: Number) -> Option<Number> {
        let ids = &self.ids;
        let users = ids.ring(member).filter(|&number| ids.is_user(number));
        let age = |number: Number| (ids.row(number).age, number);
        match self.options.on_conflict {
            OnConflict::Oldest => users.min_by_key(|&number| age(number)),
            // A user whom no claim names has no age, and is not the youngest.
            OnConflict::Latest => users.max_by_key(|&number| {
                let age = age(number);
                (age.0 != NONE, age)
            }),
            OnConflict::MostEvents => {
                users.min_by_key(|&number| (Reverse(ids.row(number).events), age(number)))
            }
            OnConflict::Report | OnConflict::Direct => None,
        }
    }

    /// M-13, row 5: a device that a line names together with an anonymous ID gets the user of that ID, if it
    /// has none.
    fn link_devices_beside(&mut self) -> io::Result<()> {
        self.for_each_evidence(|people, evidence| {
            let (own, device) = (evidence.first, evidence.second);
            let ids = &mut people.ids;
            if evidence.kind != Kind::Beside || ids.is_user(own) || ids.is_user(device) {
                return;
            }
            let person = ids.row(own).person;
            if person != NONE && ids.row(device).person == NONE && ids.cluster_users(device) == 0 {
                ids.row_mut(device).person = person;
                ids.mark(device, Mark::Direct);
            }
        })
    }

    /// M-22: a device keeps the user to whom an earlier migration linked it.
    fn keep_earlier_links(&mut self) -> io::Result<()> {
        if self.options.target.model() == Model::Original {
            return Ok(());
        }
        for number in 0..self.ids.len() {
            let row = self.ids.row(number);
            let (now, earlier) = (row.person, row.first_user);
            let is_linked = self.ids.has(number, Mark::LinkedEarlier);
            if is_linked && !self.ids.is_user(number) && now != earlier {
                self.ids.row_mut(number).person = earlier;
                self.ids.mark(number, Mark::Changed);
            }
            if self.ids.has(number, Mark::Changed) {
                let other = if is_linked { earlier } else { number };
                let place = Place {
                    file: EARLIER,
                    line: 0,
                };
                self.log
                    .add(Kind::Changed, [number, other], place, "", "")?;
            }
        }
        Ok(())
    }

    /// The evidence of each link (M-12).
    fn note_evidence(&mut self) -> io::Result<()> {
        self.for_each_evidence(|people, evidence| {
            let mark = match evidence.kind.rank() {
                Some(0) => Mark::Direct,
                Some(1) => Mark::Claimed,
                Some(2) => Mark::Mapped,
                _ => return,
            };
            let (first, second) = (evidence.first, evidence.second);
            for (device, user) in [(first, second), (second, first)] {
                if people.ids.row(device).person == user {
                    people.ids.mark(device, mark);
                }
            }
        })
    }

    /// Sets the time of the migration (M-15), which may be known only after all lines.
    pub fn set_now_ms(&mut self, now_ms: i64) {
        self.options.now_ms = now_ms;
    }

    /// What the migration is asked to do.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Whether the event with this number is a duplicate of an earlier one (M-2). Numbers count the
    /// events that the source accepts, from 0.
    pub fn is_double(&self, number: u64) -> bool {
        self.doubles.has(number)
    }
}
