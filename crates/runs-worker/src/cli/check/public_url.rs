//! Whether webhooks would arrive: the public address, asked from here.

use std::time::Duration;

use reqwest::{Method, Url};

use super::finding::Finding;
use super::handlers::answers;
use crate::config::Loaded;

const FROM_INSIDE: &str = "asked from here; Tallyfy may take another way";

pub(super) async fn look(loaded: &Loaded, worker_runs: bool, timeout: Duration) -> Finding {
    let Some(public_url) = &loaded.config.receive.public_url else {
        return Finding::warning(
            "public-url",
            "receive.public_url is not set, so what is registered is told by its secret alone",
        )
        .hint("set it to where Tallyfy reaches this worker, such as https://hooks.example.com");
    };
    // Without a secret, for which any worker says 404.
    let Ok(url) = format!("{public_url}/webhooks/").parse::<Url>() else {
        return Finding::failure("public-url", format!("{public_url} is no URL"));
    };
    judge(
        &public_url.to_string(),
        answers(&url, Method::GET, timeout).await,
        worker_runs,
    )
}

fn judge(url: &str, answer: Result<u16, String>, worker_runs: bool) -> Finding {
    match answer {
        Ok(404) if worker_runs => Finding::ok("public-url", format!("{url} answers ({FROM_INSIDE})")),
        Ok(404) => Finding::warning(
            "public-url",
            format!("{url} answers, although no worker runs on this store"),
        )
        .hint("does it lead to another worker, or to another program?"),
        Ok(status @ 502..=504) if !worker_runs => Finding::ok(
            "public-url",
            format!("{url} answers {status}: a proxy is there, and no worker runs yet"),
        ),
        Ok(status @ 502..=504) => Finding::failure(
            "public-url",
            format!("{url} answers {status}: the proxy does not reach the worker"),
        )
        .hint("the proxy passes /webhooks/ on to receive.listen; see docs/deploy.md"),
        Ok(status) => Finding::warning(
            "public-url",
            format!("{url} answers {status} for a wrong secret, where a worker says 404"),
        )
        .hint("does the proxy pass /webhooks/ on, unchanged and without asking for a login?"),
        Err(reason) => Finding::warning("public-url", format!("{url} does not answer: {reason} ({FROM_INSIDE})"))
            .hint("try it from another network: curl -i URL/webhooks/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_address_answers_says_what_is_behind_it() {
        let cases = [
            (Ok(404), true),
            (Ok(404), false),
            (Ok(502), false),
            (Ok(502), true),
            (Ok(200), true),
            (Ok(301), true),
        ];
        let shown = cases
            .into_iter()
            .chain([(Err("connection refused".to_owned()), true)])
            .map(|(answer, runs)| serde_json::to_string(&judge("https://hooks.example.com", answer, runs)).unwrap());
        insta::assert_snapshot!(shown.collect::<Vec<_>>().join("\n"));
    }
}
