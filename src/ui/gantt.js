// The tasks of one run in time.
import { runStates } from "./api.js";
import { h, patch, windowed } from "./dom.js";
import { none } from "./parts.js";
import { latestRuns, runBar } from "./runbar.js";
import { kind, sign, words } from "./states.js";
import { clock, now, span, took } from "./time.js";

const ROW = 28;
const rows = h("div.gantt-rows", { role: "list" });
const place = h("div.gantt-place", { key: "gantt", tabindex: 0, label: "Tasks in time" }, rows);

// Five marks or so on whole seconds, minutes, hours.
function ticks(start, end) {
	const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400].map((s) => s * 1000);
	const step = steps.find((size) => (end - start) / size <= 5) || (end - start) / 5;
	const all = [];
	for (let at = Math.ceil(start / step) * step; at <= end; at += step) all.push(at);
	return all;
}

export const gantt = {
	run: true,
	async load(id, query, run) {
		const [found, runs] = await Promise.all([run ? runStates(id, run) : null, latestRuns(id)]);
		return { found, runs };
	},
	draw({ found, runs }, context) {
		const bar = h("div.bar-row", runBar(runs, context));
		const began = (found?.task_instances || []).filter((one) => one.start_date);
		if (!began.length) return [bar, found && none("Nothing has begun in this run.")];
		began.sort((a, b) => Date.parse(a.start_date) - Date.parse(b.start_date));
		const ends = (one) => (one.end_date ? Date.parse(one.end_date) : now());
		const start = Date.parse(began[0].start_date);
		const whole = Math.max(1000, Math.max(...began.map(ends)) - start);
		const percent = (at) => `${Math.min(100, Math.max(0, ((at - start) / whole) * 100)).toFixed(3)}%`;
		const axis = ticks(start, start + whole);
		windowed(place, began.length, ROW, (from, to) => {
			rows.style.height = `${began.length * ROW}px`;
			patch(rows, began.slice(from, to).map((one, index) => {
				const text = `${one.task_id}, ${words(one.state)}, from ${clock(one.start_date)}, ${span((ends(one) - Date.parse(one.start_date)) / 1000)}`;
				const [left, right] = [percent(Date.parse(one.start_date)), percent(ends(one))];
				return h("div", { role: "listitem", class: "gantt-row", key: one.task_id, style: { top: `${(from + index) * ROW}px` } },
					h("a", { href: context.to("gantt", { run: context.run, task: one.task_id }), title: text, class: one.task_id === context.route.query.task ? "chosen" : null },
						h("span.gantt-name", sign(one.state), h("span", one.task_id)),
						h("span.gantt-track", h("span", { class: `gantt-bar ${kind(one.state)}`, style: { left, width: `max(3px, calc(${right} - ${left}))` } })),
						h("span.gantt-took", took(one))));
			}));
		});
		return [bar, h("div.gantt-axis", { "aria-hidden": "true" }, h("div", axis.map((at) => h("span", { style: { left: percent(at) } }, clock(at))))), place];
	},
};
