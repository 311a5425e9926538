// The DAG's file as it is now, and what is wrong with it.
import { enc, get } from "./api.js";
import { h } from "./dom.js";
import { none } from "./parts.js";

const TOKENS = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d[\d.eE+-]*|\b(?:true|false|null)\b/g;

// A line of JSON: its keys, texts and numbers in colours.
function coloured(line) {
	const parts = [];
	let last = 0;
	for (const match of line.matchAll(TOKENS)) {
		if (match.index > last) parts.push(line.slice(last, match.index));
		const [whole, text, colon = ""] = match;
		parts.push(h(text ? (colon ? "span.j-key" : "span.j-text") : "span.j-word", text || whole), colon);
		last = match.index + whole.length;
	}
	return [...parts, line.slice(last)];
}

export const code = {
	async load(id, query, run, about) {
		const isFile = (await about).fileloc !== "compiled-in";
		const [source, broken] = await Promise.all([isFile && get(`/api/v2/dagSources/${enc(id)}`), get("/api/v2/importErrors", { limit: 100 })]);
		return { source, errors: broken.import_errors };
	},
	draw({ source, errors }, { dag }) {
		const own = errors.filter((error) => error.filename === dag.fileloc);
		return [
			own.map((error) => h("div.alarm", { key: error.import_error_id, role: "alert" }, h("p", "The file does not load; the last good version goes on."), h("pre", error.stack_trace))),
			h("p.muted", dag.fileloc),
			!source
				? none("This DAG is compiled into the program: there is no file.")
				: h("pre.code", { key: "code", tabindex: 0, label: "Source" }, source.content.replace(/\n$/, "").split("\n").slice(0, 20000).map((line) => h("span.line", coloured(line), "\n"))),
		];
	},
};
