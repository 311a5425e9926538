// What stands behind the # of the address: which view, of what.

export const link = (path, query) => {
	const pairs = Object.entries(query || {}).filter(([, value]) => value != null && value !== "" && value !== false);
	const text = pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
	return `#/${path.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
};

export function read() {
	const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
	let parts = [];
	try {
		parts = path.split("/").filter(Boolean).map(decodeURIComponent);
	} catch {
		// Not an address of this page.
	}
	return { parts, query: Object.fromEntries(new URLSearchParams(query || "")) };
}

export const go = (hash) => (location.hash = hash);

// Another address of the same view that is no place to come back to.
export function swap(hash) {
	history.replaceState(null, "", hash);
	dispatchEvent(new Event("hashchange"));
}
