//! The vendor's inconsistencies, each selectable.
//!
//! [`Quirks::default`] is what the vendor's own clients can read. [`QuirkMode::Random`] draws anew for each response.

mod forms;

use std::sync::{Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

pub use forms::{
    AnswerForm, DateForm, EmptyIncludeForm, EmptyMapForm, ErrorForm, IdForm, IncludeForm, LinksForm, LinksHost,
    NextTaskForm, NoNextTaskForm, PagingForm, PeopleForm, ProgressForm, StatusForm, TagForm, WatcherForm,
    WatcherUrlForm, WebhookDateForm,
};

/// Which of the forms seen in the wild is used for what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// Includes.
    pub includes: IncludeForm,
    /// Includes that resolve to nothing.
    pub empty_includes: EmptyIncludeForm,
    /// Empty maps.
    pub empty_maps: EmptyMapForm,
    /// Ids of members.
    pub ids: IdForm,
    /// Progress of a run.
    pub progress: ProgressForm,
    /// Lists of members and groups.
    pub people: PeopleForm,
    /// Tags of a run.
    pub tags: TagForm,
    /// Times.
    pub dates: DateForm,
    /// Statuses.
    pub statuses: StatusForm,
    /// `links` in pagination.
    pub links: LinksForm,
    /// The host that `links` name.
    pub links_host: LinksHost,
    /// What the numbers in pagination are worth.
    pub paging: PagingForm,
    /// `next_task` of the API.
    pub next_task: NextTaskForm,
    /// Answers in form fields.
    pub answers: AnswerForm,
    /// Error bodies.
    pub errors: ErrorForm,
    /// Dates in webhooks.
    pub webhook_dates: WebhookDateForm,
    /// `next_task` of a webhook, when there is none.
    pub webhook_no_next_task: NoNextTaskForm,
    /// Organization events.
    pub watcher_bodies: WatcherForm,
    /// URLs in the list of watchers.
    pub watcher_urls: WatcherUrlForm,
    /// Fields nobody has documented, with numbers that a careless reader changes.
    pub extra_fields: bool,
    /// Bodies with line breaks and indentation.
    pub pretty: bool,
}

impl Quirks {
    /// One form for everything, drawn at random.
    #[must_use]
    pub fn random(rng: &mut impl RngExt) -> Self {
        fn one_of<T: Copy + Default>(forms: &[T], rng: &mut impl RngExt) -> T {
            forms.get(rng.random_range(0..forms.len())).copied().unwrap_or_default()
        }
        let dates = [DateForm::Millis, DateForm::Seconds, DateForm::Spaced];
        Self {
            includes: one_of(IncludeForm::ALL, rng),
            empty_includes: one_of(EmptyIncludeForm::ALL, rng),
            empty_maps: one_of(EmptyMapForm::ALL, rng),
            ids: one_of(IdForm::ALL, rng),
            progress: one_of(ProgressForm::ALL, rng),
            people: one_of(PeopleForm::ALL, rng),
            tags: one_of(TagForm::ALL, rng),
            dates: one_of(&dates, rng),
            statuses: one_of(StatusForm::ALL, rng),
            links: one_of(LinksForm::ALL, rng),
            links_host: one_of(LinksHost::ALL, rng),
            paging: one_of(PagingForm::ALL, rng),
            next_task: one_of(NextTaskForm::ALL, rng),
            answers: one_of(AnswerForm::ALL, rng),
            errors: one_of(ErrorForm::ALL, rng),
            webhook_dates: one_of(WebhookDateForm::ALL, rng),
            webhook_no_next_task: one_of(NoNextTaskForm::ALL, rng),
            watcher_bodies: one_of(WatcherForm::ALL, rng),
            watcher_urls: one_of(WatcherUrlForm::ALL, rng),
            extra_fields: rng.random(),
            pretty: rng.random(),
        }
    }

    /// The forms that webhooks are documented with, where they differ from the API's.
    #[must_use]
    pub(crate) fn for_webhooks(&self) -> Self {
        Self {
            ids: IdForm::String,
            progress: ProgressForm::Number,
            people: PeopleForm::Objects,
            tags: TagForm::Name,
            dates: DateForm::Seconds,
            statuses: if self.statuses == StatusForm::Unknown {
                StatusForm::Unknown
            } else {
                StatusForm::Otherwise
            },
            ..self.clone()
        }
    }
}

/// Whether every response has the same quirks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuirkMode {
    /// These, until told otherwise.
    Fixed(Quirks),
    /// Others for each response, drawn from this seed.
    Random(u64),
}

impl Default for QuirkMode {
    fn default() -> Self {
        Self::Fixed(Quirks::default())
    }
}

/// Where responses take their quirks from. It can be switched at any time.
#[derive(Debug)]
pub struct QuirkSource(Mutex<(QuirkMode, StdRng)>);

impl QuirkSource {
    pub(crate) fn new(mode: QuirkMode) -> Self {
        let rng = Self::rng_of(&mode);
        Self(Mutex::new((mode, rng)))
    }

    fn rng_of(mode: &QuirkMode) -> StdRng {
        StdRng::seed_from_u64(if let QuirkMode::Random(seed) = mode { *seed } else { 0 })
    }

    /// The mode in use.
    #[must_use]
    pub fn mode(&self) -> QuirkMode {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Switches to these quirks.
    pub fn set(&self, quirks: Quirks) {
        self.set_mode(QuirkMode::Fixed(quirks));
    }

    /// Switches to quirks drawn for each response.
    pub fn randomize(&self, seed: u64) {
        self.set_mode(QuirkMode::Random(seed));
    }

    /// Switches the mode.
    pub fn set_mode(&self, mode: QuirkMode) {
        let rng = Self::rng_of(&mode);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (mode, rng);
    }

    /// The quirks of the next response.
    pub(crate) fn draw(&self) -> Quirks {
        let mut source = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *source {
            (QuirkMode::Fixed(quirks), _) => quirks.clone(),
            (QuirkMode::Random(_), rng) => Quirks::random(rng),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_quirks() {
        let (one, two) = (
            QuirkSource::new(QuirkMode::Random(3)),
            QuirkSource::new(QuirkMode::Random(3)),
        );
        let drawn: Vec<Quirks> = (0..20).map(|_| one.draw()).collect();
        assert_eq!(drawn, (0..20).map(|_| two.draw()).collect::<Vec<_>>());
        assert!(drawn.windows(2).any(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn a_random_draw_never_hides_changes_behind_bare_dates() {
        let source = QuirkSource::new(QuirkMode::Random(11));
        assert!((0..200).all(|_| source.draw().dates != DateForm::DateOnly));
    }

    #[test]
    fn a_misspelled_quirk_is_refused() {
        let error = serde_json::from_str::<Quirks>(r#"{"progres":"number"}"#).unwrap_err();
        assert!(error.to_string().contains("progres"), "{error}");
    }
}
