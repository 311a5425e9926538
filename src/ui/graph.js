// The DAG as a picture, in the states of one run. Only what is in sight is drawn.
import { dagPath, get, own, runStates } from "./api.js";
import { h, patch, s } from "./dom.js";
import { latestRuns, runBar } from "./runbar.js";
import { legend, mark, words } from "./states.js";
import { span } from "./time.js";

const [BOX, LANE, GAP, MARGIN, LETTERS] = [44, 60, 52, 24, 30];

// The layout does not change while the DAG does not.
let known = { key: null, drawn: null };
async function layout(id) {
	const found = await get(`${own(dagPath(id))}/layout`);
	const key = JSON.stringify(found);
	if (known.key === key) return known.drawn;
	const letters = (task) => Math.min(LETTERS, Math.max(14, task.task_id.length));
	const widths = Array(found.ranks).fill(0);
	for (const task of found.tasks) widths[task.rank] = Math.max(widths[task.rank], letters(task) * 7.3 + 52);
	let left = MARGIN;
	const columns = widths.map((width) => {
		const column = { left, width };
		left += width + GAP;
		return column;
	});
	const place = ({ rank, lane }) => ({ ...columns[rank], y: lane * LANE + MARGIN + BOX / 2 });
	const tasks = found.tasks.map((task) => ({ ...task, ...place(task) }));
	const points = [...tasks, ...found.bends.map(place)];
	const links = found.links.map(([from, to]) => ({ from: points[from], to: points[to], ends: to < tasks.length }));
	const height = Math.max(...points.map((point) => point.y)) + BOX / 2 + MARGIN;
	known = { key, drawn: { tasks, links, width: left - GAP + MARGIN, height, byId: new Map(tasks.map((task) => [task.task_id, task])) } };
	return known.drawn;
}

const short = (id) => (id.length > LETTERS ? `${id.slice(0, LETTERS - 1)}…` : id);

// One place that stays while the page draws again, so that it keeps where it is scrolled to.
const svg = s("svg", { role: "group", label: "Graph" });
const place = h("div.canvas", { key: "canvas" }, svg);
let scale = 1;
let shown = null;

function paint() {
	const { drawn, states, context } = shown;
	const { clientWidth, clientHeight, scrollLeft, scrollTop } = place;
	const see = { left: (scrollLeft - 200) / scale, right: (scrollLeft + (clientWidth || 1200) + 200) / scale, top: (scrollTop - 200) / scale, bottom: (scrollTop + (clientHeight || 800) + 200) / scale };
	const inSight = (left, right, top, bottom) => left < see.right && right > see.left && top < see.bottom && bottom > see.top;
	svg.setAttribute("viewBox", `0 0 ${drawn.width} ${drawn.height}`);
	svg.setAttribute("width", drawn.width * scale);
	svg.setAttribute("height", drawn.height * scale);
	place.style.height = `${Math.max(200, drawn.height * scale + 20)}px`;
	const chosen = context.route.query.task;
	const heads = [];
	const links = drawn.links.filter(({ from, to }) => inSight(from.left, to.left + to.width, Math.min(from.y, to.y), Math.max(from.y, to.y))).map(({ from, to, ends }) => {
		const [x1, x2] = [from.left + from.width, to.left];
		const middle = x2 - GAP / 2;
		if (ends) heads.push(`M${x2} ${to.y}l-7-4v8z`);
		return `M${x1} ${from.y}H${x2 - GAP}C${middle} ${from.y} ${middle} ${to.y} ${x2} ${to.y}${ends ? "" : `H${x2 + to.width}`}`;
	});
	const tasks = drawn.tasks.filter((task) => inSight(task.left, task.left + task.width, task.y - BOX / 2, task.y + BOX / 2)).map((task) => {
		const is = states.get(task.task_id);
		const state = is?.state;
		const detail = state === "running" || !is?.duration ? (context.run ? words(state) : task.operator_name) : `${words(state)} · ${span(is.duration)}`;
		return s("a", { key: task.task_id, class: `task${task.task_id === chosen ? " chosen" : ""}`, href: context.to(null, { task: task.task_id, run: context.run }), "data-task": task.task_id, keydown: (event) => walk(event, task, drawn) },
			s("title", `${task.task_id}\n${detail}`),
			s("rect", { class: `box s-${state || "none"}`, x: task.left, y: task.y - BOX / 2, width: task.width, height: BOX, rx: 8 }),
			mark(state, task.left + 12, task.y - 9),
			s("text", { x: task.left + 40, y: task.y - 2 }, short(task.task_id)),
			s("text.sub", { x: task.left + 40, y: task.y + 13 }, detail));
	});
	patch(svg, s("path.edge", { key: "edges", d: links.join("") }), s("path.heads", { key: "heads", d: heads.join("") }), tasks);
}

// Arrows go along the order: to what waits, to what is waited for, and up and down.
function walk(event, task, drawn) {
	const way = { ArrowRight: "downstream", ArrowLeft: "upstream" }[event.key];
	const beside = { ArrowDown: 1, ArrowUp: -1 }[event.key];
	if (!way && !beside) return;
	event.preventDefault();
	const rank = drawn.tasks.filter((other) => other.rank === task.rank).sort((a, b) => a.y - b.y);
	const next = way ? drawn.byId.get(task[way][0]) : rank[rank.indexOf(task) + beside];
	if (next) focus(next);
}

function focus(task) {
	const [x, y] = [task.left * scale, task.y * scale];
	if (x < place.scrollLeft || x + task.width * scale > place.scrollLeft + place.clientWidth) place.scrollLeft = x - 60;
	if (y < place.scrollTop + 30 || y > place.scrollTop + place.clientHeight - 30) place.scrollTop = y - place.clientHeight / 2;
	paint();
	svg.querySelector(`[data-task="${CSS.escape(task.task_id)}"]`)?.focus({ preventScroll: true });
}

function zoom(to) {
	const [x, y] = [(place.scrollLeft + place.clientWidth / 2) / scale, (place.scrollTop + place.clientHeight / 2) / scale];
	scale = Math.min(2, Math.max(0.05, to));
	paint();
	place.scrollTo(x * scale - place.clientWidth / 2, y * scale - place.clientHeight / 2);
}
const fit = () => zoom(Math.min(1, place.clientWidth / shown.drawn.width, (innerHeight * 0.6) / shown.drawn.height));
place.addEventListener("scroll", () => requestAnimationFrame(paint));
addEventListener("resize", () => shown && place.isConnected && paint());

export const graph = {
	run: true,
	async load(id, query, run) {
		const [drawn, found, runs] = await Promise.all([layout(id), run ? runStates(id, run) : null, latestRuns(id)]);
		return { drawn, found, runs };
	},
	draw({ drawn, found, runs }, context) {
		const isNew = shown?.drawn !== drawn;
		const states = new Map((found?.task_instances || []).map((one) => [one.task_id, one]));
		shown = { drawn, states, context };
		if (isNew) scale = 1;
		paint();
		requestAnimationFrame(() => {
			// Of a picture that is larger than its place, where it begins.
			if (isNew) place.scrollTo(0, (drawn.tasks.find((task) => !task.rank)?.y ?? 0) - place.clientHeight / 2);
			if (isNew && place.clientWidth && drawn.width > place.clientWidth && drawn.width < place.clientWidth * 1.6) fit();
			else paint();
		});
		return [h("div.bar-row", runBar(runs, context), h("div.zoom", { role: "group", label: "Size" }, h("button.quiet.round", { label: "Smaller", click: () => zoom(scale / 1.25) }, "−"), h("button.quiet.round", { label: "Larger", click: () => zoom(scale * 1.25) }, "+"), h("button.quiet", { click: fit }, "Fit"))), place, legend()];
	},
};
