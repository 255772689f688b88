//! Receives events of runs-worker: verifies the signature, recognizes repeats by their id, stores, and answers then.
//!
//! Usage: `WEBHOOK_KEY=whsec_… receiver [ADDRESS] [DATABASE]`

#![expect(clippy::print_stdout, reason = "a person reads along")]

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use rusqlite::{Connection, params};
use serde_json::Value;
use standardwebhooks::Webhook;

struct Receiver {
    webhook: Webhook,
    database: Mutex<Connection>,
}

/// Anything but 2xx makes the worker send the event again, in its order, for days.
async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if receiver.webhook.verify(&body, &headers).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(event) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST;
    };
    match receiver.store(&event, &body) {
        Ok(what) => {
            println!("{what} {} {}", text(&event, "id"), text(&event, "type"));
            StatusCode::NO_CONTENT
        }
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl Receiver {
    /// The id is the same at every attempt: what is there already is not stored again.
    fn store(&self, event: &Value, body: &[u8]) -> rusqlite::Result<&'static str> {
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let new = database.execute(
            "INSERT OR IGNORE INTO events (id, run, type, body) VALUES (?1, ?2, ?3, ?4)",
            params![text(event, "id"), text(event, "subject"), text(event, "type"), body],
        )?;
        Ok(if new == 1 { "stored" } else { "repeated" })
    }
}

fn text<'e>(event: &'e Value, member: &str) -> &'e str {
    event[member].as_str().unwrap_or_default()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9000".to_owned());
    let file = arguments.next().unwrap_or_else(|| "events.db".to_owned());
    let database = Connection::open(file)?;
    database
        .execute_batch("CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY, run TEXT, type TEXT, body BLOB)")?;
    let receiver = Receiver {
        webhook: Webhook::new(&std::env::var("WEBHOOK_KEY")?)?,
        database: Mutex::new(database),
    };
    let routes = Router::new()
        .route("/events", post(receive))
        .with_state(Arc::new(receiver));
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, routes).await?;
    Ok(())
}
