//! The template that a run was launched from.

use crate::lenient::List;
use crate::record::record;
use crate::{ApiTime, ChecklistId, UserId};

record! {
    /// A template, which the API calls a checklist (API reference, section c.4).
    pub struct Checklist or bare id {
        /// The template's id; stays the same through its versions.
        id: ChecklistId,
        /// The title.
        title: String,
        /// What it is for; may hold HTML.
        summary: String,
        /// The alias.
        alias: String,
        /// Such as `active`, `published` or `draft`.
        status: String,
        /// Such as `procedure`, `form` or `document`.
        r#type = "type": String,
        /// Where template-level webhooks go. Holds whatever secret that URL has.
        webhook: String,
        /// The definitions of the kick-off form's fields; a list here, while a run's `prerun` is a map of answers.
        prerun: List<serde_json::Value>,
        /// The steps, if they were asked for.
        steps: List<serde_json::Value>,
        /// Who created it.
        created_by: UserId,
        /// Who owns it.
        owner_id: UserId,
        /// When it was created.
        created_at: ApiTime,
        /// When it last changed.
        last_updated: ApiTime,
        /// When it was archived, if it was.
        archived_at: ApiTime,
    }
}
