//! The template that a run was launched from.

use crate::lenient::List;
use crate::record::record;
use crate::{ApiTime, ChecklistId, GroupRef, Member, Tag, UserId};

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
        /// How many steps it has.
        steps_count: i64,
        /// The automation rules.
        automated_actions: List<serde_json::Value>,
        /// Guidance for those who launch it; may hold HTML.
        guidance: String,
        /// The title of the kick-off form.
        kickoff_title: String,
        /// What the kick-off form says; may hold HTML.
        kickoff_description: String,
        /// What the name of a run is made of.
        default_process_name_format: String,
        /// The icon.
        icon: String,
        /// Where a video about it is.
        explanation_video: String,
        /// The folder that it is in.
        folder_id: String,
        /// How many runs were launched from it.
        started_processes: i64,
        /// Whether the caller starred it.
        starred: bool,
        /// Whether it is pinned.
        is_pinned: bool,
        /// Whether anybody with the link may see it.
        is_public: bool,
        /// Whether anybody with the link may launch it.
        is_public_kickoff: bool,
        /// Whether it is featured.
        is_featured: bool,
        /// Whether this is the published version.
        is_published_state: bool,
        /// Members who may use it.
        users: List<Member>,
        /// Groups who may use it.
        groups: List<GroupRef>,
        /// The tags, if they were asked for.
        tags: List<Tag>,
        /// Who created it.
        created_by: UserId,
        /// Who owns it.
        owner_id: UserId,
        /// Who changed it last.
        last_updated_by: UserId,
        /// When it was created.
        created_at: ApiTime,
        /// When it last changed.
        last_updated: ApiTime,
        /// When it was archived, if it was.
        archived_at: ApiTime,
    }
}
