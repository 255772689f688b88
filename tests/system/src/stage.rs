//! A simulator and a worker, told of each other.

use std::net::SocketAddr;

use anyhow::Context;
use tallyfy_sim::{SimConfig, Simulator};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::worker_process::{Exit, WorkerProcess, WorkerSettings, run};

/// The secret in the path of the webhook URL.
const SECRET: &str = "3b1f0c8e5a7d49629f8e7a6b5c4d3e2f";

/// A simulator that sends its webhooks to a worker that fetches from it.
pub struct Stage {
    /// The stand-in for Tallyfy.
    pub sim: Simulator,
    /// The worker.
    pub worker: WorkerProcess,
    settings: WorkerSettings,
    folder: TempDir,
}

impl Stage {
    /// Starts both. The worker has further environment variables, and a request budget that is not the bottleneck.
    ///
    /// # Errors
    /// If one of them does not start.
    pub async fn set(sim: SimConfig, environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("make a temporary folder")?;
        let sim = Simulator::start(sim).await.context("start the simulator")?;
        let data_dir = folder.path().join("data");
        let mut settings = WorkerSettings::new(sim.org(), &sim.token(), SECRET, sim.base_url(), &data_dir)
            .with("RUNS_WORKER__API__REQUESTS_PER_FIVE_SECONDS", "0")
            .with("RUNS_WORKER__API__REQUESTS_PER_MINUTE", "0")
            .with("RUNS_WORKER__API__REQUESTS_PER_HOUR", "0");
        for (name, value) in environment {
            settings = settings.with(name, value);
        }
        let worker = WorkerProcess::start(&settings).await?;
        let settings = settings.at_the_addresses_of(&worker);
        Ok(Self {
            sim,
            worker,
            settings,
            folder,
        })
    }

    /// The URL that webhooks go to.
    pub fn webhook_url(&self) -> String {
        format!("http://{}/webhooks/{SECRET}", self.worker.receive_address())
    }

    /// Makes the templates' webhooks go to the worker.
    ///
    /// # Errors
    /// If the simulator refuses.
    pub fn connect_templates(&self) -> anyhow::Result<()> {
        self.sim
            .set_webhook_url(Some(&self.webhook_url()))
            .context("set the templates' webhook")
    }

    /// Makes the events of the whole organization go to the worker. Gives the watcher's id.
    ///
    /// # Errors
    /// If the simulator refuses.
    pub fn connect_organization(&self) -> anyhow::Result<u64> {
        let url = self.webhook_url();
        self.sim
            .change(|world| world.add_watcher(self.sim.org(), &url))
            .context("add a watcher")
    }

    /// Kills the worker and starts it again, at the same address and on the same data. Gives what the first one left.
    ///
    /// # Errors
    /// If either fails.
    pub async fn kill_and_restart(&mut self) -> anyhow::Result<Exit> {
        let exit = self.worker.kill().await?;
        self.restart().await?;
        Ok(exit)
    }

    /// Starts a worker that has ended again, at the same address and on the same data.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.worker = WorkerProcess::start(&self.settings)
            .await
            .context("start the worker again")?;
        Ok(())
    }

    /// Gets a page of the admin listener, whatever its status.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn get(&self, path: &str) -> anyhow::Result<String> {
        self.get_as("test", path).await
    }

    /// The same, by this name of the host.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn get_as(&self, host: &str, path: &str) -> anyhow::Result<String> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        exchange(self.worker.admin_address(), request.as_bytes()).await
    }

    /// Sends a request to the admin listener with these lines behind its first, and this body. Gives the answer, whatever its
    /// status.
    ///
    /// # Errors
    /// If there is none.
    pub async fn ask(&self, first: &str, headers: &[(&str, &str)], body: &str) -> anyhow::Result<String> {
        let mut request = format!("{first} HTTP/1.1\r\nconnection: close\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("content-length: {}\r\n\r\n{body}", body.len());
        exchange(self.worker.admin_address(), request.as_bytes()).await
    }

    /// Posts a webhook of these headers and this body. Gives the answer, its status line first.
    ///
    /// # Errors
    /// If there is none.
    pub async fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> anyhow::Result<String> {
        let mut request = format!("POST /webhooks/{SECRET} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("content-length: {}\r\n\r\n", body.len());
        exchange(self.worker.receive_address(), &[request.as_bytes(), body].concat()).await
    }

    /// Posts a webhook of the simulator's organization, which has to be taken.
    ///
    /// # Errors
    /// If it is not.
    pub async fn tell(&self, body: &str) -> anyhow::Result<()> {
        let answer = self
            .post(&[("x-tallyfy-orgid", self.sim.org())], body.as_bytes())
            .await?;
        anyhow::ensure!(answer.contains(" 202 "), "{answer}");
        Ok(())
    }

    /// Starts a worker that has ended again, with another value of an environment variable.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn restart_with(&mut self, name: &str, value: &str) -> anyhow::Result<()> {
        self.settings = self.settings.clone().with(name, value);
        self.restart().await
    }

    /// Runs another command of the binary beside the worker.
    ///
    /// # Errors
    /// If it cannot be run.
    pub async fn command(&self, arguments: &[&str]) -> anyhow::Result<Exit> {
        run(&self.settings, arguments).await
    }

    /// The folder that everything is in.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// What the worker is started with.
    pub fn settings(&self) -> &WorkerSettings {
        &self.settings
    }
}

async fn exchange(address: SocketAddr, request: &[u8]) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
