//! Keys that have another name now: whoever still writes the old one is told the new one.

use config::{Value, ValueKind};

use super::keys::{find, leave_out};
use super::problem::Problem;

/// The old name of each, and the new one.
pub(super) const RENAMED: [(&str, &str); 2] = [
    ("store.overflow_dir", "intake.dirs"),
    ("store.overflow_megabytes", "intake.reserve_megabytes"),
];

/// What is written under an old name. It is left out.
pub(super) fn renamed(values: &mut Value, names: &[(&str, &str)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (old, new) in names {
        let is_written = find(values, old).is_some_and(|value| !matches!(value.kind, ValueKind::Nil));
        if is_written && leave_out(values, old) {
            problems.push(Problem::new(*old, format!("is called `{new}` now")));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_name_is_answered_with_the_new_one() {
        let text = "[store]\nold_dir = \"/x\"\nother = 1";
        let mut values: Value = config::Config::builder()
            .add_source(config::File::from_str(text, config::FileFormat::Toml))
            .build()
            .and_then(config::Config::try_deserialize)
            .unwrap();
        let names = [("store.old_dir", "intake.dirs"), ("store.unset", "intake.other")];
        let said: Vec<String> = renamed(&mut values, &names).iter().map(ToString::to_string).collect();
        assert_eq!(said, ["store.old_dir: is called `intake.dirs` now"]);
        assert!(find(&mut values, "store.old_dir").is_none());
        assert!(find(&mut values, "store.other").is_some());
    }
}
