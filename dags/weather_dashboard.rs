//! `clean_forecast`: a forecast without what has no value.

use std::collections::BTreeMap;
use std::path::Path;

use mini_dag::{Context, Outcome, Result, Value};

use super::{read_json, text_arg, write_whole};

/// Writes the forecast in `args.input_path` to `args.output_path`, cleaned.
///
/// Forecasts come as rows (an array of objects) or as columns (an object of arrays of one length, `time` among them, as
/// Open-Meteo sends them). A row in which a value is `null` goes, in columns as well. A forecast of which nothing
/// is left is an error: a dashboard rather shows an old one.
#[expect(clippy::print_stdout, reason = "a task's output is its log")]
pub(super) fn clean_forecast(context: &Context) -> Result {
    let forecast = read_json(Path::new(text_arg(context, "input_path")?))?;
    let mut rows = Rows::default();
    let forecast = clean(forecast, &mut rows);
    match forecast {
        Value::Object(_) | Value::Array(_) => {}
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return Err("the forecast is neither an object nor an array".into());
        }
    }
    if rows.kept == 0 && rows.dropped > 0 {
        return Err(format!(
            "each of the {} rows of the forecast lacks a value",
            rows.dropped
        )
        .into());
    }
    let path = Path::new(text_arg(context, "output_path")?);
    write_whole(path, format!("{forecast}\n").as_bytes())?;
    println!("Kept {} rows, dropped {}", rows.kept, rows.dropped);
    Ok(Outcome::Done)
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Rows {
    kept: usize,
    dropped: usize,
}

impl Rows {
    fn count(&mut self, keep: bool) -> bool {
        *(if keep {
            &mut self.kept
        } else {
            &mut self.dropped
        }) += 1;
        keep
    }
}

/// Recursion is bounded by the parser, which nests no deeper than `json::DEPTH_MAX`.
fn clean(value: Value, rows: &mut Rows) -> Value {
    match value {
        Value::Object(members) => match columns_length(&members) {
            Some(length) => clean_columns(&members, length, rows),
            None => Value::Object(
                members
                    .into_iter()
                    .map(|(key, value)| (key, clean(value, rows)))
                    .collect(),
            ),
        },
        Value::Array(elements) => {
            let elements = elements.into_iter().filter(|element| match element {
                Value::Object(row) => rows.count(!row.values().any(|value| *value == Value::Null)),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_) => true,
            });
            let elements: Vec<Value> = elements.collect();
            Value::Array(
                elements
                    .into_iter()
                    .map(|element| clean(element, rows))
                    .collect(),
            )
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// How many rows an object of columns has.
fn columns_length(members: &BTreeMap<String, Value>) -> Option<usize> {
    let length = members.get("time")?.as_array()?.len();
    members
        .values()
        .all(|column| {
            column
                .as_array()
                .is_some_and(|column| column.len() == length)
        })
        .then_some(length)
}

fn clean_columns(columns: &BTreeMap<String, Value>, length: usize, rows: &mut Rows) -> Value {
    let mut keep = vec![true; length];
    for column in columns.values().filter_map(Value::as_array) {
        for (keep, value) in keep.iter_mut().zip(column) {
            *keep &= *value != Value::Null;
        }
    }
    for &keep in &keep {
        rows.count(keep);
    }
    let of_rows = |column: &Value| {
        let column = column.as_array().unwrap_or_default().iter().zip(&keep);
        Value::Array(
            column
                .filter(|(_, keep)| **keep)
                .map(|(value, _)| value.clone())
                .collect(),
        )
    };
    Value::Object(
        columns
            .iter()
            .map(|(name, column)| (name.clone(), of_rows(column)))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(forecast: &str, cleaned: &str, kept: usize, dropped: usize) {
        let mut rows = Rows::default();
        assert_eq!(
            clean(Value::parse(forecast).unwrap(), &mut rows).to_string(),
            cleaned
        );
        assert_eq!(rows, Rows { kept, dropped });
    }

    #[test]
    fn a_row_without_a_value_goes_whether_in_rows_or_in_columns() {
        check(
            r#"[{"t":1},{"t":null},{"t":3}]"#,
            r#"[{"t":1},{"t":3}]"#,
            2,
            1,
        );
        check(
            r#"{"hourly":{"time":["a","b","c"],"rain":[0,null,2],"t":[null,1,2]},"city":"서울"}"#,
            r#"{"city":"서울","hourly":{"rain":[2],"t":[2],"time":["c"]}}"#,
            1,
            2,
        );
        check(
            r#"{"list":[{"t":{"min":1}},{"t":null}]}"#,
            r#"{"list":[{"t":{"min":1}}]}"#,
            1,
            1,
        );
    }

    #[test]
    fn what_is_neither_stays_as_it_is() {
        for forecast in [
            "{}",
            "[]",
            "[null,1]",
            r#"{"t":[1,2],"time":[1]}"#,
            r#"{"t":7,"time":[1]}"#,
            r#"{"note":null}"#,
        ] {
            check(forecast, forecast, 0, 0);
        }
    }
}
