//! Templates and their steps.

use serde_json::{Value, json};

use super::{Includes, Render, object};
use crate::world::{Step, Template};

impl Render<'_> {
    /// A template. Its kick-off fields are inline and bare, its steps an include.
    pub(crate) fn template(&self, template: &Template, with: &Includes) -> Value {
        let mut json = object(json!({
            "id": template.id,
            "title": template.title,
            "summary": template.summary,
            "alias": template.alias,
            "starred": false,
            "webhook": template.webhook,
            "explanation_video": null,
            "guidance": null,
            "icon": "description",
            "folder_id": null,
            "prerun": self.kickoff_fields(template),
            "automated_actions": automations(template),
            "created_by": self.user_id(template.owner_id),
            "owner_id": self.user_id(template.owner_id),
            "started_processes": template.started_processes,
            "kickoff_title": null,
            "kickoff_description": null,
            "created_at": self.date(template.created_at),
            "last_updated": self.date(template.last_updated),
            "archived_at": null,
            "is_public": false,
            "is_featured": false,
            "users": [],
            "groups": [],
            "type": template.kind,
            "default_process_name_format": null,
            "is_published_state": true,
            "steps_count": template.steps.len(),
            "status": "active",
        }));
        if with.has("steps") {
            let steps = template
                .steps
                .iter()
                .map(|step| self.step(step, &template.id))
                .collect();
            json.insert("steps".into(), self.collection(steps));
        }
        if with.has("tags") {
            json.insert("tags".into(), self.collection(Vec::new()));
        }
        self.add_extras(&mut json);
        Value::Object(json)
    }

    /// The fields of a kick-off form.
    pub(crate) fn kickoff_fields(&self, template: &Template) -> Vec<Value> {
        let fields = template.kickoff.iter().map(|capture| {
            let mut field = object(self.capture(capture, None));
            field.remove("step_id");
            field.insert("checklist_id".into(), json!(template.id));
            field.insert("use_wysiwyg_editor".into(), json!(true));
            field.insert("collect_time".into(), json!(false));
            field.insert("field_validation".into(), json!([]));
            Value::Object(field)
        });
        fields.collect()
    }

    /// A step.
    pub(crate) fn step(&self, step: &Step, template: &str) -> Value {
        let assignees: Vec<Value> = step.assignees.users.iter().map(|id| self.user_id(*id)).collect();
        let captures: Vec<Value> = step.captures.iter().map(|c| self.capture(c, Some(&step.id))).collect();
        json!({
            "id": step.id,
            "checklist_id": template,
            "title": step.title,
            "alias": step.alias,
            "summary": step.summary,
            "step_type": step.task_type,
            "position": step.position,
            "allow_guest_owners": true,
            "max_assignable": 0,
            "skip_start_process": false,
            "can_complete_only_assignees": false,
            "everyone_must_complete": false,
            "webhook": step.webhook,
            "is_soft_start_date": false,
            "deadline": {"value": step.deadline_days, "unit": "days", "option": "from", "step": "start_run"},
            "assignees": assignees,
            "guests": step.assignees.guests,
            "groups": step.assignees.groups,
            "captures": captures,
            "prevent_guest_comment": false,
            "roles": [],
            "role_changes_every_time": false,
        })
    }
}

/// The rules of a template: conditions, and what is done when they are met.
fn automations(template: &Template) -> Vec<Value> {
    let rule = |(position, url): (usize, &String)| {
        json!({
            "id": format!("{}-{position}", template.id),
            "automated_alias": format!("Tell {position}"),
            "conditions": [],
            "then_actions": [{
                "id": format!("{}-{position}-1", template.id),
                "action_type": "webhook",
                "action_verb": "emit_webhook",
                "alias_name": format!("tell-{position}"),
                "webhook_url": url,
                "position": 1,
            }],
        })
    };
    template.automations.iter().enumerate().map(rule).collect()
}
