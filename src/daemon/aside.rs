//! What the kernel can only do while somebody waits for it (syncing a file, reading a long journal), done
//! in a thread of its own that ends with it.
//!
//! Not in `smol::unblock`'s pool: its threads stay, and wake up twice a second for ever.

use std::thread;

use smol::channel::bounded;

/// Does `work` while the loop goes on. If there can be no thread, the loop waits.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (give, take) = bounded(1);
    let (hand, handed) = bounded(1);
    // Both channels are new, and have room for one.
    let _ = hand.try_send(work);
    let for_thread = handed.clone();
    let thread = thread::Builder::new().name("aside".to_owned());
    let started = thread.spawn(move || {
        if let Ok(work) = for_thread.try_recv() {
            let _ = give.try_send(work());
        }
    });
    if started.is_err()
        && let Ok(work) = handed.try_recv()
    {
        return work();
    }
    let done = take.recv().await;
    done.expect("the thread gives what it has done, and does not panic")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_aside_is_done_in_another_thread_and_comes_back() {
        let here = thread::current().id();
        let (there, sum) = smol::block_on(aside(|| (thread::current().id(), 1 + 2)));
        assert_ne!(here, there);
        assert_eq!(sum, 3);
    }
}
