//! Connections, and whether the server can be used at all.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::column::Columns as _;
use super::failure::{Failure, chain};
use super::session::no_connection;
use super::settings::{Target, Trust};
use crate::error::StoreError;

/// How long a verb may wait for a connection.
const WAIT: Duration = Duration::from_secs(10);
/// The oldest server that can be used.
const OLDEST: i32 = 140_000;

/// Connections that are opened when they are needed.
pub(super) fn pool(target: &Target, tls: MakeRustlsConnect) -> Result<Pool, StoreError> {
    let config = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = Manager::from_config(target.config.clone(), tls, config);
    let pool = Pool::builder(manager)
        .max_size(target.connections)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(WAIT))
        .create_timeout(Some(WAIT))
        .build();
    pool.map_err(|error| misconfigured(target, &error.to_string()))
}

/// Encryption as it was asked for.
pub(super) fn tls(target: &Target) -> Result<MakeRustlsConnect, StoreError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| misconfigured(target, &error.to_string()))?;
    let config = match &target.trust {
        Trust::Anybody => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unchecked(provider)))
            .with_no_client_auth(),
        Trust::System => builder
            .with_platform_verifier()
            .map_err(|error| misconfigured(target, &format!("the system's certificates cannot be read: {error}")))?
            .with_no_client_auth(),
        Trust::Authorities(file) => builder
            .with_root_certificates(authorities(target, file)?)
            .with_no_client_auth(),
    };
    Ok(MakeRustlsConnect::new(config))
}

fn authorities(target: &Target, file: &Path) -> Result<RootCertStore, StoreError> {
    let unreadable = |error: String| {
        misconfigured(
            target,
            &format!("the certificates in {} cannot be read: {error}", file.display()),
        )
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(error.to_string()))? {
        let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unreadable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unreadable("there is none in it".to_owned()));
    }
    Ok(roots)
}

/// Encrypts, and believes any certificate: what `sslmode=prefer` means everywhere.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Looks whether the server can be used: it answers, is new enough, and can be written.
pub(super) async fn examine(target: &Target, pool: &Pool) -> Result<(), StoreError> {
    let asked = async {
        let connection = pool.get().await.map_err(no_connection)?;
        let asked = connection
            .query_typed(
                "SELECT current_setting('server_version_num')::integer, current_setting('server_version'),
                        pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on'",
                &[],
            )
            .await?;
        let row = asked.into_iter().next().ok_or(Failure::Conflict)?;
        Ok::<_, Failure>((
            row.at::<i32>(0)?,
            row.at::<String>(1)?,
            row.at::<bool>(2)?,
            row.at::<bool>(3)?,
        ))
    };
    let (number, version, is_replica, is_read_only) = asked.await.map_err(|failure| explain(target, failure))?;
    if number < OLDEST {
        return Err(misconfigured(
            target,
            &format!("the server is PostgreSQL {version}; 14 or later is needed"),
        ));
    }
    if is_replica {
        return Err(misconfigured(
            target,
            "the server is a replica, which can only be read; name the primary",
        ));
    }
    if is_read_only {
        return Err(misconfigured(
            target,
            "the server is set to be read only (default_transaction_read_only)",
        ));
    }
    Ok(())
}

/// What a person has to mend, or that the database is away.
pub(super) fn explain(target: &Target, failure: Failure) -> StoreError {
    let user = target.config.get_user().unwrap_or_default();
    let database = target.config.get_dbname().unwrap_or(user);
    let Failure::Postgres(error) = &failure else {
        return failure.into_store_error(&target.place, "connecting to the database");
    };
    let reason = match error.code() {
        Some(code) if *code == SqlState::INVALID_PASSWORD => format!("the password of user {user} is refused"),
        Some(code) if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            format!("user {user} is refused: {}", message(error))
        }
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => format!("there is no database {database}"),
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => return lacks_rights(target, message(error)),
        Some(code) if *code == SqlState::READ_ONLY_SQL_TRANSACTION => "the server can only be read".to_owned(),
        Some(_) => return failure.into_store_error(&target.place, "connecting to the database"),
        None if is_about_trust(error) => format!("the connection cannot be encrypted as asked for: {}", chain(error)),
        None if chain(error).contains("password missing") => {
            format!("user {user} needs a password, and the URL has none")
        }
        None => return failure.into_store_error(&target.place, "connecting to the database"),
    };
    misconfigured(target, &reason)
}

/// That the user may not do what is needed.
pub(super) fn lacks_rights(target: &Target, what: &str) -> StoreError {
    let (user, schema) = (target.config.get_user().unwrap_or_default(), &target.schema);
    misconfigured(
        target,
        &format!(
            "user {user} lacks rights: {what}; let an administrator say: CREATE SCHEMA IF NOT EXISTS {schema} \
             AUTHORIZATION {user}"
        ),
    )
}

fn message(error: &tokio_postgres::Error) -> &str {
    error.as_db_error().map_or("", |error| error.message())
}

/// Whether the certificate or the encryption is what is wrong.
fn is_about_trust(error: &tokio_postgres::Error) -> bool {
    let text = chain(error);
    text.contains("certificate") || text.contains("does not support TLS")
}

fn misconfigured(target: &Target, reason: &str) -> StoreError {
    StoreError::Misconfigured {
        reason: format!("{}: {reason}", target.place.display()),
    }
}
