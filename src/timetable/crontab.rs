//! A crontab line as Debian's cron reads it, as sets of numbers.
//!
//! Source: Debian cron 3.0pl1 (`entry.c`). A list of numbers, names, ranges, and `*` or ranges with a step; 0 and 7 are
//! Sunday; where Vixie's code skips over what it does not understand (`5/15`, `*5`), Debian and we refuse it.
//! After `parse` returns Ok: every set has a member, and the line names a date that comes.

use std::ops::Range;

use super::duration::excerpt;
use super::schedule::ScheduleError;

/// One field of a line: its name, its bounds, and the names of its values from `low` on.
struct Field {
    name: &'static str,
    low: u32,
    high: u32,
    names: &'static [&'static str],
}

const SECOND: Field = field("second", 0, 59, &[]);
const MINUTE: Field = field("minute", 0, 59, &[]);
const HOUR: Field = field("hour", 0, 23, &[]);
const DAY_OF_MONTH: Field = field("day of month", 1, 31, &[]);
const MONTH: Field = field(
    "month",
    1,
    12,
    &[
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ],
);
const DAY_OF_WEEK: Field = field(
    "day of week",
    0,
    7,
    &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
);

const fn field(name: &'static str, low: u32, high: u32, names: &'static [&'static str]) -> Field {
    Field {
        name,
        low,
        high,
        names,
    }
}

/// The most days a month can have, January first.
const MONTH_DAYS_MAX: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// A set of small numbers, and whether its text begins with `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Set {
    bits: u64,
    pub(super) star: bool,
}

impl Set {
    pub(super) fn contains(self, number: u32) -> bool {
        self.bits >> number & 1 == 1
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u32> {
        (0..64).filter(move |&number| self.contains(number))
    }
}

/// The fields of one line. Sunday is in `days_of_week` as 0 and never as 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) seconds: Set,
    pub(super) minutes: Set,
    pub(super) hours: Set,
    pub(super) days_of_month: Set,
    pub(super) months: Set,
    pub(super) days_of_week: Set,
}

impl Fields {
    /// Five fields, or six with the seconds first when `with_seconds`; blanks are spaces and tabs.
    pub(super) fn parse(text: &str, with_seconds: bool) -> Result<Self, ScheduleError> {
        let spans = words(text);
        let expected = if with_seconds { 6 } else { 5 };
        if spans.len() != expected {
            return Err(wrong_count(text, &spans, with_seconds));
        }
        let (second, rest) = if with_seconds {
            (Some(&spans[0]), &spans[1..])
        } else {
            (None, &spans[..])
        };
        let read = |field: &Field, span: &Range<usize>| Reader { text, field }.set(span.clone());
        let seconds = second.map_or(
            Ok(Set {
                bits: 1,
                star: false,
            }),
            |span| read(&SECOND, span),
        )?;
        let mut fields = Self {
            seconds,
            minutes: read(&MINUTE, &rest[0])?,
            hours: read(&HOUR, &rest[1])?,
            days_of_month: read(&DAY_OF_MONTH, &rest[2])?,
            months: read(&MONTH, &rest[3])?,
            days_of_week: read(&DAY_OF_WEEK, &rest[4])?,
        };
        if fields.days_of_week.contains(7) {
            fields.days_of_week.bits = fields.days_of_week.bits & !(1 << 7) | 1;
        }
        if !fields.either_day() && !fields.has_date() {
            return Err(ScheduleError::new(
                text,
                rest[2].start..rest[3].end,
                "this date never comes: day of month must be 1 to 31 and in one of the months",
            ));
        }
        Ok(fields)
    }

    /// Whether a day is due when *either* its day of month or its day of week is, rather than when both are:
    /// when neither field begins with `*`.
    pub(super) fn either_day(&self) -> bool {
        !self.days_of_month.star && !self.days_of_week.star
    }

    /// Whether one of the months has one of the days of the month.
    pub(super) fn has_date(&self) -> bool {
        (1..=12).zip(MONTH_DAYS_MAX).any(|(month, days)| {
            self.months.contains(month) && (1..=days).any(|day| self.days_of_month.contains(day))
        })
    }

    /// Whether the line counts elapsed time (its minute or hour begins with `*`) rather than naming times of day.
    pub(super) fn counts_elapsed_time(&self) -> bool {
        self.minutes.star || self.hours.star
    }
}

/// Reads one field.
struct Reader<'a> {
    text: &'a str,
    field: &'a Field,
}

impl Reader<'_> {
    /// A list: elements with commas between them.
    fn set(&self, span: Range<usize>) -> Result<Set, ScheduleError> {
        let field_text = &self.text[span.clone()];
        let mut bits = 0;
        let mut at = span.start;
        for element in field_text.split(',') {
            bits |= self.element(at..at + element.len())?;
            at += element.len() + 1;
        }
        Ok(Set {
            bits,
            star: field_text.starts_with('*'),
        })
    }

    /// `*`, a value or a range; the first and the last with a step if need be.
    fn element(&self, span: Range<usize>) -> Result<u64, ScheduleError> {
        let element = &self.text[span.clone()];
        let (values, step) = match element.split_once('/') {
            Some((values, step)) => (values, Some(step)),
            None => (element, None),
        };
        let values_span = span.start..span.start + values.len();
        let (first, last) = if values == "*" {
            (self.field.low, self.field.high)
        } else if let Some(dash) = values.find('-') {
            let dash = span.start + dash;
            let (first, last) = (
                self.value(span.start..dash)?,
                self.value(dash + 1..values_span.end)?,
            );
            if first > last {
                return Err(self.backwards(values_span, first, last));
            }
            (first, last)
        } else {
            let value = self.value(values_span)?;
            if step.is_some() {
                return Err(self
                    .fail(span, "a step needs a range or `*` before it")
                    .with_help(format!(
                        "write `{value}-{}{}`",
                        self.field.high,
                        &element[values.len()..]
                    )));
            }
            (value, value)
        };
        let step = match step {
            Some(step) => self.step(span.end - step.len()..span.end)?,
            None => 1,
        };
        Ok((first..=last)
            .step_by(step)
            .fold(0, |bits, value| bits | 1 << value))
    }

    fn value(&self, span: Range<usize>) -> Result<u32, ScheduleError> {
        let word = &self.text[span.clone()];
        if word.is_empty() {
            return Err(self.fail(span, "a value is missing here"));
        }
        if let Some(place) = self
            .field
            .names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(word))
        {
            return Ok((self.field.low..).nth(place).unwrap_or(self.field.low));
        }
        number(word)
            .filter(|value| (self.field.low..=self.field.high).contains(value))
            .ok_or_else(|| ScheduleError::new(self.text, span, &self.range()))
    }

    fn step(&self, span: Range<usize>) -> Result<usize, ScheduleError> {
        number(&self.text[span.clone()])
            .filter(|&step| step > 0)
            .and_then(|step| usize::try_from(step).ok())
            .ok_or_else(|| self.fail(span, "a step must be a whole number from 1 on"))
    }

    fn backwards(&self, span: Range<usize>, first: u32, last: u32) -> ScheduleError {
        let Field { low, high, .. } = *self.field;
        let from_low = if last == low {
            low.to_string()
        } else {
            format!("{low}-{last}")
        };
        self.fail(span, "this range runs backwards")
            .with_help(format!("write `{first}-{high},{from_low}`"))
    }

    fn fail(&self, span: Range<usize>, what: &str) -> ScheduleError {
        ScheduleError::new(self.text, span, &format!("{what}; {}", self.range()))
    }

    fn range(&self) -> String {
        let Field {
            name, low, high, ..
        } = self.field;
        let numbers = format!("{name} must be {low} to {high}");
        match self.field.names {
            [first, .., last] => format!("{numbers} or {first} to {last}"),
            [] | [_] => numbers,
        }
    }
}

/// A whole number in ASCII digits; what does not fit is as far out of every range as it can be.
fn number(word: &str) -> Option<u32> {
    (!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| word.parse().unwrap_or(u32::MAX))
}

/// The byte ranges of the words between blanks.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut at = 0;
    let mut spans = Vec::new();
    for word in text.split([' ', '\t']) {
        if !word.is_empty() {
            spans.push(at..at + word.len());
        }
        at += word.len() + 1;
    }
    spans
}

fn wrong_count(text: &str, spans: &[Range<usize>], with_seconds: bool) -> ScheduleError {
    let fields = "minute (0 to 59), hour (0 to 23), day of month (1 to 31), month (1 to 12), day of week (0 to 7)";
    let (expected, first) = if with_seconds {
        (6, "second (0 to 59), ")
    } else {
        (5, "")
    };
    let found = spans.len();
    // Where the surplus begins, or where the next field should be.
    let span = match spans.get(expected) {
        Some(surplus) => surplus.start..spans[found - 1].end,
        None => spans.last().map_or(0..0, |last| last.end..last.end),
    };
    let error = ScheduleError::new(
        text,
        span,
        &format!("expected {expected} fields, found {found}: {first}{fields}"),
    );
    if !with_seconds && found == 6 {
        error.with_help(format!(
            "a leading seconds field needs the object form: {{\"cron\": \"{}\", \"seconds\": true}}",
            excerpt(text)
        ))
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(field: &str, place: usize) -> Vec<u32> {
        let mut line = ["*"; 6];
        line[place] = field;
        let fields = Fields::parse(&line.join(" "), true).expect(field);
        let set = [
            fields.seconds,
            fields.minutes,
            fields.hours,
            fields.days_of_month,
            fields.months,
            fields.days_of_week,
        ][place];
        set.iter().collect()
    }

    #[test]
    fn fields_are_read_as_debians_cron_reads_them() {
        for (field, place, expected) in [
            ("*/20", 0, vec![0, 20, 40]),
            ("59", 0, vec![59]),
            ("*/25", 1, vec![0, 25, 50]),
            ("*/60", 1, vec![0]),
            ("*/4294967296", 1, vec![0]),
            ("10-20/5,07,7", 1, vec![7, 10, 15, 20]),
            ("8-8/6", 2, vec![8]),
            ("22-23,0-2", 2, vec![0, 1, 2, 22, 23]),
            ("*,5", 2, (0..24).collect()),
            ("*/10", 3, vec![1, 11, 21, 31]),
            ("*/3", 4, vec![1, 4, 7, 10]),
            ("jan-mar,DEC,nov", 4, vec![1, 2, 3, 11, 12]),
            ("jan-3/2", 4, vec![1, 3]),
            ("0", 5, vec![0]),
            ("7", 5, vec![0]),
            ("5-7", 5, vec![0, 5, 6]),
            ("Sun,mon-FRI", 5, vec![0, 1, 2, 3, 4, 5]),
            ("*/7", 5, vec![0]),
            ("*/2", 5, vec![0, 2, 4, 6]),
            ("1-7/3", 5, vec![0, 1, 4]),
        ] {
            assert_eq!(numbers(field, place), expected, "{field}");
        }
    }

    #[test]
    fn a_day_needs_both_day_fields_if_one_begins_with_a_star() {
        for (line, either) in [
            ("0 0 13 * 5", true),
            ("0 0 * * 5", false),
            ("0 0 13 * *", false),
            ("0 0 */2 * 5", false),
            ("0 0 13 * */2", false),
            ("0 0 *,13 * 5", false),
            ("0 0 13,* * 5", true),
            ("0 0 1-31 * 5", true),
        ] {
            let fields = Fields::parse(line, false).expect(line);
            assert_eq!(fields.either_day(), either, "{line}");
        }
    }

    #[test]
    fn a_date_that_comes_seldom_is_a_date() {
        for line in ["0 0 29 2 *", "0 0 31 2,3 *", "0 0 30 2 1", "0 0 */31 2 *"] {
            assert!(Fields::parse(line, false).is_ok(), "{line}");
        }
    }
}
