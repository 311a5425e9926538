// A run by hand: a form made of the DAG's params.
import { go, link } from "./address.js";
import { ask, dagPath, get } from "./api.js";
import { ask as dialog, toast } from "./dialog.js";
import { h } from "./dom.js";

// The kind of a param: its schema says, else its value.
function kindOf({ schema = {}, value }) {
	const types = [schema.type].flat().filter((type) => type && type !== "null");
	if (schema.enum) return "enum";
	if (types.length === 1) return types[0];
	if (types.length || value === null) return types.includes("string") || !types.length ? "string" : "json";
	return Array.isArray(value) ? "array" : typeof value;
}
const isJson = (kind) => ["object", "array", "json"].includes(kind);

// A param as a field; `read()` is what stands in it, undefined for what was not changed.
function field(name, param, at) {
	const { schema = {}, value, description } = param;
	const kind = kindOf(param);
	const id = `param-${at}`;
	const text = value == null ? "" : isJson(kind) ? JSON.stringify(value, null, 1) : String(value);
	const hint = description || schema.description;
	const common = { id, "aria-describedby": hint ? `${id}-hint` : null, autofocus: at === 0 };
	let input;
	if (kind === "boolean") input = h("input", { ...common, type: "checkbox", checked: value === true });
	else if (kind === "enum") input = h("select", common, schema.enum.map((one) => h("option", { value: JSON.stringify(one), selected: one === value }, one === null ? "(none)" : String(one))));
	else if (kind === "number" || kind === "integer") input = h("input", { ...common, type: "number", step: kind === "integer" ? 1 : "any", min: schema.minimum, max: schema.maximum, value: text });
	else if (isJson(kind) || text.includes("\n")) input = h("textarea", { ...common, rows: 3, spellcheck: "false", value: text });
	else input = h("input", { ...common, type: schema.format === "date" ? "date" : "text", value: text, minlength: schema.minLength, maxlength: schema.maxLength });
	const read = () => {
		if (kind === "boolean") return input.checked === (value === true) && value != null ? undefined : input.checked;
		if (kind === "enum") return input.value === JSON.stringify(value) ? undefined : JSON.parse(input.value);
		if (input.value === text) return undefined;
		if (kind === "number" || kind === "integer") return input.value === "" ? null : Number(input.value);
		if (!isJson(kind)) return input.value;
		try {
			return JSON.parse(input.value);
		} catch {
			throw Object.assign(new Error(`${name}: this is not JSON`), { status: 0 });
		}
	};
	const label = h("label", { for: id }, schema.title || name);
	const el = h("div.field", kind === "boolean" ? h("div.check", input, label) : [label, input], hint && h("small", { id: `${id}-hint` }, hint));
	return { name, el, read };
}

export async function trigger(id) {
	let known;
	try {
		known = await get(`${dagPath(id)}/details`);
	} catch (problem) {
		return toast(problem.message);
	}
	const fields = Object.entries(known.params || {}).map(([name, param], at) => field(name, param, at));
	const date = h("input", { id: "logical-date", type: "text", placeholder: "now", "aria-describedby": "logical-hint" });
	const run = h("input", { id: "run-id", type: "text", placeholder: "made of the date", maxlength: 250 });
	dialog(`Trigger ${id}`, [
		known.is_paused && h("p.flag-line", "The DAG is paused: the run waits until it is not."),
		fields.length ? fields.map((one) => one.el) : h("p.muted", "This DAG has no params."),
		h("details", h("summary", "More"),
			h("div.field", h("label", { for: "logical-date" }, "Logical date"), date, h("small", { id: "logical-hint" }, "2026-05-01T06:00:00+00:00")),
			h("div.field", h("label", { for: "run-id" }, "Run id"), run)),
	], {
		text: "Trigger",
		run: async () => {
			const pairs = fields.map((one) => [one.name, one.read()]).filter(([, value]) => value !== undefined);
			const body = { logical_date: date.value || null, conf: Object.fromEntries(pairs) };
			if (run.value) body.dag_run_id = run.value;
			const made = await ask("POST", `${dagPath(id)}/dagRuns`, body);
			go(link(["dags", id, "graph"], { run: made.dag_run_id }));
			toast(known.is_paused ? "The run waits: the DAG is paused." : "The run has been triggered.");
		},
	});
}
