//! [`CarriedAs`]: what a property of a record is carried as.

use idmerge_events::is_answer;

/// What a property of the record is carried as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CarriedAs {
    /// A property that no rule reads.
    Plain,
    /// A property that no rule of ID Merge reads, but an envelope.
    Detail,
    /// An answer to an earlier event, which the next answer replaces (IN-5).
    Answer,
    /// A property that the rules read: it gets another name.
    Renamed,
    /// Its name is not text.
    LeftOut,
}

impl CarriedAs {
    /// By the name of the property.
    #[inline]
    pub(crate) fn of(name: &[u8]) -> Self {
        match (name.first(), name.len()) {
            // All names that are read begin with `$` or have one of these lengths.
            (Some(b'$'), _) | (_, 4 | 5 | 11 | 21) => Self::of_any(name),
            _ => Self::Plain,
        }
    }

    fn of_any(name: &[u8]) -> Self {
        match name {
            b"$device_id"
            | b"$user_id"
            | b"distinct_id"
            | b"time"
            | b"$insert_id"
            | b"$source"
            | b"$anon_id"
            | b"$identified_id"
            | b"alias"
            | b"$distinct_ids"
            | b"$anon_distinct_id"
            // These are read too: IN-5, AR-2 and AR-4.
            | b"$distinct_id_before_identity"
            | b"$idmerge_unweighed"
            | b"$idmerge_time_ms"
            | b"$mp_metadata"
            | b"mp_processing_time_ms" => Self::Renamed,
            b"token" | b"$ignore" => Self::Detail,
            _ if is_answer(name) => Self::Answer,
            _ => Self::Plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_2_names_are_told_apart_by_their_beginning_and_length() {
        let read = [
            "$device_id",
            "$user_id",
            "distinct_id",
            "time",
            "$insert_id",
            "$source",
            "$anon_id",
            "$identified_id",
            "alias",
            "$distinct_ids",
            "$anon_distinct_id",
            "$distinct_id_before_identity",
            "$idmerge_unweighed",
            "$idmerge_time_ms",
            "$mp_metadata",
            "mp_processing_time_ms",
            "token",
            "$ignore",
            "$is_reshuffled",
            "$identity_failure_reason",
            "$failure_reason",
            "$failure_description",
            "$preshuffle_distinct_id",
        ];
        for name in read {
            assert_ne!(CarriedAs::of(name.as_bytes()), CarriedAs::Plain, "{name}");
            assert_eq!(
                CarriedAs::of(name.as_bytes()),
                CarriedAs::of_any(name.as_bytes())
            );
        }
    }
}
