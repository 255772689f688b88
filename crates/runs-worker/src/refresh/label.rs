//! What a run is called.

use runs_store::RunLabel;
use tallyfy_model::Run;

use crate::shared::visible::visible_line;

/// What a person calls the run by.
pub(super) fn label(run: &Run) -> RunLabel {
    let title = run.checklist_title.as_str();
    let title = title.or_else(|| run.checklist.get().and_then(|checklist| checklist.title.as_str()));
    RunLabel {
        name: run.name.as_str().map(visible_line),
        template: run.checklist_id.get().map(|id| visible_line(id.as_str())),
        template_name: title.map(visible_line),
        status: run.status.get().map(|status| visible_line(status.as_str())),
    }
}
