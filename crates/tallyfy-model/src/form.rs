//! Form fields and what was entered in them.

use crate::answer::Answer;
use crate::lenient::{Field, List};
use crate::record::{Surprise, inspect_member, record};
use crate::{ApiTime, ChecklistId, FieldId, FieldType, Json, OptionId, StepId};

record! {
    /// A form field, which the API calls a capture: as an include of a run or a task, perhaps with its answer, or as
    /// the definition in a template (API reference, section c.6).
    pub struct FormField or bare id and inspect answer_inspected {
        /// The field's id, also called its timeline id; the key of its answer.
        id: FieldId,
        /// What is entered in it.
        field_type: FieldType,
        /// What a person sees.
        label: String,
        /// Whether it must be filled.
        required: bool,
        /// What can be chosen.
        options: List<FieldOption>,
        /// The answer, as measured by the vendor.
        field_value: Json,
    }
    /// What only some places tell of a form field.
    rarely FieldDetails {
        /// The id in webhooks and some includes.
        timeline_id: FieldId,
        /// The step that it belongs to; none for a kick-off field.
        step_id: StepId,
        /// The template, of a kick-off field.
        checklist_id: ChecklistId,
        /// The alias; renaming may change it, so key on the id.
        alias: String,
        /// What to enter, for a person; may hold HTML.
        guidance: String,
        /// Its place in the form.
        position: i64,
        /// The columns of a table.
        columns: List<FieldOption>,
        /// The answer, as documented.
        value: Json,
        /// What it holds before anything is entered.
        default_value: Json,
        /// Whether that is in use.
        default_value_enabled: bool,
        /// Rules for what is entered.
        field_validation: Json,
        /// Whether a date is entered with a time.
        collect_time: bool,
        /// Whether text is entered in a rich-text editor.
        use_wysiwyg_editor: bool,
        /// When it was created.
        created_at: ApiTime,
        /// When it last changed.
        last_updated: ApiTime,
    }
}

record! {
    /// An option of a field in which something is chosen, or a column of a table.
    pub struct FieldOption or bare text {
        /// A number within the field. Texts are no reliable key: they may have spaces around them, or equal another
        /// option's id.
        id: OptionId,
        /// What a person sees of an option.
        text: String,
    }
    /// What only some options have.
    rarely FieldOptionDetails {
        /// What a person sees of a column.
        label: String,
        /// Undocumented.
        value: Json,
    }
}

impl FormField {
    /// The field's id, under whichever name it came.
    pub fn any_id(&self) -> Option<&FieldId> {
        self.id.get().or_else(|| self.timeline_id.get())
    }

    /// The answer as it came, under whichever name, if there is one; it may be a cleared one.
    pub fn answer_json(&self) -> Option<&Json> {
        self.named_answer().map(|(_, json)| json)
    }

    /// The answer, read as what the field's type says.
    ///
    /// ```
    /// use tallyfy_model::{Answer, Run};
    ///
    /// let run = Run::from_json(
    ///     r#"{"id":"r1","form_fields":[{"id":"f1","field_type":"dropdown","field_value":{"id":2,"text":"Blue"}}]}"#,
    /// )?;
    /// for field in run.form_fields.iter() {
    ///     if let Some(Answer::Choice(choice)) = field.answer().get() {
    ///         assert_eq!(choice.text.as_str(), Some("Blue"));
    ///     }
    /// }
    /// # Ok::<(), tallyfy_model::NotARun>(())
    /// ```
    pub fn answer(&self) -> Field<Answer> {
        match self.answer_json() {
            Some(json) => Answer::read(self.field_type.get(), json),
            None => Field::Absent,
        }
    }

    /// The name and the answer; one that is not cleared before one that is.
    fn named_answer(&self) -> Option<(&'static str, &Json)> {
        let named = || {
            [("field_value", &self.field_value), ("value", &self.value)]
                .into_iter()
                .filter_map(|(name, field)| Some((name, field.get()?)))
        };
        named().find(|(_, json)| !json.is_cleared()).or_else(|| named().next())
    }

    fn answer_inspected(&self, pointer: &str, found: &mut Vec<Surprise>) {
        if let Some((name, json)) = self.named_answer() {
            inspect_member(&Answer::read(self.field_type.get(), json), pointer, name, found);
        }
    }
}
