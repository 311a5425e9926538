//! The tutorial's first DAG, as `download_rocket_launches.json` has it: download, get pictures, notify.

use std::fs;
use std::path::Path;
use std::time::Duration;

use mini_dag::{Context, Dag, DagBuilder, Outcome, Result, Value};
use ureq::Agent;

use super::{read_json, text_arg, write_whole};

pub(super) fn dag() -> DagBuilder {
    let dag = Dag::new("download_rocket_launches")
        .description("Download rocket pictures of recently launched rockets.")
        .owner("samples")
        .tag("sample")
        .tag("tutorial")
        .start_days_ago(14)
        .param("api", "https://ll.thespacedevs.com/2.0.0/launch/upcoming")
        .param("dir", "/tmp")
        .env("api", "{{ params.api }}")
        .env("dir", "{{ params.dir }}");
    let download = dag
        .bash("download_launches", DOWNLOAD)
        .retries(2)
        .retry_delay(Duration::from_secs(30))
        .timeout(Duration::from_secs(120));
    let pictures = dag
        .call("get_pictures", get_pictures)
        .arg("dir", "{{ params.dir }}")
        .timeout(Duration::from_secs(1800));
    let notify = dag.bash("notify", NOTIFY);
    _ = download >> pictures >> notify;
    dag
}

const DOWNLOAD: &str = r#"mkdir -p -- "$dir" && curl -fgsSL -o "$dir/launches.json" --url "$api""#;
const NOTIFY: &str = r#"echo "There are now $(ls -- "$dir/images" | wc -l) images.""#;

/// One picture, with its redirects.
const PICTURE_TIMEOUT: Duration = Duration::from_secs(30);
/// A longer picture is none; it is in memory once.
const PICTURE_BYTES_MAX: u64 = 16 << 20;
/// The longest file name, as Linux has it.
const NAME_BYTES_MAX: usize = 255;

/// Fetches every picture that `launches.json` in `args.dir` names to `images/` beside it, named by what follows the
/// last slash of its URL; of two with one name the later stays.
///
/// A picture that cannot be had is a line that names its URL. An error is a list that cannot be read, or a file that
/// cannot be written.
#[expect(clippy::print_stdout, reason = "a task's output is its log")]
pub(super) fn get_pictures(context: &Context) -> Result {
    let dir = Path::new(text_arg(context, "dir")?);
    let launches = read_json(&dir.join("launches.json"))?;
    let results = launches.get("results").and_then(Value::as_array);
    let results = results.ok_or("`launches.json` has no array `results`")?;

    let images = dir.join("images");
    fs::create_dir_all(&images)
        .map_err(|error| format!("cannot make `{}`: {error}", images.display()))?;
    let agent = Agent::config_builder()
        .timeout_global(Some(PICTURE_TIMEOUT))
        .build()
        .new_agent();
    for launch in results {
        let image = launch.get("image").unwrap_or(&Value::Null).to_text();
        let shown = on_one_line(&image);
        match fetch(&agent, &image) {
            Ok(Picture { name, bytes }) => {
                let target = images.join(name);
                write_whole(&target, &bytes)?;
                println!("Downloaded {shown} to {}", target.display());
            }
            Err(Refusal::InvalidUrl) => println!("{shown} appears to be an invalid URL."),
            Err(Refusal::Unreachable) => println!("Could not connect to {shown}."),
            Err(Refusal::Nameless) => println!("{shown} names no file."),
            Err(Refusal::Other(error)) => println!("Could not download {shown}: {error}."),
        }
    }
    Ok(Outcome::Done)
}

struct Picture<'u> {
    name: &'u str,
    bytes: Vec<u8>,
}

#[derive(Debug)]
enum Refusal {
    InvalidUrl,
    Unreachable,
    Nameless,
    Other(ureq::Error),
}

fn fetch<'u>(agent: &Agent, url: &'u str) -> std::result::Result<Picture<'u>, Refusal> {
    if !is_web_address(url) {
        return Err(Refusal::InvalidUrl);
    }
    let name = file_name(url).ok_or(Refusal::Nameless)?;
    let mut response = agent.get(url).call().map_err(|error| {
        use ureq::Error::{BadUri, ConnectionFailed, HostNotFound, Http, Io, Timeout};
        if matches!(error, BadUri(_) | Http(_)) {
            Refusal::InvalidUrl
        } else if matches!(error, HostNotFound | ConnectionFailed | Io(_) | Timeout(_)) {
            Refusal::Unreachable
        } else {
            Refusal::Other(error)
        }
    })?;
    let body = response.body_mut().with_config().limit(PICTURE_BYTES_MAX);
    let bytes = body.read_to_vec().map_err(Refusal::Other)?;
    Ok(Picture { name, bytes })
}

/// Whether there is a scheme of the web and a host.
fn is_web_address(url: &str) -> bool {
    url.parse::<ureq::http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
    })
}

/// What follows the last slash: never a path that leads elsewhere. Of one that is too long, the end with its extension.
fn file_name(url: &str) -> Option<&str> {
    let name = url.rsplit('/').next().unwrap_or(url);
    let too_much = name.len().saturating_sub(NAME_BYTES_MAX);
    let start = (too_much..name.len()).find(|&at| name.is_char_boundary(at))?;
    let name = &name[start..];
    (!matches!(name, "." | "..")).then_some(name)
}

/// A stranger's text in a line of a log: nothing in it ends the line or moves a terminal's cursor.
fn on_one_line(text: &str) -> String {
    const CHARS_MAX: usize = 500;
    let mut line: String = text
        .chars()
        .take(CHARS_MAX)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_named_by_what_follows_the_last_slash() {
        let check = |url: &str, name: Option<&str>| assert_eq!(file_name(url), name, "{url}");
        check("https://host/a/falcon_9.jpg", Some("falcon_9.jpg"));
        check("https://host/a/x.jpg?size=1", Some("x.jpg?size=1"));
        check("https://host/a?path=/etc/passwd", Some("passwd"));
        check("https://host/%2e%2e%2fx", Some("%2e%2e%2fx"));
        check("https://host/a/", None);
        check("https://host/a/.", None);
        check("https://host/a/..", None);
        check("https://host/?/..", None);
        let long = format!("https://host/{}가.png", "x".repeat(300));
        assert_eq!(file_name(&long).map(str::len), Some(NAME_BYTES_MAX));
        let cut_within_a_letter = format!("https://host/{}", "가".repeat(100));
        assert_eq!(file_name(&cut_within_a_letter).map(str::len), Some(255));
        let cut_within_a_letter = format!("https://host/{}x", "가".repeat(100));
        assert_eq!(file_name(&cut_within_a_letter).map(str::len), Some(253));
    }

    #[test]
    fn a_web_address_has_a_scheme_and_a_host() {
        for url in [
            "http://host/x",
            "HTTPS://host/x",
            "http://[::1]:80/x",
            "http://host",
        ] {
            assert!(is_web_address(url), "{url}");
        }
        for url in [
            "",
            "null",
            "host/x.png",
            "//host/x",
            "http://",
            "http:///x",
            "file:///etc/passwd",
            "http://a b/",
            "x:\n",
        ] {
            assert!(!is_web_address(url), "{url}");
        }
    }

    #[test]
    fn a_hostile_text_stays_on_its_line() {
        assert_eq!(on_one_line("a\nb\u{1b}[2J"), "a\u{fffd}b\u{fffd}[2J");
        assert_eq!(on_one_line(&"가".repeat(501)).chars().count(), 501);
    }
}
