// The states of runs and task instances: a colour (in page.css), a sign for those who do not see it, and words.
import { h, s } from "./dom.js";

// Drawn in 12 × 12.
const SIGNS = {
	success: "M2.5 6.5 5 9 9.5 3.5",
	failed: "M3 3 9 9M9 3 3 9",
	running: "M4 2.5 9 6 4 9.5z",
	queued: "M1.5 6h2M5 6h2M8.5 6h2",
	scheduled: "M6 2.5V6l2.5 2",
	up_for_retry: "M9 4A4 4 0 1 0 10 7M9.5 1.5V4.5H6.5",
	up_for_reschedule: "M3 2.5H9L3 9.5H9z",
	upstream_failed: "M6 10V2.5M3 5.5 6 2.5 9 5.5",
	skipped: "M2.5 3 6 6 2.5 9M6.5 3 10 6 6.5 9",
	removed: "M3 6h6",
	none: "",
};

const name = (state) => (state in SIGNS ? state : "none");
export const words = (state) => (state || "no state").replaceAll("_", " ");
export const kind = (state) => `s-${name(state)}`;
export const isOver = (state) => ["success", "failed", "upstream_failed", "skipped", "removed"].includes(state);

// The sign on its colour, as a part of a picture.
export const mark = (state, x, y) =>
	s("g", { class: `mark ${kind(state)}`, transform: `translate(${x} ${y})` }, s("rect", { width: 18, height: 18, rx: 5 }), s("path", { d: SIGNS[name(state)], transform: "translate(3 3)" }));

export const sign = (state) => s("svg.sign", { viewBox: "0 0 18 18", "aria-hidden": "true" }, mark(state, 0, 0));
export const badge = (state) => h("span.badge", sign(state), words(state));

export const LEGEND = Object.keys(SIGNS).filter((state) => !["none", "removed", "up_for_reschedule"].includes(state));
export const legend = () => h("ul.legend", { label: "What the colours mean" }, LEGEND.map((state) => h("li", badge(state))));
