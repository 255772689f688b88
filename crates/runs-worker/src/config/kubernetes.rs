//! Variables that Kubernetes puts into every container for each Service, which may be called like this program.
//!
//! For a Service `runs-worker` these are `RUNS_WORKER_SERVICE_HOST`, `RUNS_WORKER_SERVICE_PORT`, the same with the name of a
//! port, and, for links as Docker had them, `RUNS_WORKER_PORT` and `RUNS_WORKER_PORT_8080_TCP` with `_PROTO`, `_PORT` and
//! `_ADDR`. A Service `runs-worker-admin` has the same behind `RUNS_WORKER_ADMIN`.

/// The protocols of Services.
const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];

/// Whether a variable is one of these.
pub(super) fn is_injected(name: &str, value: &str) -> bool {
    if name.ends_with("_SERVICE_HOST") {
        return true;
    }
    if let Some((_, port)) = name.split_once("_SERVICE_PORT") {
        return (port.is_empty() || port.starts_with('_')) && is_number(value);
    }
    if name.ends_with("_PORT") && is_link(value) {
        return true;
    }
    name.match_indices("_PORT_")
        .any(|(at, between)| is_of_link(&name[at + between.len()..]))
}

/// `tcp://10.96.0.7:8080`
fn is_link(value: &str) -> bool {
    value
        .split_once("://")
        .is_some_and(|(protocol, _)| PROTOCOLS.contains(&protocol))
}

/// `8080_TCP`, perhaps with what is told of it
fn is_of_link(rest: &str) -> bool {
    let mut parts = rest.split('_');
    let (port, protocol, what, end) = (parts.next(), parts.next(), parts.next(), parts.next());
    port.is_some_and(is_number)
        && protocol.is_some_and(|protocol| PROTOCOLS.contains(&protocol.to_ascii_lowercase().as_str()))
        && what.is_none_or(|what| ["PROTO", "PORT", "ADDR"].contains(&what))
        && end.is_none()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_sets_is_told_from_what_people_misspell() {
        for (name, value) in [
            ("RUNS_WORKER_SERVICE_HOST", "10.96.0.7"),
            ("RUNS_WORKER_SERVICE_PORT", "8080"),
            ("RUNS_WORKER_SERVICE_PORT_HTTP", "8080"),
            ("RUNS_WORKER_PORT", "tcp://10.96.0.7:8080"),
            ("RUNS_WORKER_PORT_8080_TCP", "tcp://10.96.0.7:8080"),
            ("RUNS_WORKER_PORT_8080_TCP_PROTO", "tcp"),
            ("RUNS_WORKER_PORT_8080_TCP_PORT", "8080"),
            ("RUNS_WORKER_PORT_8080_TCP_ADDR", "10.96.0.7"),
            ("RUNS_WORKER_ADMIN_SERVICE_HOST", "10.96.0.8"),
            ("RUNS_WORKER_ADMIN_PORT", "tcp://[fd00::7]:8081"),
            ("RUNS_WORKER_PORT_53_UDP", "udp://10.96.0.7:53"),
        ] {
            assert!(is_injected(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("RUNS_WORKER_PORT", "8080"),
            ("RUNS_WORKER_LISTEN_PORT", "127.0.0.1:8080"),
            ("RUNS_WORKER_SERVICE_PORTS", "8080"),
            ("RUNS_WORKER_SERVICE_PORT", "http"),
            ("RUNS_WORKER_PORT_HTTP_TCP", "tcp://10.96.0.7:8080"),
            ("RUNS_WORKER_PORT_8080_TCP_HOST", "10.96.0.7"),
            ("RUNS_WORKER_DATADIR", "/data"),
        ] {
            assert!(!is_injected(name, value), "{name}={value}");
        }
    }
}
