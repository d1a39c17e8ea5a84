//! Looks for what is left of a text in files.

use std::fs;
use std::path::Path;

/// The forms in which a text is looked for: as it is, in UTF-16, in base64 at each of its three alignments, and a
/// UUID as its 16 bytes. All are in lower case, as the files are when they are searched, but base64 and bytes.
fn forms(text: &str) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let folded = text.to_lowercase();
    let utf_16: Vec<u16> = folded.encode_utf16().collect();
    let in_any_case = vec![
        folded.clone().into_bytes(),
        utf_16.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        utf_16.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
    ];
    let mut exact: Vec<Vec<u8>> = (0..3).map(|skipped| base64(text, skipped)).collect();
    let digits: String = folded.chars().filter(|it| *it != '-').collect();
    if let (36, Ok(uuid)) = (text.len(), u128::from_str_radix(&digits, 16)) {
        exact.extend([uuid.to_be_bytes().to_vec(), uuid.to_le_bytes().to_vec()]);
    }
    (in_any_case, exact)
}

/// The part of the base64 of any bytes with this text in them that depends on the text alone, if the bytes before
/// it leave this remainder of three.
fn base64(text: &str, before: usize) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let skipped = (3 - before) % 3;
    let whole = &text.as_bytes()[skipped..];
    whole
        .chunks_exact(3)
        .flat_map(|three| {
            let bits = three
                .iter()
                .fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
            [18, 12, 6, 0].map(|shift| DIGITS[bits >> shift & 63])
        })
        .collect()
}

/// The files of a folder that have a trace of one of these texts, each with the text.
#[allow(clippy::disallowed_methods, reason = "a test looks into the files")]
pub(crate) fn traces(folder: &Path, texts: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_file() || texts.is_empty() {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let (exactly, folded) = (searched(&bytes), searched(&bytes.to_ascii_lowercase()));
        for text in texts {
            let (in_any_case, exact) = forms(text);
            let is_there = in_any_case
                .iter()
                .any(|form| folded.contains(&searched(form)))
                || exact.iter().any(|form| exactly.contains(&searched(form)));
            if is_there {
                found.push(format!("{text} in {}", path.display()));
            }
        }
    }
    found
}

/// Bytes as text, one character for each, because the standard library searches text quickly. Empty pages are left
/// out.
fn searched(bytes: &[u8]) -> String {
    let pages = bytes.chunks(4096);
    let used = pages.filter(|page| page.iter().any(|byte| *byte != 0));
    used.flatten().map(|byte| char::from(*byte)).collect()
}
