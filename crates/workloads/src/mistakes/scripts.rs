//! The scripts of all mistakes, and of what only looks like one.

use super::script::{BOTH, ORIGINAL, SIMPLIFIED, Script, members};
use crate::actor::World;
use crate::actor::customer::old_browser_id;

/// What can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variety {
    MissingReset,
    SharedDevice,
    Placeholder,
    Junk,
    Hot,
    NearCap,
    OverCap,
    AnonymousCluster,
    AliasTaken,
    SameIds,
    NotUuid,
    OrderDecided,
    DeviceAsUser,
    NoId,
    Incomplete,
    AnonTaken,
    /// Not a mistake: people who share a browser and call `reset`.
    PoliteFamily,
    /// Not a mistake: a user whose ID only looks like one.
    OddName,
    /// Not a mistake: a user who uses the product all day.
    PowerUser,
}

impl Variety {
    pub(crate) const ALL: [Self; 19] = [
        Self::MissingReset,
        Self::SharedDevice,
        Self::Placeholder,
        Self::Junk,
        Self::Hot,
        Self::NearCap,
        Self::OverCap,
        Self::AnonymousCluster,
        Self::AliasTaken,
        Self::SameIds,
        Self::NotUuid,
        Self::OrderDecided,
        Self::DeviceAsUser,
        Self::NoId,
        Self::Incomplete,
        Self::AnonTaken,
        Self::PoliteFamily,
        Self::OddName,
        Self::PowerUser,
    ];
}

/// What people pass to `identify` by mistake, from questions that they ask about SDKs and templates.
const PLACEHOLDERS: [&str; 58] = [
    "user_id",
    "userId",
    "[object Object]",
    "{{user.id}}",
    "${user.id}",
    "YOUR_USER_ID",
    "<USER_ID>",
    "distinct_id",
    "currentUser.id",
    "$user_id",
    "customer_id",
    "{user_id}",
    "getUserId()",
    "this.props.user.email",
    "%USER_ID%",
    "Optional(nil)",
    "NaN",
    "user?.uid",
    "[object Promise]",
    "{{ current_user.uuid }}",
    "session.user.id",
    "user->id",
    "user['id']",
    "#{user.id}",
    "user_id_here",
    "enter_user_id",
    "id",
    "email",
    "userid@example.com",
    "unique_user_id",
    "ctx.auth.userId",
    "logged_in_user_id",
    "USER-ID-HERE",
    "[[USER_ID]]",
    "me.id",
    "profile.userId",
    "$USER_ID",
    "@user.id",
    "String(user.id)",
    "distinctId",
    "current_visitor_uid",
    "my_user_id",
    "userIdentifier",
    "ACCOUNT_UUID",
    "<%= current_user.id %>",
    "{{ contact.email }}",
    "user_uid",
    "playerID",
    "Session.userId",
    "(null)",
    "auth.uid",
    "member_number",
    "subscriber id",
    "ENTER YOUR USER ID",
    "data.user.uid",
    "undefined_user_id",
    "window.user.id",
    "uid_placeholder",
];

/// Values of `distinct_id` that are no IDs, as JSON.
const JUNK: [&str; 14] = [
    "\"null\"",
    "\"undefined\"",
    "\"00000000-0000-0000-0000-000000000000\"",
    "\"anonymous\"",
    "\"None\"",
    "\"N/A\"",
    "\"unknown\"",
    "\"NULL\"",
    "-1",
    "0",
    "false",
    "1.5",
    "[\"7\"]",
    "{\"id\":7}",
];

/// IDs of users that look like a mistake and are none.
const ODD_NAMES: [&str; 10] = [
    "null@example.com",
    "undefined-behaviour",
    "user_id_417",
    "Nullius",
    "test.pilot@nasa.example",
    "id_7",
    "nan.goldin@example.org",
    "admin",
    "x",
    "\u{1f600}",
];

/// The names of events of servers that nobody thought to give an ID.
const NAMES: [&str; 4] = ["Invoice Sent", "Job Done", "Mail Opened", "Webhook"];

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// Makes scripts, each kind of them in turn.
#[derive(Debug)]
pub(crate) struct Planter {
    /// How many events the stream has.
    events: u64,
    turn: usize,
    rounds: usize,
    /// Where the lists of values begin in this stream.
    start: usize,
}

impl Planter {
    pub(crate) fn new(events: u64, world: &mut World) -> Self {
        Self {
            events,
            turn: 0,
            rounds: 0,
            start: world.rng.index(1_000),
        }
    }

    /// The value of a list for this round. `None` after each value was taken once.
    fn value<'v>(&self, values: &[&'v str]) -> Option<&'v str> {
        let at = (self.start + self.rounds) % values.len();
        (self.rounds < values.len()).then(|| values[at])
    }

    /// An event of a visitor who comes once.
    pub(crate) fn visit(&self, world: &mut World, line: &mut Vec<u8>) {
        let mut script = Script::default();
        script.visit(&world.new_uuid());
        script.write_next(world, line);
    }

    /// The next script. `None` if this kind was planted as often as it can be.
    pub(crate) fn next(&mut self, world: &mut World) -> Option<Script> {
        let variety = Variety::ALL[self.turn];
        let script = self.script(variety, world);
        self.turn += 1;
        if self.turn == Variety::ALL.len() {
            self.turn = 0;
            self.rounds += 1;
        }
        script
    }

    fn script(&self, variety: Variety, world: &mut World) -> Option<Script> {
        let round = self.rounds;
        let mut script = Script::default();
        match variety {
            Variety::MissingReset => missing_reset(&mut script, world),
            Variety::SharedDevice => shared_device(&mut script, world, round),
            Variety::Placeholder => placeholder(&mut script, world, self.value(&PLACEHOLDERS)?),
            Variety::Junk => junk(&mut script, world, self.value(&JUNK)?),
            Variety::Hot if round == 0 => hot(&mut script, world, self.events),
            Variety::NearCap if round.is_multiple_of(20) => {
                many_devices(&mut script, world, 455, 40, "cluster-near-cap");
            }
            Variety::OverCap if round.is_multiple_of(20) => {
                many_devices(&mut script, world, 515, 40, "cluster-over-cap");
            }
            Variety::Hot | Variety::NearCap | Variety::OverCap => return None,
            Variety::AnonymousCluster => anonymous_cluster(&mut script, world),
            Variety::AliasTaken => alias_taken(&mut script, world),
            Variety::SameIds => same_ids(&mut script, world, round),
            Variety::NotUuid => not_uuid(&mut script, world, round),
            Variety::OrderDecided => order_decided(&mut script, world),
            Variety::DeviceAsUser => device_as_user(&mut script, world),
            Variety::NoId => no_id(&mut script, world, self.value(&NAMES)?),
            Variety::Incomplete => incomplete(&mut script, world, round)?,
            Variety::AnonTaken => anon_taken(&mut script, world),
            Variety::PoliteFamily => polite_family(&mut script, world),
            Variety::PowerUser if round == 0 => power_user(&mut script, world, self.events),
            Variety::PowerUser => return None,
            Variety::OddName => odd_name(&mut script, world, self.value(&ODD_NAMES)?),
        }
        Some(script)
    }
}

/// Nobody calls `reset` between two users of a browser.
fn missing_reset(script: &mut Script, world: &mut World) {
    let device = world.new_uuid();
    script.visit(&device);
    let mut before = format!("$device:{device}");
    for _ in 0..2 + world.rng.below(7) {
        let user = world.new_user_id();
        script.login(&device, &user, &before);
        for _ in 0..world.rng.below(5) {
            script.browse(&device, &user);
        }
        before = user;
    }
    script.shows("missing-reset", &[&device], BOTH);
}

/// A server sends the same `$device_id` for everybody, or a kiosk never calls `reset`.
fn shared_device(script: &mut Script, world: &mut World, round: usize) {
    let device = world.new_uuid();
    for _ in 0..12 + world.rng.below(49) {
        let user = world.new_user_id();
        if round.is_multiple_of(2) {
            script.browse(&device, &user);
        } else {
            script.first_login(&device, &user);
        }
        if world.rng.percent(30) {
            script.browse(&device, &user);
        }
    }
    script.shows("shared-device", &[&device], BOTH);
}

/// `identify('user_id')`
fn placeholder(script: &mut Script, world: &mut World, literal: &str) {
    for _ in 0..3 + world.rng.below(18) {
        let device = world.new_uuid();
        script.visit(&device);
        script.first_login(&device, literal);
        script.browse(&device, literal);
    }
    script.shows("placeholder-id", &[literal], BOTH);
}

/// A value that is no ID as the ID of the user.
fn junk(script: &mut Script, world: &mut World, json: &str) {
    let device = world.new_uuid();
    for _ in 0..3 + world.rng.below(28) {
        let ids = format!("\"distinct_id\":{json},\"$user_id\":{json},");
        script.event("Page View", ids + &members(&[("$device_id", &device)]));
    }
    script.shows("junk-id", &[json.trim_matches('"')], BOTH);
}

/// A crawler, or a job that runs again and again.
fn hot(script: &mut Script, world: &mut World, events: u64) {
    let user = world.new_user_id();
    for _ in 0..(events / (30 + world.rng.below(40))).max(1_200) {
        script.event(
            "Page View",
            members(&[("distinct_id", &user), ("$user_id", &user)]),
        );
    }
    script.shows("hot-id", &[&user], BOTH);
}

/// Someone gets a new device at each visit.
fn many_devices(script: &mut Script, world: &mut World, least: u64, more: u64, mistake: &str) {
    let user = world.new_user_id();
    for _ in 0..least + world.rng.below(more) {
        script.first_login(&world.new_uuid(), &user);
    }
    script.shows(mistake, &[&user], ORIGINAL);
    // Where clusters have no limit, the number of devices still stands out.
    script.shows("hot-id", &[&user], SIMPLIFIED);
}

/// Anonymous IDs are merged with each other, and nobody logs in.
fn anonymous_cluster(script: &mut Script, world: &mut World) {
    let first = world.new_uuid();
    script.visit(&first);
    let mut all = vec![first];
    for _ in 0..1 + world.rng.below(2) {
        let other = world.new_uuid();
        script.visit(&other);
        merge(script, &all[0], &other);
        all.push(other);
    }
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    script.shows("anonymous-cluster", &all, ORIGINAL);
}

fn merge(script: &mut Script, first: &str, second: &str) {
    let ids = format!("\"$distinct_ids\":[\"{first}\",\"{second}\"],");
    script.event("$merge", ids);
}

/// Two users get one alias.
fn alias_taken(script: &mut Script, world: &mut World) {
    let [first, second] = [world.new_user_id(), world.new_user_id()];
    let alias = format!("{first}@mail.example");
    for user in [&first, &second] {
        script.event(
            "$create_alias",
            members(&[("distinct_id", user), ("alias", &alias)]),
        );
    }
    script.shows("alias-taken", &[&alias], ORIGINAL);
}

/// `identify()` without an ID, or a `$merge` of one.
fn same_ids(script: &mut Script, world: &mut World, round: usize) {
    if round.is_multiple_of(2) {
        let device = world.new_uuid();
        script.visit(&device);
        let own = format!("$device:{device}");
        let ids = [
            ("distinct_id", &*own),
            ("$device_id", &device),
            ("$anon_distinct_id", &own),
        ];
        script.event("$identify", members(&ids));
        script.shows("same-ids", &[&device], ORIGINAL);
    } else {
        let user = world.new_user_id();
        merge(script, &user, &user);
        script.shows("same-ids", &[&user], ORIGINAL);
    }
}

/// An anonymous ID of an old browser SDK, or of one's own making.
fn not_uuid(script: &mut Script, world: &mut World, round: usize) {
    let device = match round % 2 {
        0 => old_browser_id(world)
            .trim_start_matches("$device:")
            .to_owned(),
        _ => format!("session-{}", world.rng.below(1 << 40)),
    };
    script.visit(&device);
    let user = world.new_user_id();
    script.first_login(&device, &user);
    script.browse(&device, &user);
    script.shows("anon-id-not-uuid", &[&device], ORIGINAL);
}

/// A phone was offline when its first user logged in, and delivers after the second one has.
fn order_decided(script: &mut Script, world: &mut World) {
    let device = world.new_uuid();
    let before = format!("$device:{device}");
    let [early, late] = [world.new_user_id(), world.new_user_id()];
    script.login(&device, &late, &before);
    let late_ms = DAY_MS / 12 + world.rng.below(2 * DAY_MS);
    script.late_login(&device, &early, &before, late_ms);
    script.shows("missing-reset", &[&device], BOTH);
    script.shows("order-decided", &[&device], BOTH);
}

/// A server sends the ID of a device without its prefix.
fn device_as_user(script: &mut Script, world: &mut World) {
    let device = world.new_uuid();
    script.visit(&device);
    for _ in 0..1 + world.rng.below(4) {
        script.event("Mail Opened", members(&[("distinct_id", &device)]));
    }
    script.shows("device-id-as-user", &[&device], SIMPLIFIED);
}

fn no_id(script: &mut Script, world: &mut World, name: &str) {
    for _ in 0..1 + world.rng.below(20) {
        script.event(name, String::new());
    }
    script.shows("no-id", &[name], BOTH);
}

/// An identity event that lacks an ID.
fn incomplete(script: &mut Script, world: &mut World, round: usize) -> Option<()> {
    let user = world.new_user_id();
    let (name, ids) = match round {
        0 => ("$identify", members(&[("$identified_id", &user)])),
        1 => ("$create_alias", members(&[("distinct_id", &user)])),
        2 => ("$merge", format!("\"$distinct_ids\":[\"{user}\"],")),
        _ => return None,
    };
    for _ in 0..1 + world.rng.below(9) {
        script.event(name, ids.clone());
    }
    script.shows("incomplete-identity-event", &[name], ORIGINAL);
    Some(())
}

/// An anonymous ID is merged into a user, and then identified as another one.
fn anon_taken(script: &mut Script, world: &mut World) {
    let [first, second] = [world.new_user_id(), world.new_user_id()];
    let [device, anon] = [world.new_uuid(), world.new_uuid()];
    let identify = |script: &mut Script, user: &str, anon: &str| {
        let ids = [
            ("distinct_id", user),
            ("$identified_id", user),
            ("$anon_id", anon),
        ];
        script.event("$identify", members(&ids));
    };
    identify(script, &first, &device);
    merge(script, &device, &anon);
    identify(script, &second, &anon);
    script.shows("anon-id-taken", &[&anon], ORIGINAL);
}

fn polite_family(script: &mut Script, world: &mut World) {
    let users = [world.new_user_id(), world.new_user_id()];
    for visit in 0..2 + world.rng.index(5) {
        let device = world.new_uuid();
        let user = &users[visit % 2];
        script.visit(&device);
        script.first_login(&device, user);
        script.browse(&device, user);
    }
}

fn odd_name(script: &mut Script, world: &mut World, name: &str) {
    for _ in 0..1 + world.rng.below(4) {
        let device = world.new_uuid();
        script.visit(&device);
        script.first_login(&device, name);
        for _ in 0..world.rng.below(40) {
            script.browse(&device, name);
        }
    }
}

fn power_user(script: &mut Script, world: &mut World, events: u64) {
    let (device, user) = (world.new_uuid(), world.new_user_id());
    script.visit(&device);
    script.first_login(&device, &user);
    for _ in 0..(events / 150).min(5_000) {
        script.browse(&device, &user);
    }
}
