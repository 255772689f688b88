//! Receivers and an API that repeat what they were sent: secrets that a generator makes, in every spelling, cut off at every
//! length. Everything that the worker writes is read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rand::RngExt as _;
use system_tests::Stage;
use tallyfy_sim::SimConfig;
use tokio::net::TcpListener;

/// How much of a secret may be left: fewer letters than make a secret.
const LEFT: usize = 8;

/// Letters, and with them what each spelling spells otherwise.
fn secret() -> String {
    let mut random = rand::rng();
    let mut word = |length| -> String {
        let letter = || char::from(random.random_range(b'a'..=b'z'));
        std::iter::repeat_with(letter).take(length).collect()
    };
    format!("{}~{}", word(12), word(12))
}

fn by_number(text: &str, write: impl Fn(u8) -> String) -> String {
    text.bytes().map(write).collect()
}

/// A text in every spelling of its letters, itself first.
fn spellings(text: &str) -> Vec<String> {
    let percent = by_number(text, |byte| format!("%{byte:02X}"));
    let entities = by_number(text, |byte| format!("&#{byte};"));
    vec![
        text.to_owned(),
        text.to_uppercase(),
        percent.to_lowercase(),
        percent.replace('%', "%25"),
        percent.replace('%', "%2525"),
        by_number(&percent, |byte| format!("\\u{byte:04x}")),
        percent,
        by_number(text, |byte| format!("\\u{byte:04x}")),
        by_number(text, |byte| format!("\\\\u{byte:04X}")),
        by_number(text, |byte| format!("\\u{{{byte:x}}}")),
        entities.replace('&', "&amp;"),
        entities.replace('&', "&amp;amp;"),
        entities,
        by_number(text, |byte| format!("&#x{byte:x};")),
        by_number(text, |byte| format!("\\x{byte:02x}")),
        by_number(text, |byte| format!("{byte:02x}")),
        by_number(text, |byte| format!("{byte:02X}")),
    ]
}

/// In Base64, beginning at any of the three places of a group, alone and among others: what Basic credentials are, too.
fn in_base64(text: &str) -> Vec<String> {
    let around = [
        text.to_owned(),
        format!("a:{text}"),
        format!("u:{text}!"),
        format!("key:{text}/x"),
    ];
    let forms = around
        .iter()
        .flat_map(|text| [STANDARD.encode(text), URL_SAFE_NO_PAD.encode(text)]);
    forms.collect()
}

/// Parts of it in Base64, wherever it begins: as many whole groups as hide no fewer letters than may be left.
fn parts_in_base64(secret: &str) -> Vec<String> {
    let length = (LEFT + 1).next_multiple_of(3);
    let starts = 0..=secret.len() - length;
    starts
        .map(|start| STANDARD.encode(&secret[start..start + length]))
        .collect()
}

/// What must be nowhere: parts of the secret, in every spelling.
fn parts(secret: &str) -> Vec<String> {
    let starts = (0..=secret.len() - LEFT).step_by(4);
    starts
        .flat_map(|start| spellings(&secret[start..start + LEFT]))
        .chain(parts_in_base64(secret))
        .collect()
}

/// As many lines together as an answer is read of.
fn batches(texts: &[String]) -> VecDeque<String> {
    const MOST: usize = 3500;
    let mut batches = VecDeque::from([String::new()]);
    for text in texts {
        match batches.back_mut() {
            Some(last) if last.len() + text.len() < MOST => *last += &format!("{text}\n"),
            _ => batches.push_back(text.clone()),
        }
    }
    batches
}

/// Answers with these texts in turn, some at a time, and in the end with all of them and that the event is wrong.
async fn repeat(texts: Vec<String>) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let all = texts.join("\n");
    let texts = Arc::new(Mutex::new(batches(&texts)));
    let routes = Router::new().fallback(move || {
        let next = texts.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let answer = match next {
            Some(text) => (StatusCode::SERVICE_UNAVAILABLE, format!("bad: {text}")),
            None => (StatusCode::CONFLICT, all.clone()),
        };
        async move { answer }
    });
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(address)
}

/// An API that answers everything with an error that has the token in it, in this spelling.
async fn api_that_repeats(spelling: usize) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let routes = Router::new().fallback(move |headers: HeaderMap| async move {
        let header = headers.get("authorization").and_then(|value| value.to_str().ok());
        let token = header.unwrap_or_default().trim_start_matches("Bearer ").to_owned();
        let spelled = [spellings(&token), in_base64(&token)].concat().swap_remove(spelling);
        let message = format!("the token {spelled} may not see this");
        (
            StatusCode::FORBIDDEN,
            serde_json::json!({"message": message}).to_string(),
        )
    });
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(address)
}

#[tokio::test]
async fn no_spelling_of_a_secret_is_in_anything_that_the_worker_writes() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (in_path, in_query, in_header, token) = (secret(), secret(), secret(), secret());
    let mut texts: Vec<String> = Vec::new();
    for secret in [&in_path, &in_query, &in_header] {
        let forms = [spellings(secret), in_base64(secret)].concat();
        texts.extend(forms.iter().cloned());
        // As a receiver may shorten what it repeats.
        for form in &forms {
            texts.extend((1..form.len()).map(|length| form[..length].to_owned()));
        }
    }
    let address = repeat(texts).await?;
    let config = folder.path().join("worker.toml");
    let handler = format!(
        "[[handlers]]\nname = \"echo\"\ntype = \"http\"\nurl = \"http://{address}/hooks/{in_path}?sig={in_query}\"\n\
         headers = {{ Authorization = \"Bearer {in_header}\" }}\nreject_on = [409]\nretry_initial = \"1ms\"\nretry_max = \"1ms\"\n"
    );
    std::fs::write(&config, handler)?;
    let sim = SimConfig {
        token: token.clone(),
        ..SimConfig::default()
    };
    let environment = [
        ("RUNS_WORKER_CONFIG", config.to_str().unwrap_or_default()),
        ("RUNS_WORKER__LOG__FILTER", "debug"),
    ];
    let mut stage = Stage::set(sim, &environment).await?;
    stage.connect_templates()?;
    // Several at a time, until there is nothing left to repeat.
    let runs = 8;
    for number in 0..runs {
        stage.sim.launch(&format!("Order {number}"))?;
    }
    let dead = |log: &[String]| log.iter().filter(|line| line.contains("dead letter")).count() >= runs;
    stage.worker.wait_for_log_lines(dead).await?;
    let mut written = vec![stage.get("/health/ready").await?, stage.get("/metrics").await?];
    for line in ["dead-letters list --json", "handlers list --json", "deliveries list"] {
        written.push(stage.settings().run(&line.split(' ').collect::<Vec<_>>()).await?);
    }
    for spelling in 0..spellings("").len() + in_base64("").len() {
        let url = format!("http://{}", api_that_repeats(spelling).await?);
        let settings = stage.settings().clone().with("TALLYFY_BASE_URL", &url);
        let said = settings.run(&["get", "430af2dc54b1eb51d0d7b7e44b082a20"]).await?;
        assert!(said.contains("[redacted]"), "{said}");
        written.push(said);
    }
    let exit = stage.worker.terminate().await?;
    written.push(exit.stderr.join("\n"));
    for file in std::fs::read_dir(stage.folder().join("data"))? {
        let path = file?.path();
        if path.is_file() {
            written.push(String::from_utf8_lossy(&std::fs::read(path)?).into_owned());
        }
    }
    for secret in [&in_path, &in_query, &in_header, &token] {
        for part in parts(secret) {
            for text in &written {
                let around = text.find(&part).map(|at| {
                    let from = text.floor_char_boundary(at.saturating_sub(200));
                    &text[from..text.floor_char_boundary(at + 200)]
                });
                assert_eq!(around, None, "{part} of {secret}");
            }
        }
    }
    Ok(())
}
