//! The same members as plain `serde` derives: what decoding a run costs if nothing is odd and nothing is kept.
//!
//! These drop what they do not know, keep no JSON, and refuse every form but the one of [`crate::sample`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

macro_rules! plain {
    ($(
        $(#[$doc:meta])*
        struct $name:ident { $( $field:ident $(= $json:literal)? : $type:ty, )* }
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize, Serialize)]
        pub struct $name {
            $( $(#[serde(rename = $json)])? pub(crate) $field: Option<$type>, )*
        }
    )*};
}

/// The envelope of an include.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Data<T> {
    pub(crate) data: T,
}

plain! {
    /// A run, as its include-laden GET answers it.
    struct Run {
        id: String,
        increment_id: i64,
        organization_id: String,
        checklist_id: String,
        checklist_title: String,
        name: String,
        summary: String,
        status: String,
        progress: Counted,
        whole_progress: Counted,
        r#type: String,
        started_by: i64,
        owner_id: i64,
        prerun: BTreeMap<String, Value>,
        prerun_status: String,
        prerun_completed_at: String,
        prerun_completed_by: i64,
        prerun_length: i64,
        starred: bool,
        is_public: bool,
        publicly_hidden_fields: Vec<Value>,
        assign_someone_else: bool,
        created_at: String,
        last_updated: String,
        started_at: String,
        completed_at: String,
        archived_at: String,
        due_date: String,
        due_date_passed: bool,
        due_soon: bool,
        max_task_deadline: String,
        late_tasks: i64,
        collaborators: Vec<i64>,
        users: Vec<i64>,
        groups: Vec<String>,
        parent_id: String,
        can_add_oot: bool,
        has_open_issue: bool,
        custom_fields: BTreeMap<String, Value>,
        checklist: Data<Checklist>,
        tasks: Data<Vec<Task>>,
        tags: Data<Vec<Tag>>,
        next_task: Data<Task>,
        form_fields: Data<Vec<FormField>>,
        ko_form_fields: Value,
        assets: Vec<Value>,
        stages: Value,
        folders: Value,
        permissions: Value,
        tasks_meta: Value,
        member_watchers: Value,
        guest_watchers: Value,
    }

    /// Progress counted in tasks.
    struct Counted {
        complete: i64,
        total: i64,
        percent: f64,
    }

    /// A task.
    struct Task {
        id: String,
        increment_id: i64,
        title: String,
        original_title: String,
        run_id: String,
        checklist_id: String,
        step_id: String,
        linked_step_id: String,
        alias: String,
        status: String,
        status_label: String,
        task_type: String,
        is_oneoff_task: bool,
        run_status: String,
        is_completable: bool,
        is_approved: bool,
        owners: Owners,
        taskdata: BTreeMap<String, Value>,
        position: i64,
        blueprint_position: i64,
        stage_id: String,
        started_at: String,
        deadline: String,
        created_at: String,
        last_updated: String,
        completed_at: String,
        archived_at: String,
        starter_id: i64,
        completer_id: i64,
        completer_guest: String,
        completer_guest_id: String,
        completion_progress: f64,
        everyone_must_complete: bool,
        can_complete_only_assignees: bool,
        allow_guest_owners: bool,
        prevent_guest_comment: bool,
        max_assignable: i64,
        is_soft_start_date: bool,
        has_deadline_dependent_child_tasks: bool,
        top_secret: bool,
        send_chromeless: bool,
        webhook: String,
        problem: bool,
        summary: String,
        original_summary: String,
        threads_count: i64,
        custom_fields: BTreeMap<String, Value>,
        step: Value,
        run: Value,
        threads: Vec<Value>,
        comments: Vec<Value>,
        issues: Vec<Value>,
        tags: Vec<Tag>,
        assets: Vec<Value>,
        folders: Vec<Value>,
        form_fields: Vec<FormField>,
        ko_form_fields = "ko-form-fields": Value,
        tasks_changed_by_rules: Value,
        activities: Value,
        roles: Value,
        member_watchers: Value,
        guest_watchers: Value,
    }

    /// The assignees of a task.
    struct Owners {
        users: Vec<i64>,
        guests: Vec<String>,
        groups: Vec<String>,
        task_urls = "taskUrls": Value,
    }

    /// A template.
    struct Checklist {
        id: String,
        title: String,
        summary: String,
        alias: String,
        status: String,
        r#type: String,
        webhook: String,
        prerun: Vec<Value>,
        steps: Vec<Value>,
        steps_count: i64,
        automated_actions: Vec<Value>,
        guidance: String,
        kickoff_title: String,
        kickoff_description: String,
        default_process_name_format: String,
        icon: String,
        explanation_video: String,
        folder_id: String,
        started_processes: i64,
        starred: bool,
        is_pinned: bool,
        is_public: bool,
        is_public_kickoff: bool,
        is_featured: bool,
        is_published_state: bool,
        users: Vec<i64>,
        groups: Vec<String>,
        tags: Vec<Tag>,
        created_by: i64,
        owner_id: i64,
        last_updated_by: i64,
        created_at: String,
        last_updated: String,
        archived_at: String,
        ko_form_blueprint_id: String,
        kickoff_sharing_user_id: i64,
        auto_naming: bool,
        allow_launcher_change_name: bool,
        public_cover: Value,
        default_folder: String,
        folderize_process: bool,
        folder_changeable_by_launcher: bool,
        tag_process: bool,
        linked_tasks: Value,
        industry_tags: Vec<Value>,
        topic_tags: Vec<Value>,
        dual_version_enabled: bool,
    }

    /// A form field.
    struct FormField {
        id: String,
        timeline_id: String,
        step_id: String,
        checklist_id: String,
        field_type: String,
        label: String,
        alias: String,
        guidance: String,
        position: i64,
        required: bool,
        options: Vec<Value>,
        columns: Vec<Value>,
        default_value: Value,
        default_value_enabled: bool,
        field_validation: Value,
        collect_time: bool,
        use_wysiwyg_editor: bool,
        created_at: String,
        last_updated: String,
        field_value: Value,
        value: Value,
    }

    /// A tag of a run.
    struct Tag {
        id: String,
        tag_id: String,
        tag: TagText,
        title: String,
        name: String,
        color: String,
        r#type: String,
        auto_generated: bool,
        created_at: String,
        deleted_at: String,
    }

    /// A tag inside an association.
    struct TagText {
        id: String,
        title: String,
        name: String,
        color: String,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_the_derive<T: Default + Serialize>() -> Vec<String> {
        let Value::Object(members) = serde_json::to_value(T::default()).unwrap() else {
            panic!("a struct is an object");
        };
        members.into_iter().map(|(name, _)| name).collect()
    }

    fn of_the_model(members: &[&str]) -> Vec<String> {
        let mut names: Vec<String> = members.iter().map(|name| (*name).to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_derives_know_the_members_that_the_model_knows() {
        assert_eq!(of_the_derive::<Run>(), of_the_model(tallyfy_model::RunFields::MEMBERS));
        assert_eq!(
            of_the_derive::<Counted>(),
            of_the_model(tallyfy_model::Counted::MEMBERS)
        );
        assert_eq!(of_the_derive::<Task>(), of_the_model(tallyfy_model::Task::MEMBERS));
        assert_eq!(of_the_derive::<Owners>(), of_the_model(tallyfy_model::Owners::MEMBERS));
        assert_eq!(
            of_the_derive::<Checklist>(),
            of_the_model(tallyfy_model::Checklist::MEMBERS)
        );
        assert_eq!(
            of_the_derive::<FormField>(),
            of_the_model(tallyfy_model::FormField::MEMBERS)
        );
        assert_eq!(of_the_derive::<Tag>(), of_the_model(tallyfy_model::Tag::MEMBERS));
        assert_eq!(
            of_the_derive::<TagText>(),
            of_the_model(tallyfy_model::TagText::MEMBERS)
        );
    }
}
