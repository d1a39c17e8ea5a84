//! [`PrivacyTask`].

use serde_json::{Value, json};

use crate::error::ProjectError;

/// A deletion (people are erased) or a retrieval (what is stored about people is given).
#[derive(Clone, Debug, PartialEq)]
pub struct PrivacyTask {
    /// A random text that cannot be guessed.
    pub id: String,
    /// What is requested.
    pub kind: TaskKind,
    /// How far it is.
    pub status: TaskStatus,
    /// When it was requested, in milliseconds since 1970.
    pub requested_ms: i64,
    /// Who requested it.
    pub requested_by: String,
    /// The law that it is for, such as `GDPR`.
    pub compliance_type: String,
    /// Any IDs of the people. Those that are erased are left out, so none is left once a deletion has succeeded.
    pub distinct_ids: Vec<String>,
    /// How many IDs were named.
    pub ids_named: u64,
    /// Why it failed.
    pub error: Option<String>,
    /// The receipt of the erasure that did it, as JSON. Several deletions can have one.
    pub receipt: Option<String>,
    /// The random part of the link to the archive of a retrieval. It cannot be guessed.
    pub key: Option<String>,
}

/// What a [`PrivacyTask`] requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// Everything about the people is erased.
    Deletion,
    /// Everything about the people is made available.
    Retrieval,
}

/// How far a [`PrivacyTask`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskStatus {
    /// It waits, and can be cancelled.
    Pending,
    /// It is carried out now.
    Started,
    /// It is done.
    Success,
    /// It cannot be done.
    Failure,
    /// It was cancelled; or everybody whose data was to be retrieved is erased.
    Revoked,
}

impl TaskStatus {
    pub(super) const ALL: [Self; 5] = [
        Self::Pending,
        Self::Started,
        Self::Success,
        Self::Failure,
        Self::Revoked,
    ];

    /// The name that the vendor gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Started => "STARTED",
            Self::Success => "SUCCESS",
            Self::Failure => "FAILURE",
            Self::Revoked => "REVOKED",
        }
    }
}

impl PrivacyTask {
    /// A deletion of one ID, which is also the ID of the task.
    #[cfg(test)]
    pub(crate) fn deletion_of(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            kind: TaskKind::Deletion,
            status: TaskStatus::Pending,
            requested_ms: 1,
            requested_by: String::new(),
            compliance_type: "GDPR".to_owned(),
            distinct_ids: vec![id.to_owned()],
            ids_named: 1,
            error: None,
            receipt: None,
            key: None,
        }
    }

    /// Whether it is a deletion that is not carried out yet.
    pub(crate) fn waits(&self) -> bool {
        self.kind == TaskKind::Deletion && self.status == TaskStatus::Pending
    }

    /// Cancels it: its IDs are no longer needed.
    pub(crate) fn revoke(&mut self) {
        self.status = TaskStatus::Revoked;
        self.distinct_ids.clear();
        self.key = None;
    }

    /// Leaves out the IDs that are erased (E-6). A deletion is done once all of them are.
    pub(crate) fn leave_out(&mut self, is_erased: &dyn Fn(&str) -> bool) {
        let before = self.distinct_ids.len();
        self.distinct_ids.retain(|id| !is_erased(id));
        if before == 0 || !self.distinct_ids.is_empty() {
            return;
        }
        match self.kind {
            TaskKind::Deletion => self.status = TaskStatus::Success,
            TaskKind::Retrieval => self.revoke(),
        }
    }

    /// The row of the table.
    pub(crate) fn to_row(&self) -> String {
        json!({
            "kind": match self.kind {
                TaskKind::Deletion => "deletion",
                TaskKind::Retrieval => "retrieval",
            },
            // What is carried out when the project stops is carried out again.
            "status": match self.status {
                TaskStatus::Started => TaskStatus::Pending.name(),
                status => status.name(),
            },
            "requested_ms": self.requested_ms,
            "requested_by": self.requested_by,
            "compliance_type": self.compliance_type,
            "distinct_ids": self.distinct_ids,
            "ids_named": self.ids_named,
            "error": self.error,
            "receipt": self.receipt,
            "key": self.key,
        })
        .to_string()
    }

    /// Reads a row of the table.
    pub(crate) fn of_row(id: &str, row: &str) -> Result<Self, ProjectError> {
        const DAMAGED: ProjectError =
            ProjectError::damaged(0, "a privacy task in it cannot be read");
        let row: Value = serde_json::from_str(row).map_err(|_| DAMAGED)?;
        let text = |key: &str| row[key].as_str().map(str::to_owned);
        let status = row["status"].as_str().and_then(|name| {
            let mut all = TaskStatus::ALL.into_iter();
            all.find(|status| status.name() == name)
        });
        let ids = row["distinct_ids"].as_array().ok_or(DAMAGED)?;
        Ok(Self {
            id: id.to_owned(),
            kind: match row["kind"].as_str() {
                Some("deletion") => TaskKind::Deletion,
                Some("retrieval") => TaskKind::Retrieval,
                _ => return Err(DAMAGED),
            },
            status: status.ok_or(DAMAGED)?,
            requested_ms: row["requested_ms"].as_i64().ok_or(DAMAGED)?,
            requested_by: text("requested_by").unwrap_or_default(),
            compliance_type: text("compliance_type").unwrap_or_default(),
            distinct_ids: ids
                .iter()
                .filter_map(|id| id.as_str().map(str::to_owned))
                .collect(),
            ids_named: row["ids_named"].as_u64().unwrap_or_default(),
            error: text("error"),
            receipt: text("receipt"),
            key: text("key"),
        })
    }
}
