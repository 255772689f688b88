//! Tags of a run.

use crate::lenient::{Field, Item};
use crate::record::record;
use crate::{ApiTime, TagId};

record! {
    /// A tag of a run, in any of its four forms (API reference, section c.3): the association, whose own id is a number
    /// and which names the tag by `tag_id`; `{id, title, color}`; `{id, name, color}` in webhooks; or nothing but an id.
    pub struct Tag or bare id {
        /// The tag's id, or that of the association if there is a `tag_id`.
        id: TagId,
        /// The tag's id, in an association.
        tag_id: TagId,
        /// The tag itself, where the association carries it.
        tag: Item<TagText>,
        /// The name, as the API calls it.
        title: String,
        /// The name, as webhooks call it.
        name: String,
        /// The colour, such as `#rrggbb`.
        color: String,
    }
    /// What only a tag that is fetched by itself has.
    rarely TagDetails {
        /// What it is for; undocumented.
        r#type = "type": String,
        /// Whether the product made it.
        auto_generated: bool,
        /// When it was created.
        created_at: ApiTime,
        /// When it was deleted.
        deleted_at: ApiTime,
    }
}

record! {
    /// A tag inside an association.
    pub struct TagText or bare id {
        /// The tag's id.
        id: TagId,
        /// The name, as the API calls it.
        title: String,
        /// The name, as webhooks call it.
        name: String,
        /// The colour.
        color: String,
    }
}

impl Tag {
    /// The id of the tag, whichever form it came in.
    pub fn any_id(&self) -> Option<&TagId> {
        let inner = || self.tag.get().and_then(|tag| tag.id.get());
        self.tag_id.get().or_else(inner).or_else(|| self.id.get())
    }

    /// The name of the tag, under whichever name it came.
    pub fn any_title(&self) -> Option<&str> {
        let inner = self.tag.get().into_iter().flat_map(|tag| [&tag.title, &tag.name]);
        [&self.title, &self.name]
            .into_iter()
            .chain(inner)
            .filter_map(Field::as_str)
            .find(|title| !title.is_empty())
    }
}
