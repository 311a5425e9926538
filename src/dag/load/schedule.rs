//! When a DAG is due, out of JSON.

use super::super::check::id;
use super::super::date::{Moment, StartDate};
use super::super::diagnostic::Diagnostic;
use super::super::draft::Text;
use super::super::json::{Item, Kind};
use super::super::{Catchup, Overlap};
use super::Reader;
use super::item::{boolean_of, duration_of, member, number_of, text_of, texts_of};
use crate::timetable::{Schedule, ScheduleError};

impl Reader<'_, '_> {
    pub(super) fn schedule(&mut self, value: Item<'_>) -> Option<Schedule> {
        let lines = self.known.lines;
        match value.kind() {
            Kind::String => self.schedule_text(value, |text| lines.parse(text)),
            Kind::Array => {
                let mut schedules = Vec::new();
                for element in value
                    .elements()
                    .filter(|element| element.kind() == Kind::String)
                {
                    let schedule = self.schedule_text(element, |text| lines.parse(text))?;
                    if !schedule.is_cron() {
                        self.report
                            .error(Some(element.span()), "is no crontab line", || {
                                Diagnostic::new("a list of schedules may hold crontab lines only")
                            });
                        return None;
                    }
                    schedules.push(schedule);
                }
                self.made(value, Schedule::any_of(schedules))
            }
            Kind::Object => self.schedule_object(value),
            Kind::Null | Kind::True | Kind::False | Kind::Number => None,
        }
    }

    fn schedule_text(
        &mut self,
        item: Item<'_>,
        parse: impl FnOnce(&str) -> Result<Schedule, ScheduleError>,
    ) -> Option<Schedule> {
        let text = text_of(item)?;
        match parse(&text.text) {
            Ok(schedule) => Some(schedule),
            Err(error) => {
                self.report.error(text.part(error.span), error.label, || {
                    Diagnostic::new(error.message).help(error.help)
                });
                None
            }
        }
    }

    /// A schedule that was made of something else than a text.
    fn made(&mut self, item: Item<'_>, made: Result<Schedule, ScheduleError>) -> Option<Schedule> {
        made.map_err(|error| {
            self.report.error(Some(item.span()), error.label, || {
                Diagnostic::new(error.message).help(error.help)
            });
        })
        .ok()
    }

    fn schedule_object(&mut self, value: Item<'_>) -> Option<Schedule> {
        let [every, cron, after] = ["every", "cron", "after"].map(|key| member(value, key));
        for option in ["seconds", "timezone"] {
            let given = value.members().find(|(key, _)| key.text() == option);
            if let (Some((key, _)), None) = (given, cron) {
                self.report.error(Some(key.span()), "", || {
                    Diagnostic::new(format!("`{option}` belongs to `cron`"))
                });
            }
        }
        match (every, cron, after) {
            (Some(every), None, None) => {
                let period = duration_of(every)?;
                self.made(every, Schedule::every(period))
            }
            (None, Some(cron), None) => {
                let seconds = member(value, "seconds").and_then(boolean_of);
                let parse = if seconds == Some(true) {
                    Schedule::cron_with_seconds
                } else {
                    Schedule::parse
                };
                self.schedule_text(cron, parse)
            }
            (None, None, Some(after)) => {
                let dag_ids = self::after(value);
                for dag_id in &dag_ids {
                    id(dag_id, "DAG", &mut self.report);
                }
                let dag_ids = dag_ids.into_iter().map(|dag_id| dag_id.text);
                self.made(after, Schedule::after_dags(dag_ids.collect()))
            }
            _ => {
                self.report.error(Some(value.span()), "", || {
                    Diagnostic::new("a schedule is one of `every`, `cron` and `after`")
                        .help("{\"every\": \"90m\"}, {\"cron\": \"0 6 * * *\"} or {\"after\": [\"other_dag\"]}".to_owned())
                });
                None
            }
        }
    }
}

/// The DAGs that a schedule names.
pub(super) fn after(schedule: Item<'_>) -> Vec<Text> {
    member(schedule, "after").map_or(Vec::new(), texts_of)
}

pub(super) fn start_date(value: Item<'_>) -> Option<StartDate> {
    match member(value, "days_ago") {
        Some(days) => number_of(days).map(StartDate::DaysAgo),
        None => Moment::parse(&value.text()).map(StartDate::Moment),
    }
}

pub(super) fn catchup(value: Item<'_>) -> Catchup {
    match &*value.text() {
        "true" | "all" => Catchup::All,
        "none" => Catchup::None,
        _ => member(value, "max_runs")
            .and_then(number_of)
            .map_or(Catchup::Latest, Catchup::AtMost),
    }
}

pub(super) fn overlap(word: &str) -> Overlap {
    match word {
        "skip" => Overlap::Skip,
        "cancel" => Overlap::Cancel,
        _ => Overlap::Queue,
    }
}
