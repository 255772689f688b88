//! What is found when the log is opened.

use std::io;
use std::sync::Arc;

use uuid::Uuid;

use super::append::Current;
use super::damage::{Gap, LogDamage};
use super::folder::Folder;
use super::index::{Index, Live};
use super::record::Imprint;
use super::segment::{FIRST_RECORD, Identity, SPARE, Segment, SegmentHeader};
use super::walk::{Step, Stretch, Walk};
use super::{IntakeLogError, IntakeLogSettings, LogId};

/// By how much the numbers leap when it is not certain which ones were given out: more than any log gives out between
/// two starts, and so little that a number of 63 bits lasts.
const LEAP: u64 = 1 << 36;

/// The log as it was found.
pub(super) struct Found {
    pub(super) id: LogId,
    pub(super) folders: Vec<Folder>,
    pub(super) index: Index,
    pub(super) current: Option<Current>,
    pub(super) next_generation: u64,
    pub(super) next_number: u64,
    pub(super) damage: LogDamage,
}

/// A segment, and what it says about itself.
pub(super) struct Told {
    pub(super) segment: Segment,
    pub(super) header: SegmentHeader,
    pub(super) limit: u64,
    is_certain: bool,
}

/// Takes the folders and finds what is in them.
pub(super) fn find(settings: &IntakeLogSettings, segment_length: u64) -> Result<Found, IntakeLogError> {
    let (folders, mut is_doubtful) = take_folders(settings)?;
    let mut damage = LogDamage::default();
    let mut told = Vec::new();
    for folder in &folders {
        if folder.is_usable() {
            let before = told.len();
            let found = tell_segments(folder, &mut damage)?;
            told.extend(found);
            // A disk that is not mounted shows an empty folder.
            is_doubtful |= told.len() == before;
        }
    }
    let id = told
        .first()
        .map_or_else(|| LogId(Uuid::now_v7()), |told| told.header.log);
    is_doubtful |= damage.places > 0;
    is_doubtful &= !told.is_empty();
    let next_number = told
        .iter()
        .map(|told| told.header.first)
        .max()
        .unwrap_or_default()
        .max(1);
    let live = sort_out(told, id, &folders, segment_length);
    let mut found = Found {
        id,
        folders,
        index: Index::default(),
        current: None,
        next_generation: SPARE + 1,
        next_number,
        damage,
    };
    found.go_on(live, is_doubtful);
    Ok(found)
}

/// Which of the folders can be used, and whether one cannot.
fn take_folders(settings: &IntakeLogSettings) -> Result<(Vec<Folder>, bool), IntakeLogError> {
    let (mut folders, mut failures) = (Vec::new(), Vec::new());
    for (number, path) in settings.folders.iter().enumerate() {
        let (folder, trouble) = Folder::open(path, number)?;
        folders.push(folder);
        if let Some(error) = trouble {
            tracing::warn!(folder = %path.display(), %error, "a folder of the intake log cannot be used");
            failures.push(IntakeLogError::unavailable(path, &error));
        }
    }
    let has_failed = !failures.is_empty();
    if failures.len() == folders.len() {
        return Err(failures.into_iter().next().unwrap_or(IntakeLogError::Closed));
    }
    Ok((folders, has_failed))
}

fn tell_segments(folder: &Folder, damage: &mut LogDamage) -> Result<Vec<Told>, IntakeLogError> {
    let failed = |error: io::Error| IntakeLogError::unavailable(&folder.path, &error);
    let mut told = Vec::new();
    for segment in folder.segments().map_err(failed)? {
        match segment.identify().map_err(failed)? {
            Identity::Segment {
                header,
                limit,
                is_certain,
            } => told.push(Told {
                segment,
                header,
                limit,
                is_certain,
            }),
            Identity::Damaged => {
                let aside = segment.path.with_extension("damaged");
                damage.lost(segment.length);
                std::fs::rename(&segment.path, &aside).map_err(failed)?;
                damage.kept_at.push(aside);
            }
            Identity::Foreign => return Err(IntakeLogError::NotALog { path: segment.path }),
        }
    }
    Ok(told)
}

/// The segments with records in their order; the others wait in their folders.
fn sort_out(told: Vec<Told>, id: LogId, folders: &[Folder], segment_length: u64) -> Vec<Told> {
    let mut live = Vec::new();
    for told in told.into_iter().filter(|told| told.header.log == id) {
        if told.header.generation != SPARE {
            live.push(told);
        } else if told.segment.length == segment_length {
            folders[told.segment.folder].keep(Arc::new(told.segment));
        } else if let Err(error) = std::fs::remove_file(&told.segment.path) {
            tracing::warn!(path = %told.segment.path.display(), %error, "a segment of the intake log cannot be removed");
        }
    }
    live.sort_by_key(|told| told.header.generation);
    live
}

impl Found {
    /// Finds out where to go on. Only the newest segment is read for that: the others are read by whoever wants them.
    fn go_on(&mut self, live: Vec<Told>, is_doubtful: bool) {
        let mut is_doubtful = is_doubtful;
        let mut indexed: Vec<Live> = Vec::new();
        let newest = live.last().map(|told| told.header.generation);
        for told in live {
            let Told {
                segment,
                header,
                limit,
                is_certain,
            } = told;
            let (imprint, segment) = (Imprint::new(self.id, header.generation), Arc::new(segment));
            let mut end = limit;
            if Some(header.generation) == newest {
                let tail = self.read_tail(&segment, header, limit);
                self.next_generation = header.generation + 1;
                self.next_number = self.next_number.max(tail.last + 1);
                is_doubtful |= tail.is_torn;
                end = tail.end;
                let is_whole = tail.is_clean && limit == segment.capacity();
                if is_whole && !is_doubtful && (is_certain || segment.begin_again(header).is_ok()) {
                    let segment = Arc::clone(&segment);
                    self.current = Some(Current { segment, imprint, end });
                }
            }
            indexed.push(Live {
                segment,
                imprint,
                first: header.first,
                end,
            });
        }
        if is_doubtful {
            self.next_number += LEAP;
            self.next_generation += LEAP;
        }
        self.index = Index::new(indexed, self.next_number - 1);
    }

    fn read_tail(&mut self, segment: &Segment, header: SegmentHeader, limit: u64) -> Tail {
        let mut tail = Tail {
            last: header.first.saturating_sub(1),
            end: FIRST_RECORD,
            is_clean: true,
            is_torn: false,
        };
        let stretch = Stretch {
            imprint: Imprint::new(self.id, header.generation),
            from: FIRST_RECORD,
            to: limit,
            first: header.first,
            next_segment: u64::MAX,
        };
        let generation = header.generation;
        let mut walk = Walk::new(segment, stretch);
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
