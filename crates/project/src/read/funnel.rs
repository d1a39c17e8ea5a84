//! Funnels over stored events, by the code of `idmerge-analysis`.

use idmerge_analysis::{Analysis, Funnel, FunnelReport, ResolvedEvent};
use idmerge_core::DistinctId;

use crate::error::ProjectError;
use crate::project::Project;
use crate::read::export::ExportQuery;

impl Project {
    /// Counts the users who take some steps in order, with their current clusters and without ID Merge (rules
    /// F-1 to F-9). Events with the same time count in the order of arrival.
    ///
    /// ```
    /// use idmerge_analysis::{FunnelQuery, Step};
    /// use idmerge_engines::{Model, Settings};
    /// use idmerge_project::{Batch, Options, Project, Record};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let settings = Settings::of(Model::Simplified);
    /// let project = Project::open(folder.path(), settings, Options::default())?;
    /// let mut batch = Batch::new("/track", 1);
    /// for event in [
    ///     r#"{"event":"View","properties":{"distinct_id":"$device:D","$device_id":"D"}}"#,
    ///     r#"{"event":"Sign Up","properties":{"distinct_id":"U","$device_id":"D","$user_id":"U"}}"#,
    /// ] {
    ///     batch.push(event, Record::event(Some(1_780_300_803_000), None));
    /// }
    /// project.submit_and_wait(batch)?;
    ///
    /// let query = FunnelQuery::new(["View", "Sign Up"].map(Step::parse).to_vec());
    /// let report = project.funnel(&query.funnel()?)?;
    /// assert_eq!((report.steps[1].users, report.steps[1].users_without_merge), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ProjectError::FunnelTooLarge`], and any error of the disk.
    pub fn funnel(&self, funnel: &Funnel) -> Result<FunnelReport, ProjectError> {
        self.funnel_while(funnel, &|| true, &mut |_, _| {})
    }

    /// As [`funnel`](Self::funnel), until `may_go_on` returns `false`. It is called for each block of events
    /// that is read. `visit` is called with each user who took the first step, in no order, and the number of
    /// steps that the user took.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Cancelled`] if it returned `false`, and those of [`funnel`](Self::funnel).
    pub fn funnel_while(
        &self,
        funnel: &Funnel,
        may_go_on: &dyn Fn() -> bool,
        visit: &mut dyn FnMut(DistinctId<'_>, usize),
    ) -> Result<FunnelReport, ProjectError> {
        let (from_ms, until_ms) = funnel.range_ms();
        let scanned = ExportQuery {
            from_ms,
            until_ms,
            names: funnel.names().map(str::to_owned).collect(),
            ..ExportQuery::default()
        };
        let max_bytes = self.inner.options.max_funnel_bytes;
        let mut fold = funnel.fold();
        self.scan(&scanned, may_go_on, &mut |scanned| {
            let event = ResolvedEvent {
                name: scanned.event.event().name,
                time_ms: Some(scanned.stored.time_ms),
                properties: scanned.event.properties(),
            };
            if let (Some(own), Some(user)) = (scanned.own, scanned.canonical)
                && let Some(found) = funnel.read(&event)
            {
                funnel.add(&mut fold, user, own, found);
                if fold.bytes_held() > max_bytes {
                    return Err(ProjectError::FunnelTooLarge { max_bytes });
                }
            }
            Ok(true)
        })?;
        Ok(funnel.report_with(fold, visit))
    }
}
