//! Sockets that listen already, before the worker starts.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;

/// A socket that listens already.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpListener),
    /// With the file that this process made of it, if it did.
    Unix(UnixListener, Option<Arc<Made>>),
}

/// A socket's file, which is removed when nobody here listens at it any more.
#[derive(Debug)]
pub(crate) struct Made(pub(super) PathBuf);

impl Drop for Made {
    fn drop(&mut self) {
        // A file that stays is removed at the next start.
        drop(std::fs::remove_file(&self.0));
    }
}

#[cfg(feature = "cli")]
impl Socket {
    fn duplicate(&self) -> std::io::Result<Self> {
        Ok(match self {
            Self::Tcp(socket) => Self::Tcp(socket.try_clone()?),
            Self::Unix(socket, made) => Self::Unix(socket.try_clone()?, made.clone()),
        })
    }
}

/// What was handed over: any number of sockets for each purpose, one for IPv4 and one for IPv6 for example.
#[derive(Debug, Default)]
pub(crate) struct HandedOver {
    pub(crate) public: Vec<Socket>,
    pub(crate) admin: Vec<Socket>,
}

#[cfg(feature = "cli")]
impl HandedOver {
    /// All of them once more.
    pub(crate) fn duplicates(&self) -> std::io::Result<Self> {
        let all = |sockets: &[Socket]| {
            sockets
                .iter()
                .map(Socket::duplicate)
                .collect::<std::io::Result<Vec<_>>>()
        };
        Ok(Self {
            public: all(&self.public)?,
            admin: all(&self.admin)?,
        })
    }
}
