//! The worker's own listeners, which a program that serves the routes itself does without.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;

use super::stages::StoreStages;
use super::{StartError, WorkerBuilder};
use crate::admin::{self, Admin, Pages};
use crate::fetching::Fetching;
use crate::front_door::{self, HandedOver, Limits, ListenAddress, Socket, Sockets};
use crate::import::Progress;
use crate::receive::{Receiver, WayIn};
use crate::shared::grace::GRACE;
use crate::shared::stage_names::named;
use crate::worker::{Addresses, Running};

/// Which of its listeners the worker has.
#[derive(Clone, Copy)]
pub(super) struct Listeners {
    pub(super) receive: bool,
    pub(super) admin: bool,
}

impl Default for Listeners {
    fn default() -> Self {
        Self {
            receive: true,
            admin: true,
        }
    }
}

/// The sockets that the worker accepts on, as far as it listens itself.
pub(super) struct Doors {
    pub(super) public: Option<Sockets>,
    pub(super) admin: Option<Sockets>,
    pub(super) addresses: Addresses,
    /// The same once more, for the next worker of this process.
    pub(super) kept: HandedOver,
}

impl WorkerBuilder {
    /// Opens the sockets before anything else: while that takes time, senders wait instead of being refused.
    pub(super) fn bind(&mut self) -> Result<Doors, StartError> {
        let sockets = std::mem::take(&mut self.sockets);
        let Listeners { receive, admin } = self.listeners;
        let public = receive.then(|| listen(&self.config.receive.listen, "receive.listen", sockets.public));
        let operators = [ListenAddress::Tcp(self.config.admin.listen)];
        let operators = admin.then(|| listen(&operators, "admin.listen", sockets.admin));
        let (public, receive) = public.transpose()?.unzip();
        let (operators, admin): (_, Option<Vec<_>>) = operators.transpose()?.unzip();
        let is_public =
            |address: &&ListenAddress| matches!(address, ListenAddress::Tcp(address) if !address.ip().is_loopback());
        if !self.config.admin.allow_remote
            && let Some(address) = admin.iter().flatten().find(is_public)
        {
            return Err(StartError::PublicAdmin(address.to_string()));
        }
        let kept = |sockets: &Option<Sockets>, key| match sockets {
            Some(sockets) => sockets.duplicates().map_err(|source| cannot_listen(None, key, source)),
            None => Ok(Vec::new()),
        };
        Ok(Doors {
            kept: HandedOver {
                public: kept(&public, "receive.listen")?,
                admin: kept(&operators, "admin.listen")?,
            },
            public,
            admin: operators,
            addresses: Addresses {
                receive: receive.unwrap_or_default(),
                admin: admin.unwrap_or_default(),
            },
        })
    }

    /// Receives through these sockets, or, without any, through the routes of another server.
    pub(super) fn receive(&self, running: &mut Running, receiver: Arc<Receiver>, public: Option<Sockets>) {
        for silence in receiver.silences() {
            running
                .stages
                .spawn(named("silence", silence.run(running.stop.clone())));
        }
        if let Some(public) = public {
            let serving = front_door::serve(public, receiver.routes(), self.limits(), running.stop.clone());
            running.stages.spawn(named("receive", serving));
        }
    }

    pub(super) fn serve_admin(
        &self,
        running: &mut Running,
        admin: &Arc<Admin>,
        routes: Router,
        sockets: Option<Sockets>,
    ) {
        if let Some(sockets) = sockets {
            let pages = Pages::new(Arc::clone(admin), self.config.admin.clone()).routes();
            let routes = admin::asked_by(
                routes.merge(pages).fallback(admin::not_found),
                self.config.admin.hosts.clone(),
            );
            let serving = front_door::serve(sockets, routes, self.limits(), running.stop_admin.clone());
            running.admin = Some(tokio::spawn(serving));
        }
    }

    /// What the admin routes look at.
    pub(super) fn admin(
        &self,
        running: &Running,
        stages: &StoreStages,
        progress: Option<Arc<Progress>>,
        way_in: WayIn,
    ) -> Admin {
        let gates = stages.fetchings.iter().map(Fetching::named_gate).collect();
        let health = stages
            .handlers
            .iter()
            .map(|(handler, health)| (handler.name.to_string(), Arc::clone(health)))
            .collect();
        Admin {
            store: running.store.clone(),
            progress,
            way_in,
            folders: self.folders(),
            clock: self.clock.clone(),
            vitals: Arc::clone(&stages.vitals),
            limiters: stages.fetchings.iter().map(Fetching::named_limiter).collect(),
            limits: self.config.api.rate_limits(),
            silence: self.config.receive.silence_warning,
            breaker: stages.breaker.clone(),
            gates,
            registrations: Arc::clone(&stages.registrations),
            health,
            metrics: self.metrics.clone(),
            stop: running.stop.clone(),
        }
    }

    /// The folders that something is written to.
    fn folders(&self) -> Vec<PathBuf> {
        let data_folder = self.config.store.folder();
        let mut folders = self.config.intake.folders(&data_folder);
        if self.store.is_none() {
            folders.push(data_folder);
        }
        folders
    }

    fn limits(&self) -> Limits {
        let config = &self.config.receive;
        Limits {
            header_timeout: config.header_timeout,
            write_timeout: config.write_timeout,
            max_connections: front_door::connections_that_fit(config.max_connections.get()),
            grace: GRACE,
        }
    }
}

fn cannot_listen(address: Option<ListenAddress>, key: &'static str, source: std::io::Error) -> StartError {
    let handed_over = || "the socket that was handed over".to_owned();
    StartError::Listen {
        address: address.map_or_else(handed_over, |address| address.to_string()),
        key,
        source,
    }
}

/// Opens or takes over the sockets of one listener, and says where they are.
fn listen(
    addresses: &[ListenAddress],
    key: &'static str,
    handed_over: Vec<Socket>,
) -> Result<(Sockets, Vec<ListenAddress>), StartError> {
    let failed = |(address, source)| cannot_listen(address, key, source);
    let sockets = Sockets::open(addresses, handed_over).map_err(failed)?;
    let bound = sockets.addresses().map_err(|source| failed((None, source)))?;
    Ok((sockets, bound))
}
