//! What the stages that call the API share for one organization: the client, the budget, and the gate before them.
//!
//! While the API as a whole is down, nothing is tried. After ten failures in a row a circuit opens for 2 to 15 seconds at a
//! time: no attempt is counted, and readiness says so. It is never open for long, because one run that the API cannot serve
//! looks the same while nothing else is fetched.

use std::sync::Arc;
use std::time::Duration;

use runs_store::{HandlerName, Store};
use tallyfy_model::OrgId;
use tallyfy_runs::Client;
use tallyfy_transport::{BuildError, CircuitBreaker, Guarded, HttpTransport, RateLimiter, ReplaceableTokens};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Measured};
use crate::clock::Clock;
use crate::config::{Config, Organization};
use crate::filter::EventFilter;
use crate::reconcile::Reconciler;
use crate::redact::PathSecrets;
use crate::refresh::{BudgetKeeper, Refresher, TokenGate};
use crate::registrations::{Board, Here, Watch};
use crate::vitals::Vitals;

/// Access to the API for one organization.
pub(crate) struct Fetching {
    client: Client,
    /// Shows URLs as the API has them.
    unredacted: Client,
    here: Here,
    breaker: CircuitBreaker,
    limiter: RateLimiter,
    share: RateLimiter,
    gate: Arc<TokenGate>,
    tokens: ReplaceableTokens,
}

impl Fetching {
    /// `breaker` is that of the transport: the API as a whole is up or down.
    pub(crate) fn new(
        config: &Config,
        organization: &Organization,
        transport: Arc<dyn HttpTransport>,
        breaker: CircuitBreaker,
        path_secrets: PathSecrets,
        vitals: Arc<Vitals>,
    ) -> Result<Self, BuildError> {
        let transport = Measured::new(transport, &organization.id, vitals);
        let transport: Arc<dyn HttpTransport> = Arc::new(Guarded::new(transport, breaker.clone()));
        let limits = config.api.rate_limits();
        let limiter = RateLimiter::new(limits);
        let tokens = ReplaceableTokens::new(api::token_source(organization, &config.api)?);
        let source = Arc::new(tokens.clone());
        let unredacted = api::client_with_secrets(
            organization,
            Arc::clone(&transport),
            source.clone(),
            limiter.clone(),
            path_secrets.clone(),
        );
        let client = api::client(organization, transport, source.clone(), limiter.clone(), path_secrets);
        let gate = TokenGate::new(organization.id.clone(), source, limiter.clone(), config.api.token_retry);
        Ok(Self {
            client,
            unredacted,
            here: Here::new(config.receive.public_url.as_ref(), &organization.webhook_secrets),
            breaker,
            limiter,
            share: RateLimiter::new(config.reconcile.share(limits)),
            gate: Arc::new(gate),
            tokens,
        })
    }

    /// The organization.
    pub(crate) fn org(&self) -> &OrgId {
        self.client.org()
    }

    /// The gate, under the name of its organization.
    pub(crate) fn named_gate(&self) -> (String, Arc<TokenGate>) {
        (self.client.org().to_string(), Arc::clone(&self.gate))
    }

    /// Its budget, under the name of its organization.
    pub(crate) fn named_limiter(&self) -> (String, RateLimiter) {
        (self.client.org().to_string(), self.limiter.clone())
    }

    /// Its tokens, under the name of its organization.
    pub(crate) fn named_tokens(&self) -> (OrgId, ReplaceableTokens) {
        (self.client.org().clone(), self.tokens.clone())
    }

    /// What leads webhooks of its organization here, under that name.
    pub(crate) fn named_here(&self) -> (OrgId, Here) {
        (self.client.org().clone(), self.here.clone())
    }

    /// A worker that cannot reach its store sends for as long as it has its seat.
    pub(crate) fn budget_keeper(&self, store: Arc<dyn Store>, clock: Clock, seat_term: Duration) -> BudgetKeeper {
        BudgetKeeper {
            unwritten: seat_term,
            org: self.client.org().clone(),
            store,
            clock,
            limiter: self.limiter.clone(),
        }
    }

    pub(crate) fn refresher(
        &self,
        config: &Config,
        store: Arc<dyn Store>,
        clock: Clock,
        handlers: Arc<[(HandlerName, EventFilter)]>,
        vitals: Arc<Vitals>,
    ) -> Refresher {
        Refresher {
            store,
            clock,
            client: self.client.clone(),
            breaker: self.breaker.clone(),
            limiter: self.limiter.clone(),
            share: self.share.clone(),
            gate: Arc::clone(&self.gate),
            doubt: Arc::default(),
            config: config.refresh.clone(),
            events: config.events.clone(),
            handlers,
            vitals,
            give_back: CancellationToken::new(),
        }
    }

    /// Looks at the registered webhooks now and then.
    pub(crate) fn watch(&self, config: &Config, board: Arc<Board>) -> Watch {
        Watch {
            client: self.unredacted.clone(),
            here: self.here.clone(),
            share: self.share.clone(),
            gate: Arc::clone(&self.gate),
            every: config.reconcile.registrations_interval,
            board,
        }
    }

    pub(crate) fn reconciler(
        &self,
        config: &Config,
        store: Arc<dyn Store>,
        clock: Clock,
        losses: watch::Receiver<u64>,
    ) -> Reconciler {
        Reconciler {
            store,
            clock,
            client: self.client.clone(),
            limiter: self.limiter.clone(),
            share: self.share.clone(),
            gate: Arc::clone(&self.gate),
            config: config.reconcile.clone(),
            losses,
        }
    }
}
