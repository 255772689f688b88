//! `runs-worker status`

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use runs_store::Store;
use serde_json::json;

use super::Settings;
use super::interrupt::interrupts;
use super::look::{Paint, mark};
use super::print;
use super::with_store::{End, Trouble, with_store};
use crate::tell::{self, Status, Tone, ago, number, plural};

/// Exit status: somebody should look at something.
const LOOK: u8 = 4;
/// Exit status: something is broken.
const BROKEN: u8 = 5;
/// How often it is looked again with `--watch`.
const WATCH: Duration = Duration::from_secs(2);

/// How everything stands: the door, the store, each organization, each handler, the workers.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 all is well, 4 somebody should look at something, 5 something is broken; 1 and 2 as ever."
)]
pub(super) struct ShowStatus {
    /// One JSON object, for programs
    #[arg(long)]
    json: bool,
    /// Look again every two seconds, until it is stopped
    #[arg(long, conflicts_with = "json")]
    watch: bool,
}

impl ShowStatus {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        let mut tone = Tone::Good;
        let ended = with_store(settings, async |store| {
            let mut interrupts = interrupts()?;
            loop {
                let status = tell::status(store, Timestamp::now()).await?;
                tone = status.tone;
                self.print(store, &status)?;
                if !self.watch {
                    return Ok(End::Well);
                }
                tokio::select! {
                    _ = interrupts.recv() => return Ok(End::Well),
                    () = tokio::time::sleep(WATCH) => {}
                }
            }
        })
        .await;
        match tone {
            _ if ended != ExitCode::SUCCESS => ended,
            Tone::Good | Tone::Quiet => ExitCode::SUCCESS,
            Tone::Warn => ExitCode::from(LOOK),
            Tone::Bad => ExitCode::from(BROKEN),
        }
    }

    fn print(&self, _: &dyn Store, status: &Status) -> Result<(), Trouble> {
        if self.json {
            print::say(&json!(status).to_string())?;
            return Ok(());
        }
        if self.watch && io::stdout().is_terminal() {
            print::lines(["\u{1b}[H\u{1b}[2J".to_owned()])?;
        }
        print::lines(lines(status, Paint::for_stdout()))?;
        Ok(())
    }
}

fn lines(status: &Status, paint: Paint) -> Vec<String> {
    let now = status.at;
    let mut lines: Vec<String> = status
        .sentences
        .iter()
        .map(|sentence| paint.sentence(sentence))
        .collect();
    let head = |lines: &mut Vec<String>, text: &str| {
        lines.push(String::new());
        lines.push(paint.strong(text));
    };
    head(&mut lines, "Organizations");
    for org in &status.organizations {
        let webhook = org
            .last_webhook
            .map_or_else(|| "none within a day".to_owned(), |at| ago(at, now));
        let sweep = org.last_sweep.as_ref().map_or("none yet", |sweep| &sweep.in_words);
        let budget: Vec<String> = org
            .budget
            .iter()
            .map(|budget| format!("{} of {} left for {} s", budget.left, budget.most, budget.seconds))
            .collect();
        let budget = match budget.as_slice() {
            [] => "no limit".to_owned(),
            budget => budget.join(", "),
        };
        let token = org.trouble.as_deref().unwrap_or("not refused");
        lines.push(format!(
            "{} {}",
            paint.tone(org.tone, mark(org.tone)),
            paint.tone(org.tone, &org.organization)
        ));
        for (what, text) in [
            ("token", token),
            ("last webhook", &webhook),
            ("last sweep", sweep),
            ("API requests", &budget),
        ] {
            lines.push(format!("    {what:<14}{}", crate::shared::visible::visible_line(text)));
        }
    }
    head(&mut lines, "Handlers");
    for handler in &status.handlers {
        let mut line = format!(
            "{} {:<20} {:>8} waiting",
            paint.tone(handler.tone, mark(handler.tone)),
            paint.tone(handler.tone, &handler.handler),
            number(handler.waiting),
        );
        if let Some(oldest) = handler.oldest {
            line.push_str(&format!(", the oldest {}", ago(oldest, now)));
        }
        if handler.dead_letters > 0 {
            line.push_str(&format!(", {}", plural(handler.dead_letters, "dead letter")));
        }
        lines.push(format!("{line}  {}", paint.faint(&handler.in_words)));
    }
    head(&mut lines, "Store");
    lines.push(format!("  {} to be fetched", plural(status.due, "run")));
    if status.unreadable > 0 {
        lines.push(format!(
            "  {} that could not be read",
            plural(status.unreadable, "notification")
        ));
    }
    for refused in &status.refused {
        let requests = plural(refused.count, "request");
        lines.push(format!(
            "  {requests} turned away within a day, {}; the last {}",
            refused.reason,
            ago(refused.last, now)
        ));
    }
    head(&mut lines, "Workers");
    for worker in &status.workers {
        let tone = if worker.is_there { Tone::Good } else { Tone::Quiet };
        let there = if worker.is_there { "there" } else { "gone" };
        let log = match worker.report.intake_waiting {
            0 => "intake log empty".to_owned(),
            waiting => format!("{} in the intake log", plural(waiting, "notification")),
        };
        lines.push(format!(
            "{} {}  {there}, version {}, started {}, seen {}; {log}",
            paint.tone(tone, mark(tone)),
            paint.tone(tone, &worker.worker),
            worker.version,
            ago(worker.started_at, now),
            ago(worker.seen_at, now),
        ));
    }
    lines
}
