//! The page's files, for everybody who asks: they hold nothing of this host.

use hyper::body::Bytes;
use hyper::header::{
    self, CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderMap, HeaderName, IF_NONE_MATCH,
};
use hyper::{Method, StatusCode};

use super::body::Content;
use super::connection::is_harmless;
use super::router::Reply;

/// Scripts, styles and answers of this server, and nothing from anywhere else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

#[cfg(feature = "ui")]
use crate::ui::ASSETS;

/// This program has no page.
#[cfg(not(feature = "ui"))]
const ASSETS: &[crate::ui::Asset] = &[];

/// Whether this program has a page.
pub(super) const HAS_PAGE: bool = !ASSETS.is_empty();

/// The file at a path, if there is one and somebody wants to read it.
pub(super) fn find(method: &Method, path: &str, headers: &HeaderMap) -> Option<Reply> {
    let asset = ASSETS.iter().find(|asset| asset.path == path)?;
    if !is_harmless(method) {
        return None;
    }
    // A browser asks each time, and is told each time that nothing has changed, until the program has.
    let tag = format!("\"{:016x}\"", hash(asset.bytes));
    let known = headers
        .get(IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|known| {
        known
            .split(',')
            .any(|known| known.trim().trim_start_matches("W/") == tag)
    });
    let mut reply = Reply::text(asset.content_type, String::new());
    if is_known {
        reply.status = StatusCode::NOT_MODIFIED;
    } else {
        reply.content = Content::Whole(Bytes::from_static(asset.bytes));
    }
    let more = [
        (ETAG, tag),
        (CACHE_CONTROL, "no-cache".to_owned()),
        (CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin".to_owned(),
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin".to_owned(),
        ),
    ];
    reply.headers.extend(more);
    Some(reply)
}

/// FNV-1a: nobody's secret hangs on it.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
