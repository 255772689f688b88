//! Whether the addresses are free, or taken by the worker itself.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use super::finding::Finding;
use crate::config::Loaded;
use crate::front_door::ListenAddress;

pub(super) fn look(loaded: &Loaded, worker_runs: bool) -> Vec<Finding> {
    let receive = loaded.config.receive.listen.iter().filter_map(|address| match address {
        ListenAddress::Tcp(address) => Some((*address, "receive.listen")),
        _ => None,
    });
    let admin = [(loaded.config.admin.listen, "admin.listen")];
    receive
        .chain(admin)
        .map(|(address, key)| port(address, key, worker_runs))
        .collect()
}

fn port(address: SocketAddr, key: &str, worker_runs: bool) -> Finding {
    let finding = match TcpListener::bind(address) {
        Ok(_) if worker_runs => Finding::warning("ports", format!("{address} is free, although a worker runs"))
            .hint("does it listen elsewhere, by a flag or a variable that this command was not given?"),
        Ok(_) => Finding::ok("ports", format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse && worker_runs => {
            Finding::ok("ports", format!("{address} is in use, and a worker runs"))
        }
        Err(error) if error.kind() == ErrorKind::AddrInUse && key == "receive.listen" => Finding::warning(
            "ports",
            format!("{address} is in use, and no worker runs on this store"),
        )
        .hint("a socket unit of systemd may hold it, which is well; another program must not: `ss -ltnp` names it"),
        Err(error) => Finding::failure("ports", format!("{address} cannot be listened on: {error}"))
            .hint(format!("choose another one for {key}")),
    };
    finding.of(&key)
}
