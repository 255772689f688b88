//! Configuration: the layers, what is refused, and how that is said.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use runs_worker::config::{Flags, Loaded, TokenSetting, load};
use secrecy::ExposeSecret;

const THREE: [(&str, &str); 3] = [
    ("TALLYFY_ORG_ID", "acme"),
    ("TALLYFY_TOKEN", "t0ken"),
    ("TALLYFY_WEBHOOK_SECRET", "s3cret"),
];

fn environment(values: &[(&str, &str)]) -> BTreeMap<String, String> {
    values
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn with_environment(values: &[(&str, &str)]) -> Loaded {
    load(&Flags::default(), &environment(values), true).unwrap()
}

/// Writes a file and gives the flags that name it.
fn file(folder: &Path, toml: &str) -> Flags {
    let path = folder.join("worker.toml");
    std::fs::write(&path, toml).unwrap();
    let mut flags = Flags::default();
    flags.config = Some(path);
    flags
}

/// What a person is told, with the folder's name taken out.
fn refusal(toml: &str, values: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let error = load(&file(folder.path(), toml), &environment(values), true).unwrap_err();
    error.to_string().replace(folder.path().to_str().unwrap(), "[folder]")
}

#[test]
fn three_values_are_enough() {
    let loaded = with_environment(&THREE);
    let [organization] = loaded.organizations.as_slice() else {
        panic!("one organization")
    };
    assert_eq!(organization.id.as_str(), "acme");
    assert!(matches!(&organization.token, TokenSetting::Inline(token) if token.expose_secret() == "t0ken"));
    assert_eq!(organization.webhook_secrets[0].expose_secret(), "s3cret");
    assert_eq!(loaded.config.api.base_url.to_string(), "https://go.tallyfy.com/api");
    assert_eq!(loaded.config.receive.listen[0].to_string(), "127.0.0.1:8080");
}

#[test]
fn flags_go_before_the_environment_which_goes_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut flags = file(
        folder.path(),
        "[receive]\nlisten = \"127.0.0.1:1\"\n[admin]\nlisten = \"127.0.0.1:2\"\n[refresh]\nwindow = \"7s\"\nconcurrency = 3\n",
    );
    flags
        .values
        .push(("receive.listen", "127.0.0.1:5".to_owned(), "--listen"));
    let mut values = THREE.to_vec();
    values.extend([
        ("RUNS_WORKER_LISTEN", "127.0.0.1:3"),
        ("RUNS_WORKER_ADMIN_LISTEN", "127.0.0.1:4"),
        ("RUNS_WORKER__REFRESH__WINDOW", "250ms"),
        ("RUNS_WORKER__REFRESH__INCLUDES", "tasks, new_include"),
    ]);
    let loaded = load(&flags, &environment(&values), true).unwrap();
    assert_eq!(
        loaded.config.receive.listen[0].to_string().rsplit(':').next(),
        Some("5")
    );
    assert_eq!(loaded.config.admin.listen.port(), 4);
    assert_eq!(loaded.config.refresh.window, Duration::from_millis(250));
    assert_eq!(loaded.config.refresh.concurrency.get(), 3);
    let includes: Vec<String> = loaded.config.refresh.includes.iter().map(ToString::to_string).collect();
    assert_eq!(includes, ["tasks", "new_include"]);
}

#[test]
fn the_environment_can_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let flags = file(folder.path(), "[refresh]\nmissing_tries = 9\n");
    let path = flags.config.unwrap();
    let mut values = THREE.to_vec();
    values.push(("RUNS_WORKER_CONFIG", path.to_str().unwrap()));
    let loaded = with_environment(&values);
    assert_eq!(loaded.config.refresh.missing_tries.get(), 9);
    assert_eq!(loaded.file.as_deref(), Some(path.as_path()));
}

#[test]
fn secrets_are_taken_as_text_whatever_they_look_like() {
    for odd in ["007", "1e5", "TRUE", "0x10", "null"] {
        let loaded = with_environment(&[
            ("TALLYFY_ORG_ID", odd),
            ("TALLYFY_TOKEN", odd),
            ("TALLYFY_WEBHOOK_SECRET", odd),
        ]);
        let organization = &loaded.organizations[0];
        assert_eq!(organization.id.as_str(), odd);
        assert!(matches!(&organization.token, TokenSetting::Inline(token) if token.expose_secret() == odd));
        assert_eq!(organization.webhook_secrets[0].expose_secret(), odd);
    }
}

#[test]
fn secrets_may_come_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = folder.path().join("secrets");
    std::fs::write(&secrets, "new-secret\n\nold-secret\n").unwrap();
    let loaded = with_environment(&[
        ("TALLYFY_ORG_ID", "acme"),
        ("TALLYFY_TOKEN_FILE", "/run/secrets/token"),
        ("TALLYFY_WEBHOOK_SECRET_FILE", secrets.to_str().unwrap()),
    ]);
    let organization = &loaded.organizations[0];
    assert!(matches!(&organization.token, TokenSetting::File(file) if file == Path::new("/run/secrets/token")));
    let read: Vec<&str> = organization
        .webhook_secrets
        .iter()
        .map(ExposeSecret::expose_secret)
        .collect();
    assert_eq!(read, ["new-secret", "old-secret"]);
}

#[test]
fn several_organizations_are_a_table_each() {
    let folder = tempfile::tempdir().unwrap();
    let toml = "
        [[organizations]]
        id = \"acme\"
        token = \"a\"
        webhook_secrets = [\"s1\", \"s2\"]
        [[organizations]]
        id = \"globex\"
        token = \"b\"
        webhook_secrets = \"s3, s4\"
    ";
    let values = environment(&[("TALLYFY_ORG_ID", "globex"), ("TALLYFY_TOKEN", "from-the-environment")]);
    let loaded = load(&file(folder.path(), toml), &values, true).unwrap();
    let secrets: Vec<usize> = loaded
        .organizations
        .iter()
        .map(|organization| organization.webhook_secrets.len())
        .collect();
    assert_eq!(secrets, [2, 2]);
    let TokenSetting::Inline(token) = &loaded.organizations[1].token else {
        panic!("a token")
    };
    assert_eq!(token.expose_secret(), "from-the-environment");
}

#[test]
fn a_command_that_only_calls_the_api_needs_no_webhook_secret() {
    let loaded = load(&Flags::default(), &environment(&THREE[..2]), false).unwrap();
    assert!(loaded.organizations[0].webhook_secrets.is_empty());
}

#[test]
fn every_mistake_is_named_with_its_place() {
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);
    let cases: [Case<'_>; 17] = [
        ("nothing is set", "", &[]),
        ("unknown section", "[recieve]\nlisten = \"127.0.0.1:1\"", &THREE),
        ("unknown key", "[receive]\nlissen = \"127.0.0.1:1\"", &THREE),
        (
            "unknown key in the environment",
            "",
            &[THREE[0], THREE[1], THREE[2], ("RUNS_WORKER__API__MAXRPS", "5")],
        ),
        ("not TOML", "[receive\n", &THREE),
        ("no address", "[receive]\nlisten = \"localhost\"", &THREE),
        (
            "no address in the environment",
            "",
            &[THREE[0], THREE[1], THREE[2], ("RUNS_WORKER_LISTEN", "8080")],
        ),
        ("no length of time", "[refresh]\nwindow = \"soon\"", &THREE),
        ("a negative length of time", "[refresh]\nwindow = \"-5s\"", &THREE),
        ("no number", "[refresh]\nconcurrency = \"many\"", &THREE),
        ("zero where nothing would happen", "[refresh]\nconcurrency = 0", &THREE),
        (
            "no URL",
            "",
            &[THREE[0], THREE[1], THREE[2], ("TALLYFY_BASE_URL", "go.tallyfy.com")],
        ),
        (
            "plain http to another host",
            "",
            &[
                THREE[0],
                THREE[1],
                THREE[2],
                ("TALLYFY_BASE_URL", "http://go.tallyfy.com/api"),
            ],
        ),
        ("a bad include", "[refresh]\nincludes = [\"tasks\", \"a b\"]", &THREE),
        (
            "several at once",
            "[admin]\nlisten = \"0.0.0.0:8081\"\n[refresh]\nlease = \"1s\"\n[[handlers]]\nname = \"a\"\ntype = \"stdout\"\n[[handlers]]\nname = \"a\"\ntype = \"stdout\"",
            &THREE[..1],
        ),
        (
            "an unknown handler type",
            "[[handlers]]\nname = \"a\"\ntype = \"carrier-pigeon\"",
            &THREE,
        ),
        (
            "the environment's token for one of several",
            "[[organizations]]\nid = \"a\"\n[[organizations]]\nid = \"b\"",
            &THREE[1..],
        ),
    ];
    let said: Vec<String> = cases
        .iter()
        .map(|(what, toml, values)| format!("# {what}\n{}", refusal(toml, values)))
        .collect();
    insta::assert_snapshot!("config_refusals", said.join("\n\n"));
}

#[test]
fn no_refusal_shows_a_secret() {
    let toml =
        "[[organizations]]\nid = \"acme\"\ntoken = [\"s3cret-token\"]\nwebhook_secrets = { a = \"s3cret-path\" }";
    let said = refusal(toml, &[("TALLYFY_TOKEN", "s3cret-environment")]);
    assert!(!said.contains("s3cret-"), "{said}");
}

#[test]
fn a_missing_file_is_named() {
    let mut flags = Flags::default();
    flags.config = Some(PathBuf::from("/nowhere/worker.toml"));
    let error = load(&flags, &environment(&THREE), true).unwrap_err();
    insta::assert_snapshot!("config_missing_file", error);
}

#[test]
fn every_wrong_word_of_every_filter_is_told_at_once() {
    let toml = r#"
        [[handlers]]
        name = "crm"
        type = "stdout"
        filter = { organizations = ["acne"], events = ["complete", "gone"], changes = ["task.complete"] }

        [[handlers]]
        name = "audit"
        type = "stdout"
        [handlers.filter]
        statuses = ["done", "active"]
        templates = ["any"]
        changes = "status, anwser:f1"
    "#;
    insta::assert_snapshot!("wrong_filters", refusal(toml, &THREE));
    insta::assert_snapshot!(
        "unknown_filter_key",
        refusal(
            "[[handlers]]\nname = \"a\"\ntype = \"stdout\"\nfilter = { event = [] }",
            &THREE
        )
    );
}

#[test]
fn what_the_pages_show_loads() {
    let docs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"));
    let mut shown = 0;
    for page in [
        "filters.md",
        "handlers/stdout.md",
        "handlers/file.md",
        "handlers/http.md",
        "handlers/command.md",
        "handlers/nats.md",
        "webhook-to-database.md",
    ] {
        let text = std::fs::read_to_string(docs.join(page)).unwrap();
        for toml in text.split("```toml\n").skip(1) {
            let folder = tempfile::tempdir().unwrap();
            let mut toml = toml.split("```").next().unwrap().to_owned();
            for program in ["./store-event", "./make-invoice", "./make-folder"] {
                toml = toml.replace(program, "/bin/sh");
            }
            let loaded = load(&file(folder.path(), &toml), &environment(&THREE), true);
            assert_eq!(
                loaded.unwrap_or_else(|error| panic!("{page}: {error}")).handlers.len(),
                toml.matches("[[handlers]]").count(),
                "{page}"
            );
            shown += 1;
        }
    }
    assert_eq!(shown, 8);
}

#[test]
fn no_value_that_may_be_a_secret_is_repeated() {
    let refused = [
        refusal("[[organizations]]\nid = \"acme\"\ntoken = \"LEAK\n", &[]),
        refusal("[[organizations]]\nid = \"acme\"\ntoken = LEAK\n", &[]),
        refusal(
            "[[organizations]]\nid = \"acme\"\nwebhook_secrets = [\"a\", 7, \"LEAK\"",
            &[],
        ),
        refusal("organizations = \"LEAK\\\"LEAK\"", &[]),
        refusal("", &[("RUNS_WORKER__ORGANIZATIONS", "LEAK")]),
        refusal("", &[("TALLYFY_BASE_URL", "https://user:LEAK@example.com/api")]),
        refusal("", &[("TALLYFY_BASE_URL", "https://example.com/api?token=LEAK")]),
    ];
    for message in &refused {
        assert!(!message.contains("LEAK"), "{message}");
    }
    insta::assert_snapshot!("refused_secrets", refused.join("\n"));
}

#[test]
fn a_secret_says_which_organization_a_webhook_is_from() {
    let toml = r#"
        [[organizations]]
        id = "acme"
        token = "a"
        webhook_secrets = ["one-and-the-same", "another"]

        [[organizations]]
        id = "globex"
        token = "b"
        webhook_secrets = ["one-and-the-same"]
    "#;
    insta::assert_snapshot!("shared_secret", refusal(toml, &[]));
}

#[test]
fn a_variable_that_is_nearly_ours_is_an_error() {
    let message = refusal("", &[&THREE[..], &[("RUNS_WORKER_REFRESH_WINDOW", "9s")]].concat());
    insta::assert_snapshot!("misspelled_variable", message);
}

#[test]
fn everything_that_is_wrong_with_every_handler_is_told_at_once() {
    let toml = r#"
        [[handlers]]
        name = "a"
        type = "htp"

        [[handlers]]
        name = "b"
        type = "http"
        url = "http://example.com/LEAK"
        mode = "binry"
        signing_keys = ["LEAK", "whsec_LEAK!"]
        headers = { "bad name" = "x", ok = "bad\nLEAK" }
        path = "x"

        [[handlers]]
        name = "b"
        type = "file"
        path = "/nowhere/at/all/events.jsonl"
        command = ["true"]

        [[handlers]]
        name = "c"
        type = "command"
        command = ["no-such-program-anywhere", "x"]
        working_dir = "/nowhere"
        retry_initial = "0s"

        [[handlers]]
        name = "d"
        type = "http"

        [[handlers]]
        name = "g"
        type = "nats"
        nats.servers = ["nats://example.com", "tls://LEAK:LEAK@example.com", "gopher://x"]
        nats.subject = "runs.{rum}"
        nats.token = "LEAK"
        nats.user = "u"

        [[handlers]]
        name = "h"
        type = "file"
        path = "events.jsonl"
        nats.servers = ["tls://example.com"]

        [[handlers]]
        name = "e f"
        signing_keys_file = "/nowhere/keys"
    "#;
    let message = refusal(toml, &THREE);
    assert!(!message.contains("LEAK"), "{message}");
    insta::assert_snapshot!("wrong_handlers", message);
}

#[test]
fn a_client_may_stand_in_the_place_of_a_token() {
    let toml = r#"
        [[organizations]]
        id = "acme"
        client_id = "17"
        client_secret = "LEAK"
        webhook_secrets = ["one-secret"]
    "#;
    let folder = tempfile::tempdir().unwrap();
    let loaded = load(&file(folder.path(), toml), &environment(&[]), true).unwrap();
    let TokenSetting::Client { id, auth_url, .. } = &loaded.organizations[0].token else {
        panic!("{:?}", loaded.organizations[0].token)
    };
    assert_eq!((id.as_str(), auth_url.as_str()), ("17", "https://account.tallyfy.com"));
    assert!(!format!("{loaded:?}").contains("LEAK"));

    let wrong = r#"
        [[organizations]]
        id = "acme"
        token = "LEAK"
        client_id = "17"
        webhook_secrets = ["one-secret"]

        [[organizations]]
        id = "globex"
        client_secret_file = "/nowhere/secret"
        auth_url = "http://LEAK:LEAK@example.com"
        webhook_secrets = ["another-secret"]
    "#;
    let message = refusal(wrong, &[]);
    assert!(!message.contains("LEAK"), "{message}");
    insta::assert_snapshot!("wrong_clients", message);
}

#[test]
fn mistakes_of_every_kind_are_told_at_once_with_handler_line_and_nearest_word() {
    let toml = r#"
[receive]
lissen = "127.0.0.1:1"
max_body_bytes = "many"

[refresh]
window = "soon"
lease = "1s"

[[handlers]]
name = "crm"
type = "http"
ulr = "https://example.com"
concurrency = 0

[[handlers]]
name = "audit"
type = "file"
path = 7
filter = { event = [], events = ["complete"] }

[[organizations]]
id = "acme"
tokenfile = "x"
"#;
    let values = [
        ("TALLYFY_TOKEN", "t0ken"),
        ("TALLYFY_WEBHOOK_SECRET", "s3cret"),
        ("RUNS_WORKER__API__TIMEOUT", "never"),
        ("RUNS_WORKER_DATADIR", "/data"),
    ];
    insta::assert_snapshot!("every_kind_at_once", refusal(toml, &values));
}

#[test]
fn what_kubernetes_injects_is_ignored() {
    let injected = [
        ("RUNS_WORKER_SERVICE_HOST", "10.96.0.7"),
        ("RUNS_WORKER_SERVICE_PORT", "8080"),
        ("RUNS_WORKER_SERVICE_PORT_HTTP", "8080"),
        ("RUNS_WORKER_PORT", "tcp://10.96.0.7:8080"),
        ("RUNS_WORKER_PORT_8080_TCP", "tcp://10.96.0.7:8080"),
        ("RUNS_WORKER_PORT_8080_TCP_PROTO", "tcp"),
        ("RUNS_WORKER_PORT_8080_TCP_PORT", "8080"),
        ("RUNS_WORKER_PORT_8080_TCP_ADDR", "10.96.0.7"),
    ];
    let loaded = with_environment(&[&THREE[..], &injected].concat());
    assert_eq!(loaded.config.receive.listen[0].to_string(), "127.0.0.1:8080");
    let misspelled = refusal("", &[&THREE[..], &[("RUNS_WORKER_PORT", "8080")]].concat());
    assert!(misspelled.contains("RUNS_WORKER_PORT"), "{misspelled}");
}

#[test]
fn paths_in_the_file_are_relative_to_the_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secrets"), "one-secret\n").unwrap();
    std::fs::write(folder.path().join("program"), "#!/bin/sh\n").unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path().join("program"), executable).unwrap();
    std::fs::create_dir(folder.path().join("out")).unwrap();
    let toml = r#"
        store.data_dir = "state"
        [[organizations]]
        id = "acme"
        token_file = "token"
        webhook_secrets_file = "secrets"
        [[handlers]]
        name = "a"
        type = "file"
        path = "out/events.jsonl"
        [[handlers]]
        name = "b"
        type = "command"
        command = ["./program", "./argument"]
        working_dir = "out"
    "#;
    let loaded = load(&file(folder.path(), toml), &environment(&[]), true).unwrap();
    assert_eq!(loaded.config.store.folder(), folder.path().join("state"));
    let TokenSetting::File(token) = &loaded.organizations[0].token else {
        panic!("a file")
    };
    assert_eq!(token, &folder.path().join("token"));
    assert_eq!(loaded.organizations[0].webhook_secrets[0].expose_secret(), "one-secret");
    // Where a person sets it, it is relative to where the worker is started.
    let values = [("RUNS_WORKER_DATA_DIR", "elsewhere")];
    let loaded = load(&file(folder.path(), toml), &environment(&values), true).unwrap();
    assert_eq!(loaded.config.store.folder(), Path::new("elsewhere"));
}

#[test]
fn values_are_read_as_meant_or_refused_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = folder.path().join("secrets");
    std::fs::write(&secrets, "\u{feff}one-secret\r\n  another-secret  \r\n\r\n").unwrap();
    let loaded = with_environment(&[
        ("TALLYFY_ORG_ID", " acme\r"),
        ("TALLYFY_TOKEN", "\u{feff}t0ken\r\n"),
        ("TALLYFY_WEBHOOK_SECRET_FILE", secrets.to_str().unwrap()),
    ]);
    let organization = &loaded.organizations[0];
    assert_eq!(organization.id.as_str(), "acme");
    assert!(matches!(&organization.token, TokenSetting::Inline(token) if token.expose_secret() == "t0ken"));
    let known: Vec<&str> = organization
        .webhook_secrets
        .iter()
        .map(ExposeSecret::expose_secret)
        .collect();
    assert_eq!(known, ["one-secret", "another-secret"]);

    let mut said = Vec::new();
    for (name, value) in [
        ("TALLYFY_ORG_ID", "\"acme\""),
        ("TALLYFY_TOKEN", "'LEAK'"),
        ("TALLYFY_TOKEN", "\"LEAK"),
        ("TALLYFY_TOKEN", "“LEAK”"),
        ("TALLYFY_TOKEN", "Bearer LEAK"),
        ("TALLYFY_TOKEN", "LEAK # the one of the bot"),
        ("TALLYFY_TOKEN", "LEAK\u{200b}"),
        ("TALLYFY_WEBHOOK_SECRET", "\"LEAK\""),
        ("TALLYFY_WEBHOOK_SECRET", "LEAK/LEAK"),
        ("TALLYFY_WEBHOOK_SECRET", "LEAK+LEAK="),
        ("TALLYFY_WEBHOOK_SECRET", "LEAK%20LEAK"),
        ("TALLYFY_WEBHOOK_SECRET", "LEAK # old"),
    ] {
        let others = THREE.iter().filter(|(other, _)| *other != name).copied();
        said.push(refusal("", &others.chain([(name, value)]).collect::<Vec<_>>()));
    }
    for client in [
        r#"client_id = "'17'"
client_secret = "LEAK""#,
        r#"client_id = "17"
client_secret = "'LEAK'""#,
        r#"client_id = " "
client_secret = " LEAK ""#,
    ] {
        said.push(refusal(
            &format!("[[organizations]]\nid = \"acme\"\nwebhook_secrets = [\"s3cret\"]\n{client}\n"),
            &[],
        ));
    }
    std::fs::write(&secrets, b"\xff\xfeo\0n\0e\0").unwrap();
    let in_utf16 = [
        THREE[0],
        THREE[1],
        ("TALLYFY_WEBHOOK_SECRET_FILE", secrets.to_str().unwrap()),
    ];
    said.push(refusal("", &in_utf16).replace(folder.path().to_str().unwrap(), "FOLDER"));
    assert!(!said.iter().any(|said| said.contains("LEAK")), "{said:?}");
    insta::assert_snapshot!("values_in_quotes_or_with_odd_letters", said.join("\n"));
}

#[test]
fn headers_that_frame_a_request_are_refused_by_name() {
    for name in [
        "content-length",
        "Transfer-Encoding",
        "host",
        "Webhook-Signature",
        "connection",
    ] {
        let toml = format!(
            "[[handlers]]\nname = \"a\"\ntype = \"http\"\nurl = \"https://example.com\"\nheaders = {{ {name} = \"3\" }}"
        );
        let said = refusal(&toml, &THREE);
        assert!(
            said.contains(&format!("headers.{name}")) && said.contains("handler"),
            "{said}"
        );
    }
}

#[test]
fn secrets_of_handlers_may_stand_in_files_and_in_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let toml = r#"
        [[handlers]]
        name = "a"
        type = "http"
        url_file = "url"
        headers = { authorization = "Bearer ${RELAY_TOKEN}", x-tenant = "acme" }
        headers_file = { x-api-key = "key" }
        [[handlers]]
        name = "b"
        type = "nats"
        nats.servers = ["tls://example.com"]
        nats.user = "u"
        nats.password_file = "password"
    "#;
    for (name, content) in [
        ("url", "https://example.com/hook/LEAK\n"),
        ("key", "LEAK\n"),
        ("password", "LEAK\n"),
    ] {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let values = [&THREE[..], &[("RELAY_TOKEN", "LEAK")]].concat();
    let loaded = load(&file(folder.path(), toml), &environment(&values), true).unwrap();
    assert_eq!(loaded.handlers.len(), 2);
    assert!(!format!("{loaded:?}").contains("LEAK"));
    let files: Vec<_> = loaded
        .secret_files
        .iter()
        .filter_map(|file| file.file_name()?.to_str())
        .collect();
    assert_eq!(files, ["url", "key", "password"], "the configuration itself holds none");

    let toml = toml.replace("${RELAY_TOKEN}", "LEAK");
    let loaded = load(&file(folder.path(), &toml), &environment(&values), true).unwrap();
    assert!(
        loaded.secret_files.contains(&folder.path().join("worker.toml")),
        "now it does"
    );

    let wrong = r#"
        [[handlers]]
        name = "a"
        type = "http"
        url = "https://example.com/${UNSET}"
        headers = { authorization = "x" }
        headers_file = { authorization = "key" }
        [[handlers]]
        name = "b"
        type = "http"
        url_file = "nowhere"
    "#;
    insta::assert_snapshot!("secrets_that_are_not_there", refusal(wrong, &THREE));
}
