//! The organization every simulator starts with.

use super::{CaptureDraft, FieldType, StepDraft, TemplateDraft, World, WorldError};

/// What a new organization consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Founding {
    /// The organization.
    pub org: String,
    /// An administrator, the owner of the templates.
    pub admin: i64,
    /// Another member.
    pub member: i64,
    /// A guest, who owns the second task of the onboarding template.
    pub guest: String,
    /// A group of both members.
    pub group: String,
    /// Two tags.
    pub tags: [String; 2],
    /// "Client onboarding": three steps, four kick-off fields, no webhook of its own.
    pub onboarding: String,
    /// "Every field": one step with a field of each type.
    pub every_field: String,
}

impl World {
    /// Founds an organization with people, tags and two templates.
    ///
    /// # Errors
    /// None in practice; the signature is that of the operations it is made of.
    pub fn found(&mut self, org: &str) -> Result<Founding, WorldError> {
        let (admin, member, guest) = (1002, 1003, "riley@customer.example");
        self.add_organization(org, "Northwind Trading");
        self.add_user(org, admin, ("Ada", "Okafor"), "admin")?;
        self.add_user(org, member, ("Ben", "Lindqvist"), "standard")?;
        self.add_guest(org, guest, ("Riley", "Moreau"))?;
        let group = self.add_group(org, "Account team", &[admin, member])?;
        let tags = [
            self.add_tag(org, "Priority", "#c0392b")?,
            self.add_tag(org, "EMEA", "#2980b9")?,
        ];
        let onboarding = TemplateDraft::new("Client onboarding")
            .kickoff(CaptureDraft::new("Company", FieldType::Text).required())
            .kickoff(CaptureDraft::new("Start date", FieldType::Date))
            .kickoff(CaptureDraft::new("Plan", FieldType::Dropdown).options(["Starter", "Growth", "Enterprise"]))
            .kickoff(CaptureDraft::new("Regions", FieldType::Multiselect).options(["Americas", "EMEA", "APAC"]))
            .step(
                StepDraft::new("Collect documents")
                    .assigned_to(admin)
                    .capture(CaptureDraft::new("Tax number", FieldType::Text))
                    .capture(CaptureDraft::new("Contract", FieldType::File)),
            )
            // No alias: webhooks fall back to the task's id. Its deadline is the latest, so the API and a webhook
            // name different next tasks.
            .step(
                StepDraft::new("Confirm the contract")
                    .without_alias()
                    .assigned_to_guest(guest)
                    .due_in_days(9),
            )
            .step(
                StepDraft::new("Kick-off call")
                    .assigned_to(member)
                    .assigned_to_group(&group)
                    .capture(CaptureDraft::new("Outcome", FieldType::Radio).options(["Go", "No go"]))
                    .capture(CaptureDraft::new("Notes", FieldType::Textarea)),
            );
        let onboarding = self.add_template(org, &onboarding)?;
        let mut every_field = StepDraft::new("Fill everything").assigned_to(member);
        for field_type in FieldType::ALL {
            every_field = every_field.capture(CaptureDraft::new(&format!("A {}", field_type.as_str()), field_type));
        }
        let every_field = self.add_template(org, &TemplateDraft::new("Every field").step(every_field))?;
        Ok(Founding {
            org: org.to_owned(),
            admin,
            member,
            guest: guest.to_owned(),
            group,
            tags,
            onboarding,
            every_field,
        })
    }
}
