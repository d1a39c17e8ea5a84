//! Metrics for Prometheus.

use std::fmt::{Debug, Error};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use bytes::Bytes;
use idmerge_project::{Figures, LATENCY_BOUNDS_MS, Project};
use idmerge_wire::Endpoint;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::http::body::Bodies;
use crate::projects::OpenProject;

/// The metrics that the server counts, and the registry of all metrics.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Histogram,
    records: Family<RecordLabels, Counter>,
    open_connections: Gauge,
    refused_connections: Counter,
    wrong_secrets: Counter,
    text: RecentText,
}

/// A text that is made again when it is too old, by one of those who ask for it.
#[derive(Default)]
struct RecentText {
    /// The last text, and when it was begun.
    last: Mutex<Option<(Instant, Bytes)>>,
    /// Held while the text is made.
    making: Mutex<()>,
}

impl RecentText {
    /// The text, if it is recent.
    fn recent(&self, now: Instant, max_age: Duration) -> Option<Bytes> {
        let last = self.last.lock();
        let (made, text) = last.as_ref()?;
        (now.saturating_duration_since(*made) < max_age).then(|| text.clone())
    }

    /// The text. Makes it if it is not recent. If another thread makes it already, the last one counts.
    fn get(&self, now: Instant, max_age: Duration, make: impl FnOnce() -> Bytes) -> Bytes {
        let earlier = self.last.lock().as_ref().map(|(_, text)| text.clone());
        let _making = match (self.making.try_lock(), earlier) {
            (Some(making), _) => making,
            (None, Some(text)) => return text,
            (None, None) => self.making.lock(),
        };
        if let Some(text) = self.recent(now, max_age) {
            return text;
        }
        let text = make();
        *self.last.lock() = Some((now, text.clone()));
        text
    }
}

/// An open connection. The metric counts it until this is dropped.
pub(crate) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    endpoint: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RecordLabels {
    project: String,
    endpoint: &'static str,
    result: &'static str,
}

impl Metrics {
    pub(crate) fn new(
        projects: &[OpenProject],
        bodies: Bodies,
        cancelled_queries: &Counter,
    ) -> Self {
        let requests = Family::default();
        // Buckets from 0.2 ms to 13 s.
        let request_seconds = Histogram::new(exponential_buckets(0.000_2, 2.0, 17));
        let records = Family::default();
        let mut registry = Registry::with_prefix("idmerge");
        registry.register(
            "requests",
            "Requests to /track, /import, /engage, /groups and the endpoints of Segment and RudderStack",
            requests.clone(),
        );
        registry.register_with_unit(
            "request",
            "How long these requests took, from the head to the response",
            Unit::Seconds,
            request_seconds.clone(),
        );
        registry.register(
            "records",
            "Events and profile updates, by result",
            records.clone(),
        );
        let open_connections = Gauge::default();
        registry.register(
            "open_connections",
            "Connections that are open now",
            open_connections.clone(),
        );
        let refused_connections = counter(
            &mut registry,
            "refused_connections",
            "Connections closed because their address had too many",
        );
        let wrong_secrets = counter(
            &mut registry,
            "wrong_secrets",
            "Requests with a secret that no project has",
        );
        register_others(&mut registry, projects, bodies, cancelled_queries);
        Self {
            registry,
            requests,
            request_seconds,
            records,
            open_connections,
            refused_connections,
            wrong_secrets,
            text: RecentText::default(),
        }
    }

    /// Counts a request with a wrong secret.
    pub(crate) fn count_wrong_secret(&self) {
        self.wrong_secrets.inc();
    }

    /// Counts a connection until the result is dropped.
    pub(crate) fn open_connection(&self) -> OpenConnection {
        self.open_connections.inc();
        OpenConnection(self.open_connections.clone())
    }

    /// Counts a connection that was closed because its address had too many.
    pub(crate) fn count_refused_connection(&self) {
        self.refused_connections.inc();
    }

    /// Counts a request to an endpoint that takes records, and the time that it took.
    pub(crate) fn count_request(&self, endpoint: Endpoint, status: StatusCode, took: Duration) {
        self.request_seconds.observe(took.as_secs_f64());
        let labels = RequestLabels {
            endpoint: endpoint.name(),
            status: status.as_u16(),
        };
        self.requests.get_or_create(&labels).inc();
    }

    /// Counts records by their result. The label of an unknown project is empty.
    pub(crate) fn count_records(
        &self,
        token: Option<&str>,
        endpoint: Endpoint,
        result: &'static str,
        count: u64,
    ) {
        let labels = RecordLabels {
            project: token.unwrap_or_default().to_owned(),
            endpoint: endpoint.name(),
            result,
        };
        self.records.get_or_create(&labels).inc_by(count);
    }

    /// The text of [`text`](Self::text), if it need not be made.
    pub(crate) fn recent_text(&self, max_age: Duration) -> Option<Bytes> {
        self.text.recent(Instant::now(), max_age)
    }

    /// All metrics, as the text that Prometheus scrapes. It is made again once it is
    /// older than `max_age`: everybody may ask for it, and making it takes milliseconds. It waits for projects
    /// that apply claims, so call it on a thread that may block.
    pub(crate) fn text(&self, max_age: Duration) -> Bytes {
        self.text.get(Instant::now(), max_age, || {
            let mut text = String::new();
            // Writing to a string cannot fail.
            let _result = prometheus_client::encoding::text::encode(&mut text, &self.registry);
            text.into()
        })
    }
}

/// Registers what others count.
fn register_others(
    registry: &mut Registry,
    projects: &[OpenProject],
    bodies: Bodies,
    cancelled_queries: &Counter,
) {
    registry.register(
        "cancelled_queries",
        "Queries that ended without an answer, because the client was gone or the server stopped",
        cancelled_queries.clone(),
    );
    registry.register_collector(Box::new(BodiesInMemory(bodies)));
    let project = |open: &OpenProject| (open.config.token.clone(), Arc::clone(&open.project));
    registry.register_collector(Box::new(Projects(projects.iter().map(project).collect())));
}

/// A counter that is registered.
fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

/// Reports the memory that request bodies occupy.
#[derive(Debug)]
struct BodiesInMemory(Bodies);

impl Collector for BodiesInMemory {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let help = "Memory of request bodies that are being read or processed";
        let bytes = Some(&Unit::Bytes);
        encoder
            .encode_descriptor("bodies_in_memory", help, bytes, MetricType::Gauge)?
            .encode_gauge(&(self.0.bytes_used() as u64))
    }
}

/// Reports the figures that projects count themselves.
struct Projects(Vec<(String, Arc<Project>)>);

impl Debug for Projects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Projects")
    }
}

/// A figure of a project: its name, its help text, and how to get it.
type Figure = (&'static str, &'static str, fn(&Figures) -> u64);

const COUNTERS: [Figure; 9] = [
    ("events", "Events stored since the start", |f| f.events),
    (
        "events_replaced",
        "Events that an imported one replaced, since the start",
        |f| f.replaced,
    ),
    (
        "profile_updates",
        "Profile updates applied since the start",
        |f| f.updates,
    ),
    (
        "merges",
        "Claims that merged two clusters, since the start",
        |f| f.merges,
    ),
    ("commits", "Commits since the start", |f| f.commits),
    (
        "recoveries",
        "How often the project could write again after a failure, since the start",
        |f| f.recoveries,
    ),
    (
        "maintenance_failures",
        "How often background work failed and was left for later, since the start",
        |f| f.maintenance_failures,
    ),
    (
        "erasures",
        "How often people were erased, since the start",
        |f| f.erasures,
    ),
    ("erased_ids", "IDs erased since the start", |f| f.ids_erased),
];

const GAUGES: [Figure; 10] = [
    ("events_kept", "Events stored in total", |f| f.events_total),
    ("claims_logged", "Entries in the log of claims", |f| {
        f.sequence
    }),
    (
        "queued_batches",
        "Batches that wait in the queue or are being written",
        |f| f.queue_batches as u64,
    ),
    (
        "queued_bytes",
        "Bytes of memory that these batches take",
        |f| f.queue_bytes as u64,
    ),
    ("ids", "IDs in clusters, which take memory", |f| {
        f.ids as u64
    }),
    ("ids_max", "The setting max_ids of the project", |f| {
        f.max_ids as u64
    }),
    (
        "clusters_near_cap",
        "Clusters with at least 90 % of the IDs that a cluster may have",
        |f| f.clusters_near_cap as u64,
    ),
    (
        "deletions_waiting",
        "Deletions of people that wait or are carried out",
        |f| f.deletions_waiting as u64,
    ),
    (
        "erasing",
        "1 while people are erased and the project answers nothing, else 0",
        |f| u64::from(f.is_erasing),
    ),
    ("failed", "1 if the project cannot write, else 0", |f| {
        u64::from(f.failure.is_some())
    }),
];

impl Collector for Projects {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let figures =
            |(token, project): &(String, Arc<Project>)| (token.clone(), project.figures());
        let figures: Vec<_> = self.0.iter().map(figures).collect();
        for (name, help, figure) in COUNTERS {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (token, figures) in &figures {
                labelled(&mut metric, &[("project", token)])?
                    .encode_counter::<NoLabelSet, _, u64>(&figure(figures), None)?;
            }
        }
        for (name, help, figure) in GAUGES {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (token, figures) in &figures {
                labelled(&mut metric, &[("project", token)])?.encode_gauge(&figure(figures))?;
            }
        }
        let help = "Claims that a guardrail rejected since the start, by code";
        let counter = MetricType::Counter;
        let mut metric = encoder.encode_descriptor("rejected_claims", help, None, counter)?;
        for (token, figures) in &figures {
            for (code, count) in &figures.rejected {
                labelled(&mut metric, &[("project", token), ("code", code)])?
                    .encode_counter::<NoLabelSet, _, u64>(count, None)?;
            }
        }
        let help = "Records refused as bad input since the start, by rule";
        let mut metric = encoder.encode_descriptor("refused_records", help, None, counter)?;
        for (token, figures) in &figures {
            for (rule, count) in &figures.refused {
                labelled(&mut metric, &[("project", token), ("rule", rule)])?
                    .encode_counter::<NoLabelSet, _, u64>(count, None)?;
            }
        }
        let help = "How long commits took, since the start";
        let seconds = Some(&Unit::Seconds);
        let mut metric =
            encoder.encode_descriptor("commit", help, seconds, MetricType::Histogram)?;
        for (token, figures) in &figures {
            let bounds = LATENCY_BOUNDS_MS.iter().map(|&ms| ms as f64 / 1_000.0);
            let bounds = bounds.chain([f64::INFINITY]);
            let buckets: Vec<_> = bounds.zip(figures.commit_latency).collect();
            labelled(&mut metric, &[("project", token)])?.encode_histogram::<NoLabelSet>(
                figures.commit_time.as_secs_f64(),
                figures.commits,
                &buckets,
                None,
            )?;
        }
        Ok(())
    }
}

/// The metric with these labels.
fn labelled<'m, const LABELS: usize>(
    metric: &'m mut MetricEncoder<'_>,
    labels: &'m [(&'static str, &str); LABELS],
) -> Result<MetricEncoder<'m>, Error> {
    metric.encode_family(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_made_once_a_second_however_many_ask() {
        let recent = RecentText::default();
        let start = Instant::now();
        let made = Mutex::new(0);
        let ask = |ms| {
            let now = start + Duration::from_millis(ms);
            recent.get(now, Duration::from_secs(1), || {
                let mut made = made.lock();
                *made += 1;
                Bytes::from(made.to_string())
            })
        };
        assert_eq!(ask(0), "1");
        std::thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| {
                    for ms in 0..1_000 {
                        assert_eq!(ask(ms), "1");
                    }
                });
            }
        });
        assert_eq!(ask(2_000), "2");
        assert_eq!(ask(2_999), "2");
        assert_eq!(ask(3_000), "3");
        assert_eq!(*made.lock(), 3);
    }

    #[test]
    fn no_thread_waits_for_a_text_that_another_one_makes_if_there_is_an_earlier_one() {
        let recent = RecentText::default();
        let start = Instant::now();
        let age = Duration::from_secs(1);
        assert_eq!(recent.recent(start, age), None);
        assert_eq!(recent.get(start, age, || "old".into()), "old");
        assert_eq!(recent.recent(start, age).unwrap(), "old");
        let late = start + 2 * age;
        assert_eq!(recent.recent(late, age), None);
        let new = recent.get(late, age, || {
            // Asked while it is made.
            let other = recent.get(late, age, || panic!("it is made twice"));
            assert_eq!(other, "old");
            "new".into()
        });
        assert_eq!(new, "new");
        assert_eq!(recent.recent(late, age).unwrap(), "new");
    }
}
