//! Who may see the pages and do something there, and what is written down of it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use system_tests::Stage;
use tallyfy_sim::SimConfig;

const OURS: &str = "runs-worker:8081";
const ORIGIN: &str = "http://runs-worker:8081";

type Headers<'h> = &'h [(&'h str, &'h str)];

async fn stage(environment: &[(&str, &str)]) -> anyhow::Result<Stage> {
    let all = [&[("RUNS_WORKER__REFRESH__WINDOW", "0s")], environment].concat();
    let stage = Stage::set(SimConfig::default(), &all).await?;
    stage.connect_templates()?;
    Ok(stage)
}

/// The status of an answer.
fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

/// What a page of this worker puts into its forms.
async fn token(stage: &Stage, headers: &[(&str, &str)]) -> anyhow::Result<String> {
    let page = stage.ask("GET /handlers/stdout", headers, "").await?;
    let (_, rest) = page
        .split_once("name=\"token\" value=\"")
        .with_context(|| page.clone())?;
    let (token, _) = rest.split_once('"').context("no end")?;
    Ok(token.to_owned())
}

/// Whether the handler is paused, as programs are told.
async fn is_paused(stage: &Stage) -> anyhow::Result<bool> {
    let told = stage.command(&["status", "--json"]).await?.stdout.join("\n");
    let told: Value = serde_json::from_str(&told)?;
    Ok(told["handlers"][0]["paused"] == true)
}

fn form(token: &str, what: &str) -> String {
    format!("token={token}&what={what}&handler=stdout&back=/handlers/stdout")
}

#[tokio::test]
async fn a_form_that_is_forged_does_nothing() -> anyhow::Result<()> {
    let stage = stage(&[("RUNS_WORKER__ADMIN__ACTIONS", "true")]).await?;
    let good = token(&stage, &[("host", OURS)]).await?;
    let (other, none) = ("0".repeat(good.len()), String::new());
    let ours = ("host", OURS);
    let cases: [(&str, &str, Headers<'_>); 8] = [
        ("another token", &other, &[ours, ("origin", ORIGIN)]),
        ("no token", &none, &[ours, ("origin", ORIGIN)]),
        ("no origin", &good, &[ours]),
        ("an origin that is hidden", &good, &[ours, ("origin", "null")]),
        ("another origin", &good, &[ours, ("origin", "https://evil.example.com")]),
        ("another port", &good, &[ours, ("origin", "http://runs-worker:9999")]),
        (
            "another host",
            &good,
            &[
                ("host", "rebound.example.com"),
                ("origin", "http://rebound.example.com"),
            ],
        ),
        (
            "another host, our origin",
            &good,
            &[("host", "rebound.example.com"), ("origin", ORIGIN)],
        ),
    ];
    for (what, token, headers) in cases {
        let answer = stage.ask("POST /act", headers, &form(token, "pause")).await?;
        assert!(["403", "421"].contains(&status(&answer)), "{what}: {answer}");
        assert!(!is_paused(&stage).await?, "{what}");
    }
    // Nor does a link.
    let headers = [ours, ("origin", ORIGIN)];
    let link = format!("GET /act?{}", form(&good, "pause"));
    assert_eq!(status(&stage.ask(&link, &headers, "").await?), "405");
    assert!(!is_paused(&stage).await?);

    let answer = stage.ask("POST /act", &headers, &form(&good, "pause")).await?;
    assert!(
        status(&answer) == "303" && answer.contains("location: /handlers/stdout"),
        "{answer}"
    );
    assert!(is_paused(&stage).await?);
    // A form leads nowhere else.
    let away = form(&good, "resume").replace("/handlers/stdout", "//evil.example.com");
    let answer = stage.ask("POST /act", &headers, &away).await?;
    assert!(answer.contains("location: /\r\n"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn without_leave_there_is_no_form_and_none_is_taken() -> anyhow::Result<()> {
    let stage = stage(&[]).await?;
    let run = stage.sim.launch("Onboarding")?;
    stage.worker.wait_for_events(|events| !events.is_empty()).await?;
    let story = format!("GET /runs/{}/{run}", stage.sim.org());
    for page in ["GET /", "GET /handlers/stdout", "GET /dead-letters", &story] {
        let page = stage.ask(page, &[("host", OURS)], "").await?;
        assert_eq!(status(&page), "200", "{page}");
        assert!(
            !page.contains("method=\"post\"") && !page.contains("name=\"token\""),
            "{page}"
        );
    }
    let headers = [("host", OURS), ("origin", ORIGIN)];
    let answer = stage.ask("POST /act", &headers, &form("", "pause")).await?;
    assert!(status(&answer) == "403" && answer.contains("admin.actions"), "{answer}");
    assert!(!is_paused(&stage).await?);
    Ok(())
}

#[tokio::test]
async fn a_password_keeps_others_out_and_its_name_is_written_down() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("password");
    std::fs::write(&file, "öpen sesame\n")?;
    let path = file.to_str().context("no text")?;
    let stage = stage(&[
        ("RUNS_WORKER__ADMIN__ACTIONS", "true"),
        ("RUNS_WORKER__ADMIN__PASSWORD_FILE", path),
    ])
    .await?;
    // `ada:öpen sesame`, `ada:guess` and `ada:`.
    let (ada, guess, empty) = ("Basic YWRhOsO2cGVuIHNlc2FtZQ==", "Basic YWRhOmd1ZXNz", "Basic YWRhOg==");
    let get = async |page: &str, login: Option<&str>| {
        let mut headers = vec![("host", OURS)];
        headers.extend(login.map(|login| ("authorization", login)));
        stage.ask(&format!("GET {page}"), &headers, "").await
    };
    for page in ["/", "/runs", "/events", "/journal", "/nowhere"] {
        for login in [None, Some(guess), Some(empty), Some("Bearer x"), Some("Basic ???")] {
            let answer = get(page, login).await?;
            ensure!(
                page == "/nowhere" || status(&answer) == "401",
                "{page} {login:?}: {answer}"
            );
        }
    }
    assert!(get("/", None).await?.contains("www-authenticate: Basic"));
    for open in ["/health/live", "/health/ready", "/metrics"] {
        assert_eq!(status(&get(open, None).await?), "200", "{open}");
    }
    assert_eq!(status(&get("/", Some(ada)).await?), "200");

    let login = [("host", OURS), ("authorization", ada)];
    let good = token(&stage, &login).await?;
    let signed = [login.as_slice(), &[("origin", ORIGIN)]].concat();
    let unsigned = [("host", OURS), ("origin", ORIGIN)];
    let answer = stage.ask("POST /act", &unsigned, &form(&good, "pause")).await?;
    assert_eq!(status(&answer), "401");
    assert!(!is_paused(&stage).await?);
    let answer = stage.ask("POST /act", &signed, &form(&good, "pause")).await?;
    assert_eq!(status(&answer), "303", "{answer}");
    let journal = get("/journal", Some(ada)).await?;
    assert!(
        journal.contains("<td>ada</td><td>paused handler stdout</td>"),
        "{journal}"
    );

    // Another one in the file counts at once. None is no password, and not an empty one.
    std::fs::write(&file, "guess")?;
    assert_eq!(status(&get("/", Some(ada)).await?), "401");
    assert_eq!(status(&get("/", Some(guess)).await?), "200");
    std::fs::write(&file, "\n")?;
    assert_eq!(status(&get("/", Some(empty)).await?), "401");
    std::fs::remove_file(&file)?;
    assert_eq!(status(&get("/", Some(guess)).await?), "503");
    Ok(())
}

#[tokio::test]
async fn who_a_proxy_names_is_written_down_as_text_and_cut() -> anyhow::Result<()> {
    let stage = stage(&[
        ("RUNS_WORKER__ADMIN__ACTIONS", "true"),
        ("RUNS_WORKER__ADMIN__USER_HEADER", "X-Forwarded-User"),
    ])
    .await?;
    let good = token(&stage, &[("host", OURS)]).await?;
    let long = format!("<b>ada</b>{}", "x".repeat(200));
    for (name, what) in [(Some(long.as_str()), "pause"), (None, "resume")] {
        let mut headers = vec![("host", OURS), ("origin", ORIGIN)];
        headers.extend(name.map(|name| ("x-forwarded-user", name)));
        let answer = stage.ask("POST /act", &headers, &form(&good, what)).await?;
        assert_eq!(status(&answer), "303", "{answer}");
    }
    let journal = stage.ask("GET /journal", &[("host", OURS)], "").await?;
    let named = format!(
        "<td>&lt;b&gt;ada&lt;/b&gt;{}</td><td>paused handler stdout</td>",
        "x".repeat(70)
    );
    assert!(journal.contains(&named), "{journal}");
    assert!(
        journal.contains("<td>somebody on the page</td><td>resumed handler stdout</td>"),
        "{journal}"
    );
    Ok(())
}

#[tokio::test]
async fn pages_lead_to_each_other_under_the_path_of_a_proxy() -> anyhow::Result<()> {
    let stage = stage(&[
        ("RUNS_WORKER__ADMIN__ACTIONS", "true"),
        ("RUNS_WORKER__ADMIN__BASE_PATH", "/tools/runs"),
    ])
    .await?;
    let run = stage.sim.launch("Onboarding")?;
    stage.worker.wait_for_events(|events| !events.is_empty()).await?;
    let story = format!("/runs/{}/{run}", stage.sim.org());
    for page in ["/", "/runs", "/events", "/handlers", "/workers", &story] {
        // A proxy may pass the path on as it came, or take it off.
        for before in ["/tools/runs", ""] {
            let page = stage.ask(&format!("GET {before}{page}"), &[("host", OURS)], "").await?;
            assert_eq!(status(&page), "200", "{before}: {page}");
            for place in ["href=\"", "action=\""] {
                for link in page.split(place).skip(1) {
                    ensure!(
                        link.starts_with("/tools/runs/") || link.starts_with('#'),
                        "{}",
                        &link[..60]
                    );
                }
            }
        }
    }
    let good = token(&stage, &[("host", OURS)]).await?;
    let headers = [("host", OURS), ("origin", ORIGIN)];
    let answer = stage
        .ask("POST /tools/runs/act", &headers, &form(&good, "pause"))
        .await?;
    assert!(answer.contains("location: /tools/runs/handlers/stdout"), "{answer}");
    Ok(())
}

/// A receiver that rejects everything.
async fn rejecting() -> anyhow::Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let routes = axum::Router::new().fallback(async || axum::http::StatusCode::UNPROCESSABLE_ENTITY);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(url)
}

/// The dead letters on the page, as its form names them.
async fn letters(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let page = stage.ask("GET /dead-letters", &[("host", OURS)], "").await?;
    let letters = page.split("name=\"letter\" value=\"").skip(1);
    Ok(letters
        .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
        .collect())
}

fn config(folder: &Path, url: &str) -> anyhow::Result<String> {
    let config = folder.join("worker.toml");
    let text = format!("[[handlers]]\nname = \"stdout\"\ntype = \"http\"\nurl = \"{url}\"\nreject_on = [422]\n");
    std::fs::write(&config, text)?;
    Ok(config.display().to_string())
}

#[tokio::test]
async fn chosen_dead_letters_are_sent_again_or_deleted_and_the_others_stay() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let config = config(folder.path(), &rejecting().await?)?;
    let stage = stage(&[("RUNS_WORKER_CONFIG", &config), ("RUNS_WORKER__ADMIN__ACTIONS", "true")]).await?;
    for name in ["First", "Second", "Third"] {
        stage.sim.launch(name)?;
    }
    let all = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let all = letters(&stage).await?;
            if all.len() >= 3 {
                return Ok::<_, anyhow::Error>(all);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let all = match all.await {
        Ok(all) => all?,
        Err(_) => anyhow::bail!("given up was {:?}: {:#?}", letters(&stage).await?, stage.worker.log()),
    };
    let good = token(&stage, &[("host", OURS)]).await?;
    let headers = [("host", OURS), ("origin", ORIGIN)];
    let act = async |what: &str, letter: &str| {
        let letter = letter.replace(':', "%3A");
        let body = format!("token={good}&what={what}&letter={letter}&back=/dead-letters");
        let answer = stage.ask("POST /act", &headers, &body).await?;
        ensure!(status(&answer) == "303", "{answer}");
        Ok(())
    };
    act("drop-letters", &all[0]).await?;
    let left = letters(&stage).await?;
    assert!(
        !left.contains(&all[0]) && left.contains(&all[1]) && left.contains(&all[2]),
        "{left:?}"
    );
    act("retry-letters", &all[1]).await?;
    // It is given up once more: the receiver has not changed its mind.
    let (event, _) = all[1].split_once(':').context("no event")?;
    let is_given_up = |line: &&String| line.contains("it is a dead letter now") && line.contains(event);
    stage
        .worker
        .wait_for_log_lines(|log| log.iter().filter(is_given_up).count() == 2)
        .await?;
    let journal = stage.ask("GET /journal", &[("host", OURS)], "").await?;
    for done in ["deleted 1 dead letter", "had 1 dead letter sent again"] {
        assert!(journal.contains(done), "{journal}");
    }
    Ok(())
}

#[tokio::test]
async fn no_page_shows_a_token_the_secret_of_the_address_or_a_link_for_a_guest() -> anyhow::Result<()> {
    const LINK: &str = "s3cret-link-aa01";
    let stage = stage(&[("RUNS_WORKER__EVENTS__GUEST_LINKS", "true")]).await?;
    let run = stage.sim.launch("Onboarding")?;
    let link = format!("https://go.tallyfy.com/guest/{LINK}");
    let links = format!(r#""guest-links":{{"a@example.com":{{"link_for_guest":"{link}"}}}}"#);
    let told = format!(r#"{{"this_task":{{"id":"t1"}},"process":{{"id":"{run}"}},{links}}}"#);
    stage.tell(&told).await?;
    let header = [("x-tallyfy-orgid", stage.sim.org())];
    stage.post(&header, format!("no JSON: {link}").as_bytes()).await?;
    stage
        .worker
        .wait_for_events(|events| events.iter().any(|event| event.line.contains(LINK)))
        .await?;
    let url = stage.webhook_url();
    let (_, secret) = url.rsplit_once('/').context("no secret")?;
    let mut pages: Vec<String> = [
        "/",
        "/runs",
        "/events",
        "/handlers",
        "/dead-letters",
        "/notifications",
        "/sweeps",
        "/workers",
        "/journal",
    ]
    .map(str::to_owned)
    .to_vec();
    pages.push(format!("/runs/{}/{run}", stage.sim.org()));
    // Whatever they lead to.
    let mut at = 0;
    while let Some(page) = pages.get(at).cloned() {
        at += 1;
        let shown = stage.ask(&format!("GET {page}"), &[("host", OURS)], "").await?;
        for hidden in [LINK, secret, &stage.sim.token()] {
            ensure!(!shown.contains(hidden), "{page} shows {hidden}: {shown}");
        }
        for link in shown.split("href=\"/").skip(1) {
            let link = format!("/{}", link.split('"').next().unwrap_or_default());
            if !pages.contains(&link) && !link.contains("still=1") {
                pages.push(link);
            }
        }
    }
    assert!(pages.iter().any(|page| page.starts_with("/events/")), "{pages:?}");
    assert!(
        pages.iter().any(|page| page.starts_with("/notifications/")),
        "{pages:?}"
    );
    Ok(())
}
