//! Bodies that were compressed on the way, by a relay or a proxy.
//!
//! They are told by how they begin, whatever the headers say, and by a header where they have no beginning of their own. One
//! layer is opened, within a limit.

use std::io::Read;

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// What is in a compressed body, of which a header may name the encoding: `None` if it is not compressed, is broken, or holds
/// more than `limit` bytes.
pub(crate) fn opened(body: &[u8], encoding: Option<&str>, limit: usize) -> Option<Bytes> {
    match body {
        [0x1f, 0x8b, 8, ..] => read(MultiGzDecoder::new(body), limit),
        // The compression method and a check of the first two bytes. No JSON and no form begins with these.
        [first @ 0x78, second, ..] if u16::from_be_bytes([*first, *second]).is_multiple_of(31) => {
            read(ZlibDecoder::new(body), limit)
        }
        // Some send what the name says, and not what it means.
        _ if encoding.is_some_and(|encoding| encoding.eq_ignore_ascii_case("deflate")) => {
            read(DeflateDecoder::new(body), limit)
        }
        _ => None,
    }
}

fn read(decoder: impl Read, limit: usize) -> Option<Bytes> {
    let mut opened = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(most).read_to_end(&mut opened).ok()?;
    (opened.len() <= limit).then(|| opened.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_and_deflate_are_opened_and_nothing_else() {
        let mut deflate = ZlibEncoder::new(Vec::new(), Compression::default());
        deflate.write_all(b"{}").unwrap();
        for compressed in [gzip(b"{}"), deflate.finish().unwrap()] {
            assert_eq!(opened(&compressed, None, 2).as_deref(), Some(b"{}".as_slice()));
        }
        let whole = gzip(b"{\"id\":1}");
        for other in [b"{}".as_slice(), b"", b"x", b"x=1&y=2", &whole[..12], &gzip(&[b' '; 3])] {
            assert_eq!(opened(other, None, 2), None, "{other:?}");
        }
    }

    #[test]
    fn bare_deflate_is_opened_where_the_header_says_so() {
        let mut bare = flate2::write::DeflateEncoder::new(Vec::new(), Compression::default());
        bare.write_all(b"{}").unwrap();
        let bare = bare.finish().unwrap();
        assert_eq!(opened(&bare, Some("Deflate"), 2).as_deref(), Some(b"{}".as_slice()));
        assert_eq!(opened(&bare, None, 2), None);
        assert_eq!(opened(b"{}", Some("deflate"), 2), None);
    }

    #[test]
    fn what_grows_beyond_the_limit_is_left_as_it_is() {
        let bomb = gzip(&vec![0; 10 << 20]);
        assert!(bomb.len() < 20_000);
        assert_eq!(opened(&bomb, Some("gzip"), 1 << 20), None);
    }
}
