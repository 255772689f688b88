//! Whose token it is, of what kind, and how long it is good.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tallyfy_runs::{Client, Error};

use super::finding::Finding;
use crate::config::{Loaded, Organization, TokenSetting};
use crate::{api, telemetry};

/// How long before its end a token is worth a warning.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

pub(super) async fn look(
    loaded: &Loaded,
    organization: &Organization,
    client: &Client,
    accepted: bool,
    timeout: Duration,
) -> Finding {
    let end = end(loaded, organization).await;
    let owner = match accepted {
        true => owner(client, timeout).await,
        false => "an owner who cannot be asked for".to_owned(),
    };
    let kind = match &organization.token {
        TokenSetting::Inline(_) => "a token in the configuration",
        TokenSetting::File(_) => "a token in a file",
        TokenSetting::Client { act_as: Some(_), .. } => "a token that a client exchanges for a user's",
        TokenSetting::Client { .. } => "a token that is issued to a client",
    };
    judge(
        &format!("{kind}, of {owner}"),
        end,
        Timestamp::now(),
        &organization.token,
    )
    .of(client.org())
}

fn judge(what: &str, end: Option<Timestamp>, now: Timestamp, setting: &TokenSetting) -> Finding {
    const NEW_ONE: &str =
        "make a new one under Settings > Integrations > REST API; in a file it counts without a restart";
    let renews = matches!(setting, TokenSetting::Client { .. });
    match end {
        Some(end) if end <= now => {
            Finding::failure("token", format!("{what}; it ended at {}", end.strftime("%F %R UTC"))).hint(NEW_ONE)
        }
        Some(end) if end.duration_since(now) < SOON && !renews => {
            Finding::warning("token", format!("{what}; it ends at {}", end.strftime("%F %R UTC"))).hint(NEW_ONE)
        }
        Some(end) => Finding::ok("token", format!("{what}; good until {}", end.strftime("%F %R UTC"))),
        None if renews => Finding::ok("token", format!("{what}; renewed by itself")),
        None => Finding::ok(
            "token",
            format!(
                "{what}; it does not say how long it is good: six months, or until its owner logs out of Tallyfy's pages"
            ),
        ),
    }
}

/// When the token ends, if it says so.
async fn end(loaded: &Loaded, organization: &Organization) -> Option<Timestamp> {
    let tokens = api::token_source(organization, &loaded.config.api).ok()?;
    let token = tokens.token().await.ok()?;
    end_of(token.expose())
}

/// What a JSON Web Token says of its end. Its signature is for others to look at.
pub(in crate::cli) fn end_of(token: &str) -> Option<Timestamp> {
    let mut parts = token.trim().split('.');
    let (_, claims, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else {
        return None;
    };
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let exp = serde_json::from_slice::<Value>(&claims).ok()?.get("exp")?.as_f64()?;
    #[expect(clippy::cast_possible_truncation, reason = "a second more or less does not matter")]
    Timestamp::from_second(exp as i64).ok()
}

async fn owner(client: &Client, timeout: Duration) -> String {
    match tokio::time::timeout(timeout, client.me()).await {
        Ok(Ok(me)) => {
            let name = me.full_name.as_str().unwrap_or("a member without a name");
            let role = me.role.as_str().map(|role| format!(" ({role})")).unwrap_or_default();
            format!("{name} <{}>{role}", me.email.as_str().unwrap_or_default())
        }
        // A token of an application is nobody's.
        Ok(Err(Error::NoAccess(_) | Error::NotFound(_) | Error::TokenRefused(_))) => "an application".to_owned(),
        Ok(Err(error)) => format!("somebody ({})", telemetry::chain(&error)),
        Err(_) => format!("somebody (no answer within {timeout:?})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_web_token_says_when_it_ends() {
        let token = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        let end = "2026-11-27T12:00:00Z".parse().unwrap();
        for claims in [r#"{"exp":1795780800}"#, r#"{"sub":"1","exp":1795780800.25}"#] {
            assert_eq!(end_of(&token(claims)), Some(end), "{claims}");
        }
        for odd in ["", "opaque", "a.b", "a.b.c", &token("{}"), &token("[1]")] {
            assert_eq!(end_of(odd), None, "{odd}");
        }
    }

    #[test]
    fn an_end_that_is_near_is_a_warning() {
        let now: Timestamp = "2026-11-27T12:00:00Z".parse().unwrap();
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let file = TokenSetting::File("token".into());
        let shown = [
            at("2026-11-27T11:00:00Z"),
            at("2026-12-01T00:00:00Z"),
            at("2027-05-01T00:00:00Z"),
            None,
        ]
        .map(|end| serde_json::to_string(&judge("a token", end, now, &file)).unwrap());
        insta::assert_snapshot!(shown.join("\n"));
    }
}
