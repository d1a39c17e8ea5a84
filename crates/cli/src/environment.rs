//! What the system says: the time, and the texts of variables of the environment, such as secrets.

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::bail;

/// The time of day, in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

/// The text of a variable, if it is set.
///
/// # Errors
///
/// The variable is set, and is empty or not UTF-8.
pub(crate) fn text(variable: &str) -> anyhow::Result<Option<String>> {
    let Some(text) = env::var_os(variable) else {
        return Ok(None);
    };
    let Ok(text) = text.into_string() else {
        bail!("the text in {variable} is not UTF-8");
    };
    if text.is_empty() {
        bail!("{variable} is set, but empty; put the text in it, or unset it");
    }
    Ok(Some(text))
}
