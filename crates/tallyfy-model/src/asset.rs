//! Files.

use crate::lenient::Item;
use crate::record::record;
use crate::{ApiTime, AssetId, AssetSource, StepId};

record! {
    /// A file of a run, a task or a comment, or in the answer of a form field (API reference, sections c.7 and c.8).
    pub struct Asset or bare id {
        /// The file's id.
        id: AssetId,
        /// Its name.
        filename: String,
        /// Which version of the file it is, counted from 1.
        version: i64,
        /// The form field that it was uploaded to, or `ko_field` for the kick-off form.
        uploaded_from: String,
        /// When it was uploaded.
        uploaded_at: ApiTime,
        /// The step that it belongs to.
        step_id: StepId,
        /// Where its bytes are.
        source: AssetSource,
        /// What it belongs to.
        subject: Item<Subject>,
    }
    /// What only some places tell of a file.
    rarely AssetDetails {
        /// Where it is, without the host.
        url: String,
        /// Where it is; may lack the `/api` that belongs in it.
        full_url: String,
        /// Where anybody may read it; in webhooks.
        public_link: String,
        /// Whether the product made it.
        system: bool,
        /// Whether its bytes are in the object store.
        uploaded_to_s3: bool,
    }
}

record! {
    /// What a file belongs to.
    pub struct Subject or bare id {
        /// The id of that thing.
        id: String,
        /// `Run`, `Checklist`, `Task` or `Organization`.
        r#type = "type": String,
    }
}
