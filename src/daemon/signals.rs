//! The signals that this program hears.

use std::io;

use async_signal::{Signal, Signals};
use smol::channel::Sender;
use smol::stream::StreamExt;

use super::driver::Notice;

/// From now on SIGINT, SIGTERM and SIGHUP are notices, and no longer end the program.
pub async fn listen(sender: Sender<Notice>) -> io::Result<()> {
    let mut signals = Signals::new([Signal::Int, Signal::Term, Signal::Hup])?;
    while let Some(signal) = signals.next().await {
        let notice = if signal? == Signal::Hup {
            Notice::Reload
        } else {
            Notice::Stop
        };
        if sender.send(notice).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
