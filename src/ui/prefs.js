// What somebody chose for this browser: zone and theme.
const KEY = "mini-dag";
const known = { zone: "host", theme: "auto" };
try {
	Object.assign(known, JSON.parse(localStorage.getItem(KEY) || "{}"));
} catch {
	// A browser that keeps nothing.
}

export const prefs = known;
export function choose(change) {
	Object.assign(known, change);
	try {
		localStorage.setItem(KEY, JSON.stringify(known));
	} catch {
		// As above.
	}
	apply();
}
export function apply() {
	const root = document.documentElement;
	if (known.theme === "auto") root.removeAttribute("data-theme");
	else root.setAttribute("data-theme", known.theme);
}
