//! The signals that this program hears.

use std::io;

use async_signal::{Signal, Signals};
use smol::channel::Sender;
use smol::stream::StreamExt;

use super::driver::Notice;
use super::takeover;

/// From now on SIGINT, SIGTERM, SIGHUP and SIGUSR2 wait to be [`heard`](listen), and no longer end the program.
/// To be called first of all: a signal that comes while a long journal is read is not lost, and no SIGHUP
/// ends a program that is just starting.
pub fn hold() -> io::Result<Signals> {
    Signals::new([Signal::Int, Signal::Term, Signal::Hup, Signal::Usr2])
}

/// Makes notices of signals.
pub async fn listen(mut signals: Signals, sender: Sender<Notice>) -> io::Result<()> {
    while let Some(signal) = signals.next().await {
        let signal = signal?;
        let notice = if signal == Signal::Hup {
            Notice::Reload
        } else if signal == Signal::Usr2 {
            match takeover::probe().await {
                Ok(program) => Notice::Replace(program),
                Err(why) => {
                    log::error!("{why}");
                    continue;
                }
            }
        } else {
            Notice::Stop
        };
        if sender.send(notice).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
