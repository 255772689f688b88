//! Sockets that whoever started this process holds open for it, so that the door stays open over a restart.
//!
//! While the worker is away, the kernel queues connections at such a socket, and the next worker finds them there. The
//! protocol is systemd's: `LISTEN_FDS` descriptors from number 3 on are meant for the process `LISTEN_PID`, and
//! `LISTEN_FDNAMES` names them. Those that are called `admin` are for the health checks and metrics, all others are public.
//!
//! All of this has to happen before there are threads, because it changes the environment.

use std::env;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use listenfd::ListenFd;
use nix::sys::socket::{getsockopt, sockopt};
use thiserror::Error;

use super::handed_over::{HandedOver, Socket};

/// The name of the descriptor for the health checks and metrics.
const ADMIN: &str = "admin";
/// Where the descriptors begin, in the place of 3. Not systemd's, but `listenfd`'s.
const FIRST: &str = "LISTEN_FDS_FIRST_FD";

/// Why a socket that was handed over cannot be used.
#[derive(Debug, Error)]
pub(crate) enum InheritError {
    #[error("descriptor number {position} of LISTEN_FDS is no TCP socket and no Unix stream socket")]
    NoSocket {
        position: usize,
        #[source]
        source: io::Error,
    },
    #[error("descriptor number {position} of LISTEN_FDS does not listen; with systemd, the socket needs Accept=no")]
    NotListening { position: usize },
    #[error("cannot start again with the socket of --listen-fd")]
    Again(#[source] io::Error),
}

impl HandedOver {
    /// Takes the sockets of the environment, and the one that `--listen-fd` names.
    pub(crate) fn take(listen_fd: Option<u32>) -> Result<Self, InheritError> {
        if let Some(number) = listen_fd {
            hand_over_to_ourselves(number)?;
        }
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut sockets = ListenFd::from_env();
        let mut handed_over = Self::default();
        for position in 0..sockets.len() {
            let Some(socket) = take(&mut sockets, position)? else {
                continue;
            };
            match names.next() {
                Some(ADMIN) => handed_over.admin.push(socket),
                _ => handed_over.public.push(socket),
            }
        }
        Ok(handed_over)
    }
}

fn take(sockets: &mut ListenFd, position: usize) -> Result<Option<Socket>, InheritError> {
    let taken = match sockets.take_tcp_listener(position) {
        Ok(socket) => socket.map(Socket::Tcp),
        Err(source) => match sockets.take_unix_listener(position) {
            Ok(socket) => socket.map(|socket| Socket::Unix(socket, None)),
            Err(_) => return Err(InheritError::NoSocket { position, source }),
        },
    };
    let listens = match &taken {
        Some(Socket::Tcp(socket)) => is_listening(socket),
        Some(Socket::Unix(socket, _)) => is_listening(socket),
        None => true,
    };
    if listens {
        Ok(taken)
    } else {
        Err(InheritError::NotListening { position })
    }
}

fn is_listening(socket: &impl AsFd) -> bool {
    getsockopt(socket, sockopt::AcceptConn).unwrap_or(false)
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
