//! Who and what there is besides runs: the caller, members, guests, groups, tags, watchers.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::Path;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::context::{Context, data};
use super::error::ApiError;
use super::runs::{parse, unprocessable};
use crate::quirks::WatcherUrlForm;
use crate::render::Render;
use crate::world::{Organization, WorldError};

type Cx = Extension<Arc<Context>>;

/// `GET /me`
pub(super) async fn me(Extension(cx): Cx) -> Response {
    let org = cx.caller.org.clone();
    cx.read(&org, |org, render| caller(&cx, org, render))
}

/// `GET /organizations/{org}/me`
pub(super) async fn me_in(Extension(cx): Cx, Path(org): Path<String>) -> Response {
    cx.read(&org, |org, render| caller(&cx, org, render))
}

fn caller(cx: &Context, org: &Organization, render: &Render<'_>) -> Result<Value, ApiError> {
    Ok(data(render.user(org.user(cx.caller.user).ok_or(ApiError::NoResource)?)))
}

/// `GET /me/organizations`
pub(super) async fn my_organizations(Extension(cx): Cx) -> Response {
    let org = cx.caller.org.clone();
    cx.read(&org, |org, _| Ok(cx.page(vec![organization_fields(org)], |org| org)))
}

/// `GET /organizations/{org}`
pub(super) async fn organization(Extension(cx): Cx, Path(org): Path<String>) -> Response {
    cx.read(&org, |org, _| Ok(data(organization_fields(org))))
}

fn organization_fields(org: &Organization) -> Value {
    json!({
        "id": org.id,
        "name": org.name,
        "users_count": org.users.len(),
        "timezone": "UTC",
        "in_trial": false,
        "created_on": org.created_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "webhook_date_field_format": "yyyy-MM-ddTHH:mm:ssZ",
    })
}

/// `GET /organizations/{org}/users`
pub(super) async fn users(Extension(cx): Cx, Path(org): Path<String>) -> Response {
    cx.read(&org, |org, render| {
        Ok(cx.page(org.users.values().collect(), |user| render.user(user)))
    })
}

/// `GET /organizations/{org}/users-list`
pub(super) async fn users_list(Extension(cx): Cx, Path(org): Path<String>) -> Response {
    cx.read(&org, |org, render| {
        Ok(data(org.users.values().map(|user| render.user(user)).collect()))
    })
}

/// `GET /organizations/{org}/users/{user}`
pub(super) async fn user(Extension(cx): Cx, Path((org, user)): Path<(String, i64)>) -> Response {
    cx.read(&org, |org, render| {
        Ok(data(render.user(org.user(user).ok_or(ApiError::NoResource)?)))
    })
}

/// `GET /organizations/{org}/guests`
pub(super) async fn guests(Extension(cx): Cx, Path(org): Path<String>) -> Response {
    cx.read(&org, |org, render| {
        Ok(cx.page(org.guests.values().collect(), |guest| render.guest(guest)))
    })
}

/// `GET /organizations/{org}/guests-list`
pub(super) async fn guests_list(Extension(cx): Cx, Path(org): Path<String>) -> Response {
    cx.read(&org, |org, render| {
        Ok(data(org.guests.values().map(|guest| render.guest(guest)).collect()))
    })
}

/// `GET /organizations/{org}/guests/{guest}`
pub(super) async fn guest(Extension(cx): Cx, Path((org, guest)): Path<(String, String)>) -> Response {
    cx.read(&org, |org, render| {
        Ok(data(render.guest(org.guests.get(&guest).ok_or(ApiError::NoResource)?)))
    })
}

/// `GET /organizations/{org}/groups`
pub(super) async fn groups(Extension(cx): Cx, Path(org): Path<String>) -> Response {
    cx.read(&org, |org, render| {
        Ok(cx.page(org.groups.values().collect(), |group| render.group(group)))
    })
}

/// `GET /organizations/{org}/groups/{group}`
pub(super) async fn group(Extension(cx): Cx, Path((org, group)): Path<(String, String)>) -> Response {
    cx.read(&org, |org, render| {
        Ok(data(render.group(org.groups.get(&group).ok_or(ApiError::NoResource)?)))
    })
}

/// `GET /organizations/{org}/tags`
pub(super) async fn tags(Extension(cx): Cx, Path(org): Path<String>) -> Response {
    cx.read(&org, |org, render| {
        Ok(cx.page(org.tags.values().collect(), |tag| render.tag(tag)))
    })
}

/// `GET /organizations/{org}/tags/{tag}`
pub(super) async fn tag(Extension(cx): Cx, Path((org, tag)): Path<(String, String)>) -> Response {
    cx.read(&org, |org, render| {
        Ok(data(render.tag(org.tags.get(&tag).ok_or(ApiError::NoResource)?)))
    })
}

/// `GET /organizations/{org}/watchers`
pub(super) async fn watchers(Extension(cx): Cx, Path(org): Path<String>) -> Response {
    if !is_admin(&cx) {
        return cx.refuse(&ApiError::Forbidden);
    }
    let key = match cx.quirks.watcher_urls {
        WatcherUrlForm::Webhook => "webhook",
        WatcherUrlForm::WebhookUrl => "webhook_url",
        WatcherUrlForm::Url => "url",
    };
    cx.read(&org, |org, _| {
        let all = org
            .watchers
            .iter()
            .map(|watcher| json!({"id": watcher.id, key: watcher.url}));
        Ok(data(all.collect()))
    })
}

/// The body that registers a watcher.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WatcherBody {
    object_type: String,
    object_id: String,
    notification_type: String,
    webhook: String,
}

impl WatcherBody {
    /// What is not as it has to be.
    fn fault(&self, org: &str) -> Option<(&'static str, &'static str)> {
        let faults = [
            (self.object_type != "organization", "object_type", "is invalid"),
            (self.object_id != org, "object_id", "is invalid"),
            (self.notification_type != "webhook", "notification_type", "is invalid"),
            (url::Url::parse(&self.webhook).is_err(), "webhook", "must be a URL"),
        ];
        let mut found = faults.into_iter().filter(|(is_wrong, ..)| *is_wrong);
        found.next().map(|(_, field, message)| (field, message))
    }
}

/// `POST /organizations/{org}/users/{user}/add-watcher`
pub(super) async fn add_watcher(Extension(cx): Cx, Path((org, _user)): Path<(String, i64)>, body: Bytes) -> Response {
    if !is_admin(&cx) {
        return cx.refuse(&ApiError::Forbidden);
    }
    let url = match parse::<WatcherBody>(&body) {
        Ok(body) => match body.fault(&org) {
            Some((field, message)) => return cx.refuse(&unprocessable(field, message)),
            None => body.webhook,
        },
        Err(error) => return cx.refuse(&error),
    };
    cx.change(
        &org,
        StatusCode::CREATED,
        |world| world.add_watcher(&org, &url),
        |_, _, id| Ok(data(json!({"id": id}))),
    )
}

/// `DELETE /organizations/{org}/remove-watcher/{watcher}`
pub(super) async fn remove_watcher(Extension(cx): Cx, Path((org, watcher)): Path<(String, u64)>) -> Response {
    if !is_admin(&cx) {
        return cx.refuse(&ApiError::Forbidden);
    }
    let remove = |world: &mut crate::world::World| -> Result<(), WorldError> { world.remove_watcher(&org, watcher) };
    cx.change(&org, StatusCode::OK, remove, |_, _, ()| Ok(data(json!({}))))
}

fn is_admin(cx: &Context) -> bool {
    let world = cx.shared.world();
    let user = world
        .organization(&cx.caller.org)
        .and_then(|org| org.user(cx.caller.user));
    user.is_some_and(|user| user.role == "admin")
}
