//! What an attempt printed, in pieces of bounded size.
//!
//! The continuation token is the place in the log file where the next piece begins. There is one until
//! the attempt has ended and everything is read, so whoever follows a log asks until there is none. With
//! `full_content` the answer is all there is; it is read piece by piece while it is sent.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use hyper::StatusCode;
use hyper::header::HeaderName;

use super::task_instances::named;
use crate::api::body::Content;
use crate::api::problem::Problem;
use crate::api::router::{Call, Outcome, Reply};
use crate::daemon::layout;
use crate::daemon::service::Service;
use crate::dag::Value;
use crate::scheduler::TaskState;

/// As JSON, a piece takes 256 KiB at most, whatever is in it: six bytes for each, and 70 for each line.
const PIECE: Bounds = Bounds {
    bytes: 32 << 10,
    lines: 900,
};

/// How much of a log is read at once.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    bytes: usize,
    lines: usize,
}

pub(crate) fn log(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let as_lines = wants_lines(&call.request.accept)?;
    let (known, index) = named(service, call)?;
    let run = known.1;
    let instance = run.task(index);
    let number = call.id("try").parse::<u32>().ok();
    let number = number.filter(|number| (1..=instance.try_number).contains(number));
    let number = number.ok_or_else(|| Problem::not_found("there is no such attempt"))?;
    let is_open = matches!(
        instance.state,
        TaskState::Running | TaskState::UpForReschedule
    ) && number == instance.try_number;
    let token = call.request.query("token").unwrap_or("0");
    let from = token.parse().map_err(|_| {
        let detail = "the token is not one that this API has given";
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })?;
    let is_full = call.request.query_bool("full_content")? == Some(true);
    let task_id = &run.dag.task(index).task_id;
    let (dag_id, run_id) = (&run.dag.dag_id, &run.facts.run_id);
    let path = layout::attempt_log(&service.places().state, dag_id, run_id, task_id, number);
    let unreadable = |error| {
        let detail = format!("cannot read `{}`: {error}", path.display());
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    };
    let mut whole = Whole::open(&path, from, is_open).map_err(unreadable)?;
    let first = json(&whole.piece().map_err(unreadable)?, as_lines);
    let is_all = whole.at == whole.end;
    // What follows a log asks for more until its attempt has ended.
    let next = match (is_full, is_open) {
        (true, true) => Some(whole.end),
        (true, false) => None,
        (false, _) => (is_open || !is_all).then_some(whole.at),
    };
    let token = next.map_or(Value::Null, |next| Value::String(next.to_string()));
    let (content_type, begin, end) = if as_lines {
        ("application/x-ndjson", "", String::new())
    } else {
        let end = format!("],\"continuation_token\":{token}}}");
        ("application/json", "{\"content\":[", end)
    };
    let mut reply = Reply::text(content_type, String::new());
    reply.content = if is_full && !is_all {
        let begin = [format!("{begin}{first}")].into_iter();
        Content::Pieces(Box::new(begin.chain(rest(whole, as_lines)).chain([end])))
    } else {
        Content::Whole(format!("{begin}{first}{end}").into())
    };
    if let (true, Some(token)) = (as_lines, token.as_str()) {
        let name = HeaderName::from_static("airflow-continuation-token");
        reply.headers.push((name, token.to_owned()));
    }
    Ok(reply.into())
}

/// What follows the first piece, as JSON. Where it cannot be read any more, it ends.
fn rest(mut whole: Whole, as_lines: bool) -> impl Iterator<Item = String> {
    let comma = if as_lines { "" } else { "," };
    std::iter::from_fn(move || {
        if whole.at >= whole.end {
            return None;
        }
        let piece = whole.piece().ok().filter(|lines| !lines.is_empty())?;
        Some(format!("{comma}{}", json(&piece, as_lines)))
    })
}

/// Each line as Airflow's `StructuredLogMessage`: one a line, or elements of an array. When it was printed is
/// not kept.
fn json(lines: &[String], as_lines: bool) -> String {
    let mut json = String::new();
    for (at, line) in lines.iter().enumerate() {
        if at > 0 && !as_lines {
            json.push(',');
        }
        let event = Value::String(line.clone());
        let _ = write!(
            json,
            "{{\"timestamp\":null,\"event\":{event},\"level\":\"info\",\"logger\":\"task.stdout\"}}"
        );
        if as_lines {
            json.push('\n');
        }
    }
    json
}

/// Whether the client reads `application/x-ndjson` rather than JSON.
fn wants_lines(accept: &str) -> Result<bool, Problem> {
    let types = accept
        .split(',')
        .map(|kind| kind.split(';').next().unwrap_or("").trim());
    for kind in types {
        match kind {
            "application/x-ndjson" => return Ok(true),
            "" | "application/json" | "application/*" | "*/*" => return Ok(false),
            _ => {}
        }
    }
    let detail = "Only application/json or application/x-ndjson is supported";
    Err(Problem::new(StatusCode::NOT_ACCEPTABLE, detail))
}

/// What there is of a log: from a place in its file to where it ended when it was asked for, in whole lines if
/// it may go on.
struct Whole {
    /// A log file appears with its first byte: one that is not there is empty.
    file: Option<File>,
    at: u64,
    end: u64,
}

impl Whole {
    fn open(path: &Path, from: u64, is_open: bool) -> io::Result<Self> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self {
                    file: None,
                    at: from,
                    end: from,
                });
            }
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        let mut whole = Self {
            file: Some(file),
            // It has begun anew meanwhile.
            at: if from > length { 0 } else { from },
            end: length,
        };
        if is_open {
            // A line that is longer than a piece is not waited for.
            let tail = length.saturating_sub(PIECE.bytes as u64).max(whole.at);
            let bytes = whole.read(tail, length)?;
            let newline = bytes.iter().rposition(|byte| *byte == b'\n');
            whole.end = match newline {
                Some(newline) => tail + newline as u64 + 1,
                None if bytes.len() < PIECE.bytes => whole.at,
                None => tail + whole_characters(&bytes) as u64,
            };
        }
        Ok(whole)
    }

    fn read(&self, from: u64, until: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if let Some(mut file) = self.file.as_ref() {
            file.seek(SeekFrom::Start(from))?;
            file.take(until - from).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    }

    /// The next lines.
    fn piece(&mut self) -> io::Result<Vec<String>> {
        // One byte more than fits tells whether there is more.
        let until = self.end.min(self.at + PIECE.bytes as u64 + 1);
        let bytes = self.read(self.at, until)?;
        let end = cut(&bytes, PIECE);
        self.at = if end == 0 {
            self.end
        } else {
            self.at + end as u64
        };
        let text = String::from_utf8_lossy(&bytes[..end]);
        Ok(text.lines().map(str::to_owned).collect())
    }
}

/// How much of these bytes is a piece: whole lines, but for the last of all and for one that is longer than a
/// piece.
fn cut(bytes: &[u8], bounds: Bounds) -> usize {
    let has_more = bytes.len() > bounds.bytes;
    let fits = &bytes[..bytes.len().min(bounds.bytes)];
    let ends = (0..fits.len())
        .filter(|at| fits[*at] == b'\n')
        .map(|at| at + 1);
    let (count, last) = ends
        .take(bounds.lines)
        .fold((0, 0), |(count, _), end| (count + 1, end));
    if count == bounds.lines {
        last
    } else if last == 0 && has_more {
        whole_characters(fits)
    } else if has_more {
        last
    } else {
        fits.len()
    }
}

/// How much of a line can be cut off without cutting a character.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
        Ok(_) | Err(_) => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Bounds = Bounds { bytes: 8, lines: 2 };

    fn check(text: &str, piece: &str) {
        let end = cut(text.as_bytes(), SMALL);
        assert_eq!(&text[..end], piece, "{text:?}");
    }

    #[test]
    fn a_piece_is_whole_lines() {
        check("", "");
        check("a\nb\n", "a\nb\n");
        check("a\nb", "a\nb");
        check("a\nb\nc\n", "a\nb\n");
        check("abc\ndefghij\n", "abc\n");
        check("\n\n", "\n\n");
    }

    #[test]
    fn a_line_longer_than_a_piece_is_cut_between_characters() {
        check("abcdefghij", "abcdefgh");
        check("가나다라", "가나");
    }

    /// A log file with this in it.
    fn log_of(test: &str, bytes: &[u8]) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("mini-dag-log-{test}-{}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn pieces_together_are_the_whole_and_none_is_large_as_json() {
        // What takes the most as JSON.
        let mut bytes = vec![1; 200_000];
        bytes.extend((0..5_000).flat_map(|n| format!("line {n}\n").into_bytes()));
        bytes.extend(std::iter::repeat_n(b'\n', 40_000));
        bytes.extend("가".repeat(30_000).bytes());
        let path = log_of("whole", &bytes);
        let (mut whole, mut read) = (Whole::open(&path, 0, false).unwrap(), Vec::new());
        while whole.at < whole.end {
            let from = whole.at;
            let lines = whole.piece().unwrap();
            assert!(json(&lines, true).len() <= 256 << 10);
            assert!(whole.at > from, "no progress at {from}");
            let kept = &bytes[usize::try_from(from).unwrap()..usize::try_from(whole.at).unwrap()];
            assert_eq!(
                String::from_utf8_lossy(kept).lines().collect::<Vec<_>>(),
                lines
            );
            read.extend_from_slice(kept);
        }
        assert!(read == bytes);
        let whole = Whole::open(&path, 0, false).unwrap();
        let text: String = rest(whole, false).collect();
        let all = Value::parse(&format!("[{}]", &text[1..])).unwrap();
        assert!(all.as_array().unwrap().len() > 45_000);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn of_a_log_that_goes_on_there_are_whole_lines() {
        let long = "x".repeat(PIECE.bytes);
        for (text, from, is_open, end) in [
            ("", 0, true, 0),
            ("a\nb", 0, true, 2),
            ("a\nb", 0, false, 3),
            ("a\nb", 2, true, 2),
            ("a\nb", 9, true, 2),
            (&long, 0, true, PIECE.bytes),
            (&long[1..], 0, true, 0),
        ] {
            let path = log_of("open", text.as_bytes());
            let whole = Whole::open(&path, from, is_open).unwrap();
            assert_eq!(whole.end, end as u64, "{} from {from}", text.len());
            std::fs::remove_file(path).unwrap();
        }
        let none = Whole::open(Path::new("/nowhere"), 0, true).unwrap();
        assert_eq!((none.at, none.end), (0, 0));
    }

    #[test]
    fn what_a_client_accepts_is_what_it_gets() {
        let cases = [
            ("", Some(false)),
            ("*/*", Some(false)),
            ("application/json, text/plain", Some(false)),
            ("application/x-ndjson", Some(true)),
            ("text/html;q=0.9, application/x-ndjson;q=0.8", Some(true)),
            ("text/plain", None),
        ];
        for (accept, wants) in cases {
            assert_eq!(wants_lines(accept).ok(), wants, "{accept}");
        }
    }
}
