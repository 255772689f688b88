//! From record to record through a segment, and past what is damaged.

use std::io;

use bytes::Bytes;

use super::record::{ALIGNMENT, HEADER_BYTES, Header, Imprint, MAGIC};
use super::segment::{END, FIRST_RECORD, Segment, SegmentHeader, read_at};

/// How much is read at a time.
const CHUNK_BYTES: u64 = 256 * 1024;

/// A stretch of a segment that is to be walked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) imprint: Imprint,
    /// What is to be added to the numbers of its records.
    pub(super) shift: u64,
    /// Where the first record begins.
    pub(super) from: u64,
    /// Where the last one ends at the latest.
    pub(super) to: u64,
    /// The lowest number that counts.
    pub(super) first: u64,
    /// The number from which on the next segment has them.
    pub(super) next_segment: u64,
}

impl Stretch {
    /// All of a segment.
    pub(super) fn whole(header: SegmentHeader, limit: u64) -> Self {
        Self {
            imprint: header.imprint(),
            shift: header.shift(),
            from: FIRST_RECORD,
            to: limit,
            first: header.first,
            next_segment: u64::MAX,
        }
    }
}

/// What comes next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Record {
        number: u64,
        payload: Bytes,
    },
    /// So many bytes that are no whole record, before one that is.
    Damage {
        bytes: u64,
    },
    /// No whole record is left. Where the last one was torn, so many bytes of it are there.
    End {
        torn_bytes: u64,
    },
}

enum Place {
    Whole {
        header: Header,
        number: u64,
        payload: Bytes,
    },
    /// The header is right, and so tells how long the record is that is damaged.
    Broken {
        header: Header,
    },
    Other,
}

/// The walk.
pub(super) struct Walk<'a> {
    segment: &'a Segment,
    stretch: Stretch,
    at: u64,
    chunk: Bytes,
    chunk_at: u64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(segment: &'a Segment, stretch: Stretch) -> Self {
        Self {
            segment,
            stretch,
            at: stretch.from,
            chunk: Bytes::new(),
            chunk_at: 0,
        }
    }

    /// Where the next record begins.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn step(&mut self) -> io::Result<Step> {
        let from = match self.place(self.at)? {
            Place::Whole {
                header,
                number,
                payload,
            } => {
                if number >= self.stretch.next_segment {
                    // Written, but never answered for: the next segment has it.
                    return Ok(Step::End { torn_bytes: 0 });
                }
                self.at += header.room();
                self.stretch.first = number + 1;
                return Ok(Step::Record { number, payload });
            }
            Place::Broken { header } => self.at + header.room(),
            Place::Other => self.at + ALIGNMENT as u64,
        };
        Ok(match self.whole_record_from(from)? {
            Some(found) => {
                let bytes = found - self.at;
                self.at = found;
                Step::Damage { bytes }
            }
            None => Step::End {
                torn_bytes: self.torn_bytes()?,
            },
        })
    }

    fn place(&mut self, at: u64) -> io::Result<Place> {
        let Some(bytes) = self.bytes(at, HEADER_BYTES)? else {
            return Ok(Place::Other);
        };
        let header = Header::read(&bytes, self.stretch.imprint)
            .filter(|header| header.generation == self.stretch.imprint.generation);
        let Some(header) = header else {
            return Ok(Place::Other);
        };
        let number = header.number.wrapping_add(self.stretch.shift);
        if number < self.stretch.first {
            return Ok(Place::Other);
        }
        let payload = self.bytes(at + HEADER_BYTES as u64, header.length)?;
        Ok(match payload.filter(|payload| header.is_of(payload)) {
            Some(payload) => Place::Whole {
                header,
                number,
                payload,
            },
            None => Place::Broken { header },
        })
    }

    /// Where the next whole record is.
    fn whole_record_from(&mut self, from: u64) -> io::Result<Option<u64>> {
        let mut at = from;
        while at + (HEADER_BYTES as u64) <= self.stretch.to {
            let length = CHUNK_BYTES.min(self.stretch.to - at);
            let Some(bytes) = self.bytes(at, usize::try_from(length).unwrap_or(usize::MAX))? else {
                break;
            };
            for (word_number, word) in bytes.chunks(ALIGNMENT).enumerate() {
                let place = at + (word_number * ALIGNMENT) as u64;
                if word.starts_with(&MAGIC)
                    && let Place::Whole { number, .. } = self.place(place)?
                    && number < self.stretch.next_segment
                {
                    return Ok(Some(place));
                }
            }
            at += length.next_multiple_of(ALIGNMENT as u64);
        }
        Ok(None)
    }

    /// How many bytes a record has, as far as can be told, that begins here and is not whole. None if the end is here.
    fn torn_bytes(&mut self) -> io::Result<u64> {
        let left = self.stretch.to.saturating_sub(self.at);
        let Some(start) = self.bytes(self.at, END.len())? else {
            return Ok(left);
        };
        if *start == END {
            return Ok(0);
        }
        let header = match self.bytes(self.at, HEADER_BYTES)? {
            Some(bytes) => Header::read(&bytes, self.stretch.imprint),
            None => None,
        };
        Ok(match header {
            Some(header) if header.generation == self.stretch.imprint.generation => header.room().min(left),
            // What an earlier use of the file left is no damage where this one wrote nothing.
            Some(_) => 0,
            None => left.min(HEADER_BYTES as u64),
        })
    }

    /// These bytes of the segment; `None` if they go beyond the end of what is to be walked.
    fn bytes(&mut self, at: u64, length: usize) -> io::Result<Option<Bytes>> {
        let end = at + length as u64;
        if end > self.stretch.to {
            return Ok(None);
        }
        let is_there = at >= self.chunk_at && end <= self.chunk_at + self.chunk.len() as u64;
        if !is_there {
            let wanted = (length as u64).max(CHUNK_BYTES).min(self.stretch.to - at);
            let mut chunk = vec![0; usize::try_from(wanted).unwrap_or(length)];
            let read = read_at(&self.segment.file, &mut chunk, at)?;
            chunk.truncate(read);
            self.chunk = chunk.into();
            self.chunk_at = at;
        }
        let start = usize::try_from(at - self.chunk_at).unwrap_or(usize::MAX);
        let is_whole = start.saturating_add(length) <= self.chunk.len();
        Ok(is_whole.then(|| self.chunk.slice(start..start + length)))
    }
}
