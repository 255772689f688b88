//! Which runs a list is to have, whatever database they are in.

use super::story::RunsQuery;

/// How many runs are looked at for one page.
pub(crate) const LOOKED_AT: usize = 10_000;

/// A run that may be meant.
pub(crate) struct Candidate {
    pub(crate) key: i64,
    pub(crate) fetched_at: i64,
    pub(crate) org: i64,
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) template: Option<String>,
    pub(crate) template_name: Option<String>,
}

/// A query, prepared for many candidates.
pub(crate) struct Wanted {
    org: Option<i64>,
    name: Option<String>,
    template: Option<String>,
}

impl Wanted {
    /// What a query asks for, where its organization has this key.
    pub(crate) fn new(org: Option<i64>, query: &RunsQuery) -> Self {
        Self {
            org,
            name: query.name.as_deref().map(str::to_ascii_lowercase),
            template: query.template.as_deref().map(str::to_ascii_lowercase),
        }
    }

    /// Whether this run is meant.
    pub(crate) fn is_meant(&self, run: &Candidate) -> bool {
        let has = |text: Option<&str>, part: &str| text.is_some_and(|text| text.to_ascii_lowercase().contains(part));
        self.org.is_none_or(|org| org == run.org)
            && self
                .name
                .as_deref()
                .is_none_or(|part| has(run.name.as_deref(), part) || has(Some(&run.id), part))
            && self.template.as_deref().is_none_or(|part| {
                run.template.as_deref().is_some_and(|id| id.eq_ignore_ascii_case(part))
                    || has(run.template_name.as_deref(), part)
            })
    }
}
