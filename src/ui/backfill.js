// Runs for days that are over: what would run, the start, and how far it is.
import { ask, get, stir } from "./api.js";
import { attempt, ask as dialog, toast } from "./dialog.js";
import { h, patch } from "./dom.js";
import { heads, mayOperate } from "./parts.js";
import { at, stamp } from "./time.js";

const WHICH = [["none", "only what has not run"], ["failed", "and what failed"], ["completed", "everything again"]];

export function backfill(dag) {
	const day = new Date(Date.now() - 864e5).toISOString().slice(0, 10);
	const from = h("input", { id: "from", type: "date", required: true, value: day, change: look });
	const to = h("input", { id: "to", type: "date", required: true, value: day, change: look });
	const which = h("select", { id: "which", change: look }, WHICH.map(([name, text]) => h("option", { value: name }, text)));
	const most = h("input", { id: "most", type: "number", min: 1, max: 100, value: "1" });
	const preview = h("div.preview", { "aria-live": "polite" });
	const body = () => ({ dag_id: dag.dag_id, from_date: from.value, to_date: `${to.value}T23:59:59`, reprocess_behavior: which.value, run_backwards: false, max_active_runs: Number(most.value) || 1, dag_run_conf: {} });
	let turn = 0;
	async function look() {
		const mine = ++turn;
		if (!from.value || !to.value) return;
		try {
			const found = await ask("POST", "/api/v2/backfills/dry_run", body());
			if (mine !== turn) return;
			const dates = found.backfills;
			patch(preview, h("p", `${found.total_entries} run${found.total_entries === 1 ? "" : "s"}${dates.length ? ":" : ""}`), h("ul", dates.slice(0, 20).map((one) => h("li", stamp(one.logical_date)))), dates.length > 20 && h("p", "…"));
		} catch (problem) {
			if (mine === turn) patch(preview, h("p.problem", problem.message));
		}
	}
	const field = (id, text, input) => h("div.field", h("label", { for: id }, text), input);
	dialog(`Backfill ${dag.dag_id}`, [
		h("div.two", field("from", "From", from), field("to", "To", to)),
		field("which", "Run", which), field("most", "Runs at once, at most", most),
		preview,
	], {
		text: "Backfill",
		run: async () => {
			await ask("POST", "/api/v2/backfills", body());
			toast("The backfill has begun: Details shows how far it is.");
			stir();
		},
	});
	look();
}

export const backfills = {
	async load(id, about) {
		if (!(await about).is_backfillable) return [];
		const found = await get("/api/v2/backfills", { dag_id: id, limit: 10 });
		return Promise.all(found.backfills.filter((one) => one.dag_id === id).map((one) => get(`/mini-dag/v1/backfills/${one.id}`)));
	},
	draw: (known, { who }) => known.length > 0 && h("section", h("h2", "Backfills"), h("table.list", heads("From", "To", "Runs", "Ended", h("th", h("span.sr", "Actions"))),
		h("tbody", known.map((one) => {
			const act = (verb, text) => h("button.quiet", { disabled: !mayOperate(who), click: () => attempt(() => ask("PUT", `/api/v2/backfills/${one.id}/${verb}`)).then(stir) }, text);
			return h("tr", { key: one.id }, h("td", at(one.from_date)), h("td", at(one.to_date)), h("td", Object.entries(one.runs).filter(([, n]) => n).map(([state, n]) => `${n} ${state}`).join(", ")), h("td", one.completed_at ? at(one.completed_at) : one.is_paused ? "paused" : "runs"), h("td", !one.completed_at && [one.is_paused ? act("unpause", "Go on") : act("pause", "Pause"), act("cancel", "Cancel")]));
		})))),
};
