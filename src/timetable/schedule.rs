//! The forms a schedule can have, and how each is written.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use super::duration::{DURATION_MAX, duration_text, excerpt, parse_duration};
use super::suggest::nearest;
use super::wall::CronLine;

/// When a DAG is due, apart from its zone and its dates (see [`super::Timetable`]).
///
/// `Display` gives the text for lists: the line as it was written (`0 6 * * 1-5`, `@daily`), `every 1h30m`,
/// several lines with `; ` between them, `after a, b`.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// At the wall-clock times of one or more crontab lines; a moment that two of them name is one.
    Cron(CronLines),
    /// Again and again after this much elapsed time, whatever the wall clock does.
    Every(Period),
    /// One run, as soon as the start date has passed.
    Once,
    /// One run per boot of the host.
    Reboot,
    /// The next run starts when the last one has ended.
    Continuous,
    /// When each of these DAGs has had a successful run since this DAG's last. Never empty.
    AfterDags(Vec<String>),
}

/// The lines of a cron schedule, never none. Made by [`Schedule::parse`] and its sisters.
#[derive(Clone, Debug)]
pub struct CronLines(Vec<CronLine>);

/// The period of a schedule: 1 s to 100 years. Made by [`Schedule::every`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(Duration);

impl CronLines {
    pub(super) fn as_slice(&self) -> &[CronLine] {
        &self.0
    }

    /// Whether each line counts elapsed time, as one does whose minute or hour begins with `*`, rather than naming times
    /// of day. It decides what a change of the clocks does to it.
    pub fn count_elapsed_time(&self) -> impl Iterator<Item = bool> {
        self.0.iter().map(CronLine::counts_elapsed_time)
    }
}

impl Period {
    /// 1 s to 100 years, in whole milliseconds.
    pub fn get(self) -> Duration {
        self.0
    }
}

/// The text is not a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleError {
    /// What is wrong with the whole: "`0 25 * * 1-5` is not a schedule".
    pub message: String,
    /// The bytes of the text that are at fault; empty where something is missing.
    pub span: Range<usize>,
    /// What is wrong with them, with the field and its range: "hour must be 0 to 23".
    pub label: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// What most errors offer: the way to see what a line means.
const HELP: &str = "`mini-dag next '<schedule>'` prints the next dates";

/// The presets that stand for a crontab line.
const PRESETS: [(&str, &str); 8] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@quarterly", "0 0 1 */3 *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

impl ScheduleError {
    pub(super) fn new(text: &str, span: Range<usize>, label: &str) -> Self {
        Self {
            message: format!("`{}` is not a schedule", excerpt(text)),
            span,
            label: label.to_owned(),
            help: Some(HELP.to_owned()),
        }
    }

    pub(super) fn with_help(self, help: String) -> Self {
        Self {
            help: Some(help),
            ..self
        }
    }
}

/// In one line, for logs: "`0 25 * * 1-5` is not a schedule: hour must be 0 to 23 (byte 3)".
impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = self.span.start + 1;
        write!(f, "{}: {} (byte {column})", self.message, self.label)
    }
}

impl std::error::Error for ScheduleError {}

impl Schedule {
    /// Reads a five-field crontab line or one of `@hourly @daily @midnight @weekly @monthly @quarterly @yearly @annually
    /// @once @reboot @continuous` or `@every 90m`. Blanks around it are ignored.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let word = text.trim_matches([' ', '\t']);
        if word.starts_with('@') {
            return preset(text, word);
        }
        Ok(Self::Cron(CronLines(vec![CronLine::parse(
            text, word, false,
        )?])))
    }

    /// Reads a six-field crontab line, the seconds first.
    pub fn cron_with_seconds(text: &str) -> Result<Self, ScheduleError> {
        let word = text.trim_matches([' ', '\t']);
        Ok(Self::Cron(CronLines(vec![CronLine::parse(
            text, word, true,
        )?])))
    }

    /// Every so much elapsed time: 1 s to 100 years, in whole milliseconds (what is below is dropped).
    ///
    /// The span of an error is empty: it is for the caller to say where the duration came from.
    pub fn every(period: Duration) -> Result<Self, ScheduleError> {
        let text = duration_text(period);
        let period = Duration::from_millis(u64::try_from(period.as_millis()).unwrap_or(u64::MAX));
        if (Duration::from_secs(1)..=DURATION_MAX).contains(&period) {
            Ok(Self::Every(Period(period)))
        } else {
            Err(ScheduleError::new(
                &format!("every {text}"),
                0..0,
                "period must be 1s to 100 years (36525d)",
            ))
        }
    }

    /// All the lines of several cron schedules. An empty list, or a schedule in it that is not cron
    /// (see [`Schedule::is_cron`]), is an error; its span is empty.
    pub fn any_of(schedules: Vec<Self>) -> Result<Self, ScheduleError> {
        let mut lines = Vec::new();
        for schedule in schedules {
            match schedule {
                Self::Cron(CronLines(more)) => lines.extend(more),
                other @ (Self::Every(_)
                | Self::Once
                | Self::Reboot
                | Self::Continuous
                | Self::AfterDags(_)) => {
                    return Err(ScheduleError::new(
                        &other.to_string(),
                        0..0,
                        "a list may hold crontab lines only",
                    ));
                }
            }
        }
        if lines.is_empty() {
            return Err(ScheduleError::new(
                "[]",
                0..0,
                "a list must hold a crontab line",
            ));
        }
        Ok(Self::Cron(CronLines(lines)))
    }

    /// After each of these DAGs has succeeded. An empty list is an error; its span is empty.
    pub fn after_dags(dag_ids: Vec<String>) -> Result<Self, ScheduleError> {
        if dag_ids.is_empty() {
            return Err(ScheduleError::new("[]", 0..0, "`after` must name a DAG"));
        }
        Ok(Self::AfterDags(dag_ids))
    }

    /// Whether it may stand in a list of several.
    pub fn is_cron(&self) -> bool {
        matches!(self, Self::Cron(_))
    }
}

/// A word that begins with `@`; `text` is what it stands in.
fn preset(text: &str, word: &str) -> Result<Schedule, ScheduleError> {
    let at = text.len() - text.trim_start_matches([' ', '\t']).len();
    if let Some((_, line)) = PRESETS.iter().find(|(name, _)| *name == word) {
        return Ok(Schedule::Cron(CronLines(vec![CronLine::parse(
            line, word, false,
        )?])));
    }
    match word {
        "@once" => return Ok(Schedule::Once),
        "@reboot" => return Ok(Schedule::Reboot),
        "@continuous" => return Ok(Schedule::Continuous),
        _ => {}
    }
    let (name, period) = word.split_once([' ', '\t']).unwrap_or((word, ""));
    if name == "@every" {
        let period = period.trim_start_matches([' ', '\t']);
        let period_at = at + word.len() - period.len();
        let place = |span: Range<usize>, label: &str| {
            ScheduleError::new(text, period_at + span.start..period_at + span.end, label)
        };
        let duration = parse_duration(period).map_err(|error| place(error.span, &error.label))?;
        return Schedule::every(duration).map_err(|error| place(0..period.len(), &error.label));
    }
    let names = || {
        let others = ["@once", "@reboot", "@continuous", "@every"];
        PRESETS.iter().map(|(name, _)| *name).chain(others)
    };
    let (span, label) = if names().any(|known| known == name) {
        (
            at + name.len()..at + word.len(),
            "nothing may follow a preset",
        )
    } else {
        (at..at + name.len(), "unknown preset")
    };
    let error = ScheduleError::new(text, span, label);
    Err(match nearest(name, names()) {
        Some(known) if known != name => error.with_help(format!("did you mean `{known}`?")),
        Some(_) => error,
        None => error.with_help(format!(
            "the presets are {}",
            names().collect::<Vec<_>>().join(", ")
        )),
    })
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron(lines) => {
                let texts: Vec<&str> = lines.0.iter().map(CronLine::text).collect();
                f.write_str(&texts.join("; "))
            }
            Self::Every(period) => write!(f, "every {}", duration_text(period.0)),
            Self::Once => f.write_str("@once"),
            Self::Reboot => f.write_str("@reboot"),
            Self::Continuous => f.write_str("@continuous"),
            Self::AfterDags(dag_ids) => write!(f, "after {}", dag_ids.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_listed_as_they_were_written() {
        for (text, shown) in [
            ("0 6 * * 1-5", "0 6 * * 1-5"),
            (" 0 6 * * mon-FRI\t", "0 6 * * mon-FRI"),
            ("@hourly", "@hourly"),
            ("@daily", "@daily"),
            ("@midnight", "@midnight"),
            ("@weekly", "@weekly"),
            ("@monthly", "@monthly"),
            ("@quarterly", "@quarterly"),
            ("@yearly", "@yearly"),
            ("@annually", "@annually"),
            ("@once", "@once"),
            ("@reboot", "@reboot"),
            ("@continuous", "@continuous"),
            ("@every 90m", "every 1h30m"),
            (" @every \t 1s ", "every 1s"),
        ] {
            assert_eq!(Schedule::parse(text).expect(text).to_string(), shown);
        }
        let lines = ["0 6 * * 1-5", "@daily"].map(|line| Schedule::parse(line).expect(line));
        let several = Schedule::any_of(lines.to_vec()).expect("two lines");
        assert_eq!(several.to_string(), "0 6 * * 1-5; @daily");
        let after = Schedule::after_dags(vec!["a".to_owned(), "b".to_owned()]).expect("two DAGs");
        assert_eq!(after.to_string(), "after a, b");
        let seconds = Schedule::cron_with_seconds("*/10 * * * * *").expect("six fields");
        assert_eq!(seconds.to_string(), "*/10 * * * * *");
    }
}
