// What is asked before something is done, and what is said after.
import { $, h, patch } from "./dom.js";

export function close() {
	if ($("dialog").open) $("dialog").close();
}

// Opens a dialog. `act`: `{text, danger, run}`; `run` does it, and its problem is shown here.
export function ask(title, content, act) {
	const dialog = $("dialog");
	const said = h("p.problem", { role: "alert" });
	const go = act && h("button", { class: act.danger ? "danger" : "primary" }, act.text);
	const submit = async (event) => {
		event.preventDefault();
		if (!act) return close();
		if (go.getAttribute("aria-disabled")) return;
		go.disabled = true;
		said.textContent = "";
		try {
			await act.run();
			close();
		} catch (problem) {
			if (problem.status === undefined) console.error(problem);
			said.textContent = problem.message;
			go.disabled = false;
		}
	};
	const cancel = h("button", { type: "button", class: "quiet", click: close }, act ? "Cancel" : "Close");
	dialog.replaceChildren(
		h("form", { submit }, h("h2", { id: "dialog-title" }, title), h("div.dialog-body", content), said, h("div.buttons", cancel, go)),
	);
	// To answer false would undo the click.
	dialog.onclick = (event) => void (event.target === dialog && close());
	if (!dialog.open) dialog.showModal();
	(dialog.querySelector("[autofocus]") || go || cancel).focus();
	return { go, said };
}

let timer = 0;
export function toast(text, href) {
	clearTimeout(timer);
	patch($("toast"), h("p", text, href && [" ", h("a", { href }, "Show")]));
	timer = setTimeout(() => patch($("toast")), 6000);
}

// Does something at once, and says what was wrong if it did not go.
export async function attempt(what, done) {
	try {
		const answer = await what();
		if (done) toast(done);
		return answer;
	} catch (problem) {
		toast(problem.message);
		return null;
	}
}
