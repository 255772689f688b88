//! All organizations: the tables of the file, with what the environment says of one of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;

use super::environment::set;
use super::organization::{Organization, OrganizationTable};
use super::problem::Problem;
use super::text;

/// The organizations that are complete, and what is wrong with the others.
pub(super) fn complete(
    mut tables: Vec<OrganizationTable>,
    environment: &BTreeMap<String, String>,
    webhooks: bool,
) -> (Vec<Organization>, Vec<Problem>) {
    let from_environment = table(environment);
    let target = match target(&mut tables, &from_environment) {
        Ok(target) => target,
        Err(problem) => return (Vec::new(), vec![problem]),
    };
    if let Some(table) = target.and_then(|position| tables.get_mut(position)) {
        table.overlay(from_environment);
    }
    resolve(tables, webhooks, target)
}

/// The organizations that are complete, and what is wrong with the others. What is missing in the one at `target` could have
/// come from the environment.
pub(super) fn resolve(
    tables: impl IntoIterator<Item = OrganizationTable>,
    webhooks: bool,
    target: Option<usize>,
) -> (Vec<Organization>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut organizations: Vec<Organization> = Vec::new();
    for (position, table) in tables.into_iter().enumerate() {
        let place = format!("organizations[{position}]");
        match table.resolve(&place, webhooks, target == Some(position)) {
            Ok(organization) => match conflict(&organizations, &organization, &place) {
                Some(conflict) => problems.push(conflict),
                None => organizations.push(organization),
            },
            Err(found) => problems.extend(found),
        }
    }
    (organizations, problems)
}

/// What the environment says.
fn table(environment: &BTreeMap<String, String>) -> OrganizationTable {
    let set = |name: &str| set(environment, name).cloned();
    OrganizationTable {
        id: set("TALLYFY_ORG_ID"),
        token: set("TALLYFY_TOKEN").map(SecretString::from),
        token_file: set("TALLYFY_TOKEN_FILE").map(PathBuf::from),
        webhook_secrets: set("TALLYFY_WEBHOOK_SECRET")
            .map(|secrets| text::separated(&secrets).into_iter().map(SecretString::from).collect())
            .unwrap_or_default(),
        webhook_secrets_file: set("TALLYFY_WEBHOOK_SECRET_FILE").map(PathBuf::from),
        ..OrganizationTable::default()
    }
}

/// The position of the one table that the environment's values can belong to. It is added where there is none.
fn target(tables: &mut Vec<OrganizationTable>, from_environment: &OrganizationTable) -> Result<Option<usize>, Problem> {
    let add = |tables: &mut Vec<OrganizationTable>| {
        tables.push(OrganizationTable::default());
        Some(tables.len() - 1)
    };
    if from_environment.id.is_none() && tables.len() > 1 {
        return if from_environment.has_secrets() {
            Err(Problem::new(
                "organizations",
                "TALLYFY_TOKEN and TALLYFY_WEBHOOK_SECRET are set, but the file lists several organizations; \
                 set TALLYFY_ORG_ID to say which one is meant",
            ))
        } else {
            Ok(None)
        };
    }
    Ok(match &from_environment.id {
        None if tables.is_empty() => add(tables),
        None => Some(0),
        Some(id) => match tables.iter().position(|table| table.id.as_ref() == Some(id)) {
            Some(position) => Some(position),
            None => add(tables),
        },
    })
}

/// Why an organization cannot stand beside the others.
fn conflict(others: &[Organization], organization: &Organization, place: &str) -> Option<Problem> {
    if others.iter().any(|other| other.id == organization.id) {
        let message = format!("organization {} is there twice", organization.id);
        return Some(Problem::new(format!("{place}.id"), message));
    }
    let other = others.iter().find(|other| other.shares_a_secret_with(organization))?;
    let message = format!(
        "organization {} has one of these secrets too; a secret says which organization a webhook is from",
        other.id
    );
    Some(Problem::new(format!("{place}.webhook_secrets"), message))
}
