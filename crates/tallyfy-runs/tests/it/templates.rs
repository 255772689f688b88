//! A template by its id, the caller, and the members: what is asked for, and what comes of an answer.

use tallyfy_runs::model::{Checklist, WithJson};
use tallyfy_runs::{Error, GetTaskOptions, GetTemplateOptions, Include, TaskInclude, TemplateInclude};

use crate::answering::{answer, client};

async fn get_c1(body: &str, options: &GetTemplateOptions) -> (String, Result<WithJson<Checklist>, Error>) {
    let (client, asked) = client(Ok(answer(200, body)));
    let template = client.get_template("c1", options).await;
    (asked.recv().unwrap(), template)
}

#[tokio::test]
async fn each_thing_by_its_id_is_one_request_with_its_includes() {
    let mut asked = Vec::new();
    let template = r#"{"data":{"id":"c1"}}"#;
    let both = GetTemplateOptions::none().with_includes([TemplateInclude::Steps, TemplateInclude::Tags]);
    for options in [GetTemplateOptions::default(), GetTemplateOptions::none(), both] {
        asked.push(get_c1(template, &options).await.0);
    }
    let includes = [
        TaskInclude::FormFields,
        TaskInclude::KoFormFields,
        TaskInclude::RunChecklist,
    ];
    for options in [
        GetTaskOptions::default(),
        GetTaskOptions::default().with_includes(includes),
        GetTaskOptions::default().with_includes([Include::FormFields.as_ref().parse().unwrap()]),
    ] {
        let (client, receiver) = client(Ok(answer(200, r#"{"data":{"id":"t1"}}"#)));
        client.get_task("t1", &options).await.unwrap();
        asked.push(receiver.recv().unwrap());
    }
    let (client, receiver) = client(Ok(answer(200, r#"{"data":{"id":7}}"#)));
    client.me().await.unwrap();
    asked.push(receiver.recv().unwrap());
    insta::assert_snapshot!("by_id", asked.join("\n"));
}

#[tokio::test]
async fn a_template_keeps_its_json_however_it_is_wrapped() {
    for body in [
        r#"{"data":{"id":"c1","title":"One","new":1.50}}"#,
        r#"{"id":"c1","title":"One","new":1.50}"#,
        r#"{"data":[{"id":"C1","title":"One","new":1.50}]}"#,
    ] {
        let (_, template) = get_c1(body, &GetTemplateOptions::none()).await;
        let template = template.unwrap();
        assert_eq!(template.title.as_str(), Some("One"), "{body}");
        assert!(
            template.raw().contains("1.50") && body.contains(template.raw()),
            "{body}"
        );
        assert_eq!(serde_json::to_string(&template).unwrap(), template.raw());
    }
}

#[tokio::test]
async fn what_is_no_template_is_an_error_that_says_what_it_is() {
    let mut table = Vec::new();
    for body in [
        "",
        "<html>",
        r#"{"data":null}"#,
        r#"{"data":"c1"}"#,
        r#"{"data":{"id":"c2"}}"#,
        r#"{"errors":{}}"#,
    ] {
        let shown = match get_c1(body, &GetTemplateOptions::none()).await.1 {
            Ok(template) => format!("a template: {:?}", template.id),
            Err(error) => error.to_string(),
        };
        table.push(format!("{body}\n    {shown}"));
    }
    insta::assert_snapshot!("what_is_no_template", table.join("\n"));
}
