//! What webhook bodies hold, typed (API reference, sections g.2 to g.4).

use crate::lenient::{Field, Item, Json, List, Map};
use crate::record::record;
use crate::run::RunFields;
use crate::{
    Answer, ApiTime, Asset, Checklist, FieldId, Owners, RunId, StepId, Task, TaskId, TaskStatus, ThreadId, UserId,
    json_text,
};

use super::{UnreadableWebhook, Webhook, WebhookKind, wrapping};

/// What a webhook body holds.
///
/// It is the sender's word, unsigned, and may be older than what the API says. To react to a change, fetch the run; to log
/// who completed a task, or to prefill a form, this will do.
///
/// ```
/// use tallyfy_model::WebhookBody;
///
/// let body = br#"{"this_task":{"id":"t1","title":"Call","captures":{"f1":{"label":"Outcome","value":"Go"}}},
///     "completer":{"id":"1002","email":"ada@example.com"},"process":{"id":"r1","name":"Onboarding"}}"#;
/// let WebhookBody::Task(body) = WebhookBody::parse(body)? else {
///     return Ok(());
/// };
/// assert_eq!(body.completed_by().unwrap().email.as_str(), Some("ada@example.com"));
/// let (_, outcome) = body.answers().next().unwrap();
/// assert_eq!((outcome.label.as_str(), outcome.text().as_deref()), (Some("Outcome"), Some("Go")));
/// # Ok::<(), tallyfy_model::UnreadableWebhook>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum WebhookBody {
    /// A run, at launch or at completion.
    Process(Box<ProcessBody>),
    /// A task that was completed, with its run around it.
    Task(Box<TaskBody>),
    /// What the webhook of a whole organization tells; little of it is documented.
    Organization(Box<OrganizationBody>),
}

impl WebhookBody {
    /// Reads a body, taking it for what [`Webhook::parse`] takes it for. Envelopes around it are opened.
    ///
    /// # Errors
    /// As [`Webhook::parse`].
    pub fn parse(body: &[u8]) -> Result<Self, UnreadableWebhook> {
        let text = wrapping::text(body);
        let webhook = Webhook::parse(body)?;
        let opened = match Webhook::read(&text) {
            Ok(_) => None,
            Err(_) => wrapping::opened(&text),
        };
        let body = opened.as_deref().unwrap_or(&text);
        Ok(match webhook.kind {
            WebhookKind::Process => Self::Process(Box::new(ProcessBody {
                run: read(body)?,
                further: read(body)?,
            })),
            WebhookKind::Task => Self::Task(Box::new(read(body)?)),
            WebhookKind::Organization => Self::Organization(Box::new(read(body)?)),
        })
    }
}

fn read<T: crate::Record>(json: &str) -> Result<T, UnreadableWebhook> {
    let body: Field<Item<T>> = json_text::from_str(json).map_err(UnreadableWebhook::Json)?;
    body.into_value()
        .map(Item::into_inner)
        .ok_or(UnreadableWebhook::NotAnObject)
}

/// A run with what only webhooks tell of it.
///
/// It dereferences to the members of the run; its kick-off answers are `prerun`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProcessBody {
    /// The run.
    pub run: RunFields,
    /// What only webhooks tell of it.
    pub further: ProcessFurther,
}

impl std::ops::Deref for ProcessBody {
    type Target = RunFields;

    fn deref(&self) -> &RunFields {
        &self.run
    }
}

record! {
    /// What only webhooks tell of a run. Guest links are left to the raw JSON: whoever has one needs no login.
    pub struct ProcessFurther {
        /// Who launched it.
        launcher: Item<Person>,
        /// The answers of the kick-off form, by the aliases of its fields.
        ko_form_fields = "ko-form-fields": Map<String, Json>,
        /// The tasks, by alias; by their own id where there is none.
        process_tasks = "process-tasks": Map<String, TaskId>,
    }
}

record! {
    /// A task with its run around it. Guest links are left to the raw JSON: whoever has one needs no login.
    pub struct TaskBody {
        /// The task.
        this_task: Item<ThisTask>,
        /// Who completed it.
        completer: Item<Person>,
        /// Who launched the run.
        launcher: Item<Person>,
        /// The run, with its answers step by step in `process_forms`, which is in the raw JSON.
        process: Item<RunFields>,
        /// The template.
        template: Item<Checklist>,
        /// The answers of all tasks, by the aliases of the fields.
        form_fields = "form-fields": Map<String, Json>,
        /// The tasks of the run, by alias; by their own id where there is none.
        process_tasks = "process-tasks": Map<String, TaskId>,
        /// The next task by position, while the API's `next_task` goes by deadline; none when all are done.
        next_task: Item<ThisTask>,
    }
}

impl TaskBody {
    /// Who completed the task, wherever in the body that is said.
    pub fn completed_by(&self) -> Option<&Person> {
        let within = || self.this_task.get()?.completed_by.get().map(|person| &**person);
        self.completer.get().map(|person| &**person).or_else(within)
    }

    /// The answers of the task's form, by their form fields; never a cleared one.
    pub fn answers(&self) -> impl Iterator<Item = (&FieldId, &Answered)> {
        let task = self.this_task.get();
        let answers = task.into_iter().flat_map(|task| task.captures.entries());
        answers.filter(|(_, answer)| answer.value.get().is_some_and(|value| !value.is_cleared()))
    }
}

record! {
    /// A task as webhooks show it.
    pub struct ThisTask or bare id {
        /// The task's id.
        id: TaskId,
        /// What is to be done.
        title: String,
        /// The alias of its step.
        alias: String,
        /// How it stands.
        status: TaskStatus,
        /// When it was done.
        completed_at: ApiTime,
        /// Who did it; perhaps nothing but an e-mail address.
        completed_by: Item<Person>,
        /// The answers of its form.
        captures: Map<FieldId, Answered>,
    }
    /// What else webhooks tell of a task.
    rarely ThisTaskDetails {
        /// Its run; only in some bodies.
        run_id: RunId,
        /// The step that it was made from; only in some bodies.
        step_id: StepId,
        /// What to do, possibly as HTML.
        summary: String,
        /// When it is to be done.
        deadline: ApiTime,
        /// Its place among the tasks of the run.
        position: i64,
        /// Who is to do it; without groups.
        owners: Item<Owners>,
        /// Its files, with public links.
        assets: List<Asset>,
    }
}

record! {
    /// An answer as webhooks show it. The type of the form field is not told.
    pub struct Answered {
        /// What a person sees of the form field.
        label: String,
        /// The alias of the form field; renaming may change it, so key on the id.
        alias: String,
        /// What was entered.
        value: Json,
    }
}

impl Answered {
    /// The text that a person reads; see [`Answer::text`].
    pub fn text(&self) -> Option<String> {
        let answer = Answer::read(None, self.value.get()?);
        answer.get()?.text().map(std::borrow::Cow::into_owned)
    }
}

record! {
    /// Somebody who did something: a member, or a guest, who has nothing but an e-mail address.
    pub struct Person or bare id {
        /// The member's id.
        id: UserId,
        /// The e-mail address.
        email: String,
        /// The name.
        full_name: String,
    }
}

record! {
    /// What the webhook of a whole organization tells. Everything but `event` is undocumented.
    pub struct OrganizationBody {
        /// What happened.
        event: String,
        /// The task.
        task: Item<Task>,
        /// The run.
        process: Item<RunFields>,
        /// The run, in another spelling.
        run: Item<RunFields>,
        /// The comment's id.
        comment_id: ThreadId,
    }
}
