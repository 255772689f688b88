//! How long a token is said to live.

use std::time::Duration;

use serde_json::Value;

const SHORTEST_LIFETIME: Duration = Duration::from_secs(1);
const LONGEST_LIFETIME: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// In seconds, as a number or as a text.
pub(super) fn lifetime(expires_in: Option<&Value>, documented: Duration) -> Duration {
    let seconds = match expires_in {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    match seconds {
        Some(seconds) => Duration::try_from_secs_f64(seconds.max(0.0))
            .unwrap_or(LONGEST_LIFETIME)
            .clamp(SHORTEST_LIFETIME, LONGEST_LIFETIME),
        None => documented,
    }
}
