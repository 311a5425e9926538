// Runs beside each other, tasks below each other: what happened when.
import { dagPath, get, own } from "./api.js";
import { h, patch, windowed } from "./dom.js";
import { none } from "./parts.js";
import { kind, legend, sign, words } from "./states.js";
import { span, stamp } from "./time.js";

const [RUNS, ROW] = [25, 28];

// One place that stays, with where it is scrolled to.
const body = h("tbody");
const head = h("thead");
const place = h("div.grid-place", { key: "grid", tabindex: -1 }, h("table.grid", { role: "grid", label: "Runs and tasks", keydown: walk }, head, body));
let shown = null;

// Arrows go from cell to cell; one cell is in the order of Tab.
function walk(event) {
	const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] || [];
	const at = event.target.dataset?.at?.split(" ").map(Number);
	if (down === undefined || !at) return;
	event.preventDefault();
	const next = place.querySelector(`[data-at="${at[0] + down} ${at[1] + right}"]`);
	if (!next) return;
	for (const cell of place.querySelectorAll("[data-at]")) cell.tabIndex = -1;
	next.tabIndex = 0;
	next.focus();
}

function paint() {
	const { found, context } = shown;
	const runs = found.dag_runs;
	const { run, task } = context.route.query;
	const longest = Math.max(1, ...runs.map((one) => one.duration || 0));
	const last = runs.length - 1;
	patch(head, h("tr", h("th.corner", { scope: "col" }, h("span", span(longest))), runs.map((one, at) => {
		const text = `${one.dag_run_id}, ${words(one.state)}, ${one.duration == null ? "" : span(one.duration)}`;
		const high = 5 + Math.round((55 * (one.duration ?? longest)) / longest);
		return h("th", { key: one.dag_run_id, scope: "col", class: one.dag_run_id === run ? "chosen" : null }, h("a", { class: `bar ${kind(one.state)}`, href: context.to("grid", { run: one.dag_run_id, task: null }), title: `${text}\n${stamp(one.run_after)}`, label: text, "data-at": `-1 ${at}`, tabindex: at === last ? 0 : -1 }, h("span", { style: { height: `${high}px` } })));
	})));
	windowed(place, found.task_ids.length, ROW, (from, to) => {
		const space = (rows, key) => rows > 0 && h("tr", { key, "aria-hidden": "true" }, h("td", { colspan: runs.length + 1, style: { height: `${rows * ROW}px` } }));
		const rows = found.task_ids.slice(from, to).map((id, index) => {
			const at = from + index;
			return h("tr", { key: id }, h("th", { scope: "row", class: id === task ? "chosen" : null, title: id }, h("span", id)), runs.map((one, column) => {
				const state = one.task_states[at];
				const isChosen = one.dag_run_id === run && (!task || id === task);
				if (state === undefined) return h("td");
				return h("td", { key: one.dag_run_id, class: isChosen ? "chosen" : null }, h("a", { href: context.to("grid", { run: one.dag_run_id, task: id }), "data-at": `${at} ${column}`, tabindex: -1, label: `${id}, ${words(state)}, ${one.dag_run_id}`, title: `${id}: ${words(state)}` }, sign(state)));
			}));
		});
		patch(body, space(from, "above"), rows, space(found.task_ids.length - to, "below"));
	});
}

export const grid = {
	async load(id, query) {
		const found = await get(`${own(dagPath(id))}/grid`, { order_by: "-id", limit: query.n || RUNS });
		found.dag_runs.reverse();
		return found;
	},
	draw(found, context) {
		if (!found.dag_runs.length) return none("This DAG has not run yet. ", h("b", "Trigger"), " runs it now.");
		const isNew = shown?.found.dag_id !== found.dag_id || shown.found.dag_runs.length !== found.dag_runs.length;
		shown = { found, context };
		paint();
		// The latest is on the right.
		if (isNew) requestAnimationFrame(() => (place.scrollLeft = place.scrollWidth));
		const n = found.dag_runs.length;
		return [place, h("p.muted", `The latest ${n === 1 ? "run" : `${n} runs`}. `, found.total_entries > n && n < 100 && h("a", { href: context.to("grid", { n: n <= RUNS ? 50 : 100 }) }, "More"), " ", h("a", { href: context.to("runs") }, "All runs")), legend()];
	},
};
