//! Which state of a run it is.

/// What tells one state of a run from another, as far as the run list shows it too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Differs when the run does. The store compares it and knows nothing else of it.
    pub text: String,
    /// Whether another state cannot have the same text: a time that is written to the second says nothing of a second
    /// change within it.
    pub settled: bool,
    /// Whether the run is one that a list of active runs shows.
    pub active: bool,
}
