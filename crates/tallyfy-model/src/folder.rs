//! Folders.

use crate::FolderId;
use crate::lenient::{Item, List};
use crate::record::record;

record! {
    /// A folder of runs or templates (API reference, section c.8).
    pub struct Folder or bare id {
        /// The folder's id.
        id: FolderId,
        /// Its name.
        name: String,
        /// The folder that it is in.
        parent_id: FolderId,
        /// That folder itself.
        parent: Item<Folder>,
        /// How many things are in it.
        total: i64,
        /// Its place among its neighbours.
        position: i64,
        /// What kind of thing is in it.
        folder_type: String,
        /// The folders in it.
        children: List<Folder>,
    }
}
