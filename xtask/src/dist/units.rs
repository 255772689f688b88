//! The units as a package has them: the binary is in /usr/bin, and the worker has a user of its own, to whom its files belong.

use anyhow::ensure;

/// What differs from the units for an installation by hand.
const DIFFERENT: [(&str, &str); 3] = [
    ("ExecStart=/usr/local/bin/runs-worker", "ExecStart=/usr/bin/runs-worker"),
    (
        "DynamicUser=yes",
        "User=runs-worker\nEnvironmentFile=-/etc/default/runs-worker",
    ),
    (
        "# The secrets are files that only root can read; systemd hands the worker copies of its own:\n#\n\
         #   /etc/runs-worker/token             the access token, one line\n\
         #   /etc/runs-worker/webhook-secrets   the secrets of the webhook URL, one a line\n\
         #   /etc/runs-worker/worker.toml       everything else; it holds no secret, but may name credential files\n",
        "# The configuration and the files with secrets belong to the user runs-worker, and nobody else can read them:\n#\n\
         #   runuser -u runs-worker -- runs-worker init --folder /etc/runs-worker --data-dir /var/lib/runs-worker\n",
    ),
];

/// Lines that are left out: there are no copies of credentials.
const LEFT_OUT: [&str; 4] = [
    "Environment=TALLYFY_TOKEN_FILE=",
    "Environment=TALLYFY_WEBHOOK_SECRET_FILE=",
    "LoadCredential=token:",
    "LoadCredential=webhook-secrets:",
];

/// The service of a package.
pub(super) fn packaged_service(text: &str) -> anyhow::Result<String> {
    let mut service = text.to_owned();
    for (by_hand, packaged) in DIFFERENT {
        ensure!(service.contains(by_hand), "the unit has no `{by_hand}` any more");
        service = service.replace(by_hand, packaged);
    }
    for left_out in LEFT_OUT {
        ensure!(service.contains(left_out), "the unit has no `{left_out}` any more");
        let lines = service.lines().filter(|line| !line.starts_with(left_out));
        service = lines.map(|line| format!("{line}\n")).collect();
    }
    Ok(service)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_has_its_own_binary_and_user_and_no_copies_of_secrets() {
        let service = packaged_service(include_str!("../../../dist/systemd/runs-worker.service")).unwrap_or_default();
        for line in [
            "ExecStart=/usr/bin/runs-worker serve",
            "User=runs-worker",
            "Environment=RUNS_WORKER_CONFIG=/etc/runs-worker/worker.toml",
            "StateDirectory=runs-worker",
        ] {
            assert!(service.lines().any(|found| found == line), "{line}: {service}");
        }
        assert!(!service.contains("LoadCredential") && !service.contains("DynamicUser") && !service.contains("%d/"));
    }
}
