//! The sockets that one listener listens on: of any number, TCP and Unix, opened here or handed over.
//!
//! What somebody else holds comes in by systemd's protocol only. A descriptor by its number is taken by starting the program
//! again in the same process, since safe Rust cannot take it.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;

use super::handed_over::{Made, Socket};

/// How many connections the kernel may hold for us; it may be set to hold fewer.
const QUEUE: u32 = 4096;
/// Who may connect to a Unix socket: its owner and its group.
const MODE: u32 = 0o660;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// At an IP address and a port.
    Tcp(SocketAddr),
    /// At a socket in the file system.
    Unix(PathBuf),
}

/// A text that is no address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected an IP address with a port, such as `127.0.0.1:8080` or `[::]:8080`, or `unix:/path/of/a/socket`")]
pub struct NotAnAddress;

impl FromStr for ListenAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(_) => Err(NotAnAddress),
            None => text.parse().map(Self::Tcp).map_err(|_| NotAnAddress),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// A connection that was accepted.
pub(super) type Stream = Either<TcpStream, UnixStream>;

/// One socket that listens.
#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        /// Its file, if it was made here.
        made: Option<Arc<Made>>,
    },
}

impl Listener {
    /// Opens a socket.
    fn open(address: &ListenAddress) -> io::Result<Self> {
        match address {
            ListenAddress::Tcp(address) => open_tcp(*address).map(Self::Tcp),
            ListenAddress::Unix(path) => {
                remove_left_over(path)?;
                let listener = UnixListener::bind(path)?;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE))?;
                Ok(Self::Unix {
                    listener,
                    made: Some(Arc::new(Made(path.clone()))),
                })
            }
        }
    }

    /// Takes over a socket that listens already.
    fn adopt(socket: Socket) -> io::Result<Self> {
        match socket {
            Socket::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                TcpListener::from_std(socket).map(Self::Tcp)
            }
            Socket::Unix(socket, made) => {
                socket.set_nonblocking(true)?;
                let listener = UnixListener::from_std(socket)?;
                Ok(Self::Unix { listener, made })
            }
        }
    }

    /// The same socket once more, with the queue that it has.
    fn duplicate(&self) -> io::Result<Socket> {
        Ok(match self {
            Self::Tcp(listener) => Socket::Tcp(listener.as_fd().try_clone_to_owned()?.into()),
            Self::Unix { listener, made } => Socket::Unix(listener.as_fd().try_clone_to_owned()?.into(), made.clone()),
        })
    }

    /// Where it listens.
    fn address(&self) -> io::Result<ListenAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(ListenAddress::Tcp),
            Self::Unix { listener, .. } => {
                let address = listener.local_addr()?;
                Ok(ListenAddress::Unix(
                    address.as_pathname().unwrap_or(Path::new("")).to_owned(),
                ))
            }
        }
    }

    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        match self {
            Self::Tcp(listener) => listener.poll_accept(context).map_ok(|(stream, _)| Either::Left(stream)),
            Self::Unix { listener, .. } => listener
                .poll_accept(context)
                .map_ok(|(stream, _)| Either::Right(stream)),
        }
    }
}

fn open_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

/// A process that was killed leaves its socket's file behind. One at which somebody listens is not touched, and nothing
/// that is no socket.
fn remove_left_over(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        _ => Ok(()),
    }
}

/// All sockets of one listener.
#[derive(Debug)]
pub(crate) struct Sockets {
    listeners: Vec<Listener>,
    /// Where to look first: each socket in its turn, so that a busy one does not starve the others.
    next: AtomicUsize,
}

impl Sockets {
    /// Takes over what was handed over, or opens these addresses if that is nothing.
    ///
    /// # Errors
    /// With the address that cannot be used.
    pub(crate) fn open(
        addresses: &[ListenAddress],
        handed_over: Vec<Socket>,
    ) -> Result<Self, (Option<ListenAddress>, io::Error)> {
        let listeners: Result<Vec<_>, _> = if handed_over.is_empty() {
            let open =
                |address: &ListenAddress| Listener::open(address).map_err(|error| (Some(address.clone()), error));
            addresses.iter().map(open).collect()
        } else {
            let adopt = |socket| Listener::adopt(socket).map_err(|error| (None, error));
            handed_over.into_iter().map(adopt).collect()
        };
        Ok(Self {
            listeners: listeners?,
            next: AtomicUsize::new(0),
        })
    }

    /// Where they listen.
    pub(crate) fn addresses(&self) -> io::Result<Vec<ListenAddress>> {
        self.listeners.iter().map(Listener::address).collect()
    }

    /// All of them once more: as long as these are held, senders wait in the queue and are not refused.
    pub(crate) fn duplicates(&self) -> io::Result<Vec<Socket>> {
        self.listeners.iter().map(Listener::duplicate).collect()
    }

    /// Waits for a connection on any of them.
    pub(super) async fn accept(&self) -> io::Result<Stream> {
        poll_fn(|context| {
            let first = self.next.fetch_add(1, Ordering::Relaxed);
            for position in 0..self.listeners.len() {
                let position = first.wrapping_add(position) % self.listeners.len();
                if let Some(listener) = self.listeners.get(position)
                    && let Poll::Ready(accepted) = listener.poll_accept(context)
                {
                    return Poll::Ready(accepted);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Returns when a connection has something to read, or has ended.
pub(super) async fn readable(stream: &Stream) -> io::Result<()> {
    match stream {
        Either::Left(stream) => stream.readable().await,
        Either::Right(stream) => stream.readable().await,
    }
}

/// Small answers are sent at once.
pub(super) fn send_at_once(stream: &Stream) -> io::Result<()> {
    match stream {
        Either::Left(stream) => stream.set_nodelay(true),
        Either::Right(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_ip_with_port_or_as_a_path() {
        for text in ["127.0.0.1:8080", "[::]:8080", "unix:/run/worker.sock"] {
            assert_eq!(
                text.parse::<ListenAddress>().map(|address| address.to_string()),
                Ok(text.to_owned())
            );
        }
        for text in [
            "",
            "8080",
            "localhost:8080",
            "unix:",
            "unix:relative",
            "/run/worker.sock",
        ] {
            assert_eq!(text.parse::<ListenAddress>(), Err(NotAnAddress), "{text}");
        }
    }

    #[tokio::test]
    async fn what_a_killed_process_left_behind_is_replaced_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("door");
        let address = ListenAddress::Unix(path.clone());
        // Closed without being removed.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let listening = Listener::open(&address).unwrap();
        assert!(Listener::open(&address).is_err(), "somebody listens there");
        drop(listening);
        assert!(!path.exists(), "it is removed at the end");
        std::fs::write(&path, "no socket").unwrap();
        assert!(Listener::open(&address).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "no socket");
    }
}
