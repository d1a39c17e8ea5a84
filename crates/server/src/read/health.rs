//! The health of a project: what joined and what did not, and the mistakes of tracking that spoil figures.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use axum::Json;
use idmerge_analysis::DAY_MS;
use idmerge_core::{Claim, DEVICE_PREFIX, Outcome, Rejection};
use idmerge_project::{Figures, LATENCY_BOUNDS_MS, MayGoOn, Project, ProjectError};
use idmerge_store::{Entry, What};
use serde::Serialize;
use utoipa::ToSchema;

use super::live::UnknownToken;
use super::query::Reader;
use crate::clock::now_ms;
use crate::http::api_error::ApiError;

/// The newest entries of the log that are looked at. An older project has more, and its health is that of now.
const ENTRIES_MAX: u64 = 100_000;

/// How many days have figures, today included.
const DAYS: i64 = 14;

/// The most users or devices of a kind that are listed.
const LISTED_MAX: usize = 20;

/// Two users who log in on a device within this time: the first one was probably not logged out.
const RESET_MS: i64 = 60_000;

/// A user of Simplified with so many IDs is often a robot or a shared account.
const LARGE_IDS: usize = 100;

/// The health of a project.
#[derive(Serialize, ToSchema)]
pub(crate) struct HealthResponse {
    /// How many entries of the log were looked at: the newest, 100,000 at most.
    entries: u64,
    /// The last 14 days in UTC, by the times of the events.
    days: Vec<HealthDay>,
    /// How many devices were claimed for a second user.
    shared_devices: usize,
    /// Some of them, those with the most users first.
    shared_device_examples: Vec<SharedDevice>,
    /// On how many of them one user followed another within a minute, so that `reset()` was probably not called.
    missing_resets: usize,
    /// Users with very many IDs: 90 percent of what a cluster may have in Original, 100 elsewhere.
    large_users: Vec<LargeUser>,
    /// The most IDs that a user may have. `null` if there is no limit.
    max_cluster_ids: Option<u32>,
    /// Records that were refused since the server was started, by the rule that refuses them.
    refused: BTreeMap<&'static str, u64>,
    /// Tokens that no project has and that events came with since the server was started, 20 at most, the last one
    /// first. In a server of several projects: those that hardly differ from the token of this one.
    unknown_tokens: Vec<UnknownToken>,
    /// The commits since the server was started.
    commits: Commits,
}

/// The claims of a day.
#[derive(Clone, Serialize, ToSchema)]
pub(super) struct HealthDay {
    /// The start of the day in milliseconds since 1970, in UTC.
    day_ms: i64,
    /// How many claims joined two IDs.
    merges: u64,
    /// How many claims were rejected.
    rejections: u64,
}

/// A user by name.
#[derive(Clone, Serialize, ToSchema)]
pub(super) struct Named {
    /// The canonical ID.
    distinct_id: String,
    /// The name in the profile.
    name: Option<String>,
}

/// A device on which several users logged in. It belongs to the first one.
#[derive(Serialize, ToSchema)]
pub(super) struct SharedDevice {
    /// The device.
    distinct_id: String,
    /// Whose it is.
    holder: Named,
    /// Who logged in on it too, three at most.
    others: Vec<Named>,
}

/// A user with very many IDs.
#[derive(Clone, Serialize, ToSchema)]
pub(super) struct LargeUser {
    #[serde(flatten)]
    user: Named,
    /// How many IDs.
    ids: usize,
}

/// How long commits take.
#[derive(Serialize, ToSchema)]
pub(super) struct Commits {
    /// How many there were.
    count: u64,
    /// Half of them took at most so many milliseconds. `null` if there was none, or if they took longer than 5 s.
    p50_ms: Option<u64>,
    /// 99 of 100 took at most so many milliseconds.
    p99_ms: Option<u64>,
    /// How many batches wait.
    waiting: usize,
    /// Why the project cannot write. `null` if it can.
    failure: Option<String>,
}

/// Get the health of a project
///
/// It reads the newest 100,000 entries of the log, and holds up no claim. The log has a claim when it is made for the
/// first time, with the answer that it got then. So a log-in that is repeated changes no figure (in Original some repeats
/// of `$identify` have an entry, and count again), and neither does a withdrawal.
#[utoipa::path(
    get,
    path = "/v1/health",
    responses(
        (status = 200, body = HealthResponse),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 429, description = "Too many queries are running; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn health(reader: Reader) -> Result<Json<HealthResponse>, ApiError> {
    // The IDs of 100,000 entries are in memory, so it takes its turn with the searches.
    let permit = reader.search().await?;
    let found = reader.run_while(move |project, may_go_on| {
        let health = health_of(project, &may_go_on);
        drop(permit);
        health
    });
    let mut health = found.await?;
    let (tokens, _) = reader.token_feed().since(0, LISTED_MAX);
    health.unknown_tokens = tokens.into_iter().map(UnknownToken::from).collect();
    Ok(Json(health))
}

fn health_of(project: &Project, may_go_on: &MayGoOn) -> Result<HealthResponse, ProjectError> {
    let mut claims = Claims::new(now_ms());
    let mut names = Names::new(project, may_go_on);
    let history = project.history()?.only_while(may_go_on.clone());
    let first = history.last().saturating_sub(ENTRIES_MAX - 1).max(1);
    history.entries(first, &mut |entry| {
        claims.add(&entry);
        Ok(true)
    })?;
    let figures = project.figures();
    let max_cluster_ids = project.settings().max_cluster_ids();
    Ok(HealthResponse {
        entries: claims.entries,
        shared_devices: claims.shared.len(),
        shared_device_examples: claims.shared_devices(&mut names)?,
        missing_resets: claims.missing_resets(),
        large_users: claims.large_users(&mut names, max_cluster_ids)?,
        max_cluster_ids,
        days: claims.days,
        refused: figures.refused.clone(),
        unknown_tokens: Vec::new(),
        commits: Commits::of(figures),
    })
}

/// What the newest claims tell.
struct Claims {
    entries: u64,
    days: Vec<HealthDay>,
    /// Each ID once, however many claims name it.
    ids: HashSet<Rc<str>>,
    /// The user of the last claim of each device, and its time.
    last: HashMap<Rc<str>, (Rc<str>, Option<i64>)>,
    shared: HashMap<Rc<str>, Shared>,
    /// How many claims joined an ID to each user.
    joined: HashMap<Rc<str>, u64>,
}

/// A device that was claimed for a second user.
struct Shared {
    holder: Rc<str>,
    others: BTreeSet<Rc<str>>,
    follows_at_once: bool,
}

impl Claims {
    fn new(now_ms: i64) -> Self {
        let today = now_ms.div_euclid(DAY_MS);
        let day = |day| HealthDay {
            day_ms: day * DAY_MS,
            merges: 0,
            rejections: 0,
        };
        Self {
            entries: 0,
            days: (today - DAYS + 1..=today).map(day).collect(),
            ids: HashSet::new(),
            last: HashMap::new(),
            shared: HashMap::new(),
            joined: HashMap::new(),
        }
    }

    fn add(&mut self, entry: &Entry<'_>) {
        self.entries += 1;
        let What::Claim { claim, outcome } = entry.what else {
            return;
        };
        self.add_to_day(entry.cause.time_ms, outcome);
        // What is joined, and whom it is joined to.
        let (joined, user) = match claim {
            Claim::Link { device, user } => (format!("{DEVICE_PREFIX}{device}"), user),
            Claim::Identify { identified, anon } => (anon.to_string(), identified),
            Claim::Alias { distinct_id, alias } => (alias.to_string(), distinct_id),
            Claim::Merge { first, second } => (second.to_string(), first),
            // A kind of claim that this version does not know is in the figures of its day alone.
            _ => return,
        };
        let user = self.id(user.to_string());
        if outcome == Outcome::Merged {
            *self.joined.entry(Rc::clone(&user)).or_default() += 1;
        }
        // Somebody logs in on a device.
        if matches!(claim, Claim::Link { .. } | Claim::Identify { .. }) {
            let device = self.id(joined);
            let time_ms = entry.cause.time_ms;
            if let Outcome::Rejected(Rejection::AnonDistinctIdAssignedAlready { holder, .. }) =
                outcome
            {
                let holder = self.id(holder.to_string());
                self.add_shared(&device, &user, holder, time_ms);
            }
            self.last.insert(device, (user, time_ms));
        }
    }

    fn id(&mut self, id: String) -> Rc<str> {
        if let Some(known) = self.ids.get(&*id) {
            return Rc::clone(known);
        }
        let id: Rc<str> = id.into();
        self.ids.insert(Rc::clone(&id));
        id
    }

    fn add_to_day(&mut self, time_ms: Option<i64>, outcome: Outcome<'_>) {
        let first = self.days.first().map_or(0, |day| day.day_ms);
        // A sender can name any time.
        let day = time_ms.and_then(|time_ms| time_ms.checked_sub(first));
        let day = day.and_then(|ms| usize::try_from(ms.div_euclid(DAY_MS)).ok());
        let Some(day) = day.and_then(|day| self.days.get_mut(day)) else {
            return;
        };
        match outcome {
            Outcome::Merged => day.merges += 1,
            Outcome::Rejected(_) => day.rejections += 1,
            _ => {}
        }
    }

    fn add_shared(
        &mut self,
        device: &Rc<str>,
        user: &Rc<str>,
        holder: Rc<str>,
        time_ms: Option<i64>,
    ) {
        let follows_at_once = self.last.get(device).is_some_and(|(last_user, last_ms)| {
            let apart = time_ms.zip(*last_ms).map(|(now, last)| now.abs_diff(last));
            last_user != user && apart.is_some_and(|apart| apart <= RESET_MS.unsigned_abs())
        });
        let shared = self.shared.entry(Rc::clone(device));
        let shared = shared.or_insert_with(|| Shared {
            holder,
            others: BTreeSet::new(),
            follows_at_once: false,
        });
        shared.others.insert(Rc::clone(user));
        shared.follows_at_once |= follows_at_once;
    }

    fn missing_resets(&self) -> usize {
        let at_once = |shared: &&Shared| shared.follows_at_once;
        self.shared.values().filter(at_once).count()
    }

    fn shared_devices(&self, names: &mut Names<'_>) -> Result<Vec<SharedDevice>, ProjectError> {
        let mut shared: Vec<_> = self.shared.iter().collect();
        shared.sort_by(|a, b| b.1.others.len().cmp(&a.1.others.len()).then(a.0.cmp(b.0)));
        let listed = shared.into_iter().take(LISTED_MAX).map(|(device, shared)| {
            let others = shared.others.iter().take(3);
            Ok(SharedDevice {
                distinct_id: device.to_string(),
                holder: names.of(&shared.holder)?.user,
                others: others
                    .map(|user| Ok(names.of(user)?.user))
                    .collect::<Result<_, ProjectError>>()?,
            })
        });
        listed.collect()
    }

    fn large_users(
        &self,
        names: &mut Names<'_>,
        max_cluster_ids: Option<u32>,
    ) -> Result<Vec<LargeUser>, ProjectError> {
        let large = max_cluster_ids.map_or(LARGE_IDS, |max| (max as usize * 9).div_ceil(10));
        let mut busiest: Vec<_> = self.joined.iter().collect();
        busiest.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let mut users = BTreeMap::new();
        for (user, _) in busiest.into_iter().take(LISTED_MAX) {
            let user = names.of(user)?;
            if user.ids >= large {
                users.insert(user.user.distinct_id.clone(), user);
            }
        }
        let mut users: Vec<_> = users.into_values().collect();
        // Stable: users with as many IDs are in the order of their IDs.
        users.sort_by_key(|user| std::cmp::Reverse(user.ids));
        Ok(users)
    }
}

/// The users of IDs, as known now. Each is looked up once: a user with thousands of IDs can be named often.
struct Names<'p> {
    project: &'p Project,
    may_go_on: &'p MayGoOn,
    known: HashMap<String, LargeUser>,
}

impl<'p> Names<'p> {
    fn new(project: &'p Project, may_go_on: &'p MayGoOn) -> Self {
        Self {
            project,
            may_go_on,
            known: HashMap::new(),
        }
    }

    fn of(&mut self, id: &str) -> Result<LargeUser, ProjectError> {
        if let Some(known) = self.known.get(id) {
            return Ok(known.clone());
        }
        let user = self.project.user_while(id, self.may_go_on.clone())?;
        let user = match user {
            Some(user) => LargeUser {
                ids: user.ids,
                user: Named {
                    distinct_id: user.distinct_id,
                    name: user.name,
                },
            },
            None => LargeUser {
                ids: 1,
                user: Named {
                    distinct_id: id.to_owned(),
                    name: None,
                },
            },
        };
        self.known.insert(id.to_owned(), user.clone());
        Ok(user)
    }
}

impl Commits {
    fn of(figures: Figures) -> Self {
        let within = |share: u64| {
            let enough = (figures.commits * share).div_ceil(100);
            let mut sum = 0;
            let at = figures.commit_latency.iter().position(|count| {
                sum += count;
                enough > 0 && sum >= enough
            });
            at.and_then(|at| LATENCY_BOUNDS_MS.get(at).copied())
        };
        Self {
            count: figures.commits,
            p50_ms: within(50),
            p99_ms: within(99),
            waiting: figures.queue_batches,
            failure: figures.failure,
        }
    }
}
