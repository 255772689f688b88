//! The board, with a worker and a stand-in for Tallyfy.

use std::collections::BTreeMap;

use embed::Board;
use runs_worker::{Event, Handler as _, Worker, config};
use tallyfy_sim::{SimConfig, Simulator};

#[tokio::test]
async fn the_board_shows_how_runs_stand() {
    let folder = tempfile::tempdir().unwrap();
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let settings = [
        ("TALLYFY_ORG_ID", sim.org()),
        ("TALLYFY_TOKEN", &sim.token()),
        ("TALLYFY_WEBHOOK_SECRET", "correct-horse-battery"),
        ("TALLYFY_BASE_URL", sim.base_url()),
        ("RUNS_WORKER_LISTEN", "127.0.0.1:0"),
        ("RUNS_WORKER_ADMIN_LISTEN", "127.0.0.1:0"),
        ("RUNS_WORKER_DATA_DIR", folder.path().to_str().unwrap()),
        ("RUNS_WORKER__REFRESH__WINDOW", "0s"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let loaded = config::load(&config::Flags::default(), &BTreeMap::from(settings), true).unwrap();
    let board = Board::default();
    let worker = Worker::builder(loaded)
        .handler("board", board.clone())
        .start()
        .await
        .unwrap();
    let url = format!("http://{}/webhooks/correct-horse-battery", worker.receive_address());
    sim.set_webhook_url(Some(&url)).unwrap();
    let run = sim.launch("Globex").unwrap();
    while sim.complete_next(&run).unwrap().is_some() {
        sim.settle().await;
    }
    while board.to_string() != "Globex: all done\n" {
        tokio::task::yield_now().await;
    }
    worker.stop().await;
}

#[tokio::test]
async fn an_event_that_comes_again_changes_nothing() {
    let board = Board::default();
    let event = Event::sample(&"acme".into(), jiff::Timestamp::UNIX_EPOCH).unwrap();
    board.handle(&event).await.unwrap();
    let before = board.cards();
    board.handle(&event).await.unwrap();
    assert_eq!(board.cards(), before);
    assert_eq!(board.to_string(), "Sample run: all done\n");
}
