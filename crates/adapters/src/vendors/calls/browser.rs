//! The browser that Segment's destination finds in a user agent.

/// The name of the browser; empty if it is not known.
pub(super) fn name(agent: &str) -> &'static str {
    let has = |part: &str| agent.contains(part);
    let lower = agent.to_ascii_lowercase();
    match () {
        () if has(" OPR/") && has("Mini") => "Opera Mini",
        () if has(" OPR/") => "Opera",
        () if ["blackberry", "playbook", "bb10"]
            .iter()
            .any(|part| lower.contains(part)) =>
        {
            "BlackBerry"
        }
        () if has("IEMobile") || has("WPDesktop") => "Internet Explorer Mobile",
        () if has("SamsungBrowser/") => "Samsung Internet",
        () if has("Edge") || has("Edg/") => "Microsoft Edge",
        () if has("FBIOS") => "Facebook Mobile",
        () if has("Chrome") => "Chrome",
        () if has("CriOS") => "Chrome iOS",
        () if has("UCWEB") || has("UCBrowser") => "UC Browser",
        () if has("FxiOS") => "Firefox iOS",
        () if has("Safari") && has("iPhone") => "Mobile Safari",
        () if has("Safari") => "Safari",
        () if has("Android") => "Android Mobile",
        () if has("Konqueror") => "Konqueror",
        () if has("Firefox") => "Firefox",
        () if has("MSIE") || has("Trident/") => "Internet Explorer",
        () if has("Gecko") => "Mozilla",
        () => "",
    }
}

/// The version of the browser with this name: at least two numbers behind what its user agents have.
pub(super) fn version<'a>(name: &str, agent: &'a str) -> Option<&'a str> {
    let prefixes: &[&str] = match name {
        "Internet Explorer Mobile" | "Mozilla" => &["rv:"],
        "Microsoft Edge" => &["Edg/", "Edge/"],
        "Chrome" => &["Chrome/"],
        "Chrome iOS" => &["CriOS/"],
        "UC Browser" => &["UCBrowser/", "UCWEB/"],
        "Safari" | "Mobile Safari" => &["Version/"],
        "Opera" => &["Opera/", "OPR/"],
        "Firefox" => &["Firefox/"],
        "Firefox iOS" => &["FxiOS/"],
        "Konqueror" => &["Konqueror:"],
        "BlackBerry" => &["BlackBerry "],
        // In lower case, which few user agents have.
        "Android Mobile" => &["android "],
        "Samsung Internet" => &["SamsungBrowser/"],
        "Internet Explorer" => &["rv:", "MSIE "],
        _ => &[],
    };
    let all = prefixes
        .iter()
        .flat_map(|prefix| agent.match_indices(prefix).map(|(at, _)| at + prefix.len()));
    all.filter(|start| numbers(&agent[*start..]).is_some())
        .min()
        .and_then(|start| numbers(&agent[start..]))
}

/// The numbers with dots between them that a text begins with, if there are two or more.
fn numbers(text: &str) -> Option<&str> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut end = digits(text);
    let first = end;
    while end > 0
        && let Some(rest) = text[end..].strip_prefix('.')
        && digits(rest) > 0
    {
        end += 1 + digits(rest);
    }
    (end > first).then(|| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_4_the_browser_is_the_one_that_segments_destination_finds() {
        let webkit = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)";
        for (agent, browser, at) in [
            (
                format!("{webkit} Chrome/120.0.6099.71 Safari/537.36"),
                "Chrome",
                Some("120.0.6099.71"),
            ),
            (
                format!("{webkit} Chrome/120.0.0.0 Safari/537.36 Edg/121.0.1"),
                "Microsoft Edge",
                Some("121.0.1"),
            ),
            (
                format!("{webkit} Chrome/9.1 Safari/1 OPR/106.0.2"),
                "Opera",
                Some("106.0.2"),
            ),
            (
                format!("{webkit} Version/17.2 Safari/605.1.15"),
                "Safari",
                Some("17.2"),
            ),
            (
                "Mozilla/5.0 (iPhone) AppleWebKit/1 Version/16.6 Mobile/1 Safari/1".to_owned(),
                "Mobile Safari",
                Some("16.6"),
            ),
            (
                "Mozilla/5.0 (rv:121.0) Gecko/1 Firefox/121.0".to_owned(),
                "Firefox",
                Some("121.0"),
            ),
            (
                "Mozilla/5.0 (Trident/7.0; rv:11.0) like Gecko".to_owned(),
                "Internet Explorer",
                Some("11.0"),
            ),
            (
                "Mozilla/4.0 (compatible; MSIE 8.0)".to_owned(),
                "Internet Explorer",
                Some("8.0"),
            ),
            ("bLACKbERRY/1".to_owned(), "BlackBerry", None),
            // One number is no version.
            ("Chrome/5".to_owned(), "Chrome", None),
            ("Android 14.0".to_owned(), "Android Mobile", None),
            ("curl/8.5.0".to_owned(), "", None),
            (
                "Chrome/. Chrome/1. Chrome/1.2.".to_owned(),
                "Chrome",
                Some("1.2"),
            ),
        ] {
            assert_eq!(name(&agent), browser, "{agent}");
            assert_eq!(version(browser, &agent), at, "{agent}");
        }
    }
}
