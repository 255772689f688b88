//! Several workers on one PostgreSQL database: the same judge, and more that goes wrong.
//!
//! A round is a simulator, a schema of its own on a server of its own, a balancer that retries nothing, three workers with a
//! link each to the server, and a list of [troubles](plan::Trouble), each at its time. Then the troubles stop, who is dead is
//! started again, and everything has to settle.

pub mod campaign;
pub mod plan;
pub mod round;

mod calls;
mod rig;

pub use rig::Server;
