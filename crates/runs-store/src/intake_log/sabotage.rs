//! Deliberate defects that the torture must find.

use super::append::Append;
use super::{IntakeLog, Position};
use crate::torture;

/// With `answer-before-fsync`, tells the callers that their records are kept before a byte of them is written.
pub(super) fn answer_before_fsync(group: Vec<Append>, first: u64) -> Vec<Append> {
    if !torture::is_sabotaged("answer-before-fsync") {
        return group;
    }
    let answer = |(number, append): (u64, Append)| {
        drop(append.caller.send(Ok(Position(number))));
        let (caller, _) = tokio::sync::oneshot::channel();
        Append {
            record: append.record,
            caller,
        }
    };
    let group = (first..).zip(group).map(answer).collect();
    // So that the answers go out.
    std::thread::sleep(std::time::Duration::from_millis(20));
    group
}

/// With `recycle-before-durable`, lets go of what was read, whether it is durable in the store or not.
pub(super) async fn recycle_before_durable(log: &IntakeLog, through: Position) {
    if torture::is_sabotaged("recycle-before-durable") {
        drop(log.release(through).await);
    }
}
