//! Texts that variables of the environment have, such as secrets.

use std::env;

use anyhow::bail;

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
