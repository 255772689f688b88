//! What is wrong with one handler.

use super::problem::Problem;

/// What is wrong with one handler.
pub(super) struct Told<'a> {
    place: &'a str,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Told<'a> {
    pub(super) fn new(place: &'a str) -> Self {
        let problems = Vec::new();
        Self { place, problems }
    }

    pub(super) fn problem(&mut self, key: &str, message: String) {
        self.problems
            .push(Problem::new(format!("{}.{key}", self.place), message));
    }
}
