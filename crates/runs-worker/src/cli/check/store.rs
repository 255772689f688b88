//! The store, and which worker has it.

use runs_store::Inspection;

use super::database;
use super::finding::Finding;
use crate::config::Loaded;
use crate::data_folder;

/// What is found, and who holds the store.
pub(super) async fn look(loaded: &Loaded) -> (Vec<Finding>, Option<String>) {
    match loaded.config.store.location() {
        Ok(location) if location.has_one_worker() => file(loaded).await,
        Ok(location) => database::look(&location, loaded).await,
        Err(error) => (vec![Finding::of_store(&error)], None),
    }
}

async fn file(loaded: &Loaded) -> (Vec<Finding>, Option<String>) {
    let folder = loaded.config.store.folder();
    let file = data_folder::store_file(&folder);
    let shown = file.display();
    let absent = || Finding::ok("store", format!("{shown} is not there yet and will be made"));
    if !folder.exists() {
        return (vec![absent()], None);
    }
    let (finding, holder) = match data_folder::location(&folder).inspect().await {
        Ok(Inspection::Absent) => (absent(), None),
        Ok(Inspection::Present { damage, .. }) if !damage.is_empty() => {
            let text = format!("{shown} is damaged: {}", damage.join("; "));
            let hint = "put a backup in its place, see docs/moving.md; the next sweep finds what it lacks";
            (Finding::failure("store", text).hint(hint), None)
        }
        Ok(Inspection::Present {
            held_by: Some(holder), ..
        }) => (
            Finding::ok("store", format!("{shown} is in use by {holder}")),
            Some(holder),
        ),
        Ok(Inspection::Present { schema, supported, .. }) if schema < supported => {
            let text = format!("{shown} is whole; its schema will be brought from version {schema} to {supported}");
            (Finding::ok("store", text), None)
        }
        Ok(_) => (Finding::ok("store", format!("{shown} is whole")), None),
        Err(error) => (Finding::of_store(&error), None),
    };
    let workers = match &holder {
        Some(holder) => format!("one worker at a time with SQLite; it is {holder}"),
        None => "one worker at a time with SQLite; none runs on this store".to_owned(),
    };
    (vec![finding, Finding::ok("workers", workers)], holder)
}
