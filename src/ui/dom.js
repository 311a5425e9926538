// Elements made of data. Whatever is shown is text: nothing here parses markup or sets a style attribute.

const SVG = "http://www.w3.org/2000/svg";

// `tag`: "p", or with classes "p.muted"; properties may be left out. Functions listen; `label` is what a screen
// reader says.
function make(create, tag, props, kids) {
	const [name, ...classes] = tag.split(".");
	const el = create(name);
	if (props?.constructor !== Object) {
		kids.unshift(props);
		props = {};
	}
	if (classes.length) props = { class: classes.join(" "), ...props };
	for (const [name, value] of Object.entries(props)) {
		if (value == null || value === false) continue;
		if (typeof value === "function") (el._on ||= {})[name] = value;
		else if (name === "key") el._key = value;
		else if (name === "style") for (const [key, is] of Object.entries(value)) el.style.setProperty(key, is);
		else if (name === "value" || name === "checked") el[name] = value;
		else el.setAttribute(name === "label" ? "aria-label" : name, value === true ? "" : value);
	}
	listen(el);
	el.append(...shown(kids));
	return el;
}
const shown = (kids) => kids.flat(9).filter((kid) => kid != null && kid !== false && kid !== "");

// One listener for each kind of event, which calls what the latest drawing wants to be called.
function listen(el) {
	for (const type of Object.keys(el._on || {})) {
		el._types ||= new Set();
		if (el._types.has(type)) continue;
		el._types.add(type);
		el.addEventListener(type, (event) => el._on?.[type]?.(event));
	}
}

export const h = (tag, props, ...kids) => make((name) => document.createElement(name), tag, props, kids);
export const s = (tag, props, ...kids) => make((name) => document.createElementNS(SVG, name), tag, props, kids);

// Makes the children of an element be these, and keeps what is the same: focus, scroll places, listeners.
export function patch(parent, ...kids) {
	const next = shown(kids).map((kid) => (kid instanceof Node ? kid : document.createTextNode(kid)));
	const keyed = new Map();
	for (const old of parent.childNodes) if (old._key != null) keyed.set(old._key, old);
	let cursor = parent.firstChild;
	for (const kid of next) {
		let old = cursor;
		if (kid._key != null) old = keyed.get(kid._key);
		else if (old?._key != null) old = null;
		if (kid === old || (old && old.nodeName === kid.nodeName)) {
			if (old !== cursor) parent.insertBefore(old, cursor);
			else cursor = cursor.nextSibling;
			if (old !== kid) morph(old, kid);
		} else parent.insertBefore(kid, cursor);
		if (cursor === kid) cursor = kid.nextSibling;
	}
	while (cursor) {
		const gone = cursor;
		cursor = cursor.nextSibling;
		gone.remove();
	}
}

function morph(old, next) {
	if (old.nodeType !== 1) {
		if (old.data !== next.data) old.data = next.data;
		return;
	}
	const isOpen = old.nodeName === "DETAILS";
	for (const { name } of [...old.attributes])
		if (name !== "style" && !(isOpen && name === "open") && !next.hasAttribute(name)) old.removeAttribute(name);
	for (const { name, value } of next.attributes)
		if (name !== "style" && !(isOpen && name === "open") && old.getAttribute(name) !== value) old.setAttribute(name, value);
	if (old.style.cssText !== next.style.cssText) old.style.cssText = next.style.cssText;
	old._on = next._on;
	listen(old);
	old._key = next._key;
	if (old.nodeName === "INPUT" || old.nodeName === "TEXTAREA") {
		if (old !== document.activeElement && old.value !== next.value) old.value = next.value;
		if (old.checked !== next.checked) old.checked = next.checked;
		if (old.nodeName === "TEXTAREA") return;
	}
	const value = next.nodeName === "SELECT" ? next.value : null;
	patch(old, ...next.childNodes);
	if (value != null) old.value = value;
}

export const $ = (id) => document.getElementById(id);

// A place for rows of one height of which only those in sight are drawn: `draw(from, to)` gives them.
export function windowed(place, count, height, draw) {
	const paint = () => {
		const all = count <= 200;
		const from = all ? 0 : Math.max(0, Math.floor(place.scrollTop / height) - 20);
		const to = all ? count : Math.min(count, Math.ceil((place.scrollTop + (place.clientHeight || 800)) / height) + 20);
		draw(from, to);
	};
	place.onscroll = count <= 200 ? null : () => requestAnimationFrame(paint);
	paint();
}
