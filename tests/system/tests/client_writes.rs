//! The client's writes against the simulator, on real sockets.

use std::time::Duration;

use anyhow::Context as _;
use tallyfy_runs::model::{Run, RunStatus, TaskStatus};
use tallyfy_runs::{
    Assignees, Client, Completion, Entry, Error, Form, GetRunOptions, GetTaskOptions, GetTemplateOptions, Launch,
    ListRunsOptions, ListTasksOptions, ListTemplatesOptions, Pages, TaskInclude, TryStreamExt as _,
};
use tallyfy_sim::faults::{Fault, FaultRule};
use tallyfy_sim::world::{CaptureDraft, FieldType, StepDraft, TemplateDraft};
use tallyfy_sim::{SimConfig, Simulator};
use tallyfy_transport::{RateLimits, RetryPolicy};

async fn simulator() -> anyhow::Result<(Simulator, Client)> {
    let sim = Simulator::start(SimConfig::default()).await?;
    let unlimited = RateLimits {
        per_minute: None,
        per_hour: None,
        per_five_seconds: None,
    };
    let client = Client::builder(sim.org(), sim.token())
        .base_url(sim.api_url())
        .rate_limits(unlimited)
        .retry(RetryPolicy::default().with_initial(Duration::ZERO))
        .build()?;
    Ok((sim, client))
}

async fn launched(client: &Client, sim: &Simulator, name: &str) -> anyhow::Result<Run> {
    let template = client
        .get_template(sim.founding().onboarding.as_str(), &GetTemplateOptions::none())
        .await?;
    let launch = Launch::of(&template, name).fill("Company", "Globex")?;
    Ok(client.launch_run(&launch).await?)
}

#[tokio::test]
async fn a_run_is_launched_answered_completed_reopened_and_archived() -> anyhow::Result<()> {
    let (sim, client) = simulator().await?;
    let template = client
        .get_template(sim.founding().onboarding.as_str(), &GetTemplateOptions::default())
        .await?;
    assert_eq!(template.steps.iter().count(), 3);
    let launch = Launch::of(&template, "Onboarding of Globex")
        .fill("Company", "Globex")?
        .fill("Start date", "2026-02-01")?
        .fill("Plan", "Growth")?
        .fill("Regions", ["EMEA", "APAC"])?;
    let run = client.launch_run(&launch).await?;
    let answers = run.answers();
    assert_eq!(
        answers.iter().filter_map(tallyfy_model::FieldAnswer::text).count(),
        3,
        "{answers:?}"
    );

    let with_form = GetTaskOptions::default().with_includes([TaskInclude::FormFields]);
    let tasks = client.list_tasks(run.id(), &ListTasksOptions::default()).all().await?;
    for task in &tasks {
        let task = client.get_task(task.id.get().context("an id")?, &with_form).await?;
        let form = Form::of_task(&task);
        if let Ok(form) = form.fill("Outcome", "Go") {
            let answered = client.set_answers(&task, &form.fill("Notes", "<p>Fine</p>")?).await?;
            assert_eq!(answered.taskdata.entries().count(), 2);
        }
        let done = client.complete_task(Completion::of(&task)?).await?;
        assert!(done.is_complete() && Completion::of(&done).is_err(), "{}", done.raw());
    }
    let run = client.get_run(run.id(), &GetRunOptions::default()).await?;
    assert!(run.is_complete());

    client.reopen_task(&tasks[0]).await?;
    client.archive_run(run.id()).await?;
    let archived = client.get_run(run.id(), &GetRunOptions::default()).await?;
    assert!(archived.is_archived() && !archived.is_complete());
    client.activate_run(run.id()).await?;
    assert!(!client.get_run(run.id(), &GetRunOptions::none()).await?.is_archived());
    Ok(())
}

#[tokio::test]
async fn an_approval_takes_a_verdict() -> anyhow::Result<()> {
    let (sim, client) = simulator().await?;
    let draft = TemplateDraft::new("Approvals").step(StepDraft::new("Approve").approval());
    let template = sim.add_template(&draft)?;
    let template = client
        .get_template(template.as_str(), &GetTemplateOptions::none())
        .await?;
    let run = client.launch_run(&Launch::of(&template, "One")).await?;
    let tasks = client.list_tasks(run.id(), &ListTasksOptions::default()).all().await?;
    assert!(Completion::of(&tasks[0]).is_err());
    let done = client.complete_task(Completion::rejecting(&tasks[0])?).await?;
    assert_eq!(done.is_approved.get(), Some(&false));
    Ok(())
}

#[tokio::test]
async fn everybody_who_is_not_taken_out_stays_assigned() -> anyhow::Result<()> {
    let (sim, client) = simulator().await?;
    let run = launched(&client, &sim, "One").await?;
    let founding = sim.founding();
    let assigned = ListTasksOptions::default().with_groups([founding.group.as_str()]);
    let tasks = client.list_tasks(run.id(), &assigned).all().await?;
    let task = tasks.first().context("a task of the group")?;
    let more = Assignees::of(task)
        .context("assignees")?
        .with_guest(founding.guest.as_str());
    let reassigned = client.reassign(task, &more).await?;
    let now = Assignees::of(&reassigned).context("assignees")?;
    assert_eq!(now, more);
    assert_eq!(now.to_json()["groups"][0], founding.group.as_str());
    Ok(())
}

#[tokio::test]
async fn every_type_of_field_takes_what_a_form_makes_of_an_entry() -> anyhow::Result<()> {
    let (sim, client) = simulator().await?;
    let template = client
        .get_template(sim.founding().every_field.as_str(), &GetTemplateOptions::none())
        .await?;
    let run = client.launch_run(&Launch::of(&template, "Everything")).await?;
    let with_form = ListTasksOptions::default().with_includes([TaskInclude::FormFields]);
    let tasks = client.list_tasks(run.id(), &with_form).all().await?;
    let form = Form::of_task(&tasks[0])
        .fill("A text", "x")?
        .fill("A textarea", "y")?
        .fill("A radio", "First choice")?
        .fill("A dropdown", "Second choice")?
        .fill("A multiselect", ["First choice", "Second choice"])?
        .fill("A date", "2026-01-31T09:00:00Z")?
        .fill("A email", "a@example.com")?
        .fill("A table", ["Widget", "3"])?
        .fill("A assignees_form", Assignees::nobody().with_user(1003))?;
    let answered = client.set_answers(&tasks[0], &form).await?;
    assert_eq!(answered.taskdata.entries().count(), 9);
    let cleared = Form::of_task(&tasks[0]).fill("A dropdown", Entry::Cleared)?;
    let answered = client.set_answers(&answered, &cleared).await?;
    assert_eq!(answered.taskdata.entries().count(), 8, "{}", answered.raw());
    Ok(())
}

#[tokio::test]
async fn a_launch_whose_answer_is_lost_is_not_repeated_and_can_be_looked_for() -> anyhow::Result<()> {
    let (sim, client) = simulator().await?;
    let route = "POST /organizations/{org}/runs";
    // Those that strike after the launch, and those that strike in its place.
    for (fault, launched_all_the_same) in [
        (Fault::DroppedMidway, true),
        (Fault::Truncated, true),
        (Fault::EmptyBody, false),
        (Fault::Html { status: 502 }, false),
    ] {
        sim.requests().clear();
        sim.faults().add(FaultRule::once(fault.clone()).on_route(route));
        let name = format!("{fault:?}");
        let outcome = launched(&client, &sim, &name).await.map(|run| run.id().to_string());
        let error: Error = outcome.err().context("no answer")?.downcast()?;
        assert!(matches!(error, Error::OutcomeUnknown(_)), "{fault:?}: {error}");
        assert_eq!(sim.requests().of_route(route), 1, "{fault:?}");
        let named = client
            .list_runs(&ListRunsOptions::default().with_search(name.as_str()))
            .all()
            .await?;
        assert_eq!(named.len(), usize::from(launched_all_the_same), "{fault:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_was_refused_was_not_done() -> anyhow::Result<()> {
    let (sim, client) = simulator().await?;
    let draft = TemplateDraft::new("Strict")
        .step(StepDraft::new("Answer").capture(CaptureDraft::new("Reason", FieldType::Text).required()));
    let template = sim.add_template(&draft)?;
    let template = client
        .get_template(template.as_str(), &GetTemplateOptions::none())
        .await?;
    let run = client.launch_run(&Launch::of(&template, "One")).await?;
    let tasks = client.list_tasks(run.id(), &ListTasksOptions::default()).all().await?;
    let error = client
        .complete_task(Completion::of(&tasks[0])?)
        .await
        .err()
        .context("refused")?;
    assert_eq!(error.invalid_fields()[0].field, "reason");
    for fault in [
        Fault::Forbidden,
        Fault::TooManyRequests {
            retry_after: tallyfy_sim::faults::RetryAfter::Seconds(0),
        },
    ] {
        sim.faults().once(fault);
        let error = client.comment(&tasks[0], "x").await.err().context("refused")?;
        assert!(!matches!(error, Error::OutcomeUnknown(_)), "{error}");
    }
    let thread = client.comment(&tasks[0], "Now").await?;
    assert_eq!(thread.content.as_str(), Some("Now"));
    let with_threads = GetTaskOptions::default().with_includes([TaskInclude::Threads]);
    let task = client
        .get_task(tasks[0].id.get().context("an id")?, &with_threads)
        .await?;
    assert_eq!(task.threads.iter().count(), 1);
    Ok(())
}

#[tokio::test]
async fn templates_and_tasks_are_found_by_what_they_are() -> anyhow::Result<()> {
    let (sim, client) = simulator().await?;
    let titled = ListTemplatesOptions::default().with_search("onboarding");
    let templates: Vec<_> = client.list_templates(&titled).into_stream().try_collect().await?;
    assert_eq!(templates.len(), 1);
    assert!(templates[0].raw().contains("Client onboarding") && templates[0].surprises().is_empty());
    let run = launched(&client, &sim, "One").await?;
    let open = |options: ListTasksOptions| -> Pages<_> { client.list_tasks(run.id(), &options) };
    let by = ListTasksOptions::default();
    assert_eq!(
        open(by.clone().with_status(TaskStatus::Completed)).all().await?.len(),
        0
    );
    assert_eq!(
        open(by.clone().with_guests([sim.founding().guest.as_str()]))
            .all()
            .await?
            .len(),
        1
    );
    assert_eq!(open(by.clone().with_unassigned(true)).all().await?.len(), 0);
    let active = ListRunsOptions::default().with_status(RunStatus::Active);
    assert_eq!(client.list_runs(&active).all().await?.len(), 1);
    Ok(())
}
