//! Sockets that whoever started this process holds open for it, so that the door stays open over a restart.
//!
//! While the worker is away, the kernel queues connections at such a socket, and the next worker finds them there. The
//! protocol is systemd's: `LISTEN_FDS` descriptors from number 3 on are meant for the process `LISTEN_PID`, and
//! `LISTEN_FDNAMES` names them. One that is called `admin` is for the health checks and metrics, any other for webhooks.
//!
//! All of this has to happen before there are threads, because it changes the environment.

use std::env;
use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::Command;

use listenfd::ListenFd;
use nix::sys::socket::{getsockopt, sockopt};
use thiserror::Error;

/// The name of the descriptor for the health checks and metrics.
const ADMIN: &str = "admin";
/// Where the descriptors begin, in the place of 3. Not systemd's, but `listenfd`'s.
const FIRST: &str = "LISTEN_FDS_FIRST_FD";

/// What was handed over.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    pub(crate) receive: Option<TcpListener>,
    pub(crate) admin: Option<TcpListener>,
}

/// Why a socket that was handed over cannot be used.
#[derive(Debug, Error)]
pub(crate) enum InheritError {
    #[error("descriptor number {position} of LISTEN_FDS is no TCP socket")]
    NoSocket {
        position: usize,
        #[source]
        source: io::Error,
    },
    #[error("descriptor number {position} of LISTEN_FDS does not listen; with systemd, the socket needs Accept=no")]
    NotListening { position: usize },
    #[error("LISTEN_FDS hands over two sockets for {purpose}; one may be called `admin` by FileDescriptorName=")]
    Twice { purpose: &'static str },
    #[error("cannot start again with the socket of --listen-fd")]
    Again(#[source] io::Error),
}

impl Inherited {
    /// Takes the sockets of the environment, and the one that `--listen-fd` names.
    pub(crate) fn take(listen_fd: Option<u32>) -> Result<Self, InheritError> {
        if let Some(number) = listen_fd {
            hand_over_to_ourselves(number)?;
        }
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut sockets = ListenFd::from_env();
        let mut inherited = Self::default();
        for position in 0..sockets.len() {
            let socket = sockets
                .take_tcp_listener(position)
                .map_err(|source| InheritError::NoSocket { position, source })?;
            let Some(socket) = socket else { continue };
            if !getsockopt(&socket, sockopt::AcceptConn).unwrap_or(false) {
                return Err(InheritError::NotListening { position });
            }
            let (place, purpose) = match names.next() {
                Some(ADMIN) => (&mut inherited.admin, "the admin listener"),
                _ => (&mut inherited.receive, "webhooks"),
            };
            if place.replace(socket).is_some() {
                return Err(InheritError::Twice { purpose });
            }
        }
        Ok(inherited)
    }
}

/// Becomes this program again, with this descriptor where [`ListenFd`] looks for it.
///
/// To take a descriptor by its number is not safe in Rust: only whoever started the process knows what it is. The crate
/// that vouches for it reads the environment, and the environment of a running process had better not be changed.
fn hand_over_to_ourselves(number: u32) -> Result<(), InheritError> {
    let is = |name: &str, value: u32| env::var(name).is_ok_and(|set| set == value.to_string());
    let id = std::process::id();
    if is(FIRST, number) && is("LISTEN_PID", id) {
        return Ok(());
    }
    let program = env::current_exe().map_err(InheritError::Again)?;
    let error = Command::new(program)
        .args(env::args_os().skip(1))
        .env("LISTEN_FDS", "1")
        .env("LISTEN_PID", id.to_string())
        .env(FIRST, number.to_string())
        .env_remove("LISTEN_FDNAMES")
        .exec();
    Err(InheritError::Again(error))
}
