//! The binary as a person meets it: help, and every way in which it refuses to start.

use std::process::{Command, Output};

fn worker(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_runs-worker"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

/// Exit status, standard output and standard error, one below the other.
fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "status {}\n--- stdout\n{}--- stderr\n{}",
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr)
    )
}

#[test]
fn help_is_complete() {
    for (name, arguments) in [
        ("help", ["--help"].as_slice()),
        ("help_get", &["get", "--help"]),
        ("help_check", &["check", "--help"]),
    ] {
        insta::assert_snapshot!(name, told(&worker(arguments, &[])));
    }
}

#[test]
fn shells_and_manual_readers_know_every_command() {
    let commands = [
        "serve",
        "get",
        "check",
        "config",
        "sync",
        "audit",
        "events",
        "replay",
        "dead-letters",
    ];
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let completions = worker(&["completions", shell], &[]);
        let completions = String::from_utf8_lossy(&completions.stdout).into_owned();
        for command in commands {
            assert!(completions.contains(command), "{shell} does not know {command}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    assert!(worker(&["man", pages.to_str().unwrap()], &[]).status.success());
    for command in commands {
        let page = std::fs::read_to_string(pages.join(format!("runs-worker-{command}.1"))).unwrap();
        assert!(page.contains(".SH NAME"), "{command}");
    }
    assert!(pages.join("runs-worker.1").is_file());
    assert_eq!(worker(&["man", "/dev/null/no-folder"], &[]).status.code(), Some(1));
}

#[test]
fn where_to_listen_is_said_before_serve_after_it_or_without_it_and_to_nothing_else() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let three = [
        ("TALLYFY_ORG_ID", "acme"),
        ("TALLYFY_TOKEN", "t"),
        ("TALLYFY_WEBHOOK_SECRET", "s"),
    ];
    for arguments in [
        ["--listen", &address, "serve"].as_slice(),
        &["serve", "--listen", &address],
        &["--listen", &address],
        &["--listen", "127.0.0.1:1", "serve", "--listen", &address],
    ] {
        let output = worker(arguments, &three);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && said.contains(&address),
            "{arguments:?}: {said}"
        );
    }
    assert_eq!(
        worker(&["get", "r1", "--listen", &address], &three).status.code(),
        Some(2)
    );
}

#[test]
fn a_wrong_command_line_is_refused() {
    for (name, arguments) in [
        ("unknown_flag", ["--lissen"].as_slice()),
        ("no_address", &["--listen", "here"]),
        ("bad_include", &["get", "r1", "--with", "tasks,a b"]),
        ("no_run", &["get"]),
    ] {
        insta::assert_snapshot!(name, told(&worker(arguments, &[])));
    }
}

#[test]
fn without_its_three_values_it_says_which_are_missing() {
    insta::assert_snapshot!("nothing_configured", told(&worker(&[], &[])));
}

#[test]
fn the_example_of_a_configuration_is_one_and_what_counts_is_shown() {
    let example = worker(&["config", "--example"], &[]);
    assert!(example.status.success());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("worker.toml");
    std::fs::write(&file, example.stdout).unwrap();
    let file = file.to_str().unwrap();
    let three = [
        ("TALLYFY_ORG_ID", "acme"),
        ("TALLYFY_TOKEN", "s3cret"),
        ("TALLYFY_WEBHOOK_SECRET", "s3cret"),
    ];
    let checked = worker(&["config", "--check", file], &three);
    assert_eq!(
        String::from_utf8_lossy(&checked.stdout),
        format!("{file}: nothing is wrong; 1 organization and 0 handlers\n")
    );
    let missing = worker(&["config", "--check", file], &[]);
    assert_eq!(missing.status.code(), Some(2));
    let shown = worker(&["config", "--print", "--config", file], &three);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("refresh.window = \"1s\"  # default\n"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
    assert_eq!(worker(&["config"], &[]).status.code(), Some(2));
}

#[test]
fn a_store_that_cannot_be_used_is_named_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("runs.db"), "my shopping list").unwrap();
    let output = worker(
        &[
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
            "--data-dir",
            data.to_str().unwrap(),
        ],
        &[
            ("TALLYFY_ORG_ID", "acme"),
            ("TALLYFY_TOKEN", "t"),
            ("TALLYFY_WEBHOOK_SECRET", "s"),
            ("RUNS_WORKER__LOG__FILTER", "off"),
        ],
    );
    let told = told(&output).replace(folder.path().to_str().unwrap(), "[folder]");
    insta::assert_snapshot!("foreign_store", told);
    assert_eq!(
        std::fs::read_to_string(data.join("runs.db")).unwrap(),
        "my shopping list"
    );
}

/// Three values, and an API that nobody serves.
const UNREACHABLE: [(&str, &str); 4] = [
    ("TALLYFY_ORG_ID", "acme"),
    ("TALLYFY_TOKEN", "s3cret-token"),
    ("TALLYFY_WEBHOOK_SECRET", "s3cret-path"),
    ("TALLYFY_BASE_URL", "http://127.0.0.1:9"),
];

#[test]
fn an_api_that_is_not_there_is_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    insta::assert_snapshot!("get_unreachable", told(&worker(&["get", "r1"], &UNREACHABLE)));
    // How much room there is, and which ports are free, is for the machine to say.
    let only = "configuration,secret-files,store,data-folder,budget,secrets,api,token,handlers,public-url";
    let arguments = ["check", "--data-dir", data.to_str().unwrap(), "--only", only];
    let output = worker(&arguments, &UNREACHABLE);
    let told = told(&output).replace(folder.path().to_str().unwrap(), "[folder]");
    insta::assert_snapshot!("check_unreachable", told);
    assert!(!told.contains("s3cret"));
    assert!(!data.exists(), "checking changes nothing");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "--listen",
        &address,
        "--admin-listen",
        "127.0.0.1:0",
        "--data-dir",
        folder.path().to_str().unwrap(),
    ];
    let told = told(&worker(&arguments, &UNREACHABLE)).replace(&address, "[address]");
    insta::assert_snapshot!("address_taken", told);
}

#[test]
fn an_organization_that_is_not_configured_is_refused() {
    insta::assert_snapshot!(
        "unknown_org",
        told(&worker(&["get", "r1", "--org", "globex"], &UNREACHABLE))
    );
}

#[test]
fn check_names_every_file_with_a_secret_that_others_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let toml = r#"
        [[organizations]]
        id = "acme"
        token = "LEAK"
        webhook_secrets_file = "secrets"
        [[handlers]]
        name = "crm"
        type = "http"
        url = "https://crm.invalid"
        headers_file = { authorization = "crm" }
    "#;
    let mode = |name: &str, mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(folder.path().join(name), mode).unwrap();
    };
    for (name, content) in [
        ("worker.toml", toml),
        ("secrets", "s3cret-s3cret-s3cret-s3cret"),
        ("crm", "LEAK"),
    ] {
        std::fs::write(folder.path().join(name), content).unwrap();
        mode(name, 0o644);
    }
    let check = || {
        let file = folder.path().join("worker.toml");
        let data = folder.path().join("data");
        let arguments = ["--config", file.to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
        // Nobody listens there: what is said of the API does not matter here.
        let address = ["--base-url", "http://127.0.0.1:1", "check"];
        told(&worker(&[&arguments[..], &address].concat(), &[]))
    };
    let said = check();
    for name in ["worker.toml", "secrets", "crm"] {
        assert!(
            said.contains(&format!("{name} holds a secret and can be read by others")),
            "{name}: {said}"
        );
        mode(name, 0o600);
    }
    let said = check();
    assert!(
        !said.contains("can be read by others") && !said.contains("LEAK"),
        "{said}"
    );
}
