//! Checks that the columns of a table can have the IDs that an engine reads.

use arrow_schema::{DataType, Field, SchemaRef};
use idmerge_core::RuleBook;

use super::cells::is_readable;

/// The columns of a table.
#[derive(Clone, Copy)]
pub struct Columns<'f> {
    /// Their names and types.
    pub schema: &'f SchemaRef,
    /// Whether all values of the column with this name, or of this member of `properties`, are known to be null.
    pub is_empty: &'f dyn Fn(&str) -> bool,
    /// How the caller says which columns have other names, for errors.
    pub name_columns: &'f str,
}

/// The identity events that name IDs in columns that are not there: the name of the event, and the columns.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Claims(Vec<(&'static str, &'static str)>);

impl Claims {
    /// Why an event with this name cannot be read.
    pub(super) fn lost(&self, name: &str) -> Option<String> {
        let (_, columns) = self.0.iter().find(|(event, _)| *event == name)?;
        Some(format!(
            "the event is {name}, but there is no column {columns} with values, which it names an ID in: the claim would \
             be lost. Programs that convert JSON can drop a column, so make the table again with it, or leave out \
             the {name} events"
        ))
    }
}

/// The properties that name the user of an event. Each model reads these first.
const OWN: &[&str] = &["distinct_id", "$user_id", "$device_id"];

/// The other properties that a model reads as IDs.
fn other_ids(model: RuleBook) -> &'static [&'static str] {
    match model {
        RuleBook::Simplified => &[],
        RuleBook::Legacy => &["alias"],
        _ => &["$identified_id", "$anon_id", "$anon_distinct_id", "alias"],
    }
}

/// The identity events that a model reads, and the columns one of which each needs.
fn claims(model: RuleBook) -> &'static [(&'static str, &'static [&'static str])] {
    match model {
        RuleBook::Simplified => &[],
        RuleBook::Legacy => &[("$create_alias", &["alias"])],
        _ => &[
            ("$identify", &["$anon_id", "$anon_distinct_id"]),
            ("$create_alias", &["alias"]),
            ("$merge", &["$distinct_ids"]),
        ],
    }
}

type Checked = Result<(Claims, Vec<String>), String>;

impl<'f> Columns<'f> {
    /// Checks a table of events for these models.
    pub(super) fn check_events(&self, models: &[RuleBook]) -> Checked {
        let Some(event) = self.column("event") else {
            return Err(format!(
                "there is no column event, which has the name of the event (IN-1). {}; {}",
                self.names(),
                self.name_columns
            ));
        };
        if !matches!(event.data_type(), DataType::Utf8 | DataType::Binary) {
            return Err(format!(
                "column event is {}, and the name of an event is text (IN-1)",
                event.data_type()
            ));
        }
        let (mut claims_lost, mut warnings) = (Claims::default(), Vec::new());
        for &model in models {
            for name in OWN.iter().chain(other_ids(model)) {
                self.check_id(name)?;
            }
            // Any property can be in a text of JSON or in a map.
            if self.is_open() {
                continue;
            }
            let has = |name: &&str| self.property(name).is_some();
            if !OWN.iter().any(has) {
                return Err(format!(
                    "there is no column distinct_id, $user_id or $device_id, so no event would have an ID. {}; {}",
                    self.names(),
                    self.name_columns
                ));
            }
            let links = ["$user_id", "$device_id"];
            if model == RuleBook::Simplified
                && let Some(missing) = links.iter().find(|name| !has(name))
            {
                warnings.push(format!(
                    "there is no column {missing}, so no event can link a device to a user (S-5)"
                ));
            }
            for (event, columns) in claims(model) {
                if !columns.iter().any(has) {
                    claims_lost.0.push((event, columns[0]));
                }
            }
            if !claims(model).is_empty() && claims_lost.0.len() == claims(model).len() {
                let columns: Vec<_> = claims(model)
                    .iter()
                    .map(|(_, columns)| columns[0])
                    .collect();
                warnings.push(format!(
                    "there is no column {}, so no event can join IDs",
                    columns.join(", ")
                ));
            }
        }
        Ok((claims_lost, warnings))
    }

    /// Checks a table of records with IDs in these columns.
    pub(super) fn check_records(&self, ids: &[String]) -> Checked {
        for name in ids {
            if self.column(name).is_none() {
                return Err(format!("there is no column {name}. {}", self.names()));
            }
            self.check_id(name)?;
        }
        Ok((Claims::default(), Vec::new()))
    }

    /// Checks that a property can be an ID (ID-3). It may be missing.
    fn check_id(&self, name: &str) -> Result<(), String> {
        for field in [self.column(name), self.member(name)].into_iter().flatten() {
            let kind = field.data_type();
            let remedy = match kind {
                DataType::Utf8
                | DataType::Binary
                | DataType::Null
                | DataType::FixedSizeBinary(16) => continue,
                kind if kind.is_integer() => continue,
                DataType::Decimal32(_, scale)
                | DataType::Decimal64(_, scale)
                | DataType::Decimal128(_, scale)
                | DataType::Decimal256(_, scale)
                    if *scale <= 0 =>
                {
                    continue;
                }
                kind if kind.is_floating() || kind.is_decimal() => {
                    "an ID is text or an integer (ID-3). pandas makes floats of a column of integers with gaps: write \
                     it with .astype(\"Int64\") or as text, before a float has lost digits; in SQL, CAST it to BIGINT"
                }
                _ => "an ID is text or an integer (ID-3): write it as text",
            };
            if !(self.is_empty)(name) {
                return Err(format!("column {name} is {kind}, but {remedy}"));
            }
        }
        Ok(())
    }

    fn column(&self, name: &str) -> Option<&'f Field> {
        let fields = self.schema.fields().iter();
        fields.map(AsRef::as_ref).find(|field| field.name() == name)
    }

    /// A member of `properties`.
    fn member(&self, name: &str) -> Option<&'f Field> {
        match self.column("properties")?.data_type() {
            DataType::Struct(fields) => fields
                .iter()
                .map(AsRef::as_ref)
                .find(|field| field.name() == name),
            _ => None,
        }
    }

    /// The column or the member that can have values of a property: one of the type null has none.
    fn property(&self, name: &str) -> Option<&'f Field> {
        let has_values =
            |field: &&Field| is_readable(field.data_type()) && !field.data_type().is_null();
        let mut fields = [self.column(name), self.member(name)].into_iter().flatten();
        fields.find(has_values)
    }

    /// Whether the properties are not known by the columns.
    fn is_open(&self) -> bool {
        let kind = self.column("properties").map(Field::data_type);
        kind.is_some_and(|kind| matches!(kind, DataType::Utf8 | DataType::Map(..)))
    }

    fn names(&self) -> String {
        const SHOWN_MAX: usize = 20;
        let fields = self.schema.fields();
        let names: Vec<_> = fields.iter().map(|field| field.name().as_str()).collect();
        match names.len() {
            0..=SHOWN_MAX => format!("There are {}", names.join(", ")),
            count => format!(
                "There are {} and {} more",
                names[..SHOWN_MAX].join(", "),
                count - SHOWN_MAX
            ),
        }
    }
}
