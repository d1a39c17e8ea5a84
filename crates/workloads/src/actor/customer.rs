//! A customer whose IDs come from browsers, customer data platforms and servers.

use crate::actor::World;
use crate::wire::{EventLine, LOOKS, PAGES, WebEvent};

/// The kind of an ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `$device:` and a UUIDv4, from a browser.
    Browser,
    /// The form of browser SDKs before 2025, also with the prefix. It is not a UUIDv4 (rule O-8).
    OldBrowser,
    /// A UUIDv4 without the prefix: the ID of a browser in a customer data platform.
    Bare,
    /// The product's own user ID.
    User,
    /// An email address, given as an alias.
    Email,
}

/// An ID that the stream has named.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) kind: Kind,
    /// The ID, as the SDK spells it.
    pub(crate) text: String,
    /// Whether an accepted `$identify` or `$create_alias` named it.
    taken: bool,
}

impl Known {
    /// The ID without the prefix.
    fn bare(&self) -> &str {
        self.text.strip_prefix("$device:").unwrap_or(&self.text)
    }
}

/// One person of the workload `identify`.
#[derive(Debug)]
pub(crate) struct Customer {
    pub(crate) user_id: String,
    look: &'static str,
    /// The truth so far.
    pub(crate) known: Vec<Known>,
    pub(crate) events_left: u64,
    /// The last identity event, for sending it again.
    last: Vec<u8>,
}

impl Customer {
    pub(crate) fn new(world: &mut World) -> Self {
        Self {
            user_id: world.new_user_id(),
            look: LOOKS[world.rng.index(LOOKS.len())],
            known: Vec::new(),
            events_left: 10 + world.rng.below(40),
            last: Vec::new(),
        }
    }

    /// Appends the next event. An event that is not possible yet is replaced by an ordinary one.
    pub(crate) fn act(&mut self, other: &Self, world: &mut World, line: &mut Vec<u8>) {
        let start = line.len();
        let kind_of_event = world.rng.below(100);
        let is_written = match kind_of_event {
            _ if self.known.is_empty() => false,
            0..12 => self.identify(world, line),
            12..17 => self.create_alias(world, line),
            17..23 => self.merge(world, line),
            // A resend, byte for byte, as browsers do when the user leaves a page.
            23..30 => {
                line.extend_from_slice(&self.last);
                !self.last.is_empty()
            }
            30..34 => self.rejected(other, world, line),
            _ => false,
        };
        if is_written {
            self.last.clear();
            self.last.extend_from_slice(&line[start..]);
            return;
        }
        if self.known.is_empty() || kind_of_event >= 93 {
            self.add_device(world);
            self.ordinary(self.known.len() - 1, world, line);
        } else {
            self.ordinary(world.rng.index(self.known.len()), world, line);
        }
    }

    fn add(&mut self, kind: Kind, text: String) -> usize {
        self.known.push(Known {
            kind,
            text,
            taken: false,
        });
        self.known.len() - 1
    }

    fn add_device(&mut self, world: &mut World) {
        let uuid = world.new_uuid();
        if world.rng.percent(60) {
            self.add(Kind::Browser, format!("$device:{uuid}"));
        } else {
            self.add(Kind::Bare, uuid);
        }
    }

    /// The position of a random ID that fits.
    fn any(&self, world: &mut World, is_fit: impl Fn(&Known) -> bool) -> Option<usize> {
        let start = world.rng.index(self.known.len().max(1));
        (start..self.known.len())
            .chain(0..start)
            .find(|&at| is_fit(&self.known[at]))
    }

    /// The position of the user ID. It belongs to the person from its first event on.
    fn user(&mut self) -> usize {
        match self.known.iter().position(|id| id.kind == Kind::User) {
            Some(at) => at,
            None => self.add(Kind::User, self.user_id.clone()),
        }
    }

    /// An ordinary event under one of the IDs, in the form of a sender that knows that ID.
    fn ordinary(&self, at: usize, world: &mut World, line: &mut Vec<u8>) {
        let (name, path) = PAGES[world.rng.index(PAGES.len())];
        let id = &self.known[at];
        let device = match id.kind {
            Kind::Browser | Kind::OldBrowser => Some(id),
            Kind::User => self
                .known
                .iter()
                .find(|id| id.kind == Kind::Browser && id.taken),
            Kind::Bare | Kind::Email => None,
        };
        if let Some(device) = device {
            let event = WebEvent {
                name,
                path,
                look: self.look,
                distinct_id: &id.text,
                device_id: device.bare(),
                user_id: (id.kind == Kind::User).then_some(&id.text),
                anon_distinct_id: None,
            };
            event.write(world, line);
            return;
        }
        let mut event = EventLine::begin(line, name);
        event.text(r#""distinct_id":""#, &id.text);
        if id.kind == Kind::Bare {
            // In the form of Segment: the anonymous ID under four names.
            event.text(r#""id":""#, &id.text);
            event.text(r#""$anon_id":""#, &id.text);
            event.text(r#""$device_id":""#, &id.text);
            event.raw(r#""$source":"segment","mp_lib":"Segment Actions: web","#);
            event.time_in_milliseconds(world);
        } else {
            event.raw(r#""$source":"shop","mp_lib":"python","$lib_version":"5.3.0","#);
            event.time_in_seconds(world);
        }
        event.insert_id(world);
        event.end();
    }

    /// A login on one of the person's devices, new or repeated.
    fn identify(&mut self, world: &mut World, line: &mut Vec<u8>) -> bool {
        let is_anon = |id: &Known| matches!(id.kind, Kind::Browser | Kind::Bare);
        let Some(at) = self.any(world, is_anon) else {
            return false;
        };
        let user = self.user();
        self.known[at].taken = true;
        let (anon, user_id) = (&self.known[at], &self.known[user].text);
        if anon.kind == Kind::Browser {
            self.web_identify(user_id, anon, world, line);
        } else {
            server_event(line, world, "$identify", |event| {
                event.text(r#""$identified_id":""#, user_id);
                event.text(r#""$anon_id":""#, &anon.text);
            });
        }
        true
    }

    fn web_identify(&self, user_id: &str, anon: &Known, world: &mut World, line: &mut Vec<u8>) {
        let event = WebEvent {
            name: "$identify",
            path: "/login",
            look: self.look,
            distinct_id: user_id,
            device_id: anon.bare(),
            user_id: (user_id != anon.text).then_some(user_id),
            anon_distinct_id: Some(&anon.text),
        };
        event.write(world, line);
    }

    /// Makes the person's email address an alias of the user ID, for the first time or again.
    fn create_alias(&mut self, world: &mut World, line: &mut Vec<u8>) -> bool {
        let user = self.user();
        let email = match self.known.iter().position(|id| id.kind == Kind::Email) {
            Some(at) => at,
            None => {
                let name = self.user_id.split('@').next().unwrap_or_default();
                self.add(Kind::Email, format!("{name}@mail.example"))
            }
        };
        self.known[email].taken = true;
        server_event(line, world, "$create_alias", |event| {
            event.text(r#""distinct_id":""#, &self.known[user].text);
            event.text(r#""alias":""#, &self.known[email].text);
        });
        true
    }

    /// Two of the person's IDs, in any order.
    fn merge(&mut self, world: &mut World, line: &mut Vec<u8>) -> bool {
        let Some(more) = self.known.len().checked_sub(2) else {
            return false;
        };
        let a = world.rng.index(more + 2);
        // Any ID but `a`.
        let b = (a + 1 + world.rng.index(more + 1)) % (more + 2);
        write_merge([&self.known[a].text, &self.known[b].text], world, line);
        true
    }

    /// An event that a guardrail always rejects.
    fn rejected(&mut self, other: &Self, world: &mut World, line: &mut Vec<u8>) -> bool {
        match world.rng.below(5) {
            // O-7: `$merge` of one ID.
            0 => {
                let user = self.user();
                let id = &self.known[user].text;
                write_merge([id, id], world, line);
            }
            // O-7: `identify()` without an argument.
            1 => {
                let Some(at) = self.any(world, |id| id.kind == Kind::Browser) else {
                    return false;
                };
                let browser = &self.known[at];
                self.web_identify(&browser.text, browser, world, line);
            }
            // O-8: a browser with an ID from before 2025.
            2 => {
                let user = self.user();
                let at = match self.any(world, |id| id.kind == Kind::OldBrowser) {
                    Some(at) => at,
                    None => self.add(Kind::OldBrowser, old_browser_id(world)),
                };
                self.web_identify(&self.known[user].text, &self.known[at], world, line);
            }
            // O-9: the alias belongs to the other customer.
            3 => {
                let is_taken = |id: &Known| id.kind == Kind::Email && id.taken;
                let Some(at) = other.any(world, is_taken) else {
                    return false;
                };
                let user = self.user();
                server_event(line, world, "$create_alias", |event| {
                    event.text(r#""distinct_id":""#, &self.known[user].text);
                    event.text(r#""alias":""#, &other.known[at].text);
                });
            }
            // O-11: the device belongs to the other customer.
            _ => {
                let is_taken = |id: &Known| id.kind == Kind::Browser && id.taken;
                let Some(at) = other.any(world, is_taken) else {
                    return false;
                };
                let user = self.user();
                self.web_identify(&self.known[user].text, &other.known[at], world, line);
            }
        }
        true
    }
}

/// An identity event from a server.
fn server_event(
    line: &mut Vec<u8>,
    world: &mut World,
    name: &str,
    write_ids: impl FnOnce(&mut EventLine<'_>),
) {
    let mut event = EventLine::begin(line, name);
    write_ids(&mut event);
    event.raw(r#""$source":"shop","mp_lib":"node","$lib_version":"0.21.0","#);
    event.time_in_seconds(world);
    event.insert_id(world);
    event.end();
}

fn write_merge(ids: [&str; 2], world: &mut World, line: &mut Vec<u8>) {
    server_event(line, world, "$merge", |event| {
        event.raw(r#""$distinct_ids":[""#);
        event.raw(ids[0]);
        event.raw(r#"",""#);
        event.raw(ids[1]);
        event.raw(r#""],"#);
    });
}

/// The time, a random number, the browser, the screen and the time again, in hex. The third group may
/// be negative.
pub(crate) fn old_browser_id(world: &mut World) -> String {
    let now = world.now_ms();
    let (chance, browser) = (world.rng.bits() >> 12, world.rng.below(1 << 31));
    let sign = if world.rng.percent(25) { "-" } else { "" };
    format!("$device:{now:x}0-0{chance:013x}-{sign}{browser:x}-1fa400-{now:x}368")
}
