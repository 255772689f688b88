//! The `with` parameter.

use std::collections::BTreeSet;

/// The includes a caller asked for: `tasks,tasks.step` and the like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Includes(BTreeSet<String>);

impl Includes {
    /// Reads a comma-separated list.
    pub(crate) fn parse(with: &str) -> Self {
        Self(
            with.split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }

    /// Whether this include was asked for, by itself or as the parent of another.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|asked| asked == name || asked.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
    }

    /// The names that were asked for, without what is below them.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let names: BTreeSet<&str> = self.0.iter().filter_map(|asked| asked.split('.').next()).collect();
        names.into_iter()
    }

    /// What was asked for below `name`.
    pub(crate) fn below(&self, name: &str) -> Self {
        let children = self
            .0
            .iter()
            .filter_map(|asked| asked.strip_prefix(name)?.strip_prefix('.'));
        Self(children.map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_include_brings_its_parent() {
        let with = Includes::parse("checklist, tasks.step,tasks.step.captures");
        assert!(with.has("tasks") && with.has("checklist") && !with.has("task"));
        assert!(with.below("tasks").has("step"));
        assert_eq!(with.below("tasks").below("step"), Includes::parse("captures"));
        assert_eq!(with.below("checklist"), Includes::default());
    }
}
