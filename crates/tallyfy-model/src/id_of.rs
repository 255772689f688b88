//! The id of a thing that was fetched, so that the thing can stand where its id is asked for.

use crate::{Checklist, ChecklistId, Run, RunId, Task, TaskId, WithJson};

macro_rules! id_of {
    ($($thing:ident => $id:ident),+ $(,)?) => {$(
        /// Its id; where it has none, an empty one, which no request takes.
        impl From<&$thing> for $id {
            fn from(thing: &$thing) -> Self {
                thing.id.get().cloned().unwrap_or_else(|| Self::new(""))
            }
        }

        /// Its id; where it has none, an empty one, which no request takes.
        impl From<&WithJson<$thing>> for $id {
            fn from(thing: &WithJson<$thing>) -> Self {
                Self::from(&**thing)
            }
        }
    )+};
}

id_of! {
    Checklist => ChecklistId,
    Task => TaskId,
}

/// Its id.
impl From<&Run> for RunId {
    fn from(run: &Run) -> Self {
        run.id().clone()
    }
}
