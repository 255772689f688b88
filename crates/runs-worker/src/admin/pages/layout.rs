//! What all pages have in common.

use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};

use super::{Pages, answer};
use crate::tell::{Sentence, Tone, ago, clock_time, day};

/// How soon a page that refreshes itself does so, in seconds.
const REFRESH: &str = "10";

const NAVIGATION: [(&str, &str); 9] = [
    ("/", "Overview"),
    ("/runs", "Runs"),
    ("/events", "Events"),
    ("/handlers", "Handlers"),
    ("/dead-letters", "Dead letters"),
    ("/notifications", "Unreadable"),
    ("/sweeps", "Sweeps"),
    ("/workers", "Workers"),
    ("/journal", "Journal"),
];

impl Pages {
    /// A whole page.
    pub(super) fn page(&self, title: &str, at: &str, body: &Markup) -> Response {
        let base = self.base();
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) " · runs-worker" }
                    link rel="stylesheet" href={ (base) "/style.css" };
                }
                body {
                    a .skip href="#main" { "Skip to the content" }
                    header .top {
                        a .brand href={ (base) "/" } { (logo()) "runs-worker" }
                        nav aria-label="Pages" {
                            ul {
                                @for (path, name) in NAVIGATION {
                                    li { a href={ (base) (path) } aria-current=[(path == at).then_some("page")] { (name) } }
                                }
                            }
                        }
                    }
                    main #main { (body) }
                    footer {
                        p {
                            "version " (env!("CARGO_PKG_VERSION")) " · worker " (self.admin.vitals.name())
                            " · times are UTC"
                        }
                    }
                }
            }
        };
        answer(StatusCode::OK, page)
    }

    /// The same, which looks again by itself until it is told not to.
    pub(super) fn living_page(&self, title: &str, at: &str, here: &str, still: bool, body: &Markup) -> Response {
        let joint = if here.contains('?') { "&" } else { "?" };
        let body = html! {
            (body)
            p .refresh {
                @if still {
                    "This page stands still. " a href={ (self.base()) (here) } { "Refresh it by itself" }
                } @else {
                    "This page refreshes itself every " (REFRESH) " seconds. "
                    a href={ (self.base()) (here) (joint) "still=1" } { "Stop that" }
                }
            }
        };
        let mut page = self.page(title, at, &body);
        if !still {
            let refresh = HeaderName::from_static("refresh");
            page.headers_mut().insert(refresh, HeaderValue::from_static(REFRESH));
        }
        page
    }

    /// A button that does something, in a form of its own.
    pub(super) fn button(&self, what: &str, label: &str, fields: &[(&str, &str)], back: &str) -> Markup {
        html! {
            @if self.config.actions {
                form .inline method="post" action={ (self.base()) "/act" } {
                    (self.hidden(what, back))
                    @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
                    button type="submit" { (label) }
                }
            }
        }
    }

    /// What every form brings along.
    pub(super) fn hidden(&self, what: &str, back: &str) -> Markup {
        html! {
            input type="hidden" name="token" value=(self.token);
            @if !what.is_empty() { input type="hidden" name="what" value=(what); }
            input type="hidden" name="back" value=(back);
        }
    }
}

/// Something arrives, and goes to several.
fn logo() -> Markup {
    html! {
        svg viewBox="0 0 20 20" aria-hidden="true" {
            path d="M2 10h6M8 10c4 0 3-6 7-6M8 10h7M8 10c4 0 3 6 7 6" {}
            circle cx="16.5" cy="4" r="2" {} circle cx="16.5" cy="10" r="2" {} circle cx="16.5" cy="16" r="2" {}
        }
    }
}

/// A part of an address, as it is written in one.
pub(super) fn part(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// A small mark that says how something stands, with words for who does not see it.
pub(super) fn mark(tone: Tone) -> Markup {
    let words = match tone {
        Tone::Good => "well",
        Tone::Quiet => "neutral",
        Tone::Warn => "look at this",
        Tone::Bad => "broken",
    };
    html! { span .mark .(tone.as_str()) role="img" aria-label=(words) {} }
}

pub(super) fn sentences(sentences: &[Sentence]) -> Markup {
    html! {
        ul .sentences {
            @for sentence in sentences {
                li .(sentence.tone.as_str()) { (mark(sentence.tone)) span { (sentence.text) } }
            }
        }
    }
}

/// A time, and how long ago it was.
pub(super) fn when(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(at) title={ (day(at)) " " (clock_time(at)) } { (ago(at, now)) } }
}

/// A link to the rest of a list.
pub(super) fn onward(link: Option<String>) -> Markup {
    html! {
        @if let Some(link) = link { p .onward { a href=(link) rel="next" { "Further" } } }
    }
}
