// Logging in: the answer's cookie is what counts, and no script can read it.
import { ask } from "./api.js";
import { h } from "./dom.js";

export function login(enter) {
	const said = h("p.problem", { role: "alert" });
	const name = h("input", { id: "username", name: "username", autocomplete: "username", required: true, value: "admin" });
	const password = h("input", { id: "password", name: "password", type: "password", autocomplete: "current-password", required: true });
	const button = h("button.primary", "Log in");
	const submit = async (event) => {
		event.preventDefault();
		button.disabled = true;
		said.textContent = "";
		try {
			enter(await ask("POST", "/mini-dag/v1/login", { username: name.value, password: password.value }));
		} catch (problem) {
			said.textContent = problem.message;
			password.select();
		} finally {
			button.disabled = false;
		}
	};
	return h("form.login.card", { key: "login", submit },
		h("h1", "Log in"),
		h("label", { for: "username" }, "Name"), name,
		h("label", { for: "password" }, "Password"), password,
		said, button,
		h("p.muted", "The first start has printed a password for ", h("code", "admin"), "; ", h("code", "mini-dag user passwd admin"), " sets another."));
}
