//! Starting: what a process gets, and why one does not start.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use mini_dag::exec::{Exit, Stdin};

use crate::attempt::{Attempt, argv, memory_peak_of_this_program, sh};

#[test]
fn every_exit_code_is_told() {
    for code in 0..=255 {
        let ended = sh(&format!("exit {code}")).run();
        assert_eq!(ended.ending.exit, Exit::Code(code));
    }
}

#[test]
fn every_signal_is_told() {
    let harmless = [
        libc::SIGCHLD,
        libc::SIGCONT,
        libc::SIGSTOP,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGURG,
        libc::SIGWINCH,
    ];
    // What `nohup` and a shell's `&` have this program ignore, its tasks ignore, too.
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let ignored = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT].map(|signal| 1 << (signal - 1));
    let ignored = mask(&status, "SigIgn:") & ignored.iter().sum::<u64>();
    for signal in (1..=31).filter(|signal| !harmless.contains(signal)) {
        if ignored & (1 << (signal - 1)) != 0 {
            continue;
        }
        let ended = sh(&format!("ulimit -c 0; kill -{signal} $$")).run();
        let expected = Exit::Signal {
            number: signal,
            has_core: false,
        };
        assert_eq!(ended.ending.exit, expected);
    }
    assert_eq!(
        sh("ulimit -c 0; kill -SEGV $$")
            .run()
            .ending
            .exit
            .to_string(),
        "signal 11 (SIGSEGV)"
    );
}

#[track_caller]
fn check(attempt: &Attempt, expected: &str) {
    let directory = attempt.directory.0.display().to_string();
    let error = attempt.error().to_string().replace(&directory, "DIR");
    assert_eq!(error, expected);
    assert!(!attempt.launch.log.exists(), "a log without output");
}

fn with_file(name: &str, content: &str, mode: u32) -> Attempt {
    let mut attempt = sh("");
    let path = attempt.directory.file(name, content);
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    attempt.launch.argv = vec![path.into()];
    attempt
}

#[test]
fn what_cannot_start_says_why() {
    check(
        &argv(&["/nonexistent/program"]),
        "`/nonexistent/program` does not exist",
    );
    check(&argv(&["./program"]), "`./program` does not exist");
    check(&argv(&[""]), "`` does not exist");
    check(
        &argv(&["/bin/sh/program"]),
        "`/bin/sh/program` does not exist",
    );
    check(&argv(&["/"]), "`/` is not executable");
    check(
        &with_file("plain", "exit 0", 0o644),
        "`DIR/plain` is not executable",
    );
    check(
        &with_file("garbage", "\x01\x02\x03", 0o755),
        "`DIR/garbage` is neither a program for this machine nor a script with a #! line",
    );
    check(
        &with_file("script", "#!/bin/basch -e\n", 0o755),
        "the interpreter of `DIR/script` does not exist: `/bin/basch`",
    );
    check(
        &with_file("dos", "#!/bin/sh\r\nexit 0\r\n", 0o755),
        "the interpreter of `DIR/dos` does not exist: `/bin/sh\\r`",
    );
    check(
        &argv(&["/bin/echo", "a\0b"]),
        "an argument or a variable contains a NUL byte",
    );
    let long = "x".repeat(200_000);
    check(
        &argv(&["/bin/echo", &long]),
        "argument list too long: 200180 bytes of arguments and environment, 200001 in one piece"
            .replace("200180", &length_of(&argv(&["/bin/echo", &long])))
            .as_str(),
    );
    let many = vec!["x".repeat(100_000); 100];
    let many: Vec<&str> = std::iter::once("/bin/echo")
        .chain(many.iter().map(String::as_str))
        .collect();
    assert!(
        argv(&many)
            .error()
            .to_string()
            .starts_with("argument list too long: 10000")
    );
}

fn length_of(attempt: &Attempt) -> String {
    let env = attempt
        .launch
        .env
        .iter()
        .map(|(name, value)| name.len() + value.len() + 2);
    let argv = attempt.launch.argv.iter().map(|it| it.len() + 1);
    env.chain(argv).sum::<usize>().to_string()
}

#[test]
fn a_working_directory_that_cannot_be_entered_is_named() {
    let mut attempt = sh("true");
    attempt.launch.cwd = Some(attempt.directory.0.join("absent"));
    check(
        &attempt,
        "cannot enter working directory `DIR/absent`: No such file or directory (os error 2)",
    );
    attempt.launch.cwd = Some(attempt.directory.file("file", ""));
    check(
        &attempt,
        "cannot enter working directory `DIR/file`: not a directory",
    );
    attempt.launch.cwd = Some(attempt.directory.0.clone());
    assert_eq!(attempt.run().ending.exit, Exit::Code(0));
}

#[test]
fn the_program_is_searched_for_in_the_path_of_the_task() {
    let find = |path: &str, mode: u32| {
        let mut attempt = with_file("tool", "#!/bin/sh\necho \"$0\"\n", mode);
        let directory = attempt.directory.0.clone();
        fs::create_dir(directory.join("bin")).unwrap();
        fs::rename(directory.join("tool"), directory.join("bin/tool")).unwrap();
        attempt.launch.argv = vec!["tool".into()];
        attempt.launch.env = vec![(
            "PATH".into(),
            path.replace("DIR", &directory.display().to_string()).into(),
        )];
        attempt
    };
    let directory = |attempt: &Attempt| attempt.directory.0.display().to_string();
    for path in ["DIR/bin", "/nonexistent:DIR/bin", "bin", ":bin"] {
        let attempt = find(path, 0o755);
        let (directory, ended) = (directory(&attempt), attempt.run());
        assert_eq!(ended.ending.exit, Exit::Code(0), "{path}");
        let found = ended.log.replace(&directory, "DIR");
        assert!(
            found == "DIR/bin/tool\n" || found == "bin/tool\n",
            "{found}"
        );
    }
    check(
        &find("/usr/bin:/bin", 0o755),
        "`tool` was not found in PATH=/usr/bin:/bin",
    );
    check(
        &find("/nonexistent:bin", 0o644),
        "`bin/tool` is not executable",
    );
}

#[test]
fn a_process_has_three_descriptors_and_no_blocked_signal() {
    let ended = sh("ls /proc/$$/fd; :").run();
    assert_eq!(ended.log, "0\n1\n2\n");
    let ended = argv(&["grep", "^Sig", "/proc/self/status"]).run();
    assert_eq!(mask(&ended.log, "SigBlk:"), 0);
    for signal in [libc::SIGPIPE, libc::SIGTERM, libc::SIGCHLD] {
        assert_eq!(
            mask(&ended.log, "SigIgn:") & (1 << (signal - 1)),
            0,
            "{signal} is ignored"
        );
    }
}

#[test]
fn a_process_leads_a_group_of_its_own() {
    let ended = argv(&["cut", "-d ", "-f1,5", "/proc/self/stat"]).run();
    let (pid, group) = ended.log.trim().split_once(' ').unwrap();
    assert_eq!(pid, group);
}

#[test]
fn a_process_has_the_environment_of_its_launch_and_a_mark() {
    let mut attempt = argv(&["/usr/bin/env"]);
    attempt.launch.env = vec![
        ("GREETING".into(), "hello world".into()),
        ("EMPTY".into(), "".into()),
    ];
    let log = attempt.run().log;
    let mut lines: Vec<&str> = log.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines[..2], ["EMPTY=", "GREETING=hello world"]);
    assert!(
        lines[2].starts_with("MINI_DAG_MARK=") && lines.len() == 3,
        "{lines:?}"
    );
}

#[test]
fn the_kernel_kills_a_task_before_this_program() {
    let own: i32 = fs::read_to_string("/proc/self/oom_score_adj")
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let expected = (own + 500).min(1000);
    let script = format!("until [ $(cat /proc/$$/oom_score_adj) = {expected} ]; do :; done");
    assert_eq!(sh(&script).run().ending.exit, Exit::Code(0));
}

#[test]
fn standard_input_is_empty_or_what_was_handed_over() {
    let ended = argv(&["cat"]).run();
    assert_eq!((ended.ending.exit, ended.log.as_str()), (Exit::Code(0), ""));
    let text = "line\n".repeat(100_000);
    let mut attempt = argv(&["cat"]);
    attempt.launch.stdin = Stdin::Bytes(text.clone().into_bytes());
    assert_eq!(attempt.run().log, text);
    let mut attempt = sh("echo more >> /proc/self/fd/0 || echo sealed; cat");
    attempt.launch.stdin = Stdin::Bytes(b"given".to_vec());
    let log = attempt.run().log;
    assert!(log.ends_with("sealed\ngiven"), "{log}");
}

#[test]
fn cpu_time_and_peak_memory_are_measured() {
    let nothing = argv(&["/bin/true"]).run().ending;
    let counting = sh("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done")
        .run()
        .ending;
    assert!(
        counting.cpu_user > nothing.cpu_user + Duration::from_millis(20),
        "{counting:?}"
    );
    // `tail` keeps the last line, here all of it.
    let hungry = sh("head -c 150000000 /dev/zero | tail -n 1 | wc -c").run();
    assert_eq!(hungry.log.trim(), "150000000");
    assert!(
        hungry.ending.memory_peak_bytes > 150_000_000,
        "{:?}",
        hungry.ending
    );
    let floor = memory_peak_of_this_program();
    assert!(
        nothing.memory_peak_bytes <= floor + (10 << 20),
        "{nothing:?}, {floor}"
    );
}

#[test]
fn a_process_is_named_by_pid_and_start_time() {
    let attempt = sh("cut -d' ' -f22 /proc/$$/stat; echo $$");
    let running = mini_dag::exec::spawn(&attempt.launch).unwrap();
    let process = running.process();
    let named = (process.start_time().unwrap(), process.pid());
    crate::attempt::in_time(running.wait(|_| ()));
    let log = crate::attempt::read(&attempt.launch.log);
    assert_eq!(log, format!("{}\n{}\n", named.0, named.1));
    assert_eq!(process.start_time(), None);
    assert!(!Path::new(&format!("/proc/{}", named.1)).exists());
}

/// No test, but what the next one starts: a program whose parent blocked and ignored signals.
#[test]
fn as_a_badly_started_program() {
    if std::env::var_os("MINI_DAG_TEST_BADLY_STARTED").is_some() {
        let ended = argv(&["grep", "^Sig", "/proc/self/status"]).run();
        assert_eq!(ended.ending.exit, Exit::Code(0));
        fs::write("status", ended.log).unwrap();
    }
}

#[test]
fn signals_that_this_program_was_started_without_reach_its_tasks() {
    let this = std::env::current_exe().unwrap();
    let mut attempt = argv(&[
        "env",
        "--block-signal=TERM,INT,USR1",
        "--ignore-signal=TERM,CHLD",
        this.to_str().unwrap(),
        "launch::as_a_badly_started_program",
        "--exact",
    ]);
    let name = "MINI_DAG_TEST_BADLY_STARTED";
    attempt.launch.env.push((name.into(), "1".into()));
    let ended = attempt.run();
    if ended.log.contains("unrecognized option") {
        return; // an `env` that cannot do it: not that of coreutils 8.31 or later
    }
    assert_eq!(ended.ending.exit, Exit::Code(0), "{}", ended.log);
    let status = fs::read_to_string(ended.directory.0.join("status")).unwrap();
    assert_eq!(mask(&status, "SigBlk:"), 0);
    for signal in [libc::SIGTERM, libc::SIGCHLD] {
        assert_eq!(
            mask(&status, "SigIgn:") & (1 << (signal - 1)),
            0,
            "{signal}"
        );
    }
}

fn mask(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    u64::from_str_radix(line.unwrap().trim(), 16).unwrap()
}
