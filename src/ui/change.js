// Clearing, cancelling, marking: first what will happen, then a button that does it.
import { ask, dagPath, runPath, stir, taskPath } from "./api.js";
import { ask as dialog, toast } from "./dialog.js";
import { h, patch } from "./dom.js";
import { sign, words } from "./states.js";

const done = (text) => {
	toast(text);
	stir();
};

// A clear: `fixed` stands, `options` are offered.
function clear(run, title, fixed, options) {
	const chosen = Object.fromEntries(options.map(([name, , is]) => [name, is]));
	const preview = h("div.preview", { "aria-live": "polite" });
	const send = (dry) => ask("POST", `${dagPath(run.dag_id)}/clearTaskInstances`, { dry_run: dry, dag_run_id: run.dag_run_id, reset_dag_runs: true, only_failed: false, ...fixed, ...chosen });
	let turn = 0;
	let shown;
	async function look() {
		const mine = ++turn;
		try {
			const { task_instances: tasks } = await send(true);
			if (mine !== turn) return;
			const n = tasks.length;
			shown.go.textContent = n ? `Run ${n} task${n === 1 ? "" : "s"} again` : "Nothing to run again";
			if (n) shown.go.removeAttribute("aria-disabled");
			else shown.go.setAttribute("aria-disabled", "true");
			patch(preview, h("p", n ? "These run again:" : "Nothing is like that."), h("ul", tasks.slice(0, 100).map((task) => h("li", sign(task.state), task.task_id, h("span.muted", words(task.state))))), n > 100 && h("p", `and ${n - 100} more`));
		} catch (problem) {
			if (mine === turn) patch(preview, h("p.problem", problem.message));
		}
	}
	const box = ([name, text, is]) => h("label", h("input", { type: "checkbox", checked: is, change: (event) => ((chosen[name] = event.target.checked), look()) }), " ", text);
	shown = dialog(title, [h("p.muted", run.dag_run_id), h("div.options", options.map(box)), preview], {
		text: "Run again",
		run: async () => {
			const { task_instances: tasks } = await send(false);
			done(`Cleared ${tasks.length} task${tasks.length === 1 ? "" : "s"}: they run again.`);
		},
	});
	look();
}

export const clearTask = (run, task) =>
	clear(run, `Clear ${task}`, { task_ids: [task] }, [["include_downstream", "and what comes after it", true], ["include_upstream", "and what comes before it", false], ["only_failed", "only what failed", false]]);
export const clearRun = (run) => clear(run, "Clear the run", {}, [["only_failed", "only what failed", run.state === "failed"]]);

export function cancelRun(run) {
	dialog("Cancel the run", [h("p", "Its running tasks are stopped, the others do not begin, and the run has failed."), h("p.muted", run.dag_run_id)], {
		text: "Cancel the run",
		danger: true,
		run: async () => {
			await ask("PATCH", runPath(run.dag_id, run.dag_run_id), { state: "failed" });
			done("The run is cancelled.");
		},
	});
}

function mark(title, hint, states, send) {
	let state = states[0];
	const option = (one, at) => h("label", h("input", { type: "radio", name: "state", checked: at === 0, change: () => (state = one) }), " ", sign(one), " ", words(one));
	dialog(title, [h("p", hint), h("div.options", states.map(option))], {
		text: "Mark",
		run: async () => {
			await send(state);
			done(`Marked as ${words(state)}.`);
		},
	});
}

export const markRun = (run) => mark("Mark the run", "Nothing runs: it only counts as", ["success", "failed"].filter((state) => state !== run.state), (state) => ask("PATCH", runPath(run.dag_id, run.dag_run_id), { state }));
export const markTask = (run, task) => mark(`Mark ${task.task_id}`, "It does not run any more, and counts as", ["success", "failed", "skipped"].filter((state) => state !== task.state), (new_state) => ask("PATCH", taskPath(run.dag_id, run.dag_run_id, task.task_id), { new_state }));
