//! Who may post webhooks.
//!
//! Tallyfy signs nothing. What there is: a secret in the path, which only the sender and we know, and a header with the
//! organization's id, which anybody can guess (API reference, section g.5).
//!
//! A wrong secret does not end the connection unless a body is left on it: behind a proxy, each new connection costs one of
//! the ports that honest senders need.

use std::sync::{Arc, PoisonError, RwLock};

use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use tallyfy_model::OrgId;

use crate::config::Organization;

/// Knows the secrets of every organization, as digests.
#[derive(Clone)]
struct Authenticator {
    organizations: Vec<OrgId>,
    /// The digest of a secret, and the position of its organization.
    secrets: Vec<([u8; 32], u32)>,
}

/// An authenticator that is replaced when the secrets are read again.
#[derive(Clone)]
pub(crate) struct SharedAuthenticator(Arc<RwLock<Authenticator>>);

impl SharedAuthenticator {
    pub(crate) fn new(organizations: &[Organization]) -> Self {
        Self(Arc::new(RwLock::new(Authenticator::new(organizations))))
    }

    pub(crate) fn replace(&self, organizations: &[Organization]) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Authenticator::new(organizations);
    }

    /// See [`Authenticator::authenticate`].
    pub(super) fn authenticate<'a>(
        &self,
        secret: &str,
        org_headers: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<OrgId, Refusal> {
        let authenticator = self.0.read().unwrap_or_else(PoisonError::into_inner);
        authenticator.authenticate(secret, org_headers).cloned()
    }
}

/// Why a webhook is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The path does not end in a valid secret. It is answered like any path that does not exist.
    UnknownSecret,
    /// The secret is valid, but the header does not name its organization.
    WrongOrganization,
}

impl Authenticator {
    fn new(organizations: &[Organization]) -> Self {
        let secrets = (0_u32..)
            .zip(organizations)
            .flat_map(|(position, organization)| {
                organization
                    .webhook_secrets
                    .iter()
                    .map(move |secret| (digest(secret.expose_secret()), position))
            })
            .collect();
        Self {
            organizations: organizations
                .iter()
                .map(|organization| organization.id.clone())
                .collect(),
            secrets,
        }
    }

    /// The organization that a secret belongs to, if the header names it, or names none: a proxy may have dropped it, and
    /// a secret belongs to one organization.
    ///
    /// A proxy may also have joined the header with its twin: equal values are one. Their case is no matter, as in other
    /// ids.
    ///
    /// Every secret is compared, over digests of one length, so that the time tells neither which one matched nor how
    /// much of it.
    fn authenticate<'a>(
        &self,
        secret: &str,
        org_headers: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<&OrgId, Refusal> {
        let presented = digest(secret);
        let mut found = Choice::from(0);
        let mut position = 0_u32;
        for (known, organization) in &self.secrets {
            let equal = presented.ct_eq(known);
            position.conditional_assign(organization, equal);
            found |= equal;
        }
        if !bool::from(found) {
            return Err(Refusal::UnknownSecret);
        }
        usize::try_from(position)
            .ok()
            .and_then(|position| self.organizations.get(position))
            .filter(|org| named(org_headers).all(|name| name.eq_ignore_ascii_case(org.as_str().as_bytes())))
            .ok_or(Refusal::WrongOrganization)
    }
}

/// The organizations that headers name.
pub(super) fn named<'a>(org_headers: impl IntoIterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    let names = org_headers
        .into_iter()
        .flat_map(|header| header.split(|byte| *byte == b','));
    names.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty())
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn organization(id: &str, secrets: &[&str]) -> Organization {
        Organization::new(id, "token", secrets.iter().copied())
    }

    #[test]
    fn each_secret_of_an_organization_is_valid_for_it_alone() {
        let authenticator = Authenticator::new(&[
            organization("acme", &["old-secret", "new-secret"]),
            organization("globex", &["other"]),
        ]);
        let acme = OrgId::from("acme");
        for headers in [
            &["acme"][..],
            &[" acme "],
            &["acme, acme"],
            &["acme", "acme,"],
            &["ACME"],
            &[],
            &[""],
        ] {
            let headers = headers.iter().map(|header| header.as_bytes());
            assert_eq!(authenticator.authenticate("new-secret", headers), Ok(&acme));
        }
        for (secret, headers) in [
            ("other", &["acme"][..]),
            ("old-secret", &["globex"]),
            ("old-secret", &["acme, globex"]),
            ("old-secret", &["acme", "globex"]),
        ] {
            let headers = headers.iter().map(|header| header.as_bytes());
            assert_eq!(
                authenticator.authenticate(secret, headers),
                Err(Refusal::WrongOrganization)
            );
        }
    }

    #[test]
    fn without_the_secret_nothing_is_told_about_organizations() {
        let authenticator = Authenticator::new(&[organization("acme", &["secret"])]);
        for secret in ["", "secre", "secret2", "SECRET"] {
            for header in [None, Some(b"acme".as_slice()), Some(b"globex".as_slice())] {
                assert_eq!(
                    authenticator.authenticate(secret, header),
                    Err(Refusal::UnknownSecret),
                    "{secret}"
                );
            }
        }
    }
}
