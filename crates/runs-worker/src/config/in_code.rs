//! A configuration that is put together in code, without a file.

use super::problem::{ConfigError, Problem};
use super::{Config, Loaded, Organization, Sections, organizations};

impl Loaded {
    /// A configuration of these settings and organizations. Neither a file nor the environment is read.
    ///
    /// Handlers are added to the [`Worker`](crate::Worker); without any, events go to the standard output. For those that
    /// files describe, `http` for example, see [`Flags::of_text`](super::Flags::of_text).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use runs_worker::config::{Config, Loaded, Organization};
    ///
    /// let mut config = Config::default();
    /// config.store.data_dir = Some("/var/lib/board".into());
    /// config.refresh.window = Duration::from_secs(5);
    /// let organization = Organization::new("ORG_ID", "token", ["the-secret-of-the-webhook-path"]);
    /// let loaded = Loaded::new(config, [organization])?;
    /// # drop(loaded);
    /// # Ok::<(), runs_worker::config::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// [`ConfigError`] with everything that is wrong.
    pub fn new(config: Config, organizations: impl IntoIterator<Item = Organization>) -> Result<Self, ConfigError> {
        let mut problems = config.problems();
        let tables = organizations.into_iter().map(Into::into);
        let (organizations, wrong) = organizations::resolve(tables, true, None);
        problems.extend(wrong);
        if organizations.is_empty() && problems.is_empty() {
            problems.push(Problem::new("organizations", "there is none, at least one is needed"));
        }
        if !problems.is_empty() {
            return Err(problems.into());
        }
        Ok(Self {
            config,
            organizations,
            handlers: Vec::new(),
            secret_files: Vec::new(),
            file: None,
            sections: Sections::default(),
        })
    }
}
