//! The place at which the torture puts deliberate defects between the store and the server: into the text of statements.

use std::borrow::Cow;

/// A statement as it is sent: as it was written, unless the environment of a worker that was built for the torture asks for a
/// defect.
#[inline]
pub(super) fn spoilt(sql: &str) -> Cow<'_, str> {
    #[cfg(feature = "torture")]
    return defect::spoilt(sql);
    #[cfg(not(feature = "torture"))]
    Cow::Borrowed(sql)
}

#[cfg(feature = "torture")]
mod defect {
    use super::Cow;
    use crate::postgres::workers::NOW;
    use crate::time::SchedulingTime;
    use crate::torture::is_sabotaged;

    pub(super) fn spoilt(sql: &str) -> Cow<'_, str> {
        if is_sabotaged("no-fence") {
            // Whoever had the lease once may use it.
            return sql
                .replace(" AND s.fence = l.fence", "")
                .replace(" AND s.lease_until IS NOT NULL", "")
                .into();
        }
        if is_sabotaged("claim-unlocked") {
            return sql.replace("FOR NO KEY UPDATE SKIP LOCKED", "").into();
        }
        if is_sabotaged("seat-by-own-clock") && sql.contains("seats") {
            let own = SchedulingTime::by_wall_clock().shown().as_microsecond();
            return sql.replace(NOW, &format!("({own}::bigint)")).into();
        }
        Cow::Borrowed(sql)
    }
}
