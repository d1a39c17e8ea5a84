//! [`Client`]: sends requests, and sends them again if it sees no answer.

use std::rc::Rc;
use std::sync::Arc;

use idmerge_store::Change;
use parking_lot::Mutex;

use super::event_list::Sent;
use super::model::IDS;
use super::random::Random;
use crate::error::ProjectError;
use crate::write::batch::{Answer, Batch, EventOrder, Record, Sender};

/// What a client sends: events, and the IDs to whose profiles it adds one.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) source: &'static str,
    pub(crate) events: Vec<Sent>,
    pub(crate) adds: Vec<String>,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Sending {
    pub(crate) request: Rc<Request>,
    pub(crate) received_ms: i64,
}

/// Whether the project has answered, as the client sees it.
pub(crate) type Mailbox = Arc<Mutex<Option<Result<Answer, ProjectError>>>>;

#[derive(Default)]
pub(crate) struct Client {
    pub(crate) name: usize,
    /// How many requests it made.
    pub(crate) made: usize,
    /// The request that is not acknowledged.
    pub(crate) request: Option<Rc<Request>>,
    /// What it imports next. A forged form of it was tracked before.
    pub(crate) forged: Option<Rc<Request>>,
    /// Where the answer to the latest attempt comes, and the process that was asked.
    pub(crate) waits: Option<(Mailbox, usize)>,
    /// What was acknowledged.
    pub(crate) acknowledged: Vec<Rc<Request>>,
    /// What was sent and given up.
    pub(crate) abandoned: Vec<Rc<Request>>,
    /// How often an addition to its own profile was sent.
    pub(crate) adds_sent: u64,
    pub(crate) adds_acknowledged: u64,
}

impl Client {
    /// The ID whose profile only this client changes.
    pub(crate) fn own_profile(&self) -> String {
        format!("P{}", self.name)
    }

    /// `forges` is whether somebody tracks forged events before the true ones are imported.
    pub(crate) fn next_request(
        &mut self,
        sources: &[&'static str],
        forges: bool,
        random: &mut Random,
    ) -> Rc<Request> {
        if let Some(request) = self.forged.take() {
            return request;
        }
        let request = Rc::new(self.new_request(sources, random));
        let may_be_forged = forges && request.source == "/import" && !request.events.is_empty();
        if may_be_forged && random.percent(60) {
            return Rc::new(self.forged.insert(request).forged());
        }
        request
    }

    fn new_request(&mut self, sources: &[&'static str], random: &mut Random) -> Request {
        self.made += 1;
        let source = *random.pick(sources);
        let mut events = Vec::new();
        let mut adds = Vec::new();
        for number in 0..1 + random.below(4) {
            match random.below(6) {
                0 => adds.push(self.own_profile()),
                1 if random.percent(30) => adds.push((*random.pick(&IDS)).to_owned()),
                _ => {
                    let insert_id = format!("c{}-{}-{number}", self.name, self.made);
                    events.push(event(source, insert_id, random));
                }
            }
        }
        Request {
            source,
            events,
            adds,
        }
    }
}

fn event(source: &str, unique: String, random: &mut Random) -> Sent {
    let name = *random.pick(&["A", "A", "B", "$identify", "$create_alias", "$merge"]);
    let keys: &[&str] = match name {
        "$identify" => &["distinct_id", "$anon_distinct_id", "$user_id"],
        "$create_alias" => &["distinct_id", "alias", "$user_id"],
        _ => &["$user_id", "$device_id", "distinct_id"],
    };
    let mut properties = Vec::new();
    for key in keys {
        if random.percent(70) {
            properties.push(format!("\"{key}\":{:?}", random.pick(&IDS)));
        }
    }
    if name == "$merge" {
        let ids = [random.pick(&IDS), random.pick(&IDS)];
        properties.push(format!("\"$distinct_ids\":{ids:?}"));
    }
    let insert_id = match random.below(10) {
        // The same event from another client, or from this one again.
        0 | 1 => Some((*random.pick(&["I", "J"])).to_owned()),
        2 => None,
        _ => Some(unique),
    };
    if let Some(mark) = &insert_id {
        properties.push(format!("\"mark\":{mark:?}"));
    }
    let sender = match source {
        "/import" => Sender::Credential,
        _ => Sender::Anybody,
    };
    Sent {
        json: format!(
            r#"{{"event":"{name}","properties":{{{}}}}}"#,
            properties.join(",")
        ),
        pad: *random.pick(&[0, 0, 0, 0, 1, 30]),
        time_ms: Some(i64::try_from(random.below(4)).unwrap_or_default())
            .filter(|_| random.percent(90)),
        insert_id,
        sender,
    }
}

impl Request {
    /// Events with the keys of these and another content, as anybody can track them.
    fn forged(&self) -> Self {
        let forged = |sent: &Sent| Sent {
            pad: sent.pad + 1,
            sender: Sender::Anybody,
            ..sent.clone()
        };
        Self {
            source: "/track",
            events: self.events.iter().map(forged).collect(),
            adds: Vec::new(),
        }
    }

    pub(crate) fn order(&self) -> EventOrder {
        match self.source {
            "/track" => EventOrder::ByTime,
            _ => EventOrder::AsSent,
        }
    }

    pub(crate) fn batch(&self, received_ms: i64) -> Batch {
        let mut batch = Batch::new(self.source, received_ms);
        batch.order = self.order();
        for sent in &self.events {
            let record = Record::Event {
                time_ms: sent.time_ms,
                insert_id: sent.insert_id.as_deref().map(Box::from),
                sender: sent.sender,
                layout: None,
            };
            batch.push(&sent.json(), record);
        }
        for id in &self.adds {
            let update = format!(r#"{{"$distinct_id":{id:?},"$add":{{"n":1}}}}"#);
            batch.push(&update, Record::Update);
        }
        batch
    }
}

/// A reader of the changes of identities.
#[derive(Default)]
pub(crate) struct Feed {
    /// The entry after which the next page begins.
    pub(crate) since: u64,
    /// The entry after which `changes` begins: that of the last erasure.
    pub(crate) first: u64,
    pub(crate) changes: Vec<Change>,
}
