//! The whole system as processes: the real binary, real sockets, the simulator. Its tests are in `tests/`; the demo
//! stands on the same parts.

mod account;
mod burst;
mod stage;
mod worker_process;

pub use account::{Account, Missing};
pub use burst::burst;
pub use stage::Stage;
pub use worker_process::{Exit, ReceivedEvent, WorkerProcess, WorkerSettings, binary, cargos_variables};
