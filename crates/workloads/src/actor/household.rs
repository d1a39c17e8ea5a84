//! The visitors of a web shop: they browse, log in, log out, come back, share browsers, and use
//! several.

use std::mem;

use crate::actor::{Actor, Next, World};
use crate::person::Person;
use crate::wire::{LOOKS, PAGES, WebEvent};

/// The prefix with which mixpanel-js makes a device ID a distinct_id.
const DEVICE_PREFIX: &str = "$device:";

/// How often a household does things.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// The number of people, at least one.
    pub(crate) people: u64,
    /// The number of visits to the shop, at least one.
    pub(crate) visits: u64,
    /// A visit has two parts, before and after the login. Each part has 1 to this many events.
    pub(crate) max_events_per_part: u64,
    /// The share of visits that log in, of those on a browser without a logged-in user. The first
    /// visit of the household always logs in, unless this is 0.
    pub(crate) login_percent: u64,
    /// The share of visits that end with `reset`, which makes a new device ID.
    pub(crate) reset_percent: u64,
    /// The share of visits at which the household gets its second browser.
    pub(crate) second_browser_percent: u64,
}

/// One browser profile between two calls of `reset`.
#[derive(Debug)]
struct Browser {
    look: &'static str,
    /// `$device:` and the device ID.
    distinct_id: String,
    /// Whether an event was attributed to it.
    seen: bool,
    /// The logged-in person.
    user: Option<usize>,
    /// The first person who logged in.
    owner: Option<usize>,
}

impl Browser {
    fn new(world: &mut World, look: &'static str) -> Self {
        let distinct_id = format!("{DEVICE_PREFIX}{}", world.new_uuid());
        Self {
            look,
            distinct_id,
            seen: false,
            user: None,
            owner: None,
        }
    }

    fn device_id(&self) -> &str {
        &self.distinct_id[DEVICE_PREFIX.len()..]
    }
}

/// The next event of a household.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// An ordinary event, and the number of events after it in this part.
    Browse { more: u64 },
    /// `$identify`.
    Identify,
    /// The first event with both IDs, directly after `$identify`.
    LoggedIn,
}

/// One or more people and their browsers.
#[derive(Debug)]
pub(crate) struct Household {
    habits: Habits,
    /// The truth so far. A person without IDs has not appeared yet.
    people: Vec<Person>,
    browsers: Vec<Browser>,
    visits_left: u64,
    /// The visitor and the browser of the current visit, as positions.
    visitor: usize,
    browser: usize,
    /// Whether the visitor logs in during this visit.
    logs_in: bool,
    stage: Stage,
}

impl Household {
    pub(crate) fn new(world: &mut World, habits: Habits) -> Self {
        let new_person = |_| Person {
            name: world.new_user_id(),
            ids: Vec::new(),
        };
        let people = (0..habits.people.max(1)).map(new_person).collect();
        let look = LOOKS[world.rng.index(LOOKS.len())];
        let mut this = Self {
            habits,
            people,
            browsers: vec![Browser::new(world, look)],
            visits_left: habits.visits,
            visitor: 0,
            browser: 0,
            logs_in: false,
            stage: Stage::Browse { more: 0 },
        };
        this.visit(world);
        this.logs_in = habits.login_percent > 0;
        this
    }

    /// Begins a visit.
    fn visit(&mut self, world: &mut World) {
        self.visits_left = self.visits_left.saturating_sub(1);
        self.visitor = world.rng.index(self.people.len());
        self.browser = world.rng.index(self.browsers.len());
        self.logs_in = world.rng.percent(self.habits.login_percent);
        self.stage = match self.browsers[self.browser].user {
            // Another person's session is open: the app calls `identify` without a reset.
            Some(user) if user != self.visitor => Stage::Identify,
            _ => self.browse(world),
        };
    }

    fn browse(&self, world: &mut World) -> Stage {
        Stage::Browse {
            more: world.rng.below(self.habits.max_events_per_part),
        }
    }

    /// What follows the last event of a part.
    fn end_part(&mut self, world: &mut World) -> Next {
        let user = self.browsers[self.browser].user;
        if self.logs_in && user != Some(self.visitor) {
            self.stage = Stage::Identify;
            return Next::Anyone;
        }
        if self.visits_left == 0 {
            return Next::Done;
        }
        if user.is_some() && world.rng.percent(self.habits.reset_percent) {
            self.reset(world);
        }
        if self.browsers.len() == 1 && world.rng.percent(self.habits.second_browser_percent) {
            let look = LOOKS[world.rng.index(LOOKS.len())];
            self.browsers.push(Browser::new(world, look));
        }
        self.visit(world);
        Next::Anyone
    }

    /// Calls `reset` in the browser: a new device ID, and no logged-in user.
    fn reset(&mut self, world: &mut World) {
        let browser = &mut self.browsers[self.browser];
        let fresh = Browser::new(world, browser.look);
        let old = mem::replace(browser, fresh);
        // A login comes after an anonymous event, so the stream has named the device.
        if let Some(owner) = old.owner {
            self.people[owner].ids.push(old.distinct_id);
        }
    }

    fn write(&mut self, world: &mut World, line: &mut Vec<u8>, name_and_path: (&str, &str)) {
        let browser = &mut self.browsers[self.browser];
        let user_id = browser.user.map(|user| self.people[user].name.as_str());
        browser.seen |= user_id.is_none();
        let event = WebEvent {
            name: name_and_path.0,
            path: name_and_path.1,
            look: browser.look,
            distinct_id: user_id.unwrap_or(&browser.distinct_id),
            device_id: browser.device_id(),
            user_id,
            anon_distinct_id: None,
        };
        event.write(world, line);
    }

    fn write_identify(&mut self, world: &mut World, line: &mut Vec<u8>) {
        let browser = &mut self.browsers[self.browser];
        let before = browser.user.replace(self.visitor);
        browser.owner.get_or_insert(self.visitor);
        let user_id = self.people[self.visitor].name.as_str();
        let event = WebEvent {
            name: "$identify",
            path: "/login",
            look: browser.look,
            distinct_id: user_id,
            device_id: browser.device_id(),
            user_id: Some(user_id),
            anon_distinct_id: Some(match before {
                Some(user) => &self.people[user].name,
                None => &browser.distinct_id,
            }),
        };
        event.write(world, line);
        let Person { name, ids } = &mut self.people[self.visitor];
        if ids.first() != Some(&*name) {
            ids.insert(0, name.clone());
        }
    }
}

impl Actor for Household {
    fn act(&mut self, world: &mut World, lines_left: u64, line: &mut Vec<u8>) -> Next {
        match self.stage {
            // A login is two adjacent lines, and the stream never ends between them. Simplified links
            // on one and Original on the other, so between the two the models differ. With one line
            // left, the person keeps browsing.
            Stage::Identify if lines_left > 0 => {
                self.write_identify(world, line);
                self.stage = Stage::LoggedIn;
                Next::Same
            }
            Stage::LoggedIn => {
                self.write(world, line, ("Log In", "/login"));
                self.stage = self.browse(world);
                Next::Anyone
            }
            Stage::Browse { .. } | Stage::Identify => {
                let page = PAGES[world.rng.index(PAGES.len())];
                self.write(world, line, page);
                match self.stage {
                    Stage::Browse { more: 0 } => self.end_part(world),
                    Stage::Browse { more } => {
                        self.stage = Stage::Browse { more: more - 1 };
                        Next::Anyone
                    }
                    Stage::Identify | Stage::LoggedIn => Next::Anyone,
                }
            }
        }
    }

    fn leave(mut self: Box<Self>, world: &mut World, people: &mut Vec<Person>) {
        for browser in self.browsers.into_iter().filter(|browser| browser.seen) {
            match (browser.owner, self.people.as_mut_slice()) {
                (Some(owner), known) => known[owner].ids.push(browser.distinct_id),
                // The browser of a person who lives alone belongs to that person, even without a login.
                (None, [only]) => only.ids.push(browser.distinct_id),
                (None, _) => people.push(Person {
                    name: world.new_anonymous_name(),
                    ids: vec![browser.distinct_id],
                }),
            }
        }
        for mut person in self
            .people
            .into_iter()
            .filter(|person| !person.ids.is_empty())
        {
            if person.ids.first() != Some(&person.name) {
                person.name = world.new_anonymous_name();
            }
            people.push(person);
        }
    }
}
