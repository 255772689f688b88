//! The forms in which the vendor has been seen to write one and the same thing.

use serde::{Deserialize, Serialize};

macro_rules! forms {
    ($($(#[$meta:meta])* $name:ident { $($(#[$of_variant:meta])* $variant:ident,)+ })+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$of_variant])* $variant,)+ }

        impl $name {
            /// Every form there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }
    )+};
}

forms! {
    /// How an include is enclosed.
    IncludeForm {
        /// `{"data": …}`.
        #[default]
        Wrapped,
        /// Just the value.
        Bare,
    }

    /// How an include is written that resolves to nothing.
    EmptyIncludeForm {
        /// `{"data": []}`, or `{"data": null}` for an item.
        #[default]
        Empty,
        /// `{"data": null}`, for collections too.
        Null,
    }

    /// How an empty map is written.
    EmptyMapForm {
        /// `{}`.
        #[default]
        Object,
        /// `[]`, as PHP does.
        List,
    }

    /// How ids of members are written.
    IdForm {
        /// `1002`.
        #[default]
        Number,
        /// `"1002"`.
        String,
    }

    /// How the progress of a run is written.
    ProgressForm {
        /// `{"complete": 1, "total": 3, "percent": 33.3}`.
        #[default]
        Object,
        /// `33`.
        Number,
        /// `{}`.
        Empty,
    }

    /// How lists of members and groups are written.
    PeopleForm {
        /// `[1002]`.
        #[default]
        Scalars,
        /// `[{"user_id": 1002, "full_name": "…"}]`.
        Objects,
    }

    /// How the tags of a run are written.
    TagForm {
        /// `{"id": 40001, "tag_id": "…", "tag": {…}}`.
        #[default]
        Association,
        /// `{"id": "…", "title": "…", "color": "…"}`.
        Title,
        /// `{"id": "…", "name": "…", "color": "…"}`.
        Name,
        /// `"…"`.
        Id,
    }

    /// How times are written.
    DateForm {
        /// `2026-01-05T09:00:00.000Z`.
        #[default]
        Millis,
        /// `2026-01-05T09:00:00Z`. Two changes within a second look the same.
        Seconds,
        /// `2026-01-05 09:00:00`.
        Spaced,
        /// `2026-01-05`. Never drawn at random: it hides most changes.
        DateOnly,
    }

    /// How statuses are spelled.
    StatusForm {
        /// `active`, `complete`, `completed`, …
        #[default]
        Documented,
        /// `in-progress`, `completed`, `complete`, `archived`, …
        Otherwise,
        /// A word nobody has seen before.
        Unknown,
    }

    /// How `meta.pagination.links` is written.
    LinksForm {
        /// `{"previous": …, "next": …}`, null at the ends.
        #[default]
        PreviousNext,
        /// `{"prev": …, "next": …}`, null at the ends.
        PrevNext,
        /// `{"next": …}` while there is one, then `[]`.
        NextOrList,
        /// `{"next": …}` while there is one, then `{}`.
        NextOrObject,
        /// `null`.
        Null,
        /// No `links` at all.
        Absent,
        /// No `meta` at all.
        NoMeta,
    }

    /// Which host `links.next` names.
    LinksHost {
        /// The one that was called.
        #[default]
        Called,
        /// The vendor's other one.
        Other,
    }

    /// What `per_page` and `total_pages` are worth.
    PagingForm {
        /// Both are right.
        #[default]
        Honest,
        /// `total_pages` is computed from 100 for each page, whatever `per_page` was.
        TotalPagesOff,
        /// `per_page` is ignored: ten for each page.
        PerPageIgnored,
    }

    /// How `next_task` of the API is written.
    NextTaskForm {
        /// `{"data": [{…}]}`.
        #[default]
        Collection,
        /// `{…}`, or `null` when done.
        Single,
    }

    /// Under which key a form field carries its answer.
    AnswerForm {
        /// `field_value`.
        #[default]
        FieldValue,
        /// `value`.
        Value,
    }

    /// How error bodies are written.
    ErrorForm {
        /// `{"error": true, "message": "…"}`, some with a `code`.
        #[default]
        Flagged,
        /// `{"message": "…"}`.
        MessageOnly,
        /// `{"error": "Forbidden", "message": "…"}`.
        Named,
        /// `{"error": {"code": "…", "message": "…"}}`.
        Nested,
    }

    /// How dates are written in webhooks, a setting of the organization.
    WebhookDateForm {
        /// `2026-01-05T09:00:00Z` everywhere.
        #[default]
        Iso,
        /// `05/01/2026 09:00 AM UTC` in answers to date fields.
        LocalizedAnswers,
        /// `05/01/2026 09:00 AM UTC` everywhere.
        Localized,
    }

    /// How `next_task` of a webhook is written when there is none.
    NoNextTaskForm {
        /// `[]`.
        #[default]
        List,
        /// `{}`.
        Object,
        /// `null`.
        Null,
    }

    /// Under which name the list of watchers has their URLs.
    WatcherUrlForm {
        /// `webhook`.
        #[default]
        Webhook,
        /// `webhook_url`.
        WebhookUrl,
        /// `url`.
        Url,
    }

    /// How much an organization event tells.
    WatcherForm {
        /// `{"event": "…", "task": {"id": "…"}}`.
        #[default]
        Id,
        /// `{"event": "…"}`.
        EventOnly,
    }
}
