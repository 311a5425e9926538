//! A program without the HTTP client says so, and what to do.

use std::time::Duration;

use mini_dag::exec::Exit;
use mini_dag::exec::worker::{Body, HttpRequest, Work};

use crate::worker::{printed, worker};

#[test]
fn an_http_task_is_refused_clearly() {
    let ended = worker(&Work::Http(HttpRequest {
        url: "http://localhost/".to_owned(),
        method: "GET".to_owned(),
        headers: Vec::new(),
        body: Body::None,
        save_to: None,
        expect_status: Vec::new(),
        timeout: Duration::from_secs(10),
        bytes_max: 1 << 20,
    }))
    .run();
    assert_eq!(ended.ending.exit, Exit::Code(1), "{}", ended.log);
    assert_eq!(
        printed(&ended),
        "error: this mini-dag was built without `http`; a `bash` task can ask with curl instead\n"
    );
}
