// Which run a view shows, to change it.
import { go } from "./address.js";
import { dagPath, get } from "./api.js";
import { h } from "./dom.js";
import { words } from "./states.js";
import { stamp } from "./time.js";

export const latestRuns = async (dag) => (await get(`${dagPath(dag)}/dagRuns`, { order_by: "-id", limit: 50 })).dag_runs;

export function runBar(runs, context) {
	if (!context.run) return h("p.muted", "This DAG has not run yet.");
	const to = (run) => context.to(null, { run });
	const at = runs.findIndex((run) => run.dag_run_id === context.run);
	const step = (run, text, name) => (run ? h("a.button", { href: to(run.dag_run_id), label: name }, text) : h("span.button.off", { "aria-hidden": "true" }, text));
	const all = at < 0 ? [{ dag_run_id: context.run }, ...runs] : runs;
	return h("div.run-bar",
		step(at < 0 ? null : runs[at + 1], "‹", "The run before"),
		h("select", { label: "Run", change: (event) => go(to(event.target.value)) }, all.map((run) => h("option", { value: run.dag_run_id, selected: run.dag_run_id === context.run }, run.state ? `${stamp(run.logical_date)} · ${words(run.run_type)} · ${words(run.state)}` : run.dag_run_id))),
		step(runs[at - 1], "›", "The run after"),
		h("a", { href: context.to(null, { run: context.run, task: null }) }, "Run details"));
}
