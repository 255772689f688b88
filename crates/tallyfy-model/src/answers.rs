//! The answers of a run, wherever in it they are.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::lenient::{Field, Json};
use crate::run::RunFields;
use crate::{Answer, FieldId, FormField, Task};

/// An answer in a run, with what else the run tells of it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FieldAnswer<'a> {
    /// The form field.
    pub id: &'a FieldId,
    /// What is known of the form field, if it was fetched too.
    pub field: Option<&'a FormField>,
    /// The task whose form it is in; none for the kick-off form.
    pub task: Option<&'a Task>,
    /// The answer as it came; never a cleared one.
    pub json: &'a Json,
}

impl<'a> FieldAnswer<'a> {
    /// What a person sees of the form field; none where the field was not fetched. A run comes with those of its kick-off form
    /// by `checklist`, and with those of its tasks by `tasks.form_fields`.
    pub fn label(&self) -> Option<&'a str> {
        self.field?.label.as_str()
    }

    /// The text of the answer that a person reads, with or without its form field; see [`Answer::text`].
    pub fn text(&self) -> Option<String> {
        self.answer().get()?.text().map(Cow::into_owned)
    }

    /// The answer, read as what the type of its form field says; [`Answer::Other`] where that was not fetched.
    pub fn answer(&self) -> Field<Answer> {
        let field_type = self.field.and_then(|field| field.field_type.get());
        Answer::read(field_type, self.json)
    }
}

impl RunFields {
    /// The answers that were given, in the order of the ids of their form fields.
    ///
    /// The same answer can be in several places: the kick-off form's in `prerun`, a task's in its `taskdata`, and either
    /// again in the form fields (API reference, sections b.2, c.1 and c.6). It is here once.
    ///
    /// ```
    /// use tallyfy_model::Run;
    ///
    /// let run = Run::from_json(
    ///     r#"{"id":"r1",
    ///         "prerun":{"f1":"Globex","f2":""},
    ///         "tasks":[{"id":"t1","taskdata":{"f3":{"id":2,"text":"Blue"}},
    ///                   "form_fields":[{"id":"f3","label":"Colour","field_type":"dropdown"}]}]}"#,
    /// )?;
    /// let answers = run.answers();
    /// assert_eq!(answers.len(), 2);
    /// assert_eq!(answers[0].json.raw(), "\"Globex\"");
    /// assert_eq!(answers[1].label(), Some("Colour"));
    /// assert_eq!(answers[1].answer().get().and_then(|answer| answer.as_str()), Some("Blue"));
    /// # Ok::<(), tallyfy_model::NotARun>(())
    /// ```
    pub fn answers(&self) -> Vec<FieldAnswer<'_>> {
        let mut known = Known::default();
        for (id, json) in self.prerun.entries() {
            known.answer(id, json, None);
        }
        for task in self.tasks.iter() {
            for (id, json) in task.taskdata.entries() {
                known.answer(id, json, Some(task));
            }
            known.fields(task.form_fields.iter(), Some(task));
            known.fields(task.ko_form_fields.iter(), None);
            known.fields(
                task.step.get().into_iter().flat_map(|step| step.captures.iter()),
                Some(task),
            );
        }
        known.fields(self.form_fields.iter().chain(self.ko_form_fields.iter()), None);
        if let Some(checklist) = self.checklist.get() {
            known.fields(checklist.prerun.iter(), None);
            known.fields(checklist.steps.iter().flat_map(|step| step.captures.iter()), None);
        }
        known.answered()
    }

    /// The answer to the form field with this label, alias or id; of several, the first with the id, then with the label.
    /// None where there is no such answer, or only the id is known, because the [field was not fetched](FieldAnswer::label).
    ///
    /// ```
    /// use tallyfy_model::Run;
    ///
    /// let run = Run::from_json(
    ///     r#"{"id":"r1","prerun":{"f1":"Globex"},"checklist":{"prerun":[{"id":"f1","label":"Company","alias":"company"}]}}"#,
    /// )?;
    /// let company = run.answer("Company").and_then(|answer| answer.text());
    /// assert_eq!(company.as_deref(), Some("Globex"));
    /// assert!(run.answer("company").is_some() && run.answer("f1").is_some() && run.answer("Plan").is_none());
    /// # Ok::<(), tallyfy_model::NotARun>(())
    /// ```
    pub fn answer(&self, field: &str) -> Option<FieldAnswer<'_>> {
        let answers = self.answers();
        let alias = |answer: &FieldAnswer<'_>| answer.field.is_some_and(|known| known.alias.as_str() == Some(field));
        let by_id = answers.iter().find(|answer| answer.id == field);
        let by_label = || answers.iter().find(|answer| answer.label() == Some(field));
        let by_alias = || answers.iter().find(|answer| alias(answer));
        by_id.or_else(by_label).or_else(by_alias).copied()
    }
}

/// What was gathered of each form field. What was found first counts.
#[derive(Default)]
struct Known<'a>(BTreeMap<&'a FieldId, Found<'a>>);

#[derive(Default)]
struct Found<'a> {
    field: Option<&'a FormField>,
    task: Option<&'a Task>,
    json: Option<&'a Json>,
}

impl<'a> Known<'a> {
    fn answer(&mut self, id: &'a FieldId, json: &'a Json, task: Option<&'a Task>) {
        let found = self.0.entry(id).or_default();
        found.task = found.task.or(task);
        found.json = found.json.or(Some(json).filter(|json| !json.is_cleared()));
    }

    fn fields(&mut self, fields: impl Iterator<Item = &'a FormField>, task: Option<&'a Task>) {
        for field in fields {
            let Some(id) = field.any_id() else { continue };
            if let Some(json) = field.answer_json() {
                self.answer(id, json, task);
            }
            let found = self.0.entry(id).or_default();
            // A definition elsewhere may say more than a field that is nothing but its id.
            found.field = found
                .field
                .filter(|field| field.field_type.get().is_some())
                .or(Some(field));
        }
    }

    fn answered(self) -> Vec<FieldAnswer<'a>> {
        let answered = |(id, found): (&'a FieldId, Found<'a>)| {
            Some(FieldAnswer {
                id,
                field: found.field,
                task: found.task,
                json: found.json?,
            })
        };
        self.0.into_iter().filter_map(answered).collect()
    }
}
