//! What somebody does in the shop.

use std::collections::VecDeque;

use super::cast::{ITEMS, PAGES};
use crate::rng::Rng;

/// Something that a visitor does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Page(&'static str),
    Item(usize),
    Cart(usize),
    LogIn,
    Purchase(usize),
}

/// A person on a device.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) person: usize,
    pub(super) device: usize,
    pub(super) steps: VecDeque<Step>,
    /// Whether it is part of a story that is told.
    pub(super) is_planned: bool,
}

impl Visit {
    pub(super) fn new(
        rng: &mut Rng,
        person: usize,
        device: usize,
        is_known: bool,
        logs_in: bool,
    ) -> Self {
        let mut steps = VecDeque::from([Step::Page(PAGES[0])]);
        let item = rng.index(ITEMS.len());
        for _ in 0..rng.below(3) {
            steps.push_back(Step::Page(PAGES[rng.index(PAGES.len())]));
        }
        if rng.percent(75) {
            steps.push_back(Step::Item(item));
        }
        let buys = rng.percent(45);
        if buys {
            steps.push_back(Step::Cart(item));
        }
        if logs_in && !is_known {
            steps.push_back(Step::LogIn);
        }
        if buys && (logs_in || is_known) {
            steps.push_back(Step::Purchase(item));
        }
        Self {
            person,
            device,
            steps,
            is_planned: false,
        }
    }
}

/// Two visits in which two devices become one person.
pub(super) fn of_the_first_person(person: usize, laptop: usize, phone: usize) -> [Visit; 2] {
    let visit = |device, steps: &[Step]| Visit {
        person,
        device,
        steps: steps.iter().copied().collect(),
        is_planned: true,
    };
    let [first, second] = [Step::Page(PAGES[0]), Step::Page(PAGES[1])];
    [
        visit(
            laptop,
            &[first, second, Step::Item(0), Step::LogIn, Step::Cart(0)],
        ),
        visit(
            phone,
            &[first, Step::Item(0), Step::LogIn, Step::Purchase(0)],
        ),
    ]
}
