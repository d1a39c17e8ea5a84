//! What Prometheus is told.

use std::fmt::{Debug, Error};
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use idmerge_project::{Figures, LATENCY_BOUNDS_MS, Project};
use idmerge_wire::Endpoint;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::http::body::BodyMemory;
use crate::projects::OpenProject;

/// What is counted, and where it is written from.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Histogram,
    records: Family<RecordLabels, Counter>,
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
    pub(crate) fn new(projects: &[OpenProject], body_memory: BodyMemory) -> Self {
        let requests = Family::default();
        // From a fifth of a millisecond to 13 seconds.
        let request_seconds = Histogram::new(exponential_buckets(0.000_2, 2.0, 17));
        let records = Family::default();
        let mut registry = Registry::with_prefix("idmerge");
        registry.register(
            "requests",
            "Requests to endpoints that take records",
            requests.clone(),
        );
        registry.register_with_unit(
            "request",
            "How long such a request took, from its head to its answer",
            Unit::Seconds,
            request_seconds.clone(),
        );
        registry.register(
            "records",
            "Events and profile updates, by what became of them",
            records.clone(),
        );
        registry.register_collector(Box::new(Bodies(body_memory)));
        let project = |open: &OpenProject| (open.config.token.clone(), Arc::clone(&open.project));
        registry.register_collector(Box::new(Projects(projects.iter().map(project).collect())));
        Self {
            registry,
            requests,
            request_seconds,
            records,
        }
    }

    /// Counts a request that brought records, and the time from its head to its response.
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

    /// The text that is scraped.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a text cannot fail.
        let _is_text = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

/// The memory that bodies take.
#[derive(Debug)]
struct Bodies(BodyMemory);

impl Collector for Bodies {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let help = "Bodies of requests that are being read or carried out";
        let bytes = Some(&Unit::Bytes);
        encoder
            .encode_descriptor("bodies_in_memory", help, bytes, MetricType::Gauge)?
            .encode_gauge(&(self.0.bytes_used() as u64))
    }
}

/// What projects count themselves.
struct Projects(Vec<(String, Arc<Project>)>);

impl Debug for Projects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Projects")
    }
}

/// A number of a project: its name, what it is, and how it is found.
type Number = (&'static str, &'static str, fn(&Figures) -> u64);

const COUNTERS: [Number; 4] = [
    ("events", "Events that were kept since the start", |f| {
        f.events
    }),
    (
        "profile_updates",
        "Updates of profiles that were carried out",
        |f| f.updates,
    ),
    ("merges", "Claims that joined two IDs", |f| f.merges),
    ("commits", "Commits", |f| f.commits),
];

const GAUGES: [Number; 6] = [
    ("events_kept", "All events that are kept", |f| {
        f.events_total
    }),
    ("claims_logged", "All entries of the log of claims", |f| {
        f.sequence
    }),
    (
        "queued_batches",
        "Batches that wait or are being written",
        |f| f.queue_batches as u64,
    ),
    ("queued_bytes", "The bytes of their text", |f| {
        f.queue_bytes as u64
    }),
    (
        "clusters_near_cap",
        "Clusters that are nine tenths full",
        |f| f.clusters_near_cap as u64,
    ),
    ("failed", "1 where the project cannot write any more", |f| {
        u64::from(f.failure.is_some())
    }),
];

impl Collector for Projects {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let figures =
            |(token, project): &(String, Arc<Project>)| (token.clone(), project.figures());
        let figures: Vec<_> = self.0.iter().map(figures).collect();
        for (name, help, number) in COUNTERS {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (token, figures) in &figures {
                of(&mut metric, &[("project", token)])?
                    .encode_counter::<NoLabelSet, _, u64>(&number(figures), None)?;
            }
        }
        for (name, help, number) in GAUGES {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (token, figures) in &figures {
                of(&mut metric, &[("project", token)])?.encode_gauge(&number(figures))?;
            }
        }
        let help = "Claims that a guardrail turned down, by its code";
        let counter = MetricType::Counter;
        let mut metric = encoder.encode_descriptor("rejected_claims", help, None, counter)?;
        for (token, figures) in &figures {
            for (code, count) in &figures.rejected {
                of(&mut metric, &[("project", token), ("code", code)])?
                    .encode_counter::<NoLabelSet, _, u64>(count, None)?;
            }
        }
        let help = "Records that are bad input, by the rule that says so";
        let mut metric = encoder.encode_descriptor("refused_records", help, None, counter)?;
        for (token, figures) in &figures {
            for (rule, count) in &figures.refused {
                of(&mut metric, &[("project", token), ("rule", rule)])?
                    .encode_counter::<NoLabelSet, _, u64>(count, None)?;
            }
        }
        let help = "How long commits took";
        let seconds = Some(&Unit::Seconds);
        let mut metric =
            encoder.encode_descriptor("commit", help, seconds, MetricType::Histogram)?;
        for (token, figures) in &figures {
            let bounds = LATENCY_BOUNDS_MS.iter().map(|&ms| ms as f64 / 1_000.0);
            let bounds = bounds.chain([f64::INFINITY]);
            let buckets: Vec<_> = bounds.zip(figures.commit_latency).collect();
            of(&mut metric, &[("project", token)])?.encode_histogram::<NoLabelSet>(
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
fn of<'m, const LABELS: usize>(
    metric: &'m mut MetricEncoder<'_>,
    labels: &'m [(&'static str, &str); LABELS],
) -> Result<MetricEncoder<'m>, Error> {
    metric.encode_family(labels)
}
