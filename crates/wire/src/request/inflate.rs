//! Decompresses bodies.

use std::borrow::Cow;
use std::io::{self, Read};

use flate2::bufread::GzDecoder;

use crate::problem::Problem;

/// The first bytes of gzip. Neither JSON nor a form starts with them.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// How many bytes are decompressed at a time.
const PIECE_BYTES: usize = 16 * 1024;

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
    if !is_compressed(&body) {
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
    match decompressed(&body, max_body_bytes) {
        Ok(Some(text)) => Ok(Cow::Owned(text)),
        Ok(None) => Err(too_large),
        Err(_) => Err(Problem::NotGzip),
    }
}

/// Whether a body is compressed, whatever its header says.
pub fn is_compressed(body: &[u8]) -> bool {
    body.starts_with(&MAGIC)
}

/// A [compressed](is_compressed) body, decompressed, if it has at most `max_bytes` then. `None` if it has
/// more, or cannot be decompressed.
///
/// [`Head::decode_decompressed`](crate::Head::decode_decompressed) decodes the result.
pub fn decompressed_within(body: &[u8], max_bytes: usize) -> Option<Vec<u8>> {
    decompressed(body, max_bytes).ok().flatten()
}

/// A compressed body, decompressed; `None` if it has more bytes than allowed. It takes no more memory than
/// the limit. The body can have several members, and be padded with zeros, as a file can (IN-6).
fn decompressed(body: &[u8], max_bytes: usize) -> io::Result<Option<Vec<u8>>> {
    let mut text: Vec<u8> = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let mut member = GzDecoder::new(rest);
        if !append(&mut member, &mut text, max_bytes)? {
            return Ok(None);
        }
        rest = member.into_inner();
        let zeros = rest.iter().take_while(|byte| **byte == 0).count();
        rest = &rest[zeros..];
    }
    text.shrink_to_fit();
    Ok(Some(text))
}

/// Appends what a member has. `false` if the text has more bytes than allowed then.
fn append(member: &mut impl Read, text: &mut Vec<u8>, max_bytes: usize) -> io::Result<bool> {
    let mut piece = [0; PIECE_BYTES];
    loop {
        let piece = match member.read(&mut piece) {
            Ok(0) => return Ok(true),
            Ok(bytes) => &piece[..bytes],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if piece.len() > max_bytes - text.len() {
            return Ok(false);
        }
        let bytes = text.len() + piece.len();
        if bytes > text.capacity() {
            // Doubled, but not beyond the limit.
            let capacity = bytes.max((2 * text.capacity()).min(max_bytes));
            text.reserve_exact(capacity - text.len());
        }
        text.extend_from_slice(piece);
    }
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
    fn a_decompressed_body_takes_no_more_memory_than_the_limit() {
        let max_body_bytes = 1_000_000;
        let full = gzip(&vec![b' '; max_body_bytes]);
        let inflated = inflated(&full, None, max_body_bytes).unwrap().into_owned();
        assert_eq!(inflated.len(), max_body_bytes);
        assert!(inflated.capacity() <= max_body_bytes);
    }

    #[test]
    fn a_body_is_decompressed_up_to_a_limit() {
        let text = [b' '; 100];
        for (body, bytes) in [
            (gzip(&text), 100),
            ([gzip(&text), gzip(&text)].concat(), 200),
        ] {
            let decompressed = decompressed_within(&body, bytes);
            assert_eq!(decompressed, Some(vec![b' '; bytes]));
            assert_eq!(decompressed_within(&body, bytes - 1), None);
        }
        assert_eq!(decompressed_within(&gzip(&text)[..20], 1_000), None);
    }

    #[test]
    fn in_6_gzip_can_be_padded_with_zeros() {
        let zeros = [0; 1_000];
        let padded = [&gzip(b"[1,")[..], &zeros, &gzip(b"2]"), &zeros].concat();
        assert_eq!(&*inflated(&padded, None, 10_000).unwrap(), b"[1,2]");
        // The limit counts them as bytes of the body.
        let max_body_bytes = 1_000;
        let too_large = Err(Problem::TooLarge { max_body_bytes });
        assert_eq!(inflated(&padded, None, max_body_bytes), too_large);
        for end in [&b"x"[..], b"\0\0x", b"\0[]"] {
            let followed = [&gzip(b"[]"), end].concat();
            assert_eq!(inflated(&followed, None, 100), Err(Problem::NotGzip));
        }
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
