//! A run, named by its id or by a link that was copied from Tallyfy.

use tallyfy_model::RunId;

/// Words in Tallyfy's links that are followed by a run's id.
const BEFORE_A_RUN: [&str; 4] = ["processes", "process", "runs", "run"];

/// Reads the id of a run, or a link to one.
pub(super) fn run_ref(text: &str) -> Result<RunId, String> {
    let Some((_, link)) = text.split_once("://") else {
        return match text.trim() {
            "" => Err("it is empty".to_owned()),
            id => Ok(RunId::new(id)),
        };
    };
    let mut parts = link
        .split(['/', '?', '#', '&', '='])
        .skip(1)
        .filter(|part| !part.is_empty());
    let found = parts
        .find(|part| BEFORE_A_RUN.contains(part))
        .and_then(|_| parts.next());
    found.map(RunId::new).ok_or_else(|| {
        "this link names no run; a link to a run looks like https://go.tallyfy.com/ORG_ID/processes/RUN_ID".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_as_the_run_that_it_names() {
        for text in [
            "430af2dc54b1eb51d0d7b7e44b082a20",
            "https://go.tallyfy.com/4b1eb51d/processes/430af2dc54b1eb51d0d7b7e44b082a20",
            "https://go.tallyfy.com/4b1eb51d/processes/430af2dc54b1eb51d0d7b7e44b082a20/tasks/1?tab=2",
            "https://go.tallyfy.com/api/organizations/4b1eb51d/runs/430af2dc54b1eb51d0d7b7e44b082a20?with=tasks",
            "https://go.tallyfy.com/#/4b1eb51d/process/430af2dc54b1eb51d0d7b7e44b082a20",
        ] {
            assert_eq!(
                run_ref(text).unwrap().as_str(),
                "430af2dc54b1eb51d0d7b7e44b082a20",
                "{text}"
            );
        }
        for text in [
            "",
            "https://go.tallyfy.com/",
            "https://go.tallyfy.com/4b1eb51d/processes/",
        ] {
            assert!(run_ref(text).is_err(), "{text}");
        }
    }
}
