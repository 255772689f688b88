//! The client crates against the simulator, on real sockets, in every JSON form that the simulator knows.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use futures_util::TryStreamExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tallyfy_model::{Member, Run};
use tallyfy_runs::{
    Archived, Client, Error, GetRunOptions, Include, ListRunsOptions, ListTasksOptions, TaskInclude, changes,
};
use tallyfy_sim::faults::{Fault, FaultRule};
use tallyfy_sim::quirks::Quirks;
use tallyfy_sim::{SimConfig, Simulator};
use tallyfy_transport::{RateLimits, Recording, Replay, RetryPolicy};

async fn simulator(runs: usize) -> anyhow::Result<Simulator> {
    let sim = Simulator::start(SimConfig::default()).await?;
    for number in 0..runs {
        sim.launch(&format!("Run {number}"))?;
    }
    Ok(sim)
}

fn builder(sim: &Simulator) -> anyhow::Result<tallyfy_runs::ClientBuilder> {
    let unlimited = RateLimits {
        per_minute: None,
        per_hour: None,
        per_five_seconds: None,
    };
    let at_once = RetryPolicy::default().with_initial(std::time::Duration::ZERO);
    Ok(Client::builder(sim.org(), sim.token())
        .base_url(sim.api_url())
        .rate_limits(unlimited)
        .retry(at_once))
}

fn everything() -> GetRunOptions {
    GetRunOptions::default().with_includes([
        Include::Checklist,
        Include::Tasks,
        Include::TasksStep,
        Include::TasksThreads,
        Include::TasksFormFields,
        Include::Tags,
        Include::Assets,
        Include::NextTask,
        Include::FormFields,
        Include::KoFormFields,
        Include::Folders,
    ])
}

/// What a run says in every form. Dates may come without milliseconds, statuses in other words, progress without numbers.
fn facts(run: &Run) -> Vec<String> {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let mut facts = vec![text(run.name.as_str()), format!("{:?}", run.owner_id)];
    facts.extend(run.tags.iter().map(|tag| text(tag.any_title())));
    for task in run.tasks.iter() {
        let owners = task.owners.get().into_iter().flat_map(|owners| owners.users.iter());
        let owners: Vec<_> = owners.map(Member::any_id).collect();
        facts.push(format!("{:?} {:?} {} {owners:?}", task.id, task.title, task.is_open()));
    }
    let answers = run.answers();
    facts.extend(
        answers
            .iter()
            .map(|answer| format!("{} {}", answer.id, answer.json.to_value())),
    );
    facts
}

fn ids(runs: &[Run]) -> BTreeSet<String> {
    runs.iter().map(|run| run.id().to_string()).collect()
}

#[tokio::test]
async fn a_run_says_the_same_in_every_form_and_surprises_nobody() -> anyhow::Result<()> {
    let sim = simulator(3).await?;
    let run = sim.launch("The run")?;
    sim.complete_next(&run)?;
    let client = builder(&sim)?.build()?;
    let first = client.get_run(run.as_str(), &everything()).await?;
    sim.quirks().randomize(7);
    for _ in 0..200 {
        let again = client.get_run(run.as_str(), &everything()).await?;
        assert_eq!(again.surprises(), [], "{}", again.raw());
        assert_eq!(facts(&again), facts(&first), "{}", again.raw());
    }
    Ok(())
}

#[tokio::test]
async fn every_run_task_and_member_is_listed_once_in_every_form_of_paging() -> anyhow::Result<()> {
    let sim = simulator(130).await?;
    let client = builder(&sim)?.build()?;
    let expected = ids(&client
        .list_runs(&ListRunsOptions::default().with_unpaged(true))
        .all()
        .await?);
    assert!(expected.len() >= 130);
    let some_run = expected.first().map(String::as_str).unwrap_or_default().to_owned();
    let tasks = client
        .list_tasks(some_run.as_str(), &ListTasksOptions::default())
        .all()
        .await?
        .len();
    for seed in 0..25 {
        // The same for every page: a server that changes its mind about the size of a page cannot be read at all.
        sim.quirks().set(Quirks::random(&mut StdRng::seed_from_u64(seed)));
        let runs: Vec<Run> = client
            .list_runs(&ListRunsOptions::default())
            .into_stream()
            .try_collect()
            .await?;
        assert_eq!(
            (ids(&runs), runs.len()),
            (expected.clone(), expected.len()),
            "seed {seed}"
        );
        let options = ListTasksOptions::default().with_includes([TaskInclude::FormFields, TaskInclude::Step]);
        assert_eq!(
            client.list_tasks(some_run.as_str(), &options).all().await?.len(),
            tasks,
            "seed {seed}"
        );
        assert!(!client.members().await?.is_empty(), "seed {seed}");
        assert!(client.me().await?.any_id().is_some(), "seed {seed}");
    }
    Ok(())
}

#[tokio::test]
async fn archived_runs_are_listed_only_where_they_are_asked_for() -> anyhow::Result<()> {
    let sim = simulator(3).await?;
    let client = builder(&sim)?.build()?;
    let count = |archived| {
        let pages = client.list_runs(&ListRunsOptions::default().with_archived(archived));
        async { pages.all().await.map(|runs| runs.len()) }
    };
    let before = count(Archived::No).await?;
    assert_eq!(
        (count(Archived::Only).await?, count(Archived::Also).await?),
        (0, before)
    );
    Ok(())
}

#[tokio::test]
async fn trouble_is_waited_out_and_what_is_not_trouble_is_told() -> anyhow::Result<()> {
    let sim = simulator(1).await?;
    let client = builder(&sim)?.build()?;
    let run = sim.launch("The run")?;
    for fault in [Fault::Html { status: 502 }, Fault::Status { status: 503 }] {
        sim.faults().add(FaultRule::times(2, fault));
        assert_eq!(client.get_run(run.as_str(), &everything()).await?.id().as_str(), run);
    }
    sim.faults().once(Fault::Forbidden);
    assert!(matches!(
        client.get_run(run.as_str(), &everything()).await,
        Err(Error::NoAccess(_))
    ));
    assert!(matches!(
        client.get_run("unknown", &everything()).await,
        Err(Error::NotFound(_))
    ));
    sim.revoke_tokens();
    assert!(matches!(client.me().await, Err(Error::TokenRefused(_))));
    Ok(())
}

#[tokio::test]
async fn the_servers_limit_is_kept_by_waiting() -> anyhow::Result<()> {
    let sim = simulator(1).await?;
    let run = sim.launch("The run")?;
    sim.set_rate_limit(NonZeroU32::new(600));
    let client = builder(&sim)?.build()?;
    for _ in 0..20 {
        client.get_run(run.as_str(), &GetRunOptions::none()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_recording_of_a_real_answer_can_be_replayed_and_holds_no_token() -> anyhow::Result<()> {
    let sim = simulator(1).await?;
    let run = sim.launch("The run")?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("exchanges.jsonl");
    let client = builder(&sim)?.record(Recording::to_file(&file)?).build()?;
    let real = client.get_run(run.as_str(), &everything()).await?;
    let text = std::fs::read_to_string(&file)?;
    assert!(!text.contains(&sim.token()));
    let replayed = Client::new(Replay::from_text(&text)?, sim.org());
    let replayed = replayed.get_run(run.as_str(), &everything()).await?;
    assert!(
        changes(&real, &replayed)
            .iter()
            .all(|change| format!("{change:?}").contains("webhook"))
    );
    assert_eq!(replayed.answers().len(), real.answers().len());
    Ok(())
}
