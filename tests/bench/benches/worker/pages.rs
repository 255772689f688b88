//! How soon the pages answer when much has gathered.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use benches::{Limit, Table};
use jiff::Timestamp;
use runs_store::sqlite::{Large, fill};
use runs_store::{SchedulingTime, SqliteStore, Store as _};
use system_tests::WorkerProcess;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{place, rate};

/// What has gathered: a million notifications.
const RUNS: u32 = 100_000;
const NOTIFICATIONS: u32 = 10;

/// How often each page is asked for.
const TIMES: usize = 100;
/// How far into a list is gone, page by page.
const FURTHER: usize = 20;

/// Every kind of page. Of lists, further pages are asked for, too.
const PAGES: [&str; 17] = [
    "/",
    "/runs",
    "/runs?only=due",
    "/runs?only=failing",
    "/runs?only=blocked",
    "/runs?name=customer+99999",
    "/runs?name=nobody",
    "/runs/northwind/run7",
    "/runs/northwind/run1",
    "/events",
    "/handlers",
    "/handlers/erp",
    "/dead-letters",
    "/dead-letters?handler=erp",
    "/notifications",
    "/sweeps",
    "/journal",
];

/// A page, and how long it took.
async fn get(admin: SocketAddr, path: &str) -> anyhow::Result<(String, Duration)> {
    let began = Instant::now();
    let mut connection = TcpStream::connect(admin).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    let took = began.elapsed();
    ensure!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    Ok((answer, took))
}

/// The address that comes behind this in a page.
fn linked<'p>(page: &'p str, before: &str) -> Option<&'p str> {
    let (_, rest) = page.split_once(before)?;
    let (address, _) = rest.split_once('"')?;
    Some(address)
}

/// The 99th percentile of each page, and of what its list goes on with.
async fn slowest(admin: SocketAddr, path: &str) -> anyhow::Result<Duration> {
    let mut times = Vec::new();
    let (mut page, _) = get(admin, path).await?;
    for _ in 0..TIMES {
        times.push(get(admin, path).await?.1);
    }
    for _ in 0..FURTHER {
        let Some(next) = linked(&page, "<p class=\"onward\"><a href=\"") else {
            break;
        };
        let (further, took) = get(admin, &next.replace("&amp;", "&")).await?;
        times.push(took);
        page = further;
    }
    Ok(place::percentile(times, 99))
}

pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    let folder = place::folder()?;
    let data = folder.path().join("data");
    std::fs::create_dir_all(&data)?;
    let file = data.join("runs.db");
    let store = SqliteStore::open(&file, SchedulingTime::by_wall_clock())?;
    store.close().await;
    let large = Large {
        runs: RUNS,
        notifications: NOTIFICATIONS,
        now: Timestamp::now(),
    };
    fill(&file, large).context("fill the store")?;
    let worker = WorkerProcess::start(&rate::settings(&data)).await?;
    let admin = worker.admin_address();
    // One of each: the first in its list.
    let mut pages: Vec<String> = PAGES.iter().map(|path| (*path).to_owned()).collect();
    for (list, of) in [("/events", "/events/"), ("/notifications", "/notifications/")] {
        let (page, _) = get(admin, list).await?;
        let one = linked(&page, &format!("href=\"{of}")).context("the list is empty")?;
        pages.push(format!("{of}{one}"));
    }
    let mut times = Vec::new();
    for path in pages {
        times.push((slowest(admin, &path).await?, path));
    }
    times.sort();
    for (took, path) in &times {
        println!("  p99 {took:>10.1?}  {path}");
    }
    let (worst, _) = times.last().context("no page")?;
    table.row(
        "p99 of the slowest page, a million notifications, ms",
        worst.as_secs_f64() * 1000.0,
        Limit::AtMost(100.0),
    );
    Ok(())
}
