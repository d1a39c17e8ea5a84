//! Raw records of other products, and the same as events, which an adapter has made beforehand.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result};
use idmerge_adapters::{Adapted, Adapter, Format, Options, Target};
use serde_json::{Map, Value, json};

/// The names of the rows of a product.
pub(crate) struct Rows {
    pub(crate) format: Format,
    /// Its records.
    pub(crate) records: &'static str,
    /// The events that are made of them.
    pub(crate) events: &'static str,
    /// The same, and duplicates are looked for, as they are in records by default.
    pub(crate) deduplicated: &'static str,
}

macro_rules! rows {
    ($($format:ident $name:literal),*) => {
        [$(Rows {
            format: Format::$format,
            records: concat!("idmerge resolve --from ", $name),
            events: concat!("idmerge resolve, the events of ", $name),
            deduplicated: concat!("idmerge resolve --dedup, the events of ", $name),
        }),*]
    };
}

pub(crate) const FORMATS: [Rows; 8] = rows![
    Segment "segment",
    RudderStack "rudderstack",
    MParticle "mparticle",
    Amplitude "amplitude",
    PostHog "posthog",
    Ga4 "ga4",
    Snowplow "snowplow",
    Csv "csv"
];

/// The columns of the table, for `--map`.
pub(crate) const COLUMNS: &str = "user=customer,device=cookie,event=action,time=created_at,id=row";

/// Files with the records of a product, and with their events.
pub(crate) struct Files {
    pub(crate) records: PathBuf,
    pub(crate) events: PathBuf,
}

impl Files {
    /// Writes both, from the first events of a file.
    pub(crate) fn write(format: Format, web: &Path, events: usize, folder: &Path) -> Result<Self> {
        let is_table = format == Format::Csv;
        let ending = if is_table { "csv" } else { "ndjson" };
        let files = Self {
            records: folder.join(format!("{format}-records.{ending}")),
            events: folder.join(format!("{format}-events.ndjson")),
        };
        let mut options = Options::new(Target::Simplified);
        if is_table {
            options.columns = COLUMNS.parse().map_err(Error::msg)?;
        }
        let adapter = Adapter::new(format, options)?;
        let mut records = BufWriter::new(File::create(&files.records)?);
        let mut out = BufWriter::new(File::create(&files.events)?);
        let mut adapted = Adapted::default();
        for (number, line) in (0..).zip(BufReader::new(File::open(web)?).lines().take(events)) {
            let event: Value = serde_json::from_str(&line?)?;
            let record = record(format, number, &event["event"], &event["properties"])
                .with_context(|| format!("{format} has no records here"))?;
            match record.as_object().filter(|_| is_table) {
                Some(cells) => write_row(&mut records, number == 0, cells)?,
                None => writeln!(records, "{record}")?,
            }
            let record = record.to_string();
            adapted.clear();
            adapter.adapt(number, &record, &mut adapted);
            out.write_all(adapted.text())?;
        }
        records.flush()?;
        out.flush()?;
        Ok(files)
    }
}

/// Writes a row of a CSV file, after the names of its columns if it is the first one.
fn write_row(out: &mut impl Write, is_first: bool, cells: &Map<String, Value>) -> Result<()> {
    if is_first {
        let names: Vec<_> = cells.keys().map(String::as_str).collect();
        writeln!(out, "{}", names.join(","))?;
    }
    let quoted = cells.values().map(|cell| {
        let text = cell.as_str().unwrap_or_default();
        format!("\"{}\"", text.replace('"', "\"\""))
    });
    writeln!(out, "{}", quoted.collect::<Vec<_>>().join(","))?;
    Ok(())
}

/// What a record says.
struct Event<'e> {
    name: &'e Value,
    user: &'e Value,
    device: &'e Value,
    id: &'e Value,
    url: &'e Value,
    number: u64,
    clock: String,
    properties: Value,
}

impl Event<'_> {
    /// Its time, with what the product writes between day and clock, and at the end.
    fn time(&self, separator: char, end: &str) -> String {
        format!("2026-06-01{separator}{}{end}", self.clock)
    }
}

const AGENT: &str =
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko)";

/// An event as the product writes it, with the fields that its records usually have.
fn record(format: Format, number: u64, name: &Value, event: &Value) -> Option<Value> {
    let url = &event["$current_url"];
    let (hour, minute) = (1 + number / 3_600_000 % 20, number / 60_000 % 60);
    let (second, ms) = (number / 1_000 % 60, number % 1_000);
    let event = Event {
        name,
        user: &event["$user_id"],
        device: &event["$device_id"],
        id: &event["$insert_id"],
        url,
        number,
        clock: format!("{hour:02}:{minute:02}:{second:02}.{ms:03}"),
        properties: json!({
            "price": number % 100, "title": "Moby Dick", "category": "Books", "url": url,
        }),
    };
    Some(match format {
        Format::Segment => segment(&event),
        Format::RudderStack => rudderstack(&event),
        Format::MParticle => mparticle(&event),
        Format::Amplitude => amplitude(&event),
        Format::PostHog => posthog(&event),
        Format::Ga4 => ga4(&event),
        Format::Snowplow => snowplow(&event),
        Format::Csv => row(&event),
        _ => return None,
    })
}

fn segment(event: &Event<'_>) -> Value {
    json!({
        "anonymousId": event.device, "userId": event.user, "type": "track", "event": event.name,
        "messageId": event.id,
        "context": {
            "ip": "192.0.2.7", "library": {"name": "analytics.js", "version": "2.11.1"},
            "page": {"path": "/find", "referrer": "", "search": "", "title": "Find", "url": event.url},
            "userAgent": AGENT,
        },
        "integrations": {"All": true}, "properties": event.properties,
        "originalTimestamp": event.time('T', "Z"), "sentAt": event.time('T', "Z"),
        "receivedAt": event.time('T', "Z"), "timestamp": event.time('T', "Z"),
        "version": 2,
    })
}

fn rudderstack(event: &Event<'_>) -> Value {
    json!({
        "anonymousId": event.device, "channel": "web",
        "context": {
            "app": {"name": "RudderLabs JavaScript SDK", "version": "2.3.0"}, "locale": "fr-FR",
            "page": {"path": "/find", "referrer": "", "search": "", "title": "Find", "url": event.url},
            "userAgent": AGENT,
        },
        "event": event.name, "integrations": {"All": true}, "messageId": event.id,
        "originalTimestamp": event.time('T', "Z"), "properties": event.properties,
        "receivedAt": event.time('T', "Z"), "request_ip": "192.0.2.7", "rudderId": event.id,
        "sentAt": event.time('T', "Z"), "type": "track", "userId": event.user,
    })
}

/// A batch of one event, which is the most text for an event.
fn mparticle(event: &Event<'_>) -> Value {
    json!({
        "batch_id": event.number, "device_info": {"brand": "iPhone14,5", "os_version": "17.4", "platform": "iOS"},
        "environment": "production",
        "events": [{
            "data": {
                "custom_attributes": event.properties, "custom_event_type": "navigation", "event_id": event.id,
                "event_name": event.name, "session_id": event.number / 50,
                "timestamp_unixtime_ms": 1_780_000_000_000 + event.number,
            },
            "event_type": "custom_event",
        }],
        "ip": "192.0.2.7", "mp_deviceid": event.device, "mpid": (event.number / 8).to_string(),
        "user_attributes": {"plan": "pro"}, "user_identities": {"customer_id": event.user},
    })
}

fn posthog(event: &Event<'_>) -> Value {
    let is_identified = event.user.is_string();
    json!({
        "created_at": event.time('T', "+00:00"),
        "distinct_id": if is_identified { event.user } else { event.device }, "elements_chain": "",
        "event": event.name,
        "person_id": event.number / 8,
        "properties": {
            "$browser": "Chrome", "$current_url": event.url, "$device_id": event.device, "$geoip_city_name": "Paris",
            "$is_identified": is_identified, "$lib": "web", "$lib_version": "1.130.0", "$os": "Mac OS X",
            "$screen_height": 900, "$session_id": event.number / 50, "price": event.number % 100, "title": "Moby Dick",
        },
        "team_id": 2, "timestamp": event.time('T', "+00:00"), "uuid": event.id,
    })
}

/// A row of a table. All cells of a CSV file are texts.
fn row(event: &Event<'_>) -> Value {
    json!({
        "row": event.id, "customer": event.user.as_str().unwrap_or_default(), "cookie": event.device,
        "action": event.name,
        "created_at": event.time('T', "Z"), "price": (event.number % 100).to_string(),
        "title": "Moby Dick", "category": "Books", "url": event.url,
    })
}

fn amplitude(event: &Event<'_>) -> Value {
    json!({
        "$insert_id": event.id, "amplitude_id": event.number / 8, "app": 12_345, "city": "Paris",
        "client_event_time": event.time(' ', "000"), "country": "France", "data": {"path": "/2"},
        "device_family": "Mac", "device_id": event.device, "event_id": event.number, "event_properties": event.properties,
        "event_time": event.time(' ', "000"), "event_type": event.name, "group_properties": {},
        "groups": {}, "ip_address": "192.0.2.7", "language": "French", "library": "amplitude-js/8.1",
        "os_name": "Chrome", "os_version": "90", "platform": "Web",
        "server_received_time": event.time(' ', "000"),
        "server_upload_time": event.time(' ', "000"), "session_id": event.number / 50,
        "user_id": event.user, "user_properties": {"plan": "pro"}, "uuid": event.id, "version_name": null,
    })
}

fn ga4(event: &Event<'_>) -> Value {
    json!({
        "event_date": "20260601", "event_timestamp": (1_780_000_000_000_000 + 1_000 * event.number).to_string(),
        "event_name": event.name, "event_bundle_sequence_id": event.number.to_string(),
        "event_params": [
            {"key": "page_location", "value": {"string_value": event.url}},
            {"key": "ga_session_id", "value": {"int_value": (event.number / 50).to_string()}},
            {"key": "page_title", "value": {"string_value": "Find"}},
        ],
        "user_id": event.user, "user_pseudo_id": event.device, "user_properties": [],
        "device": {
            "category": "desktop", "operating_system": "Macintosh", "language": "fr",
            "web_info": {"browser": "Chrome", "browser_version": "90"},
        },
        "geo": {"continent": "Europe", "country": "France", "city": "Paris"},
        "traffic_source": {"medium": "organic", "source": "google", "name": "(organic)"},
        "stream_id": "1234", "platform": "WEB",
    })
}

fn snowplow(event: &Event<'_>) -> Value {
    json!({
        "app_id": "shop", "platform": "web", "etl_tstamp": event.time(' ', "000"),
        "collector_tstamp": event.time(' ', "000"),
        "dvce_created_tstamp": event.time(' ', "000"), "event": "unstruct", "event_id": event.id,
        "txn_id": null, "name_tracker": "sp", "v_tracker": "js-3.1", "v_collector": "ssc-2",
        "v_etl": "enrich-3", "user_id": event.user, "user_ipaddress": "192.0.2.7", "domain_userid": event.device,
        "domain_sessionidx": 3, "network_userid": event.id, "geo_country": "FR", "geo_city": "Paris",
        "page_url": event.url, "page_title": "Find", "page_referrer": null, "page_urlhost": "shop.test",
        "page_urlpath": "/find", "useragent": AGENT, "br_lang": "fr", "dvce_ismobile": false,
        "derived_tstamp": event.time(' ', "000"), "event_vendor": "test.shop",
        "event_name": event.name, "event_format": "jsonschema", "event_version": "1-0-0",
        "unstruct_event_test_shop_find_1": event.properties,
    })
}
