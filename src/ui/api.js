// The daemon: questions, answers, and what it tells on its own.
import { setHost } from "./time.js";

export const enc = encodeURIComponent;
export const dagPath = (dag) => `/api/v2/dags/${enc(dag)}`;
export const runPath = (dag, run) => `${dagPath(dag)}/dagRuns/${enc(run)}`;
export const taskPath = (dag, run, task) => `${runPath(dag, run)}/taskInstances/${enc(task)}`;
export const own = (path) => path.replace("/api/v2/", "/mini-dag/v1/");

export const runStates = (dag, run) => get(`${own(runPath(dag, run))}/states`);

export class Problem extends Error {
	constructor(status, detail) {
		super(typeof detail === "string" ? detail : (detail || []).map((one) => `${one.loc?.at(-1) ?? ""}: ${one.msg}`).join("; "));
		this.status = status;
	}
}

// What this page is told: "login" (nobody is logged in), "gone", "back", "change".
export const told = new EventTarget();
const tell = (what, detail) => told.dispatchEvent(new CustomEvent(what, { detail }));
// Something was done: look again.
export const stir = () => tell("change", { type: "reset" });

let isGone = false;
function gone(is) {
	if (is !== isGone) tell((isGone = is) ? "gone" : "back");
}

export async function ask(method, path, body) {
	let answer;
	try {
		answer = await fetch(path, {
			method,
			headers: body === undefined ? {} : { "Content-Type": "application/json" },
			body: body === undefined ? undefined : JSON.stringify(body),
		});
	} catch {
		gone(true);
		listen(true);
		throw new Problem(0, "the daemon does not answer");
	}
	gone(false);
	setHost(answer.headers.get("date"));
	if (answer.status === 401 && !path.endsWith("/login")) tell("login");
	if (answer.status === 204) return null;
	const text = await answer.text();
	let json = null;
	try {
		json = JSON.parse(text);
	} catch {
		throw new Problem(answer.status, `the answer is not JSON: ${text.slice(0, 80)}`);
	}
	if (!answer.ok) throw new Problem(answer.status, json.detail || json.error || `status ${answer.status}`);
	return json;
}
export const get = (path, query) => {
	const pairs = Object.entries(query || {}).flatMap(([name, value]) => [value].flat().filter((one) => one != null && one !== "").map((one) => `${name}=${enc(one)}`));
	return ask("GET", pairs.length ? `${path}?${pairs.join("&")}` : path);
};

// The event stream. A browser takes it up again by itself after a cut; after a refusal, this does.
let stream = null;
let pause = 1000;
let waiting = 0;
export function listen(isAgain) {
	if (isAgain) {
		stream?.close();
		stream = null;
		clearTimeout(waiting);
		waiting = setTimeout(listen, pause);
		pause = Math.min(pause * 2, 15000);
		return;
	}
	stream?.close();
	stream = new EventSource("/mini-dag/v1/events");
	stream.addEventListener("hello", () => {
		pause = 1000;
		gone(false);
	});
	for (const type of ["reset", "daemon", "dag", "run", "task"]) {
		stream.addEventListener(type, (event) => tell("change", { type, ...JSON.parse(event.data) }));
	}
	stream.onerror = async () => {
		const is = stream;
		try {
			await ask("GET", "/mini-dag/v1/session");
		} catch {
			return;
		}
		if (is === stream && is.readyState === EventSource.CLOSED) listen(true);
		// What happened meanwhile, if too many are listening already, is looked up.
		tell("change", { type: "reset" });
	};
}
export function deafen() {
	stream?.close();
	stream = null;
	clearTimeout(waiting);
}
