//! An ID that a person named without the prefix `$device:`, or with a prefix that it does not have.

use idmerge_core::{DEVICE_PREFIX, DistinctId, Resolve};

use crate::Settings;

impl Settings {
    /// The ID that was probably meant, if an ID is in no cluster: the device of the same text is, or
    /// the user ID of the same text. In Original and Legacy both are one ID (O-1, L-1), so there it
    /// is `None`.
    ///
    /// ```
    /// use idmerge_core::{Event, IdentityResolverExt};
    /// use idmerge_engines::{Model, Settings};
    ///
    /// let settings = Settings::of(Model::Simplified);
    /// let mut engine = settings.engine();
    /// engine.apply_event(&Event {
    ///     device_id: "D1".into(),
    ///     user_id: "ben".into(),
    ///     ..Event::named("Log In")
    /// })?;
    /// let [bare, device, ben] = ["D1", "$device:D1", "ben"].map(|text| settings.read_id(text));
    /// assert_eq!(settings.did_you_mean(&*engine, bare?), Some(device?));
    /// assert_eq!(settings.did_you_mean(&*engine, ben?), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn did_you_mean<'e>(
        &self,
        state: &dyn Resolve,
        id: DistinctId<'e>,
    ) -> Option<DistinctId<'e>> {
        let other = match (self, id.is_device()) {
            (Self::Original(_) | Self::Legacy(_), _) => return None,
            (Self::Simplified(_), false) => DistinctId::device(id.id()),
            (Self::Simplified(_), true) => DistinctId::plain(id.id()),
        };
        // A user ID does not begin with the prefix (S-0).
        let can_be = other.is_device() || !other.text().starts_with(DEVICE_PREFIX);
        (can_be && !state.is_clustered(id) && state.is_clustered(other)).then_some(other)
    }
}
