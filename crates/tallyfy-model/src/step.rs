//! Steps of a template.

use crate::lenient::{Item, List};
use crate::record::record;
use crate::{ApiTime, ChecklistId, FormField, GroupRef, Json, Member, StepId, TaskType};

record! {
    /// A step of a template, which a task of a run is made from (API reference, section c.5).
    pub struct Step or bare id {
        /// The step's id.
        id: StepId,
        /// The template.
        checklist_id: ChecklistId,
        /// What is to be done.
        title: String,
        /// The alias.
        alias: String,
        /// What to do, possibly as HTML.
        summary: String,
        /// What kind of task it makes.
        step_type: TaskType,
        /// Its place in the template.
        position: i64,
        /// The form fields.
        captures: List<FormField>,
    }
    /// What only a step that is fetched with its settings has.
    rarely StepDetails {
        /// When its task starts.
        start_date: Item<Delay>,
        /// Whether that start date is a soft one.
        is_soft_start_date: bool,
        /// When its task is to be done.
        deadline: Item<Delay>,
        /// The run that it launches.
        bp_to_launch: Item<LinkedTemplate>,
        /// Members who get its task.
        assignees: List<Member>,
        /// Guests who get its task, by e-mail address.
        guests: List<String>,
        /// Groups who get its task.
        groups: List<GroupRef>,
        /// Whether who launches the run gets its task.
        assign_run_starter: bool,
        /// Roles that get its task; undocumented.
        roles: List<Json>,
        /// Whether roles are filled anew for each run.
        role_changes_every_time: bool,
        /// How many can be assigned.
        max_assignable: i64,
        /// Whether guests can be assigned.
        allow_guest_owners: bool,
        /// Whether guests cannot comment.
        prevent_guest_comment: bool,
        /// Whether its task does not start with the run.
        skip_start_process: bool,
        /// Whether only assignees can complete its task.
        can_complete_only_assignees: bool,
        /// Whether each assignee has to complete its task.
        everyone_must_complete: bool,
        /// Where its own webhook goes. Holds whatever secret that URL has.
        webhook: String,
        /// When it was created.
        created_at: ApiTime,
        /// When it last changed.
        last_updated: ApiTime,
        /// When it was archived.
        archived_at: ApiTime,
    }
}

record! {
    /// A length of time, counted from something.
    pub struct Delay {
        /// How many of the unit.
        value: i64,
        /// Such as `days`.
        unit: String,
        /// What it is counted from.
        option: String,
        /// The step that it is counted from.
        step: StepId,
    }
}

record! {
    /// The template that a step launches.
    pub struct LinkedTemplate or bare id {
        /// That template.
        id: ChecklistId,
        /// What the name of the run is made of.
        default_name_format: String,
        /// Undocumented.
        tasks_within_process: Json,
    }
}
