//! Reads a request's body, within limits.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use super::in_hand::{Arriving, Busy, Held, InHand};
use crate::front_door::BodyEnd;

/// How much of a body that is too large is read and thrown away, as a multiple of the limit, before it is answered.
///
/// A sender that is still writing when the connection is closed may never see the answer.
const DRAINED: usize = 16;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is larger than the limit.
    TooLarge,
    /// It did not arrive in time.
    TooSlow,
    /// The connection broke, or the framing was wrong.
    Broken,
    /// There is no memory for it now.
    Busy,
}

impl BodyError {
    fn of(error: axum::Error) -> Self {
        match error.into_inner().downcast_ref::<BodyEnd>() {
            Some(BodyEnd::TooSlow) => Self::TooSlow,
            Some(BodyEnd::MadeRoom) => Self::Busy,
            Some(BodyEnd::Broken(_)) | None => Self::Broken,
        }
    }
}

impl From<Busy> for BodyError {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

/// Reads a body that must arrive within `timeout` and be no longer than `limit`. It is never cut short.
pub(super) async fn read(
    body: Body,
    declared: Option<u64>,
    limit: usize,
    timeout: Duration,
    in_hand: &Arc<InHand>,
) -> Result<(Bytes, Held), BodyError> {
    let drained = limit.saturating_mul(DRAINED);
    if declared.is_some_and(|declared| usize::try_from(declared).map_or(true, |declared| declared > drained)) {
        return Err(BodyError::TooLarge);
    }
    let mut arriving = in_hand.begin();
    let refused = arriving.refusal();
    let read = tokio::time::timeout(timeout, read_all(body, limit, drained, &mut arriving));
    let bytes = tokio::select! {
        () = refused.cancelled() => return Err(BodyError::Busy),
        read = read => read.unwrap_or(Err(BodyError::TooSlow))?,
    };
    Ok((bytes, arriving.arrived()?))
}

async fn read_all(mut body: Body, limit: usize, drained: usize, arriving: &mut Arriving) -> Result<Bytes, BodyError> {
    let mut bytes = BytesMut::new();
    let mut seen = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(BodyError::of)?.into_data() else {
            continue;
        };
        seen = seen.saturating_add(data.len());
        if seen > drained {
            break;
        }
        if seen > limit {
            bytes = BytesMut::new();
            arriving.shrink();
        } else {
            arriving.grow(data.len())?;
            bytes.extend_from_slice(&data);
        }
    }
    if seen > limit {
        Err(BodyError::TooLarge)
    } else {
        Ok(bytes.freeze())
    }
}
