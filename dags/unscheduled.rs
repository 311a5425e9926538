//! `calculate_stats`: how many events each user had on each date, as the tutorial's pandas code writes it.
//!
//! The file is byte for byte that of pandas 3's `read_json`, `groupby(["date", "user"]).size().reset_index()`,
//! `to_csv(index=False)` for dates of one form (RFC 2822, ISO 8601, or seconds or milliseconds since 1970) and for
//! users that are texts or whole numbers; `tests/data/stats.json` holds what pandas wrote. Dates of mixed or unknown
//! form stay the texts that they are, as there. No events at all are a header alone, where pandas fails.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use mini_dag::{Context, Outcome, Result, Value};
use time::format_description::well_known::{Rfc2822, Rfc3339};
use time::{OffsetDateTime, UtcOffset};

use super::{read_json, text_arg, write_whole};

/// Counts the events in `args.input_path` into `args.output_path`.
#[expect(clippy::print_stdout, reason = "a task's output is its log")]
pub(super) fn calculate_stats(context: &Context) -> Result {
    let events = read_json(Path::new(text_arg(context, "input_path")?))?;
    let events = events.as_array().ok_or("the events are no array")?;
    let path = Path::new(text_arg(context, "output_path")?);
    let csv = stats(events)?;
    write_whole(path, csv.as_bytes())?;
    println!("Counted {} events into {}", events.len(), path.display());
    Ok(Outcome::Done)
}

/// The CSV. An error is a column that no event has.
fn stats(events: &[Value]) -> Result<String> {
    let (dates, form) = dates(column(events, "date")?);
    let users = column(events, "user")?;
    let mut counts = BTreeMap::<(Cell, Cell), u64>::new();
    for (date, user) in dates.into_iter().zip(users) {
        // An event without one of them is in no group.
        if let (Some(date), Some(user)) = (date, user) {
            *counts.entry((date, user)).or_default() += 1;
        }
    }
    let mut csv = "date,user,0\n".to_owned();
    for ((date, user), count) in counts {
        _ = writeln!(
            csv,
            "{},{},{count}",
            quoted(form.text(date)),
            quoted(user.text())
        );
    }
    Ok(csv)
}

/// A value to group and to order by; a column has cells of one kind only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cell {
    Number(i64),
    Text(String),
}

impl Cell {
    fn text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

/// What the events have under a key: whole numbers if all are, else texts.
fn column(events: &[Value], key: &str) -> Result<Vec<Option<Cell>>> {
    let values: Vec<Option<&Value>> = events.iter().map(|event| event.get(key)).collect();
    if !events.is_empty() && values.iter().all(Option::is_none) {
        return Err(format!("no event has a `{key}`").into());
    }
    let values = values
        .into_iter()
        .map(|value| value.filter(|value| **value != Value::Null));
    let texts: Vec<Option<String>> = values.map(|value| value.map(Value::to_text)).collect();
    let numbers = texts.iter().map(|text| {
        text.as_ref()
            .map(|text| text.parse().map(Cell::Number))
            .transpose()
    });
    let numbers: std::result::Result<Vec<_>, _> = numbers.collect();
    Ok(numbers.unwrap_or_else(|_| texts.into_iter().map(|text| text.map(Cell::Text)).collect()))
}

/// How the cells of a column of dates are written.
#[derive(Debug, PartialEq, Eq)]
enum Form {
    AsIs,
    /// Microseconds since 1970 on the clock of the offset, or of nobody knows where.
    Moment {
        offset: Option<UtcOffset>,
        only_days: bool,
        digits: usize,
    },
}

const DAY_US: i64 = 86_400_000_000;

/// A date that is understood.
struct Moment {
    /// Microseconds since 1970 on the clock that the date shows.
    clock_us: i64,
    /// The offset of that clock, if the date names one.
    offset: Option<UtcOffset>,
}

/// The dates as moments, if all of them are.
fn dates(column: Vec<Option<Cell>>) -> (Vec<Option<Cell>>, Form) {
    let unit_us = epoch_unit_us(&column);
    let read = |cell: &Cell| match cell {
        Cell::Number(number) => Some(Moment {
            clock_us: number.checked_mul(unit_us?)?,
            offset: None,
        }),
        Cell::Text(text) => moment(text),
    };
    let mut moments = Vec::with_capacity(column.len());
    for cell in &column {
        let moment = cell.as_ref().map(read);
        if let Some(None) = moment {
            return (column, Form::AsIs);
        }
        moments.push(moment.flatten());
    }
    let mut offsets = moments.iter().flatten().map(|moment| moment.offset);
    let offset = offsets.next().flatten();
    if offsets.any(|other| other != offset) {
        return (column, Form::AsIs);
    }
    let all_divisible = |by: i64| {
        let mut moments = moments.iter().flatten();
        moments.all(|moment| moment.clock_us % by == 0)
    };
    let digits = if all_divisible(1_000_000) {
        0
    } else if all_divisible(1_000) {
        3
    } else {
        6
    };
    let form = Form::Moment {
        offset,
        only_days: offset.is_none() && all_divisible(DAY_US),
        digits,
    };
    let cells = moments.into_iter();
    let cells = cells.map(|moment| moment.map(|moment| Cell::Number(moment.clock_us)));
    (cells.collect(), form)
}

/// Of numbers that can be moments, the microseconds that each counts; pandas takes numbers within the first year for
/// something else, and tries seconds first.
fn epoch_unit_us(column: &[Option<Cell>]) -> Option<i64> {
    const YEAR_S: i64 = 31_536_000;
    const SECONDS_MAX: i64 = i64::MAX / 1_000_000_000;
    let numbers = || {
        column.iter().flatten().filter_map(|cell| {
            if let Cell::Number(number) = cell {
                Some(*number)
            } else {
                None
            }
        })
    };
    if numbers().any(|number| number <= YEAR_S) {
        return None;
    }
    match numbers().max()? {
        ..=SECONDS_MAX => Some(1_000_000),
        max if max <= SECONDS_MAX * 1_000 => Some(1_000),
        _ => None,
    }
}

/// `Thu, 05 Jan 2023 00:00:00 GMT`, `2023-01-05`, `2023-01-05T00:00:00`, `2023-01-05 00:00:00.5+09:00`.
fn moment(text: &str) -> Option<Moment> {
    let at_offset = |at: OffsetDateTime| {
        let clock_ns =
            at.unix_timestamp_nanos() + i128::from(at.offset().whole_seconds()) * 1_000_000_000;
        Some(Moment {
            clock_us: i64::try_from(clock_ns / 1_000).ok()?,
            offset: Some(at.offset()),
        })
    };
    if let Ok(at) = OffsetDateTime::parse(text, &Rfc2822) {
        return at_offset(at);
    }
    let text = match text.len() {
        10 => format!("{text}T00:00:00"),
        _ => text.replacen(' ', "T", 1),
    };
    if let Ok(at) = OffsetDateTime::parse(&text, &Rfc3339) {
        return at_offset(at);
    }
    let at = OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339).ok()?;
    let moment = at_offset(at)?;
    Some(Moment {
        offset: None,
        ..moment
    })
}

impl Form {
    fn text(&self, date: Cell) -> String {
        let (
            Self::Moment {
                offset,
                only_days,
                digits,
            },
            Cell::Number(at_us),
        ) = (self, &date)
        else {
            return date.text();
        };
        let (second, us) = (at_us.div_euclid(1_000_000), at_us.rem_euclid(1_000_000));
        let Ok(at) = OffsetDateTime::from_unix_timestamp(second) else {
            return date.text();
        };
        let mut text = at.date().to_string();
        if !only_days {
            let (hour, minute, second) = at.to_hms();
            _ = write!(text, " {hour:02}:{minute:02}:{second:02}");
        }
        if *digits > 0 {
            _ = write!(text, ".{}", &format!("{us:06}")[..*digits]);
        }
        if let Some(offset) = offset {
            let sign = if offset.is_negative() { '-' } else { '+' };
            let (hours, minutes, _) = offset.as_hms();
            _ = write!(text, "{sign}{:02}:{:02}", hours.abs(), minutes.abs());
        }
        text
    }
}

/// A CSV field; in quotes only where it must be.
fn quoted(text: String) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_are_byte_for_byte_those_of_pandas() {
        let cases = Value::parse(include_str!("../tests/data/stats.json")).unwrap();
        let cases = cases.as_array().unwrap();
        assert!(cases.len() > 20);
        for case in cases {
            let events = case.get("events").and_then(Value::as_array).unwrap();
            let csv = case.get("csv").and_then(Value::as_str).unwrap();
            assert_eq!(stats(events).unwrap(), csv, "{}", case.get("name").unwrap());
        }
    }

    #[test]
    fn no_events_are_a_header_alone() {
        assert_eq!(stats(&[]).unwrap(), "date,user,0\n");
    }

    #[test]
    fn a_column_that_no_event_has_is_an_error() {
        let events = [Value::from([("date", "2023-01-05")])];
        assert_eq!(
            stats(&events).unwrap_err().to_string(),
            "no event has a `user`"
        );
    }

    #[test]
    fn no_date_makes_it_panic() {
        for date in [
            "",
            "가",
            "9999999999999999",
            "99999999999999999999",
            "+10000-01-01",
            "0000-00-00",
            "2023-01-05T",
        ] {
            let events = [Value::from([("date", date), ("user", "u")])];
            assert!(
                stats(&events).unwrap().starts_with("date,user,0\n"),
                "{date}"
            );
        }
    }
}
