//! Lists, page by page.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tallyfy_sim::quirks::{LinksForm, LinksHost, PagingForm, Quirks};

use crate::http::get;
use crate::simulator;

#[tokio::test]
async fn a_walk_along_the_links_finds_every_run_once() {
    let sim = simulator().await;
    for number in 0..25 {
        sim.launch(&format!("Run {number}")).unwrap();
    }
    let mut path = format!("/api/organizations/{}/runs?sort=created_at", sim.org());
    let mut found = BTreeSet::new();
    let mut sizes = Vec::new();
    loop {
        let body = get(&sim, &path).await.json();
        let runs = body["data"].as_array().unwrap();
        sizes.push(runs.len());
        found.extend(runs.iter().map(|run| run["id"].as_str().unwrap().to_owned()));
        match body["meta"]["pagination"]["links"]["next"].as_str() {
            Some(next) => path = next.strip_prefix(sim.base_url()).unwrap().to_owned(),
            None => break,
        }
    }
    assert_eq!((found.len(), sizes), (25, vec![10, 10, 5]));
}

#[tokio::test]
async fn pagination_can_be_had_in_every_form() {
    let sim = simulator().await;
    for number in 0..12 {
        sim.launch(&format!("Run {number}")).unwrap();
    }
    let meta = async |quirks: Quirks, query: &str| {
        sim.quirks().set(quirks);
        get(&sim, &format!("/organizations/{}/runs?{query}", sim.org()))
            .await
            .json()["meta"]
            .clone()
    };
    let links = async |links: LinksForm| {
        let meta = meta(
            Quirks {
                links,
                ..Quirks::default()
            },
            "page=2",
        )
        .await;
        meta.get("pagination")
            .map(|pagination| pagination.get("links").cloned())
    };
    assert_eq!(links(LinksForm::NextOrList).await, Some(Some(json!([]))));
    assert_eq!(links(LinksForm::NextOrObject).await, Some(Some(json!({}))));
    assert_eq!(links(LinksForm::Null).await, Some(Some(Value::Null)));
    assert_eq!(links(LinksForm::Absent).await, Some(None));
    assert_eq!(links(LinksForm::NoMeta).await, None);

    let other = meta(
        Quirks {
            links_host: LinksHost::Other,
            ..Quirks::default()
        },
        "",
    )
    .await;
    let next = other["pagination"]["links"]["next"].as_str().unwrap();
    assert!(!next.starts_with(sim.base_url()), "{next}");
    let off = meta(
        Quirks {
            paging: PagingForm::TotalPagesOff,
            ..Quirks::default()
        },
        "",
    )
    .await;
    assert_eq!(
        (&off["pagination"]["total"], &off["pagination"]["total_pages"]),
        (&json!(12), &json!(1))
    );
    let ignored = meta(
        Quirks {
            paging: PagingForm::PerPageIgnored,
            ..Quirks::default()
        },
        "per_page=100",
    )
    .await;
    assert_eq!(ignored["pagination"]["per_page"], json!(10));
}

#[tokio::test]
async fn a_page_past_the_end_is_empty() {
    let sim = simulator().await;
    sim.launch("Globex").unwrap();
    let body = get(&sim, &format!("/organizations/{}/runs?page=9", sim.org()))
        .await
        .json();
    assert_eq!(body["data"], json!([]));
    assert_eq!(body["meta"]["pagination"]["total"], json!(1));
}
