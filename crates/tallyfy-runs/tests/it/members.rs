//! The caller and the members.

use tallyfy_model::{Run, UserId};
use tallyfy_runs::{Error, Mismatch};

use crate::answering::{answer, client};

#[tokio::test]
async fn the_caller_is_read_in_each_form() {
    for body in [
        r#"{"data":{"id":1002,"email":"ada@example.com","first_name":"Ada"}}"#,
        r#"{"id":"1002","email":"ada@example.com","first_name":"Ada"}"#,
        r#"{"data":[{"id":1002,"email":"ada@example.com","first_name":"Ada"}]}"#,
    ] {
        let (client, asked) = client(Ok(answer(200, body)));
        let me = client.me().await.unwrap();
        assert_eq!(asked.recv().unwrap(), "GET /me");
        assert_eq!(me.id.get().unwrap(), &UserId::from("1002"), "{body}");
        assert_eq!(me.email.as_str(), Some("ada@example.com"));
        assert_eq!(me.first_name.as_str(), Some("Ada"));
    }
}

#[tokio::test]
async fn what_is_no_member_is_told_so() {
    for body in [
        r#"{"data":{}}"#,
        r#"{"data":null}"#,
        r#"{"data":{"email":"ada@example.com"}}"#,
        r#"{"data":"x y"}"#,
    ] {
        let (client, _asked) = client(Ok(answer(200, body)));
        match client.me().await {
            Err(Error::NotTheExpectedJson {
                mismatch: Mismatch::Unexpected { expected, .. },
                ..
            }) => {
                assert_eq!(expected, "a member", "{body}");
            }
            Ok(me) => assert_eq!(body, r#"{"data":"x y"}"#, "{me:?}"),
            Err(error) => panic!("{body}: {error}"),
        }
    }
}

#[tokio::test]
async fn assignees_have_the_addresses_of_members_and_of_guests() {
    let body = r#"{"data":[{"id":7,"email":"ada@example.com"},{"id":"8","email":"ben@example.com"},{"id":9}],
                   "meta":{"pagination":{"total":3}}}"#;
    let (client, asked) = client(Ok(answer(200, body)));
    let members = client.members().await.unwrap();
    assert_eq!(
        asked.recv().unwrap(),
        "GET /organizations/acme/users?page=1&per_page=100"
    );
    assert_eq!(members.len(), 3);

    let run = Run::from_json(
        r#"{"id":"r1","tasks":[
            {"id":"t1","owners":{"users":[7,{"id":8,"full_name":"Ben"},9,10],"guests":["guest@example.com",""],"groups":["g1"]}},
            {"id":"t2","owners":{"users":[{"id":11,"email":"own@example.com"}]}},
            {"id":"t3","owners":[]},{"id":"t4"}]}"#,
    )
    .unwrap();
    let emails: Vec<Vec<&str>> = run.tasks.iter().map(|task| members.emails(task)).collect();
    assert_eq!(
        emails,
        [
            vec!["ada@example.com", "ben@example.com", "guest@example.com"],
            vec!["own@example.com"],
            vec![],
            vec![],
        ]
    );
}
