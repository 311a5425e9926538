// What was chosen: a run, or a task of a run with its attempts, its log, its XCom and what it ran.
import { dagPath, get, runPath, runStates, taskPath } from "./api.js";
import { cancelRun, clearRun, clearTask, markRun, markTask } from "./change.js";
import { h } from "./dom.js";
import { logView } from "./log.js";
import { chips, list, mayOperate, none } from "./parts.js";
import { badge, isOver, sign, words } from "./states.js";
import { at, bytes, since, span, took } from "./time.js";

const TABS = { log: "Log", attempts: "Attempts", xcom: "XCom", rendered: "Rendered", about: "Task" };
const tabOf = (query) => (query.tab in TABS ? query.tab : "log");

const json = (value) => h("pre.json", typeof value === "string" ? value : JSON.stringify(value, null, 2));

async function xcomOf(path) {
	const found = await get(`${path}/xcomEntries`, { xcom_key_pattern: "return_value" }).catch(() => ({}));
	return found.total_entries ? get(`${path}/xcomEntries/return_value`) : null;
}

export const panel = {
	async load(dag, query) {
		if (!query.run) return null;
		if (!query.task) {
			const [run, states] = await Promise.all([get(runPath(dag, query.run)), runStates(dag, query.run)]);
			return { run, tasks: states.task_instances };
		}
		const path = taskPath(dag, query.run, query.task);
		const tab = tabOf(query);
		const [run, task, tries, xcom, about] = await Promise.all([
			get(runPath(dag, query.run)),
			get(path),
			get(`${path}/tries`),
			tab === "xcom" ? xcomOf(path) : null,
			tab === "about" ? get(`${dagPath(dag)}/tasks/${encodeURIComponent(query.task)}`) : null,
		]);
		return { run, task, tries: tries.task_instances, xcom, about };
	},
	draw(side, context) {
		const close = h("a.button.quiet.round.close", { href: context.to(null, { run: null, task: null, tab: null }), label: "Close", "data-key": "close" }, "×");
		return [close, side.task ? task(side, context) : run(side, context)];
	},
};

function run({ run, tasks }, context) {
	const may = mayOperate(context.who);
	const active = !isOver(run.state);
	const conf = Object.keys(run.conf || {}).length ? run.conf : null;
	return [
		h("p.eyebrow", `${words(run.run_type)} run`),
		h("h2", run.dag_run_id),
		h("div.bar-row", badge(run.state), h("span.muted", took(run))),
		h("div.buttons.start",
			h("button", { disabled: !may, click: () => clearRun(run) }, "Clear…"),
			active ? h("button.danger", { disabled: !may, click: () => cancelRun(run) }, "Cancel…") : h("button", { disabled: !may, click: () => markRun(run) }, "Mark…")),
		list([
			["Logical date", at(run.logical_date)],
			run.data_interval_start && ["Data interval", at(run.data_interval_start), " to ", at(run.data_interval_end)],
			["Queued", at(run.queued_at)],
			["Started", at(run.start_date)],
			["Ended", at(run.end_date)],
			["Triggered by", run.triggering_user_name || words(run.triggered_by)],
			["Note", run.note],
		]),
		conf && [h("h3", "Params"), json(conf)],
		h("h3", "Tasks"),
		h("ul.task-list", tasks.slice(0, 500).map((one) => h("li", { key: one.task_id }, h("a", { href: context.to(null, { run: run.dag_run_id, task: one.task_id }) }, sign(one.state), h("span.grow", one.task_id), h("span.muted", words(one.state)), one.try_number > 0 && h("span.num", took(one)))))),
		tasks.length > 500 && h("p.muted", `and ${tasks.length - 500} more`),
	];
}

function task({ run, task, tries, xcom, about }, context) {
	const { query } = context.route;
	const tab = tabOf(query);
	const may = mayOperate(context.who);
	const here = (change) => context.to(null, { run: query.run, task: query.task, tab: query.tab, ...change });
	const attempt = Number(query.try) || task.try_number;
	const numbers = [...new Set(tries.map((one) => one.try_number))];
	return [
		h("p.eyebrow", h("a", { href: context.to(null, { run: query.run, task: null, tab: null }) }, run.dag_run_id)),
		h("h2", task.task_id),
		h("div.bar-row", badge(task.state), h("span.muted", took(task)), h("span.muted", task.operator_name)),
		task.waits_for && h("p", `Waiting: ${task.waits_for}`),
		task.note && h("p", `Note: ${task.note}`),
		h("div.buttons.start",
			h("button", { disabled: !may, click: () => clearTask(run, task.task_id) }, "Clear…"),
			h("button", { disabled: !may, click: () => markTask(run, task) }, "Mark…")),
		h("nav.tabs.small", { label: "Of the task" }, Object.entries(TABS).map(([key, text]) => h("a", { href: here({ tab: key === "log" ? null : key, try: query.try }), "aria-current": key === tab ? "page" : null }, text))),
		tab === "log" && [
			numbers.length > 1 && chips("Attempt", numbers.map((n) => [n, `Attempt ${n}`]), attempt, (n) => here({ try: n })),
			attempt ? logView(context.dag.dag_id, run.dag_run_id, task.task_id, attempt) : none(task.state === "skipped" || task.state === "upstream_failed" ? "It was not run: there is no log." : "It has not begun: there is no log yet."),
		],
		tab === "attempts" && attempts(tries),
		tab === "xcom" && (xcom ? [h("p.muted", "return_value"), h("div", json(xcom.value))] : none("It has given no XCom.")),
		tab === "rendered" && rendered(task),
		tab === "about" && about && list([
			["Operator", about.operator_name],
			["Waits for", about.upstream_task_ids?.join(", ") || "nothing"],
			["Before", about.downstream_task_ids?.join(", ")],
			["Trigger rule", about.trigger_rule],
			["Retries", `${about.retries}`],
			["Pool", `${task.pool}${task.pool_slots > 1 ? `, ${task.pool_slots} slots` : ""}`],
			["Priority", `${task.priority_weight}`],
			["Timeout", about.execution_timeout && span(about.execution_timeout.days * 86400 + about.execution_timeout.seconds)],
			["Doc", about.doc_md && h("p.doc", about.doc_md)],
		]),
	];
}

const exit = (one) => {
	if (one.not_started) return `not started: ${one.not_started}`;
	const end = one.signal != null ? `signal ${one.signal}` : one.exit_code != null ? `exit ${one.exit_code}` : "";
	return [end, one.stopped && words(one.stopped), one.reason].filter(Boolean).join(", ") || "–";
};

function attempts(tries) {
	if (!tries.length) return none("It has not begun.");
	return h("ol.attempts", [...tries].reverse().map((one) => h("li", { key: `${one.try_number} ${one.start_date}`, class: "card" },
		h("div.bar-row", h("b", `Attempt ${one.try_number}`), badge(one.state), h("span.muted", since(one.start_date))),
		list([["Took", took(one)], ["Ended with", exit(one)], ["CPU time", one.cpu_s == null ? null : `${one.cpu_s.toFixed(2)} s`], ["Peak memory", one.memory_peak_bytes == null ? null : bytes(one.memory_peak_bytes)], ["Output", one.output_bytes == null ? null : `${bytes(one.output_bytes)}${one.output_dropped_bytes ? `, ${bytes(one.output_dropped_bytes)} dropped` : ""}`], ["Started", at(one.start_date)]]))));
}

function rendered(task) {
	const fields = Object.entries(task.rendered_fields || {});
	if (!fields.length) return none("Nothing to show: it runs no command.");
	return fields.map(([name, value]) => [h("h3", { key: `name ${name}` }, name.replaceAll("_", " ")), h("div", { key: name }, Array.isArray(value) ? h("ol.argv", value.map((word) => h("li", h("code", String(word))))) : json(value))]);
}
