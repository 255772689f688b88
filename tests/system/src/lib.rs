//! The whole system as processes: the real binary, real sockets, the simulator. Its tests are in `tests/`; the demo
//! stands on the same parts.

mod account;
mod browser;
mod burst;
mod half_open;
mod honest_sender;
mod never_reading;
mod pgbouncer;
mod postgres_server;
mod relay;
mod sink;
mod stage;
mod story;
mod worker_process;

pub use account::{Account, Missing};
pub use browser::Browser;
pub use burst::burst;
pub use half_open::HalfOpen;
pub use honest_sender::{HonestSender, Told};
pub use never_reading::NeverReading;
pub use pgbouncer::PgBouncer;
pub use postgres_server::PostgresServer;
pub use relay::{Passing, Relay};
pub use sink::Sink;
pub use stage::Stage;
pub use story::{names, of_run, words};
pub use worker_process::{
    Door, Exit, ReceivedEvent, WorkerProcess, WorkerSettings, binary, build_with, cargos_variables, run,
};
