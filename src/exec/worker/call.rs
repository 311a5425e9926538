//! Runs one compiled-in function and tells its end: value, skip, error with its causes, or panic with its place.

use std::io::Write;
use std::panic::{self, AssertUnwindSafe};

use super::super::xcom::RETURNED;
use super::SKIP_EXIT_CODE;
use crate::dag::{CallFn, Context, Outcome, Value};

/// The exit code. What the function prints itself goes where it goes; `out` gets its value, `log` its error.
pub(super) fn run(
    function: &CallFn,
    context: &Context,
    is_branch: bool,
    out: &mut impl Write,
    log: &mut impl Write,
) -> Result<u8, String> {
    panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(|place| format!(" at {place}"))
            .unwrap_or_default();
        let payload = panic.payload();
        let message = match (
            payload.downcast_ref::<&str>(),
            payload.downcast_ref::<String>(),
        ) {
            (Some(message), _) => message,
            (None, Some(message)) => message.as_str(),
            (None, None) => "(no message)",
        };
        let _ = writeln!(std::io::stderr(), "error: panicked{place}: {message}");
        // Where nothing can be caught, this process ends here, as it would end there.
        if cfg!(panic = "abort") {
            std::process::exit(1);
        }
    }));
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| function(context)));
    // Back to the default: a panic of our own is not the function's.
    drop(panic::take_hook());
    match outcome {
        Ok(Ok(Outcome::Done)) => Ok(0),
        Ok(Ok(Outcome::Value(value))) => returned(&value, out),
        Ok(Ok(Outcome::Branch(_))) if !is_branch => {
            let reason = "the function chose a branch, but its task has no `branch`";
            Err(reason.to_owned())
        }
        Ok(Ok(Outcome::Branch(task_ids))) => returned(&task_ids.into(), out),
        Ok(Ok(Outcome::Skip)) => Ok(SKIP_EXIT_CODE.unsigned_abs().try_into().unwrap_or(1)),
        Ok(Err(error)) => {
            let _ = writeln!(log, "error: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                let _ = writeln!(log, "  caused by: {error}");
                cause = error.source();
            }
            Ok(1)
        }
        // The hook has told it.
        Err(_) => Ok(1),
    }
}

/// Tells the value on the last line, whatever the function has printed before.
fn returned(value: &Value, out: &mut impl Write) -> Result<u8, String> {
    writeln!(out, "{RETURNED}{value}")
        .and_then(|()| out.flush())
        .map_err(|error| format!("cannot write the function's value: {error}"))?;
    Ok(0)
}
