// One DAG: its head, its views, and beside them what was chosen: a run or a task of a run.
import { link } from "./address.js";
import { dagPath, get } from "./api.js";
import { backfill } from "./backfill.js";
import { code } from "./code.js";
import { nextRun, pauseSwitch } from "./dags.js";
import { details } from "./details.js";
import { h } from "./dom.js";
import { mayOperate } from "./parts.js";
import { gantt } from "./gantt.js";
import { graph } from "./graph.js";
import { grid } from "./grid.js";
import { panel } from "./panel.js";
import { dagRuns } from "./runs.js";
import { trigger } from "./trigger.js";

// `load(dag_id, query, run, about)` asks, `draw(data, context)` shows; `run`: it shows one run.
const VIEWS = { grid, graph, gantt, runs: dagRuns, code, details };
const NAMES = { grid: "Grid", graph: "Graph", gantt: "Gantt", runs: "Runs", code: "Code", details: "Details" };

const name = (route) => (route.parts[2] in VIEWS ? route.parts[2] : "grid");

// The address of something of this DAG; what is chosen stays chosen.
const to = (route) => (view, change) => {
	const { run, task, tab, n } = route.query;
	return link(["dags", route.parts[1], view || name(route)], { run, task, tab, n, ...change });
};

async function latest(dag) {
	const found = await get(`${dagPath(dag)}/dagRuns`, { order_by: "-id", limit: 1 });
	return found.dag_runs[0]?.dag_run_id;
}

export const dag = {
	wants: (change, route) => change.dag_id === route.parts[1],
	async load(route) {
		const id = route.parts[1];
		const view = VIEWS[name(route)];
		const run = route.query.run || (view.run ? await latest(id) : null);
		const about = get(`${dagPath(id)}/details`);
		const [known, main, side] = await Promise.all([about, view.load(id, route.query, run, about), panel.load(id, route.query)]);
		return { known, main, side, run };
	},
	draw({ known, main, side, run }, route, who) {
		const view = name(route);
		const context = { dag: known, route, who, run, to: to(route) };
		const may = mayOperate(who);
		return [
			h("div.head", { key: `head ${known.dag_id}` },
				h("div.title",
					h("p.crumbs", h("a", { href: "#/dags" }, "DAGs"), " / "),
					h("h1", known.dag_id),
					known.has_import_errors && h("a.flag", { href: context.to("code") }, "file does not load")),
				h("div.actions",
					h("label.with-switch", known.is_paused ? "Paused" : "Active", pauseSwitch(known, who, "p")),
					known.is_backfillable && h("button.quiet", { disabled: !may, click: () => backfill(known) }, "Backfill"),
					h("button.primary", { disabled: !may, "data-key": "t", click: () => trigger(known.dag_id) }, "Trigger")),
				known.description && h("p.about", known.description),
				h("dl.facts",
					fact("Schedule", known.timetable_summary ? h("code", known.timetable_summary) : "by hand", known.timetable_summary && known.timezone && ` ${known.timezone}`),
					fact("Next run", nextRun(known)),
					known.owners[0] !== "mini-dag" && fact("Owner", known.owners.join(", ")),
					known.tags.length > 0 && fact("Tags", known.tags.map((tag) => h("a.tag", { href: link(["dags"], { tag: tag.name }) }, tag.name))))),
			h("nav.tabs", { label: "Views of the DAG" },
				Object.entries(NAMES).map(([key, text], at) => h("a", { href: context.to(key), "data-key": at + 1, "aria-current": key === view ? "page" : null }, text))),
			h("div", { class: `split${side ? " has-panel" : ""}`, key: `split ${known.dag_id}` },
				h("section.view", { key: view, label: NAMES[view] }, VIEWS[view].draw(main, context)),
				side && h("aside.panel.card", { key: "panel", label: side.task ? "Task" : "Run" }, panel.draw(side, context))),
		];
	},
};

const fact = (name, ...what) => h("div", h("dt", name), h("dd", what));
