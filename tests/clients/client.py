"""What `apache-airflow-client` does against a mini-dag daemon: URL PASSWORD GATE."""

import sys
import time
import urllib.request
import json
from pathlib import Path

import airflow_client.client as af
from airflow_client.client.api import (
    config_api, dag_api, dag_run_api, dag_source_api, dag_stats_api, event_log_api, import_error_api, job_api,
    monitor_api, plugin_api, pool_api, provider_api, task_api, task_instance_api, variable_api, version_api, x_com_api,
)
from airflow_client.client.models import (
    ClearTaskInstancesBody, DAGPatchBody, DAGRunPatchBody, TriggerDAGRunPostBody,
)

url, password, gate = sys.argv[1:]


def log_in():
    body = json.dumps({"username": "admin", "password": password}).encode()
    request = urllib.request.Request(url + "/auth/token", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 201
        return json.load(answer)["access_token"]


def wait_for(what, is_so):
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end, f"no {what}"
        time.sleep(0.05)


def status_of(call):
    try:
        call()
    except af.ApiException as error:
        return error.status
    return 200


with af.ApiClient(af.Configuration(host=url, access_token=log_in())) as api:
    dags, runs, tasks = dag_api.DAGApi(api), dag_run_api.DagRunApi(api), task_instance_api.TaskInstanceApi(api)
    assert version_api.VersionApi(api).get_version().version
    assert monitor_api.MonitorApi(api).get_health().scheduler.status == "healthy"

    assert "clients" in [dag.dag_id for dag in dags.get_dags(limit=50).dags]
    assert [dag.dag_id for dag in dags.get_dags(tags=["t"], dag_id_pattern="cli%").dags] == ["clients"]
    assert dags.get_dag("clients").is_paused is False
    assert dags.get_dag_details("clients").catchup is False
    assert dags.patch_dag("clients", DAGPatchBody(is_paused=True)).is_paused is True
    assert dags.patch_dag("clients", DAGPatchBody(is_paused=False)).is_paused is False
    assert status_of(lambda: dags.get_dag("nope")) == 404
    assert task_api.TaskApi(api).get_tasks("clients").total_entries == 3

    body = TriggerDAGRunPostBody(dag_run_id="r", logical_date=None, conf={"k": "v"}, note="by a client")
    run = runs.trigger_dag_run("clients", body)
    assert (run.dag_run_id, run.conf, run.note) == ("r", {"k": "v"}, "by a client"), run
    assert status_of(lambda: runs.trigger_dag_run("clients", body)) == 409
    wait_for("end", lambda: runs.get_dag_run("clients", "r").state == "failed")
    assert [run.dag_run_id for run in runs.get_dag_runs("clients", state=["failed"], order_by=["-run_after"]).dag_runs] == ["r"]
    assert runs.get_dag_runs("~").total_entries == 1

    states = {task.task_id: task.state for task in tasks.get_task_instances("clients", "r").task_instances}
    assert states == {"say": "success", "fail": "failed", "last": "upstream_failed"}, states
    assert tasks.get_task_instance("clients", "r", "say").try_number == 1
    assert tasks.get_task_instance_tries("clients", "r", "fail").total_entries == 1
    log = tasks.get_log("clients", "r", "say", 1, full_content=True)
    assert "k=v" in str(log.content), log

    Path(gate).touch()
    body = ClearTaskInstancesBody(dry_run=True, dag_run_id="r", only_failed=True)
    shown = tasks.post_clear_task_instances("clients", body)
    assert shown.total_entries == 2, shown
    assert runs.get_dag_run("clients", "r").state == "failed"
    body.dry_run = False
    tasks.post_clear_task_instances("clients", body)
    wait_for("success", lambda: runs.get_dag_run("clients", "r").state == "success")

    xcoms, where = x_com_api.XComApi(api), {"dag_id": "clients", "dag_run_id": "r", "task_id": "last"}
    assert xcoms.get_xcom_entries(**where).total_entries == 1
    assert "[1, 2]" in str(xcoms.get_xcom_entry(xcom_key="return_value", **where))

    noted = runs.patch_dag_run("clients", "r", DAGRunPatchBody(note="seen"))
    assert noted.note == "seen"
    runs.delete_dag_run("clients", "r")
    assert status_of(lambda: runs.get_dag_run("clients", "r")) == 404
    wait_for("no logs", lambda: not list(Path(gate).parent.glob("state/logs/*/run_id=*r")))

    assert import_error_api.ImportErrorApi(api).get_import_errors().total_entries == 1
    assert dag_stats_api.DagStatsApi(api).get_dag_stats().total_entries >= 1
    assert "task_id" in str(dag_source_api.DagSourceApi(api).get_dag_source("clients"))
    assert event_log_api.EventLogApi(api).get_event_logs().total_entries > 3
    assert job_api.JobApi(api).get_jobs().total_entries == 1
    assert pool_api.PoolApi(api).get_pools().total_entries >= 1
    assert variable_api.VariableApi(api).get_variables().total_entries == 0
    assert provider_api.ProviderApi(api).get_providers().total_entries == 0
    assert plugin_api.PluginApi(api).get_plugins().total_entries == 0
    assert status_of(lambda: config_api.ConfigApi(api).get_config()) == 403

bad = af.ApiClient(af.Configuration(host=url, access_token="x.y.z"))
assert status_of(lambda: dag_api.DAGApi(bad).get_dags()) == 403
print("apache-airflow-client: done")
