//! A transport for the tests of whoever takes one.

use async_trait::async_trait;

use crate::{HttpTransport, Request, Response, TransportError};

mockall::mock! {
    /// An [`HttpTransport`] that answers as it was told to; see mockall's documentation for the `expect_*` methods.
    #[derive(Debug)]
    pub HttpTransport {}

    #[async_trait]
    impl HttpTransport for HttpTransport {
        async fn send(&self, request: Request) -> Result<Response, TransportError>;
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;

    #[tokio::test]
    async fn the_mock_is_a_transport_behind_a_pointer() {
        let mut mock = MockHttpTransport::new();
        mock.expect_send()
            .withf(|request| request.path() == "/health")
            .return_once(|_| Ok(Response::new(StatusCode::OK, HeaderMap::new(), "fine")));
        let transport: std::sync::Arc<dyn HttpTransport> = std::sync::Arc::new(Box::new(mock));

        let response = transport.send(Request::get(["health"]).unwrap()).await.unwrap();

        assert_eq!(response.body, "fine");
    }
}
