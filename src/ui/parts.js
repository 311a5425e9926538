// Pieces that several views are made of.
import { h } from "./dom.js";

export const mayOperate = (who) => who.role !== "Viewer";
export const none = (...text) => h("p.empty", text);
export const list = (pairs) => h("dl.pairs", pairs.filter((pair) => pair && pair[1] != null && pair[1] !== "").map(([name, ...what]) => h("div", h("dt", name), h("dd", what))));
export const heads = (...names) => h("thead", h("tr", names.map((name) => (typeof name === "string" ? h("th", name) : name))));

// Choices of which one holds: pairs of a value and its words.
export const chips = (name, pairs, chosen, to) => h("div.chips", { key: name, role: "group", label: name }, pairs.map(([value, text]) => h("a", { href: to(value), "aria-current": value === chosen ? "true" : null }, text)));

export function pager(offset, end, total, size, to) {
	if (!total) return null;
	const step = (at, text, is) => is ? h("a.button", { href: to(at) }, text) : h("span.button.off", text);
	return [h("span", `${(offset + 1).toLocaleString("en")}–${end.toLocaleString("en")} of ${total.toLocaleString("en")}`), total > size && [step(Math.max(0, offset - size), "Previous", offset > 0), step(offset + size, "Next", end < total)]];
}
