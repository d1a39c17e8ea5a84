//! Plays each case of `divergences.toml`, in which the rule books differ, to both engines.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use idmerge_core::{DEVICE_PREFIX, IdentityResolver, IdentityResolverExt, RuleBook};
use idmerge_differential::{Answer, Attributed, engines, groups, play};
use idmerge_events::JsonEvent;
use serde::Deserialize;

const FILE: &str = include_str!("../divergences.toml");
const RULES: &str = include_str!("../../../docs/rules.md");

/// The rule books that the file compares.
const BOTH: [RuleBook; 2] = [RuleBook::Simplified, RuleBook::Original];

/// The default limit of the rule book.
const LIMIT: u32 = 500;

/// The placeholder for a number, in a step that is repeated.
const NUMBER: &str = "<n>";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    ids: BTreeMap<String, String>,
    divergence: Vec<Divergence>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Divergence {
    name: String,
    why: String,
    differ: BTreeSet<Aspect>,
    rules: Both<Vec<String>>,
    times: Option<usize>,
    steps: Vec<Step>,
    #[serde(default)]
    resolved: Vec<Resolved>,
    clusters: Both<Vec<String>>,
}

/// How two answers can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Aspect {
    People,
    Names,
    Refused,
    Attributed,
    Rejected,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Both<T> {
    simplified: T,
    original: T,
}

impl<T> Both<T> {
    fn of(&self, rule_book: RuleBook) -> &T {
        match rule_book {
            RuleBook::Simplified => &self.simplified,
            _ => &self.original,
        }
    }
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    event: String,
    simplified: String,
    original: String,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resolved {
    id: String,
    simplified: String,
    original: String,
}

/// All answers of a rule book to a stream.
#[derive(Debug, PartialEq)]
struct Answers {
    events: Vec<Answer>,
    /// The answers for some IDs, as if each ID had sent an event.
    ids: Vec<Answer>,
    clusters: Vec<String>,
}

fn parse(text: &str) -> Result<Vec<Divergence>, String> {
    let read = |text: &str| toml::from_str::<File>(text).map_err(|error| error.to_string());
    let mut text = text.to_owned();
    for (name, id) in read(&text)?.ids {
        let name = format!("<{name}>");
        if !text.contains(&name) {
            return Err(format!("{name} is used nowhere"));
        }
        text = text.replace(&name, &id);
    }
    let is_name = |rest: &str| rest.starts_with(|c: char| c.is_ascii_uppercase());
    if let Some(unknown) = text.split('<').skip(1).find(|rest| is_name(rest)) {
        let line = unknown.lines().next().unwrap_or_default();
        return Err(format!("there is no ID of this name: <{line}"));
    }
    let divergences = read(&text)?.divergence;
    let mut names = BTreeSet::new();
    for divergence in &divergences {
        if !names.insert(&divergence.name) {
            return Err(format!("two cases have the name {}", divergence.name));
        }
    }
    divergences.into_iter().map(Divergence::expanded).collect()
}

fn divergences() -> Vec<Divergence> {
    parse(FILE).unwrap()
}

/// The answer with this text. Each answer has one text.
fn answer(text: &str) -> Result<Answer, String> {
    let (attributed, outcome) = match text.split_once(": ") {
        Some((attributed, outcome)) => (attributed, Some(outcome.to_owned())),
        None => (text, None),
    };
    let attributed = match (attributed, attributed.split_once(" <- ")) {
        ("no user", _) => Attributed::NoUser,
        (_, Some((canonical, own))) => Attributed::To {
            canonical: canonical.to_owned(),
            own: own.to_owned(),
        },
        _ => match attributed.strip_prefix("refused ") {
            Some(by) => Attributed::Refused(by.to_owned()),
            None => Attributed::To {
                canonical: attributed.to_owned(),
                own: attributed.to_owned(),
            },
        },
    };
    let answer = Answer {
        attributed,
        outcome,
    };
    if answer.to_string() == text {
        Ok(answer)
    } else {
        Err(format!(
            "{text:?} is not an answer; did you mean {answer:?}?"
        ))
    }
}

impl Divergence {
    /// Repeats each step and member with a placeholder as often as `times` says.
    fn expanded(mut self) -> Result<Self, String> {
        let numbered = self.steps.iter().any(|step| step.event.contains(NUMBER));
        if numbered != self.times.is_some() {
            return Err(format!("{}: `times` goes with {NUMBER}", self.name));
        }
        let times = self.times.unwrap_or_default();
        let texts = |text: &str| -> Vec<String> {
            if !text.contains(NUMBER) {
                return vec![text.to_owned()];
            }
            let numbers = 1..=times;
            numbers
                .map(|number| text.replace(NUMBER, &format!("{number:04}")))
                .collect()
        };
        let steps = self.steps.iter().flat_map(|step| {
            let events = texts(&step.event);
            let numbers = 1..=events.len();
            numbers.zip(events).map(|(number, event)| {
                let numbered = |text: &str| text.replace(NUMBER, &format!("{number:04}"));
                Step {
                    event,
                    simplified: numbered(&step.simplified),
                    original: numbered(&step.original),
                }
            })
        });
        self.steps = steps.collect();
        for clusters in [&mut self.clusters.simplified, &mut self.clusters.original] {
            for cluster in clusters {
                *cluster = cluster
                    .split(' ')
                    .flat_map(texts)
                    .collect::<Vec<_>>()
                    .join(" ");
            }
        }
        Ok(self)
    }

    /// The answers of a rule book according to the file.
    fn expected(&self, rule_book: RuleBook) -> Result<Answers, String> {
        let of = |simplified, original| match rule_book {
            RuleBook::Simplified => simplified,
            _ => original,
        };
        let events = self.steps.iter();
        let ids = self.resolved.iter();
        Ok(Answers {
            events: events
                .map(|step| answer(of(&step.simplified, &step.original)))
                .collect::<Result<_, _>>()?,
            ids: ids
                .map(|id| resolved(&id.id, of(&id.simplified, &id.original)))
                .collect(),
            clusters: self.clusters.of(rule_book).clone(),
        })
    }

    /// The answers of an engine.
    fn played(&self, engine: &mut dyn IdentityResolver) -> Answers {
        let events: Vec<_> = self
            .steps
            .iter()
            .map(|step| JsonEvent::parse(step.event.as_bytes()).unwrap())
            .collect();
        let events = play(engine, &events).unwrap();
        let ids = self.resolved.iter().map(|Resolved { id, .. }| {
            let read = engine.read_id(id).unwrap();
            resolved(id, &engine.resolve(read).to_string())
        });
        let clusters = engine.clusters().map(|cluster| {
            let members = cluster.members.iter().map(ToString::to_string);
            let members: Vec<_> = members.collect();
            format!("{}: {}", cluster.canonical, members.join(" "))
        });
        Answers {
            events,
            ids: ids.collect(),
            clusters: clusters.collect(),
        }
    }

    /// The faults of a case. If there are none, both engines answer as the file says, and the answers
    /// differ in exactly the listed aspects.
    fn complaints(&self) -> Vec<String> {
        let mut complaints = self.unexplained();
        let expected = BOTH.map(|rule_book| self.expected(rule_book));
        let [Ok(simplified), Ok(original)] = expected else {
            complaints.extend(expected.into_iter().filter_map(Result::err));
            return complaints;
        };
        let expected = [simplified, original];
        let found = engines(LIMIT).map(|mut engine| self.played(&mut *engine));
        for ((rule_book, expected), found) in BOTH.iter().zip(&expected).zip(&found) {
            complaints.extend(differences(*rule_book, expected, found));
        }
        for (of, said) in [("the file", &expected), ("the engines", &found)] {
            let differ = aspects(said);
            if differ.is_empty() {
                complaints.push(format!("{of}: the rule books do not differ any more"));
            } else if differ != self.differ {
                complaints.push(format!(
                    "{of}: they differ in {differ:?}, not in {:?}",
                    self.differ
                ));
            }
        }
        complaints
    }

    /// The parts of an explanation that are missing.
    fn unexplained(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !self.name.chars().all(is_name) || self.name.is_empty() || self.why.is_empty() {
            complaints.push("it needs a name of lower-case words, and `why`".to_owned());
        }
        for (rule_book, series) in BOTH.into_iter().zip(["S-", "O-"]) {
            let rules = self.rules.of(rule_book);
            if rules.is_empty() {
                complaints.push(format!("{rule_book}: list its rules in `rules`"));
            }
            for rule in rules {
                let is_of_book = [series, "ID-"].iter().any(|of| rule.starts_with(of));
                if !is_of_book || !RULES.contains(&format!("**{rule}**")) {
                    complaints.push(format!("{rule_book}: there is no rule {rule}"));
                }
            }
        }
        complaints
    }
}

fn resolved(id: &str, canonical: &str) -> Answer {
    Answer {
        attributed: Attributed::To {
            canonical: canonical.to_owned(),
            own: id.to_owned(),
        },
        outcome: None,
    }
}

/// The answers of an engine that differ from the file.
fn differences(rule_book: RuleBook, expected: &Answers, found: &Answers) -> Vec<String> {
    let mut complaints = Vec::new();
    let answers = |said: &Answers| -> Vec<String> {
        let answers = said.events.iter().chain(&said.ids);
        answers.map(ToString::to_string).collect()
    };
    let (expected_answers, found_answers) = (answers(expected), answers(found));
    for (at, expected) in expected_answers.iter().enumerate() {
        let found = &found_answers[at];
        if found != expected {
            complaints.push(format!("{rule_book}, answer {at}: {found}, not {expected}"));
        }
    }
    if found.clusters != expected.clusters {
        complaints.push(format!(
            "{rule_book}: the clusters {:?}, not {:?}",
            found.clusters, expected.clusters
        ));
    }
    complaints
}

/// The aspects in which the two rule books differ.
fn aspects([simplified, original]: &[Answers; 2]) -> BTreeSet<Aspect> {
    let mut aspects = BTreeSet::new();
    let (mut here, mut there) = (Vec::new(), Vec::new());
    let answers = |said: &'_ Answers| -> Vec<Answer> {
        said.events.iter().chain(&said.ids).cloned().collect()
    };
    for (simplified, original) in answers(simplified).into_iter().zip(answers(original)) {
        match (&simplified.attributed, &original.attributed) {
            (Attributed::Refused(_), Attributed::Refused(_)) => continue,
            (Attributed::Refused(_), _) | (_, Attributed::Refused(_)) => {
                aspects.insert(Aspect::Refused);
                continue;
            }
            (Attributed::NoUser, Attributed::NoUser) => {}
            (Attributed::NoUser, _) | (_, Attributed::NoUser) => {
                aspects.insert(Aspect::Attributed);
            }
            (Attributed::To { canonical: a, .. }, Attributed::To { canonical: b, .. }) => {
                here.push(a.clone());
                there.push(b.clone());
            }
        }
        let [is_rejected, was_rejected] = [simplified, original].map(|answer| {
            let outcome = answer.outcome.unwrap_or_default();
            outcome.starts_with("rejected ")
        });
        if is_rejected != was_rejected {
            aspects.insert(Aspect::Rejected);
        }
    }
    let bare = |id: &String| id.strip_prefix(DEVICE_PREFIX).unwrap_or(id).to_owned();
    if groups(here.iter().map(Some)) != groups(there.iter().map(Some)) {
        aspects.insert(Aspect::People);
    } else if !here.iter().map(bare).eq(there.iter().map(bare)) {
        aspects.insert(Aspect::Names);
    }
    aspects
}

#[test]
fn the_rule_books_differ_exactly_as_documented() {
    let mut report = String::new();
    for divergence in divergences() {
        for complaint in divergence.complaints() {
            report += &format!("{}: {complaint}\n", divergence.name);
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

/// The file with one replacement. The text to replace must exist.
fn changed(from: &str, to: &str) -> String {
    assert!(FILE.contains(from), "{from}");
    FILE.replacen(from, to, 1)
}

#[test]
fn a_case_in_which_they_no_longer_differ_is_noticed() {
    for mut divergence in divergences() {
        for step in &mut divergence.steps {
            step.original.clone_from(&step.simplified);
        }
        for id in &mut divergence.resolved {
            id.original.clone_from(&id.simplified);
        }
        let no_more = "the file: the rule books do not differ any more".to_owned();
        assert!(
            divergence.complaints().contains(&no_more),
            "{}",
            divergence.name
        );
    }
}

#[test]
fn the_prefix_alone_is_not_a_difference() {
    let toml = r#"
        [ids]
        [[divergence]]
        name = "a-visitor"
        why = "both IDs mean the same visitor"
        differ = []
        rules = { simplified = ["S-2"], original = ["O-1"] }
        steps = [{ event = '{"event":"A","properties":{"$device_id":"D"}}', simplified = "$device:D", original = "D" }]
        clusters = { simplified = [], original = [] }
    "#;
    assert_eq!(
        parse(toml).unwrap()[0].complaints(),
        [
            "the file: the rule books do not differ any more",
            "the engines: the rule books do not differ any more",
        ]
    );
}

#[test]
fn a_wrong_answer_is_noticed() {
    let complaints = |from, to| -> Vec<String> {
        let divergences = parse(&changed(from, to)).unwrap();
        let complaints = divergences.iter().flat_map(Divergence::complaints);
        complaints.collect()
    };
    for (from, to, complaint) in [
        (
            "simplified = 'ben: merged'",
            "simplified = 'ben'",
            "simplified, answer 1: ben: merged, not ben",
        ),
        (
            "original = 'ben <- <D1>'",
            "original = 'ben'",
            "original, answer 0: ben <- d0000000-0000-4000-8000-000000000001, not ben",
        ),
        (
            "simplified = 'ben@example.com', original = 'ben' }]",
            "simplified = 'ben@example.com', original = 'ana' }]",
            "original, answer 3: ben <- ben@example.com, not ana <- ben@example.com",
        ),
        (
            "ben: ben ben@example.com",
            "ben: ben@example.com ben",
            r#"original: the clusters ["ben: ben ben@example.com"], not ["ben: ben@example.com ben"]"#,
        ),
        (
            "differ = [\"people\"]",
            "differ = [\"people\", \"names\"]",
            "the engines: they differ in {People}, not in {People, Names}",
        ),
        (
            "rules.original = [\"O-5\"]",
            "rules.original = [\"O-55\"]",
            "original: there is no rule O-55",
        ),
        (
            "rules.original = [\"O-8\"]",
            "rules.original = [\"S-8\"]",
            "original: there is no rule S-8",
        ),
    ] {
        let found = complaints(from, to);
        assert!(found.iter().any(|found| found == complaint), "{found:#?}");
    }
}

#[test]
fn the_file_is_strict() {
    for (from, to, error) in [
        ("times = 499", "", "the-501st-id: `times` goes with <n>"),
        (
            "name = \"the-prefix-twice\"",
            "name = \"the-501st-id\"",
            "two cases have the name the-501st-id",
        ),
        ("<UU>", "<UX>", "there is no ID of this name: <UX>"),
        ("[ids]", "[ids]\nX = \"x\"", "<X> is used nowhere"),
        (
            "times = 499",
            "times = 499\nwhen = 1",
            "unknown field `when`",
        ),
        (
            "rules.simplified =",
            "rules.simplest = []\nrules.simplified =",
            "unknown field `simplest`",
        ),
        (
            "{ event =",
            "{ outcome = '', event =",
            "unknown field `outcome`",
        ),
        ("clusters.original = []", "", "missing field `original`"),
        (
            "differ = [\"names\"]",
            "differ = [\"name\"]",
            "unknown variant `name`",
        ),
        ("differ = [\"names\"]", "", "missing field `differ`"),
    ] {
        let Err(found) = parse(&changed(from, to)) else {
            panic!("{from} may be {to}");
        };
        assert!(found.contains(error), "{found}");
    }
    assert!(answer("ben <- ben").is_err());
}
