//! One file of the log.
//!
//! ```text
//! 0              header: format · log u128 · generation u64 · first u64 · era u64 · the same of its records · crc32 u32
//! 4096           records, one after another; then eight zeros; then what an earlier use of the file left
//! length - 4096  the header once more
//! ```
//!
//! A file is used again under a new generation, and then all that the generations before left in it counts for nothing.
//! Of two headers that differ, the one with the higher generation holds: the other was left by a crash.
//!
//! A folder may be away while the log is open without it, and what is in it must be read when it is back. Whenever a
//! folder is away at the start, a new era begins, and every segment that is there is marked with it. A segment of an
//! earlier era, or of another log, is put at the end of the log: its header gets a new generation and a new first
//! number, while its records stay as they are and are read under numbers that are shifted.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use uuid::Uuid;

use super::LogId;
use super::record::{ALIGNMENT, Fields, HEADER_BYTES as RECORD_BYTES, Imprint};

const FORMAT: [u8; 8] = *b"RUNSil01";
const HEADER_BYTES: usize = 8 + 16 + 3 * 8 + 16 + 2 * 8 + 4;
/// The room of a header: a page, so that a header is torn from no record.
pub(super) const PAGE: u64 = 4096;
/// Where the first record is.
pub(super) const FIRST_RECORD: u64 = PAGE;
/// What stands behind the last record.
pub(super) const END: [u8; ALIGNMENT] = [0; ALIGNMENT];
/// How often a segment is read in vain before what follows it is read without it.
const READS: u32 = 5;
/// The generation of a file that waits to be used.
pub(super) const SPARE: u64 = 0;

/// How long a usual file is: as long as it shall be, in whole pages, with room for some records.
pub(super) fn length_of(segment_bytes: u64) -> u64 {
    segment_bytes.next_multiple_of(PAGE).max(3 * PAGE)
}

/// How large a file must be to have room for records of so many bytes.
pub(super) fn length_for(record_bytes: u64) -> u64 {
    (FIRST_RECORD + record_bytes + END.len() as u64).next_multiple_of(PAGE) + PAGE
}

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) log: LogId,
    /// Grows with every use of any file of the log.
    pub(super) generation: u64,
    /// No record in it has a lower number, and none in a segment of a lower generation has this one or a higher. In a file
    /// that waits to be used: no lower number is to be given out.
    pub(super) first: u64,
    pub(super) era: u64,
    /// What its records say.
    pub(super) records: Written,
}

/// Under what the records of a segment were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) log: LogId,
    pub(super) generation: u64,
    pub(super) first: u64,
}

impl SegmentHeader {
    /// The header of a segment that is about to be written.
    pub(super) fn new(log: LogId, generation: u64, first: u64, era: u64) -> Self {
        let records = Written { log, generation, first };
        Self {
            log,
            generation,
            first,
            era,
            records,
        }
    }

    pub(super) fn imprint(&self) -> Imprint {
        Imprint::new(self.records.log, self.records.generation)
    }

    /// What is to be added to the numbers of its records, beyond the highest number there is and round to the lowest.
    pub(super) fn shift(&self) -> u64 {
        self.first.wrapping_sub(self.records.first)
    }

    fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(&FORMAT);
        bytes.extend_from_slice(self.log.0.as_bytes());
        for number in [self.generation, self.first, self.era] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(self.records.log.0.as_bytes());
        for number in [self.records.generation, self.records.first] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        let mut header = [0; HEADER_BYTES];
        header.copy_from_slice(&bytes);
        header
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (summed, rest) = bytes.split_at_checked(HEADER_BYTES - 4)?;
        let checksum = u32::from_le_bytes(*rest.first_chunk()?);
        let fields = summed
            .strip_prefix(&FORMAT)
            .filter(|_| crc32fast::hash(summed) == checksum)?;
        let mut fields = Fields(fields);
        Some(Self {
            log: LogId(Uuid::from_bytes(fields.take()?)),
            generation: u64::from_le_bytes(fields.take()?),
            first: u64::from_le_bytes(fields.take()?),
            era: u64::from_le_bytes(fields.take()?),
            records: Written {
                log: LogId(Uuid::from_bytes(fields.take()?)),
                generation: u64::from_le_bytes(fields.take()?),
                first: u64::from_le_bytes(fields.take()?),
            },
        })
    }
}

/// What a file turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    Segment {
        header: SegmentHeader,
        /// Where the records end at the latest.
        limit: u64,
        /// Whether both headers say so.
        is_certain: bool,
    },
    /// A segment whose headers are both unreadable.
    Damaged,
    /// Something else.
    Foreign,
}

/// A file, open.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) length: u64,
    /// Which of the log's folders it is in.
    pub(super) folder: usize,
    /// The disk failed once to write to it: what it says about it later proves nothing.
    is_distrusted: AtomicBool,
    /// How often in a row it could not be read.
    unreadable: AtomicU32,
}

impl Segment {
    pub(super) fn new(file: File, path: PathBuf, folder: usize) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self {
            file,
            path,
            length,
            folder,
            is_distrusted: AtomicBool::new(false),
            unreadable: AtomicU32::new(0),
        })
    }

    pub(super) fn distrust(&self) {
        self.is_distrusted.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_distrusted(&self) -> bool {
        self.is_distrusted.load(Ordering::Relaxed)
    }

    /// Whether it was read; after a few times that it was not, it is given up.
    pub(super) fn was_read(&self, was_read: bool) {
        let before = self.unreadable.load(Ordering::Relaxed);
        if before < READS {
            self.unreadable
                .store(if was_read { 0 } else { before + 1 }, Ordering::Relaxed);
        }
    }

    /// Whether it was given up.
    pub(super) fn is_unreadable(&self) -> bool {
        self.unreadable.load(Ordering::Relaxed) >= READS
    }

    /// Where records must end, the zeros behind them included.
    pub(super) fn capacity(&self) -> u64 {
        self.length.saturating_sub(PAGE)
    }

    /// How many records there can be in it.
    pub(super) fn most_records(&self) -> u64 {
        self.length / RECORD_BYTES as u64
    }

    pub(super) fn identify(&self) -> io::Result<Identity> {
        let mut bytes = [0; HEADER_BYTES];
        let read = read_at(&self.file, &mut bytes, 0)?;
        let front = SegmentHeader::read(&bytes[..read]);
        let mut is_ours = bytes[..read].starts_with(&FORMAT[..read.min(FORMAT.len())]);
        let read = read_at(&self.file, &mut bytes, self.capacity().max(FIRST_RECORD))?;
        let back = SegmentHeader::read(&bytes[..read]);
        is_ours |= bytes[..read].starts_with(&FORMAT);
        let newest = [front, back]
            .into_iter()
            .flatten()
            .max_by_key(|header| header.generation);
        Ok(match newest {
            Some(header) => Identity::Segment {
                header,
                limit: back.map_or(self.length, |_| self.capacity()),
                is_certain: front == back,
            },
            None if is_ours => Identity::Damaged,
            None => Identity::Foreign,
        })
    }

    /// Writes both headers, without waiting for the disk.
    pub(super) fn write_headers(&self, header: SegmentHeader) -> io::Result<()> {
        let bytes = header.encode();
        self.file.write_all_at(&bytes, 0)?;
        self.file.write_all_at(&bytes, self.capacity())
    }

    /// Writes both headers, and waits for the disk.
    pub(super) fn mark(&self, header: SegmentHeader) -> io::Result<()> {
        self.write_headers(header)?;
        self.file.sync_data()
    }

    /// Begins a new use of it: nothing that was in it counts any more.
    pub(super) fn begin(&self, header: SegmentHeader) -> io::Result<()> {
        self.file.write_all_at(&END, FIRST_RECORD)?;
        self.mark(header)
    }
}

/// What a segment is called that could not be read, once nothing else is waited for.
pub(super) fn unreadable_name(path: &Path) -> PathBuf {
    path.with_extension("unreadable")
}

/// As much as there is.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}
