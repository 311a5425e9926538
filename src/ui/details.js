// What else there is to know of a DAG.
import { dagPath, get } from "./api.js";
import { backfills } from "./backfill.js";
import { h } from "./dom.js";
import { heads, list } from "./parts.js";
import { words } from "./states.js";
import { at } from "./time.js";

export const details = {
	async load(id, query, run, about) {
		const [tasks, known] = await Promise.all([get(`${dagPath(id)}/tasks`), backfills.load(id, about)]);
		return { tasks: tasks.tasks, known };
	},
	draw({ tasks, known }, context) {
		const { dag } = context;
		const params = Object.entries(dag.params || {});
		return [
			dag.doc_md && h("p.doc", dag.doc_md),
			h("div.columns",
				h("section", h("h2", "DAG"), list([
					["File", dag.fileloc],
					["Owner", dag.owners.join(", ")],
					["Schedule", dag.timetable_summary || "by hand"],
					["Zone", dag.timezone],
					["Start date", dag.start_date && at(dag.start_date)],
					["End date", dag.end_date && at(dag.end_date)],
					["Catch-up", dag.catchup ? "yes" : "no"],
					["Active runs, at most", `${dag.max_active_runs}`],
					["Active tasks, at most", `${dag.max_active_tasks}`],
					["Loaded", dag.last_parsed_time && at(dag.last_parsed_time)],
				])),
				h("section", h("h2", "Params"), params.length ? list(params.map(([name, param]) => [name, h("code", JSON.stringify(param.value)), param.description && h("small", ` ${param.description}`)])) : h("p.muted", "none"))),
			backfills.draw(known, context),
			h("section", h("h2", `Tasks (${tasks.length})`),
				h("table.list.tasks", heads("Task", "Operator", "Waits for", "Trigger rule", h("th.num", "Retries")),
					h("tbody", tasks.slice(0, 500).map((task) => h("tr", { key: task.task_id }, h("td", h("b", task.task_id)), h("td", task.operator_name), h("td", task.upstream_task_ids.slice(0, 8).join(", "), task.upstream_task_ids.length > 8 && ` and ${task.upstream_task_ids.length - 8} more`), h("td", words(task.trigger_rule)), h("td.num", `${task.retries}`)))))),
		];
	},
};
