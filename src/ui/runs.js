// Runs, the latest first: of one DAG or of all.
import { link } from "./address.js";
import { get } from "./api.js";
import { h } from "./dom.js";
import { chips, heads, none, pager } from "./parts.js";
import { badge, words } from "./states.js";
import { at, since, took } from "./time.js";

const PAGE = 50;
const FILTERS = [["", "All"], ["running", "Running"], ["queued", "Queued"], ["success", "Success"], ["failed", "Failed"]];

const load = (dag, query) => get(`/api/v2/dags/${encodeURIComponent(dag)}/dagRuns`, { order_by: "-id", limit: PAGE, offset: query.offset, state: query.state });

// `open(run)`: where a run leads; `to(change)`: another page of this list.
function draw(found, query, isAll, open, to) {
	const offset = Number(query.offset) || 0;
	const end = offset + found.dag_runs.length;
	return [
		h("div.bar-row", isAll && h("h1", "Runs"), chips("Show", FILTERS, query.state || "", (state) => to({ state, offset: null }))),
		found.dag_runs.length
			? h("table.list.runs",
					heads("State", isAll && h("th", "DAG"), "Run", h("th.c-type", "Type"), "Started", h("th.num", "Took")),
					h("tbody", found.dag_runs.map((run) => h("tr", { key: `${run.dag_id} ${run.dag_run_id}` },
						h("td.c-state", badge(run.state)),
						isAll && h("td.c-dag", h("a.name", { href: link(["dags", run.dag_id]) }, run.dag_id)),
						h("td.c-run", h("a", { href: open(run) }, run.dag_run_id)),
						h("td.c-type", words(run.run_type)),
						h("td.c-at", run.start_date ? [at(run.start_date), h("small", since(run.start_date))] : "–"),
						h("td.num", took(run))))))
			: none(query.state ? "No run is like that." : "Nothing has run yet."),
		h("div.pager", pager(offset, end, found.total_entries, PAGE, (at) => to({ offset: at || null }))),
	];
}

export const runs = {
	wants: () => true,
	load: (route) => load("~", route.query),
	draw: (found, { query }) => draw(found, query, true, (run) => link(["dags", run.dag_id, "graph"], { run: run.dag_run_id }), (change) => link(["runs"], { ...query, ...change })),
};

export const dagRuns = {
	load: (id, query) => load(id, query),
	draw: (found, context) => {
		const { query } = context.route;
		const to = (change) => context.to("runs", { state: query.state, offset: query.offset, ...change });
		return draw(found, query, false, (run) => to({ run: run.dag_run_id, task: null }), to);
	},
};
