//! The transport on real sockets: reqwest, with rustls and ring.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::reqwest::{Client, Proxy, Url, redirect, retry};
use async_trait::async_trait;
use bytes::BytesMut;
use http::header::{ACCEPT, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::{BaseUrl, ErrorKind, HttpTransport, Request, Response, Secret, TransportError};

/// Without this header the API answers 401 or 404; the value is the only one that is documented (API reference, a.2).
const CLIENT_HEADER: HeaderName = HeaderName::from_static("x-tallyfy-client");
const DEFAULT_CLIENT: &str = "APIClient";

const DEFAULT_USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// Sends requests over HTTP/1.1, or HTTP/2 with the feature `http2`, over TLS unless the base URL is on this machine.
///
/// - Every request carries `Accept: application/json` and `X-Tallyfy-Client`, unless it sets these headers itself.
/// - One `send` is at most one request: redirects are returned as they are, and nothing is sent again.
/// - gzip is undone. The limit for the size of an answer counts the bytes after that.
/// - The proxy of the environment is used, except for a base URL on this machine.
/// - Whom it trusts: the system's root certificates, or those of [`ReqwestTransportBuilder::trusting_only`] or
///   `trusting_mozilla`.
///
/// Clones share one pool of connections.
#[derive(Clone, Debug)]
pub struct ReqwestTransport {
    client: Client,
    base: BaseUrl,
    /// Those that a request has unless it sets them itself.
    headers: HeaderMap,
    max_response_bytes: usize,
}

/// 64 MiB.
const MAX_RESPONSE_BYTES: usize = 64 * 1024 * 1024;

/// Settings of a [`ReqwestTransport`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ReqwestTransportBuilder {
    base: BaseUrl,
    connect_timeout: Duration,
    read_timeout: Duration,
    timeout: Duration,
    max_response_bytes: usize,
    user_agent: String,
    client_header: String,
    proxy: Option<Secret>,
    roots: Roots,
}

/// Whose certificates are trusted.
#[derive(Clone, Debug)]
enum Roots {
    System,
    #[cfg(feature = "webpki-roots")]
    Mozilla,
    Pem(Vec<u8>),
}

/// Why a [`ReqwestTransport`] could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A setting is not a legal value of the header it is for.
    #[error("{value:?} cannot be sent as the header {header}")]
    Header {
        /// The name of the header.
        header: HeaderName,
        /// The setting.
        value: String,
    },
    /// The base URL is none.
    #[error(transparent)]
    BaseUrl(#[from] crate::BaseUrlError),
    /// The URL of the proxy is none. It is not shown, since it may hold a password.
    #[error("the url of the proxy cannot be used")]
    Proxy,
    /// What is to be trusted is no PEM text with certificates in it.
    #[error("there is no certificate to trust in the PEM text")]
    Roots,
    /// TLS or the client could not be set up, for example because the system has no root certificates.
    #[error("http client cannot be set up")]
    Client(#[source] Box<dyn Error + Send + Sync>),
}

impl ReqwestTransport {
    /// Starts from the defaults: 5 s to connect, 20 s between two pieces of an answer, 30 s for all of it, 64 MiB.
    pub fn builder(base: BaseUrl) -> ReqwestTransportBuilder {
        ReqwestTransportBuilder {
            base,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(20),
            timeout: Duration::from_secs(30),
            max_response_bytes: MAX_RESPONSE_BYTES,
            user_agent: DEFAULT_USER_AGENT.to_owned(),
            client_header: DEFAULT_CLIENT.to_owned(),
            proxy: None,
            roots: Roots::System,
        }
    }

    /// Sends through a client that somebody else has set up: its time-outs, its proxy, its TLS, its connections.
    ///
    /// The mandatory headers are added, and `User-Agent` unless a request sets it. Let the client follow no redirects and
    /// repeat nothing: what it does by itself, no layer sees. It is a client of reqwest 0.13.
    pub fn from_client(client: Client, base: BaseUrl) -> Self {
        Self {
            client,
            base,
            headers: default_headers(
                HeaderValue::from_static(DEFAULT_CLIENT),
                HeaderValue::from_static(DEFAULT_USER_AGENT),
            ),
            max_response_bytes: MAX_RESPONSE_BYTES,
        }
    }

    /// Where it sends to.
    pub fn base_url(&self) -> &BaseUrl {
        &self.base
    }

    /// Sets how large the body of an answer may be, after decompression.
    #[must_use]
    pub fn with_max_response_bytes(mut self, limit: usize) -> Self {
        self.max_response_bytes = limit;
        self
    }

    fn url(&self, request: &Request) -> Result<Url, url::ParseError> {
        Url::parse(&format!("{}{}", self.base, request.path_and_query()))
    }

    fn failed(&self, method: &Method, path: &str, cause: ::reqwest::Error) -> TransportError {
        let kind = classify(&cause);
        let error = TransportError::new(kind, method.clone(), path);
        let error = match kind {
            ErrorKind::Connect | ErrorKind::Tls => error.with_detail(self.base.as_str()),
            _ => error,
        };
        // With its URL, the cause would show the query.
        error.with_source(cause.without_url())
    }
}

impl ReqwestTransportBuilder {
    /// How long a connection, with its TLS handshake, may take to come about.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long the server may be silent before and during its answer.
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// How long everything may take, from the connection to the last byte of the body.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How large the body of an answer may be, after decompression.
    pub fn max_response_bytes(mut self, limit: usize) -> Self {
        self.max_response_bytes = limit;
        self
    }

    /// The `User-Agent`; by default the name and version of this crate.
    pub fn user_agent(mut self, value: impl Into<String>) -> Self {
        self.user_agent = value.into();
        self
    }

    /// The value of `X-Tallyfy-Client`; by default `APIClient`.
    pub fn client_header(mut self, value: impl Into<String>) -> Self {
        self.client_header = value.into();
        self
    }

    /// Sends everything through this proxy, `http://` or `https://`, with a user name and a password in it if need be, in the
    /// place of the one that the environment names.
    pub fn proxy(mut self, url: impl Into<Secret>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// Trusts the certificates in this PEM text and no others, for a company's own authority for example.
    pub fn trusting_only(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Roots::Pem(pem.into());
        self
    }

    /// Trusts the root certificates that Mozilla trusts, as compiled in, and not the system's.
    #[cfg(feature = "webpki-roots")]
    #[cfg_attr(docsrs, doc(cfg(feature = "webpki-roots")))]
    pub fn trusting_mozilla(mut self) -> Self {
        self.roots = Roots::Mozilla;
        self
    }

    /// Builds the transport. It connects to nothing yet.
    ///
    /// For an `https` base URL, rustls needs a crypto provider for the whole process: if none is installed, this
    /// installs ring's; if one is installed, that one is used.
    pub fn build(self) -> Result<ReqwestTransport, BuildError> {
        let headers = default_headers(
            header_value(CLIENT_HEADER, self.client_header)?,
            header_value(USER_AGENT, self.user_agent)?,
        );
        let mut client = Client::builder()
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(retry::never())
            .gzip(true)
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.read_timeout)
            .timeout(self.timeout);
        #[cfg(feature = "http2")]
        {
            client = client.http2_keep_alive_interval(Duration::from_secs(20));
        }
        if let Some(url) = &self.proxy {
            client = client.proxy(Proxy::all(url.expose()).map_err(|_| BuildError::Proxy)?);
        } else if self.base.is_loopback() {
            client = client.no_proxy();
        }
        let is_https = self.base.as_str().starts_with("https:");
        let roots = if is_https {
            install_crypto_provider();
            client = client.https_only(true);
            self.roots.store()?
        } else {
            // Trusts nobody. A client for plain http needs none of the system's root certificates, which take time to load
            // and are missing in small container images.
            Some(RootCertStore::empty())
        };
        if let Some(roots) = roots {
            let config = tls(roots).map_err(|cause| BuildError::Client(cause.into()))?;
            client = client.tls_backend_preconfigured(config);
        }
        let client = client.build().map_err(|cause| BuildError::Client(cause.into()))?;
        Ok(ReqwestTransport {
            client,
            base: self.base,
            headers,
            max_response_bytes: self.max_response_bytes,
        })
    }
}

impl Roots {
    /// Who is trusted; none for the system's own way to tell.
    fn store(&self) -> Result<Option<RootCertStore>, BuildError> {
        let mut store = RootCertStore::empty();
        match self {
            Self::System => return Ok(None),
            #[cfg(feature = "webpki-roots")]
            Self::Mozilla => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Self::Pem(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    let certificate = certificate.map_err(|_| BuildError::Roots)?;
                    store.add(certificate).map_err(|_| BuildError::Roots)?;
                }
                if store.is_empty() {
                    return Err(BuildError::Roots);
                }
            }
        }
        Ok(Some(store))
    }
}

fn default_headers(client: HeaderValue, user_agent: HeaderValue) -> HeaderMap {
    HeaderMap::from_iter([
        (ACCEPT, HeaderValue::from_static("application/json")),
        (CLIENT_HEADER, client),
        (USER_AGENT, user_agent),
    ])
}

fn header_value(header: HeaderName, value: String) -> Result<HeaderValue, BuildError> {
    HeaderValue::from_str(&value).map_err(|_| BuildError::Header { header, value })
}

/// reqwest takes the provider of the process and panics when there is none. Losing the race against another caller is
/// as good as winning it.
fn install_crypto_provider() {
    if CryptoProvider::get_default().is_none() {
        let _ = ring::default_provider().install_default();
    }
}

fn tls(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // A configuration that reqwest did not make is taken as it is.
    if cfg!(feature = "http2") {
        config.alpn_protocols.push(b"h2".to_vec());
    }
    config.alpn_protocols.push(b"http/1.1".to_vec());
    Ok(config)
}

#[async_trait]
impl HttpTransport for ReqwestTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let (method, path) = (request.method().clone(), request.path().to_owned());
        let url = self.url(&request).map_err(|cause| {
            TransportError::new(ErrorKind::InvalidRequest, method.clone(), path.as_str()).with_source(cause)
        })?;
        let mut outgoing = ::reqwest::Request::new(method.clone(), url);
        let mut headers = self.headers.clone();
        for (name, value) in request.headers() {
            headers.insert(name, value.clone());
        }
        *outgoing.headers_mut() = headers;
        *outgoing.body_mut() = request.body_bytes().cloned().map(Into::into);

        let mut answer = self
            .client
            .execute(outgoing)
            .await
            .map_err(|cause| self.failed(&method, &path, cause))?;
        let status = answer.status();
        let headers = std::mem::take(answer.headers_mut());

        let too_large = || {
            TransportError::new(ErrorKind::TooLarge, method.clone(), path.as_str())
                .with_detail(format!("more than {} bytes", self.max_response_bytes))
        };
        if answer
            .content_length()
            .is_some_and(|announced| announced > self.max_response_bytes as u64)
        {
            return Err(too_large());
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|cause| self.failed(&method, &path, cause))?
        {
            if chunk.len() > self.max_response_bytes - body.len() {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        tracing::debug!(%method, path, status = status.as_u16(), bytes = body.len(), "answered");
        Ok(Response::new(status, headers, body))
    }
}

fn classify(error: &::reqwest::Error) -> ErrorKind {
    if error.is_builder() {
        ErrorKind::InvalidRequest
    } else if is_tls(error) {
        ErrorKind::Tls
    } else if error.is_connect() {
        ErrorKind::Connect
    } else if error.is_timeout() {
        ErrorKind::Timeout
    } else {
        ErrorKind::Interrupted
    }
}

/// Whether rustls is among the causes. An `io::Error` hides what it wraps from `source`.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<rustls::Error>() {
            return true;
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = wrapped
            .map(|wrapped| wrapped as &(dyn Error + 'static))
            .or_else(|| error.source());
    }
    false
}
