//! [`UserConflict`]: two users that a record says are one person.

/// Two users that a record says are one person. In Simplified no event can say so (S-9), so a person must decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserConflict {
    /// The index of the line of the record: that of its event, or of its refusal.
    pub line: usize,
    /// The two user IDs, the earlier one first.
    pub users: [String; 2],
    /// The name of the event.
    pub event: String,
    /// The `$insert_id` of the event.
    pub insert_id: Option<String>,
}
