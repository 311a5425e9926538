// Moments and durations in words. "Now" is the host's: its clock and the browser's may differ by years.
import { h } from "./dom.js";
import { prefs } from "./prefs.js";

let skew = 0;
let hostZone = "UTC";
export const now = () => Date.now() + skew;
export function setHost(date, zone) {
	const at = Date.parse(date);
	// The header has whole seconds: smaller differences are not known to be any.
	if (Number.isFinite(at) && Math.abs(at - now()) > 1500) skew = at - Date.now();
	if (zone) hostZone = zone;
}

export const zone = () => ({ host: hostZone, browser: Intl.DateTimeFormat().resolvedOptions().timeZone, utc: "UTC" })[prefs.zone] || hostZone;

const formats = {};
function parts(at) {
	const two = "2-digit";
	const make = (timeZone) => new Intl.DateTimeFormat("en-GB", { year: "numeric", month: two, day: two, hour: two, minute: two, second: two, weekday: "short", hourCycle: "h23", timeZone });
	const name = zone();
	try {
		formats[name] ||= make(name);
	} catch {
		// A zone that this browser does not know.
		formats[name] = make("UTC");
	}
	return Object.fromEntries(formats[name].formatToParts(at).map(({ type, value }) => [type, value]));
}

export function stamp(iso) {
	if (!iso) return "–";
	const p = parts(new Date(iso));
	return `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}:${p.second}`;
}
export const clock = (at) => {
	const p = parts(new Date(at));
	return `${p.hour}:${p.minute}:${p.second}`;
};

// "today 18:00", "tomorrow 02:30", "Tue 02:30", "2026-12-24 06:00".
export function day(iso) {
	const [at, today] = [parts(new Date(iso)), parts(new Date(now()))];
	const date = (p) => Date.UTC(p.year, p.month - 1, p.day) / 86400000;
	const days = date(at) - date(today);
	const time = `${at.hour}:${at.minute}`;
	if (days >= -1 && days <= 1) return `${["yesterday", "today", "tomorrow"][days + 1]} ${time}`;
	return days > 1 && days < 7 ? `${at.weekday} ${time}` : `${at.year}-${at.month}-${at.day} ${time}`;
}

// The two largest units of a duration in seconds.
export function span(seconds) {
	if (seconds == null) return "–";
	if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
	if (seconds < 10) return `${seconds.toFixed(1)} s`;
	const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
	let left = Math.round(seconds);
	const words = [];
	for (const [size, unit] of units) {
		const n = Math.floor(left / size);
		left -= n * size;
		if (n) words.push(`${n} ${unit}`);
		else if (words.length) break;
		if (words.length === 2) break;
	}
	return words.join(" ");
}

export function ago(iso) {
	const seconds = (Date.parse(iso) - now()) / 1000;
	const size = Math.abs(seconds);
	if (size < 2) return "now";
	const whole = size < 120 ? size : Math.round(size / 60) * 60;
	const words = size < 60 ? `${Math.round(size)} s` : size >= 86400 * 3 ? `${Math.round(size / 86400)} d` : span(whole);
	return seconds > 0 ? `in ${words}` : `${words} ago`;
}

// Texts that go on by themselves.
export const at = (iso, props) => (iso ? h("time", { datetime: iso, title: zone(), ...props }, stamp(iso)) : "–");
export const since = (iso) => (iso ? h("time", { datetime: iso, title: `${stamp(iso)} ${zone()}`, "data-ago": iso }, ago(iso)) : "–");
export const took = (one) => {
	if (one.end_date && one.start_date) return span(one.duration ?? (Date.parse(one.end_date) - Date.parse(one.start_date)) / 1000);
	if (!one.start_date) return "–";
	return h("time", { "data-took": one.start_date }, soFar(one.start_date));
};
function soFar(start) {
	const seconds = Math.max(0, Math.floor((now() - Date.parse(start)) / 1000));
	return seconds < 10 ? `${seconds} s` : span(seconds);
}

setInterval(() => {
	for (const el of document.querySelectorAll("[data-ago]")) el.textContent = ago(el.dataset.ago);
	for (const el of document.querySelectorAll("[data-took]")) el.textContent = soFar(el.dataset.took);
}, 1000);

export function bytes(n) {
	if (n == null) return "–";
	const units = ["B", "KiB", "MiB", "GiB", "TiB"];
	let unit = 0;
	while (n >= 1024 && unit < 4) {
		n /= 1024;
		unit += 1;
	}
	return `${unit && n < 100 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}
