//! [`Columns`]: which columns of a table of one's own are read.

use std::str::FromStr;

use idmerge_core::quote;

/// The columns of a table of one's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// The column with the user ID.
    pub user: Option<String>,
    /// The column with the device ID.
    pub device: Option<String>,
    /// The name of the event.
    pub event: EventName,
    /// The column with the time.
    pub time: Option<String>,
    /// The column with the unique ID of a row.
    pub id: Option<String>,
    /// The column with the time of receipt.
    pub receipt: Option<String>,
}

/// Where the name of an event is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventName {
    /// In this column.
    Column(String),
    /// Every row has this name.
    Always(String),
}

impl Default for EventName {
    fn default() -> Self {
        Self::Column("event".to_owned())
    }
}

impl FromStr for Columns {
    type Err = String;

    /// Reads `user=COL,device=COL,event=COL,time=COL,id=COL,receipt=COL`. The value of `event` is a name for
    /// every row if it is in single quotes.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut columns = Self::default();
        let mut named = Vec::new();
        for pair in text.split(',') {
            let Some((part, column)) = pair
                .split_once('=')
                .filter(|(_, column)| !column.is_empty())
            else {
                return Err(format!(
                    "\"{pair}\" is not a part and its column, as in user=email"
                ));
            };
            if named.contains(&part) {
                return Err(format!(
                    "{part} is named twice, and a part has one column; leave one of them out"
                ));
            }
            named.push(part);
            let column = column.to_owned();
            match part {
                "user" => columns.user = Some(column),
                "device" => columns.device = Some(column),
                "time" => columns.time = Some(column),
                "id" => columns.id = Some(column),
                "receipt" => columns.receipt = Some(column),
                "event" => {
                    let name = column
                        .strip_prefix('\'')
                        .and_then(|name| name.strip_suffix('\''));
                    columns.event = match name {
                        Some(name) => EventName::Always(name.to_owned()),
                        None => EventName::Column(column),
                    };
                }
                _ => {
                    return Err(format!(
                        "there is no part {part:?}; the parts are user, device, event, time, id and receipt"
                    ));
                }
            }
        }
        match (&columns.user, &columns.device) {
            (None, None) => Err("name the column of the user, of the device, or both".to_owned()),
            _ => Ok(columns),
        }
    }
}

/// How many columns of a header an error names.
const NAMED_MAX: usize = 30;

impl Columns {
    /// Each part, as `--map` names it, and its column.
    pub(crate) fn parts(&self) -> [(&'static str, Option<&str>); 6] {
        let event = match &self.event {
            EventName::Column(column) => Some(&**column),
            EventName::Always(_) => None,
        };
        [
            ("user", self.user.as_deref()),
            ("device", self.device.as_deref()),
            ("event", event),
            ("time", self.time.as_deref()),
            ("id", self.id.as_deref()),
            ("receipt", self.receipt.as_deref()),
        ]
    }

    /// Checks that a table with this header has each of the columns once. Without a column of IDs they would be lost
    /// without a word, so a wrong name is an error before any row is read (IN-6).
    ///
    /// # Errors
    ///
    /// The column that is missing or twice there, the columns of the header, and what to do.
    pub fn check_header(&self, header: &[&str]) -> Result<(), String> {
        for (part, column) in self.parts() {
            let Some(column) = column else { continue };
            match header.iter().filter(|name| **name == column).count() {
                1 => continue,
                0 => return Err(missing(part, column, header)),
                count => {
                    return Err(format!(
                        "column {} of --map is {count} times in the header, so it is not known which one is meant; \
                         rename the others (IN-6)",
                        quote(column)
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The error for a column that is not in the header, with a hint at the one that is meant.
fn missing(part: &str, column: &str, header: &[&str]) -> String {
    let shown: Vec<_> = header
        .iter()
        .take(NAMED_MAX)
        .map(|name| quote(name))
        .collect();
    let more = match header.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let remedy = match nearest(column, header) {
        Some(name) => format!("did you mean {part}={name}?"),
        None if part == "event" && column == "event" => {
            "name the column with the name of the event, as in event=COLUMN, or one name for all rows, as in \
             event='Order'"
                .to_owned()
        }
        None => {
            "name one of them in --map, and if the table has no header, add one as its first line".to_owned()
        }
    };
    format!(
        "there is no column {}, which --map names for {part}. The first line has the columns {}{more}; {remedy} (IN-6)",
        quote(column),
        shown.join(", "),
    )
}

/// The name that is spelled nearly like this one: in another case, with or without signs, or with up to two letters
/// that differ.
fn nearest<'n>(column: &str, header: &[&'n str]) -> Option<&'n str> {
    let plain = |name: &str| -> String {
        let letters = name.chars().filter(|letter| letter.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect()
    };
    let wanted = plain(column);
    let distance = |name: &str| strsim::levenshtein(&wanted, &plain(name));
    let (name, distance) = header
        .iter()
        .filter(|name| !name.is_empty())
        .map(|name| (*name, distance(name)))
        .min_by_key(|(_, distance)| *distance)?;
    // Of a short name, every letter may be another one.
    (distance <= 2 && distance * 2 <= wanted.chars().count()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(map: &str, header: &[&str]) -> Result<(), String> {
        map.parse::<Columns>().unwrap().check_header(header)
    }

    #[test]
    fn in_6_a_column_that_is_named_is_there_once() {
        let header = ["Email", "cookie id", "what", "when", "when"];
        assert_eq!(checked("user=Email,event=what", &header), Ok(()));
        for (map, error) in [
            ("user=email,event=what", "did you mean user=Email?"),
            ("user=Emial,event=what", "did you mean user=Email?"),
            (
                "device=cookie_id,event=what",
                "did you mean device=cookie id?",
            ),
            (
                "user=x,event=what",
                "there is no column \"x\", which --map names for user. The first line has the columns \"Email\", \
                 \"cookie id\", \"what\", \"when\", \"when\"; name one of them",
            ),
            ("user=Email", "as in event=COLUMN"),
            (
                "user=Email,event=what,time=when",
                "\"when\" of --map is 2 times",
            ),
            ("user=Email,event=what,id=no", "for id"),
            ("user=Email,event=what,receipt=no", "for receipt"),
        ] {
            let said = checked(map, &header).unwrap_err();
            assert!(
                said.contains(error) && said.ends_with("(IN-6)"),
                "{map}: {said}"
            );
        }
        let many: Vec<_> = (0..40).map(|n| format!("c{n}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(
            checked("user=zzzz", &many)
                .unwrap_err()
                .contains("\"c29\" and 10 more;")
        );
    }

    #[test]
    fn a_2_a_part_has_one_column() {
        let error = "user=a,user=b".parse::<Columns>().unwrap_err();
        assert!(error.starts_with("user is named twice"), "{error}");
        assert!("user=a,device=a".parse::<Columns>().is_ok());
    }
}
