//! The journal's file: where records are, and how they get there.
//!
//! ```text
//! 0     two slots of 64 bytes: the last generation that is done with
//! 4096  records of the next generation, one after another; then eight zeros; then what older generations left
//! ```
//!
//! Nothing is ever erased: once everything is in the store, the generation is done with, and the next one begins at the
//! front. The file keeps the room that was reserved for it, so that writing needs no more of a disk that is full.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::JournalError;
use super::record::{ALIGNMENT, HEADER_BYTES, Header, MAGIC};
use crate::desks::NewNotification;

const FORMAT: [u8; 8] = *b"RUNSjn01";
const SLOT_BYTES: usize = 64;
const FIRST_RECORD: u64 = 4096;
/// What stands behind the last record.
const END: [u8; ALIGNMENT as usize] = [0; ALIGNMENT as usize];
/// How much is read at a time while something whole is looked for.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) header: Header,
}

/// What was found in a file besides whole records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalDamage {
    /// How many stretches of the file are damaged, a torn end included.
    pub places: usize,
    /// How many bytes they have.
    pub bytes: u64,
    /// Where a copy of the file as it was is kept.
    pub kept_at: Option<PathBuf>,
}

/// The file, open and locked.
pub(super) struct JournalFile {
    file: File,
    path: PathBuf,
    reserve: u64,
    generation: u64,
    number: u64,
    /// Where the next record goes.
    end: u64,
}

impl JournalFile {
    /// Opens or makes it, and finds what is in it.
    pub(super) fn open(path: &Path, reserve: u64) -> Result<(Self, Vec<Place>, JournalDamage), JournalError> {
        let failed = |error: io::Error| JournalError::opening(path, error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::Held { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_permissions(fs::Permissions::from_mode(0o600))
            .map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut journal = Self::on(file, path, reserve);
        if length == 0 {
            journal.format().map_err(failed)?;
        }
        journal.identify()?;
        journal.reserve();
        let (places, mut damage) = journal.scan(length).map_err(failed)?;
        if let Some(last) = places.last() {
            journal.number = last.header.number;
            journal.end = last.offset + last.header.room();
        }
        if damage.places > 0 {
            match journal.put_aside(&damage) {
                Ok(aside) => damage.kept_at = Some(aside),
                Err(error) => tracing::error!(path = %path.display(), %error, "the damaged journal cannot be copied"),
            }
        }
        Ok((journal, places, damage))
    }

    /// Copies the file as it is, once for each damage, and ends it behind the last whole record: a torn end is not found
    /// again then.
    fn put_aside(&self, damage: &JournalDamage) -> io::Result<PathBuf> {
        let name = format!("damaged-{}-{}-{}", self.generation, self.end, damage.bytes);
        let aside = self.path.with_extension(name);
        if !aside.exists() {
            let unfinished = self.path.with_extension("copying");
            fs::copy(&self.path, &unfinished)?;
            fs::rename(&unfinished, &aside)?;
        }
        self.file.write_all_at(&END, self.end)?;
        self.file.sync_data()?;
        Ok(aside)
    }

    /// What is in a journal, and what is damaged in it, without any trace and whoever has it open. `None` if there is none.
    pub(super) fn look(path: &Path) -> Result<Option<(Vec<Place>, JournalDamage)>, JournalError> {
        let failed = |error: io::Error| JournalError::opening(path, error);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let length = file.metadata().map_err(failed)?.len();
        let mut journal = Self::on(file, path, 0);
        if length == 0 {
            return Ok(Some(Default::default()));
        }
        journal.identify()?;
        journal.scan(length).map(Some).map_err(failed)
    }

    fn on(file: File, path: &Path, reserve: u64) -> Self {
        Self {
            file,
            path: path.to_owned(),
            reserve: FIRST_RECORD + reserve,
            generation: 1,
            number: 0,
            end: FIRST_RECORD,
        }
    }

    /// Reads which generation is the present one, or refuses what is no journal.
    fn identify(&mut self) -> Result<(), JournalError> {
        let done = self
            .done_with()
            .map_err(|error| JournalError::opening(&self.path, error))?;
        let done = done.ok_or_else(|| JournalError::NotAJournal {
            path: self.path.clone(),
        })?;
        self.generation = done + 1;
        Ok(())
    }

    fn format(&self) -> io::Result<()> {
        self.mark(0, 0)?;
        self.mark(1, 0)?;
        self.file.sync_all()?;
        // The name is as durable as the file.
        match self.path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }

    /// Room is reserved as far as the file system can do that; where it cannot, the journal is as good as the free space.
    fn reserve(&self) {
        let flags = rustix::fs::FallocateFlags::empty();
        if let Err(error) = rustix::fs::fallocate(&self.file, flags, 0, self.reserve) {
            tracing::warn!(path = %self.path.display(), %error, "no room can be reserved for the overflow journal");
        }
    }

    fn mark(&self, slot: u64, generation: u64) -> io::Result<()> {
        let mut bytes = [0; SLOT_BYTES];
        bytes[..8].copy_from_slice(&FORMAT);
        bytes[8..16].copy_from_slice(&generation.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..16]).to_le_bytes();
        bytes[16..20].copy_from_slice(&checksum);
        self.file.write_all_at(&bytes, slot * SLOT_BYTES as u64)
    }

    /// The last generation that is done with; `None` if this is no journal at all.
    fn done_with(&self) -> io::Result<Option<u64>> {
        let mut slots = [0; 2 * SLOT_BYTES];
        let read = read_at(&self.file, &mut slots, 0)?;
        let mut done = Vec::new();
        let mut is_journal = false;
        for slot in slots[..read].chunks(SLOT_BYTES) {
            let (Some(format), Some(number), Some(checksum)) = (slot.get(..8), slot.get(8..16), slot.get(16..20))
            else {
                continue;
            };
            let is_sound = checksum == crc32fast::hash(&slot[..16]).to_le_bytes();
            is_journal |= *format == FORMAT;
            if is_sound && *format == FORMAT {
                let number: [u8; 8] = number.try_into().unwrap_or_default();
                done.push(u64::from_le_bytes(number));
            }
        }
        // With both slots damaged, what is done with cannot be told from what is not; to store it again does no harm.
        Ok(done.into_iter().max().or(is_journal.then_some(0)))
    }

    /// Finds every whole record of this generation, and what is between them.
    fn scan(&mut self, length: u64) -> io::Result<(Vec<Place>, JournalDamage)> {
        let (mut places, mut damage) = (Vec::new(), JournalDamage::default());
        let mut at = FIRST_RECORD;
        // With both slots damaged, the newest generation is the one to go on with.
        while at < length {
            if let Some(place) = self.whole_record(at)? {
                at += place.header.room();
                self.generation = self.generation.max(place.header.generation);
                places.push(place);
                continue;
            }
            let next = self.next_record(at + ALIGNMENT, length)?;
            let torn = self.torn_bytes(at)?;
            if next.is_some() || torn > 0 {
                damage.places += 1;
                damage.bytes += next.map_or(torn.min(length - at), |place| place.offset - at);
            }
            match next {
                Some(place) => at = place.offset,
                None => break,
            }
        }
        Ok((places, damage))
    }

    /// How many bytes a record has, as far as can be told, that begins here and is not whole. None if the end is here.
    fn torn_bytes(&self, at: u64) -> io::Result<u64> {
        let mut bytes = [0; HEADER_BYTES];
        let read = read_at(&self.file, &mut bytes, at)?;
        if bytes[..read].iter().take(END.len()).all(|byte| *byte == 0) {
            return Ok(0);
        }
        Ok(match Header::read(&bytes[..read]) {
            // What is left of a generation that is done with is no damage.
            Some(header) if header.generation < self.generation => 0,
            Some(header) => header.room(),
            None => HEADER_BYTES as u64,
        })
    }

    fn whole_record(&self, at: u64) -> io::Result<Option<Place>> {
        let mut bytes = [0; HEADER_BYTES];
        let read = read_at(&self.file, &mut bytes, at)?;
        let Some(header) = Header::read(&bytes[..read]).filter(|header| header.generation >= self.generation) else {
            return Ok(None);
        };
        let place = Place { offset: at, header };
        Ok(self.payload(place)?.map(|_| place))
    }

    fn next_record(&self, from: u64, length: u64) -> io::Result<Option<Place>> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut at = from;
        while at < length {
            let read = read_at(&self.file, &mut chunk, at)?;
            if read < MAGIC.len() {
                break;
            }
            for offset in (0..read).step_by(ALIGNMENT as usize) {
                if chunk[offset..read].starts_with(&MAGIC)
                    && let Some(place) = self.whole_record(at + offset as u64)?
                {
                    return Ok(Some(place));
                }
            }
            at += read.next_multiple_of(ALIGNMENT as usize) as u64;
        }
        Ok(None)
    }

    fn payload(&self, place: Place) -> io::Result<Option<Vec<u8>>> {
        let length = place.header.length as usize;
        let start = place.offset + HEADER_BYTES as u64;
        // A length that goes beyond the file is damage, and no reason to take up as much memory.
        if start + u64::from(place.header.length) > self.file.metadata()?.len() {
            return Ok(None);
        }
        let mut payload = vec![0; length];
        let read = read_at(&self.file, &mut payload, start)?;
        Ok((read == length && place.header.is_of(&payload)).then_some(payload))
    }

    /// A record's notification; `None` if it is not whole any more.
    pub(super) fn read(&self, place: Place) -> io::Result<Option<NewNotification>> {
        Ok(self.payload(place)?.as_deref().and_then(super::record::decode))
    }

    /// Writes records behind the last one, and comes back when they are on the disk.
    pub(super) fn append(&mut self, notifications: &[NewNotification]) -> io::Result<Vec<Place>> {
        let (mut bytes, mut places, mut number) = (Vec::new(), Vec::new(), self.number);
        for notification in notifications {
            number += 1;
            let offset = bytes.len();
            super::record::encode(notification, self.generation, number, &mut bytes).map_err(io::Error::other)?;
            let header =
                Header::read(&bytes[offset..]).ok_or_else(|| io::Error::other("a record cannot be read back"))?;
            places.push(Place {
                offset: self.end + offset as u64,
                header,
            });
        }
        let length = bytes.len() as u64;
        bytes.extend_from_slice(&END);
        self.file.write_all_at(&bytes, self.end)?;
        self.file.sync_data()?;
        // Only now: what was not kept is written over.
        self.end += length;
        self.number = number;
        Ok(places)
    }

    /// Everything is in the store: the next generation begins at the front.
    pub(super) fn begin_again(&mut self) -> io::Result<()> {
        // The slot that does not hold the generation before stays good, whatever happens to this one.
        self.mark(self.generation % 2, self.generation)?;
        self.file.sync_data()?;
        self.generation += 1;
        (self.number, self.end) = (0, FIRST_RECORD);
        if self.file.metadata()?.len() > self.reserve {
            self.file.set_len(self.reserve)?;
        }
        Ok(())
    }
}

/// As much as there is.
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
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
