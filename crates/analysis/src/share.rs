//! Shares of users.

/// A part as a share of the whole, from 0 to 1; 0 if the whole is empty.
///
/// ```
/// use idmerge_analysis::share;
///
/// assert_eq!(share(1, 4), 0.25);
/// assert_eq!(share(0, 0), 0.0);
/// ```
pub fn share(part: u64, of: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "users fit into 53 bits")]
    match of {
        0 => 0.0,
        of => part as f64 / of as f64,
    }
}
