//! Form fields and what was entered in them.

use serde_json::Value;

use crate::record::record;
use crate::{ApiTime, ChecklistId, FieldId, StepId, lenient::List};

record! {
    /// A form field, which the API calls a capture, as an include of a run or a task (API reference, section c.6).
    pub struct FormField {
        /// The field's id, also called its timeline id; the key of its answer.
        id: FieldId,
        /// The same in webhooks and some includes.
        timeline_id: FieldId,
        /// The step that it belongs to; none for a kick-off field.
        step_id: StepId,
        /// The template, of a kick-off field.
        checklist_id: ChecklistId,
        /// Such as `text`, `dropdown` or `table` (API reference, section d.5).
        field_type: String,
        /// What a person sees.
        label: String,
        /// The alias; renaming may change it, so key on the id.
        alias: String,
        /// What to enter, for a person; may hold HTML.
        guidance: String,
        /// Its place in the form.
        position: i64,
        /// Whether it must be filled.
        required: bool,
        /// What can be chosen.
        options: List<Value>,
        /// The columns of a table.
        columns: List<Value>,
        /// What it holds before anything is entered.
        default_value: Value,
        /// Whether that is in use.
        default_value_enabled: bool,
        /// Rules for what is entered.
        field_validation: Value,
        /// Whether a date is entered with a time.
        collect_time: bool,
        /// Whether text is entered in a rich-text editor.
        use_wysiwyg_editor: bool,
        /// When it was created.
        created_at: ApiTime,
        /// When it last changed.
        last_updated: ApiTime,
        /// The answer, as measured by the vendor.
        field_value: Value,
        /// The answer, as documented.
        value: Value,
    }
}

impl FormField {
    /// The field's id, under whichever name it came.
    pub fn any_id(&self) -> Option<&FieldId> {
        self.id.get().or_else(|| self.timeline_id.get())
    }

    /// The answer, under whichever name it came. Its form depends on the field's type (API reference, section c.7).
    pub fn answer(&self) -> Option<&Value> {
        self.field_value.get().or_else(|| self.value.get())
    }
}
