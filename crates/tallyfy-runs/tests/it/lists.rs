//! Lists in pages, whatever the server says of them.

use std::sync::{Arc, Mutex};

use futures_util::{StreamExt as _, TryStreamExt as _};
use tallyfy_model::{Checklist, Json, RunStatus, RunType, TaskStatus};
use tallyfy_runs::{
    Archived, Client, Error, Include, ListRunsOptions, ListTasksOptions, ListTemplatesOptions, Page, RunOrder,
    TaskInclude, TaskOrder, TemplateInclude,
};
use tallyfy_transport::{ErrorKind, MockHttpTransport, Request, Response, TransportError};

use crate::answering::answer;

/// A client whose requests are answered by their page, and what it asked for.
fn paged(
    answer_page: impl Fn(u32) -> Result<Response, TransportError> + Send + 'static,
) -> (Client, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let mut transport = MockHttpTransport::new();
    transport.expect_send().returning(move |request| {
        log.lock().unwrap().push(request.path_and_query());
        answer_page(page_of(&request))
    });
    (Client::new(transport, "acme"), asked)
}

/// What is beside the data of a page.
type Meta = fn(u32) -> String;

fn page_of(request: &Request) -> u32 {
    let page = request.query_pairs().find(|(name, _)| *name == "page");
    page.map_or(1, |(_, number)| number.parse().unwrap())
}

fn run_json(id: u32) -> String {
    format!(r#"{{"id":"r{id}"}}"#)
}

/// Page after page of runs `r1`, `r2`, …, with this beside each.
fn pages_of(total: u32, size: u32, meta: impl Fn(u32) -> String) -> impl Fn(u32) -> Result<Response, TransportError> {
    move |page| {
        let ids = (1..=total).skip(((page - 1) * size) as usize).take(size as usize);
        let runs: Vec<String> = ids.map(run_json).collect();
        Ok(answer(200, format!(r#"{{"data":[{}]{}}}"#, runs.join(","), meta(page))))
    }
}

async fn ids(client: &Client) -> Vec<String> {
    let runs = client.list_runs(&ListRunsOptions::default()).all().await.unwrap();
    runs.iter().map(|run| run.id().to_string()).collect()
}

fn expected(total: u32) -> Vec<String> {
    (1..=total).map(|id| format!("r{id}")).collect()
}

#[tokio::test]
async fn every_run_is_found_whatever_is_said_of_the_pages() {
    let metas: [(&str, Meta); 10] = [
        ("no meta", |_| String::new()),
        ("meta null", |_| r#","meta":null"#.into()),
        ("links as an array", |page| {
            format!(r#","meta":{{"pagination":{{"total":250,"per_page":100,"current_page":{page},"links":[]}}}}"#)
        }),
        ("a page size that is not the real one", |page| {
            format!(
                r#","meta":{{"pagination":{{"total":250,"per_page":10,"current_page":{page},"total_pages":25,"links":{{}}}}}}"#
            )
        }),
        ("too few pages", |_| {
            r#","meta":{"pagination":{"total":250,"total_pages":1,"links":{"next":null}}}"#.into()
        }),
        ("too many pages", |_| {
            r#","meta":{"pagination":{"total":"250","total_pages":99}}"#.into()
        }),
        ("a foreign next", |page| {
            format!(
                r#","meta":{{"pagination":{{"links":{{"previous":null,"next":"https://evil.example/runs?page={page}"}}}}}}"#
            )
        }),
        ("only the current page", |page| {
            format!(r#","meta":{{"pagination":{{"current_page":{page},"links":{{"prev":null}}}}}}"#)
        }),
        ("a total that is too small", |_| {
            r#","meta":{"pagination":{"total":1}}"#.into()
        }),
        ("words", |_| r#","meta":{"pagination":"none"}"#.into()),
    ];
    for (name, meta) in metas {
        for size in [100, 10] {
            let (client, asked) = paged(pages_of(250, size, meta));
            assert_eq!(ids(&client).await, expected(250), "{name}, {size} on a page");
            for request in asked.lock().unwrap().iter() {
                assert!(
                    request.starts_with("/organizations/acme/runs?page="),
                    "{name}: {request}"
                );
            }
        }
    }
}

#[tokio::test]
async fn the_last_page_needs_no_page_after_it_where_everything_says_that_it_is_the_last() {
    let meta = |_| r#","meta":{"pagination":{"total":250,"total_pages":3,"links":[]}}"#.to_owned();
    let (client, asked) = paged(pages_of(250, 100, meta));
    assert_eq!(ids(&client).await.len(), 250);
    assert_eq!(asked.lock().unwrap().len(), 3);

    let says_next = |_| r#","meta":{"pagination":{"total":250,"links":{"next":"x"}}}"#.to_owned();
    let (client, asked) = paged(pages_of(250, 100, says_next));
    assert_eq!(ids(&client).await.len(), 250);
    assert_eq!(asked.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_server_that_ignores_the_page_does_not_keep_anybody_busy() {
    let (client, asked) = paged(|_| pages_of(100, 100, |_| String::new())(1));
    assert_eq!(ids(&client).await, expected(100));
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_moved_to_the_next_page_meanwhile_is_found_once() {
    let (client, _) = paged(|page| {
        let runs: Vec<String> = match page {
            1 => [1, 2, 3].map(run_json).into(),
            2 => [3, 4].map(run_json).into(),
            3 => [4, 3].map(run_json).into(),
            4 => [5].map(run_json).into(),
            _ => Vec::new(),
        };
        Ok(answer(200, format!(r#"{{"data":[{}]}}"#, runs.join(","))))
    });
    assert_eq!(ids(&client).await, expected(5));
}

#[tokio::test]
async fn a_list_may_come_in_any_of_the_forms_of_a_list() {
    for body in [
        r#"{"data":[{"id":"r1"},{"id":"r2"}]}"#,
        r#"{"data":{"0":{"id":"r1"},"3":{"id":"r2"}}}"#,
        r#"{"data":{"data":[{"id":"r1"},{"id":"r2"}]}}"#,
        r#"[{"id":"r1"},{"id":"r2"}]"#,
        r#"{"meta":{},"data":[{"id":"r1"},null,{"id":"r2"}]}"#,
    ] {
        let (client, _) = paged(move |page| Ok(answer(200, if page == 1 { body } else { r#"{"data":[]}"# })));
        assert_eq!(ids(&client).await, expected(2), "{body}");
    }
    for body in [r#"{"data":[]}"#, r#"{"data":null}"#, r#"{"data":{}}"#, "[]"] {
        let (client, _) = paged(move |_| Ok(answer(200, body)));
        assert_eq!(ids(&client).await, expected(0), "{body}");
    }
}

#[tokio::test]
async fn what_is_no_list_says_where_it_is_not() {
    let mut messages = Vec::new();
    for body in [
        r#"{"data":{"id":"r1"}}"#,
        r#"{"data":7}"#,
        r#"{"runs":[]}"#,
        "7",
        "",
        "<html>",
        "[{",
    ] {
        let (client, _) = paged(move |_| Ok(answer(200, body)));
        let error = client.list_runs(&ListRunsOptions::default()).all().await.unwrap_err();
        messages.push(format!("{body}: {error}"));
    }
    insta::assert_snapshot!("no_lists", messages.join("\n"));
}

#[tokio::test]
async fn an_element_that_is_no_run_takes_nothing_along() {
    let (client, _) = paged(|page| {
        Ok(answer(
            200,
            if page == 1 {
                r#"{"data":[{"id":"r1"},{"name":1.50},7,{"id":"r2"}]}"#
            } else {
                r#"{"data":[]}"#
            },
        ))
    });
    let page: Page<_> = client
        .list_runs(&ListRunsOptions::default())
        .next()
        .await
        .unwrap()
        .unwrap();
    assert_eq!((page.number, page.items.len()), (1, 2));
    let unreadable: Vec<&str> = page.unreadable.iter().map(Json::raw).collect();
    assert_eq!(unreadable, [r#"{"name":1.50}"#, "7"]);
}

#[tokio::test]
async fn a_page_that_failed_is_asked_for_again() {
    let failures = Mutex::new(2);
    let (client, asked) = paged(move |page| {
        let mut left = failures.lock().unwrap();
        if page == 2 && *left > 0 {
            *left -= 1;
            return Err(TransportError::new(ErrorKind::Timeout, http::Method::GET, "/runs"));
        }
        pages_of(15, 10, |_| String::new())(page)
    });
    let mut pages = client.list_runs(&ListRunsOptions::default()).per_page(10);
    let mut found = 0;
    let mut errors = 0;
    loop {
        match pages.next().await {
            Ok(Some(page)) => found += page.items.len(),
            Ok(None) => break,
            Err(Error::NotReachable(_)) => errors += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((found, errors), (15, 2));
    assert_eq!(
        *asked.lock().unwrap(),
        ["1", "2", "2", "2", "3"].map(|page| format!("/organizations/acme/runs?page={page}&per_page=10"))
    );
    assert!(pages.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_stream_asks_for_a_page_when_the_one_before_is_taken_and_ends_with_an_error() {
    let (client, asked) = paged(|page| match page {
        3 => Ok(answer(500, "")),
        _ => pages_of(100, 2, |_| String::new())(page),
    });
    let mut runs = client.list_runs(&ListRunsOptions::default()).into_stream();
    assert_eq!(asked.lock().unwrap().len(), 0);
    for (id, requests) in [("r1", 1), ("r2", 1), ("r3", 2), ("r4", 2)] {
        assert_eq!(runs.try_next().await.unwrap().unwrap().id().as_str(), id);
        assert_eq!(asked.lock().unwrap().len(), requests, "{id}");
    }
    assert!(matches!(runs.next().await, Some(Err(Error::ServerTrouble(_)))));
    assert!(runs.next().await.is_none());
}

#[tokio::test]
async fn every_filter_of_the_run_list_is_a_parameter() {
    let (client, asked) = paged(|_| Ok(answer(200, r#"{"data":[]}"#)));
    let options = ListRunsOptions::default()
        .with_search("a b+c")
        .with_status(RunStatus::Issue)
        .with_owners(["7", "8"])
        .with_groups(["g1"])
        .with_checklist("c1")
        .with_folder("d1")
        .with_tag("t1")
        .with_tags(["t2", "t3"])
        .with_untagged(true)
        .with_starred(true)
        .with_run_type(RunType::Procedure)
        .with_task_status(TaskStatus::InProgress)
        .with_archived(Archived::Only)
        .with_order(RunOrder::NewestFirst)
        .with_form_fields_values(true)
        .with_other("new", "1&2")
        .with_includes([Include::Tasks, Include::Tags]);
    assert!(client.list_runs(&options).next().await.unwrap().is_none());
    let unpaged = ListRunsOptions::default()
        .with_archived(Archived::Also)
        .with_unpaged(true);
    assert!(client.list_runs(&unpaged).next().await.unwrap().is_none());
    assert!(
        client
            .list_runs(&ListRunsOptions::default())
            .per_page(500)
            .next()
            .await
            .unwrap()
            .is_none()
    );
    insta::assert_snapshot!("run_filters", asked.lock().unwrap().join("\n").replace('&', "\n  &"));
}

#[tokio::test]
async fn every_filter_of_a_task_list_is_a_parameter() {
    let (client, asked) = paged(|_| Ok(answer(200, r#"{"data":[]}"#)));
    let options = ListTasksOptions::default()
        .with_status(TaskStatus::Overdue)
        .with_owners([7, 8])
        .with_guests(["a+b@example.com", "c@example.com"])
        .with_groups(["g1", "g2"])
        .with_unassigned(true)
        .with_order(TaskOrder::Deadline)
        .with_other("new", "1&2")
        .with_includes([TaskInclude::FormFields, TaskInclude::KoFormFields]);
    assert!(client.list_tasks("r1", &options).next().await.unwrap().is_none());
    let by_position = ListTasksOptions::default().with_order(TaskOrder::Position);
    let mut second = client.list_tasks("r1", &by_position).per_page(10).starting_at(2);
    assert!(second.next().await.unwrap().is_none());
    insta::assert_snapshot!("task_filters", asked.lock().unwrap().join("\n").replace('&', "\n  &"));
}

#[tokio::test]
async fn every_filter_of_the_template_list_is_a_parameter() {
    let (client, asked) = paged(|_| Ok(answer(200, r#"{"data":[]}"#)));
    let options = ListTemplatesOptions::default()
        .with_search("a b+c")
        .with_run_type(RunType::Procedure)
        .with_other("new", "1&2")
        .with_includes([TemplateInclude::Steps, TemplateInclude::Tags]);
    assert!(client.list_templates(&options).next().await.unwrap().is_none());
    let all = ListTemplatesOptions::default();
    assert!(client.list_templates(&all).next().await.unwrap().is_none());
    insta::assert_snapshot!(
        "template_filters",
        asked.lock().unwrap().join("\n").replace('&', "\n  &")
    );
}

#[tokio::test]
async fn a_filter_that_is_empty_is_refused_and_not_left_out() {
    let (client, asked) = paged(|_| Ok(answer(200, "")));
    let of_nothing = Checklist::default();
    let template = ListRunsOptions::default().with_checklist(&of_nothing);
    let error = client.list_runs(&template).next().await.unwrap_err();
    assert!(
        error.to_string().ends_with("the filter `checklist_id` is empty"),
        "{error}"
    );
    let guest = ListTasksOptions::default().with_guests([""]);
    let mut tasks = client.list_tasks("r1", &guest);
    assert!(matches!(tasks.next().await, Err(Error::Unsendable(_))));
    let none = ListRunsOptions::default().with_owners([0_u64; 0]).with_tags([""; 0]);
    assert!(client.list_runs(&none).next().await.is_err(), "the answer is empty");
    assert_eq!(*asked.lock().unwrap(), ["/organizations/acme/runs?page=1&per_page=100"]);
}

#[tokio::test]
async fn the_whole_list_is_one_request() {
    let (client, asked) = paged(pages_of(30, 30, |_| String::new()));
    let options = ListRunsOptions::default().with_unpaged(true);
    assert_eq!(client.list_runs(&options).all().await.unwrap().len(), 30);
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_tasks_of_a_run_are_listed_the_same_way() {
    let (client, asked) = paged(|page| {
        Ok(answer(
            200,
            match page {
                1 => r#"{"data":[{"id":"t1","status":"auto-skipped","step":{"data":{"id":"s1"}}},{"id":"t2"}]}"#,
                2 => r#"{"data":[{"id":"t2"},{"title":"without an id"}]}"#,
                _ => r#"{"data":[]}"#,
            },
        ))
    });
    let options = ListTasksOptions::default()
        .with_status(TaskStatus::Overdue)
        .with_order(TaskOrder::Deadline)
        .with_includes([TaskInclude::Step, TaskInclude::RunChecklist])
        .with_other("x", "y");
    let tasks = client.list_tasks("r/1", &options).all().await.unwrap();
    let found: Vec<_> = tasks.iter().map(|task| task.id.get().unwrap().as_str()).collect();
    assert_eq!(found, ["t1", "t2"]);
    assert_eq!(
        asked.lock().unwrap()[0],
        "/organizations/acme/runs/r%2F1/tasks?status=overdue&sort=deadline&x=y&with=step,run.checklist&page=1&per_page=100"
    );
}

#[tokio::test]
async fn an_id_that_is_no_part_of_a_path_is_refused_before_anything_is_sent() {
    let (client, asked) = paged(|_| Ok(answer(200, "")));
    for id in ["", ".", ".."] {
        let mut tasks = client.list_tasks(id, &ListTasksOptions::default());
        assert!(matches!(tasks.next().await, Err(Error::Unsendable(_))), "{id:?}");
        assert!(tasks.next().await.unwrap().is_none());
    }
    assert!(asked.lock().unwrap().is_empty());
}
