//! The secrets of the path, wherever somebody repeats them, and the socket for operators, however it is opened.

use anyhow::ensure;
use system_tests::{Door, Stage, WorkerProcess, WorkerSettings};
use tallyfy_sim::{SimConfig, Simulator};

const OURS: &str = "3b1f0c8e5a7d49629f8e7a6b5c4d3e2f";
const THEIRS: &str = "c4d3e2f1a09b8c7d6e5f4a3b2c1d0e9f";

/// As a URL has it, as JSON has it, and both over again.
fn spellings(secret: &str) -> Vec<String> {
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let escaped: String = secret.bytes().map(|byte| format!("\\u{byte:04X}")).collect();
    let twice = percent.replace('%', "%25");
    let mixed = format!("{}{}", &secret[..16], percent[48..].to_uppercase());
    vec![secret.to_owned(), percent, escaped, twice, mixed]
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

/// How a body may be encoded: UTF-16 with and without a mark, and what is no text at all.
const ENCODINGS: [fn(&str) -> Vec<u8>; 6] = [
    |text| text.as_bytes().to_vec(),
    |text| utf16(text, u16::to_le_bytes),
    |text| utf16(text, u16::to_be_bytes),
    |text| [b"\xff\xfe", &utf16(text, u16::to_le_bytes)[..]].concat(),
    |text| [b"\xfe\xff", &utf16(text, u16::to_be_bytes)[..]].concat(),
    |text| [b"\x80\x81", text.as_bytes(), b"\xc0"].concat(),
];

#[tokio::test]
async fn no_spelling_of_any_organizations_secret_reaches_events_or_the_store() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let sim = Simulator::start(SimConfig::default()).await?;
    let file = folder.path().join("worker.toml");
    let toml = format!(
        "[api]\nbase_url = \"{}\"\n[[organizations]]\nid = \"{}\"\ntoken = \"{}\"\nwebhook_secrets = [\"{OURS}\"]\n\
         [[organizations]]\nid = \"other\"\ntoken = \"t\"\nwebhook_secrets = [\"{THEIRS}\"]\n",
        sim.base_url(),
        sim.org(),
        sim.token(),
    );
    std::fs::write(&file, toml)?;
    let data = folder.path().join("data");
    let mut worker = WorkerProcess::start(&WorkerSettings::of_file(&file, &data)).await?;
    let run = sim.launch("Order")?;
    // In what the API sends.
    let named: Vec<_> = [OURS, THEIRS].into_iter().flat_map(spellings).collect();
    sim.change(|world| world.summarize(&run, Some(&named.join(" or "))))?;
    // In what a webhook says of itself.
    let url = format!("http://{}/webhooks/{OURS}", worker.receive_address());
    for (number, spelled) in named.iter().enumerate() {
        let body = format!(
            r#"{{"this_task":{{"id":"t{number}","webhook":"https://t.example/webhooks/{spelled}"}},"process":{{"id":"{run}"}}}}"#
        );
        for (form, encode) in ENCODINGS.iter().enumerate() {
            let body = encode(&body.replace(&format!("\"t{number}\""), &format!("\"t{number}-{form}\"")));
            let status = post(&url, sim.org(), &body).await?;
            ensure!(status.starts_with("HTTP/1.1 202"), "{status}");
        }
    }
    let has_all = |events: &[system_tests::ReceivedEvent]| {
        let told = events.iter().map(|event| event.notifications().len()).sum::<usize>();
        // The last form is no JSON, and kept unread.
        told >= named.len() * (ENCODINGS.len() - 1)
    };
    worker.wait_for_events(has_all).await?;
    let exit = worker.terminate().await?;
    let mut written = vec![exit.stdout.join("\n").into_bytes(), exit.stderr.join("\n").into_bytes()];
    for entry in std::fs::read_dir(&data)?.chain(std::fs::read_dir(data.join("intake"))?) {
        let path = entry?.path();
        if path.is_file() {
            written.push(std::fs::read(path)?);
        }
    }
    for spelled in named {
        // The end of it is a secret, too.
        let tail = &spelled.as_bytes()[spelled.len() / 2..];
        for bytes in &written {
            let in_utf16 = utf16(&spelled[spelled.len() / 2..], u16::to_le_bytes);
            ensure!(
                !bytes.windows(in_utf16.len()).any(|window| window == in_utf16),
                "{spelled}"
            );
            let found = bytes.windows(tail.len()).position(|window| window == tail);
            ensure!(
                found.is_none(),
                "{spelled}: {}",
                String::from_utf8_lossy(&bytes[found.unwrap_or(0).saturating_sub(200)..][..300])
            );
        }
    }
    Ok(())
}

async fn post(url: &str, org: &str, body: &[u8]) -> anyhow::Result<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (address, path) = url.trim_start_matches("http://").split_once('/').unwrap_or_default();
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let request = format!(
        "POST /{path} HTTP/1.1\r\nhost: t\r\nx-tallyfy-orgid: {org}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[request.as_bytes(), body].concat()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_socket_for_operators_that_is_handed_over_keeps_to_allow_remote() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[]).await?;
    let public = std::net::TcpListener::bind("0.0.0.0:0")?;
    let address = public.local_addr()?;
    let settings = stage
        .settings()
        .clone()
        .with(
            "RUNS_WORKER_DATA_DIR",
            &stage.folder().join("second").display().to_string(),
        )
        .with("RUNS_WORKER_LISTEN", "127.0.0.1:0")
        .with("RUNS_WORKER_ADMIN_LISTEN", "127.0.0.1:0")
        .through(Door::admin(public));
    let refused = WorkerProcess::start(&settings).await.map(drop).unwrap_err().to_string();
    ensure!(refused.contains("admin.allow_remote"), "{refused}");
    let allowed = WorkerProcess::start(&settings.with("RUNS_WORKER__ADMIN__ALLOW_REMOTE", "true")).await?;
    assert_eq!(allowed.admin_address(), address);
    Ok(())
}

#[tokio::test]
async fn a_token_file_is_read_as_meant_or_the_hint_says_what_is_wrong() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[]).await?;
    let token = stage.sim.token();
    let file = stage.folder().join("token");
    let utf16 = utf16(&format!("\u{feff}{token}\r\n"), u16::to_le_bytes);
    for (text, hint) in [
        (format!("{token}\r\n").into_bytes(), None),
        (format!("\u{feff}{token}\n").into_bytes(), None),
        (format!("  {token}  ").into_bytes(), None),
        (format!("\"{token}\"\n").into_bytes(), Some("in quotes")),
        (format!("'{token}'").into_bytes(), Some("in quotes")),
        (format!("Bearer {token}").into_bytes(), Some("expected the token alone")),
        (format!("{token} # of the bot").into_bytes(), Some("a space")),
        (format!("token={token}\nother").into_bytes(), Some("a space")),
        (utf16, Some("save it as such")),
    ] {
        std::fs::write(&file, &text)?;
        let settings = WorkerSettings::new(
            stage.sim.org(),
            "",
            OURS,
            stage.sim.base_url(),
            &stage.folder().join("third"),
        )
        .without("TALLYFY_TOKEN")
        .with("TALLYFY_TOKEN_FILE", &file.display().to_string());
        let exit = system_tests::run(&settings, &["check"]).await?;
        let said = exit.stdout.join("\n");
        let is_refused = said.contains("there is no usable token");
        ensure!(is_refused == hint.is_some(), "{text:?}: {said}");
        ensure!(said.contains(hint.unwrap_or_default()), "{text:?}: {said}");
        ensure!(!said.contains(&token), "{said}");
    }
    Ok(())
}
