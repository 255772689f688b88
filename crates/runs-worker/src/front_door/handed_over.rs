//! Sockets that listen already, before the worker starts.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;

/// A socket that listens already.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// What was handed over: any number of sockets for each purpose, one for IPv4 and one for IPv6 for example.
#[derive(Debug, Default)]
pub(crate) struct HandedOver {
    pub(crate) public: Vec<Socket>,
    pub(crate) admin: Vec<Socket>,
}
