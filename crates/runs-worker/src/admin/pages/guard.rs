//! Who may see the pages, what a browser may do with them, and where a form may come from.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use subtle::ConstantTimeEq as _;

use super::{Pages, Shared};
use crate::shared::visible::visible_line;

/// Nothing but the stylesheet, and forms that go back to where they came from.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The longest name of a person that is recorded.
const MAX_NAME: usize = 80;

/// Who looks on, as far as is known.
#[derive(Clone)]
pub(super) struct Who(pub(super) String);

pub(super) async fn check(State(pages): State<Shared>, mut request: Request, next: Next) -> Response {
    let login = match pages.login(request.headers()).await {
        Ok(login) => login,
        Err(answer) => return answer,
    };
    let who = pages.who(request.headers(), login);
    request.extensions_mut().insert(Who(who));
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

impl Pages {
    /// The name that somebody has logged in with; none is asked for where there is no password.
    async fn login(&self, headers: &HeaderMap) -> Result<Option<String>, Response> {
        let Some(file) = &self.config.password_file else {
            return Ok(None);
        };
        let Ok(password) = tokio::fs::read_to_string(file).await else {
            let text = "the file admin.password_file cannot be read";
            return Err((StatusCode::SERVICE_UNAVAILABLE, text).into_response());
        };
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| STANDARD.decode(value.strip_prefix("Basic ")?.trim()).ok());
        let given = given.and_then(|bytes| String::from_utf8(bytes).ok());
        let password = password.trim();
        match given.as_deref().and_then(|given| given.split_once(':')) {
            Some((name, given)) if !password.is_empty() && bool::from(given.as_bytes().ct_eq(password.as_bytes())) => {
                Ok(Some(name.to_owned()))
            }
            _ => {
                let ask = [(WWW_AUTHENTICATE, "Basic realm=\"runs-worker\", charset=\"UTF-8\"")];
                Err((StatusCode::UNAUTHORIZED, ask, "a password is needed").into_response())
            }
        }
    }

    /// Who looks on: what the proxy says, or the name of the login.
    fn who(&self, headers: &HeaderMap, login: Option<String>) -> String {
        let header = self.config.user_header.as_deref().and_then(|name| headers.get(name));
        let by_proxy = header.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let name = by_proxy.or(login).filter(|name| !name.trim().is_empty());
        let name = name.map_or_else(|| "somebody on the page".to_owned(), |name| visible_line(&name));
        name.chars().take(MAX_NAME).collect()
    }

    /// Whether a form comes from a page of ours, as far as the browser says; it must say so.
    pub(super) fn is_from_us(&self, headers: &HeaderMap, token: &str) -> bool {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let origin: Option<&str> = text(ORIGIN);
        let host: Option<&str> = text(HOST);
        let same = origin
            .and_then(|origin| origin.split_once("://"))
            .is_some_and(|(_, from)| host.is_some_and(|host| from.eq_ignore_ascii_case(host)));
        same && bool::from(token.as_bytes().ct_eq(self.token.as_bytes()))
    }
}
