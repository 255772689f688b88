"""Points the vendor's Python SDK at a simulator and uses it as an integrator would.

Usage: python_sdk.py BASE_URL TOKEN ORG

Exits with 0 and prints one line for each check when the SDK can read everything, else with a traceback.
Exits with 77 when the package `tallyfy` cannot be imported.
"""

import sys

try:
    from tallyfy import TallyfyError, TallyfySDK
except ImportError:
    print("the package tallyfy cannot be imported")
    sys.exit(77)


def check(what, good):
    if not good:
        raise AssertionError(what)
    print("ok", what)


def main(base_url, token, org):
    sdk = TallyfySDK(api_key=token, base_url=base_url, max_retries=0)

    me = sdk.get_current_user_info(org)
    check("the caller", isinstance(me.id, int) and "@" in me.email)
    check("the organization", sdk.get_organization(org).id == org)
    check("my organizations", [o.id for o in sdk.get_current_user_organizations().data] == [org])
    check("members", me.id in [u.id for u in sdk.get_organization_users(org).data])
    check("members, in short", me.id in [u.id for u in sdk.get_organization_users_list(org).data])
    guests = sdk.get_organization_guests(org).data
    check("guests", guests and "@" in guests[0].email)
    check("groups", len(sdk.get_groups(org)) == 1)
    tags = sdk.get_tags(org)
    check("tags", len(tags) == 2 and sdk.get_tag(org, tags[0].id).title == tags[0].title)

    templates = sdk.get_all_templates(org, per_page=100).data
    template = next(t for t in templates if t.title == "Client onboarding")
    check("a template", sdk.get_template(org, template.id).title == template.title)
    steps = sdk.get_template_steps(org, template.id)
    check("its steps", [s.position for s in steps] == [1, 2, 3] and steps[0].captures)
    fields = sdk.get_kickoff_form_fields(org, template.id)
    company = next(f["id"] for f in fields if f["label"] == "Company")

    for number in range(1, 13):
        sdk.launch_process(org, template.id, f"Customer {number:02}", prerun={company: f"Firm {number}"})
    try:
        sdk.launch_process(org, template.id, "Without its required answer")
        check("a launch without a required answer is refused", False)
    except TallyfyError as error:
        check("a launch without a required answer is refused", error.status_code == 422)

    runs = sdk.get_organization_runs(org, per_page=10, with_data="checklist,tasks,tags", form_fields_values=True)
    check("ten runs on the first page", len(runs.data) == 10 and runs.meta.total == 12 and runs.meta.total_pages == 2)
    second = sdk.get_organization_runs(org, per_page=10, page=2)
    names = {run.name for run in runs.data} | {run.name for run in second.data}
    check("all twelve on two pages", len(names) == 12)
    run = next(run for run in runs.data if run.name == "Customer 12")
    check("progress", (run.progress.complete, run.progress.total, run.progress.percent) == (0, 3, 0))
    check("answers of the kick-off form", run.prerun[company] == "Firm 12")
    check("a process", sdk.get_process(org, run.id, with_="tasks,next_task").name == run.name)

    tasks = sdk.get_tasks_for_process(org, process_id=run.id, with_="step,form_fields").data
    check("tasks of a process", [t.position for t in tasks] == [1, 2, 3] and tasks[0].step.title == tasks[0].title)
    check("owners of a task", tasks[0].owners.users == [me.id])
    check("tasks by the name of a process", len(sdk.get_tasks_for_process(org, process_name="Customer 12").data) == 3)
    check("a task", sdk.get_task(org, run.id, tasks[0].id, with_="threads,step").id == tasks[0].id)
    check("a task by itself", sdk.get_standalone_task(org, tasks[0].id).run_id == run.id)
    check("my tasks", len(sdk.get_my_tasks(org).data) == 12)
    check("tasks of a member", len(sdk.get_user_tasks(org, me.id).data) == 12)
    check("search", len(sdk.search_processes(org, "customer 0").data) == 9)

    done = sdk.complete_task(org, run.id, tasks[0].id)
    check("a completed task", done.status == "completed" and done.completer_id == me.id)
    check("progress after it", sdk.get_process(org, run.id).progress.complete == 1)
    check("a reopened task", sdk.reopen_task(org, run.id, tasks[0].id).completed_at is None)
    comment = sdk.add_task_comment(org, tasks[0].id, "Looks good")
    check("comments", [c.id for c in sdk.get_task_comments(org, run.id, tasks[0].id)] == [comment.id])
    check("a renamed process", sdk.update_process(org, run.id, name="Renamed").name == "Renamed")
    sdk.archive_process(org, run.id)
    check("an archived process is not listed", run.id not in [r.id for r in sdk.get_organization_runs(org).data])
    archived = sdk.get_organization_runs(org, archived="only").data
    check("unless it is asked for", [r.id for r in archived] == [run.id] and archived[0].archived_at)
    check("a reactivated process", sdk.reactivate_process(org, run.id).archived_at is None)

    try:
        sdk.get_task(org, run.id, "0" * 32)
        check("a task that is not there", False)
    except TallyfyError as error:
        check("a task that is not there", error.status_code == 404)
    try:
        TallyfySDK(api_key="wrong", base_url=base_url, max_retries=0).get_organization_runs(org)
        check("a wrong token", False)
    except TallyfyError as error:
        check("a wrong token", error.status_code == 401)
    check("the whole conversation", True)


if __name__ == "__main__":
    main(*sys.argv[1:4])
