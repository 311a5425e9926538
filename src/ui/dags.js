// All DAGs: a page of them, with their latest runs and what comes next.
import { link, swap } from "./address.js";
import { ask, dagPath, get, stir } from "./api.js";
import { attempt } from "./dialog.js";
import { h } from "./dom.js";
import { chips, heads, mayOperate, none, pager } from "./parts.js";
import { kind, legend, sign, words } from "./states.js";
import { ago, day, now, span, stamp } from "./time.js";
import { trigger } from "./trigger.js";

const PAGE = 50;
const FILTERS = [["", "All"], ["active", "Active"], ["paused", "Paused"], ["running", "Running"], ["failed", "Failed"]];

export function pauseSwitch(dag, who, key) {
	const change = async () => {
		await attempt(() => ask("PATCH", dagPath(dag.dag_id), { is_paused: !dag.is_paused }));
		stir();
	};
	return h("button.switch", { role: "switch", "aria-checked": dag.is_paused ? "false" : "true", label: `${dag.dag_id}: runs by schedule`, title: dag.is_paused ? "Paused" : "Active", disabled: !mayOperate(who), "data-key": key, click: change }, h("span"));
}

export function nextRun(dag) {
	if (dag.is_paused) return h("span.muted", "paused");
	const next = dag.next_dagrun_run_after;
	if (!next) return h("span.muted", !dag.timetable_summary ? "by hand" : dag.active_runs_count ? "after the active run" : "no further run");
	return [Date.parse(next) < now() ? h("span", "now") : h("time", { datetime: next, title: stamp(next), "data-ago": next }, ago(next)), h("small", day(next))];
}

// The latest runs: as high as they took long, in the colour and the pattern of their state.
export function bars(dag) {
	const runs = [...(dag.last_runs || [])].reverse();
	const longest = Math.max(1, ...runs.map((run) => run.duration || 0));
	return runs.length > 0 && h("div.bars", runs.map((run) => {
		const took = run.duration == null ? "" : `, ${span(run.duration)}`;
		const text = `${words(run.state)}, ${stamp(run.run_after || run.logical_date)}${took}`;
		const high = run.state === "queued" ? 6 : 6 + Math.round((20 * (run.duration ?? longest)) / longest);
		return h("a", { key: run.dag_run_id, class: `bar ${kind(run.state)}`, href: link(["dags", dag.dag_id, "graph"], { run: run.dag_run_id }), label: text, title: text }, h("span", { style: { height: `${high}px` } }));
	}));
}

function row(dag, who) {
	const last = dag.last_runs?.[0];
	return h("tr", { key: dag.dag_id },
		h("td.c-pause", pauseSwitch(dag, who)),
		h("td.c-name",
			h("a.name", { href: link(["dags", dag.dag_id, "grid"]) }, dag.dag_id),
			dag.has_import_errors && h("span.flag", { title: "Its file has changed and does not load: the last good version is used" }, "does not load"),
			dag.tags.map((tag) => h("a.tag", { href: link(["dags"], { tag: tag.name }) }, tag.name)),
			dag.description && h("small", dag.description)),
		h("td.c-schedule", dag.timetable_summary ? h("code", dag.timetable_summary) : h("span.muted", "–")),
		h("td.c-next", nextRun(dag)),
		h("td.c-last", last && [sign(last.state), h("span.sr", words(last.state)), h("time", { "data-ago": last.start_date || last.run_after, datetime: last.start_date || last.run_after, title: stamp(last.start_date) }, ago(last.start_date || last.run_after))]),
		h("td.c-bars", bars(dag)),
		h("td.c-go", h("button.quiet", { disabled: !mayOperate(who), label: `Trigger ${dag.dag_id}`, click: () => trigger(dag.dag_id) }, "Trigger")));
}

function errors(found) {
	if (!found.length) return null;
	const n = found.length;
	return h("details.alarm", h("summary", `${n} problem${n > 1 ? "s" : ""} in DAG files`), found.map((error) => h("pre", { key: error.import_error_id }, error.stack_trace)));
}

let typed = 0;
export const dags = {
	wants: () => true,
	async load({ query }) {
		const paused = { active: false, paused: true }[query.show];
		const state = { running: "running", failed: "failed" }[query.show];
		const page = { limit: PAGE, offset: query.offset, dag_id_pattern: query.q, tags: query.tag, paused, last_dag_run_state: state };
		const [list, broken] = await Promise.all([get("/mini-dag/v1/dags", page), get("/api/v2/importErrors", { limit: 20 })]);
		return { ...list, errors: broken.import_errors };
	},
	draw(found, { query }, who) {
		const to = (change) => link(["dags"], { ...query, offset: null, ...change });
		const search = (event) => {
			const text = event.target.value;
			clearTimeout(typed);
			typed = setTimeout(() => swap(to({ q: text })), 200);
		};
		const offset = Number(query.offset) || 0;
		const end = offset + found.dags.length;
		return [
			h("div.bar-row",
				h("h1", "DAGs"),
				h("input", { type: "search", placeholder: "Search", label: "Search DAGs by name", "data-key": "/", value: query.q || "", input: search }),
				chips("Show", FILTERS, query.show || "", (show) => to({ show })),
				query.tag && h("a.tag.on", { href: to({ tag: null }), label: `Tag ${query.tag}: show all` }, query.tag, " ×")),
			errors(found.errors),
			found.dags.length
				? h("table.list.dags",
						heads(h("th", h("span.sr", "Active")), "DAG", "Schedule", "Next run", "Last run", "Latest runs", h("th", h("span.sr", "Trigger"))),
						h("tbody", found.dags.map((dag) => row(dag, who))))
				: none(query.q || query.tag || query.show ? "No DAG is like that." : "There is no DAG yet: drop a JSON file into the DAG directory."),
			h("div.pager", pager(offset, end, found.total_entries, PAGE, (at) => to({ offset: at || null }))),
			legend(),
		];
	},
};
