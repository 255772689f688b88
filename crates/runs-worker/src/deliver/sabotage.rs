//! The place at which the torture puts a deliberate defect between this stage and the store.

use std::sync::Arc;

use runs_store::OutboxDesk;

/// The outbox. In a worker that was built for the torture, one with a defect if the environment asks for it.
pub(crate) fn guarded(outbox: Arc<dyn OutboxDesk>) -> Arc<dyn OutboxDesk> {
    #[cfg(feature = "torture")]
    if runs_store::torture::is_sabotaged("settle-before-call") {
        return Arc::new(defect::SettlesBeforeCall(outbox));
    }
    outbox
}

#[cfg(feature = "torture")]
mod defect {
    use async_trait::async_trait;
    use runs_store::{
        Claim, Claimed, Delivery, EndedDelivery, HandlerName, LeaseLost, OutboxDesk, SchedulingTime, Settlement,
        StoreError, Turn,
    };

    use super::Arc;

    /// Settles what it hands out, before the handler has seen it.
    pub(super) struct SettlesBeforeCall(pub(super) Arc<dyn OutboxDesk>);

    impl SettlesBeforeCall {
        async fn settled(
            &self,
            claimed: Claimed<Delivery>,
            now: SchedulingTime,
        ) -> Result<Claimed<Delivery>, StoreError> {
            let delivered = |delivery: &Delivery| EndedDelivery::from((delivery.lease.clone(), Settlement::Delivered));
            self.0.settle(claimed.work.iter().map(delivered).collect(), now).await?;
            Ok(claimed)
        }
    }

    #[async_trait]
    impl OutboxDesk for SettlesBeforeCall {
        async fn set_handlers(&self, handlers: &[HandlerName], now: SchedulingTime) -> Result<(), StoreError> {
            self.0.set_handlers(handlers, now).await
        }

        async fn set_paused(&self, handler: &HandlerName, paused: bool) -> Result<bool, StoreError> {
            self.0.set_paused(handler, paused).await
        }

        async fn claim_deliveries(&self, handler: &HandlerName, claim: Claim) -> Result<Claimed<Delivery>, StoreError> {
            let claimed = self.0.claim_deliveries(handler, claim).await?;
            self.settled(claimed, claim.now).await
        }

        async fn settle(
            &self,
            ended: Vec<EndedDelivery>,
            now: SchedulingTime,
        ) -> Result<Vec<Result<(), LeaseLost>>, StoreError> {
            self.0.settle(ended, now).await
        }

        async fn settle_and_claim(
            &self,
            ended: Vec<EndedDelivery>,
            handler: &HandlerName,
            claim: Claim,
        ) -> Result<Turn, StoreError> {
            let Turn { settled, claimed } = self.0.settle_and_claim(ended, handler, claim).await?;
            let claimed = self.settled(claimed, claim.now).await?;
            Ok(Turn { settled, claimed })
        }
    }
}
