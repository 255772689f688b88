//! Who is connected, and who has to go when there are too many.
//!
//! A connection is *waiting* while no complete request of it is being answered. When all places are taken, the one that
//! has waited longest is closed for a new one: first those that never sent a valid secret, then the others. When none
//! waits, the body that has been arriving for longest is given up. A byte now and then makes no connection younger. An
//! honest sender sends its request within a round trip, so that it would take as many newer connections as there are
//! places, within that time, to push it out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::counter;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How many may be on their way out, beside those that have a place.
const LEAVING: usize = 32;

/// Everybody who is connected to one listener.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    table: Mutex<Table>,
    /// Somebody has left, or has begun to wait.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    open: usize,
    /// How many were told to leave and have not left yet.
    leaving: usize,
    next: u64,
    waiting: BTreeMap<Turn, CancellationToken>,
    /// Connections whose request is being answered, but for whose body the answer waits.
    arriving: BTreeMap<u64, CancellationToken>,
    closing: bool,
}

/// The order in which connections have to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    known: bool,
    since: u64,
}

impl Connections {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            table: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Waits until there is a place for one more. If need be, somebody has to go for it.
    pub(super) async fn make_room(&self) {
        loop {
            let changed = self.changed.notified();
            {
                let mut table = self.lock();
                let staying = table.open - table.leaving;
                if (staying < self.most || table.evict()) && table.leaving <= LEAVING {
                    return;
                }
            }
            changed.await;
        }
    }

    /// Closes the connection that has waited longest, or the one whose body has been arriving for longest.
    pub(super) fn evict_one(&self) {
        self.lock().evict();
    }

    /// Takes a place for a new connection.
    pub(super) fn enter(self: &Arc<Self>) -> Place {
        let mut table = self.lock();
        table.open += 1;
        let evicted = CancellationToken::new();
        let turn = table.wait(false, &evicted);
        drop(table);
        Place {
            connections: Arc::clone(self),
            evicted,
            known: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            turn: Mutex::new(Some(turn)),
        }
    }

    /// From now on each connection ends with the request that it is at; what waits has a little time for one.
    pub(super) async fn close(&self, linger: Duration) {
        self.lock().closing = true;
        tokio::select! {
            () = self.all_ended() => {}
            () = tokio::time::sleep(linger) => {}
        }
        let mut table = self.lock();
        while table.evict_waiting() {}
    }

    /// Returns when nobody is connected.
    pub(super) async fn all_ended(&self) {
        loop {
            let changed = self.changed.notified();
            if self.lock().open == 0 {
                return;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn wait(&mut self, known: bool, evicted: &CancellationToken) -> Turn {
        let turn = Turn {
            known,
            since: self.next,
        };
        self.next += 1;
        self.waiting.insert(turn, evicted.clone());
        turn
    }

    fn evict(&mut self) -> bool {
        self.evict_waiting() || self.evict_arriving()
    }

    fn evict_waiting(&mut self) -> bool {
        let first = self.waiting.pop_first().map(|(_, connection)| connection);
        self.send_away(first)
    }

    fn evict_arriving(&mut self) -> bool {
        let first = self.arriving.pop_first().map(|(_, connection)| connection);
        self.send_away(first)
    }

    fn send_away(&mut self, connection: Option<CancellationToken>) -> bool {
        let Some(connection) = connection else {
            return false;
        };
        self.leaving += 1;
        if !self.closing {
            counter!("runs_worker_connections_evicted_total").increment(1);
        }
        connection.cancel();
        true
    }
}

/// A connection's place among the others. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    evicted: CancellationToken,
    known: AtomicBool,
    answered: AtomicBool,
    /// While it waits.
    turn: Mutex<Option<Turn>>,
}

impl Place {
    /// Returns when this connection has to go.
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }

    /// The same, to be kept beside the place.
    pub(super) fn evicted_owned(&self) -> WaitForCancellationFutureOwned {
        self.evicted.clone().cancelled_owned()
    }

    /// Whether a request is being answered.
    pub(super) fn is_in_request(&self) -> bool {
        self.turn().is_none()
    }

    /// Whether a request was answered. The answer may still be on its way.
    pub(super) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Whether the next answer is to be the last one.
    pub(super) fn is_closing(&self) -> bool {
        self.connections.lock().closing
    }

    /// Notes that a request with a valid secret came on this connection.
    pub(super) fn make_known(&self) {
        self.known.store(true, Ordering::Relaxed);
    }

    /// Whether a request with a valid secret came on this connection.
    pub(super) fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    /// The answer waits for the body: until this is dropped, the connection may have to make room.
    pub(super) fn arriving(&self) -> ArrivingTurn {
        let mut table = self.connections.lock();
        let turn = table.next;
        table.next += 1;
        if !self.evicted.is_cancelled() {
            table.arriving.insert(turn, self.evicted.clone());
        }
        drop(table);
        self.connections.changed.notify_waiters();
        ArrivingTurn {
            connections: Arc::clone(&self.connections),
            turn,
        }
    }

    /// A request is complete but for its body: until this is dropped, the connection does not wait.
    pub(super) fn request(self: &Arc<Self>) -> InRequest {
        if let Some(turn) = self.turn().take() {
            self.connections.lock().waiting.remove(&turn);
        }
        InRequest(Arc::clone(self))
    }

    fn turn(&self) -> MutexGuard<'_, Option<Turn>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let turn = self.turn().take();
        let mut table = self.connections.lock();
        if let Some(turn) = turn {
            table.waiting.remove(&turn);
        }
        table.open -= 1;
        if self.evicted.is_cancelled() {
            table.leaving -= 1;
        }
        drop(table);
        self.connections.changed.notify_waiters();
    }
}

/// A body that is waited for.
#[derive(Debug)]
pub(super) struct ArrivingTurn {
    connections: Arc<Connections>,
    turn: u64,
}

impl Drop for ArrivingTurn {
    fn drop(&mut self) {
        self.connections.lock().arriving.remove(&self.turn);
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct InRequest(Arc<Place>);

impl Drop for InRequest {
    fn drop(&mut self) {
        let place = &self.0;
        place.answered.store(true, Ordering::Relaxed);
        if place.evicted.is_cancelled() {
            return;
        }
        let mut turn = place.turn();
        let mut table = place.connections.lock();
        *turn = Some(table.wait(place.is_known(), &place.evicted));
        drop(table);
        drop(turn);
        place.connections.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(places: usize) -> (Arc<Connections>, Vec<Arc<Place>>) {
        let connections = Arc::new(Connections::new(places));
        let taken = (0..places).map(|_| Arc::new(connections.enter())).collect();
        (connections, taken)
    }

    fn evicted(places: &[Arc<Place>]) -> Vec<bool> {
        places.iter().map(|place| place.evicted.is_cancelled()).collect()
    }

    #[test]
    fn the_one_that_has_waited_longest_goes_first() {
        let (connections, places) = full(3);
        drop(places[0].request());
        connections.evict_one();
        assert_eq!(
            evicted(&places),
            [false, true, false],
            "the first has sent a request since"
        );
    }

    #[test]
    fn whoever_sent_a_valid_secret_stays_longer_than_strangers() {
        let (connections, places) = full(3);
        places[0].make_known();
        drop(places[0].request());
        drop(places[1].request());
        drop(places[2].request());
        connections.evict_one();
        connections.evict_one();
        assert_eq!(evicted(&places), [false, true, true]);
        connections.evict_one();
        assert_eq!(evicted(&places), [true, true, true]);
    }

    #[test]
    fn whoever_is_being_answered_is_not_sent_away() {
        let (connections, places) = full(1);
        let request = places[0].request();
        connections.evict_one();
        drop(request);
        assert_eq!(evicted(&places), [false]);
    }

    #[tokio::test]
    async fn only_so_many_may_be_on_their_way_out() {
        let (connections, mut places) = full(2 * LEAVING);
        for _ in 0..LEAVING {
            connections.make_room().await;
            places.push(Arc::new(connections.enter()));
        }
        assert_eq!(evicted(&places).iter().filter(|evicted| **evicted).count(), LEAVING);
        let room = {
            let connections = Arc::clone(&connections);
            tokio::spawn(async move { connections.make_room().await })
        };
        tokio::task::yield_now().await;
        assert!(!room.is_finished(), "too many have not left yet");
        places.remove(0);
        room.await.ok();
    }

    #[tokio::test]
    async fn when_all_are_being_answered_the_first_that_waits_makes_room() {
        let (connections, mut places) = full(1);
        let request = places[0].request();
        let room = {
            let connections = Arc::clone(&connections);
            tokio::spawn(async move { connections.make_room().await })
        };
        tokio::task::yield_now().await;
        assert!(!room.is_finished());
        drop(request);
        places[0].evicted().await;
        places.clear();
        room.await.ok();
    }
}
