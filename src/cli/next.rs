//! `mini-dag next`: when a DAG, or a schedule that is not in any DAG yet, is due.
//!
//! The clock is read once, in [`next`]; what is printed follows from a [`Coming`] alone. Which fires there are, and what
//! their runs are named after, the scheduler says.

use std::fmt::Write;
use std::iter::successors;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command, value_parser};

use super::{Context, Failure, terminal};
use crate::daemon::clock;
use crate::daemon::zones::Zones;
use crate::dag::diagnostic::{Source, Span, printable};
use crate::dag::{Dag, Diagnostic, Moment, StartDate, TimetableKind, Value};
use crate::scheduler;
use crate::timetable::{CronLines, Schedule, Timestamp, Timetable, Transition, Zone, suggest_zone};

/// What is asked for.
struct Coming {
    /// The schedule, after the DAG's id if it is a DAG's.
    title: String,
    zone: Zone,
    /// Fires at this moment or later are meant.
    from: Timestamp,
    /// None without a schedule.
    timetable: Option<Timetable>,
    kind: TimetableKind,
    /// Whether the fires hang on when the DAG was first seen, which is taken to be `from`.
    depends_on_first_seen: bool,
    begins_paused: bool,
}

pub(super) fn command() -> Command {
    Command::new("next")
        .about("Show when a DAG or a schedule is due")
        .long_about(
            "Shows the coming fires of a DAG or of a schedule, and what daylight saving time does to them. Needs \
             no daemon.",
        )
        .after_help(
            "Examples:\n  mini-dag next '0 6 * * 1-5'\n  mini-dag next @daily --timezone Europe/Berlin --from 2026-03-28\n  \
             mini-dag next '@every 90m' -n 3\n  mini-dag next dags/sensor_log.json --json",
        )
        .arg(
            Arg::new("dag")
                .value_name("DAG|SCHEDULE|FILE")
                .required(true)
                .help("The id of a DAG, a crontab line or preset, or the path of a DAG file"),
        )
        .arg(
            Arg::new("count")
                .short('n')
                .value_name("N")
                .default_value("10")
                .value_parser(value_parser!(u32).range(1..=10_000))
                .help("How many"),
        )
        .arg(
            Arg::new("from")
                .long("from")
                .value_name("DATE")
                .help("At this moment or later; without an offset it is in the schedule's zone [default: now]"),
        )
        .arg(
            Arg::new("timezone")
                .long("timezone")
                .value_name("ZONE")
                .help("Read the schedule in this zone [default: the DAG's, else the host's]"),
        )
        .arg(super::dags_arg())
        .arg(
            super::json_arg().help("Print an array with run_after, logical_date and data interval of each, in UTC"),
        )
}

pub(super) fn next(context: &Context, matches: &ArgMatches) -> Result<(), Failure> {
    let coming = coming(context, matches, clock::now().wall.truncated_to_secs())?;
    let count = matches.get_one("count").map_or(10, |count: &u32| *count);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let text = if matches.get_flag("json") {
        coming.json(count)
    } else {
        coming.text(count)
    };
    terminal::print(&text)
}

fn coming(context: &Context, matches: &ArgMatches, now: Timestamp) -> Result<Coming, Failure> {
    let word = |name| matches.get_one::<String>(name);
    let zones = &context.library.zones;
    let zone = word("timezone").map(|name| named_zone(zones, name));
    let zone = zone.transpose()?;
    let from = |zone: &Zone| word("from").map_or(Ok(now), |text| moment(text, zone));
    let asked = word("dag").map_or("", String::as_str);
    if is_schedule(asked) {
        let schedule = Schedule::parse(asked).map_err(|error| {
            let span = Span::new(error.span.start, error.span.end);
            // Its usual help is this very command.
            let help = error.help.filter(|help| !help.contains("mini-dag next"));
            Diagnostic::new(error.message)
                .at(&Source::new("<schedule>", asked), span, error.label)
                .help(help)
        })?;
        let zone = zone.unwrap_or_else(|| zones.local());
        let from = from(&zone)?;
        return Ok(Coming {
            title: schedule.to_string(),
            depends_on_first_seen: matches!(schedule, Schedule::Every(_) | Schedule::Once),
            timetable: Some(Timetable {
                schedule,
                zone: zone.clone(),
                start: None,
                end: None,
                anchor: from,
            }),
            kind: TimetableKind::Trigger,
            begins_paused: false,
            zone,
            from,
        });
    }
    let mut dag = Dag::clone(&*context.find(asked, matches)?);
    let zone = zone.or(dag.timezone).unwrap_or_else(|| zones.local());
    dag.timezone = Some(zone.clone());
    let from = from(&zone)?;
    let schedule = dag.schedule.as_ref();
    let shown = schedule.map_or("by hand".to_owned(), ToString::to_string);
    let has_date = matches!(dag.start_date, Some(StartDate::Moment(_)));
    let depends = matches!(schedule, Some(Schedule::Every(_) | Schedule::Once));
    Ok(Coming {
        title: format!("{}  ({shown})", dag.dag_id),
        timetable: scheduler::timetable(&dag, from),
        kind: dag.timetable,
        begins_paused: dag.is_paused_upon_creation,
        depends_on_first_seen: depends && !has_date,
        zone,
        from,
    })
}

/// Whether a word of the command line is a schedule: ids hold no blank, no `@` and no `*`.
fn is_schedule(text: &str) -> bool {
    let is_file = std::path::Path::new(text)
        .extension()
        .is_some_and(|extension| extension == "json");
    !is_file && (text.is_empty() || text.starts_with('@') || text.contains([' ', '\t', '*']))
}

fn named_zone(zones: &Zones, name: &str) -> Result<Zone, Failure> {
    zones.get(name).ok_or_else(|| {
        let names = zones.names();
        let found = suggest_zone(name, names.iter().map(String::as_str));
        let help = found.map_or_else(
            || "zones are named as in Europe/Berlin".to_owned(),
            |found| format!("did you mean `{found}`?"),
        );
        Diagnostic::new(format!("unknown time zone `{}`", printable(name)))
            .at(
                &Source::new("--timezone", name),
                Span::new(0, name.len()),
                "this host has no such zone",
            )
            .help(help)
            .into()
    })
}

fn moment(text: &str, zone: &Zone) -> Result<Timestamp, Failure> {
    let moment = Moment::parse(text).map(|moment| moment.instant(zone));
    moment.ok_or_else(|| {
        let help = "write 2026-11-22, 2026-11-22T06:00 or 2026-11-22T06:00:00+01:00".to_owned();
        let diagnostic = Diagnostic::new(format!("`{}` is not a date", printable(text)))
            .at(
                &Source::new("--from", text),
                Span::new(0, text.len()),
                "no calendar has it",
            )
            .help(help);
        Failure::Usage(diagnostic.into())
    })
}

impl Coming {
    fn fires(&self) -> impl Iterator<Item = Timestamp> {
        let timetable = self.timetable.as_ref();
        let next = move |after| timetable?.next_after(after);
        // A DAG that is first seen now waits a whole period; anything else may be due at once.
        let waits = timetable.is_some_and(|timetable| {
            matches!(timetable.schedule, Schedule::Every(_)) && timetable.start.is_none()
        });
        let after = self.from.millis() - i64::from(!waits);
        successors(next(Timestamp::from_millis(after)), move |fire| next(*fire))
    }

    fn json(&self, count: usize) -> String {
        let date = |moment: Timestamp| Value::String(moment.to_string());
        let run = |fire| {
            let timetable = self.timetable.as_ref()?;
            let (logical_date, (begin, end)) =
                scheduler::run_dates(self.kind, timetable, None, fire);
            let members = [
                ("run_after", fire),
                ("logical_date", logical_date),
                ("data_interval_start", begin),
                ("data_interval_end", end),
            ];
            let members = members.map(|(name, moment)| (name.to_owned(), date(moment)));
            Some(Value::Object(members.into()))
        };
        let runs = self.fires().take(count).filter_map(run).collect();
        format!("{}\n", Value::Array(runs))
    }

    fn text(&self, count: usize) -> String {
        let mut text = match self.words() {
            Some(words) => format!("{}\n\n{words}\n", printable(&self.title)),
            None => self.calendar(count),
        };
        if self.begins_paused {
            text.push_str("\nIt begins paused: nothing starts before `mini-dag unpause`.\n");
        }
        text
    }

    fn calendar(&self, count: usize) -> String {
        let title = printable(&self.title);
        let zone = printable(self.zone.name());
        let mut text = format!(
            "{title}  in {zone}, from {}\n\n",
            self.zone.local(self.from)
        );
        let fires: Vec<Timestamp> = self.fires().take(count).collect();
        let shown = |fire: &Timestamp| self.zone.local(*fire).to_string();
        let whole_minutes = fires.iter().all(|fire| &shown(fire)[17..19] == "00");
        let mut told = self.from;
        for fire in &fires {
            while let Some(change) = self.zone.next_transition(told)
                && change.at <= *fire
            {
                let _ = writeln!(text, "{}", self.change(change));
                told = change.at;
            }
            let (local, shown) = (self.zone.local(*fire), shown(fire));
            let weekday = &local.date_time.weekday().to_string()[..3];
            let time = &shown[11..if whole_minutes { 16 } else { 19 }];
            let offset = &shown[shown.rfind(['+', '-']).unwrap_or(19)..];
            let _ = writeln!(
                text,
                "{weekday} {} {time}  {offset} {:5}  {}",
                &shown[..10],
                printable(local.abbreviation),
                distance(fire.since(self.from))
            );
        }
        if fires.len() < count {
            let _ = writeln!(text, "{}", self.no_more(fires.is_empty()));
        }
        if self.depends_on_first_seen {
            let from = self.zone.local(self.from);
            let _ = writeln!(text, "\nAs if a daemon first saw it at {from}.");
        }
        text
    }

    /// What is said of a schedule that no clock decides.
    fn words(&self) -> Option<String> {
        let Some(timetable) = &self.timetable else {
            return Some("It runs only when somebody asks for it: `mini-dag trigger`.".to_owned());
        };
        match &timetable.schedule {
            Schedule::Reboot => Some(
                "It runs once in each boot of the host, however often the daemon starts in it."
                    .to_owned(),
            ),
            Schedule::Continuous => Some(
                "It runs again whenever its last run has ended, at least a second later."
                    .to_owned(),
            ),
            Schedule::AfterDags(dag_ids) => Some(format!(
                "It runs when {} succeeded since the last run that this made.",
                match &**dag_ids {
                    [one] => format!("`{one}` has"),
                    several => format!("each of `{}` has", several.join("`, `")),
                }
            )),
            Schedule::Cron(_) | Schedule::Every(_) | Schedule::Once => None,
        }
    }

    fn no_more(&self, none_at_all: bool) -> String {
        let timetable = self.timetable.as_ref();
        let is_once = timetable.is_some_and(|it| matches!(it.schedule, Schedule::Once));
        let local = |moment: Timestamp| self.zone.local(moment).to_string();
        let reason = match timetable.and_then(|timetable| timetable.end) {
            _ if is_once && !none_at_all => "it runs once".to_owned(),
            Some(end) if end < self.from => format!("its end date, {}, has passed", local(end)),
            _ if is_once => {
                let start = timetable.and_then(|timetable| timetable.start);
                format!(
                    "its only run was due at {}",
                    local(start.unwrap_or(self.from))
                )
            }
            Some(end) => format!("its end date is {}", local(end)),
            None => "clocks show no such time in the next 100 years".to_owned(),
        };
        let after = if none_at_all { "" } else { " after that" };
        format!("Nothing comes{after}: {reason}.")
    }

    /// A change of the clocks, and what it does to the schedule.
    fn change(&self, change: Transition) -> String {
        let wall = |offset_s: i32| Timestamp::from_secs(change.at.secs() + i64::from(offset_s));
        let (before, after) = (wall(change.offset_before_s), wall(change.offset_after_s));
        let is_gap = after > before;
        let way = if is_gap { "forward" } else { "back" };
        let (day, time) = day_and_time(before);
        let to = match day_and_time(after) {
            (day_after, time) if day_after == day => time,
            (day_after, time) => format!("{day_after} {time}"),
        };
        let zone = printable(self.zone.name());
        let effect = self.timetable.as_ref().and_then(|timetable| {
            let lines = match &timetable.schedule {
                Schedule::Cron(lines) => lines,
                Schedule::Every(_) => return Some("periods count elapsed time".to_owned()),
                Schedule::Once
                | Schedule::Reboot
                | Schedule::Continuous
                | Schedule::AfterDags(_) => return None,
            };
            let is_due = names_a_time(lines, before.min(after), before.max(after));
            Some(if is_due {
                effect(lines, is_gap, &to)
            } else {
                "nothing is due in between".to_owned()
            })
        });
        let effect = effect.map_or_else(String::new, |effect| format!("; {effect}"));
        format!("{day} {time} {zone}: clocks go {way} to {to}{effect}")
    }
}

/// Whether crontab lines name a wall-clock time from `first` to before `end`, both written as if in UTC.
fn names_a_time(lines: &CronLines, first: Timestamp, end: Timestamp) -> bool {
    let wall = Timetable {
        schedule: Schedule::Cron(lines.clone()),
        zone: Zone::utc(),
        start: Some(first),
        end: None,
        anchor: first,
    };
    wall.next_after(Timestamp::MIN)
        .is_some_and(|time| time < end)
}

/// What a gap that ends at `to`, or a fold, does to times in it.
fn effect(lines: &CronLines, is_gap: bool, to: &str) -> String {
    let counts = || lines.count_elapsed_time();
    match (
        is_gap,
        counts().all(|counts| counts),
        counts().any(|counts| counts),
    ) {
        (true, true, _) => "what would be due in between is left out".to_owned(),
        (true, false, false) => format!("what is due in between runs once, at {to}"),
        (true, false, true) => {
            format!(
                "times of day in between run once, at {to}; lines that begin with `*` leave them out"
            )
        }
        (false, true, _) => "what is due in between runs both times".to_owned(),
        (false, false, false) => "what is due in between runs the first time only".to_owned(),
        (false, false, true) => {
            "times of day in between run the first time only; lines that begin with `*` both times"
                .to_owned()
        }
    }
}

/// What a clock shows, written as if in UTC: `2026-03-29` and `02:00`.
fn day_and_time(wall: Timestamp) -> (String, String) {
    let shown = wall.to_string();
    let end = if &shown[17..19] == "00" { 16 } else { 19 };
    (shown[..10].to_owned(), shown[11..end].to_owned())
}

/// A time ahead in its two largest units: `in 3 h 12 min`.
fn distance(ahead: Duration) -> String {
    let seconds = ahead.as_secs();
    let units = [
        ("d", 86_400, u64::MAX),
        ("h", 3_600, 24),
        ("min", 60, 60),
        ("s", 1, 60),
    ];
    let parts = units.map(|(unit, length, limit)| (seconds / length % limit, unit));
    let Some(first) = parts.iter().position(|(number, _)| *number > 0) else {
        return "now".to_owned();
    };
    let parts = parts[first..]
        .iter()
        .take(2)
        .filter(|(number, _)| *number > 0);
    let words: Vec<String> = parts
        .map(|(number, unit)| format!("{number} {unit}"))
        .collect();
    format!("in {}", words.join(" "))
}
