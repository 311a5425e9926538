//! The web page: plain HTML, CSS and ES modules, compiled in as they are. No build, nothing from elsewhere.
//!
//! `api::site` serves exactly these, with a Content-Security-Policy that lets them load each other and nothing
//! else: no inline script, no inline style, no other host. The page asks the HTTP API as any other client does.
//!
//! ```text
//! main.js     frame, addresses, keys     ─▶ a view: load (asks) ─▶ draw (elements) ─▶ dom.js patches the page
//! api.js      questions, event stream    ─▶ main.js loads the view again
//! dags dag runs host          the views; grid graph gantt code details within dag, panel beside them
//! trigger change backfill     dialogs: what will be done, then a button that does it
//! ```
//!
//! What a person or a program wrote is made a text node (`dom.js`), never parsed.

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
macro_rules! assets {
    ($($content_type:literal: $($file:literal)*;)*) => {
        &[
            Asset { path: "/", content_type: "text/html; charset=utf-8", bytes: include_bytes!("index.html") },
            $($(Asset {
                path: concat!("/ui/", $file),
                content_type: $content_type,
                bytes: include_bytes!($file),
            },)*)*
        ]
    };
}

/// All of them.
#[cfg(feature = "ui")]
pub const ASSETS: &[Asset] = assets! {
    "text/css; charset=utf-8": "page.css";
    "image/svg+xml": "icon.svg";
    "text/javascript; charset=utf-8":
        "address.js" "api.js" "backfill.js" "change.js" "code.js" "dag.js" "dags.js" "details.js" "dialog.js" "dom.js"
        "gantt.js" "graph.js" "grid.js" "host.js" "log.js" "login.js" "main.js" "panel.js" "parts.js" "prefs.js"
        "runbar.js" "runs.js" "states.js" "time.js" "trigger.js";
};

#[cfg(feature = "ui")]
#[cfg(test)]
mod tests {
    use super::ASSETS;

    /// The page is loaded over whatever a gateway in a field has.
    const BYTES_MAX: usize = 100_000;

    fn texts() -> impl Iterator<Item = (&'static str, &'static str)> {
        ASSETS
            .iter()
            .map(|asset| (asset.path, std::str::from_utf8(asset.bytes).unwrap()))
    }

    #[test]
    fn the_whole_page_is_small() {
        let bytes: usize = ASSETS.iter().map(|asset| asset.bytes.len()).sum();
        assert!(bytes <= BYTES_MAX, "{bytes} bytes");
    }

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ui");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let path = match name.as_str() {
                "mod.rs" => continue,
                "index.html" => "/".to_owned(),
                name => format!("/ui/{name}"),
            };
            assert!(ASSETS.iter().any(|asset| asset.path == path), "{name}");
        }
    }

    #[test]
    fn nothing_comes_from_another_host() {
        for (path, text) in texts() {
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for scheme in ["://", "\"//", "'//", "(//"] {
                assert!(!text.contains(scheme), "{path} names {scheme}");
            }
        }
    }

    #[test]
    fn nothing_makes_markup_or_code_of_texts() {
        let banned = [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "Function(",
            "DOMParser",
            "srcdoc",
            "setAttribute(\"style",
            " style=",
            "<style",
            "onclick=",
            "onload=",
            "onerror=",
            "javascript:",
        ];
        for (path, text) in texts() {
            for word in banned {
                assert!(!text.contains(word), "{path} has `{word}`");
            }
        }
    }

    #[test]
    fn every_module_that_is_imported_is_there() {
        let mut imports = 0;
        for (path, text) in texts().filter(|(path, _)| path.rsplit('.').next() == Some("js")) {
            for line in text.lines().filter(|line| line.starts_with("import ")) {
                let name = line
                    .split("\"./")
                    .nth(1)
                    .and_then(|rest| rest.split('"').next());
                let wanted = format!("/ui/{}", name.unwrap_or(line));
                assert!(
                    ASSETS.iter().any(|asset| asset.path == wanted),
                    "{path}: {line}"
                );
                imports += 1;
            }
        }
        assert!(imports > 50, "{imports}");
    }
}
