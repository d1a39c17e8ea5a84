//! [`Plan`]: how an object is read in all records of one shape.

use std::cell::{Cell, OnceCell};
use std::ptr;

use idmerge_events::{JsonReader, Pair, PairRun, RawJson, ReadJson, ShapedReader};

use crate::carried_as::CarriedAs;
use crate::read::member::Member;
use crate::read::names::FieldNames;
use crate::read::value::Value;

/// Reads a record whose shape is known.
pub(crate) type ReaderByPlans<'r> = ShapedReader<'r, 'r, Plans>;

/// Reads a record, by a scan or by the plans of its shape.
pub(crate) trait RecordReader<'r>: ReadJson<'r> {
    /// The reader by plans, where this one is. `None` if the record is scanned.
    fn by_plans(&self) -> Option<ReaderByPlans<'r>>;

    /// Goes to the value with this number. A scan knows no numbers.
    fn go_to(&mut self, number: usize);
}

impl<'r> RecordReader<'r> for JsonReader<'r> {
    #[inline(always)]
    fn by_plans(&self) -> Option<ReaderByPlans<'r>> {
        None
    }

    #[inline(always)]
    fn go_to(&mut self, _: usize) {}
}

impl<'r> RecordReader<'r> for ReaderByPlans<'r> {
    #[inline(always)]
    fn by_plans(&self) -> Option<ReaderByPlans<'r>> {
        Some(*self)
    }

    #[inline(always)]
    fn go_to(&mut self, number: usize) {
        ReaderByPlans::go_to(self, number);
    }
}

/// The plans of a shape, by the numbers of their objects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plans(OnceCell<Box<[OnceCell<Plan>]>>);

/// How an object is read in all records of one shape: which values have the names that are looked for, and how the
/// others are carried. All of it follows from the names in the object.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Where the names that are looked for are in memory: they are a static.
    names: usize,
    /// The number of the value of each name.
    values: Box<[Option<u16>]>,
    /// The numbers of the others.
    rest: Box<[u16]>,
    /// How all others are carried, and how those that are no containers.
    all: Option<Runs>,
    scalars: Option<Runs>,
    /// A bit for the length of each name in `rest`, with its quotation marks.
    lengths: u64,
    /// The numbers of the two objects whose names were compared with these last, and whether they have none of them: an
    /// event of a batch goes with its own fields and those of the batch.
    apart: Cell<[Option<(usize, bool)>; 2]>,
    /// The number of the object, and the number after it.
    number: usize,
    end: usize,
}

/// The bit for names of this length. Lengths that differ by 64 share one.
#[inline]
pub(crate) fn length_bit(length: usize) -> u64 {
    1 << (length % 64)
}

/// Members that are carried as they are in the record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs {
    /// The first and the last of those that follow each other.
    runs: Vec<(u16, u16)>,
    pub(crate) has_answer: bool,
    pub(crate) has_detail: bool,
}

/// Which members are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Only {
    All,
    /// Neither objects nor arrays.
    Scalars,
    /// Neither missing nor empty.
    Present,
}

impl Only {
    pub(crate) fn has(self, value: Value<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Scalars => !value.as_str().starts_with(['{', '[']),
            Self::Present => !value.is_absent(),
        }
    }
}

/// An object of a record that has a plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned<'r> {
    reader: ReaderByPlans<'r>,
    plan: &'r Plan,
    only: Only,
}

impl<'r> Planned<'r> {
    /// The object that comes next. `None` if the record is scanned, or if no object comes next.
    #[inline(always)]
    pub(crate) fn at<const N: usize>(
        reader: &mut impl RecordReader<'r>,
        names: &FieldNames<'_, N>,
    ) -> Option<Self> {
        let reader = reader.by_plans().filter(|_| names.are_static())?;
        let plans = reader
            .notes()
            .0
            .get_or_init(|| vec![OnceCell::new(); reader.values()].into());
        let cell = plans.get(reader.number())?;
        let plan = match cell.get() {
            Some(plan) => plan,
            None => {
                let plan = Plan::of(reader, names)?;
                cell.get_or_init(|| plan)
            }
        };
        (plan.names == address(names)).then_some(Self {
            reader,
            plan,
            only: Only::All,
        })
    }

    /// The number of the value whose name has this index.
    #[inline(always)]
    pub(crate) fn number_of(&self, index: usize) -> Option<usize> {
        self.plan.values.get(index)?.map(usize::from)
    }

    #[inline(always)]
    pub(crate) fn value(&self, number: usize) -> Option<RawJson<'r>> {
        self.reader.value_at(number)
    }

    /// Goes past the object.
    #[inline(always)]
    pub(crate) fn pass(&self, reader: &mut impl RecordReader<'r>) {
        reader.go_to(self.plan.end);
    }

    pub(crate) fn keep(&mut self, only: Only) {
        self.only = only;
    }

    /// The members that are not looked for.
    pub(crate) fn members(self) -> impl Iterator<Item = Member<'r>> {
        let numbers = self.plan.rest.iter();
        let pairs = numbers.filter_map(move |number| self.reader.pair_at(usize::from(*number)));
        pairs
            .map(Member::Whole)
            .filter(move |member| self.only.has(member.value()))
    }

    /// How they are carried, if all are carried as they are.
    pub(crate) fn runs(&self) -> Option<&'r Runs> {
        match self.only {
            Only::All => self.plan.all.as_ref(),
            // Which of the answers and details are present is not known without a look at their values.
            Only::Present => {
                let all = self.plan.all.as_ref();
                all.filter(|runs| !runs.has_answer && !runs.has_detail)
            }
            Only::Scalars => self.plan.scalars.as_ref(),
        }
    }

    /// How many there are, and a bit for the length of each name. There may be fewer.
    pub(crate) fn count_and_lengths(&self) -> (usize, u64) {
        (self.plan.rest.len(), self.plan.lengths)
    }

    /// The names, as JSON. There may be fewer members.
    fn names(&self) -> impl Iterator<Item = &'r [u8]> {
        let reader = self.reader;
        let numbers = self.plan.rest.iter();
        let pairs = numbers.filter_map(move |number| reader.pair_at(usize::from(*number)));
        pairs.map(|pair| pair.key_bytes())
    }

    /// Whether one of these has this name, which is JSON.
    pub(crate) fn has_name(&self, name: &[u8]) -> bool {
        self.plan.lengths & length_bit(name.len()) != 0 && self.names().any(|one| one == name)
    }

    /// Whether no name of these is one of the others, which are of the same record. `is_other` says whether a name is
    /// one of the others; it is asked once for all records of the shape.
    pub(crate) fn are_apart_from(&self, others: &Self, is_other: impl Fn(&[u8]) -> bool) -> bool {
        if self.plan.lengths & others.plan.lengths == 0 {
            return true;
        }
        let number = self.plan.number;
        let [first, second] = others.plan.apart.get();
        for (compared, is_apart) in [first, second].into_iter().flatten() {
            if compared == number {
                return is_apart;
            }
        }
        let is_apart = !self.names().any(is_other);
        others.plan.apart.set([Some((number, is_apart)), first]);
        is_apart
    }

    /// Visits the texts of such members. Those that follow each other have one.
    pub(crate) fn visit_texts(&self, runs: &Runs, mut visit: impl FnMut(&'r str)) {
        for &(first, last) in &runs.runs {
            match self.only {
                Only::Present => self.visit_present(first, last, &mut visit),
                _ => self.visit(first, last, &mut visit),
            }
        }
    }

    #[inline]
    fn visit(&self, first: u16, last: u16, visit: &mut impl FnMut(&'r str)) {
        if let Some(text) = self.reader.run(first.into(), last.into()) {
            visit(text);
        }
    }

    /// Visits the texts of the members from the first to the last of these, without those that are absent.
    fn visit_present(&self, first: u16, last: u16, visit: &mut impl FnMut(&'r str)) {
        let mut run = None;
        let from = self.plan.rest.partition_point(|number| *number < first);
        let members = self.plan.rest[from..].iter();
        for &number in members.take_while(|number| **number <= last) {
            let value = self.reader.value_at(number.into());
            if value.is_none_or(|json| Value::Json(json).is_absent()) {
                if let Some((first, last)) = run.take() {
                    self.visit(first, last, visit);
                }
            } else {
                run = Some((run.map_or(number, |(first, _)| first), number));
            }
        }
        if let Some((first, last)) = run {
            self.visit(first, last, visit);
        }
    }
}

/// Tells lists of names apart.
fn address<const N: usize>(names: &FieldNames<'_, N>) -> usize {
    ptr::from_ref(names).addr()
}

impl Plan {
    fn of<const N: usize>(reader: ReaderByPlans<'_>, names: &FieldNames<'_, N>) -> Option<Self> {
        let mut values = vec![None; N].into_boxed_slice();
        let (mut rest, mut pairs) = (Vec::new(), Vec::new());
        let mut walk = reader;
        walk.members(|walk, key| {
            let number = u16::try_from(walk.number()).ok()?;
            let pair = walk.pair(key)?;
            match names.find(pair.plain_key()?) {
                // IN-2: the last one counts.
                Some(index) => values[index] = Some(number),
                None => {
                    rest.push(number);
                    pairs.push((number, pair));
                }
            }
            Some(())
        })?;
        let is_scalar = |pair: &Pair<'_>| Only::Scalars.has(Value::Json(pair.value()));
        Some(Self {
            names: address(names),
            values,
            rest: rest.into(),
            all: Runs::of(pairs.iter()),
            scalars: Runs::of(pairs.iter().filter(|(_, pair)| is_scalar(pair))),
            lengths: pairs.iter().fold(0, |lengths, (_, pair)| {
                lengths | length_bit(pair.key_bytes().len())
            }),
            apart: Cell::default(),
            number: reader.number(),
            end: walk.number(),
        })
    }
}

impl Runs {
    fn of<'p, 'r: 'p>(pairs: impl Iterator<Item = &'p (u16, Pair<'r>)>) -> Option<Self> {
        let mut runs = Self::default();
        let mut last: Option<PairRun<'_>> = None;
        for (number, pair) in pairs {
            let carried = CarriedAs::of(pair.plain_key()?);
            if !pair.is_compact() || carried == CarriedAs::Renamed {
                return None;
            }
            runs.has_answer |= carried == CarriedAs::Answer;
            runs.has_detail |= carried == CarriedAs::Detail;
            match runs.runs.last_mut() {
                Some((_, end)) if last.as_mut().is_some_and(|run| run.extend(pair)) => {
                    *end = *number;
                }
                _ => {
                    runs.runs.push((*number, *number));
                    last = Some(PairRun::of(pair));
                }
            }
        }
        Some(runs)
    }
}
