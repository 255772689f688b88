//! The webhooks of an organization: what is asked for, and what comes of an answer.

use crate::answering::{answer, client};

#[tokio::test]
async fn watchers_are_listed_under_each_name_of_their_url() {
    let body = r#"{"data":[{"id":1,"webhook":"https://a.example"},{"id":2,"webhook_url":"https://b.example"},
                   {"id":"3","url":"https://c.example"}],"meta":{"pagination":{"total":3}}}"#;
    let (client, asked) = client(Ok(answer(200, body)));
    let watchers = client.list_watchers().all().await.unwrap();
    let asked = asked.recv().unwrap();
    assert_eq!(
        asked,
        "GET /organizations/acme/watchers?notification=webhook&page=1&per_page=100"
    );
    let urls: Vec<_> = watchers.iter().map(|watcher| watcher.any_url().unwrap()).collect();
    assert_eq!(urls, ["https://a.example", "https://b.example", "https://c.example"]);
}

#[tokio::test]
async fn one_is_added_by_the_caller_and_removed_by_its_id() {
    let (adding, asked) = client(Ok(answer(201, r#"{"data":{"id":17}}"#)));
    let added = adding.add_watcher(7, "https://a.example").await.unwrap();
    assert_eq!(added.id.get().unwrap().as_str(), "17");
    assert_eq!(asked.recv().unwrap(), "POST /organizations/acme/users/7/add-watcher");
    for body in ["", r#"{"data":{}}"#] {
        let (removing, asked) = client(Ok(answer(200, body)));
        removing.remove_watcher("17").await.unwrap();
        assert_eq!(asked.recv().unwrap(), "DELETE /organizations/acme/remove-watcher/17");
    }
}
