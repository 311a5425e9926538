//! What a run knows of itself: what templates stand for, and what every task finds in its environment.
//!
//! Dates are those of the DAG's zone. The forms are Airflow's: `ds` is `2026-11-22`, `ts` is
//! `2026-11-22T06:00:00+09:00`, `{{ logical_date }}` is `2026-11-22 06:00:00+09:00`; a date that the run does
//! not have is empty.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::hook::HookFacts;
use super::template::Variable;
use super::{HOOK_FIELDS, Value};
use crate::timetable::{Timestamp, Zone};

/// XComs take so much of an environment; of 2 MiB on most hosts.
pub const XCOM_ENV_BYTES_MAX: usize = 256 << 10;

/// The facts of one attempt.
#[derive(Clone, Copy, Debug)]
pub struct RunFacts<'a> {
    /// The DAG.
    pub dag_id: &'a str,
    /// The run.
    pub run_id: &'a str,
    /// The task.
    pub task_id: &'a str,
    /// The attempt, from 1.
    pub try_number: u32,
    /// What the run is named after.
    pub logical_date: Timestamp,
    /// The time that the run is about.
    pub data_interval: Option<(Timestamp, Timestamp)>,
    /// The end of the data interval of the last successful run before this one.
    pub prev_data_interval_end_success: Option<Timestamp>,
    /// The DAG's params, and over them those of the trigger.
    pub params: &'a BTreeMap<String, Value>,
    /// What the tasks before it have left, by their ids.
    pub xcoms: &'a BTreeMap<Arc<str>, Arc<Value>>,
    /// What a hook is told; `None` for a task.
    pub hook: Option<&'a HookFacts>,
    /// The secrets of its environment, by their variables.
    pub secrets: &'a BTreeMap<String, String>,
    /// The DAG's zone.
    pub zone: &'a Zone,
}

impl RunFacts<'_> {
    /// What a variable stands for. A param that the run lacks is empty, and so is what a task has not left.
    pub(super) fn value(&self, variable: &Variable) -> String {
        let interval_start = self.data_interval.map(|(start, _)| start);
        let interval_end = self.data_interval.map(|(_, end)| end);
        match variable {
            Variable::Ds => self.ts(self.logical_date)[..10].to_owned(),
            Variable::DsNodash => self.ts(self.logical_date)[..10].replace('-', ""),
            Variable::Ts => self.ts(self.logical_date),
            Variable::TsNodash => self.ts(self.logical_date)[..19].replace(['-', ':'], ""),
            Variable::LogicalDate => self.spaced(Some(self.logical_date)),
            Variable::DataIntervalStart => self.spaced(interval_start),
            Variable::DataIntervalEnd => self.spaced(interval_end),
            Variable::PrevDataIntervalEndSuccess => {
                self.spaced(self.prev_data_interval_end_success)
            }
            Variable::RunId => self.run_id.to_owned(),
            Variable::DagId => self.dag_id.to_owned(),
            Variable::TaskId => self.task_id.to_owned(),
            Variable::TryNumber => self.try_number.to_string(),
            Variable::Hook(field) => self.hook.map_or_else(String::new, |it| it[*field].clone()),
            Variable::Secret(name) => self.secrets.get(&**name).cloned().unwrap_or_default(),
            Variable::Param(_) | Variable::Xcom(_) => {
                self.json(variable).map_or_else(String::new, Value::to_text)
            }
        }
    }

    /// The JSON value that a variable stands for, if it is not only a text.
    pub(super) fn json(&self, variable: &Variable) -> Option<&Value> {
        match variable {
            Variable::Param(name) => self.params.get(&**name),
            Variable::Xcom(task_id) => self.xcoms.get(&**task_id).map(|xcom| &**xcom),
            Variable::Ds
            | Variable::DsNodash
            | Variable::Ts
            | Variable::TsNodash
            | Variable::LogicalDate
            | Variable::DataIntervalStart
            | Variable::DataIntervalEnd
            | Variable::PrevDataIntervalEndSuccess
            | Variable::RunId
            | Variable::DagId
            | Variable::TaskId
            | Variable::TryNumber
            | Variable::Hook(_)
            | Variable::Secret(_) => None,
        }
    }

    /// The variables that every task has in its environment, whatever else it is given. Dates are as `ts`;
    /// one that the run does not have is empty. XComs as `xcom_variables` says.
    pub fn environment(&self) -> Vec<(String, String)> {
        let date = |at: Option<Timestamp>| at.map_or_else(String::new, |at| self.ts(at));
        let params = Value::Object(self.params.clone());
        let own = [
            ("MINI_DAG_DAG_ID", self.dag_id.to_owned()),
            ("MINI_DAG_RUN_ID", self.run_id.to_owned()),
            ("MINI_DAG_TASK_ID", self.task_id.to_owned()),
            ("MINI_DAG_TRY_NUMBER", self.try_number.to_string()),
            ("MINI_DAG_LOGICAL_DATE", self.ts(self.logical_date)),
            (
                "MINI_DAG_DATA_INTERVAL_START",
                date(self.data_interval.map(|(start, _)| start)),
            ),
            (
                "MINI_DAG_DATA_INTERVAL_END",
                date(self.data_interval.map(|(_, end)| end)),
            ),
            ("MINI_DAG_PARAMS", params.to_string()),
        ];
        let own = own.into_iter();
        let mut environment: Vec<_> = own.map(|(name, value)| (name.to_owned(), value)).collect();
        environment.extend(self.xcom_variables());
        environment
    }

    /// `MINI_DAG_XCOM_` and a task's id, its letters in upper case and `_` for what is neither letter nor
    /// digit, for each task that has left something. Not there is what no environment can hold: two of one
    /// name, one with a NUL, and all that together with those before it takes more than
    /// [`XCOM_ENV_BYTES_MAX`].
    fn xcom_variables(&self) -> Vec<(String, String)> {
        let mut named: BTreeMap<String, Option<String>> = BTreeMap::new();
        let mut room = XCOM_ENV_BYTES_MAX;
        for (task_id, xcom) in self.xcoms {
            let letters = task_id.to_ascii_uppercase();
            let id = letters.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
            let text = xcom.to_text();
            let bytes = id.len() + text.len();
            let fits = bytes <= room && !text.contains('\0');
            room -= if fits { bytes } else { 0 };
            let entry = named.entry(format!("MINI_DAG_XCOM_{id}"));
            entry
                .and_modify(|text| *text = None)
                .or_insert(fits.then_some(text));
        }
        let there = |(name, text)| Some((name, text?));
        named.into_iter().filter_map(there).collect()
    }

    /// What a hook has in its environment beside that.
    pub fn hook_environment(&self) -> Vec<(String, String)> {
        let fields = HOOK_FIELDS.iter().zip(self.hook.into_iter().flatten());
        fields
            .map(|(field, value)| {
                let name = format!("MINI_DAG_HOOK_{}", field.to_ascii_uppercase());
                (name, value.clone())
            })
            .collect()
    }

    fn ts(&self, at: Timestamp) -> String {
        self.zone.local(at).to_string()
    }

    fn spaced(&self, at: Option<Timestamp>) -> String {
        at.map_or_else(String::new, |at| self.ts(at).replacen('T', " ", 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_finds_its_run_in_its_environment() {
        let params = BTreeMap::from([
            ("b".to_owned(), Value::from("\n")),
            ("a".to_owned(), Value::from(1)),
        ]);
        let xcoms = BTreeMap::new();
        let secrets = BTreeMap::new();
        let zone = Zone::from_posix("KST-9").expect("a zone");
        let mut facts = RunFacts {
            dag_id: "d",
            run_id: "r",
            task_id: "t",
            try_number: 1,
            logical_date: Timestamp::from_secs(0),
            data_interval: None,
            prev_data_interval_end_success: None,
            params: &params,
            xcoms: &xcoms,
            hook: None,
            secrets: &secrets,
            zone: &zone,
        };
        let lines = |facts: &RunFacts<'_>| -> Vec<String> {
            let environment = facts.environment().into_iter();
            environment
                .map(|(name, value)| format!("{name}={value}"))
                .collect()
        };
        assert_eq!(
            lines(&facts),
            [
                "MINI_DAG_DAG_ID=d",
                "MINI_DAG_RUN_ID=r",
                "MINI_DAG_TASK_ID=t",
                "MINI_DAG_TRY_NUMBER=1",
                "MINI_DAG_LOGICAL_DATE=1970-01-01T09:00:00+09:00",
                "MINI_DAG_DATA_INTERVAL_START=",
                "MINI_DAG_DATA_INTERVAL_END=",
                "MINI_DAG_PARAMS={\"a\":1,\"b\":\"\\n\"}",
            ]
        );
        facts.data_interval = Some((Timestamp::from_secs(0), Timestamp::from_secs(60)));
        assert_eq!(
            lines(&facts)[6],
            "MINI_DAG_DATA_INTERVAL_END=1970-01-01T09:01:00+09:00"
        );
    }

    #[test]
    fn the_environment_has_the_xcoms_that_it_can_hold() {
        let left = |pairs: &[(&str, Value)]| -> Vec<String> {
            let pairs = pairs.iter();
            let xcoms = pairs
                .map(|(task_id, xcom)| (Arc::from(*task_id), Arc::new(xcom.clone())))
                .collect();
            let facts = RunFacts {
                dag_id: "d",
                run_id: "r",
                task_id: "t",
                try_number: 1,
                logical_date: Timestamp::from_secs(0),
                data_interval: None,
                prev_data_interval_end_success: None,
                params: &BTreeMap::new(),
                xcoms: &xcoms,
                hook: None,
                secrets: &BTreeMap::new(),
                zone: &Zone::utc(),
            };
            let variables = facts.environment().into_iter().skip(8);
            variables
                .map(|(name, value)| format!("{name}={}", &value[..value.len().min(9)]))
                .collect()
        };
        assert_eq!(
            left(&[
                ("count-rows.v2", 5.into()),
                ("list", vec!["a", "b"].into()),
                ("text", "$(x)".into())
            ]),
            [
                "MINI_DAG_XCOM_COUNT_ROWS_V2=5",
                "MINI_DAG_XCOM_LIST=[\"a\",\"b\"]",
                "MINI_DAG_XCOM_TEXT=$(x)"
            ]
        );
        let long = || Value::from("x".repeat(64 << 10));
        let many = ["a", "b", "c", "d", "e"].map(|task_id| (task_id, long()));
        assert_eq!(left(&many).len(), 3);
        assert_eq!(
            left(&[("a-b", 1.into()), ("a.b", 2.into()), ("c", 3.into())]),
            ["MINI_DAG_XCOM_C=3"]
        );
        assert_eq!(left(&[("a", "\0".into())]), [""; 0]);
    }
}
