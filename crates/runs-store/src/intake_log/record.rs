//! One notification as bytes of the log.
//!
//! ```text
//! magic u32 · length u32 · generation u64 · number u64 · crc32 of the payload u32 · crc32 of the header u32 · payload · zeros
//! ```
//!
//! All numbers are little-endian; a record begins at a multiple of eight bytes. The payload and its checksum are made in the
//! task of the caller. The log's thread only fills in the header, whose checksum begins with the id of the log: a record
//! of another log, or of an earlier use of the same file, is never taken for one of this log.

use bytes::Bytes;
use jiff::Timestamp;
use tallyfy_model::{Announced, OrgId, RunId, TaskId};
use uuid::Uuid;

use super::{IntakeLogError, LogId};
use crate::desks::{NewNotification, NotificationHead, Subject};

pub(super) const MAGIC: [u8; 4] = *b"RUNl";
pub(super) const ALIGNMENT: usize = 8;
pub(super) const HEADER_BYTES: usize = 32;
/// Nothing that is accepted is larger; a length that says so is damage.
const MAX_PAYLOAD_BYTES: usize = 512 * 1024 * 1024;
/// Stands in place of a length where there is no text.
const NONE: u32 = u32::MAX;

/// What the records of one use of one segment have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Imprint {
    seed: u32,
    pub(super) generation: u64,
}

impl Imprint {
    pub(super) fn new(log: LogId, generation: u64) -> Self {
        let seed = crc32fast::hash(log.0.as_bytes());
        Self { seed, generation }
    }

    fn checksum(self, header: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.seed);
        hasher.update(header);
        hasher.finalize()
    }

    /// Fills in the header of an encoded record.
    pub(super) fn stamp(self, record: &mut [u8], number: u64) {
        let Some(header) = record.first_chunk_mut::<HEADER_BYTES>() else {
            return;
        };
        header[8..16].copy_from_slice(&self.generation.to_le_bytes());
        header[16..24].copy_from_slice(&number.to_le_bytes());
        let checksum = self.checksum(&header[..28]);
        header[28..].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// What stands before the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) length: usize,
    pub(super) generation: u64,
    pub(super) number: u64,
    payload_checksum: u32,
}

impl Header {
    /// The header that these bytes are, if it is whole and of this log; of whichever generation.
    pub(super) fn read(bytes: &[u8], imprint: Imprint) -> Option<Self> {
        let (summed, rest) = bytes.split_at_checked(28)?;
        let checksum = u32::from_le_bytes(*rest.first_chunk()?);
        if !summed.starts_with(&MAGIC) || imprint.checksum(summed) != checksum {
            return None;
        }
        let mut fields = Fields(&summed[4..]);
        let header = Self {
            length: fields.number()? as usize,
            generation: u64::from_le_bytes(fields.take()?),
            number: u64::from_le_bytes(fields.take()?),
            payload_checksum: fields.number()?,
        };
        (header.length <= MAX_PAYLOAD_BYTES).then_some(header)
    }

    pub(super) fn is_of(&self, payload: &[u8]) -> bool {
        crc32fast::hash(payload) == self.payload_checksum
    }

    /// How much room the record takes up.
    pub(super) fn room(&self) -> u64 {
        (HEADER_BYTES + self.length).next_multiple_of(ALIGNMENT) as u64
    }
}

/// A record whose header lacks only what the log's thread fills in.
pub(super) fn encode(notification: &NewNotification) -> Result<Vec<u8>, IntakeLogError> {
    let NewNotification {
        id,
        org,
        subject,
        head,
        dedupe_key,
        received_at,
        body,
    } = notification;
    let (kind_of_subject, subject) = match subject {
        None => (0, None),
        Some(Subject::Run(run)) => (1, Some(run.as_str())),
        Some(Subject::Task(task)) => (2, Some(task.as_str())),
    };
    let announced = announced(&head.announced);
    let texts = [
        Some(org.as_str()),
        subject,
        Some(head.kind.as_str()),
        head.event.as_deref(),
        head.run.as_ref().map(RunId::as_str),
        head.task.as_ref().map(TaskId::as_str),
        dedupe_key.as_deref(),
        announced.as_deref(),
    ];
    let texts_bytes: usize = texts.iter().map(|text| 4 + text.map_or(0, str::len)).sum();
    let length = 16 + 8 + 4 + 1 + texts_bytes + body.len();
    let known = u32::try_from(length).ok().filter(|_| length <= MAX_PAYLOAD_BYTES);
    let known = known.ok_or(IntakeLogError::TooLarge { bytes: length })?;
    let mut record = Vec::with_capacity((HEADER_BYTES + length).next_multiple_of(ALIGNMENT));
    record.extend_from_slice(&MAGIC);
    record.extend_from_slice(&known.to_le_bytes());
    record.resize(HEADER_BYTES, 0);
    record.extend_from_slice(id.as_bytes());
    record.extend_from_slice(&received_at.as_second().to_le_bytes());
    record.extend_from_slice(&received_at.subsec_nanosecond().to_le_bytes());
    record.push(kind_of_subject);
    for text in texts {
        put_text(&mut record, text);
    }
    record.extend_from_slice(body);
    let checksum = crc32fast::hash(&record[HEADER_BYTES..]);
    record[24..28].copy_from_slice(&checksum.to_le_bytes());
    record.resize(record.len().next_multiple_of(ALIGNMENT), 0);
    Ok(record)
}

/// Most bodies announce something, but the ones without need no JSON.
fn announced(announced: &Announced) -> Option<String> {
    if *announced == Announced::default() {
        return None;
    }
    // Times and ids are always written.
    serde_json::to_string(announced).ok()
}

fn put_text(record: &mut Vec<u8>, text: Option<&str>) {
    // Shorter than the payload, whose length was looked at.
    let length = text.map_or(NONE, |text| u32::try_from(text.len()).unwrap_or(NONE));
    record.extend_from_slice(&length.to_le_bytes());
    record.extend_from_slice(text.unwrap_or_default().as_bytes());
}

/// The notification of a payload whose checksum is right.
pub(super) fn decode(payload: &Bytes) -> Option<NewNotification> {
    let mut fields = Fields(payload);
    let id = Uuid::from_bytes(fields.take()?);
    let seconds = i64::from_le_bytes(fields.take()?);
    let nanoseconds = i32::from_le_bytes(fields.take()?);
    let [kind_of_subject] = fields.take()?;
    let org = OrgId::new(fields.text()??);
    let subject = match (kind_of_subject, fields.text()?) {
        (1, Some(run)) => Some(Subject::Run(RunId::new(run))),
        (2, Some(task)) => Some(Subject::Task(TaskId::new(task))),
        _ => None,
    };
    let kind = fields.text()??.to_owned();
    let event = fields.text()?.map(str::to_owned);
    let run = fields.text()?.map(RunId::new);
    let task = fields.text()?.map(TaskId::new);
    let dedupe_key = fields.text()?.map(str::to_owned);
    let announced = match fields.text()? {
        Some(json) => serde_json::from_str(json).ok()?,
        None => Announced::default(),
    };
    Some(NewNotification {
        id,
        org,
        subject,
        head: NotificationHead {
            kind,
            event,
            run,
            task,
            announced,
        },
        dedupe_key,
        received_at: Timestamp::new(seconds, nanoseconds).ok()?,
        body: payload.slice(payload.len() - fields.0.len()..),
    })
}

/// What is left to be read.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn number(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    /// A text that may be absent; `None` if the bytes are no text at all.
    fn text(&mut self) -> Option<Option<&'a str>> {
        let length = self.number()?;
        if length == NONE {
            return Some(None);
        }
        let (text, rest) = self.0.split_at_checked(length as usize)?;
        self.0 = rest;
        str::from_utf8(text).ok().map(Some)
    }
}
