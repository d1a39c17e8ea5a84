//! Decompresses bodies.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;

use crate::problem::Problem;

/// The first bytes of gzip. Neither JSON nor a form starts with them.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The body, decompressed. The first bytes decide, not the header: some proxies decompress and leave
/// the header, and some SDKs compress and forget it. Stops at the limit, so a decompression bomb
/// cannot fill the memory.
pub(crate) fn inflated<'b>(
    body: Cow<'b, [u8]>,
    encoding: Option<&str>,
    max_body_bytes: usize,
) -> Result<Cow<'b, [u8]>, Problem> {
    let too_large = Problem::TooLarge { max_body_bytes };
    if body.len() > max_body_bytes {
        return Err(too_large);
    }
    if !body.starts_with(&MAGIC) {
        let encoding = encoding.unwrap_or("").trim();
        let is_known = ["", "identity", "gzip", "x-gzip"]
            .iter()
            .any(|known| encoding.eq_ignore_ascii_case(known));
        return if is_known {
            Ok(body)
        } else {
            Err(Problem::UnknownEncoding {
                encoding: encoding.chars().take(40).collect(),
            })
        };
    }
    let mut inflated = Vec::new();
    // One byte more than allowed, to tell a body at the limit from one above it.
    let limit = u64::try_from(max_body_bytes)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    MultiGzDecoder::new(&*body)
        .take(limit)
        .read_to_end(&mut inflated)
        .map_err(|_| Problem::NotGzip)?;
    if inflated.len() > max_body_bytes {
        return Err(too_large);
    }
    Ok(Cow::Owned(inflated))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn inflated<'b>(
        body: &'b [u8],
        encoding: Option<&str>,
        max_body_bytes: usize,
    ) -> Result<Cow<'b, [u8]>, Problem> {
        super::inflated(Cow::Borrowed(body), encoding, max_body_bytes)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn the_first_bytes_decide_and_not_the_header() {
        for header in [None, Some("gzip"), Some("identity")] {
            assert_eq!(&*inflated(&gzip(b"[]"), header, 100).unwrap(), b"[]");
            assert_eq!(&*inflated(b"[]", header, 100).unwrap(), b"[]");
        }
        let twice = [gzip(b"{}"), gzip(b"{}")].concat();
        assert_eq!(&*inflated(&twice, None, 100).unwrap(), b"{}{}");
    }

    #[test]
    fn a_bomb_is_too_large_and_a_body_at_the_limit_is_not() {
        let bomb = gzip(&vec![b' '; 4_000_000]);
        assert!(bomb.len() < 10_000);
        let max_body_bytes = 100_000;
        assert_eq!(
            inflated(&bomb, Some("gzip"), max_body_bytes),
            Err(Problem::TooLarge { max_body_bytes })
        );
        let full = gzip(&vec![b' '; max_body_bytes]);
        assert!(inflated(&full, Some("gzip"), max_body_bytes).is_ok());
        assert!(inflated(&[b' '; 11], None, 10).is_err());
        assert!(inflated(&[b' '; 10], None, 10).is_ok());
    }

    #[test]
    fn damaged_gzip_and_unknown_encodings_are_errors() {
        let mut damaged = gzip(b"[1,2,3]");
        let last = damaged.len() - 1;
        damaged.truncate(last);
        assert_eq!(inflated(&damaged, None, 100), Err(Problem::NotGzip));
        let encoding = "br".to_owned();
        assert_eq!(
            inflated(b"[]", Some("br"), 100),
            Err(Problem::UnknownEncoding { encoding })
        );
    }
}
