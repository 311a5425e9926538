"""Chromium, driven over WebDriver with nothing but Python's standard library."""

import base64
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
PATIENCE = 60  # seconds; what goes well is seen at once, and a host that is busy with something else has time
FLAGS = [
    "--headless=new", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
]


def free_port():
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return door.getsockname()[1]


class NoBrowser(Exception):
    """Chromium does not start on this host."""


class Browser:
    """A browser of its own, with an empty profile; closed at the end of `with`."""

    def __init__(self):
        self.driver, self.said, self.profile = None, [], None
        # Chromium refuses root a sandbox, and some containers have none.
        for flags in ([], ["--no-sandbox"], ["--no-sandbox"]):
            try:
                return self.start(flags if os.geteuid() else ["--no-sandbox"])
            except (OSError, RuntimeError, AssertionError, http.client.HTTPException) as error:
                why = f"{error}; chromedriver says:\n{self.log()}"
                print(f"page: the browser did not start: {why}", flush=True)
                self.end()
        raise NoBrowser(why)

    def start(self, flags):
        self.profile = tempfile.mkdtemp(prefix="page-")
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        with open(os.path.join(self.profile, "chromedriver.log"), "wb") as log:
            self.driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=log, stderr=log, start_new_session=True)
        self.wait("chromedriver", lambda: self.call("GET", "/status")["ready"])
        options = {"args": FLAGS + flags + [f"--user-data-dir={self.profile}/chromium"], "binary": shutil.which("chromium") or shutil.which("chromium-browser")}
        timeouts = {"script": 120_000, "pageLoad": 120_000}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}, "timeouts": timeouts}
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.base += f"/session/{session['sessionId']}"

    def log(self):
        """What chromedriver has to say."""
        with open(os.path.join(self.profile, "chromedriver.log"), errors="replace") as log:
            return log.read()[-3000:]

    def end(self):
        """The driver and all that it started, then the profile."""
        try:
            os.killpg(self.driver.pid, signal.SIGKILL)
        except (AttributeError, OSError):
            pass
        if self.driver:
            self.driver.wait()
        self.driver = None
        shutil.rmtree(self.profile, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.call("DELETE", "")
        except (OSError, RuntimeError, http.client.HTTPException):
            pass
        self.end()

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=180) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            said = json.load(error)["value"]
            raise RuntimeError(f"{said['error']}: {said['message'].partition(chr(10))[0]}") from None

    def cdp(self, command, **params):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def run(self, script, *args):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(args)})

    def run_async(self, script, *args):
        return self.call("POST", "/execute/async", {"script": script, "args": list(args)})

    def find(self, selector, text=None):
        """The first element that is shown and, if given, contains a text."""
        script = """
            const [selector, text] = arguments;
            return [...document.querySelectorAll(selector)].find((el) =>
              el.checkVisibility() && (text === null || (el.textContent || el.value || '').includes(text))) || null;"""
        found = self.run(script, selector, text)
        return found and found[ELEMENT]

    def wait(self, what, probe, patience=PATIENCE):
        end = time.monotonic() + patience
        while True:
            try:
                found, why = probe(), ""
            except (OSError, RuntimeError, http.client.HTTPException) as error:
                found, why = None, f": {error}"
            if found:
                return found
            if time.monotonic() > end:
                raise AssertionError(f"waited {patience} s in vain for {what}{why}")
            time.sleep(0.05)

    def see(self, selector, text=None, patience=PATIENCE):
        return self.wait(f"{selector} {text or ''}", lambda: self.find(selector, text), patience)

    def click(self, selector, text=None):
        self.wait(f"a click on {selector} {text or ''}", lambda: self._click(self.find(selector, text)))

    def _click(self, element):
        if element is None:
            return False
        self.call("POST", f"/element/{element}/click", {})
        return True

    def type(self, selector, text):
        def typed():
            element = self.find(selector)
            if element is None:
                return False
            self.call("POST", f"/element/{element}/clear", {})
            self.call("POST", f"/element/{element}/value", {"text": text})
            return True
        self.wait(f"a field {selector} to type in", typed)

    def press(self, keys):
        actions = [{"type": action, "value": key} for key in keys for action in ("keyDown", "keyUp")]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def size(self, width, height):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def theme(self, name):
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def shot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", "/screenshot")))

    def complaints(self):
        """What the console said since it was last asked, as far as it is an error."""
        new = self.call("POST", "/se/log", {"type": "browser"})
        self.said += [f"{entry['level']} {entry['message']}" for entry in new]
        return [entry["message"] for entry in new if entry["level"] == "SEVERE"]
