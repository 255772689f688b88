//! Changes out of the JSON that they were written as, and when two of them are equal.

use std::borrow::Cow;

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tallyfy_model::minified;

use super::change::{Change, FieldChange, OwnerRef, TagRef, TaskRef};

/// Reads a change as it was written, values to the last digit. Only from JSON.
impl<'de> Deserialize<'de> for Change {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not derived: what is told apart by a member goes through a tree, and a tree holds no raw JSON.
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        change(raw.get()).map_err(D::Error::custom)
    }
}

/// Every member that a change may have.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(default, deserialize_with = "present")]
    from: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "present")]
    to: Option<Box<RawValue>>,
    at: Option<String>,
    by: Option<String>,
    owner: Option<OwnerRef>,
    tag: Option<TagRef>,
    /// An object; in an answer an id or null.
    task: Option<Box<RawValue>>,
    fields: Option<Vec<FieldChange>>,
    field: Option<String>,
    label: Option<String>,
    pointer: Option<String>,
}

/// What is there, `null` too.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

fn change(json: &str) -> Result<Change, serde_json::Error> {
    let members: Members<'_> = serde_json::from_str(json)?;
    Ok(match &*members.kind {
        "status" => Change::Status {
            from: value(members.from.as_deref())?,
            to: value(members.to.as_deref())?,
        },
        "progress" => Change::Progress {
            from: value(members.from.as_deref())?,
            to: value(members.to.as_deref())?,
        },
        "name" => Change::Name {
            from: value(members.from.as_deref())?,
            to: value(members.to.as_deref())?,
        },
        "owner" => Change::Owner {
            from: value(members.from.as_deref())?,
            to: value(members.to.as_deref())?,
        },
        "date" => Change::Date {
            field: needed(members.field, "field")?,
            from: value(members.from.as_deref())?,
            to: value(members.to.as_deref())?,
        },
        "answer" => Change::Answer {
            field: needed(members.field, "field")?,
            task: value(members.task.as_deref())?,
            label: members.label,
            from: members.from.filter(is_something),
            to: members.to.filter(is_something),
        },
        "other" => Change::Other(FieldChange {
            pointer: needed(members.pointer, "pointer")?,
            from: members.from,
            to: members.to,
        }),
        _ => return without_values(members),
    })
}

/// The kinds that have no value before and after.
fn without_values(members: Members<'_>) -> Result<Change, serde_json::Error> {
    let task = || match value::<TaskRef>(members.task.as_deref())? {
        Some(task) => Ok(task),
        None => Err(serde_json::Error::missing_field("task")),
    };
    Ok(match &*members.kind {
        "owner.added" => Change::OwnerAdded {
            owner: needed(members.owner, "owner")?,
        },
        "owner.removed" => Change::OwnerRemoved {
            owner: needed(members.owner, "owner")?,
        },
        "completed" => Change::Completed { at: members.at },
        "reopened" => Change::Reopened,
        "archived" => Change::Archived { at: members.at },
        "reactivated" => Change::Reactivated,
        "task.added" => Change::TaskAdded { task: task()? },
        "task.removed" => Change::TaskRemoved { task: task()? },
        "task.completed" => Change::TaskCompleted {
            task: task()?,
            at: members.at,
            by: members.by,
        },
        "task.reopened" => Change::TaskReopened { task: task()? },
        "task.changed" => Change::TaskChanged {
            task: task()?,
            fields: needed(members.fields, "fields")?,
        },
        "tag.added" => Change::TagAdded {
            tag: needed(members.tag, "tag")?,
        },
        "tag.removed" => Change::TagRemoved {
            tag: needed(members.tag, "tag")?,
        },
        other => {
            return Err(serde_json::Error::custom(format!(
                "no kind of change is called `{other}`"
            )));
        }
    })
}

fn needed<T>(member: Option<T>, name: &'static str) -> Result<T, serde_json::Error> {
    member.ok_or_else(|| serde_json::Error::missing_field(name))
}

fn value<T: DeserializeOwned>(raw: Option<&RawValue>) -> Result<Option<T>, serde_json::Error> {
    raw.map_or(Ok(None), |raw| serde_json::from_str(raw.get()))
}

#[expect(clippy::borrowed_box, reason = "what a filter of an option of a box takes")]
fn is_something(raw: &Box<RawValue>) -> bool {
    raw.get() != "null"
}

impl<'de> Deserialize<'de> for FieldChange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Members {
            pointer: String,
            #[serde(default, deserialize_with = "present")]
            from: Option<Box<RawValue>>,
            #[serde(default, deserialize_with = "present")]
            to: Option<Box<RawValue>>,
        }

        let Members { pointer, from, to } = Members::deserialize(deserializer)?;
        Ok(Self { pointer, from, to })
    }
}

impl<'de> Deserialize<'de> for TaskRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Members {
            id: String,
            title: Option<String>,
            status: Option<String>,
        }

        let Members { id, title, status } = Members::deserialize(deserializer)?;
        Ok(Self { id, title, status })
    }
}

impl<'de> Deserialize<'de> for TagRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Members {
            id: String,
            title: Option<String>,
        }

        let Members { id, title } = Members::deserialize(deserializer)?;
        Ok(Self { id, title })
    }
}

impl<'de> Deserialize<'de> for OwnerRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Members {
            r#type: String,
            id: String,
            name: Option<String>,
        }

        let Members { r#type, id, name } = Members::deserialize(deserializer)?;
        let kind = r#type;
        let known = ["member", "group"].into_iter().find(|known| *known == kind);
        let r#type = known.ok_or_else(|| D::Error::custom(format!("no owner is a `{kind}`")))?;
        Ok(Self { r#type, id, name })
    }
}

/// Two changes are equal if they are written with the same text, white space aside.
impl PartialEq for Change {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other) && text(self) == text(other)
    }
}

/// Two are equal if they are written with the same text, white space aside.
impl PartialEq for FieldChange {
    fn eq(&self, other: &Self) -> bool {
        text(self) == text(other)
    }
}

fn text(change: &impl serde::Serialize) -> Option<String> {
    serde_json::to_string(change).ok().map(|text| minified(&text))
}
