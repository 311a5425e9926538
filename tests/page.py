#!/usr/bin/env python3
"""The web page in a real browser: what people do there, what must never happen there, and who can read it.

tests/page.py [--program target/debug/mini-dag] [--shots DIR] [--scale]

Needs chromium and chromedriver, and says so where there are none; looks for accessibility faults with axe-core, which
npm fetches. `--scale` measures the page with 1,000 DAGs and 10,000 runs instead. What fails is followed by where the
browser stood, its console and the daemon's log.
"""

import argparse
import http.server
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "page"))
from browser import Browser, NoBrowser, free_port  # noqa: E402

HOSTILE = "<img src=x onerror=\"window.pwned=1\"><script>window.pwned=1</script>'\"&amp;{{"
GATED = {
    "dag_id": "gated", "description": "Waits for a file.", "params": {"gate": ""},
    "tasks": [
        {"task_id": "before", "bash": "echo begun"},
        {"task_id": "wait", "env": {"gate": "{{ params.gate }}"}, "bash": "echo waiting; until test -e \"$gate\"; do sleep 0.05; done; echo the gate is open"},
        {"task_id": "after", "bash": "echo done"},
    ],
    "order": ["before >> wait >> after"],
}
CHAIN = {
    "dag_id": "chain", "schedule": "30 0 * * *", "tags": ["nightly"], "owner": "field",
    "tasks": [{"task_id": name, "bash": f"echo {name} $MINI_DAG_TRY_NUMBER"} for name in ("first", "second", "third")],
    "order": ["first >> second >> third"],
}
HELD = {"dag_id": "held", "schedule": "30 0 * * *", "tasks": [{"task_id": "look", "bash": "false", "poke": {"every": "1s", "timeout": "1h"}}]}
EVIL = {
    "dag_id": "evil", "description": HOSTILE, "doc": HOSTILE, "owner": HOSTILE, "tags": [HOSTILE[:99]], "params": {"note": HOSTILE, "<b>x</b>": HOSTILE},
    "tasks": [{"task_id": "print", "doc": HOSTILE, "env": {"note": "{{ params.note }}"}, "bash": "printf '%s\\n' \"$note\" \"$note\" \"$note\""}, {"task_id": "say", "argv": ["echo", "{{ params.note }}"]}],
}
TUTORIAL = "download_rocket_launches"


BEGUN = time.monotonic()


def say(text):
    print(f"page: {time.monotonic() - BEGUN:5.1f} s: {text}", flush=True)


def skipped(text):
    print(f"\n!!!! SKIPPED: {text}\n", flush=True)


class Launches(http.server.BaseHTTPRequestHandler):
    """What the tutorial downloads, from this host."""

    def do_GET(self):
        base = f"http://127.0.0.1:{self.server.server_address[1]}"
        if self.path.endswith(".png"):
            body, kind = b"\x89PNG\r\n\x1a\n" + b"x" * 2000, "image/png"
        else:
            results = [{"name": f"launch {n}", "image": f"{base}/{n}.png"} for n in range(3)]
            body, kind = json.dumps({"count": 3, "results": results}).encode(), "application/json"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Daemon:
    def __init__(self, program, root, dags):
        self.program, self.root = program, root
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}/"
        (root / "dags").mkdir()
        for name, dag in dags.items():
            (root / "dags" / f"{name}.json").write_text(dag if isinstance(dag, str) else json.dumps(dag))
        self.start()

    def start(self):
        env = {**os.environ, "HOME": str(self.root), "TZ": "Europe/Berlin"}
        log = open(self.root / "daemon.log", "ab")
        command = [self.program, "daemon", "--dags", "dags", "--state", "state", "--listen", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(command, cwd=self.root, env=env, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                return urllib.request.urlopen(self.base + "health").read()
            except OSError:
                time.sleep(0.05)
        raise AssertionError("the daemon does not answer:\n" + (self.root / "daemon.log").read_text())

    def stop(self):
        self.process.terminate()
        self.process.wait(30)

    def command(self, *words):
        command = [self.program, *words, "--state", "state"]
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=True).stdout

    def post(self, path, body):
        """The status of a request at the control socket."""
        body = json.dumps(body)
        with socket.socket(socket.AF_UNIX) as door:
            door.connect(str(self.root / "state" / "control.sock"))
            door.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            return int(door.makefile("rb").readline().split()[1])

    def password(self):
        return (self.root / "state" / "admin_password").read_text().strip()


def axe(scratch):
    """The text of axe-core, or nothing where npm cannot fetch it."""
    try:
        subprocess.run(["npm", "pack", "--silent", "axe-core@4"], cwd=scratch, check=True, capture_output=True, timeout=120)
        subprocess.run(["tar", "xzf", *[path.name for path in scratch.glob("axe-core-*.tgz")]], cwd=scratch, check=True)
        return (scratch / "package" / "axe.min.js").read_text()
    except (OSError, subprocess.SubprocessError) as error:
        skipped(f"accessibility is not checked, npm cannot fetch axe-core: {error}")
        return None


class Story:
    def __init__(self, browser, daemon, rules, shots):
        self.browser, self.daemon, self.rules, self.shots = browser, daemon, rules, shots
        self.faults = []

    def go(self, hash):
        self.browser.run("location.hash = arguments[0]", hash)

    def calm(self):
        """No error in the console, no violation of the policy, nothing that a script of ours did not do."""
        said = self.browser.complaints()
        assert not said, "the console says: " + "\n".join(said)
        assert self.browser.run("return window.pwned === undefined"), "a text was run as code"

    def tell(self):
        """All that is known when something went wrong, whoever of the three still answers."""
        browser = self.browser
        console = lambda: (browser.complaints(), "\n".join(browser.said[-40:]))[1]
        for what, ask in [
            ("the browser stands at", lambda: browser.run("return location.href")),
            ("the page shows", lambda: browser.run("return document.body.innerText")[:3000]),
            ("the console says", console),
            ("a picture is in", lambda: self.shots and browser.shot(self.shots / "failure.png") or self.shots),
            ("chromedriver says", lambda: browser.log()),
            ("the daemon ended with" if self.daemon.process.poll() is not None else "the daemon runs as", lambda: self.daemon.process.poll() or self.daemon.process.pid),
            ("the daemon's log ends with", lambda: (self.daemon.root / "daemon.log").read_text()[-4000:]),
        ]:
            try:
                say(f"{what}: {ask()}")
            except Exception as error:  # noqa: BLE001: the fault that is told of counts, not this one.
                say(f"{what}: nothing, {type(error).__name__}: {error}")

    def readable(self, what):
        """No serious fault for those who read with other means, in light and in dark."""
        if not self.rules:
            return
        self.browser.run("if (!window.axe) (0, eval)(arguments[0])", self.rules)
        for theme in ("light", "dark"):
            self.browser.theme(theme)
            found = self.browser.run_async("axe.run(document, {resultTypes: ['violations']}).then(arguments[0])")
            faults = [fault for fault in found["violations"] if fault["impact"] in ("serious", "critical")]
            told = [f"{fault['id']}: {node['html'][:160]} {node['failureSummary'][:300]}" for fault in faults for node in fault["nodes"][:3]]
            self.faults += [f"{what}, {theme}: {one}" for one in told]
        self.browser.theme("light")

    def look(self, name):
        """A picture of a view, wide and narrow, which does not scroll sideways."""
        for width, height in ((390, 844), (1280, 800)):
            self.browser.size(width, height)
            time.sleep(0.3)
            wide = self.browser.run("return document.documentElement.scrollWidth")
            assert wide <= width, f"{name} is {wide} pixels wide on a screen of {width}"
            if self.shots:
                self.browser.shot(self.shots / f"{name}-{width}.png")
                self.browser.theme("dark")
                self.browser.shot(self.shots / f"{name}-{width}-dark.png")
                self.browser.theme("light")

    def visit(self, name, hash, selector, text=None):
        self.go(hash)
        self.browser.see(selector, text)
        self.look(name)
        self.readable(name)
        self.calm()


def log_in(story):
    browser, daemon = story.browser, story.daemon
    browser.open(daemon.base)
    browser.see("form.login")
    story.look("login")
    story.readable("login")
    browser.type("#password", "wrong")
    browser.click("form.login button")
    browser.see("form.login .problem", "Invalid credentials")
    browser.complaints()  # A browser reports every 401 of its own accord.
    browser.type("#password", daemon.password())
    browser.click("form.login button")
    browser.see("table.dags", TUTORIAL)
    story.calm()
    say("logged in; a wrong password is refused")


def tutorial(story, api):
    browser = story.browser
    story.go(f"#/dags/{TUTORIAL}/graph")
    for task in ("download_launches", "get_pictures", "notify"):
        browser.see(f'.canvas a[data-task="{task}"]', task)
    edges = browser.run("return document.querySelector('.edge').getAttribute('d').split('M').length - 1")
    assert edges == 2, edges
    browser.run("window.loaded = 'once'")
    browser.press("t")
    browser.see("dialog[open] h2", f"Trigger {TUTORIAL}")
    story.readable("trigger")
    story.look("trigger")
    fields = browser.run("return [...document.querySelectorAll('dialog .field label')].map((label) => [label.textContent, label.htmlFor])")
    ids = dict(fields)
    browser.type(f"#{ids['api']}", api)
    browser.type(f"#{ids['dir']}", str(story.daemon.root / "rockets"))
    browser.click("dialog button.primary", "Trigger")
    for task in ("download_launches", "get_pictures", "notify"):
        browser.see(f'.canvas a[data-task="{task}"]', "success")
    assert browser.run("return window.loaded") == "once", "the page was loaded again"
    browser.click('.canvas a[data-task="notify"]')
    browser.see(".log", "There are now 3 images.")
    story.calm()
    say("the tutorial: graph, trigger with params, states and log without a reload")


def live(story):
    browser, gate = story.browser, story.daemon.root / "gate"
    story.daemon.command("trigger", "gated", "--param", f"gate={gate}")
    story.go("#/dags/gated/graph")
    browser.see('.canvas a[data-task="before"]', "success")
    browser.see('.canvas a[data-task="wait"]', "running")
    browser.run("window.loaded = 'twice'")
    browser.click('.canvas a[data-task="wait"]')
    browser.see(".log", "waiting")
    assert not browser.find(".log", "the gate is open")
    browser.see(".log-view", "running")
    story.readable("live log")
    gate.touch()
    browser.see(".log", "the gate is open")
    browser.see('.canvas a[data-task="after"]', "success")
    browser.see(".panel .badge", "success")
    browser.type('.log-view input[type="search"]', "gate")
    browser.see(".log-view", "1 of 1")
    assert browser.run("return window.loaded") == "twice", "the page was loaded again"
    story.calm()
    say("a live log and states that change without a reload")


def clear(story):
    browser = story.browser
    story.daemon.command("trigger", "chain", "--run-id", "r1", "--wait")
    story.visit("run", "#/dags/chain/grid?run=r1", ".panel h2", "r1")
    story.visit("task", "#/dags/chain/grid?run=r1&task=second", ".log", "second 1")
    browser.click(".panel button", "Clear…")
    browser.see("dialog[open] button.primary", "Run 2 tasks again")
    listed = browser.run("return [...document.querySelectorAll('dialog .preview li')].map((li) => li.childNodes[1].data)")
    assert listed == ["second", "third"], listed
    story.readable("clear")
    story.look("clear")
    browser.click("dialog button.primary")
    browser.see(".log", "second 2")
    story.go("#/dags/chain/grid?run=r1&task=second&tab=attempts")
    browser.see(".attempts", "Attempt 2")
    browser.see(".attempts", "exit 0")
    browser.see(".attempts", "Peak memory")
    story.visit("attempts", "#/dags/chain/grid?run=r1&task=second&tab=attempts", ".attempts", "CPU time")
    story.visit("xcom", "#/dags/chain/grid?run=r1&task=second&tab=xcom", ".panel", "second 2")
    story.visit("rendered", "#/dags/chain/grid?run=r1&task=second&tab=rendered", ".panel", "echo second")
    first = json.loads(story.daemon.command("status", "chain", "r1", "--json"))["task_instances"][0]
    assert first["try_number"] == 1, "the first task has run again"
    say("a clear from the middle runs what its preview said")


def pause(story):
    browser = story.browser
    is_paused = lambda: json.loads(story.daemon.command("status", "chain", "--json"))["dags"][0]["is_paused"]
    story.go("#/dags/chain/grid")
    browser.see('.with-switch [aria-checked="true"]')
    browser.click('.with-switch [role="switch"]')
    browser.see('.with-switch [aria-checked="false"]')
    assert is_paused() is True
    browser.press("p")
    browser.see('.with-switch [aria-checked="true"]')
    assert is_paused() is False
    story.daemon.command("pause", "chain")
    browser.see('.with-switch [aria-checked="false"]')
    story.daemon.command("unpause", "chain")
    story.calm()
    say("paused and unpaused, here and elsewhere")


def backfill(story):
    browser = story.browser
    story.go("#/dags/chain/grid")
    browser.click(".actions button", "Backfill")
    browser.see("dialog[open]", "Backfill chain")
    for field, day in (("from", "2026-05-01"), ("to", "2026-05-03")):
        browser.run("const el = document.getElementById(arguments[0]); el.value = arguments[1]; el.dispatchEvent(new Event('change'))", field, day)
    browser.see("dialog .preview", "3 runs")
    story.readable("backfill")
    story.look("backfill")
    browser.click("dialog button.primary", "Backfill")
    browser.wait("the dialog to close", lambda: not browser.run("return document.querySelector('dialog').open"))
    story.go("#/dags/chain/details")
    browser.see("main", "3 success")
    # In the zone of the DAG, which is not that of the dates in the API.
    runs = json.loads(story.daemon.command("runs", "chain", "--json"))["dag_runs"]
    dates = sorted(run["logical_date"] for run in runs if run["run_type"] == "backfill")
    assert dates == [f"2026-{day}T22:30:00+00:00" for day in ("04-30", "05-01", "05-02")], dates
    story.daemon.command("backfill", "held", "--from", "2026-05-01", "--to", "2026-05-09", "--parallel", "1", "--detach")
    story.go("#/dags/held/details")
    browser.see("main tbody", "runs")
    story.look("backfills")
    story.readable("backfills")
    browser.click("tbody button", "Pause")
    browser.see("main tbody", "paused")
    browser.click("tbody button", "Go on")
    browser.see("tbody button", "Pause")
    browser.click("tbody button", "Cancel")
    browser.wait("the end", lambda: not browser.find("tbody button", "Cancel"))
    story.calm()
    say("a backfill: what will run, and how far it is; paused, gone on with, cancelled")


def cancel(story):
    browser = story.browser
    story.daemon.command("trigger", "gated", "--run-id", "stuck", "--param", "gate=/nowhere")
    story.go("#/dags/gated/grid?run=stuck")
    browser.click(".panel button", "Cancel…")
    browser.click("dialog button.danger", "Cancel the run")
    browser.see(".panel .badge", "failed")
    say("a run is cancelled")


def mark(story):
    browser = story.browser
    story.go("#/dags/gated/grid?run=stuck&task=wait")
    browser.see(".panel h2", "wait")
    browser.click(".panel button", "Mark…")
    browser.see("dialog[open] h2", "Mark wait")
    story.readable("mark")
    story.look("mark")
    browser.click("dialog label", "skipped")
    browser.click("dialog button.primary", "Mark")
    browser.see(".panel .badge", "skipped")
    story.go("#/dags/gated/grid?run=stuck")
    browser.see(".panel .badge", "success")
    browser.click(".panel button", "Mark…")
    browser.see("dialog[open] h2", "Mark the run")
    browser.see("dialog label", "failed")
    browser.click("dialog button.primary", "Mark")
    browser.see(".panel .badge", "failed")
    story.daemon.command("trigger", "gated", "--run-id", "hangs", "--param", "gate=/nowhere")
    story.go("#/dags/gated/grid?run=hangs&task=wait")
    browser.see(".panel .badge", "running")
    browser.click(".panel button", "Mark…")
    browser.see("dialog[open] h2", "Mark wait")
    browser.click("dialog button.primary", "Mark")
    browser.see(".panel .badge", "success")
    story.go("#/dags/gated/grid?run=hangs")
    browser.see(".panel .badge", "success")
    story.calm()
    say("a task is marked, and then its run; and a task that runs")


def hostile(story):
    browser = story.browser
    story.daemon.command("trigger", "evil", "--run-id", "r1", "--wait")
    views = ["#/dags", "#/dags/evil/grid?run=r1", "#/dags/evil/graph?run=r1", "#/dags/evil/gantt?run=r1", "#/dags/evil/runs", "#/dags/evil/code", "#/dags/evil/details", "#/host", "#/runs"]
    views += [f"#/dags/evil/grid?run=r1&task=print&tab={tab}" for tab in ("log", "attempts", "xcom", "rendered", "about")]
    views += ["#/dags/%3Cimg%20src%3Dx%20onerror%3Dwindow.pwned%3D1%3E/grid", "#/dags?q=%3Cimg%20src%3Dx%3E&tag=%3Cb%3E", "#/%E0%A4%A"]
    for view in views:
        story.go(view)
        time.sleep(0.4)
        made = browser.run("return [...document.querySelectorAll('main script, main img, main iframe, main b.x, main [onerror]')].map((el) => el.outerHTML)")
        assert not made, f"{view}: {made}"
        assert browser.run("return window.pwned === undefined"), view
        browser.complaints()  # What is not there is answered with 404, which a browser reports.
    story.go("#/dags/evil/grid?run=r1&task=print")
    browser.see(".log", "<script>window.pwned=1</script>")
    story.go("#/dags/evil/details")
    browser.see("main", HOSTILE)
    browser.press("t")
    browser.see("dialog[open]", "<b>x</b>")
    browser.press("\ue00c")
    browser.wait("Escape", lambda: not browser.run("return document.querySelector('dialog').open"))
    story.calm()
    say("a DAG, params and a log full of markup stay text")


def keys(story):
    browser = story.browser
    story.go("#/dags")
    browser.see("table.dags")
    browser.press("/")
    assert browser.run("return document.activeElement.type") == "search"
    browser.call("POST", f"/element/{browser.see('input[type=search]')}/value", {"text": "gat"})
    browser.wait("the search", lambda: browser.run("return document.querySelectorAll('.dags tbody tr').length") == 1)
    browser.press("\ue00c")
    browser.press("gh")
    browser.see("h1", "Host")
    browser.press("?")
    browser.see("dialog[open]", "Keyboard")
    story.readable("keys")
    browser.press("\ue00c")
    story.go("#/dags/chain/graph?run=r1")
    browser.see('.canvas a[data-task="first"]')
    browser.run("document.querySelector('.canvas a[data-task=\"first\"]').focus()")
    browser.press("\ue014")
    assert browser.run("return document.activeElement.dataset.task") == "second"
    browser.press("\ue007")
    browser.see(".panel h2", "second")
    browser.press("\ue00c")
    browser.wait("Escape", lambda: not browser.find(".panel"))
    story.calm()
    say("all of it by keyboard")


def broken(story):
    """One file of this daemon does not load. When it is gone, all is well."""
    browser, file = story.browser, story.daemon.root / "dags" / "bad.json"
    story.go("#/host")
    browser.see("h2", "Files that do not load")
    browser.see("pre.alarm", "bad.json")
    assert not browser.find("main p", "All is well."), "above a file that does not load"
    file.unlink()
    browser.click("button", "Reload DAG files")
    browser.see("main p", "All is well.")
    story.calm()
    say("a file that does not load is told where the host is shown, and nothing there says that all is well")


def gone(story):
    browser, daemon = story.browser, story.daemon
    story.go("#/dags")
    browser.see("table.dags")
    daemon.stop()
    browser.see("#notice", "does not answer")
    story.look("gone")
    daemon.start()
    browser.wait("the daemon to be noticed", lambda: not browser.find("#notice .gone"), 40)
    browser.complaints()
    say("a daemon that is gone is told, and so is that it is back")


def views(story):
    story.visit("list", "#/dags", "table.dags", "chain")
    story.visit("grid", "#/dags/chain/grid", ".grid td a")
    story.visit("graph", "#/dags/chain/graph", ".canvas a")
    story.visit("gantt", "#/dags/chain/gantt", ".gantt-row", "second")
    story.visit("dag-runs", "#/dags/chain/runs", "table.runs")
    story.visit("runs", "#/runs", "table.runs", "gated")
    story.visit("code", "#/dags/chain/code", ".code", "task_id")
    story.visit("details", "#/dags/chain/details", "main", "Tasks (3)")
    story.visit("host", "#/host", ".card", "default_pool")
    say("every view, wide and narrow, light and dark")


def scale(browser, program, root):
    tasks = [{"task_id": f"t{n}", "empty": True} for n in range(4)]
    dags = {f"dag_{n:04}": {"tags": [f"tag{n % 7}"], "schedule": "@daily", "description": f"Number {n}", "tasks": tasks, "order": ["t0 >> [t1, t2] >> t3"]} for n in range(998)}
    dags["many"] = {"max_active_runs": 16, "tasks": [{"task_id": "only", "empty": True}]}
    dags["huge"] = {"tasks": [{"task_id": f"t{n}", "empty": True} for n in range(5_000)], "order": [f"t{n // 3} >> t{n}" for n in range(1, 5_000)]}
    (root / "scale").mkdir()
    daemon = Daemon(program, root / "scale", dags)
    try:
        say("making 10,000 runs")
        done = 0
        while done < 10_000:
            status = daemon.post("/api/v2/dags/many/dagRuns", {"logical_date": None})
            assert status in (200, 409), status
            # As many as may wait do.
            done += status == 200
            time.sleep(0 if status == 200 else 0.2)
        daemon.command("trigger", "huge", "--run-id", "r1")
        browser.size(1280, 800)
        browser.open(daemon.base)
        browser.type("#password", daemon.password())
        browser.click("form.login button")
        browser.see("table.dags", "dag_0000")
        browser.run("""window.until = (hash, selector) => new Promise((done) => {
            const begin = performance.now();
            location.hash = hash;
            const look = () => document.querySelector(selector) ? requestAnimationFrame(() => done(Math.round(performance.now() - begin))) : setTimeout(look, 4);
            setTimeout(look, 4);
        })""")
        until = lambda hash, selector: browser.run_async("window.until(arguments[0], arguments[1]).then(arguments[2])", hash, selector)
        for what, hash, selector in [
            ("host, for the way back", "#/host", ".cards"), ("the list of 1,000 DAGs", "#/dags", "table.dags"), ("a search in it", "#/dags?q=0777", ".dags tr:only-child a[href*=dag_0777]"),
            ("10,000 runs", "#/dags/many/runs", "table.runs"), ("their end", "#/dags/many/runs?offset=9950", ".pager .off"),
            ("their grid", "#/dags/many/grid", ".grid td a"), ("a graph of 5,000 tasks", "#/dags/huge/graph?run=r1", ".canvas a"), ("a grid of 5,000 tasks", "#/dags/huge/grid", ".grid tbody tr:nth-child(9) a"),
        ]:
            say(f"{what}: {until(hash, selector)} ms")
        elements = browser.run("return document.getElementsByTagName('*').length")
        say(f"elements in the grid of 5,000 tasks: {elements}")
        assert elements < 5_000, "not windowed"
    finally:
        daemon.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default=str(ROOT / "target" / "debug" / "mini-dag"))
    parser.add_argument("--shots", type=pathlib.Path)
    parser.add_argument("--scale", action="store_true")
    args = parser.parse_args()
    if args.shots:
        args.shots.mkdir(parents=True, exist_ok=True)
    if not (shutil.which("chromedriver") and (shutil.which("chromium") or shutil.which("chromium-browser"))):
        return skipped("the page was not tried in a browser: there is no chromium, or no chromedriver")
    root = pathlib.Path(tempfile.mkdtemp(prefix="page-test-"))
    launches = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Launches)
    threading.Thread(target=launches.serve_forever, daemon=True).start()
    api = f"http://127.0.0.1:{launches.server_address[1]}/launches"
    tutorial_text = (ROOT / "dags" / f"{TUTORIAL}.json").read_text()
    dags = {TUTORIAL: tutorial_text, "gated": GATED, "chain": CHAIN, "held": HELD, "evil": EVIL, "bad": '{"dag_id": "bad", "tasks": "<script>window.pwned=1</script>"}'}
    try:
        if args.scale:
            with Browser() as browser:
                return scale(browser, args.program, root)
        daemon = Daemon(args.program, root, dags)
        try:
            with Browser() as browser:
                story = Story(browser, daemon, axe(root), args.shots)
                try:
                    browser.size(1280, 800)
                    browser.theme("light")
                    log_in(story)
                    tutorial(story, api)
                    live(story)
                    clear(story)
                    pause(story)
                    cancel(story)
                    mark(story)
                    backfill(story)
                    views(story)
                    hostile(story)
                    keys(story)
                    broken(story)
                    gone(story)
                    assert not story.faults, "hard to read for some:\n" + "\n".join(dict.fromkeys(story.faults))
                except BaseException:
                    story.tell()
                    raise
        finally:
            daemon.stop()
        say("all is well")
    except NoBrowser as error:
        skipped(f"the page was not tried in a browser: {error}")
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
