//! One request, read once: after [`Request::new`] the path and the query are decoded and harmless.
//!
//! A part of the path is never empty, `.` or `..`, and holds no separator and no control character.
//! It may still name nothing.

use hyper::{Method, StatusCode};

use super::problem::Problem;
use crate::dag::Value;
use crate::timetable::Timestamp;

/// Entries of a page unless the request says otherwise, and at most.
const PAGE: usize = 50;
const PAGE_MAX: usize = 100;
/// The longest part of a path: a run id.
const PART_BYTES_MAX: usize = 250;

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST`, `PATCH` …
    pub method: Method,
    /// The parts between the slashes.
    pub path: Vec<String>,
    /// In the order given; a name may stand in it more than once.
    pub query: Vec<(String, String)>,
    /// What the client would like to read; empty if it does not say.
    pub accept: String,
    /// The last event of a stream that the client has seen; empty if there is none.
    pub last_event: String,
    /// JSON; `Null` if there is none.
    pub body: Value,
}

impl Request {
    /// Decodes the target of a request line. `body` is what came with it.
    pub fn new(
        method: Method,
        target: (&str, Option<&str>),
        accept: &str,
        body: &[u8],
    ) -> Result<Self, Problem> {
        let (path, query) = target;
        let bad_path = || Problem::new(StatusCode::BAD_REQUEST, "the path is not valid");
        let parts = path.strip_prefix('/').unwrap_or(path).split('/');
        let path: Option<Vec<_>> = parts
            .map(|part| decode(part, false).filter(|part| is_harmless(part)))
            .collect();
        let pairs = query
            .unwrap_or("")
            .split('&')
            .filter(|pair| !pair.is_empty());
        let query: Option<Vec<_>> = pairs
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Some((decode(name, true)?, decode(value, true)?))
            })
            .collect();
        let bad_query = || Problem::new(StatusCode::BAD_REQUEST, "the query is not valid");
        Ok(Self {
            method,
            path: path.ok_or_else(bad_path)?,
            query: query.ok_or_else(bad_query)?,
            accept: accept.to_owned(),
            last_event: String::new(),
            body: parse_body(body)?,
        })
    }

    /// The last value that the query gives for a name; empty is the same as not given.
    pub fn query(&self, name: &str) -> Option<&str> {
        let mut pairs = self.query.iter().rev();
        let (_, value) = pairs.find(|(known, _)| known == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// Every value that the query gives for a name.
    pub fn query_all<'r>(&'r self, name: &str) -> impl Iterator<Item = &'r str> {
        let pairs = self.query.iter();
        pairs
            .filter(move |(known, value)| known == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// A number that the query gives.
    pub fn query_number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(text) = self.query(name) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| {
            let msg = "Input should be a valid integer, unable to parse string as an integer";
            let input = Value::String(text.to_owned());
            Problem::invalid("int_parsing", &["query", name], msg, input)
        })
    }

    /// `true` or `false` that the query gives.
    pub fn query_bool(&self, name: &str) -> Result<Option<bool>, Problem> {
        match self.query(name) {
            None => Ok(None),
            Some("true" | "True" | "1") => Ok(Some(true)),
            Some("false" | "False" | "0") => Ok(Some(false)),
            Some(text) => {
                let msg = "Input should be a valid boolean, unable to interpret input";
                let input = Value::String(text.to_owned());
                let loc = ["query", name];
                Err(Problem::invalid("bool_parsing", &loc, msg, input))
            }
        }
    }

    /// Which entries of a collection are wanted: how many to pass over, and how many to give.
    pub fn page(&self) -> Result<(usize, usize), Problem> {
        let number = |name| -> Result<Option<usize>, Problem> {
            let number = self.query_number(name)?;
            Ok(number.map(|number| usize::try_from(number).unwrap_or(usize::MAX)))
        };
        let limit = number("limit")?.unwrap_or(PAGE).min(PAGE_MAX);
        Ok((number("offset")?.unwrap_or(0), limit))
    }

    /// Of a list whose query comes in the body: the same, with a query.
    pub fn listed(mut self) -> Result<Self, Problem> {
        const LISTS: [(&str, &str); 3] = [
            ("dag_ids", "dag_ids"),
            ("states", "state"),
            ("order_by", "order_by"),
        ];
        const DATES: [&str; 4] = ["run_after", "logical_date", "start_date", "end_date"];
        let bounds = DATES
            .iter()
            .flat_map(|date| BOUNDS.map(|(bound, _)| format!("{date}_{bound}")));
        let bounds: Vec<_> = bounds.collect();
        let mut known = vec!["page_limit", "page_offset"];
        known.extend(LISTS.map(|(name, _)| name));
        known.extend(bounds.iter().map(String::as_str));
        self.only_fields(&known)?;
        let mut query = Vec::new();
        for (name, as_query) in [("page_limit", "limit"), ("page_offset", "offset")] {
            let number = self.field(name).map(Value::to_text);
            query.extend(number.map(|number| (as_query.to_owned(), number)));
        }
        for (name, as_query) in LISTS {
            let given = self.field(name);
            let one = given.filter(|value| value.as_str().is_some());
            let many = given.and_then(Value::as_array).unwrap_or(&[]);
            for value in one.into_iter().chain(many).filter_map(Value::as_str) {
                query.push((as_query.to_owned(), value.to_owned()));
            }
        }
        for name in &bounds {
            let date = self.field_text(name)?;
            query.extend(date.map(|date| (name.clone(), date.to_owned())));
        }
        self.query = query;
        Ok(self)
    }

    /// Whether a moment is within the bounds that the query gives for it; one that is not there is within none.
    pub fn bounds(&self, name: &str) -> Result<Bounds, Problem> {
        let mut bounds = Bounds::default();
        for (bound, holds) in BOUNDS {
            let key = format!("{name}_{bound}");
            let Some(text) = self.query(&key) else {
                continue;
            };
            let date = Timestamp::parse(text).map_err(|error| {
                let msg = format!("Input should be a valid datetime: it is {error}");
                let input = Value::String(text.to_owned());
                Problem::invalid("datetime_from_date_parsing", &["query", &key], &msg, input)
            })?;
            bounds.0.push((date, holds));
        }
        Ok(bounds)
    }

    /// What the body has under a key; `null` is the same as not given.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.body.get(name).filter(|value| **value != Value::Null)
    }

    /// `true` or `false` that the body gives.
    pub fn field_bool(&self, name: &str) -> Result<Option<bool>, Problem> {
        let Some(value) = self.field(name) else {
            return Ok(None);
        };
        value.as_bool().map(Some).ok_or_else(|| {
            let msg = "Input should be a valid boolean";
            Problem::invalid("bool_type", &["body", name], msg, value.clone())
        })
    }

    /// A text that the body gives.
    pub fn field_text(&self, name: &str) -> Result<Option<&str>, Problem> {
        let Some(value) = self.field(name) else {
            return Ok(None);
        };
        value.as_str().map(Some).ok_or_else(|| {
            let msg = "Input should be a valid string";
            Problem::invalid("string_type", &["body", name], msg, value.clone())
        })
    }

    /// A date that the body gives.
    pub fn field_date(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let Some(given) = self.field_text(name)? else {
            return Ok(None);
        };
        let date = Timestamp::parse(given).map_err(|error| {
            let msg = format!("Input should be a valid datetime: it is {error}");
            let input = Value::String(given.to_owned());
            Problem::invalid("datetime_from_date_parsing", &["body", name], &msg, input)
        })?;
        Ok(Some(date))
    }

    /// What the body has somebody write about something; `null` takes it back, as an empty text does.
    pub fn note(&self) -> Result<Option<String>, Problem> {
        if self.body.get("note").is_none() {
            return Ok(None);
        }
        Ok(Some(
            self.field_text("note")?.unwrap_or_default().to_owned(),
        ))
    }

    /// The body is an object and has no other keys than these.
    pub fn only_fields(&self, known: &[&str]) -> Result<(), Problem> {
        let Some(members) = self.body.as_object() else {
            let msg = "Input should be a valid dictionary";
            let body = self.body.clone();
            return Err(Problem::invalid(
                "model_attributes_type",
                &["body"],
                msg,
                body,
            ));
        };
        match members.iter().find(|(name, _)| !known.contains(&&***name)) {
            None => Ok(()),
            Some((name, value)) => {
                let msg = "Extra inputs are not permitted";
                let loc = ["body", name];
                Err(Problem::invalid(
                    "extra_forbidden",
                    &loc,
                    msg,
                    value.clone(),
                ))
            }
        }
    }
}

type Holds = fn(&Timestamp, &Timestamp) -> bool;

/// How the bounds of a moment are called, and when they hold.
const BOUNDS: [(&str, Holds); 4] = [
    ("gte", Timestamp::ge),
    ("gt", Timestamp::gt),
    ("lte", Timestamp::le),
    ("lt", Timestamp::lt),
];

/// Bounds of a moment.
#[derive(Debug, Default)]
pub struct Bounds(Vec<(Timestamp, Holds)>);

impl Bounds {
    /// Whether a moment is within them.
    pub fn hold(&self, moment: Option<Timestamp>) -> bool {
        let mut bounds = self.0.iter();
        bounds.all(|(bound, holds)| moment.is_some_and(|moment| holds(&moment, bound)))
    }
}

fn parse_body(body: &[u8]) -> Result<Value, Problem> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    let invalid = |msg: &str| Problem::invalid("json_invalid", &["body"], msg, Value::Null);
    let text = std::str::from_utf8(body).map_err(|_| invalid("the body is not UTF-8"))?;
    Value::parse(text).map_err(|error| invalid(&format!("the body is not JSON: {error}")))
}

fn is_harmless(part: &str) -> bool {
    (1..=PART_BYTES_MAX).contains(&part.len())
        && part != "."
        && part != ".."
        && !part.contains(|c: char| c == '/' || c == '\\' || c.is_control())
}

/// Undoes percent-encoding, once; `+` is a blank only in a query. `None` for what is not UTF-8 or not
/// encoded right.
fn decode(text: &str, is_query: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let code = digit()? * 16 + digit()?;
                u8::try_from(code).ok()?
            }
            b'+' if is_query => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str) -> Result<Request, Problem> {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        Request::new(Method::GET, (path, query), "", b"")
    }

    #[test]
    fn a_path_is_decoded_once_and_only_once() {
        let cases = [
            ("/api/v2/dags/a", &["api", "v2", "dags", "a"][..]),
            (
                "/r/m__2026-01-01T00:00:00+00:00",
                &["r", "m__2026-01-01T00:00:00+00:00"],
            ),
            ("/r/m%3A%2b", &["r", "m:+"]),
            ("/r/%2541", &["r", "%41"]),
            ("/r/%ea%b0%80", &["r", "가"]),
        ];
        for (target, path) in cases {
            assert_eq!(request(target).unwrap().path, path, "{target}");
        }
    }

    #[test]
    fn a_path_that_could_leave_its_place_is_refused() {
        let long = format!("/a/{}", "x".repeat(PART_BYTES_MAX + 1));
        for target in [
            "/",
            "/a//b",
            "/a/",
            "/a/../b",
            "/a/%2e%2e/b",
            "/a/.",
            "/a/%2f",
            "/a/%5c",
            "/a/%00",
            "/a/%0a",
            "/a/%",
            "/a/%4",
            "/a/%zz",
            "/a/%ff",
            "/a/%+1",
            &long,
        ] {
            assert!(request(target).is_err(), "{target}");
        }
    }

    #[test]
    fn a_query_is_decoded_as_forms_are() {
        let request = request("/a?state=success&state=failed&p=a+b%25&limit=").unwrap();
        let states: Vec<_> = request.query_all("state").collect();
        assert_eq!(states, ["success", "failed"]);
        assert_eq!(request.query("p"), Some("a b%"));
        assert_eq!(request.page(), Ok((0, PAGE)), "an empty limit is none");
    }

    #[test]
    fn a_page_is_never_larger_than_its_limit() {
        let page = |target: &str| request(target).unwrap().page();
        assert_eq!(page("/a?limit=7&offset=3"), Ok((3, 7)));
        assert_eq!(page("/a?limit=100000"), Ok((0, PAGE_MAX)));
        assert!(page("/a?limit=-1").is_err());
        assert!(page("/a?offset=x").is_err());
    }
}
