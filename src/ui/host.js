// The host: whether all is well, and what there is of what tasks need.
import { ask, get, stir } from "./api.js";
import { attempt } from "./dialog.js";
import { h } from "./dom.js";
import { heads, list } from "./parts.js";
import { at, bytes, since, span, zone } from "./time.js";

const words = (value) => ({ true: "yes", false: "no" })[value] ?? value?.toLocaleString("en");
// Whatever else the daemon says of a thing, by its own names.
function rest(object, known) {
	return Object.entries(object || {}).filter(([name, value]) => !known.includes(name) && typeof value !== "object").map(([name, value]) => {
		const text = name.replaceAll("_", " ");
		if (name.endsWith("_bytes")) return [text.replace(/ bytes$/, ""), bytes(value)];
		if (name.endsWith("_s")) return [text.replace(/ s$/, ""), span(value)];
		if (typeof value === "string" && /^\d{4}-\d\d-\d\dT/.test(value)) return [text, at(value)];
		return [text, words(value)];
	});
}
const meter = (used, whole, text) => h("div.meter", { role: "meter", "aria-valuemin": 0, "aria-valuemax": whole, "aria-valuenow": used, label: text }, h("span", { class: used / whole > 0.9 ? "high" : null, style: { width: `${Math.min(100, (100 * used) / Math.max(1, whole))}%` } }));

export const host = {
	wants: () => true,
	async load() {
		const [status, pools, errors, log] = await Promise.all([
			get("/mini-dag/v1/status", { dags: false }),
			get("/api/v2/pools", { limit: 100 }),
			get("/api/v2/importErrors", { limit: 100 }),
			get("/api/v2/eventLogs", { limit: 20, order_by: "-event_log_id" }).catch(() => ({ event_logs: [] })),
		]);
		return { status, pools: pools.pools, errors: errors.import_errors, log: log.event_logs };
	},
	draw({ status, pools, errors, log }, route, who) {
		const { daemon, clock, disk, journal } = status;
		const used = disk && disk.size_bytes - disk.free_bytes;
		const alarms = [status.trouble, ...status.warnings].filter(Boolean);
		return [
			h("div.bar-row", h("h1", "Host"), h("span.grow"), h("button.quiet", { disabled: who.role !== "Admin", click: () => attempt(() => ask("POST", "/mini-dag/v1/reload", {}), "The DAG files have been read again.").then(stir) }, "Reload DAG files")),
			alarms.map((text) => h("p.alarm", { key: text, role: "alert" }, text)),
			alarms.length + errors.length === 0 && h("p.muted", "All is well."),
			h("div.cards",
				h("section.card", h("h2", "Daemon"), list([["Version", daemon?.version], ["Up since", daemon && since(daemon.started_at)], ["Process", daemon && `${daemon.pid}`], ["State", status.state_directory], ...rest(daemon, ["version", "started_at", "pid", "uptime_s"])])),
				h("section.card", h("h2", "Clock"), list([["Now", at(clock.now)], ["Zone of the host", clock.timezone], ["Shown in", zone()], ...rest(clock, ["now", "timezone"])])),
				disk && h("section.card", h("h2", "Disk"), meter(used, disk.size_bytes, "Disk space used"), list([["Free", `${bytes(disk.free_bytes)} of ${bytes(disk.size_bytes)}`], ["Free inodes", words(disk.free_inodes)], ...rest(disk, ["free_bytes", "size_bytes", "free_inodes"])])),
				journal && h("section.card", h("h2", "Journal"), list(rest(journal, []))),
				h("section.card", h("h2", "Pools"), pools.map((pool) => h("div.pool", { key: pool.name }, h("div.bar-row", h("b", pool.name), h("span.muted.grow", `${pool.occupied_slots} of ${pool.slots} slots`), (pool.queued_slots || pool.scheduled_slots) > 0 && h("span.muted", `${pool.queued_slots + pool.scheduled_slots} waiting`)), meter(pool.occupied_slots, pool.slots, `${pool.name}: slots in use`))))),
			errors.length > 0 && h("section", h("h2", "Files that do not load"), errors.map((error) => h("pre.alarm", { key: error.import_error_id }, error.stack_trace))),
			log.length > 0 && h("section", h("h2", "What people did"), h("table.list", heads("When", "Who", "What", "Of"),
				h("tbody", log.map((one) => h("tr", { key: one.event_log_id }, h("td", at(one.when)), h("td", one.owner || "–"), h("td", one.event), h("td", [one.dag_id, one.run_id, one.task_id].filter(Boolean).join(" / "))))))),
		];
	},
};
