// What an attempt printed: as it comes, searchable, to be kept.
import { get, taskPath } from "./api.js";
import { h } from "./dom.js";

const CHUNK = 200;
// Colours and other orders to a terminal.
const ESCAPES = /\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])/g;

let open = null;

// The view of one log; the same one as long as the same log is asked for.
export function logView(dag, run, task, attempt) {
	const key = JSON.stringify([dag, run, task, attempt]);
	if (open?.key === key) return open.el;
	open?.stop();
	open = view(`${taskPath(dag, run, task)}/logs/${attempt}`, key, `${dag}.${task}.${attempt}.log`);
	return open.el;
}

function view(path, key, file) {
	const text = h("div.log", { tabindex: 0, role: "log", label: "Log", "aria-live": "off" });
	const said = h("span.muted.grow", { role: "status" }, "…");
	const follow = h("input", { type: "checkbox", checked: true });
	const search = h("input", { type: "search", placeholder: "Search the log", label: "Search the log", input: () => find(0), keydown: (event) => event.key === "Enter" && (event.preventDefault(), find(event.shiftKey ? -1 : 1)) });
	const el = h("div.log-view", { key },
		h("div.bar-row", search, said, h("label", follow, " Follow"), h("button.quiet", { click: keep }, "Download")), text);
	let token = "0";
	let timer = 0;
	let lines = 0;
	let stopped = false;
	let found = [];
	let current = 0;

	function append(texts) {
		let chunk = text.lastElementChild;
		let room = chunk ? CHUNK - chunk._lines : 0;
		for (let at = 0; at < texts.length; ) {
			if (room <= 0) {
				chunk = h("pre");
				chunk._lines = 0;
				text.append(chunk);
				room = CHUNK;
			}
			const part = texts.slice(at, at + room);
			chunk.append(part.join("\n") + "\n");
			chunk._lines += part.length;
			at += part.length;
			room -= part.length;
		}
		lines += texts.length;
	}

	async function more() {
		if (stopped) return;
		if (!el.isConnected && lines) return void (timer = setTimeout(more, 1000));
		try {
			const piece = await get(path, { token });
			if (stopped) return;
			const texts = piece.content.map((line) => (line.event ?? "").replace(ESCAPES, ""));
			append(texts);
			const before = token;
			token = piece.continuation_token;
			said.textContent = lines ? `${lines.toLocaleString("en")} line${lines === 1 ? "" : "s"}${token ? ", running" : ""}` : token ? "Nothing yet" : "It printed nothing";
			if (follow.checked && texts.length) text.scrollTop = text.scrollHeight;
			if (search.value && texts.length) find(0, true);
			if (token) timer = setTimeout(more, token - before < 9000 ? 700 : 0);
		} catch (problem) {
			said.textContent = problem.message;
			if (problem.status === 0 || problem.status >= 500) timer = setTimeout(more, 3000);
		}
	}

	// Marks what is looked for without touching the text.
	function find(step, isQuiet) {
		const wanted = search.value.toLowerCase();
		if (step === 0) {
			found = [];
			current = 0;
			for (const node of wanted ? textNodes(text) : []) {
				const all = node.data.toLowerCase();
				for (let at = all.indexOf(wanted); at >= 0 && found.length < 10000; at = all.indexOf(wanted, at + wanted.length)) {
					const range = new Range();
					range.setStart(node, at);
					range.setEnd(node, at + wanted.length);
					found.push(range);
				}
			}
		} else if (found.length) current = (current + step + found.length) % found.length;
		if (globalThis.CSS?.highlights) {
			CSS.highlights.set("found", new Highlight(...found));
			CSS.highlights.set("current", new Highlight(...found.slice(current, current + 1)));
		}
		if (!wanted) return;
		said.textContent = found.length ? `${current + 1} of ${found.length}` : "not found";
		if (found.length && !isQuiet) {
			follow.checked = false;
			const box = found[current].getBoundingClientRect();
			text.scrollTop += box.top - text.getBoundingClientRect().top - text.clientHeight / 2;
		}
	}

	function keep() {
		const url = URL.createObjectURL(new Blob([text.textContent], { type: "text/plain" }));
		h("a", { href: url, download: file }).click();
		setTimeout(() => URL.revokeObjectURL(url), 10000);
	}

	text.addEventListener("scroll", () => {
		const isAtEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - 40;
		if (!isAtEnd && text.matches(":hover,:focus")) follow.checked = false;
	});
	more();
	return { key, el, stop: () => ((stopped = true), clearTimeout(timer)) };
}

function* textNodes(el) {
	const walker = document.createTreeWalker(el, NodeFilter.SHOW_TEXT);
	while (walker.nextNode()) yield walker.currentNode;
}
