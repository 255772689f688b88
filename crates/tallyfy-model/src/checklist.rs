//! The template that a run was launched from.

use crate::lenient::{Json, List};
use crate::record::record;
use crate::{ApiTime, ChecklistId, FolderId, FormField, GroupRef, Member, RunType, Step, Tag, UserId};

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
        /// What it makes of its runs.
        r#type = "type": RunType,
        /// The definitions of the kick-off form's fields; a list here, while a run's `prerun` is a map of answers.
        prerun: List<FormField>,
        /// The steps, if they were asked for.
        steps: List<Step>,
        /// The tags, if they were asked for.
        tags: List<Tag>,
        /// Who owns it.
        owner_id: UserId,
        /// When it was created.
        created_at: ApiTime,
        /// When it last changed.
        last_updated: ApiTime,
        /// When it was archived, if it was.
        archived_at: ApiTime,
    }
    /// The settings of a template, and what only some places tell of it.
    rarely ChecklistDetails {
        /// Where template-level webhooks go. Holds whatever secret that URL has.
        webhook: String,
        /// How many steps it has.
        steps_count: i64,
        /// The automation rules.
        automated_actions: List<Json>,
        /// Guidance for those who launch it; may hold HTML.
        guidance: String,
        /// The title of the kick-off form.
        kickoff_title: String,
        /// What the kick-off form says; may hold HTML.
        kickoff_description: String,
        /// The template whose kick-off form it uses.
        ko_form_blueprint_id: ChecklistId,
        /// The member on whose behalf those with a link launch it.
        kickoff_sharing_user_id: UserId,
        /// What the name of a run is made of.
        default_process_name_format: String,
        /// Whether runs get their name from that.
        auto_naming: bool,
        /// Whether who launches a run may name it.
        allow_launcher_change_name: bool,
        /// The icon.
        icon: String,
        /// The picture on its public page; its form is undocumented.
        public_cover: Json,
        /// Where a video about it is.
        explanation_video: String,
        /// The folder that it is in.
        folder_id: FolderId,
        /// The folder that runs go to.
        default_folder: FolderId,
        /// Whether runs go to a folder.
        folderize_process: bool,
        /// Whether who launches a run may choose the folder.
        folder_changeable_by_launcher: bool,
        /// Whether runs get the template's tags.
        tag_process: bool,
        /// Tasks that are linked to it; their form is undocumented.
        linked_tasks: Json,
        /// The industries it is for; their form is undocumented.
        industry_tags: List<Json>,
        /// The topics it is about; their form is undocumented.
        topic_tags: List<Json>,
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
        /// Whether it has a published version and a draft.
        dual_version_enabled: bool,
        /// Members who may use it.
        users: List<Member>,
        /// Groups who may use it.
        groups: List<GroupRef>,
        /// Who created it.
        created_by: UserId,
        /// Who changed it last.
        last_updated_by: UserId,
    }
}
