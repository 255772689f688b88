//! The environment's variables that are ours.

use std::collections::BTreeMap;

use super::kubernetes::is_injected;
use super::problem::Problem;

/// Environment variables with names of their own, and the keys that they set.
pub(super) const NAMED: [(&str, &str); 4] = [
    ("TALLYFY_BASE_URL", "api.base_url"),
    ("RUNS_WORKER_LISTEN", "receive.listen"),
    ("RUNS_WORKER_ADMIN_LISTEN", "admin.listen"),
    ("RUNS_WORKER_DATA_DIR", "store.data_dir"),
];

/// What the other environment variables begin with.
pub(super) const PREFIX: &str = "RUNS_WORKER";

/// The environment variable that names the file.
pub(super) const FILE: &str = "RUNS_WORKER_CONFIG";

/// The value of a variable; an empty one is not set.
pub(super) fn set<'a>(environment: &'a BTreeMap<String, String>, name: &str) -> Option<&'a String> {
    environment.get(name).filter(|value| !value.is_empty())
}

/// Variables that begin like ours and are none of ours.
pub(super) fn misspelled(environment: &BTreeMap<String, String>) -> Vec<Problem> {
    let known = |name: &str| name == FILE || NAMED.iter().any(|(known, _)| *known == name);
    let ours = environment.iter().filter(|(name, value)| {
        let rest = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('_'));
        rest.is_some_and(|rest| !rest.starts_with('_')) && !known(name) && !is_injected(name, value)
    });
    let problem = |(name, _): (&String, &String)| {
        let message = "there is no such variable; keys of the file are written as RUNS_WORKER__SECTION__KEY, with two \
                       underscores between the parts";
        Problem::elsewhere(format!("the environment variable {name}"), message)
    };
    ours.map(problem).collect()
}
