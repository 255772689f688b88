//! Ratios, each with its limit and a verdict.

use std::process::ExitCode;

/// What a ratio must be.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// No larger than this.
    AtMost(f64),
    /// No smaller than this.
    AtLeast(f64),
}

impl Limit {
    fn is_kept_by(self, ratio: f64) -> bool {
        match self {
            Self::AtMost(limit) => ratio <= limit,
            Self::AtLeast(limit) => ratio >= limit,
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(limit) => write!(formatter, "at most {limit:.2}"),
            Self::AtLeast(limit) => write!(formatter, "at least {limit:.2}"),
        }
    }
}

/// A table that is printed row by row.
#[derive(Debug)]
pub struct Table {
    missed: Vec<String>,
}

impl Table {
    /// Prints the heading.
    pub fn new(of: &str) -> Self {
        println!("{of:<60} {:>6}   {:<13} verdict", "ratio", "limit");
        Self { missed: Vec::new() }
    }

    /// Prints a row.
    pub fn row(&mut self, what: &str, ratio: f64, limit: Limit) {
        let is_kept = limit.is_kept_by(ratio);
        if !is_kept {
            self.missed
                .push(format!("missed: {what}: {ratio:.2}, should be {limit}"));
        }
        let verdict = if is_kept { "kept" } else { "MISSED" };
        println!("{what:<60} {ratio:>6.2}   {:<13} {verdict}", limit.to_string());
    }

    /// Success, unless a limit was missed. Prints those once more, a line for each.
    pub fn verdict(&self) -> ExitCode {
        for missed in &self.missed {
            println!("{missed}");
        }
        if self.missed.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_missed_limit_is_a_failure() {
        let mut table = Table::new("");
        table.row("", 1.25, Limit::AtMost(1.25));
        table.row("", 1.6, Limit::AtLeast(1.6));
        assert_eq!(table.verdict(), ExitCode::SUCCESS);
        table.row("", 1.59, Limit::AtLeast(1.6));
        table.row("", 1.0, Limit::AtMost(1.25));
        assert_eq!(table.verdict(), ExitCode::FAILURE);
    }
}
