//! What an attempt printed, in pieces of bounded size.
//!
//! The continuation token is the place in the log file where the next piece begins. There is one until
//! the attempt has ended and everything is read, so whoever follows a log asks until there is none.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use hyper::StatusCode;
use hyper::header::HeaderName;

use super::task_instances::named;
use crate::api::problem::Problem;
use crate::api::router::{Call, Outcome, Reply};
use crate::daemon::layout;
use crate::daemon::service::Service;
use crate::dag::Value;
use crate::scheduler::TaskState;

/// A piece, and one with `full_content`.
const PIECE: Bounds = Bounds {
    bytes: 64 << 10,
    lines: 1_000,
};
const FULL: Bounds = Bounds {
    bytes: 1 << 20,
    lines: 10_000,
};

/// How much of a log is read at once.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    bytes: usize,
    lines: usize,
}

/// A piece of a log: whole lines, but for the last of a log that is complete and for lines longer than a piece.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    lines: Vec<String>,
    /// Where the next one begins, if there is or may come another.
    next: Option<u64>,
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
    let bounds = if call.request.query_bool("full_content")? == Some(true) {
        FULL
    } else {
        PIECE
    };
    let task_id = &run.dag.task(index).task_id;
    let (dag_id, run_id) = (&run.dag.dag_id, &run.facts.run_id);
    let path = layout::attempt_log(&service.places().state, dag_id, run_id, task_id, number);
    let piece = read(&path, from, bounds, is_open).map_err(|error| {
        let detail = format!("cannot read `{}`: {error}", path.display());
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    })?;
    let next = piece.next.map(|next| next.to_string());
    if as_lines {
        let mut body = String::new();
        for line in &piece.lines {
            entry(&mut body, line);
            body.push('\n');
        }
        let mut reply = Reply::text("application/x-ndjson", body);
        let token = HeaderName::from_static("airflow-continuation-token");
        reply.headers.extend(next.map(|next| (token, next)));
        return Ok(Outcome::Done(reply));
    }
    let mut body = String::from("{\"content\":[");
    for (at, line) in piece.lines.iter().enumerate() {
        body.push_str(if at == 0 { "" } else { "," });
        entry(&mut body, line);
    }
    let token = next.map_or(Value::Null, Value::String);
    let _ = write!(body, "],\"continuation_token\":{token}}}");
    Ok(Outcome::Done(Reply::text("application/json", body)))
}

/// One line as Airflow's `StructuredLogMessage`. When it was printed is not kept.
fn entry(body: &mut String, line: &str) {
    let event = Value::String(line.to_owned());
    let _ = write!(
        body,
        "{{\"timestamp\":null,\"event\":{event},\"level\":\"info\",\"logger\":\"task.stdout\"}}"
    );
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

/// A log file appears with its first byte: one that is not there is empty.
fn read(path: &Path, mut from: u64, bounds: Bounds, is_open: bool) -> io::Result<Piece> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(mut file) => {
            // It has begun anew meanwhile.
            from = if from > file.metadata()?.len() {
                0
            } else {
                from
            };
            file.seek(SeekFrom::Start(from))?;
            // One more than fits tells whether there is more.
            let limit = u64::try_from(bounds.bytes).unwrap_or(u64::MAX) + 1;
            file.take(limit).read_to_end(&mut bytes)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(cut(&bytes, from, bounds, is_open))
}

fn cut(bytes: &[u8], from: u64, bounds: Bounds, is_open: bool) -> Piece {
    let has_more = bytes.len() > bounds.bytes;
    let fits = &bytes[..bytes.len().min(bounds.bytes)];
    let ends = (0..fits.len())
        .filter(|at| fits[*at] == b'\n')
        .map(|at| at + 1);
    let (count, last) = ends
        .take(bounds.lines)
        .fold((0, 0), |(count, _), end| (count + 1, end));
    let end = if count == bounds.lines {
        last
    } else if last == 0 && has_more {
        whole_characters(fits)
    } else if is_open || has_more {
        last
    } else {
        fits.len()
    };
    let text = String::from_utf8_lossy(&fits[..end]);
    let lines = text.lines().map(str::to_owned).collect();
    let may_come_more = is_open || end < bytes.len();
    Piece {
        lines,
        next: may_come_more.then(|| from.saturating_add(u64::try_from(end).unwrap_or(0))),
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

    fn check(text: &str, is_open: bool, lines: &[&str], next: Option<u64>) {
        let piece = cut(text.as_bytes(), 100, SMALL, is_open);
        assert_eq!(
            (&piece.lines[..], piece.next),
            (
                &lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>()[..],
                next
            ),
            "{text:?} {is_open}"
        );
    }

    #[test]
    fn a_log_comes_in_whole_lines() {
        check("", false, &[], None);
        check("", true, &[], Some(100));
        check("a\nb\n", false, &["a", "b"], None);
        check("a\nb", false, &["a", "b"], None);
        check("a\nb", true, &["a"], Some(102));
        check("a\nb\nc\n", false, &["a", "b"], Some(104));
        check("abc\ndefghij\n", false, &["abc"], Some(104));
        check("\n\n", false, &["", ""], None);
    }

    #[test]
    fn a_line_longer_than_a_piece_is_cut_between_characters() {
        check("abcdefghij", true, &["abcdefgh"], Some(108));
        check("가나다라", true, &["가나"], Some(106));
    }

    #[test]
    fn pieces_together_are_the_whole() {
        let text = "one\ntwo\nthree four five\n\nsix\nseven";
        let (mut from, mut read) = (0, String::new());
        for _ in 0..100 {
            let start = usize::try_from(from).unwrap();
            let end = text.len().min(start + SMALL.bytes + 1);
            let piece = cut(&text.as_bytes()[start..end], from, SMALL, false);
            let Some(next) = piece.next else {
                read.push_str(&text[start..]);
                break;
            };
            assert!(next > from, "no progress at {from}");
            read.push_str(&text[start..usize::try_from(next).unwrap()]);
            from = next;
        }
        assert_eq!(read, text);
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
