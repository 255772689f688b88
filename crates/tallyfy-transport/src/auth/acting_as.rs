//! From the token of an application to that of a user of an organization (API reference, sections a.3 and k.4).

use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use serde_json::Value;

use super::lifetime::lifetime;
use super::{CredentialsError, Secret, bearer, check_token};
use crate::{HttpTransport, Request};

/// How long a user's token serves if the API does not say: what the documentation says.
const DOCUMENTED_LIFETIME: Duration = Duration::from_secs(7_776_000);

/// Whom an application acts as.
pub(super) struct ActingAs {
    pub(super) api: Arc<dyn HttpTransport>,
    pub(super) org: String,
    pub(super) email: String,
}

impl ActingAs {
    /// Exchanges the application's token.
    pub(super) async fn exchange(&self, application: &Secret) -> Result<(Secret, Duration), CredentialsError> {
        let failed = |message: String| CredentialsError::new(format!("a token to act as {}: {message}", self.email));
        let request = Request::post(["applications", &self.org, "users", &self.email, "token"])
            .map_err(|error| failed(error.to_string()))?
            .header(AUTHORIZATION, bearer(application)?);
        let response = self
            .api
            .send(request)
            .await
            .map_err(|error| failed("the API did not answer".to_owned()).with_source(error))?;
        if !response.status.is_success() {
            let hint = match response.status.as_u16() {
                403 | 404 => "; the user must be a member of the organization already",
                _ => "",
            };
            return Err(failed(format!("the API answered {}{hint}", response.status.as_u16())));
        }
        let answer: Value =
            serde_json::from_slice(&response.body).map_err(|_| failed("the API's answer is not JSON".to_owned()))?;
        let answer = answer.get("data").filter(|data| data.is_object()).unwrap_or(&answer);
        let token = answer.get("access_token").or_else(|| answer.get("token"));
        let token = token.and_then(Value::as_str).unwrap_or_default();
        check_token(token, "the access_token to act as a user, in the API's answer")?;
        Ok((
            Secret::new(token),
            lifetime(answer.get("expires_in"), DOCUMENTED_LIFETIME),
        ))
    }
}
