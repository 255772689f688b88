//! One notification as bytes of the journal.
//!
//! ```text
//! magic u32 · length u32 · generation u64 · number u64 · crc32 u32 · [length of the head u32 · head (JSON) · body] · zeros
//! ```
//!
//! All numbers are little-endian; a record begins at a multiple of eight bytes. The checksum covers everything but the
//! magic, itself and the zeros.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tallyfy_model::{Announced, OrgId, RunId, TaskId};
use uuid::Uuid;

use crate::desks::{NewNotification, NotificationHead, Subject};

pub(super) const MAGIC: [u8; 4] = *b"RUNj";
pub(super) const ALIGNMENT: u64 = 8;
pub(super) const HEADER_BYTES: usize = 28;
/// Nothing that is accepted is larger; a length that says so is damage.
pub(super) const MAX_PAYLOAD_BYTES: u32 = 512 * 1024 * 1024;

/// What stands before the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) length: u32,
    pub(super) generation: u64,
    pub(super) number: u64,
    checksum: u32,
}

impl Header {
    /// The header that these bytes may be, whether it is damaged or not.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (generation, rest) = rest.split_first_chunk::<8>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (checksum, _) = rest.split_first_chunk::<4>()?;
        let header = Self {
            length: u32::from_le_bytes(*length),
            generation: u64::from_le_bytes(*generation),
            number: u64::from_le_bytes(*number),
            checksum: u32::from_le_bytes(*checksum),
        };
        (*magic == MAGIC && header.length <= MAX_PAYLOAD_BYTES).then_some(header)
    }

    pub(super) fn is_of(&self, payload: &[u8]) -> bool {
        checksum(self.length, self.generation, self.number, payload) == self.checksum
    }

    /// How much room the record takes up.
    pub(super) fn room(&self) -> u64 {
        (HEADER_BYTES as u64 + u64::from(self.length)).next_multiple_of(ALIGNMENT)
    }
}

fn checksum(length: u32, generation: u64, number: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(&generation.to_le_bytes());
    hasher.update(&number.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

#[derive(Serialize, Deserialize)]
struct Head {
    id: Uuid,
    org: OrgId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject_run: Option<RunId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject_task: Option<TaskId>,
    kind: String,
    event: Option<String>,
    run: Option<RunId>,
    task: Option<TaskId>,
    announced: Announced,
    dedupe_key: Option<String>,
    received_at: Timestamp,
}

/// Writes a record, or says why it cannot be written.
pub(super) fn encode(
    notification: &NewNotification,
    generation: u64,
    number: u64,
    into: &mut Vec<u8>,
) -> Result<(), String> {
    let NewNotification {
        id,
        org,
        subject,
        head,
        dedupe_key,
        received_at,
        body,
    } = notification;
    let (subject_run, subject_task) = match subject {
        Some(Subject::Run(run)) => (Some(run.clone()), None),
        Some(Subject::Task(task)) => (None, Some(task.clone())),
        None => (None, None),
    };
    let head = Head {
        id: *id,
        org: org.clone(),
        subject_run,
        subject_task,
        kind: head.kind.clone(),
        event: head.event.clone(),
        run: head.run.clone(),
        task: head.task.clone(),
        announced: head.announced.clone(),
        dedupe_key: dedupe_key.clone(),
        received_at: *received_at,
    };
    let head = serde_json::to_vec(&head).map_err(|error| error.to_string())?;
    let too_large = || "the notification is too large for the journal".to_owned();
    let head_length = u32::try_from(head.len()).map_err(|_| too_large())?;
    let mut payload = Vec::with_capacity(4 + head.len() + body.len());
    payload.extend_from_slice(&head_length.to_le_bytes());
    payload.extend_from_slice(&head);
    payload.extend_from_slice(body);
    let length = u32::try_from(payload.len())
        .ok()
        .filter(|length| *length <= MAX_PAYLOAD_BYTES)
        .ok_or_else(too_large)?;
    let start = into.len();
    into.extend_from_slice(&MAGIC);
    into.extend_from_slice(&length.to_le_bytes());
    into.extend_from_slice(&generation.to_le_bytes());
    into.extend_from_slice(&number.to_le_bytes());
    into.extend_from_slice(&checksum(length, generation, number, &payload).to_le_bytes());
    into.extend_from_slice(&payload);
    let room = (into.len() - start).next_multiple_of(ALIGNMENT as usize);
    into.resize(start + room, 0);
    Ok(())
}

/// The notification of a payload whose checksum is right.
pub(super) fn decode(payload: &[u8]) -> Option<NewNotification> {
    let (length, rest) = payload.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (head, body) = rest.split_at_checked(length)?;
    let head: Head = serde_json::from_slice(head).ok()?;
    Some(NewNotification {
        id: head.id,
        org: head.org,
        subject: match (head.subject_run, head.subject_task) {
            (Some(run), _) => Some(Subject::Run(run)),
            (None, Some(task)) => Some(Subject::Task(task)),
            (None, None) => None,
        },
        head: NotificationHead {
            kind: head.kind,
            event: head.event,
            run: head.run,
            task: head.task,
            announced: head.announced,
        },
        dedupe_key: head.dedupe_key,
        received_at: head.received_at,
        body: Bytes::copy_from_slice(body),
    })
}
