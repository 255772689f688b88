//! One file of the log.
//!
//! ```text
//! 0              header: format · log u128 · generation u64 · first number u64 · crc32 u32
//! 4096           records, one after another; then eight zeros; then what an earlier use of the file left
//! length - 4096  the header once more
//! ```
//!
//! A file is used again under a new generation, and then all that the generations before left in it counts for nothing.
//! Of two headers that differ, the one with the higher generation holds: the other was left by a crash.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use uuid::Uuid;

use super::LogId;
use super::record::ALIGNMENT;

const FORMAT: [u8; 8] = *b"RUNSil01";
const HEADER_BYTES: usize = 44;
/// The room of a header: a page, so that a header is torn from no record.
pub(super) const PAGE: u64 = 4096;
/// Where the first record is.
pub(super) const FIRST_RECORD: u64 = PAGE;
/// What stands behind the last record.
pub(super) const END: [u8; ALIGNMENT] = [0; ALIGNMENT];
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
}

impl SegmentHeader {
    fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&FORMAT);
        bytes[8..24].copy_from_slice(self.log.0.as_bytes());
        bytes[24..32].copy_from_slice(&self.generation.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.first.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..40]);
        bytes[40..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (summed, rest) = bytes.split_at_checked(40)?;
        let (format, rest_of_it) = summed.split_first_chunk::<8>()?;
        let (log, rest_of_it) = rest_of_it.split_first_chunk::<16>()?;
        let (generation, first) = rest_of_it.split_first_chunk::<8>()?;
        let header = Self {
            log: LogId(Uuid::from_bytes(*log)),
            generation: u64::from_le_bytes(*generation),
            first: u64::from_le_bytes(*first.first_chunk()?),
        };
        let checksum = u32::from_le_bytes(*rest.first_chunk()?);
        (*format == FORMAT && crc32fast::hash(summed) == checksum).then_some(header)
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
        })
    }

    pub(super) fn distrust(&self) {
        self.is_distrusted.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_distrusted(&self) -> bool {
        self.is_distrusted.load(Ordering::Relaxed)
    }

    /// Where records must end, the zeros behind them included.
    pub(super) fn capacity(&self) -> u64 {
        self.length.saturating_sub(PAGE)
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

    /// Makes both headers say the same again.
    pub(super) fn begin_again(&self, header: SegmentHeader) -> io::Result<()> {
        self.write_headers(header)?;
        self.file.sync_data()
    }

    /// Begins a new use of it: nothing that was in it counts any more.
    pub(super) fn begin(&self, header: SegmentHeader) -> io::Result<()> {
        self.file.write_all_at(&END, FIRST_RECORD)?;
        self.write_headers(header)?;
        self.file.sync_data()
    }
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
