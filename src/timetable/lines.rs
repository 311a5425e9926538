//! Crontab lines that were read before: a host with many DAGs has few different ones, and reading one takes as long as
//! the rest of a small DAG file.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::schedule::{Schedule, ScheduleError};

/// More different lines than this are not kept.
const LINES_MAX: usize = 1_000;

/// Reads schedules as [`Schedule::parse`] does, each crontab line once; DAGs with the same line share it.
#[derive(Debug, Default)]
pub struct Lines(RefCell<BTreeMap<Box<str>, Schedule>>);

impl Lines {
    /// Reads a crontab line or one of the words that stand for a schedule.
    pub fn parse(&self, text: &str) -> Result<Schedule, ScheduleError> {
        if let Some(known) = self.0.borrow().get(text) {
            return Ok(known.clone());
        }
        let schedule = Schedule::parse(text)?;
        let mut known = self.0.borrow_mut();
        if schedule.is_cron() && known.len() < LINES_MAX {
            known.insert(text.into(), schedule.clone());
        }
        Ok(schedule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_once_and_means_the_same_each_time() {
        let lines = Lines::default();
        for text in [
            "0 6 * * 1-5",
            "0 7 * * 1-5",
            "@daily",
            "@once",
            "@every 90m",
        ] {
            for _ in 0..2 {
                let read = Schedule::parse(text).expect(text);
                let known = lines.parse(text).expect(text);
                assert_eq!(format!("{known:?}"), format!("{read:?}"));
            }
        }
        assert_eq!(lines.0.borrow().len(), 3);
        lines
            .parse("0 25 * * *")
            .expect_err("there is no such hour");
    }

    #[test]
    fn no_more_are_kept_than_a_host_has_dag_files() {
        let lines = Lines::default();
        for line in 0..=LINES_MAX {
            let text = format!("{} {} {} * *", line % 60, line / 60 % 24, 1 + line / 1440);
            lines.parse(&text).expect("a line");
        }
        assert_eq!(lines.0.borrow().len(), LINES_MAX);
    }
}
