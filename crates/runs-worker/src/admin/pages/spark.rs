//! Small curves of the last hours.

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use runs_store::Pulse;

use crate::tell::number;

/// How many points a curve has, and how long each of them is.
const POINTS: usize = 48;
const MINUTES_EACH: i64 = 5;

const WIDTH: usize = 240;
const HEIGHT: usize = 40;

/// A curve of what was done, which is told by whether its name is meant.
pub(super) fn curve(label: &str, pulse: &[Pulse], now: Timestamp, is_meant: impl Fn(&str) -> bool) -> Markup {
    let counts = counts(pulse, now, is_meant);
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let sum: u64 = counts.iter().sum();
    let step = WIDTH / (POINTS - 1);
    let height = |count: u64| {
        let up = usize::try_from(count * (HEIGHT as u64 - 4) / most).unwrap_or(HEIGHT);
        HEIGHT - 2 - up
    };
    let points: Vec<String> = counts
        .iter()
        .enumerate()
        .map(|(place, count)| format!("{},{}", place * step, height(*count)))
        .collect();
    let line = points.join(" ");
    let end = (POINTS - 1) * step;
    let area = format!("0,{HEIGHT} {line} {end},{HEIGHT}");
    let hours = POINTS as i64 * MINUTES_EACH / 60;
    let told = format!(
        "{label}: {} in the last {hours} hours, {most} in the busiest 5 minutes",
        number(sum)
    );
    html! {
        figure .spark {
            figcaption { span { (label) } strong { (number(sum)) } }
            svg viewBox={ "0 0 " (end) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(told) {
                polygon .area points=(area) {}
                polyline .line points=(line) {}
            }
        }
    }
}

fn counts(pulse: &[Pulse], now: Timestamp, is_meant: impl Fn(&str) -> bool) -> Vec<u64> {
    let mut counts = vec![0; POINTS];
    for pulse in pulse.iter().filter(|pulse| is_meant(&pulse.what)) {
        let ago = now.duration_since(pulse.minute).max(SignedDuration::ZERO).as_mins();
        if let Some(place) = usize::try_from(ago / MINUTES_EACH).ok().filter(|place| *place < POINTS) {
            counts[POINTS - 1 - place] += pulse.count;
        }
    }
    counts
}
