//! `runs-worker runs`

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use runs_store::{RunsOnly, RunsQuery, Store};
use serde_json::json;
use tallyfy_model::{OrgId, RunId};

use super::interrupt::interrupts;
use super::look::{Paint, mark};
use super::run_ref::run_ref;
use super::table::Table;
use super::with_store::{End, Outcome, Trouble, misused, with_store};
use super::{Settings, print};
use crate::tell::{self, Item, Timeline};

/// How much of a run's story is told.
const TOLD: usize = 200;
/// How often a story is looked at again that is followed.
const FOLLOW: Duration = Duration::from_secs(1);

#[derive(Debug, Subcommand)]
pub(super) enum Runs {
    /// List runs, those first that were fetched last
    List(List),
    /// Tell what happened to a run, the oldest first, how it stands, and what happens next
    Show {
        /// The run: its id, or a link to it
        #[arg(value_name = "RUN", value_parser = run_ref)]
        run: RunId,
        /// Of this organization, where several know a run of this id
        #[arg(long, value_name = "ORG_ID")]
        org: Option<OrgId>,
        /// One JSON object, for programs
        #[arg(long)]
        json: bool,
        /// Go on, and tell what happens from now on
        #[arg(long, conflicts_with = "json")]
        follow: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those that wait for a fetch
    #[arg(long, group = "only")]
    due: bool,
    /// Only those whose last fetch failed, and those that were given up
    #[arg(long, group = "only")]
    failing: bool,
    /// Only those with an event that a handler has failed to take, or that was given up
    #[arg(long, group = "only")]
    blocked: bool,
    /// Those of this organization
    #[arg(long, value_name = "ORG_ID")]
    org: Option<OrgId>,
    /// Those of the template with this id, or with this text in its name
    #[arg(long, value_name = "TEXT")]
    template: Option<String>,
    /// Those with this text in the name or the id
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    #[command(flatten)]
    output: super::which::Output,
}

impl Runs {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        with_store(settings, async |store| match &self {
            Self::List(list) => list.print(store).await,
            Self::Show { run, org, json, follow } => {
                let found = find(store, run, org.as_ref()).await?;
                match found {
                    None => unknown(store, run, *json).await,
                    Some(org) if *follow => go_on(store, &org, run).await,
                    Some(org) => show(store, &org, run, *json).await,
                }
            }
        })
        .await
    }
}

impl List {
    async fn print(&self, store: &dyn Store) -> Outcome {
        let query = RunsQuery {
            run: None,
            org: self.org.clone(),
            template: self.template.clone(),
            name: self.name.clone(),
            only: match (self.due, self.failing, self.blocked) {
                (true, ..) => Some(RunsOnly::Due),
                (_, true, _) => Some(RunsOnly::Failing),
                (_, _, true) => Some(RunsOnly::Blocked),
                _ => None,
            },
        };
        let now = Timestamp::now();
        let mut table = Table::new([
            "run", "name", "template", "status", "org", "events", "fetched", "due", "stands",
        ]);
        let (mut after, mut left) = (None, self.output.limit);
        while left > 0 {
            let page = store.runs(&query, after, left.min(500)).await?;
            left -= page.runs.len();
            for run in &page.runs {
                let (_, stands) = tell::stands(run, now);
                table.row([
                    json!(run.run),
                    json!(run.label.name),
                    json!(run.label.template_name.as_ref().or(run.label.template.as_ref())),
                    json!(run.label.status),
                    json!(run.org),
                    json!(run.events),
                    json!(run.fetched_at),
                    json!(run.due_at),
                    json!(stands),
                ]);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        print::table(table, self.output.json)
    }
}

/// Which organization knows this run.
async fn find(store: &dyn Store, run: &RunId, org: Option<&OrgId>) -> Result<Option<OrgId>, Trouble> {
    let query = RunsQuery {
        run: Some(run.clone()),
        org: org.cloned(),
        ..RunsQuery::default()
    };
    let found = store.runs(&query, None, 2).await?.runs;
    match found.as_slice() {
        [] => Ok(None),
        [run] => Ok(Some(run.org.clone())),
        [one, other, ..] => Err(misused(format!(
            "several organizations know a run of this id: say --org {} or --org {}",
            one.org, other.org
        ))),
    }
}

async fn story(store: &dyn Store, org: &OrgId, run: &RunId) -> Result<Option<Timeline>, Trouble> {
    let status = tell::status(store, Timestamp::now()).await?;
    Ok(tell::timeline(store, org, run, None, TOLD, &status).await?)
}

async fn show(store: &dyn Store, org: &OrgId, run: &RunId, as_json: bool) -> Outcome {
    let Some(told) = story(store, org, run).await? else {
        return Ok(End::Nothing);
    };
    if as_json {
        return print::say(&json!(told).to_string());
    }
    let paint = Paint::for_stdout();
    let mut lines = head(&told, paint);
    let mut day = String::new();
    for item in &told.items {
        lines.extend(of(item, &mut day, paint));
    }
    lines.push(String::new());
    lines.extend(told.sentences.iter().map(|sentence| paint.sentence(sentence)));
    print::lines(lines)
}

/// Tells what is new, and how the run stands whenever that changes, until it is stopped.
async fn go_on(store: &dyn Store, org: &OrgId, run: &RunId) -> Outcome {
    let paint = Paint::for_stdout();
    let mut interrupts = interrupts()?;
    let (mut told_of, mut day, mut stands) = (BTreeSet::new(), String::new(), String::new());
    loop {
        let Some(told) = story(store, org, run).await? else {
            return Ok(End::Nothing);
        };
        let mut lines = if told_of.is_empty() {
            head(&told, paint)
        } else {
            Vec::new()
        };
        for item in &told.items {
            if told_of.insert((item.at, item.title.clone())) {
                lines.extend(of(item, &mut day, paint));
            }
        }
        if let Some(first) = told.sentences.first()
            && (!lines.is_empty() || first.text != stands)
        {
            stands.clone_from(&first.text);
            lines.push(paint.sentence(first));
        }
        print::lines(lines)?;
        tokio::select! {
            _ = interrupts.recv() => return Ok(End::Well),
            () = tokio::time::sleep(FOLLOW) => {}
        }
    }
}

/// Says what can be said of a run that nothing is known of.
async fn unknown(store: &dyn Store, run: &RunId, as_json: bool) -> Outcome {
    let status = tell::status(store, Timestamp::now()).await?;
    let told = tell::unknown_run(run.as_str(), &status);
    if as_json {
        print::say(&json!({"run": run, "known": false, "sentences": told}).to_string())?;
    } else {
        let paint = Paint::for_stdout();
        print::lines(told.iter().map(|sentence| paint.sentence(sentence)))?;
    }
    Ok(End::Nothing)
}

fn head(told: &Timeline, paint: Paint) -> Vec<String> {
    let mut about = vec![
        format!("run {}", told.run),
        format!("organization {}", told.organization),
    ];
    about.extend(told.template.as_ref().map(|template| format!("template {template}")));
    about.extend(told.status.clone());
    vec![
        paint.strong(told.name.as_deref().unwrap_or("a run whose name is not known")),
        paint.faint(&about.join("  ·  ")),
    ]
}

/// The lines of something that happened.
fn of(item: &Item, day: &mut String, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    let its_day = tell::day(item.at);
    if *day != its_day {
        lines.push(String::new());
        lines.push(paint.strong(&format!("{its_day} (UTC)")));
        *day = its_day;
    }
    let gap = item.gap().map(|gap| format!("+{gap}")).unwrap_or_default();
    lines.push(format!(
        "{}  {}  {} {}",
        tell::clock_time(item.at),
        paint.faint(&format!("{gap:>10}")),
        paint.tone(item.tone, mark(item.tone)),
        paint.tone(item.tone, &item.title),
    ));
    let details = item.details.iter();
    lines.extend(details.map(|detail| format!("{:28}{}", "", paint.faint(detail))));
    lines
}
