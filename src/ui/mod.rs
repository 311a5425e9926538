//! The web page: plain HTML, CSS and ES modules, compiled in as they are. No build, nothing from elsewhere.
//!
//! `api::site` serves exactly these, with a Content-Security-Policy that lets them load each other and nothing
//! else: no inline script, no inline style, no other host.

/// A file of the page.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Where it is asked for.
    pub path: &'static str,
    /// With its character set, for texts.
    pub content_type: &'static str,
    /// As in the source.
    pub bytes: &'static [u8],
}

#[cfg(feature = "ui")]
const HTML: &str = "text/html; charset=utf-8";

/// All of them.
#[cfg(feature = "ui")]
pub const ASSETS: &[Asset] = &[Asset {
    path: "/",
    content_type: HTML,
    bytes: include_bytes!("index.html"),
}];
