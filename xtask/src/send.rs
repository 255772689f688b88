//! `cargo xtask send`

use anyhow::{Context, ensure};
use clap::Args;
use tallyfy_sim::sample::{SampleConfig, webhook};
use tallyfy_sim::webhooks::WebhookKind;

#[derive(Args)]
pub(crate) struct Send {
    /// Where to: the whole webhook URL of a worker, its secret included
    url: String,
    /// Which of the three shapes: process, task or organization
    #[arg(long, default_value = "task")]
    kind: WebhookKind,
    /// The organization that it is from
    #[arg(long, value_name = "ID", default_value = "northwind")]
    org: String,
    /// Makes the ids; another number makes another run, the same one a duplicate
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

impl Send {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let config = SampleConfig {
            org: self.org.clone(),
            seed: self.seed,
            at: jiff::Timestamp::now(),
            ..SampleConfig::default()
        };
        let sample = webhook(self.kind, &config)?;
        // Fails only if one was installed before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let answer = tokio::runtime::Runtime::new()?.block_on(async {
            let mut request = reqwest::Client::new().post(&self.url).body(sample.body);
            for (name, value) in &sample.headers {
                request = request.header(*name, value);
            }
            let response = request.send().await?;
            anyhow::Ok((response.status(), response.text().await?))
        });
        let (status, body) = answer.with_context(|| format!("send a {} webhook", self.kind.as_str()))?;
        println!("{} webhook of run {}: {status} {body}", self.kind.as_str(), sample.run);
        ensure!(status.is_success(), "the webhook was refused");
        Ok(())
    }
}
