//! What is found when the log is opened: which segments belong to it, and with which number it goes on.

use std::fs;
use std::io;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::sync::watch;
use uuid::Uuid;

use super::append::{Current, Start};
use super::damage::{Gap, LogDamage};
use super::folder::Folder;
use super::index::{Index, Live};
use super::segment::{FIRST_RECORD, Identity, SPARE, Segment, SegmentHeader, length_of};
use super::walk::{Step, Stretch, Walk};
use super::{IntakeLogError, IntakeLogSettings, LogId, Shared};
use crate::torture;

/// The number to go on with when it is not known which ones were given out: the nanoseconds since 1970. A number that was
/// given out after an earlier leap is lower, because neither records nor segments that are back take as many numbers as
/// nanoseconds.
fn leap(next: u64) -> u64 {
    let now = u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default();
    next.max(now)
}

/// The log as it is found.
struct Found {
    id: LogId,
    folders: Vec<Folder>,
    era: u64,
    damage: LogDamage,
    start: Start,
}

/// A segment, and what it says about itself.
struct Told {
    segment: Segment,
    header: SegmentHeader,
    /// Where its records end at the latest.
    limit: u64,
    is_certain: bool,
}

/// What the folders hold.
#[derive(Default)]
struct Contents {
    told: Vec<Told>,
    damage: LogDamage,
    /// Whether there may be more of the log in a folder that is not there.
    is_away: bool,
}

/// Takes the folders and finds what is in them.
pub(super) fn find(settings: IntakeLogSettings) -> Result<(Shared, Start), IntakeLogError> {
    let segment_length = length_of(torture::segment_bytes(settings.segment_bytes));
    let (folders, contents) = take_folders(&settings)?;
    let Contents { told, damage, is_away } = contents;
    let in_use = told.iter().find(|told| told.header.generation != SPARE);
    let id = in_use.or(told.first()).map(|told| told.header.log);
    let mut found = Found::of(id, folders, damage, &told);
    let (present, late) = found.sort_out(told, segment_length);
    let mut live = found.take_present(present);
    if is_away && id.is_some() {
        found.begin_era(&mut live);
    }
    found.adopt(late, &mut live);
    let last = found.start.next_number - 1;
    let shared = Shared {
        id: found.id,
        era: found.era,
        settings,
        segment_length,
        folders: found.folders,
        index: Mutex::new(Index::new(live, last)),
        damage: Mutex::new(found.damage),
        appended: watch::channel(last).0,
    };
    Ok((shared, found.start))
}

fn take_folders(settings: &IntakeLogSettings) -> Result<(Vec<Folder>, Contents), IntakeLogError> {
    let (mut folders, mut contents) = (Vec::new(), Contents::default());
    let mut failure = None;
    for (number, path) in settings.folders.iter().enumerate() {
        let (folder, trouble) = Folder::open(path, number)?;
        let trouble = match trouble {
            None => contents.look_into(&folder)?.err(),
            trouble => trouble,
        };
        if let Some(error) = trouble {
            tracing::warn!(folder = %path.display(), %error, "a folder of the intake log cannot be used");
            failure.get_or_insert(IntakeLogError::unavailable(path, &error));
            folder.failed();
            folder.unlock();
            contents.is_away = true;
        }
        folders.push(folder);
    }
    match failure {
        Some(failure) if !folders.iter().any(Folder::is_usable) => Err(failure),
        _ => Ok((folders, contents)),
    }
}

impl Contents {
    fn look_into(&mut self, folder: &Folder) -> Result<io::Result<()>, IntakeLogError> {
        let segments = match folder.segments() {
            Ok(segments) => segments,
            Err(error) => return Ok(Err(error)),
        };
        // A disk that is not mounted shows an empty folder.
        self.is_away |= segments.is_empty();
        for segment in segments {
            match segment.identify() {
                Ok(Identity::Segment {
                    header,
                    limit,
                    is_certain,
                }) => self.told.push(Told {
                    segment,
                    header,
                    limit,
                    is_certain,
                }),
                Ok(Identity::Foreign) => return Err(IntakeLogError::NotALog { path: segment.path }),
                Ok(Identity::Damaged) => {
                    let aside = segment.path.with_extension("damaged");
                    if let Err(error) = fs::rename(&segment.path, &aside) {
                        return Ok(Err(error));
                    }
                    self.damage.lost(segment.length);
                    self.damage.kept_at.push(aside);
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(()))
    }
}

impl Found {
    fn of(id: Option<LogId>, folders: Vec<Folder>, damage: LogDamage, told: &[Told]) -> Self {
        let highest = |of: fn(&SegmentHeader) -> u64| told.iter().map(|told| of(&told.header)).max();
        let mut next_number = highest(|header| header.first).unwrap_or_default().max(1);
        if damage.places > 0 {
            // A segment of which nobody knows how far it went.
            next_number = leap(next_number);
        }
        Self {
            id: id.unwrap_or_else(|| LogId(Uuid::now_v7())),
            folders,
            era: highest(|header| header.era).unwrap_or_default(),
            damage,
            start: Start {
                current: None,
                // A generation that was lost in a crash may have left records.
                next_generation: leap(highest(|header| header.generation).unwrap_or(SPARE) + 1),
                next_number,
            },
        }
    }

    /// The segments of this log, and those that were away or are of another one, each in their order. Files that wait to
    /// be used go to their folders.
    fn sort_out(&self, told: Vec<Told>, segment_length: u64) -> (Vec<Told>, Vec<Told>) {
        let (mut present, mut late) = (Vec::new(), Vec::new());
        for told in told {
            let header = told.header;
            if header.generation != SPARE {
                let is_present = header.log == self.id && header.era == self.era;
                if is_present { &mut present } else { &mut late }.push(told);
            } else if told.segment.length == segment_length && header.log == self.id {
                self.folders[told.segment.folder].keep(Arc::new(told.segment));
            } else if let Err(error) = fs::remove_file(&told.segment.path) {
                tracing::warn!(path = %told.segment.path.display(), %error, "a segment of the intake log cannot be removed");
            }
        }
        present.sort_by_key(|told| told.header.generation);
        late.sort_by_key(|told| told.header.generation);
        (present, late)
    }

    /// Finds out where to go on. Only the newest segment is read for that: the others are read when they are wanted.
    fn take_present(&mut self, present: Vec<Told>) -> Vec<Live> {
        let newest = present.last().map(|told| told.header.generation);
        let mut live = Vec::new();
        for told in present {
            let (segment, header, mut end) = (Arc::new(told.segment), told.header, told.limit);
            if Some(header.generation) == newest {
                let tail = self.read_tail(&segment, header, told.limit);
                self.start.next_number = self.start.next_number.max(tail.last + 1);
                if tail.is_torn {
                    self.start.next_number = leap(self.start.next_number + segment.most_records());
                }
                end = tail.end;
                let is_as_written = told.limit == segment.capacity() && header.records.generation == header.generation;
                let can_go_on = tail.is_clean && is_as_written && header.log == header.records.log;
                if can_go_on && (told.is_certain || segment.mark(header).is_ok()) {
                    self.start.current = Some(Current {
                        segment: Arc::clone(&segment),
                        imprint: header.imprint(),
                        end,
                    });
                }
            }
            live.push(Live { segment, header, end });
        }
        live
    }

    /// Marks what is there, so that what is not is known for it when it is back. Its numbers and generations are leapt
    /// over.
    fn begin_era(&mut self, live: &mut [Live]) {
        self.start.current = None;
        self.start.next_number = leap(self.start.next_number);
        self.era = self.start.next_generation;
        for live in live {
            live.header.era = self.era;
            if let Err(error) = live.segment.mark(live.header) {
                tracing::warn!(path = %live.segment.path.display(), %error, "a segment of the intake log may be read twice");
            }
        }
    }

    /// Puts segments that were away at the end of the log. Those of their records that were read before they went are
    /// read once more: nobody knows which ones these are.
    fn adopt(&mut self, late: Vec<Told>, live: &mut Vec<Live>) {
        for told in late {
            let header = SegmentHeader {
                log: self.id,
                generation: self.start.next_generation,
                first: self.start.next_number,
                era: self.era,
                records: told.header.records,
            };
            self.start.current = None;
            self.start.next_generation += 1;
            self.start.next_number += told.segment.most_records() + 1;
            let path = told.segment.path.display();
            match told.segment.mark(header) {
                Ok(()) => {
                    tracing::warn!(%path, "a segment of the intake log that was away is back");
                    live.push(Live {
                        segment: Arc::new(told.segment),
                        header,
                        end: told.limit,
                    });
                }
                Err(error) => {
                    tracing::error!(%path, %error, "a segment of the intake log that was away cannot be used");
                }
            }
        }
    }

    fn read_tail(&mut self, segment: &Segment, header: SegmentHeader, limit: u64) -> Tail {
        let mut tail = Tail {
            last: header.first.saturating_sub(1),
            end: FIRST_RECORD,
            is_clean: true,
            is_torn: false,
        };
        let generation = header.generation;
        let mut walk = Walk::new(segment, Stretch::whole(header, limit));
        loop {
            let at = walk.at();
            match walk.step() {
                Ok(Step::Record { number, .. }) => (tail.last, tail.end) = (number, walk.at()),
                Ok(Step::Damage { bytes }) => {
                    self.damage.found(Gap { generation, at, bytes });
                    tail.is_clean = false;
                }
                Ok(Step::End { torn_bytes: bytes }) => {
                    self.damage.found(Gap { generation, at, bytes });
                    tail.is_torn = bytes > 0;
                    tail.is_clean &= !tail.is_torn;
                    break;
                }
                Err(error) => {
                    tracing::error!(path = %segment.path.display(), %error, "a segment of the intake log cannot be read");
                    // What can be read of it later is read then.
                    (tail.end, tail.is_torn, tail.is_clean) = (limit, true, false);
                    return tail;
                }
            }
        }
        if !tail.is_clean {
            self.damage.put_aside(segment, generation);
        }
        tail
    }
}

/// What is in the newest segment.
struct Tail {
    last: u64,
    end: u64,
    /// Whether nothing in it is damaged.
    is_clean: bool,
    /// Whether something was behind the last whole record.
    is_torn: bool,
}
