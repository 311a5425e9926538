// The frame: which view an address means, when it is looked up again, and what is around it.
import { go, read } from "./address.js";
import { ask, deafen, get, listen, told } from "./api.js";
import { dag } from "./dag.js";
import { dags } from "./dags.js";
import { $, h, patch, s } from "./dom.js";
import { ask as open, close } from "./dialog.js";
import { host } from "./host.js";
import { login } from "./login.js";
import { apply, choose, prefs } from "./prefs.js";
import { runs } from "./runs.js";
import { setHost, zone } from "./time.js";

// A view: `load` asks, `draw` shows, `wants` says which changes it shows.
const VIEWS = { dags, dag, runs, host };
const TITLES = { dags: "DAGs", runs: "Runs", host: "Host" };

let who = null;
let route = null;
let data = null;
let turn = 0;
let timer = 0;
let last = 0;

function place() {
	const { parts, query } = read();
	const name = parts[0] === "dags" && parts[1] ? "dag" : parts[0] in TITLES ? parts[0] : "dags";
	return { name, parts, query };
}

async function refresh() {
	if (!who) return;
	clearTimeout(timer);
	timer = 0;
	last = performance.now();
	const mine = ++turn;
	const [view, wanted] = [VIEWS[route.name], route];
	try {
		const found = await view.load(wanted, data);
		if (mine !== turn || wanted !== route) return;
		data = found;
		show();
	} catch (problem) {
		if (mine !== turn || problem.status === 401 || problem.status === 0) return;
		if (problem.status === undefined) console.error(problem);
		patch($("main"), h("div.empty", { key: "problem", role: "alert" }, h("h1", problem.status === 404 ? "Not found" : "That did not work"), h("p", problem.message), h("p", h("a", { href: "#/dags" }, "All DAGs"))));
	}
}

// Soon, and not more often than once in a while, however much happens.
function soon(delay = 150) {
	if (timer) return;
	timer = setTimeout(refresh, Math.max(delay, last + 700 - performance.now()));
}

function show() {
	if (data === null) return;
	patch($("main"), VIEWS[route.name].draw(data, route, who));
	document.title = `${route.parts[1] || TITLES[route.name]} · mini-dag`;
}

function turnTo() {
	close();
	const before = route;
	route = place();
	const same = before && before.name === route.name && before.parts[1] === route.parts[1];
	if (!same) {
		data = null;
		if (who) patch($("main"), h("p.empty", "…"));
		if (before) $("main").focus({ preventScroll: true });
		scrollTo(0, 0);
	}
	frame();
	refresh();
}

const ICONS = {
	auto: "M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 0 1 0 11",
	light: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8 1v1.5M8 13.500V15M1 8h1.500M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1",
	leave: "M6.5 2.500H3v11h3.500M10 5l3 3-3 3M6 8h7",
	dark: "M13.5 9.500A6 6 0 0 1 6.5 2.500a6 6 0 1 0 7 7z",
};
const icon = (d) => s("svg.icon", { viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { d }));

function frame() {
	const nav = (name, text) => h("a", { href: `#/${name}`, "aria-current": route.name === name || (name === "dags" && route.name === "dag") ? "page" : null }, text);
	const themes = ["auto", "light", "dark"];
	const next = themes[(themes.indexOf(prefs.theme) + 1) % 3];
	const zones = [["host", "Host"], ["browser", "Local"], ["utc", "UTC"]];
	patch(
		$("top"),
		h("a.brand", { href: "#/dags", label: "mini-dag, all DAGs" }, h("img", { src: "/ui/icon.svg", alt: "", width: 24, height: 24 }), h("span", "mini-dag")),
		who && h("nav", { label: "Main" }, nav("dags", "DAGs"), nav("runs", "Runs"), nav("host", "Host")),
		who &&
			h("div.tools",
				h("select", { label: "Time zone", title: `Times are those of ${zone()}`, change: (event) => (choose({ zone: event.target.value }), frame(), show()) },
					zones.map(([name, text]) => h("option", { value: name, selected: prefs.zone === name }, text))),
				h("button.quiet.round", { title: `Theme: ${prefs.theme}`, label: `Theme: ${prefs.theme}; change to ${next}`, click: () => (choose({ theme: next }), frame()) }, icon(ICONS[prefs.theme])),
				h("button.quiet.round.help", { title: "Keyboard shortcuts", label: "Keyboard shortcuts", click: help }, "?"),
				h("button.quiet.round", { title: `Log out ${who.username} (${who.role})`, label: `Log out ${who.username}`, click: leave }, icon(ICONS.leave))),
	);
}

async function leave() {
	await ask("POST", "/mini-dag/v1/logout", {}).catch(() => {});
	away();
}

// Nobody is logged in.
function away() {
	who = null;
	data = null;
	turn += 1;
	deafen();
	close();
	frame();
	document.title = "Log in · mini-dag";
	patch($("main"), login((is) => enter(is)));
	$("password")?.focus();
}

function enter(is) {
	who = is;
	data = null;
	patch($("main"));
	listen();
	hosted();
	turnTo();
}

// The host's clock and zone.
async function hosted() {
	const found = await get("/mini-dag/v1/status", { dags: false }).catch(() => null);
	if (!found) return;
	setHost(found.clock.now, found.clock.timezone);
	frame();
	show();
}

const KEYS = [
	["g then d, r or h", "DAGs, runs, host"],
	["/", "search"],
	["t", "trigger the DAG"],
	["p", "pause or unpause the DAG"],
	["1 … 6", "grid, graph, Gantt, runs, code, details"],
	["arrows", "from task to task and run to run, in grid and graph"],
	["Enter", "open"],
	["Escape", "close what is open"],
];
function help() {
	open("Keyboard", h("dl.keys", KEYS.map(([key, text]) => h("div", h("dt", h("kbd", key)), h("dd", text)))));
}

let prefix = 0;
addEventListener("keydown", (event) => {
	if (event.ctrlKey || event.metaKey || event.altKey || !who || $("dialog").open) return;
	if (event.target.closest?.("input,textarea,select")) return event.key === "Escape" ? event.target.blur() : undefined;
	const isAfterG = performance.now() - prefix < 1500;
	const button = (name) => document.querySelector(`[data-key="${name}"]`);
	const places = { d: "#/dags", r: "#/runs", h: "#/host" };
	if (isAfterG && places[event.key]) go(places[event.key]);
	else if (event.key === "g") return (prefix = performance.now());
	else if (event.key === "?") help();
	else if (event.key === "Escape") button("close")?.click();
	else if (/^[1-6tp/]$/.test(event.key) && button(event.key)) {
		const found = button(event.key);
		if (event.key === "/") found.focus();
		else found.click();
	} else return;
	prefix = 0;
	event.preventDefault();
});

told.addEventListener("login", () => who && away());
told.addEventListener("gone", () => patch($("notice"), h("p.gone", "The daemon does not answer. What you see is how it was; this page goes on by itself when it is back.")));
told.addEventListener("back", () => {
	patch($("notice"));
	if (who) soon();
});
told.addEventListener("change", ({ detail }) => {
	const view = VIEWS[route.name];
	if (detail.type === "reset" || detail.type === "daemon" || view.wants(detail, route)) soon();
});
addEventListener("hashchange", turnTo);
document.addEventListener("visibilitychange", () => !document.hidden && who && soon());
$("skip").addEventListener("click", (event) => {
	event.preventDefault();
	$("main").focus();
});

apply();
route = place();
frame();
ask("GET", "/mini-dag/v1/session")
	.then(enter)
	.catch((problem) => problem.status === 401 || problem.status === 403 ? away() : told.addEventListener("back", () => location.reload(), { once: true }));
