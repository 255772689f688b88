//! The trait that every transport and every layer implements.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Request, Response, TransportError};

/// Sends one request and returns the answer.
///
/// An answer that is not 2xx is an `Ok`: what a status means is for the caller to say. An `Err` means that there is no
/// complete answer, and its [`kind`](TransportError::kind) says what can be done about it.
///
/// Dropping the future abandons the request; whether the server has seen it is then unknown.
#[async_trait]
pub trait HttpTransport: Send + Sync {
    /// Sends `request`: at most once, unless the transport is there to send it again.
    async fn send(&self, request: Request) -> Result<Response, TransportError>;
}

#[async_trait]
impl<T: HttpTransport + ?Sized> HttpTransport for Arc<T> {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        (**self).send(request).await
    }
}

#[async_trait]
impl<T: HttpTransport + ?Sized> HttpTransport for Box<T> {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        (**self).send(request).await
    }
}
